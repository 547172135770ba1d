"""Work that runs ahead of whoever uses its results, in a thread of its own.

For work that lets go of the interpreter most of the time, such as encoding. It must never run further ahead than it is
allowed to, outlive its reader, or lose an error.
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterable
from queue import Empty, Full, Queue
from typing import Any, TypeVar

_PATIENCE = 0.05
_END = object()

Item = TypeVar("Item")


class _Failure:
    def __init__(self, error: BaseException) -> None:
        self.error = error


def ahead(items: Iterable[Item], name: str, most: int = 3) -> Generator[Item]:
    """The same items in the same order, made by a thread that is `most` of them ahead.

    Args:
        items: is gone through by the thread, and closed by it where that can be.
        name: of the thread.

    Raises:
        BaseException: what making an item raises, in its place.
    """
    ready: Queue[Any] = Queue(most)
    stopped = threading.Event()

    def give(item: Any) -> bool:
        while not stopped.is_set():
            try:
                ready.put(item, timeout=_PATIENCE)
                return True
            except Full:
                continue
        return False

    def work() -> None:
        try:
            for item in items:
                if not give(item):
                    break
            else:
                give(_END)
        except BaseException as error:  # handed to whoever asked, in whose thread it can be dealt with
            give(_Failure(error))
        finally:
            if isinstance(items, Generator):
                items.close()

    thread = threading.Thread(target=work, name=name, daemon=True)
    thread.start()
    try:
        while True:
            try:
                found = ready.get(timeout=_PATIENCE)
            except Empty:
                continue
            if found is _END:
                return
            if isinstance(found, _Failure):
                raise found.error
            yield found
    finally:
        stopped.set()
        thread.join()
