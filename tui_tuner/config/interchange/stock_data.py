"""The data that a file of `mlx_lm.lora` names: a folder, a set on the Hub, or the section `hf_dataset`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

from tui_tuner.config.interchange.report import Ledger
from tui_tuner.paths import find_local, is_repository_name

HUB: Final = "hf:"
DEFAULT: Final = "mlx-community/WikiSQL"
"""What mlx-lm trains on when a file names nothing."""
FEATURES: Final = ("prompt_feature", "completion_feature", "text_feature", "chat_feature")
_LAST = re.compile(r"\w+\[-(\d+)%:\]")


def read_data(ledger: Ledger) -> None:
    """Brings over where the rows come from and what their columns are called."""
    sets = sorted({key.rpartition(".")[0] for key in ledger.values if key.startswith("hf_dataset.")})
    prefixes = [name for name in sets if name.count(".") <= 1 and not name.endswith(".config")]
    if prefixes:
        if "data" in ledger.values:
            ledger.leave("data", "stock mlx-lm passes it over beside hf_dataset")
        _section(ledger, f"{prefixes[0]}.")
        for key in ledger.open():
            if key.startswith("hf_dataset.") and not key.startswith(f"{prefixes[0]}."):
                ledger.leave(key, "an experiment has one source; join the sets in a file first", warning=True)
        for name in FEATURES:
            if name in ledger.values:
                ledger.leave(name, "stock mlx-lm looks for it in hf_dataset here")
        return
    if ledger.has("data"):
        _folder_or_hub(ledger, str(ledger.values["data"]))
    else:
        note = "the file names no data, and mlx-lm then trains on this"
        ledger.put("data", "data.source", HUB + DEFAULT, note, default=True, warning=True)
    _columns(ledger, "")


def _folder_or_hub(ledger: Ledger, data: str) -> None:
    if find_local(data, ledger.base) is None and is_repository_name(data) and not Path(data).is_absolute():
        note = "there is no such folder, so it is a set on the Hub"
        ledger.put(
            "data", "data.source", HUB + data, f"{note}, of which mlx-lm sees the splits train, valid and test alone"
        )
    else:
        ledger.put("data", "data.source", data)


def _section(ledger: Ledger, prefix: str) -> None:
    """One set of `hf_dataset`, whose keys begin with the prefix."""
    path = f"{prefix}path"
    if ledger.has(path):
        ledger.put(path, "data.source", f"{HUB}{ledger.values[path]}", "a set on the Hub")
    elif ledger.has(old := f"{prefix}name"):
        note = "mlx-lm calls it path by now, and stops without"
        ledger.put(old, "data.source", f"{HUB}{ledger.values[old]}", note, warning=True)
    if ledger.has(name := f"{prefix}config.name"):
        ledger.put(name, "data.subset", ledger.values[name])
    _splits(ledger, prefix)
    _columns(ledger, prefix)
    if (key := f"{prefix}mask_prompt") in ledger.values:
        ledger.leave(key, "stock mlx-lm writes the mask_prompt of the file's top over it", warning=True)


def _splits(ledger: Ledger, prefix: str) -> None:
    train, valid, test = (f"{prefix}{name}_split" for name in ("train", "valid", "test"))
    if ledger.has(train):
        note = "of which validation and test rows are held back here"
        ledger.put(train, "data.slice", ledger.values[train], note, warning=True)
    else:
        ledger.notes.append(
            "mlx-lm would train on train[:80%] and validate on train[-10%:]; here the set's own splits count, or 10 % "
            "are held back"
        )
    if ledger.has(valid):
        found = _LAST.fullmatch(str(ledger.values[valid]))
        if found and 0 < int(found[1]) < 100:
            note = "as many are held back, drawn by seed"
            ledger.put(valid, "data.valid_share", int(found[1]) / 100, note, warning=True)
        else:
            ledger.leave(valid, "validation rows are held back by data.valid or data.valid_share", warning=True)
    if ledger.has(test):
        ledger.leave(test, "test rows are held back by data.test or data.test_share", warning=True)


def _columns(ledger: Ledger, prefix: str) -> None:
    prompt, completion, text, chat = (f"{prefix}{name}" for name in FEATURES)
    if ledger.has(prompt) and ledger.has(completion):
        for key, ours in ((prompt, "data.prompt"), (completion, "data.completion")):
            ledger.put(key, ours, [f"{{{ledger.values[key]}}}"], "the column as a template")
    else:
        for key, plain in ((prompt, "prompt"), (completion, "completion")):
            _named(ledger, key, plain, "completion")
    _named(ledger, text, "text", "text")
    _named(ledger, chat, "messages", "messages")


def _named(ledger: Ledger, key: str, plain: str, shape: str) -> None:
    """A column that is found by its usual name, or has to be renamed."""
    if not ledger.has(key):
        return
    value: Any = ledger.values[key]
    if value == plain:
        ledger.keep(key, f"the column is found by its name, in rows of the shape {shape}")
    else:
        ledger.leave(
            key,
            f"columns of the shape {shape} are recognised by their content; look at the Data screen whether it was",
            warning=True,
        )
