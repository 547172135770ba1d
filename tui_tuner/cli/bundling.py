"""The commands that hand a run on in one file, and run such a file again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tui_tuner.cli.options import Debug, Json, Name, Replace, Run, RunsDir, Set, find
from tui_tuner.cli.output import Output, opened
from tui_tuner.errors import TunerError

if TYPE_CHECKING:
    from tui_tuner.config import Experiment
    from tui_tuner.engine.replays import Bundle
    from tui_tuner.runs.folder import RunFolder

_LARGE = 32 << 20
"""Bytes from which on the making of a bundle is told."""


def bundle(
    run: Run,
    to: Annotated[
        Path | None, typer.Option("--to", help="The file to write; else RUN.tar.gz here.", show_default=False)
    ] = None,
    with_data: Annotated[
        bool, typer.Option("--with-data", help="Put the prepared rows and the answers to them in.")
    ] = False,
    without_adapter: Annotated[bool, typer.Option("--without-adapter", help="Leave the trained weights out.")] = False,
    replace: Replace = False,
    runs_dir: RunsDir = None,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Puts a run into one file that somebody else can replay: configuration, versions, events, report, adapter."""
    from tui_tuner.engine.bundles import make_bundle

    with opened(json=json, debug=debug) as output:
        folder = find(run, runs_dir)
        path = to if to is not None else Path(f"{folder.name}.tar.gz")
        document = make_bundle(
            folder, path, with_data=with_data, adapter=not without_adapter, replace=replace, tell=_bytes_told(output)
        )
        for note in document["notes"]:
            output.note(f"note: {note}")
        if json:
            output.document(document)
        else:
            output.say(f"{document['path']}: {document['size']:,} bytes, {', '.join(document['files'])}")
    return 0


def _bytes_told(output: Output) -> Callable[[int, int], None]:
    """Tells of every tenth of a large file."""
    from tui_tuner.engine.work import Work

    work, told = Work(), 0

    def tell(done: int, total: int) -> None:
        nonlocal told
        work.moved("bundle", done, total)
        part = done * 10 // max(total, 1)
        if total >= _LARGE and told < part < 10:
            told = part
            output.note(work.told())

    return tell


def replay(
    file: Annotated[Path, typer.Argument(metavar="BUNDLE", help="A file that `tui-tuner bundle` wrote.")],
    data: Annotated[
        str | None, typer.Option("--data", help="The data, where the bundle has none.", show_default=False)
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", help="The model, where it goes by another name here.", show_default=False)
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Only say what differs; nothing is run or kept.")] = False,
    overrides: Set = None,
    name: Name = None,
    runs_dir: RunsDir = None,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Runs a bundle again: says what differs from then, trains, and says whether the losses are the same."""
    from tui_tuner.engine.replays import differences, experiment_of, put_away, take_out
    from tui_tuner.paths import runs_dir as runs_place

    with opened(json=json, debug=debug) as output:
        place = runs_place(runs_dir)
        taken = take_out(file, place)
        try:
            experiment = experiment_of(taken, model, data, overrides or ())
            found = differences(taken, experiment)
            _tell_differences(found, output)
            if check:
                if json:
                    output.document({"bundle": str(file), "of": taken.about.get("run"), "differences": found})
                return 0
            _must_be_there(found)
            document = _run(taken, experiment, place, name, output)
        finally:
            put_away(taken.folder)
        document = {"bundle": str(file), "of": taken.about.get("run"), "differences": found, **document}
        if json:
            output.document(document)
        else:
            _tell_losses(document["losses"], output)
    return 0 if document["status"] == "finished" else 1


def _run(taken: Bundle, experiment: Experiment, place: Path, name: str | None, output: Output) -> dict[str, Any]:
    from tui_tuner.cli.headless import run_folder
    from tui_tuner.engine.replays import judge_replay, set_up

    folder = set_up(taken, experiment, place, name)
    output.note(f"run {folder.name}")
    document = run_folder(folder, output)
    return {"run": str(folder.path), "status": document["status"], "losses": judge_replay(folder)}


def with_losses(folder: RunFolder, document: dict[str, Any], output: Output) -> dict[str, Any]:
    """The document of a run that was taken up again, with its losses compared where it replays another."""
    from tui_tuner.engine.replays import judge_replay

    losses = judge_replay(folder)
    if losses is None:
        return document
    if not output.json:
        _tell_losses(losses, output)
    return {**document, "losses": losses}


def _must_be_there(found: Sequence[Mapping[str, Any]]) -> None:
    """Raises TunerError where model or data are not there: it is known before a run is made."""
    for one in found:
        if one.get("why"):
            raise TunerError(
                f"the {one['what']} of the bundle cannot be used here: {one['why']}".rstrip("."),
                code="bundle-needs",
                fix=f"name it with --{one['what']}",
                usage=True,
            )


def _tell_differences(found: Sequence[Mapping[str, Any]], output: Output) -> None:
    if output.json:
        return
    if not found:
        output.say("nothing differs: versions, device, model and data are as they were")
    for one in found:
        now = one["now"] if one["now"] is not None else one.get("why", "not there")
        output.say(f"differs: {one['what']}: {_short(one['then'])} then, {_short(now)} now")


def _short(value: object) -> str:
    """A fingerprint by its beginning, anything else as it is."""
    text = "unknown" if value is None else str(value)
    return f"{text[:12]}…" if len(text) == 64 and " " not in text else text


def _tell_losses(losses: Mapping[str, Any], output: Output) -> None:
    """Says whether a replay gave the same losses, where they part, and what could not be compared."""
    for what in ("train", "validation"):
        one = losses[what]
        said = f"{one['equal']:,} of {one['compared']:,} {what} losses are the same to the last bit"
        if one["parts_at"] is not None:
            said += (
                f"; they part at step {one['parts_at']:,} ({one['then']:.6g} then, {one['now']:.6g} now), "
                f"by {one['largest']:.2g} nats per token at most"
            )
        for whose in ("then", "now"):
            if steps := one[f"steps_{whose}"]:
                where = f"step {steps[0]:,}" if steps[0] == steps[1] else f"steps {steps[0]:,} to {steps[1]:,}"
                said += f"; {one[f'only_{whose}']:,} cannot be compared, reported only {whose} ({where})"
        output.say(said)
    for wish in losses["steered"]:
        value = "" if wish["value"] is None else f" {wish['value']}"
        output.say(
            f"{wish['whose']}, {wish['what']}{value} was asked for at step {wish['step']:,}: "
            "from there on other losses are to be expected"
        )
    output.say(_sum_up(losses))


def _sum_up(losses: Mapping[str, Any]) -> str:
    if losses["same"]:
        return "the replay gave the same losses"
    if losses["agree"]:
        return "the replay gave the same losses at every step that both reported"
    if not losses["train"]["compared"]:
        return "nothing could be compared: no step's loss was reported by both"
    return "the replay did not give the same losses"
