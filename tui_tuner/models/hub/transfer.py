"""Brings the files of a repository into the hub's cache, byte by byte.

The hub's library forgets what came of a file when its connection breaks; here a part stays beside the whole files, and
the next attempt asks for the rest only. A file gets its name when its hash is right, never before.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import queue
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tui_tuner.errors import TunerError
from tui_tuner.models.hub.cache import PARTIAL, storage
from tui_tuner.models.hub.failures import broken
from tui_tuner.models.hub.watch import Plan, RemoteFile, Watch
from tui_tuner.runs.files import sync_to_disk

_AT_ONCE = 4
_ATTEMPTS = 5
"""Attempts without a single new byte before a download is given up."""
_LOOK = 0.1
"""Seconds between looks at progress and stop."""
_PIECE = 1 << 20
_AGAIN = {408, 425, 429, 500, 502, 503, 504}
_first_wait = 1.0
"""Seconds before the second attempt; every further one waits twice as long."""


class _Halted(Exception):  # noqa: N818 (a wish)
    """The download ends; nobody is waiting for this file any more."""


class _Meter:
    """Bytes that are there, added up by several threads."""

    def __init__(self, done: int) -> None:
        self._lock = threading.Lock()
        self.done = done

    def add(self, count: int) -> None:
        with self._lock:
            self.done += count


def part_of(name: str, file: RemoteFile) -> Path:
    """Where a file lies while it has not come whole."""
    return storage(name) / "blobs" / f"{file.hash}{PARTIAL}"


def transfer(plan: Plan, watch: Watch) -> None:
    """Fetches what is missing of a model.

    Raises:
        TunerError: the connection broke for good, or what came is not what the repository says.
        Exception: of the hub's library, and OSError of the disk; and whatever `watch.check` raises.
    """
    (storage(plan.name) / "blobs").mkdir(parents=True, exist_ok=True)
    waiting: queue.SimpleQueue[RemoteFile] = queue.SimpleQueue()
    for file in sorted(plan.missing, key=lambda one: -one.bytes):
        waiting.put(file)
    total = sum(file.bytes for file in plan.missing)
    meter, halted, failures = _Meter(plan.here), threading.Event(), queue.SimpleQueue[BaseException]()

    def work() -> None:
        try:
            while not halted.is_set():
                _File(plan, waiting.get_nowait(), halted, meter.add).bring()
        except (queue.Empty, _Halted):
            pass
        except BaseException as error:
            failures.put(error)
            halted.set()

    # They may hang in a read when a stop is asked: nobody waits for them then, and they end at their time limit.
    threads = [threading.Thread(target=work, daemon=True) for _ in range(min(_AT_ONCE, len(plan.missing)))]
    for thread in threads:
        thread.start()
    try:
        while any(thread.is_alive() for thread in threads):
            watch.tell(meter.done, total)
            watch.check()
            next(thread for thread in threads if thread.is_alive() or thread is threads[-1]).join(_LOOK)
    finally:
        halted.set()
        for thread in threads:
            thread.join(_LOOK)
    if not failures.empty():
        raise failures.get()
    watch.tell(meter.done, total)


class _File:
    """One file on its way."""

    def __init__(self, plan: Plan, file: RemoteFile, halted: threading.Event, add: Callable[[int], None]) -> None:
        self._plan, self._file, self._halted, self._add = plan, file, halted, add
        self._part = part_of(plan.name, file)
        self._whole = self._part.with_name(file.hash)

    def bring(self) -> None:
        """Fetches what is missing of it, checks it and gives it its name."""
        with self._part.open("a+b", buffering=0) as handle:
            self._alone(handle)
            if self._whole.exists():  # another process was faster
                self._part.unlink(missing_ok=True)
                return
            for last in (False, True):
                if self._complete(handle):
                    break
                if last:
                    self._part.unlink(missing_ok=True)
                    raise TunerError(
                        f"{self._file.path} came damaged, twice",
                        code="download-damaged",
                        where=self._plan.name,
                        fix="try again later, or from another network",
                    )
            sync_to_disk(handle.fileno())
            self._part.rename(self._whole)

    def _alone(self, handle: Any) -> None:
        """Waits until no other process brings the same file."""
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if self._halted.wait(_LOOK):
                    raise _Halted from None

    def _complete(self, handle: Any) -> bool:
        """Whether the file is what it shall be once all has come; what is not is thrown away."""
        handle.seek(0)
        self._hash = self._new_hash()
        self._here = 0
        while piece := handle.read(_PIECE):
            self._hash.update(piece)
            self._here += len(piece)
            if self._halted.is_set():
                raise _Halted
        if self._here <= self._file.bytes:
            self._bring_rest(handle)
        if self._here == self._file.bytes and self._hash.hexdigest() == self._file.hash:
            return True
        handle.truncate(0)
        self._add(-self._here)
        return False

    def _new_hash(self) -> Any:
        """Nothing of it hashed yet: as the Hub does it for large files, as git does it for small ones."""
        if self._file.large:
            return hashlib.sha256()
        return hashlib.sha1(b"blob %d\0" % self._file.bytes, usedforsecurity=False)

    def _bring_rest(self, handle: Any) -> None:
        attempts, wait = 0, _first_wait
        while self._here < self._file.bytes:
            before = self._here
            try:
                self._stream(handle)
            except _Halted:
                raise
            except Exception as error:
                if not _passing(error):
                    raise
                if self._here > before:
                    attempts, wait = 0, _first_wait
                attempts += 1
                if attempts >= _ATTEMPTS:
                    if getattr(error, "response", None) is not None:
                        raise
                    raise broken(self._plan.name) from error
                if self._halted.wait(wait):
                    raise _Halted from None
                wait = min(2 * wait, 30.0)

    def _stream(self, handle: Any) -> None:
        """One request for the rest."""
        from huggingface_hub import constants
        from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status

        revision, path = quote(self._plan.commit, safe=""), quote(self._file.path)
        headers = {**build_hf_headers(), "Accept-Encoding": "identity"}
        if self._here:
            headers["Range"] = f"bytes={self._here}-"
        with get_session().stream(
            "GET",
            f"{constants.ENDPOINT}/{self._plan.name}/resolve/{revision}/{path}",
            headers=headers,
            follow_redirects=True,
            timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT,
        ) as response:
            if response.status_code >= 400:
                with contextlib.suppress(Exception):
                    response.read()
                hf_raise_for_status(response)
            if self._here and response.status_code != 206:  # the rest cannot be had alone
                self._add(-self._here)
                handle.truncate(0)
                self._here = 0
                self._hash = self._new_hash()
            for piece in response.iter_raw():
                if self._halted.is_set():
                    raise _Halted
                handle.write(piece)
                self._hash.update(piece)
                self._here += len(piece)
                self._add(len(piece))
        if self._here < self._file.bytes:
            raise CutShortError


class CutShortError(Exception):
    """The server ended a file before its end."""


def _passing(error: Exception) -> bool:
    """Whether what went wrong may go right at the next attempt."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(status, int):
        return status in _AGAIN
    from huggingface_hub.errors import OfflineModeIsEnabled

    return not isinstance(error, OSError | TunerError | OfflineModeIsEnabled)  # the disk's errors stay what they are
