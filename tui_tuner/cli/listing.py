"""The commands that list runs, note something of them, and put them aside; and the one that lists the keys."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tui_tuner import units
from tui_tuner.cli import completing
from tui_tuner.cli.options import Debug, Json, Run, RunsDir, find
from tui_tuner.cli.output import Output, opened
from tui_tuner.errors import TunerError

if TYPE_CHECKING:
    from tui_tuner.runs.catalogue import RunSummary


def runs(
    query: Annotated[
        list[str] | None,
        typer.Argument(
            help="What to look for, such as: state:finished lr>=1e-4 model:phi -tag:failed sort:best",
            show_default=False,
        ),
    ] = None,
    deleted: Annotated[bool, typer.Option("--deleted", help="List the runs that were deleted.")] = False,
    runs_dir: RunsDir = None,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Lists runs and their state, newest first; those that a query finds, in the order that it asks for."""
    from tui_tuner.paths import runs_dir as runs_place
    from tui_tuner.runs.catalogue import list_runs
    from tui_tuner.runs.query import parse_query

    with opened(json=json, debug=debug) as output:
        place = runs_place(runs_dir)
        if deleted:
            return _list_deleted(place, output, json)
        asked = parse_query(" ".join(query or []))
        there = list_runs(place)
        found = asked.find(there)
        if json:
            output.document([_document(summary) for summary in found])
            return 0
        if not there:
            output.say(f"no runs yet in {place}; `tui-tuner quickstart` makes the first")
        elif not found:
            output.say(f"none of {len(there)} runs is what was asked for")
        width = max((len(summary.run) for summary in found), default=0)
        for summary in found:
            output.say(_line(summary, width))
        hidden = sum(summary.labels.archived for summary in there) if not asked.archived else 0
        if hidden:
            output.say(f"{hidden} archived, not shown; `tui-tuner runs is:archived` lists them")
    return 0


def _document(summary: RunSummary) -> dict[str, Any]:
    keys = (
        "run",
        "name",
        "state",
        "step",
        "steps",
        "created",
        "model",
        "best",
        "verdict",
        "problem",
        "reason",
        "ranks",
    )
    labels = summary.labels
    return {
        **{key: getattr(summary, key) for key in keys},
        "duration": summary.duration,
        "sweep": summary.sweep,
        "tags": list(labels.tags),
        "note": labels.note,
        "pinned": labels.pinned,
        "archived": labels.archived,
    }


def _line(summary: RunSummary, width: int) -> str:
    from tui_tuner.runs.state import RunState

    best = "" if summary.best is None else f"  best validation loss {summary.best:.4f}"
    steps = f"{summary.step}/{summary.steps}"
    ranks = f"  {summary.ranks} ranks" if summary.ranks > 1 else ""
    pin = "  pinned" if summary.labels.pinned else ""
    tags = "".join(f"  #{tag}" for tag in summary.labels.tags)
    ended = summary.verdict if summary.state is RunState.FINISHED else summary.reason
    told = "; ".join(part for part in (ended, summary.problem) if part)
    return f"{summary.run.ljust(width)}  {summary.state:<11}  {steps:>11}{ranks}{best}{pin}{tags}  {told}".rstrip()


def _list_deleted(place: Path, output: Output, json: bool) -> int:
    from datetime import datetime

    from tui_tuner.runs.trash import deleted_runs

    found = deleted_runs(place)
    if json:
        output.document([{"run": each.run, "deleted": each.when, "bytes": each.size} for each in found])
        return 0
    for each in found:
        moment = datetime.fromtimestamp(each.when)
        output.say(f"{each.run}  deleted {moment:%Y-%m-%d %H:%M}  {units.size(each.size)}")
    if not found:
        output.say("no run was deleted")
    else:
        output.say("`tui-tuner restore RUN` brings one back; `tui-tuner delete --for-good` frees the space")
    return 0


def label(
    run: Run,
    tag: Annotated[list[str] | None, typer.Option("--tag", help="Adds a tag. Repeatable.")] = None,
    untag: Annotated[
        list[str] | None, typer.Option("--untag", help="Takes a tag away. Repeatable.", autocompletion=completing.tags)
    ] = None,
    note: Annotated[
        str | None, typer.Option("--note", help="A line about the run; an empty one takes it away.", show_default=False)
    ] = None,
    pin: Annotated[
        bool | None, typer.Option("--pin/--unpin", help="Keeps it before all others.", show_default=False)
    ] = None,
    archive: Annotated[
        bool | None, typer.Option("--archive/--unarchive", help="Leaves it out of lists.", show_default=False)
    ] = None,
    runs_dir: RunsDir = None,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Notes something of a run: tags, a line of text, pinned, archived; without options it tells what is noted."""
    from tui_tuner.runs.labels import change_labels, labels_of

    with opened(json=json, debug=debug) as output:
        folder = find(run, runs_dir)
        if (tag, untag, note, pin, archive) == (None, None, None, None, None):
            labels = labels_of(folder.path)
        else:
            labels = change_labels(folder, add=tag or (), remove=untag or (), note=note, pinned=pin, archived=archive)
        document = {
            "run": folder.name,
            "tags": list(labels.tags),
            "note": labels.note,
            "pinned": labels.pinned,
            "archived": labels.archived,
        }
        if json:
            output.document(document)
            return 0
        told = [
            *(f"#{each}" for each in labels.tags),
            *(["pinned"] if labels.pinned else []),
            *(["archived"] if labels.archived else []),
            *([labels.note] if labels.note else []),
        ]
        output.say(f"{folder.name}: {' · '.join(told) or 'nothing is noted'}")
    return 0


def delete(
    runs: Annotated[
        list[str] | None, typer.Argument(help="Names of runs.", show_default=False, autocompletion=completing.runs)
    ] = None,
    for_good: Annotated[
        bool, typer.Option("--for-good", help="Deletes for good what was deleted before; asks first.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Does not ask.")] = False,
    runs_dir: RunsDir = None,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Puts runs aside, from where `restore` brings them back; with --for-good it frees the space of those."""
    from tui_tuner.paths import runs_dir as runs_place

    with opened(json=json, debug=debug) as output:
        place = runs_place(runs_dir)
        if for_good == bool(runs):
            raise TunerError(
                "name the runs to delete, or give --for-good to free the space of those that were deleted",
                code="usage",
                usage=True,
            )
        if for_good:
            return _free(place, yes, output, json)
        folders = [find(run, runs_dir) for run in runs or []]  # all of them first: a wrong name deletes nothing
        from tui_tuner.runs.trash import delete_run

        for folder in folders:
            delete_run(folder)
            if not json:
                output.say(f"deleted {folder.name}; `tui-tuner restore {folder.name}` brings it back")
        if json:
            output.document({"deleted": [folder.name for folder in folders]})
    return 0


def _free(place: Path, yes: bool, output: Output, json: bool) -> int:
    from tui_tuner.runs.trash import deleted_runs, empty_trash

    found = deleted_runs(place)
    if found and not yes:
        _agreed(f"delete {len(found)} runs for good, {units.size(sum(each.size for each in found))}")
    freed = empty_trash(place)
    if json:
        output.document({"runs": [each.run for each in found], "bytes": freed})
    else:
        output.say(f"{len(found)} runs are gone, {units.size(freed)} are free")
    return 0


def _agreed(what: str) -> None:
    """Asks on the terminal.

    Raises:
        TunerError: `not-confirmed` when somebody says no, or nobody can be asked.
    """
    from tui_tuner.cli.output import has_terminal

    if not has_terminal():
        raise TunerError(
            "nothing was deleted: there is no terminal to ask on", code="not-confirmed", fix="add --yes", usage=True
        )
    if not typer.confirm(f"{what[:1].upper()}{what[1:]}?"):
        raise TunerError("nothing was deleted", code="not-confirmed", fix="say yes when asked, or add --yes")


def restore(
    run: Annotated[str, typer.Argument(help="Name of a deleted run.", autocompletion=completing.deleted)],
    runs_dir: RunsDir = None,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Brings a deleted run back as it was."""
    from tui_tuner.paths import runs_dir as runs_place
    from tui_tuner.runs.trash import restore_run

    with opened(json=json, debug=debug) as output:
        folder = restore_run(run, runs_place(runs_dir))
        if json:
            output.document({"run": folder.name, "path": str(folder.path)})
        else:
            output.say(f"{folder.name} is back")
    return 0


def keys(json: Json = False, debug: Debug = False) -> int:
    """Lists every action of the workbench with its id and its keys, for the table [keys] of settings.toml."""
    from tui_tuner.settings import load_settings
    from tui_tuner.ui.actions import ACTIONS
    from tui_tuner.ui.actions.keymap import remap

    with opened(json=json, debug=debug) as output:
        _, said = remap(ACTIONS, load_settings().keys)
        for sentence in said:
            output.note(sentence)
        if json:
            output.document([{"id": each.id, "keys": each.in_force.split(","), "help": each.help} for each in ACTIONS])
            return 0
        width = max(len(action.id) for action in ACTIONS)
        for action in ACTIONS:
            output.say(f"{action.id:<{width}}  {action.all_keys_text:<14}  {action.help}")
    return 0
