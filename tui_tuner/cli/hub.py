"""The commands about the Hub, to download and to upload. They tell first what will happen, and then how far it is."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from tui_tuner import units
from tui_tuner.cli import completing
from tui_tuner.cli.options import Debug, Json, RunsDir
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
        found = done(request, output, "stopped; what has come is kept", "the same command goes on from there")
        if json:
            output.document(found)
        elif plan:
            missing = units.size(found["missing_bytes"], fine=True)
            told = f"of which {found['missing_files']} with {missing} are to be fetched"
            output.say(f"{name}: {found['files']} files, {told}")
        else:
            output.say(f"model {found['path']}")
    return 0


def upload(
    what: Annotated[
        str,
        typer.Argument(
            help="A run, RUN:STEP, a folder with a model or an adapter, or a GGUF file.",
            autocompletion=completing.adapted,
        ),
    ],
    repository: Annotated[str, typer.Option("--repo", help="The repository, as owner/name.")],
    private: Annotated[bool, typer.Option("--private", help="A new repository that only you see.")] = False,
    plan: Annotated[bool, typer.Option("--plan", help="Only tell what would be sent.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Send it without asking.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace files that are in the repository.")] = False,
    runs_dir: RunsDir = None,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Sends a model or an adapter to the Hub, with a card; shows first what that would be, and asks."""
    from tui_tuner.cli.modeloptions import done
    from tui_tuner.engine.hub_requests import UploadModel

    with opened(json=json, debug=debug) as output:
        request = UploadModel(what, repository, private, only_plan=True, force=force, runs_dir=runs_dir)
        found = done(request, output)
        tell = output.note if json else output.say
        for line in upload_lines(found):
            tell(line)
        if not plan:
            if not yes:
                _asked(output, found["replaces"], force)
                force = True  # what would be replaced was shown
            request = UploadModel(what, repository, private, force=force, runs_dir=runs_dir)
            found = done(request, output, "stopped; the repository is as it was")
        if json:
            output.document(found)
        elif not plan:
            output.say(f"uploaded {found['url']}")
    return 0


def upload_lines(found: dict[str, Any]) -> list[str]:
    """What an upload would do, for a person: where to, which files, and the card as it would be read."""
    seen = "private" if found["private"] else "public"
    told = f"the {seen} repository {found['repository']}"
    there = "which is there already" if found["exists"] else "which will be made"
    lines = [f"{len(found['files'])} files, {units.size(found['bytes'], fine=True)}, into {told}, {there}:"]
    for one in found["files"]:
        over = "  replaces the one there" if one["path"] in found["replaces"] else ""
        lines.append(f"  {units.size(one['bytes'], fine=True):>10}  {one['path']}{over}")
    return [*lines, "the card, README.md:", *(f"  | {line}" for line in found["card"].splitlines())]


def _asked(output: Output, replaces: list[str], force: bool) -> None:
    """Waits for a typed yes.

    Raises:
        TunerError: nobody is there to ask, or the answer is another one.
    """
    from tui_tuner.cli.output import has_terminal

    if not has_terminal():
        raise TunerError(
            "nothing was sent: there is no terminal to ask on", code="not-confirmed", fix="add --yes", usage=True
        )
    more = f" and replace {len(replaces)} files" if replaces else ""
    output.note(f"Type yes to send it{more}:")
    if sys.stdin.readline().strip().lower() != "yes":
        raise TunerError("nothing was sent", code="not-confirmed", fix="type yes when asked, or add --yes")


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
