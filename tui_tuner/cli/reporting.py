"""The command that hands on what was measured of a run, or of several: as Markdown, a page, CSV or JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tui_tuner.cli import completing
from tui_tuner.cli.options import Debug, Json, Replace, RunsDir, find, view_of
from tui_tuner.cli.output import Output, opened
from tui_tuner.errors import TunerError

if TYPE_CHECKING:
    from tui_tuner.runs import RunFolder


class Form(StrEnum):
    """What a report is written as."""

    md = "md"
    html = "html"
    csv = "csv"
    json = "json"


Runs = Annotated[
    list[str],
    typer.Argument(
        metavar="RUN …",
        help="Names, unique beginnings, or paths of runs; `last` for the newest. Several are compared.",
        autocompletion=completing.runs,
    ),
]


def report(
    runs: Runs,
    form: Annotated[
        Form, typer.Option("--format", help="Markdown, a page with charts, a CSV with a line per row, or JSON.")
    ] = Form.md,
    out: Annotated[
        Path | None, typer.Option("--out", "--to", help="Write it into this file.", show_default=False)
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option("--html", help="Write it into this file as one page with charts.", show_default=False),
    ] = None,
    replace: Replace = False,
    first: Annotated[
        str, typer.Option("--first", help="The result that is compared with.", autocompletion=completing.labels)
    ] = "before",
    second: Annotated[
        str, typer.Option("--second", help="The result that is judged.", autocompletion=completing.labels)
    ] = "after",
    losses: Annotated[
        int | None,
        typer.Option(
            "--losses",
            min=0,
            help="Add the losses of this row's tokens, base against adapter; its number, from 0. It loads the model.",
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option("--seed", min=0, help="Seed of the resampling, where runs are compared; a whole number.")
    ] = 0,
    runs_dir: RunsDir = None,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Hands on all that was measured of a run, or of several side by side: verdicts, figures, curves, and every row."""
    with opened(json=json, debug=debug) as output:
        folders = [find(run, runs_dir) for run in runs]
        if len(folders) > 1:
            _only_of_one(first, second, losses)
            document = _together(folders, seed)
        else:
            document = _of_one(folders[0], (first, second), losses)
        _hand_on(document, {path: kind for path, kind in ((out, form.value), (html, "html")) if path}, replace, output)
        if out is None and html is None and not json:
            output.stream(rendered_as(document, form))
            if losses is not None and form is Form.md:
                _tell(document["losses"], output)
    return 0


def rendered_as(document: dict[str, Any], form: Form) -> str:
    """The document as text."""
    from tui_tuner.evaluation.export import rendered

    return rendered(document, form.value)


def _of_one(folder: RunFolder, sides: tuple[str, str], losses: int | None) -> dict[str, Any]:
    from tui_tuner.evaluation.export import report_document

    document = report_document(folder, view_of(folder), sides)
    if losses is not None:
        document["losses"] = _losses(folder, losses)
    return document


def _together(folders: Sequence[RunFolder], seed: int) -> dict[str, Any]:
    from tui_tuner.evaluation.together import bring_together, read_members, together_document

    members = read_members(folders)
    if len(members) < 2:
        raise TunerError("a comparison needs two runs", code="one-run", fix="name another one", usage=True)
    return together_document(bring_together(members, seed=seed))


def _only_of_one(first: str, second: str, losses: int | None) -> None:
    """Options that mean a single run's results say nothing of several."""
    given = {"--first": first != "before", "--second": second != "after", "--losses": losses is not None}
    wrong = [name for name, is_given in given.items() if is_given]
    if wrong:
        raise TunerError(
            f"{' and '.join(wrong)} {'is' if len(wrong) == 1 else 'are'} for the report of one run",
            code="usage",
            fix="leave it out, or name one run",
            usage=True,
        )


def _hand_on(document: dict[str, Any], files: Mapping[Path, str], replace: bool, output: Output) -> None:
    """Writes the files that were asked for, and tells where they are."""
    from tui_tuner.evaluation.export import write_export

    written = []
    for path, kind in files.items():
        written.append(write_export(path, document, kind, replace=replace))  # type: ignore[arg-type]
        output.note(f"written to {written[-1]}")
    if output.json:
        output.document({**document, "path": str(written[0])} if written else document)


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
