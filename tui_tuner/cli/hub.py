"""The commands about the Hub: to download a model. They tell first what will happen, and then how far it is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from tui_tuner.cli.options import Debug, Json
from tui_tuner.cli.output import Output, opened
from tui_tuner.engine.work import Work
from tui_tuner.errors import TunerError

_EVERY = 10.0
"""Seconds after which a job that goes on is told of again."""


def download(
    model: Annotated[str, typer.Argument(help="A repository on the Hub, as owner/name or owner/name@version.")],
    plan: Annotated[bool, typer.Option("--plan", help="Only tell what would be downloaded.")] = False,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Downloads a model into the Hub's cache, and goes on where an earlier attempt was cut off."""
    from tui_tuner.cli.modeloptions import done
    from tui_tuner.engine.hub_requests import DownloadModel

    with opened(json=json, debug=debug) as output:
        name, revision = named(model)
        request = DownloadModel(name, revision, plan)
        found = done(request, output, "stopped; what has come is kept, and the same command goes on from there")
        if json:
            output.document(found)
        elif plan:
            told = f"of which {found['missing_files']} with {_size(found['missing_bytes'])} are to be fetched"
            output.say(f"{name}: {found['files']} files, {told}")
        else:
            output.say(f"model {found['path']}")
    return 0


def named(text: str) -> tuple[str, str]:
    """Repository and version of `owner/name@version`.

    Raises:
        TunerError: it has not that form.
    """
    from tui_tuner.paths import is_repository_name

    name, _, revision = text.strip().partition("@")
    if not is_repository_name(name) or name.startswith((".", "/", "~")):
        raise TunerError(
            f'"{text}" is no repository', code="usage", fix="write it as owner/name or owner/name@version", usage=True
        )
    return name, revision


def telling(work: Work, output: Output, clock: Callable[[], float] = time.monotonic) -> Callable[[], None]:
    """A function that tells on stderr what a job has left to say, and how far it is: every tenth, and now and then."""
    said: list[tuple[str, int]] = []
    last = [clock()]

    def look() -> None:
        while work.notes:
            output.note(f"  {work.notes.pop(0)}")
        tenth = 10 * work.done // work.total if work.total else 0
        slow = work.bytes and clock() - last[0] >= _EVERY
        if work.what and (not said or said[-1] != (work.what, tenth) or slow):
            said.append((work.what, tenth))
            last[0] = clock()
            output.note(f"  {work.what}: {work.told()}")

    return look


@contextmanager
def fetching(output: Output) -> Iterator[None]:
    """While open, a model that has to be downloaded is told of on stderr."""
    from tui_tuner.engine.fetching import watch_of
    from tui_tuner.models.hub import Watch, watching

    work = Work()
    look = telling(work, output)
    inner = watch_of(work, lambda: None)

    def tell(done: int, total: int) -> None:
        inner.tell(done, total)
        look()

    with watching(Watch(inner.begin, tell, inner.check)):
        yield


def _size(amount: int) -> str:
    from tui_tuner.models.hub.watch import size

    return size(amount)
