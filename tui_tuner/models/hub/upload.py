"""Puts files into a repository of the hub, in one commit: all of them or none.

What is sent is told first, and what would be replaced with it. Bytes are counted while they are read, which is also
where a stop is heard.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tui_tuner.errors import TunerError
from tui_tuner.models.hub.download import quiet
from tui_tuner.models.hub.failures import hub_failures

_LOOK = 0.1
_LATE = 5.0
"""Seconds that are waited for a commit which may have been made when a stop is asked."""


@dataclass(frozen=True)
class Outgoing:
    """A file to be sent: its path in the repository, and its content or where that lies."""

    path: str
    content: bytes | Path

    @property
    def bytes(self) -> int:
        return len(self.content) if isinstance(self.content, bytes) else self.content.stat().st_size


@dataclass(frozen=True)
class Place:
    """A repository as it is before an upload.

    Attributes:
        name: of the repository.
        exists: whether it is there already.
        private: whether only its owner sees it; of one that is made, what was asked for.
        files: paths that are in it.
    """

    name: str
    exists: bool
    private: bool
    files: tuple[str, ...] = ()


def look_at(name: str, private: bool) -> Place:
    """A repository that something shall be sent to.

    Raises:
        TunerError: the Hub cannot be asked; or it is there, public, and shall be private.
    """
    quiet()
    from huggingface_hub import HfApi, constants
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    with hub_failures(name, "upload"):
        try:
            info = HfApi(endpoint=constants.ENDPOINT).model_info(name, timeout=20)
        except RepositoryNotFoundError as error:
            if isinstance(error, GatedRepoError):
                raise
            return Place(name, False, private)
    if private and not info.private:
        raise TunerError(
            "the repository is there already, and it is public",
            code="repo-public",
            where=name,
            fix="name another one, or make it private on its page first",
        )
    return Place(name, True, bool(info.private), tuple(str(one.rfilename) for one in info.siblings or []))


def send(
    place: Place,
    files: list[Outgoing],
    message: str,
    *,
    tell: Callable[[str, int, int], None] = lambda what, done, total: None,
    check: Callable[[], None] = lambda: None,
) -> str:
    """Makes the repository if it is not there, and commits the files; returns the address of the commit.

    Args:
        tell: called a few times a second with what is done, and bytes done and in all.
        check: called as often; what it raises ends the upload, and the repository stays as it was.

    Raises:
        TunerError: the Hub refuses it, or cannot be reached.
    """
    quiet()
    meter = _Meter(sum(file.bytes for file in files))
    found: list[str] = []
    failed: list[Exception] = []

    def work() -> None:
        try:
            found.append(_commit(place, files, message, meter))
        except Exception as error:
            failed.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        while thread.is_alive():
            tell(meter.what, meter.done, meter.total)
            check()
            thread.join(_LOOK)
    except BaseException:
        meter.halted.set()
        thread.join(_LATE if meter.done >= meter.total else 0.5)
        if found:  # asked too late: it is there
            return found[0]
        raise
    with hub_failures(place.name, "upload"):
        if failed:
            raise failed[0]
    tell(meter.what, meter.total, meter.total)
    return found[0]


class _Meter:
    """Bytes that were read, by several threads."""

    def __init__(self, total: int) -> None:
        self.what, self.done, self.total = "hashed", 0, total
        self.halted = threading.Event()
        self._lock = threading.Lock()

    def add(self, count: int) -> None:
        with self._lock:
            self.done = min(self.done + count, self.total)


class _Halted(Exception):  # noqa: N818 (a wish)
    """The upload ends."""


class _Counted(io.BufferedReader):
    """A file that counts what is read of it."""

    def __init__(self, path: Path, meter: _Meter) -> None:
        super().__init__(io.FileIO(path))
        self._meter = meter

    def read(self, size: int | None = -1, /) -> bytes:
        if self._meter.halted.is_set():
            raise _Halted
        piece = super().read(size)
        self._meter.add(len(piece))
        return piece


def _commit(place: Place, files: list[Outgoing], message: str, meter: _Meter) -> str:
    from huggingface_hub import CommitOperationAdd, HfApi, constants

    api = HfApi(endpoint=constants.ENDPOINT)
    opened: list[_Counted] = []
    try:
        operations: list[Any] = []
        for file in files:
            content: Any = file.content
            if isinstance(content, Path):
                content = _Counted(content, meter)
                opened.append(content)
            operations.append(CommitOperationAdd(path_in_repo=file.path, path_or_fileobj=content))
        if not place.exists:
            api.create_repo(place.name, private=place.private, repo_type="model", exist_ok=False)
        meter.what, meter.done = "sent", 0
        made = api.create_commit(place.name, operations, commit_message=message, repo_type="model")
        return str(made.commit_url)
    finally:
        for one in opened:
            one.close()
