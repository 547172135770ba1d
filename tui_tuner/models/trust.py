"""Code that comes with a model, and whether a person has allowed to run it. Nothing here runs it, or imports it.

A consent is a text, `NAME@HASH`: the model by its name, and the hash of all its Python files with what asks for them.
So it holds for exactly this code: a file that changed, or another model of that name, has to be allowed anew. Consents
are given outright (an option, a configuration, a dialog that wants the name typed) and live as long as the process.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tui_tuner.errors import TunerError
from tui_tuner.models.hub.cache import repository_of
from tui_tuner.runs.files import read_failure, read_object

_CONSENT = re.compile(r"[^@\s]+@[0-9a-f]{16}")
_allowed: set[str] = set()
_lock = threading.Lock()


@dataclass(frozen=True)
class RemoteCode:
    """Code that a model brings.

    Attributes:
        name: what the model is called in a consent: its repository, or the name of its folder.
        asked_by: which entries of which files ask for it.
        files: Python files of the model, by path.
        hash: of these files and entries.
        of_model: whether mlx-lm would run it to build the model.
        of_tokenizer: whether transformers would run it to read the tokenizer.
    """

    name: str
    asked_by: tuple[str, ...]
    files: tuple[str, ...]
    hash: str
    of_model: bool
    of_tokenizer: bool

    @property
    def consent(self) -> str:
        """The text that allows exactly this code."""
        return f"{self.name}@{self.hash}"

    @property
    def allowed(self) -> bool:
        """Whether somebody has allowed it in this process."""
        return is_allowed(self.consent)

    def meaning(self) -> str:
        """What it means to allow it, for a person."""
        parts = [word for word, meant in (("model", self.of_model), ("tokenizer", self.of_tokenizer)) if meant]
        what = f"build its {' and its '.join(parts)}" if parts else "be loaded by other programs; here none of it runs"
        files = ", ".join(self.files) or "no Python file"
        return (
            f"It asks for code of its own to {what} ({', '.join(self.asked_by)}; {files}). Code that runs can do all "
            "that you can: read your files, use your network, change your data."
        )


def is_allowed(consent: str) -> bool:
    """Whether somebody has allowed what a consent names, in this process."""
    with _lock:
        return consent in _allowed


def allow(consent: str) -> None:
    """Allows what a consent names, in this process.

    Raises:
        TunerError: the text is no consent: it names no hash, so that it would hold for any code.
    """
    if not _CONSENT.fullmatch(consent):
        raise TunerError(
            f'"{consent}" does not say which code is allowed',
            code="bad-consent",
            fix="write NAME@HASH, as the refusal of the model spells it",
            usage=True,
        )
    with _lock:
        _allowed.add(consent)


FOR_A_RUN = "(for a run: model.trust_remote_code, with --set or in a preset in your own folder)"
"""Where a run's consent is given: behind what the refusal says of commands."""


def check_trust(folder: Path, config: dict[str, Any]) -> RemoteCode | None:
    """The code that a model brings and that is allowed; None for a model without any.

    Raises:
        TunerError: code "model-remote-code": it is not allowed; code "model-outside": it lies elsewhere.
    """
    code = remote_code(folder, config)
    if code is None or code.allowed:
        return code
    raise TunerError(
        f"the model brings code of its own ({', '.join(code.asked_by)}), which is not run",
        code="model-remote-code",
        where=str(folder),
        fix="take a model without it, or read its Python files and, if you trust them, add "
        f"--trust-remote-code {code.consent} {FOR_A_RUN}",
    )


def remote_code(folder: Path, config: dict[str, Any]) -> RemoteCode | None:
    """The code that a model brings; None for none.

    Args:
        folder: the model's.
        config: its config.json.

    Raises:
        TunerError: code "model-outside": code of another repository, or outside the folder; or it cannot be read.
    """
    entries: list[tuple[str, str]] = []
    if (model_file := config.get("model_file")) is not None:
        name = str(model_file)
        if Path(name).name != name or not name.endswith(".py"):
            raise _elsewhere(folder, name)
        entries.append(("config.json: model_file", name))
    tokenizer = read_object(folder / "tokenizer_config.json")
    for where, document in (("config.json", config), ("tokenizer_config.json", tokenizer)):
        named = [(f"{where}: {key}", reference) for key, reference in _auto_map(document.get("auto_map"))]
        entries += [entry for entry in named if not _left_behind(folder, entry[1])]
    if not entries:
        return None
    for _, reference in entries:
        if "--" in reference or "/" in reference or ".." in reference:
            raise _elsewhere(folder, reference)
    files = sorted(file for file in folder.rglob("*.py") if file.is_file())
    digest = hashlib.sha256(json.dumps(sorted(entries)).encode())
    for file in files:
        digest.update(f"\0{file.relative_to(folder)}\0".encode("utf-8", "surrogateescape"))
        try:
            digest.update(hashlib.sha256(file.read_bytes()).digest())
        except OSError as error:
            raise read_failure(error, file) from error
    return RemoteCode(
        repository_of(folder) or folder.name,
        tuple(dict.fromkeys(where for where, _ in entries)),
        tuple(str(file.relative_to(folder)) for file in files),
        digest.hexdigest()[:16],
        of_model=model_file is not None,
        of_tokenizer=any(where.endswith("AutoTokenizer") for where, _ in entries),
    )


def _left_behind(folder: Path, reference: str) -> bool:
    """Whether code for other programs stayed on the Hub: downloads bring none, and without its file it cannot run.

    Many well-known models name such code (Phi-3 does), and need none of it in mlx-lm.
    """
    return (
        bool(repository_of(folder)) and not (folder / f"{reference.rpartition('--')[2].partition('.')[0]}.py").exists()
    )


def _auto_map(found: Any) -> list[tuple[str, str]]:
    """Entries of an `auto_map`: which class, and the references to code that it names."""
    if not found:
        return []
    if not isinstance(found, dict):  # a list is an old form, for the tokenizer's two classes
        return [("auto_map AutoTokenizer", str(one)) for one in (found if isinstance(found, list) else [found]) if one]
    out = []
    for key, value in found.items():
        out += [(f"auto_map {key}", str(one)) for one in (value if isinstance(value, list) else [value]) if one]
    return out


def _elsewhere(folder: Path, reference: str) -> TunerError:
    return TunerError(
        f"the model asks for code outside its folder ({reference}), which is never run",
        code="model-outside",
        where=str(folder),
        fix="take the model from somewhere you trust",
    )
