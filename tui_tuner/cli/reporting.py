"""The command that hands on what was measured of a run: as Markdown, CSV or JSON, on stdout or into a file."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tui_tuner.cli.options import Debug, Json, Run, RunsDir, find, view_of
from tui_tuner.cli.output import Output, opened

if TYPE_CHECKING:
    from tui_tuner.runs import RunFolder


class Form(StrEnum):
    """What a report is written as."""

    md = "md"
    csv = "csv"
    json = "json"


def report(
    run: Run,
    form: Annotated[Form, typer.Option("--format", help="Markdown, a CSV with a line per row, or JSON.")] = Form.md,
    out: Annotated[Path | None, typer.Option("--out", help="Write it into this file.", show_default=False)] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Write over a file that is there.")] = False,
    first: Annotated[str, typer.Option("--first", help="The result that is compared with.")] = "before",
    second: Annotated[str, typer.Option("--second", help="The result that is judged.")] = "after",
    losses: Annotated[
        int | None,
        typer.Option("--losses", min=0, help="Add the losses of this row's tokens, base against adapter."),
    ] = None,
    runs_dir: RunsDir = None,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Hands on all that was measured of a run: verdict, results, tests, checkpoints, and every row."""
    from tui_tuner.evaluation.export import rendered, report_document, write_export

    with opened(json=json, debug=debug) as output:
        folder = find(run, runs_dir)
        document = report_document(folder, view_of(folder), (first, second))
        if losses is not None:
            document["losses"] = _losses(folder, losses)
        if out is not None:
            path = write_export(out, document, form.value, replace=replace)
            output.note(f"written to {path}")
            if json:
                output.document({**document, "path": str(path)})
        elif json:
            output.document(document)
        else:
            output.stream(rendered(document, form.value))
            if losses is not None and form is Form.md:
                _tell(document["losses"], output)
    return 0


def _losses(folder: RunFolder, index: int) -> dict[str, Any]:
    from tui_tuner.cli.headless import perform
    from tui_tuner.engine.requests import TokenLosses

    found = perform(TokenLosses(folder.path, index))
    return dict(found.as_json())


def _tell(losses: dict[str, Any], output: Output) -> None:
    """The losses of one row in lines."""
    output.say(f"\n## Losses of row {losses['index']}, in nats\n")
    output.say("    base      adapter   token")
    for token in losses["tokens"]:
        text = token["text"].replace("\n", "↵")
        output.say(f"    {token['base']:<9.3f} {token['adapter']:<9.3f} {text}")
