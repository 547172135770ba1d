"""`serve`: the workbench in a browser. What it serves, and what it promises whom, is in `tui_tuner.browser`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tui_tuner.cli import completing
from tui_tuner.cli.options import Debug, Json, RunsDir, Set
from tui_tuner.cli.output import Output, opened
from tui_tuner.errors import TunerError

if TYPE_CHECKING:
    from tui_tuner.browser.place import Place


def serve(
    host: Annotated[
        str, typer.Option("--host", help="Address or name of this machine to listen on; 0.0.0.0 for all of them.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", "-p", min=0, max=65535, help="Port to listen on; 0 for any that is free.")
    ] = 8000,
    token: Annotated[
        str | None,
        typer.Option(
            "--token",
            envvar="TUI_TUNER_TOKEN",
            help="A token of your own, of 16 characters or more, instead of one that is made.",
            show_default=False,
        ),
    ] = None,
    no_token: Annotated[
        bool, typer.Option("--no-token", help="Ask for no token; only where nobody else uses this machine.")
    ] = False,
    open_browser: Annotated[
        bool, typer.Option("--open-browser/--no-open-browser", help="Open the address in a browser here.")
    ] = False,
    preset: Annotated[
        str | None,
        typer.Option(
            "--preset",
            help="Open with this preset loaded (name or path).",
            show_default=False,
            autocompletion=completing.presets,
        ),
    ] = None,
    overrides: Set = None,
    start: Annotated[bool, typer.Option("--start", help="Begin the preset's run in the first window.")] = False,
    runs_dir: RunsDir = None,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Opens the workbench in a browser, on this machine or on one that you reach by a tunnel."""
    for option, given in (("--start", start), ("--set", overrides)):
        if given and preset is None:
            raise TunerError(f"{option} needs a preset", code="usage", fix="name one with --preset", usage=True)
    if preset is not None:
        from tui_tuner.config import load_preset

        load_preset(preset, overrides or ())  # so that a mistake is said here and not in a browser
    others = _command(preset, overrides or [], runs_dir)
    with opened(json=json, debug=debug) as output:
        place, secret = _admitted(host, port, token, no_token)
        return _serve(place, secret, [*others, *(["--start"] if start else [])], others, open_browser, output)


def _command(preset: str | None, overrides: list[str], runs_dir: Path | None) -> list[str]:
    """What a window starts: this very program, without a shell and without modules of the folder one stands in."""
    command = [sys.executable, "-P", "-m", "tui_tuner"]
    if preset is not None:
        command.append(f"--preset={preset}")
    command += [f"--set={override}" for override in overrides]
    if runs_dir is not None:
        command.append(f"--runs-dir={runs_dir.absolute()}")
    return command


def _admitted(host: str, port: int, token: str | None, no_token: bool) -> tuple[Place, str | None]:
    """The place to listen on, and the token to ask for; None only on loopback, where it was said so."""
    from tui_tuner.browser.guard import checked_token, is_loopback, new_token
    from tui_tuner.browser.place import resolved, taken

    if no_token and token:
        raise TunerError(
            "--token and --no-token say the opposite", code="usage", fix="leave one of them out", usage=True
        )
    if no_token and not is_loopback(resolved(host, port)[1]):
        raise TunerError(
            "whoever reaches this address could do all that you can",
            code="token-needed",
            where=f"--host {host}",
            fix="leave out --no-token",
            usage=True,
        )
    secret = None if no_token else checked_token(token) if token else new_token()
    return taken(host, port), secret


def _serve(
    place: Place, secret: str | None, first: list[str], others: list[str], open_browser: bool, output: Output
) -> int:
    import asyncio

    from tui_tuner.browser.guard import Guard

    try:
        from tui_tuner.browser.server import BrowserServer
    except ImportError as error:
        raise TunerError(
            f"the library {error.name or 'textual-serve'} is not installed",
            code="no-textual-serve",
            fix="pip install 'textual-serve>=1.1.3,<1.2'",
        ) from error
    guard = Guard(secret, place.port, place.names)
    address = f"{place.url}/" if secret is None else f"{place.url}/?token={secret}"

    async def serving() -> None:
        server = BrowserServer(place, guard, first, others, output.note)
        await server.begin()
        _tell(place, address, output)
        if open_browser:
            await asyncio.to_thread(_open, f"{place.url}/?token={guard.ticket()}", output)
        if not await server.until_told():
            # An event loop that ends kills the processes that it started. These still save, and end by themselves.
            output.note("some windows have not ended yet; they save their runs and end by themselves")
            os._exit(1)
        output.note("the server has ended")

    asyncio.run(serving())
    return 0


def _tell(place: Place, address: str, output: Output) -> None:
    """Says where it is, the token in the address and nowhere else."""
    if output.json:
        output.document({"address": address, "host": place.address, "port": place.port, "loopback": place.loopback})
        return
    output.say(address)
    output.note("open this address in a browser; ctrl+c ends the server")
    if not place.loopback:
        output.note("what goes over the network is not encrypted: an ssh tunnel is safer, see docs/serve.md")


def _open(address: str, output: Output) -> None:
    import webbrowser

    if not webbrowser.open(address):
        output.note("no browser could be opened here; open the address yourself")
