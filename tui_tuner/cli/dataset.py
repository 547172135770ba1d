"""The commands that look at data before anything is trained."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tui_tuner.cli import completing
from tui_tuner.cli.options import Debug, Json, Set
from tui_tuner.cli.output import Output, opened

if TYPE_CHECKING:
    from tui_tuner.config import Experiment
    from tui_tuner.data.findings import Problem
    from tui_tuner.engine.dataset import DataFacts
    from tui_tuner.training.forecast.forecast import Forecast

DEFAULT_MODEL = "embedded:phi3-tiny"
_SIGNS = {"error": "✗", "warning": "▲", "info": "·"}


def data(
    source: Annotated[
        str,
        typer.Argument(
            help="A file or folder, a set on the Hub, or a preset by name or path.", autocompletion=completing.presets
        ),
    ],
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            help="Whose tokenizer and chat template to use.",
            show_default=False,
            autocompletion=completing.models,
        ),
    ] = None,
    overrides: Set = None,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Tells what a data set holds, how long its rows are, and every problem by line."""
    with opened(json=json, debug=debug) as output:
        experiment, base = _experiment(source, model, overrides or [])
        found = _look(experiment, base, output)
        if json:
            output.document(found.as_json())
        else:
            _tell(found, model is None and experiment.model.path == DEFAULT_MODEL, output)
        return 1 if found.report.errors else 0


def check(
    preset: Annotated[
        str, typer.Argument(help="Name of a preset, or path of a TOML file.", autocompletion=completing.presets)
    ],
    overrides: Set = None,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Looks whether a preset can run: its configuration, model, adapter and every row of its data."""
    from tui_tuner.config import load_preset
    from tui_tuner.engine.preflight import preflight

    with opened(json=json, debug=debug) as output:
        experiment, found = load_preset(preset, overrides or [])
        result = preflight(experiment, found.base, tell=progress_of(output))
        if result.ok and result.forecast is not None:
            result.forecast = _measured_if_long(experiment, found.base, result.forecast, output)
        if json:
            output.document(result.as_json())
            return 0 if result.ok else 1
        _tell_problems(result.problems, output)
        if result.forecast is not None:
            for line in result.forecast.lines():
                output.say(line)
        if result.ok:
            output.say(f"{found.name} can run: `tui-tuner run {preset}` starts it")
        else:
            errors = sum(problem.severity == "error" for problem in result.problems)
            output.say(f"{found.name} cannot run yet: {errors} {'error' if errors == 1 else 'errors'}")
        return 0 if result.ok else 1


def _measured_if_long(experiment: Experiment, base: Path, found: Forecast, output: Output) -> Forecast:
    """The forecast, by real steps where the run would be long and fits."""
    from tui_tuner.cli.forecasting import measured
    from tui_tuner.engine.foretell import LONG

    if found.span is None or found.span.seconds < LONG or found.fits == "too large":
        return found
    output.note(f"it may take {found.span.text()}, so a few steps are measured")
    return measured(experiment, base, output)


def _experiment(source: str, model: str | None, overrides: list[str]) -> tuple[Experiment, Path | None]:
    """The experiment that a source makes: a preset's own, or one with all defaults around a file."""
    from tui_tuner.config import Experiment, load_preset, with_overrides
    from tui_tuner.config.presets import list_presets

    given = [*([f"model.path={model}"] if model else []), *overrides]
    if source.endswith(".toml") or (not Path(source).exists() and source in {p.name for p in list_presets()}):
        experiment, preset = load_preset(source, given)
        return experiment, preset.base
    plain = Experiment.model_validate({"model": {"path": model or DEFAULT_MODEL}, "data": {"source": source}})
    return with_overrides(plain, overrides), None


def _look(experiment: Experiment, base: Path | None, output: Output) -> DataFacts:
    from tui_tuner.engine.dataset import data_facts

    return data_facts(experiment, base, tell=progress_of(output))


def progress_of(output: Output) -> Any:
    """Tells of every tenth part of long work on stderr."""
    from tui_tuner.engine.work import Pace

    told, pace = 0, Pace()

    def tell(done: int, total: int) -> None:
        nonlocal told
        pace.moved(done, total)
        part = done * 10 // max(total, 1)
        if total >= 5_000 and part > told:
            told = part
            output.note(f"{done:,} of {total:,} rows{pace.told()}")

    return tell


def _tell(found: DataFacts, borrowed: bool, output: Output) -> None:
    report, tokens = found.report, found.tokens
    guess = report.guess
    output.say(
        f"{report.source}: {report.records:,} records ({report.format}), {guess.shape}, {guess.confidence:.0%} sure"
    )
    if guess.why:
        output.say(f"  because {guess.why}")
    for role, where in guess.mapping.items():
        output.say(f"  {role}: {where!r}")
    if report.counts:
        output.say("  " + ", ".join(f"{count:,} {split}" for split, count in report.counts.items()) + " rows")
    if tokens:
        output.say(
            f"  tokens a row: {tokens['min']:,} to {tokens['max']:,}, median {tokens['median']:,.0f}, 95 % up to "
            f"{tokens['p95']:,.0f}, 99 % up to {tokens['p99']:,.0f}; {tokens['prompt_share']:.0%} of them prompt"
        )
        _tell_answers(tokens["labels"], output)
        if borrowed:
            output.say("  counted with the embedded model's small vocabulary; --model MODEL counts with yours")
    if padding := tokens.get("padding"):
        shares = f"{padding['fast']:.0%} in fast mode, {padding['stock']:.0%} in stock mode"
        steps = f"{tokens['steps_per_epoch']:,} steps an epoch"
        output.say(f"  padding at batch {padding['batch_size']}: {shares}; {steps}")
    for note in report.notes:
        output.say(f"  note: {note}")
    _tell_problems(report.problems, output)
    if not report.problems:
        output.say("no problems found")


def _tell_answers(labels: dict[str, Any], output: Output) -> None:
    """Of short answers, such as labels, which there are."""
    if not labels or not labels["short"]:
        return
    shown = ", ".join(f"{' '.join(answer.split())!r} {count:,}" for answer, count in labels["top"][:5])
    more = ", …" if labels["distinct"] > 5 else ""
    output.say(f"  training answers: {labels['distinct']:,} different: {shown}{more}")


def _tell_problems(problems: list[Problem], output: Output) -> None:
    for problem in problems:
        output.say(f"{_SIGNS[problem.severity]} {problem.severity} {problem.code}: {problem.message}")
        if problem.lines:
            shown = ", ".join(f"{line:,}" for line in problem.lines[:8])
            output.say(f"    lines {shown}{' …' if problem.count > 8 else ''}")
        if problem.fix:
            step = f'; data.fixes = ["{problem.step}"] does it' if problem.step else ""
            output.say(f"    {problem.fix}{step}")
