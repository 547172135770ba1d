"""The commands that bring configurations of other tools in, and take one out to stock mlx-lm."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tui_tuner.cli.configuring import What, meant
from tui_tuner.cli.options import Debug, Force, ForcePreset, Json, RunsDir, Set
from tui_tuner.cli.output import Output, opened
from tui_tuner.errors import TunerError

if TYPE_CHECKING:
    from tui_tuner.config.interchange import Imported, StockFile


def import_config(
    file: Annotated[Path, typer.Argument(help="YAML or JSON of mlx-lm, Axolotl, PEFT, Unsloth or LLaMA-Factory.")],
    dialect: Annotated[
        str | None, typer.Option("--as", help="Whose file it is, when its keys do not tell.", show_default=False)
    ] = None,
    to: Annotated[
        str | None,
        typer.Option("--to", help="Save it as a preset: a name, or the path of a TOML file.", show_default=False),
    ] = None,
    overrides: Set = None,
    force: ForcePreset = False,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Brings the configuration of another tool over, and tells what became of each of its keys."""
    from tui_tuner.config.interchange import import_file
    from tui_tuner.config.saving import save_preset

    with opened(json=json, debug=debug) as output:
        found = import_file(file, dialect)
        path = None
        if to is not None:
            experiment = found.experiment(overrides or (), file.absolute().parent)
            path = save_preset(
                experiment,
                to,
                title=f"{experiment.run.name}: brought over from {found.dialect}",
                description="\n".join([f"From {file.name}. What was not taken as it stood:", *_told(found)]),
                replace=force,
            )
        if json:
            output.document({**found.as_json(), "path": str(path) if path else None})
        else:
            _tell_import(found, path, output)
    return 0


def export_config(
    what: What,
    to: Annotated[
        Path | None, typer.Option("--to", help="The YAML file to write; else it goes to stdout.", show_default=False)
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data", help="Prepare a preset's rows into this folder, as mlx-lm reads them.", show_default=False
        ),
    ] = None,
    overrides: Set = None,
    force: Force = False,
    runs_dir: RunsDir = None,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Writes the file that has stock `mlx_lm.lora --config` train what a run or a preset trains."""
    from tui_tuner.atomic import write_atomic
    from tui_tuner.config.interchange import generate_command, lora_command
    from tui_tuner.engine.stockfile import of_preset, of_run

    with opened(json=json, debug=debug) as output:
        found = meant(what, overrides or (), runs_dir)
        if to is not None and to.exists() and not force:
            raise TunerError(
                "it is there already", code="exists", where=str(to), fix="name another file, or add --force", usage=True
            )
        if found.run is not None and not overrides:
            if data is not None:
                raise TunerError(
                    "a run has its rows prepared already", code="usage", where="--data", fix="leave it out", usage=True
                )
            made = of_run(found.run)
        else:
            made = of_preset(found.experiment, None, data)
        if to is not None:
            write_atomic(to, made.text)
        values = made.values
        commands = [lora_command(to or "FILE.yaml"), generate_command(values["model"], values["adapter_path"])]
        if json:
            output.document(_document(made, to, commands))
            return 0
        if to is None:
            output.stream(made.text)
        else:
            output.say(str(to))
            for line in made.told:
                output.note(line)
        _tell_export(made, commands, output)
    return 0


def _told(found: Imported) -> list[str]:
    """What a person should know later on, a line each: all that is not as it stood in the file."""
    return [f"  {entry.line()}" for entry in found.entries if entry.fate != "mapped" or entry.warning]


def _tell_import(found: Imported, path: Path | None, output: Output) -> None:
    output.say(f"{found.dialect} ({found.sure})")
    for entry in found.entries:
        output.say(f"  {entry.line()}")
    for note in found.notes:
        output.say(f"  {note}")
    counts = {fate: sum(entry.fate == fate for entry in found.entries) for fate in ("mapped", "changed", "not mapped")}
    told = (
        f"{counts['mapped']} taken as they are, {counts['changed']} changed on the way, {counts['not mapped']} left out"
    )
    output.say(f"{told}, {len(found.warnings)} to look at (!)")
    if path is not None:
        output.say(str(path))
    elif found.missing:
        output.say(f"a preset needs {' and '.join(found.missing)} besides: --set {found.missing[0]}=…")
    else:
        output.say("nothing was written; --to NAME saves it as a preset")


def _document(made: StockFile, to: Path | None, commands: list[str]) -> dict[str, Any]:
    return {
        "path": str(to) if to else None,
        "values": made.values,
        "told": list(made.told),
        "equal": made.equal,
        "commands": {"lora": commands[0], "generate": commands[1]},
    }


def _tell_export(made: StockFile, commands: list[str], output: Output) -> None:
    output.note("the losses are those of the run" if made.equal else "the losses are not those of the run: see above")
    for command in commands:
        output.note(f"  {command}")
