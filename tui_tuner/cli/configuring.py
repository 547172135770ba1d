"""The commands about configurations: which presets there are, how two differ, and saving one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tui_tuner.cli import completing
from tui_tuner.cli.options import Debug, ForcePreset, Json, RunsDir, Set, find
from tui_tuner.cli.output import opened
from tui_tuner.errors import TunerError

if TYPE_CHECKING:
    from tui_tuner.config import Experiment
    from tui_tuner.runs.folder import RunFolder

_WHAT = "A preset's name, the path of a TOML file, or a run."
What = Annotated[str, typer.Argument(help=_WHAT, autocompletion=completing.experiments)]


@dataclass(frozen=True)
class Meant:
    """An experiment that an argument named.

    Attributes:
        experiment: with relative paths made absolute.
        path: the file it was read from.
        run: the run it is from, or None for a preset.
    """

    experiment: Experiment
    path: Path
    run: RunFolder | None = None


def meant(text: str, overrides: Sequence[str], runs_dir: Path | None) -> Meant:
    """The experiment of a preset (name or path) or else of a run, with the overrides applied.

    Raises:
        TunerError: usage, when there is neither; or as `load_experiment`.
    """
    from tui_tuner.config import anchored, find_preset, load_experiment

    try:
        preset = find_preset(text)
    except TunerError as error:
        if error.code != "no-preset" or text.endswith(".toml"):
            raise
        folder = _run(text, error, runs_dir)
        return Meant(load_experiment(folder.config, overrides), folder.config, folder)
    return Meant(anchored(load_experiment(preset.path, overrides), preset.base), preset.path)


def _run(text: str, no_preset: TunerError, runs_dir: Path | None) -> RunFolder:
    try:
        return find(text, runs_dir)
    except TunerError as error:
        if error.code != "run-not-found":
            raise
        near = [each.fix for each in (no_preset, error) if "did you mean" in each.fix]
        raise TunerError(
            f'there is neither a preset nor a run "{text}"',
            code="no-preset",
            fix=near[0] if near else "`tui-tuner presets` and `tui-tuner runs` list them",
            usage=True,
        ) from None


def presets(json: Json = False, debug: Debug = False) -> int:
    """Lists the presets that can be called by name, those that cannot be used with the reason."""
    from tui_tuner.config import list_presets
    from tui_tuner.config.presets import preset_facts

    with opened(json=json, debug=debug) as output:
        found = [preset_facts(preset) for preset in list_presets()]
        if json:
            output.document([each.as_json() for each in found])
            return 0
        if not found:
            output.say("there are no presets")
        width = max((len(each.preset.name) for each in found), default=0)
        for each in found:
            more = [f"scale={name}" for name in each.scales] + (["a sweep"] if each.sweep else [])
            told = f"✗ {each.problem}" if each.problem else each.preset.title
            has = f" ({', '.join(more)})" if more else ""
            output.say(f"{each.preset.name.ljust(width)}  {told}{has}")
            output.say(f"{' ' * width}  {each.preset.path}")
    return 0


def diff(
    a: What,
    b: What,
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Override a key of both. Repeatable.",
            autocompletion=completing.overrides,
        ),
    ] = None,
    runs_dir: RunsDir = None,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Tells in which keys two experiments differ: presets, files or runs."""
    from tui_tuner.config.difference import between

    with opened(json=json, debug=debug) as output:
        first, second = (meant(each, overrides or (), runs_dir) for each in (a, b))
        found = between(first.experiment, second.experiment)
        if json:
            rows = [{"key": each.key, "a": each.old, "b": each.new} for each in found]
            output.document({"a": str(first.path), "b": str(second.path), "differences": rows})
            return 0
        if not found:
            output.say("no key differs")
        for each in found:
            output.say(each.key)
            output.say(f"  - {each.old}")
            output.say(f"  + {each.new}")
    return 0


def save_preset(
    name: Annotated[str, typer.Argument(help="A name in your own folder of presets, or the path of a TOML file.")],
    source: Annotated[str, typer.Option("--from", help=_WHAT, autocompletion=completing.experiments)],
    overrides: Set = None,
    title: Annotated[str, typer.Option("--title", help="The first line of its header comment.")] = "",
    description: Annotated[str, typer.Option("--description", help="What follows in the header comment.")] = "",
    force: ForcePreset = False,
    runs_dir: RunsDir = None,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Saves a preset's or a run's configuration, changed as you like, as a preset of your own."""
    from tui_tuner.config import saving
    from tui_tuner.config.presets import without_strange_consent

    with opened(json=json, debug=debug) as output:
        found = meant(source, overrides or (), runs_dir)
        experiment = found.experiment
        if found.run is None:
            experiment = without_strange_consent(experiment, found.path, overrides or ())
        path = saving.save_preset(experiment, name, title=title, description=description, replace=force)
        left_out = () if found.run is not None else saving.tables_beside(found.path)
        if json:
            output.document({"name": path.stem, "path": str(path), "left_out": list(left_out)})
            return 0
        output.say(str(path))
        if left_out:
            output.note(f"not in it: [{'], ['.join(left_out)}] of {found.path}; copy them over by hand where wanted")
    return 0
