"""The arguments and options that commands share, so that they are called and explained alike."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tui_tuner.cli import completing
from tui_tuner.runs.folder import RunFolder

if TYPE_CHECKING:
    from tui_tuner.runs.view import RunView

RunsDir = Annotated[
    Path | None,
    typer.Option(
        "--runs-dir", help="The folder that runs live in; else TUI_TUNER_RUNS or the setting.", show_default=False
    ),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout; progress on stderr.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Override a key, as train.iters=50. Repeatable.",
        autocompletion=completing.overrides,
    ),
]
Name = Annotated[
    str | None, typer.Option("--name", help="What to call the run; else the preset's run.name.", show_default=False)
]
Force = Annotated[bool, typer.Option("--force", help="Write over a file that is there.")]
ForcePreset = Annotated[bool, typer.Option("--force", help="Write over a preset that is there.")]
Replace = Annotated[bool, typer.Option("--replace", help="Write over a file that is there.")]
Adapter = Annotated[
    Path | None, typer.Option("--adapter", help="Adapter folder for a model, such as runs/NAME/adapters.")
]
Adapted = Annotated[
    str,
    typer.Argument(help="A run, RUN:STEP, RUN:best; or a model, with --adapter.", autocompletion=completing.adapted),
]
Ranks = Annotated[
    int | None,
    typer.Option(
        "--ranks", "-n", min=1, help="Processes of this machine that train the run together.", show_default=False
    ),
]
Hosts = Annotated[
    Path | None,
    typer.Option("--hosts", help="A JSON file of machines that train the run together.", show_default=False),
]


def _allow(consents: list[str] | None) -> list[str] | None:
    if consents:
        from tui_tuner.models.trust import allow

        for consent in consents:
            allow(consent)
    return consents


Trust = Annotated[
    list[str] | None,
    typer.Option(
        "--trust-remote-code",
        metavar="NAME@HASH",
        callback=_allow,
        help="Run exactly this code of a model or metric, as the refusal spells it. Repeatable.",
        show_default=False,
    ),
]
_RUN = "Name, unique beginning, or path of a run; `last` for the newest."
Run = Annotated[str, typer.Argument(help=_RUN, autocompletion=completing.runs)]
RunIfAny = Annotated[str | None, typer.Argument(help=_RUN, show_default=False, autocompletion=completing.runs)]


def find(run: str, runs_dir: Path | None) -> RunFolder:
    """The run that an argument means.

    Raises:
        TunerError: as `runs.catalogue.find_run`.
    """
    from tui_tuner.paths import runs_dir as runs_place
    from tui_tuner.runs.catalogue import find_run

    return find_run(run, runs_place(runs_dir))


def view_of(folder: RunFolder) -> RunView:
    """What the events of a run tell so far.

    Raises:
        TunerError: when they cannot be read.
    """
    from tui_tuner.runs.events import read_events
    from tui_tuner.runs.view import RunView

    view = RunView()
    view.extend(read_events(folder.events))
    return view
