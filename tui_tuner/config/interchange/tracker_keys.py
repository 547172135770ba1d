"""What other tools call the trackers that a run's figures go to, and what becomes of it here.

Semantics are those of transformers' TrainingArguments, Axolotl's configuration and `mlx_lm.lora`. A file that names a
tracker asks for figures to be sent, and the report says so with a mark; one that names none sends nothing.
"""

from __future__ import annotations

from typing import Any, Final

from tui_tuner.config.interchange.report import Ledger
from tui_tuner.config.tracking_section import TRACKERS

_NAMES: Final = {
    "wandb": (("wandb_project", "project"), ("wandb_entity", "entity"), ("wandb_name", "name"),
              ("wandb_run_name", "name")),
    "trackio": (("trackio_project_name", "project"), ("trackio_run_name", "name"), ("trackio_space_id", "space")),
}  # fmt: skip
_SHARED: Final = (("project_name", "project"), ("project", "project"), ("run_name", "name"))
_NONE: Final = ("none", "false", "")
_SENT: Final = "figures are sent there when its library is installed"


def read_tracking(ledger: Ledger) -> None:
    """Brings over which trackers are asked for, with their project, name, team, Space and mode."""
    asked = _reported(ledger)
    for name in TRACKERS:
        switch, mode = f"use_{name}", str(ledger.values.get(f"{name}_mode") or "")
        keys = [key for key, _ in _NAMES[name] if ledger.has(key)]
        if name in asked or ledger.values.get(switch) is False or mode == "disabled":
            continue
        if ledger.values.get(switch) is True:
            asked.append(name)
            ledger.put(switch, "tracking.to", list(asked), _SENT, warning=True)
        elif keys and keys[0].endswith(("_project", "_project_name")):  # Axolotl: a project is what asks for it
            asked.append(name)
            ledger.tables.setdefault("tracking", {})["to"] = list(asked)
            ledger.notes.append(f"{keys[0]} asks for {name}, so tracking.to names it: {_SENT}")
    named = [*(pair for name in TRACKERS for pair in _NAMES[name]), *_SHARED]
    wanted = [*(pair for name in asked for pair in _NAMES[name]), *(_SHARED if asked else ())]
    for key, ours in named:
        if not ledger.has(key) or key in ledger.entries:
            continue
        if (key, ours) not in wanted:
            ledger.leave(key, "it belongs to a tracker that the file does not ask for")
            continue
        if ledger.ours(f"tracking.{ours}") is None:
            ledger.put(key, f"tracking.{ours}", ledger.values[key])
        else:
            ledger.leave(key, f"tracking.{ours} is given by another key")
    if ledger.has("wandb_mode") and "wandb" in asked:
        _mode(ledger, str(ledger.values["wandb_mode"]))


def _reported(ledger: Ledger) -> list[str]:
    """What `report_to` names that there is here."""
    if not ledger.has("report_to"):
        return []
    value: Any = ledger.values["report_to"]
    words = value if isinstance(value, list) else str(value).split(",")
    names = [str(word).strip().lower() for word in words]
    names = [name for name in names if name not in _NONE]
    known: list[str] = [name for name in dict.fromkeys(names) if name in TRACKERS]
    if not names:
        ledger.keep("report_to", "nothing is sent here, too")
    elif not known:
        ledger.leave(
            "report_to", "trackers here are trackio and wandb; every run keeps all figures itself", warning=True
        )
    else:
        rest = [name for name in names if name not in TRACKERS]
        note = f"{_SENT}; {', '.join(rest)} is not known here" if rest else _SENT
        ledger.put("report_to", "tracking.to", known, note, warning=True)
    return known


def _mode(ledger: Ledger, mode: str) -> None:
    if mode == "offline":
        ledger.put("wandb_mode", "tracking.offline", True, "offline, by another name")
    else:
        ledger.keep("wandb_mode", "figures are sent as they come")
