"""What a run was advised, and the experiment that follows the advice.

The Train screen and the command line read advice here, so that both list the same in the same order and change the
same keys. It reads events, which may come from anywhere: what is no advice, no change or no key is passed over or
refused, never trusted. Nothing here may touch the run: a change is always one for another run.
"""

from __future__ import annotations

import contextlib
import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tui_tuner.config import Experiment, describe
from tui_tuner.config.overrides import validated
from tui_tuner.config.problems import Origin
from tui_tuner.errors import TunerError
from tui_tuner.paths import numbered_name
from tui_tuner.runs import Event, RunView
from tui_tuner.runs.columns import number
from tui_tuner.runs.folder import stem_of

from .doctor.case import GRAVITY, Severity


@dataclass(frozen=True)
class Said:
    """One thing that a run was told.

    Attributes:
        code: the rule's name; empty when the event had none.
        severity: how grave it is.
        text: the sentence with its numbers.
        step: after which step it was said, or None when that is unknown.
        change: keys and their new values for another run; empty when no setting would help.
    """

    code: str
    severity: Severity
    text: str
    step: int | None = None
    change: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Remedy:
    """What several pieces of advice come to.

    Attributes:
        change: keys and their new values.
        followed: the advice that is in it.
        left_out: advice that is not, with the key that a graver one wants otherwise.
    """

    change: dict[str, Any]
    followed: list[Said]
    left_out: list[tuple[Said, str]]


def said(view: RunView) -> list[Said]:
    """What a run was told and was not told otherwise since: the newest of each code, gravest first, then the newest."""
    newest: dict[str, tuple[int, Said]] = {}
    for position, event in enumerate(view.advice):
        one = _said(event, view)
        if one is not None:
            newest[one.code or one.text] = (position, one)
    return [one for _, one in sorted(newest.values(), key=lambda pair: (GRAVITY[pair[1].severity], -pair[0]))]


def _said(event: Event, view: RunView) -> Said | None:
    text, code, severity, change = (event.get(name) for name in ("text", "code", "severity", "change"))
    if not isinstance(text, str) or not text:
        return None
    step = number(event.get("step"))
    return Said(
        code if isinstance(code, str) else "",
        next((known for known in GRAVITY if known == severity), "warning"),
        text,
        _step_at(view, event) if step is None else int(step),
        {key: value for key, value in change.items() if isinstance(key, str)} if isinstance(change, dict) else {},
    )


def _step_at(view: RunView, event: Event) -> int | None:
    """The last step that was reported before an event that does not say its own."""
    moment = number(event.get("t"))
    times = view.train.column("t")
    if moment is None or not len(times):
        return None
    before = np.flatnonzero(times <= moment)
    return int(view.train.column("step")[before[-1]]) if len(before) else None


def combined(advice: Iterable[Said]) -> Remedy:
    """The change that follows all of some advice, given gravest first.

    The changes of one piece of advice belong together (half the batch with twice the accumulation), so one that wants
    another value of a key than a graver one is left out whole.
    """
    change: dict[str, Any] = {}
    followed: list[Said] = []
    left_out: list[tuple[Said, str]] = []
    for one in advice:
        contrary = [key for key, value in one.change.items() if key in change and change[key] != value]
        if contrary:
            left_out.append((one, contrary[0]))
        elif one.change:
            change.update(one.change)
            followed.append(one)
    return Remedy(change, followed, left_out)


def follow(experiment: Experiment, change: dict[str, Any], name: str) -> Experiment:
    """A new experiment of that name with the change in it; the given one stays as it is.

    Raises:
        TunerError: when the change does not make a valid experiment; one sentence.
    """
    tables = experiment.model_dump()
    for key, value in {"run.name": name, **change}.items():
        section, _, field_name = key.partition(".")
        tables.setdefault(section, {})[field_name] = value
    try:
        return validated(tables, Origin())
    except TunerError as error:
        raise TunerError(f"with this change {error.message}", code=error.code, fix=error.fix) from None


def next_name(name: str, runs_dir: Path) -> str:
    """The name for one more run of an experiment, which no run in the folder has: see `paths.numbered_name`."""
    taken: set[str] = set()
    with contextlib.suppress(OSError):
        taken = {stem_of(entry.name) for entry in runs_dir.iterdir()}
    return numbered_name(name, taken)


def command(config: Path, change: dict[str, Any], name: str) -> str:
    """The command that starts a run with the change, for a shell."""
    return shlex.join(["tui-tuner", "run", str(config), "--name", name, *_settings(change)])


def _settings(change: dict[str, Any]) -> Sequence[str]:
    words: list[str] = []
    for key, value in change.items():
        # A word needs no quotes; what TOML would read as something else does.
        bare = isinstance(value, str) and re.fullmatch(r"[A-Za-z_]\w*", value) and value not in ("true", "false")
        words += ["--set", f"{key}={value if bare else describe.in_toml(value)}"]
    return words
