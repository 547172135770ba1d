"""The command that sends a run's figures to a tracker: a finished run's, or a running one's as they come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from tui_tuner.cli import completing
from tui_tuner.cli.options import Debug, Json, Run, RunsDir, find
from tui_tuner.cli.output import Output, opened
from tui_tuner.errors import TunerError

if TYPE_CHECKING:
    from tui_tuner.config import Experiment
    from tui_tuner.config.tracking_section import TrackerName, TrackingSection
    from tui_tuner.runs import RunFolder


def track(
    run: Run,
    to: Annotated[
        str | None,
        typer.Option(
            "--to",
            metavar="TRACKER",
            help="trackio or wandb; else as the run has it.",
            autocompletion=completing.among("trackio", "wandb"),
            show_default=False,
        ),
    ] = None,
    project: Annotated[
        str | None, typer.Option("--project", help="The project there; else as the run has it.", show_default=False)
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="What to call the run there.", show_default=False)] = None,
    entity: Annotated[
        str | None, typer.Option("--entity", help="The user or team at Weights & Biases.", show_default=False)
    ] = None,
    space: Annotated[
        str | None, typer.Option("--space", help="The Space that Trackio sends to.", show_default=False)
    ] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Keep everything on this machine.")] = False,
    online: Annotated[
        bool, typer.Option("--online", help="Send over the network, also where the run kept it here.")
    ] = False,
    samples: Annotated[bool, typer.Option("--samples", help="Send texts, too: probes, answers, templates.")] = False,
    follow: Annotated[bool, typer.Option("--follow", help="Go on until the run ends.")] = False,
    runs_dir: RunsDir = None,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Sends a run's figures to Trackio or Weights & Biases: what was not sent yet, in the same run there."""
    from tui_tuner.config import load_experiment
    from tui_tuner.tracking.trackers import is_there, missing

    with opened(json=json, debug=debug) as output:
        folder = find(run, runs_dir)
        experiment = load_experiment(folder.config)
        given = {"project": project, "name": name, "entity": entity, "space": space}
        wanted: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
        if offline and online:
            raise TunerError("--offline and --online exclude each other", code="usage", fix="give one", usage=True)
        wanted |= {"offline": offline} if offline or online else {}
        wanted |= {"samples": True} if samples else {}
        section = _section(experiment.tracking.model_dump(), to, wanted)
        sent: list[dict[str, Any]] = []
        for each in section.to:
            if not is_there(each):
                raise missing(each)
            sent.append(_send(folder, experiment, section, each, output, follow=follow))
        if json:
            output.document({"run": str(folder.path), "sent": sent})
    return 0


def _send(
    folder: RunFolder,
    experiment: Experiment,
    section: TrackingSection,
    to: TrackerName,
    output: Output,
    *,
    follow: bool,
) -> dict[str, Any]:
    """Sends to one tracker what it has not, and tells of it.

    Raises:
        TunerError: the tracker does not take it, or a stop was asked for: what is there then is still sent.
    """
    from tui_tuner.cli.headless import stopping
    from tui_tuner.engine.output import printing_to
    from tui_tuner.tracking.__main__ import gone
    from tui_tuner.tracking.sending import Sender, alone, place_of, tracking_folder
    from tui_tuner.tracking.trackers import TITLES

    asked: list[str] = []

    def say(text: str, *, trouble: bool = False) -> None:
        output.note(f"warning: {text}" if trouble else text)

    with alone(folder, to):
        sender = Sender(folder, to, place_of(folder, experiment, section), say)
        over = gone(folder) if follow else lambda: True
        with stopping(asked.append), printing_to(tracking_folder(folder) / f"{to}.log"):
            sender.run(lambda: bool(asked) or over(), live=follow)
    where = sender.progress.where
    if not output.json:
        looked = f"; see {where}" if where else ""
        output.say(f"{sender.figures:,} figures sent to {TITLES[to]}, project {section.project}{looked}")
    if asked:
        raise TunerError(
            "stopped; what the run had written is sent", code="stopped", fix="the same command sends what comes"
        )
    return {"to": to, "project": section.project, "sent": sender.figures, "where": where or None}


def _section(given: dict[str, Any], to: str | None, wanted: dict[str, Any]) -> Any:
    """The run's section with what the command says instead.

    Raises:
        TunerError: wrong usage, such as a tracker that is not known.
    """
    from pydantic import ValidationError

    from tui_tuner.config.tracking_section import TRACKERS, TrackingSection

    if to is not None:
        given["to"] = [to]
    if not given["to"]:
        raise TunerError("the run names no tracker", code="usage", fix=f"say --to {' or '.join(TRACKERS)}", usage=True)
    try:
        return TrackingSection(**{**given, **wanted})
    except ValidationError as error:
        first = error.errors()[0]
        key = str(first["loc"][0]) if first["loc"] else "to"
        raise TunerError(
            f"--{key} cannot be so",
            code="usage",
            fix=f"--to takes {' or '.join(TRACKERS)}, the others one line of text",
            usage=True,
        ) from None
