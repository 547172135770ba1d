"""What the commands about models share: options, and a job whose progress is told."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from tui_tuner.cli import completing
from tui_tuner.cli.output import Output

Model = Annotated[
    str, typer.Argument(help="Model folder, hub name, or embedded:phi3-tiny.", autocompletion=completing.models)
]
To = Annotated[Path | None, typer.Option("--to", help="The folder to be made; without it nothing is written.")]
Data = Annotated[str, typer.Option("--data", help="Source of the rows to measure on, best your own.")]
Rows = Annotated[int, typer.Option("--rows", min=0, help="Rows to measure on, at most.")]
Force = Annotated[bool, typer.Option("--force", help="Replace a model that is there.")]


def done(
    request: Any,
    output: Output,
    stopped: str = "stopped; nothing was written",
    fix: str = "the same command begins it anew",
) -> dict[str, Any]:
    """The result of a request, its progress told on the way.

    Args:
        stopped, fix: what is said when it was stopped, and what to do then.

    Raises:
        TunerError: it failed, or was stopped.
    """
    from tui_tuner.cli.headless import completed
    from tui_tuner.cli.hub import telling

    return completed(request, telling(request.progress, output), stopped, fix)
