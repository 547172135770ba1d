"""A run folder: one directory that holds all there is to know about a run.

It names the places; what stands in them is written by those whose matter it is. It must never leave half a folder
behind, and never touch a folder that is not a run's.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from ..errors import TunerError
from ..paths import safe_name
from .files import sync_folder, write_failure

QUEUE_FOLDER: Final = ".queue"
"""Beside the runs: what `runs.queue` keeps."""
QUEUE_FILE: Final = "queue.json"
_SUBFOLDERS: Final = ("data", "adapters", "state", "evaluation", "chats")
_MARKS: Final = ("events.jsonl", "meta.json", "config.toml")
_STAMP: Final = re.compile(r"-(\d{8}-\d{6})(?:-\d+)?$")


@dataclass(frozen=True)
class RunFolder:
    """One run's directory; `path` is absolute. The properties say where things stand, not that they are there."""

    path: Path

    @classmethod
    def create(cls, runs_dir: Path, name: str, now: datetime | None = None) -> RunFolder:
        """Make a new run folder, whole or not at all.

        Args:
            runs_dir: where runs live; made when it is not there.
            name: what to call the run; made safe for a folder name.
            now: the moment in the folder's name; the local time when not given.

        Returns:
            The folder `<safe name>-yyyymmdd-hhmmss`, with `-2`, `-3`, … when that is taken, holding an empty event log
            and the empty subfolders.

        Raises:
            TunerError: `no-space`, `not-writable` or `write-failed`, naming the folder of runs.
        """
        stem = f"{safe_name(name)}-{(now or datetime.now()):%Y%m%d-%H%M%S}"
        parent = _absolute(Path(runs_dir))
        building = parent / f".new-{secrets.token_hex(6)}"
        try:
            parent.mkdir(parents=True, exist_ok=True)
            building.mkdir()
            for subfolder in _SUBFOLDERS:
                (building / subfolder).mkdir()
            (building / "events.jsonl").touch()
            final = _move_to_free_name(building, parent, stem)
            sync_folder(parent)
        except OSError as error:
            shutil.rmtree(building, ignore_errors=True)
            raise write_failure(error, parent) from error
        return cls(final)

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """The run folder at `path`.

        Raises:
            TunerError: `not-found` when nothing is there, `not-a-run` when it is something else than a run folder.
        """
        try:
            absolute = _absolute(Path(path))
            if not absolute.exists():
                raise TunerError(
                    "there is no such run", code="not-found", where=str(path), fix="list the runs with `tui-tuner runs`"
                )
            if not absolute.is_dir() or not any((absolute / mark).exists() for mark in _MARKS):
                raise TunerError(
                    "is no run folder (it holds none of " + ", ".join(_MARKS) + ")",
                    code="not-a-run",
                    where=str(path),
                    fix="name a folder that `tui-tuner runs` lists",
                )
        except (OSError, ValueError, RuntimeError) as error:  # a name too long, a NUL, ~ of nobody
            raise TunerError(f"cannot be opened ({error})", code="not-readable", where=str(path)) from error
        return cls(absolute)

    @property
    def name(self) -> str:
        """The folder's own name, which is the run's identifier."""
        return self.path.name

    @property
    def config(self) -> Path:
        """The resolved experiment, every default written out."""
        return self.path / "config.toml"

    @property
    def meta(self) -> Path:
        """Versions, platform, fingerprints, and the command that repeats the run."""
        return self.path / "meta.json"

    @property
    def events(self) -> Path:
        """The event log."""
        return self.path / "events.jsonl"

    @property
    def data(self) -> Path:
        """The prepared rows, as stock mlx-lm reads them."""
        return self.path / "data"

    @property
    def adapters(self) -> Path:
        """A stock mlx-lm adapter folder."""
        return self.path / "adapters"

    @property
    def state(self) -> Path:
        """What an exact resume needs."""
        return self.path / "state"

    @property
    def evaluation(self) -> Path:
        """Answers and scores row by row, and their summary."""
        return self.path / "evaluation"

    @property
    def chats(self) -> Path:
        """Transcripts of conversations."""
        return self.path / "chats"

    @property
    def report(self) -> Path:
        """The report for people."""
        return self.path / "report.md"

    @property
    def log(self) -> Path:
        """All that libraries print."""
        return self.path / "engine.log"

    @property
    def lock(self) -> Path:
        """Who writes the run at present."""
        return self.path / "lock"


def stamp_of(name: str) -> datetime | None:
    """The local moment in a run folder's name, or None when the name has none."""
    match = _STAMP.search(name)
    if match is None:
        return None
    try:
        return datetime.strptime(match.group(1), "%Y%m%d-%H%M%S")
    except ValueError:
        return None


def stem_of(name: str) -> str:
    """A run folder's name without its moment: what the run was called."""
    return _STAMP.sub("", name) or name


def _absolute(path: Path) -> Path:
    """The path from the root. Links stay as the person wrote them, unless `..` has to be resolved through them."""
    path = path.expanduser()
    return path.resolve() if ".." in path.parts else path.absolute()


def free_name(parent: Path, stem: str) -> Path:
    """The first of `stem`, `stem-2`, `stem-3`, … that nothing in a folder is called by."""
    number = 1
    while os.path.lexists(place := _numbered(parent, stem, number)):
        number += 1
    return place


def _numbered(parent: Path, stem: str, number: int) -> Path:
    return parent / (stem if number == 1 else f"{stem}-{number}")


def _move_to_free_name(building: Path, parent: Path, stem: str) -> Path:
    number = 1
    while True:
        final = _numbered(parent, stem, number)
        # A rename may replace an empty folder or a link, so what is there is looked at first; a folder that appears in
        # between is one of ours and never empty, and makes the rename fail.
        if not os.path.lexists(final):
            try:
                building.rename(final)
                return final
            except OSError as error:
                if error.errno not in {errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR}:
                    raise
        number += 1
