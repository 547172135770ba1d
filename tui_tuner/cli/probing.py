"""The command that tells what a run's probes were answered, step by step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui_tuner.cli.options import Debug, Json, Run, RunsDir, find, view_of
from tui_tuner.cli.output import Output, opened
from tui_tuner.errors import TunerError

if TYPE_CHECKING:
    from tui_tuner.runs import RunFolder
    from tui_tuner.runs.probes import Timeline


def probes(run: Run, runs_dir: RunsDir = None, json: Json = False, debug: Debug = False) -> int:
    """Tells what a run's probes were answered, by the untrained model and after how many steps."""
    with opened(json=json, debug=debug) as output:
        folder = find(run, runs_dir)
        found = _timeline(folder)
        if json:
            answers = [
                {"prompt": prompt, "step": step, "text": found.answers[prompt, step]}
                for prompt in found.prompts
                for step in found.steps
                if (prompt, step) in found.answers
            ]
            losses = [{"step": step, "loss": loss} for step, loss in found.losses.items() if step in found.steps]
            document = {"run": str(folder.path), "prompts": found.prompts, "steps": found.steps}
            output.document({**document, "answers": answers, "validation": losses, "best": found.best})
            return 0
        if not found.prompts:
            output.say(f"{folder.name} has no probes; probes.prompts names some, `tui-tuner steer` adds one on the way")
        for prompt in found.prompts:
            _tell(prompt, found, output)
    return 0


def _timeline(folder: RunFolder) -> Timeline:
    from tui_tuner.config import load_experiment
    from tui_tuner.runs.probes import timeline

    try:
        configured = load_experiment(folder.config).probes.prompts
    except TunerError:
        configured = []  # the answers name their prompts
    return timeline(view_of(folder), configured)


def _tell(prompt: str, found: Timeline, output: Output) -> None:
    output.say(f"» {prompt}")
    answered = [step for step in found.steps if (prompt, step) in found.answers]
    if not answered:
        output.say("    not answered yet")
    for step in answered:
        name = "untrained" if step == 0 else f"step {step:,}"
        loss = f", validation loss {found.losses[step]:.3f}" if step in found.losses else ""
        best = ", best" if step == found.best else ""
        output.say(f"  {name}{loss}{best}")
        for line in found.answers[prompt, step].splitlines() or ["(an empty answer)"]:
            output.say(f"    {line}")
