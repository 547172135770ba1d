"""The commands that steer a run, whoever runs it, and that tell what it was advised."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tui_tuner.cli.options import Debug, Json, Run, RunsDir, find, view_of
from tui_tuner.cli.output import Output, opened
from tui_tuner.errors import TunerError

if TYPE_CHECKING:
    from tui_tuner.config import Experiment
    from tui_tuner.runs import RunFolder
    from tui_tuner.training.remedies import Said


class Wish(StrEnum):
    """What a run can be asked for, as the command line calls it."""

    LEARNING_RATE = "learning-rate"
    EVALUATE = "evaluate"
    CHECKPOINT = "checkpoint"
    FINISH_EPOCH = "finish-epoch"
    PROBE = "probe"
    PAUSE = "pause"
    PROCEED = "proceed"
    STOP = "stop"


_ASKED = {
    Wish.EVALUATE: "to measure the validation loss after the current step",
    Wish.CHECKPOINT: "to write a checkpoint after the current step",
    Wish.FINISH_EPOCH: "to end training after this epoch",
    Wish.PROBE: "to answer its probes after the current step",
    Wish.PAUSE: "to pause after the current step",
    Wish.PROCEED: "to go on",
    Wish.STOP: "to stop and save",
}


def stop(run: Run, runs_dir: RunsDir = None, json: Json = False, debug: Debug = False) -> int:
    """Asks whoever runs a run to stop after the current step and save."""
    with opened(json=json, debug=debug) as output:
        _ask(find(run, runs_dir), Wish.STOP, None, output)
    return 0


def steer(
    run: Run,
    wish: Annotated[Wish, typer.Argument(help="What to ask for.")],
    value: Annotated[
        str | None,
        typer.Argument(
            help="For learning-rate: a rate such as 5e-6, or a factor such as x0.5 or /2. For probe: a new prompt.",
            show_default=False,
        ),
    ] = None,
    runs_dir: RunsDir = None,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Asks whoever runs a run for something after the current step."""
    with opened(json=json, debug=debug) as output:
        if wish is not Wish.PROBE and (value is None) == (wish is Wish.LEARNING_RATE):
            from tui_tuner.runs.rates import EXAMPLES

            message = "there is no learning rate to set" if value is None else f"{wish} takes no value"
            fix = EXAMPLES if value is None else f'leave out "{value}"'
            raise TunerError(message, code="usage", where=wish, fix=fix, usage=True)
        _ask(find(run, runs_dir), wish, value, output)
    return 0


def _ask(folder: RunFolder, wish: Wish, text: str | None, output: Output) -> None:
    from tui_tuner.runs.rates import RateWish
    from tui_tuner.runs.requests import ask, is_heard

    what = wish.value.replace("-", "_")
    rate = RateWish.parse(text) if text is not None and wish is Wish.LEARNING_RATE else None
    value = text if rate is None else rate.value
    if not is_heard(what, view_of(folder)):
        raise TunerError(
            "training is over, so nobody would take this wish any more",
            code="training-over",
            where=folder.name,
            fix="`tui-tuner stop` still ends the run",
        )
    ask(folder, what, value)
    if output.json:
        document: dict[str, Any] = {"run": str(folder.path), "asked": what}
        output.document(document if value is None else {**document, "value": value})
        return
    asked = _ASKED.get(wish, "")
    if wish is Wish.PROBE and text is not None:
        asked = "to answer one more probe after the current step, and from then on"
    if rate is not None:
        asked = (
            f"to multiply its learning rate by {rate.amount:g}"
            if rate.relative
            else f"to set its learning rate to {text}"
        )
    output.say(f"{folder.name} was asked {asked}")


def advice(run: Run, runs_dir: RunsDir = None, json: Json = False, debug: Debug = False) -> int:
    """Lists what a run was advised, with the settings that would help another run and the command that starts it."""
    from tui_tuner.training.remedies import combined, said

    with opened(json=json, debug=debug) as output:
        folder = find(run, runs_dir)
        found = said(view_of(folder))
        experiment, problem = _experiment(folder, wanted=any(one.change for one in found))
        documents = [_document(one, folder, experiment, problem) for one in found]
        remedy = combined(found)
        together = _command(remedy.change, folder, experiment)[0] if len(remedy.followed) > 1 else None
        if json:
            output.document({"run": str(folder.path), "advice": documents, "together": together})
            return 0
        if not found:
            output.say(f"{folder.name}: no advice, nothing looked wrong so far")
        for document in documents:
            _tell(document, output)
        if together:
            codes = [one.code for one in remedy.followed]
            output.say(f"{', '.join(codes[:-1])} and {codes[-1]} together:\n  {together}")
    return 0


def _experiment(folder: RunFolder, *, wanted: bool) -> tuple[Experiment | None, str]:
    """The run's configuration, or None and why it cannot be had; the advice is told in any case."""
    from tui_tuner.config import load_experiment

    if not wanted:
        return None, ""
    try:
        return load_experiment(folder.config), ""
    except TunerError as error:
        return None, error.sentence()


def _command(change: dict[str, Any], folder: RunFolder, experiment: Experiment | None) -> tuple[str | None, str]:
    """The command that starts a run with a change, or None and what is wrong with it."""
    from tui_tuner.training.remedies import command, follow, next_name

    if experiment is None or not change:
        return None, ""
    name = next_name(experiment.run.name, folder.path.parent)
    try:
        follow(experiment, change, name)
    except TunerError as error:
        return None, error.sentence()
    return command(folder.config, change, name), ""


def _document(one: Said, folder: RunFolder, experiment: Experiment | None, problem: str) -> dict[str, Any]:
    from tui_tuner.config.difference import of_change

    found, wrong = _command(one.change, folder, experiment)
    return {
        "code": one.code,
        "severity": one.severity,
        "text": one.text,
        "step": one.step,
        "change": one.change or None,
        "differences": [vars(each) for each in of_change(one.change, experiment)],
        "command": found,
        "problem": wrong or (problem if one.change else ""),
    }


def _tell(document: dict[str, Any], output: Output) -> None:
    where = "" if document["step"] is None else f", said at step {document['step']:,}"
    output.say(f"{document['severity']}: {document['code']}{where}")
    output.say(f"  {document['text']}")
    width = max((len(each["key"]) for each in document["differences"]), default=0)
    for each in document["differences"]:
        old = "" if each["old"] is None else f"{each['old']} → "
        output.say(f"    {each['key'].ljust(width)}  {old}{each['new']}")
    if document["command"]:
        output.say(f"  {document['command']}")
    else:
        output.say(f"  {document['problem'] or 'nothing to change in the configuration'}")
    output.say()
