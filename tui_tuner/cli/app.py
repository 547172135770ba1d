"""The commands, their options and their exit statuses: 0 done, 1 the job failed or was stopped, 2 wrong usage."""

from __future__ import annotations

import os
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.models import CommandInfo

from tui_tuner import __version__
from tui_tuner.cli import (
    bundling,
    chatting,
    completing,
    configuring,
    conversing,
    converting,
    dataset,
    evaluating,
    forecasting,
    hub,
    interchanging,
    listing,
    machine,
    manual,
    models,
    probing,
    queueing,
    reporting,
    scoring,
    serving,
    steering,
    tracking,
)
from tui_tuner.cli.attach import attach
from tui_tuner.cli.helping import PROGRAM, Command, Group, name_as_help_does
from tui_tuner.cli.options import Debug, Hosts, Json, Name, Ranks, Run, RunsDir, Set, find
from tui_tuner.cli.output import Output, opened
from tui_tuner.errors import TunerError, brief, without_secrets

if TYPE_CHECKING:
    from tui_tuner.engine.ranks.hosts import RankPlan
    from tui_tuner.runs import RunFolder

app = typer.Typer(
    name="tui-tuner",
    cls=Group,
    add_completion=True,
    no_args_is_help=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Fine-tune language models with mlx-lm, full screen or headless. Without a command it opens the workbench.",
)

_INTERRUPTED = 130
"""The exit status that typer makes of an interrupt."""
_building = threading.Lock()
_ASKED = f"_{PROGRAM.replace('-', '_').upper()}_COMPLETE"
"""The variable that the tab key asks with; typer makes its name so."""


def program(arguments: Sequence[str] | None = None) -> Group:
    """The command line as the library wants it: whole, or with no more commands than the arguments can mean.

    Making every command takes longer than anything else before the first frame. To list them or to name the one that is
    nearest to a word all are needed; the tab key needs them, too.
    """
    with _building:
        every = app.registered_commands
        if arguments is not None and _ASKED not in os.environ:
            app.registered_commands = _meant(arguments)
        try:
            group = typer.main.get_command(app)
        finally:
            app.registered_commands = every
    assert isinstance(group, Group)
    return group


def _meant(arguments: Sequence[str]) -> list[CommandInfo]:
    """The command that the arguments begin with, or those named behind options; all where that is not enough."""
    every = app.registered_commands
    if arguments and not arguments[0].startswith("-"):
        return [info for info in every if _called(info) == arguments[0]] or every
    if {"-h", "--help"} & set(arguments):
        return every
    return [info for info in every if _called(info) in arguments]


def _called(info: CommandInfo) -> str:
    return info.name or getattr(info.callback, "__name__", "").replace("_", "-")


def run(arguments: Sequence[str]) -> int:
    """Runs the command line and returns the exit status; a failure is one sentence, never a traceback."""
    wants_json, debug = "--json" in arguments, "--debug" in arguments
    try:
        result = program(arguments).main(list(arguments), standalone_mode=False, prog_name="tui-tuner")
        if result == _INTERRUPTED:
            raise KeyboardInterrupt
        return result if isinstance(result, int) else 0
    except typer.TyperException as error:
        name_as_help_does(error)
        context = getattr(error, "ctx", None)
        where = context.command_path if context is not None else "tui-tuner"
        message = " ".join(error.format_message().split()).rstrip(".")  # choices come on lines of their own
        wrong = TunerError(message, code="usage", fix=f"see `{where} --help`", usage=True)
        return _fail(wrong, wants_json, debug)
    except (typer.Abort, KeyboardInterrupt):
        stopped = TunerError(
            "stopped before it was done; nothing is left half-way",
            code="interrupted",
            fix="the same command begins it anew",
        )
        return _fail(stopped, wants_json, debug)
    except TunerError as error:
        return _fail(error, wants_json, debug)
    except Exception as error:
        wrapped = TunerError(
            f"an unexpected error: {type(error).__name__}: {brief(error)}",
            code="internal",
            fix="run it again with --debug",
        )
        return _fail(wrapped, wants_json, debug)


def _fail(error: TunerError, wants_json: bool, debug: bool) -> int:
    if debug:
        sys.stderr.write(without_secrets(traceback.format_exc()))
    with opened(json=wants_json) as output:
        output.error(error)
    return 2 if error.usage else 1


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tui-tuner {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def workbench(
    context: typer.Context,
    preset: Annotated[
        str | None,
        typer.Option(
            "--preset", help="Open with this preset loaded (name or path).", autocompletion=completing.presets
        ),
    ] = None,
    overrides: Set = None,
    start: Annotated[bool, typer.Option("--start", help="Begin the preset's run at once.")] = False,
    runs_dir: RunsDir = None,
    debug: Debug = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and leave.")
    ] = False,
) -> int:
    """Opens the workbench."""
    if context.invoked_subcommand is not None:
        return 0
    if start and preset is None:
        raise TunerError("--start needs a preset", code="usage", fix="name one with --preset", usage=True)
    if overrides and preset is None:
        raise TunerError("--set needs a preset", code="usage", fix="name one with --preset", usage=True)
    if preset is not None:
        from tui_tuner.config import load_preset

        load_preset(preset, overrides or ())  # so that a mistake is said here and not behind a screen
    from tui_tuner.cli.screen import open_workbench

    return open_workbench(runs_dir, preset=preset, overrides=overrides or (), autostart=start)


@app.command()
def quickstart(
    overrides: Set = None,
    name: Name = None,
    runs_dir: RunsDir = None,
    json: Json = False,
    debug: Debug = False,
    headless: Annotated[bool, typer.Option("--headless", help="No screen, even on a terminal.")] = False,
) -> int:
    """The whole loop on the embedded tiny model: full screen, or headless where there is no terminal."""
    from tui_tuner.cli.output import has_terminal

    if json or headless or name or not has_terminal():
        return _start("quickstart", overrides or (), name, runs_dir, json, debug)
    from tui_tuner.cli.screen import open_workbench
    from tui_tuner.config import load_preset

    load_preset("quickstart", overrides or ())
    return open_workbench(runs_dir, preset="quickstart", overrides=overrides or (), autostart=True)


@app.command("run")
def run_command(
    preset: Annotated[
        str, typer.Argument(help="Name of a preset, or path of a TOML file.", autocompletion=completing.presets)
    ],
    overrides: Set = None,
    name: Name = None,
    ranks: Ranks = None,
    hosts: Hosts = None,
    runs_dir: RunsDir = None,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Runs a preset headless: check, baseline, train, evaluate, verdict."""
    from tui_tuner.engine.ranks.hosts import plan_ranks

    return _start(preset, overrides or (), name, runs_dir, json, debug, plan_ranks(ranks, hosts))


@app.command()
def resume(
    run: Run,
    ranks: Ranks = None,
    hosts: Hosts = None,
    runs_dir: RunsDir = None,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Goes on with an interrupted or stopped run, exactly where its last checkpoint stands."""
    from tui_tuner.engine.ranks.hosts import plan_ranks

    plan = plan_ranks(ranks, hosts)
    with opened(json=json, debug=debug) as output:
        folder = find(run, runs_dir)
        output.note(f"run {folder.name}")
        document = bundling.with_losses(folder, _runner(plan, output)(folder), output)
        return _finish(document, output, plan)


@app.command(hidden=True)
def rank(
    folder: Annotated[Path, typer.Argument()],
    size: Annotated[int, typer.Option("--of")],
    backend: Annotated[str, typer.Option("--backend")],
    beside: Annotated[int, typer.Option("--beside")],
) -> int:
    """One of the processes that train a run together; mlx's launcher starts it."""
    from tui_tuner.cli.ranks import be_rank

    with opened() as output:
        return be_rank(folder, size, backend, beside, output)


app.command()(configuring.presets)
app.command()(configuring.diff)
app.command("save-preset")(configuring.save_preset)
app.command("import-config")(interchanging.import_config)
app.command("export-config")(interchanging.export_config)
app.command()(dataset.data)
app.command()(dataset.check)
app.command()(forecasting.forecast)
app.command()(steering.stop)
app.command()(steering.steer)
app.command()(steering.advice)
app.command()(probing.probes)
app.command()(reporting.report)
app.command()(tracking.track)
app.command()(bundling.bundle)
app.command()(bundling.replay)
app.command()(evaluating.evaluate)
app.command()(evaluating.checkpoints)
app.command()(scoring.score)
app.command()(scoring.compare)
app.command()(models.models)
app.command()(hub.download)
app.command()(hub.upload)
app.command()(models.inspect)
app.command()(converting.convert)
app.command()(models.fuse)
app.command()(models.export)
app.command("import")(models.import_)
app.command()(queueing.queue)
app.command()(queueing.sweep)
app.command(hidden=True)(queueing.work)
app.command()(attach)
app.command()(serving.serve)
app.command()(chatting.chat)
app.command()(conversing.chats)
app.command()(machine.system)
app.command()(listing.runs)
app.command()(listing.keys)
app.command()(listing.label)
app.command()(listing.delete)
app.command()(listing.restore)
app.command()(manual.man)
for _registered in app.registered_commands:
    _registered.cls = Command


def _start(
    preset: str,
    overrides: Sequence[str],
    name: str | None,
    runs_dir: Path | None,
    json: bool,
    debug: bool,
    plan: RankPlan | None = None,
) -> int:
    from tui_tuner.cli.headless import never_begun
    from tui_tuner.config import load_preset
    from tui_tuner.engine.new_run import create_run
    from tui_tuner.engine.ranks.hosts import check_ranks
    from tui_tuner.paths import runs_dir as runs_place

    with opened(json=json, debug=debug) as output:
        begin = _runner(plan, output)
        experiment, found = load_preset(preset, overrides)
        if plan is not None:
            check_ranks(experiment, plan)
        folder = create_run(experiment, runs_place(runs_dir), name, found.base)
        try:
            output.note(f"run {folder.name}")
            document = begin(folder)
        except KeyboardInterrupt:  # before anybody was there who hears of it
            document = never_begun(folder)
        return _finish(document, output, plan)


def _runner(plan: RankPlan | None, output: Output) -> Callable[[RunFolder], dict[str, Any]]:
    """What runs a folder. Loaded before one is made, so that no time passes between the two."""
    if plan is not None:
        from tui_tuner.cli.ranks import run_folder_on

        return lambda folder: run_folder_on(folder, plan, output)
    from tui_tuner.cli.headless import run_folder

    return lambda folder: run_folder(folder, output)


def _finish(document: dict[str, Any], output: Output, plan: RankPlan | None = None) -> int:
    name = " ".join([Path(document["run"]).name, *(plan.options() if plan is not None else [])])
    if output.json:
        output.document(document)
    elif document["status"] == "stopped":
        output.note(f"stopped after step {document['steps']}; `tui-tuner resume {name}` goes on from there")
    else:
        output.say(f"run {document['run']}")
    return 0 if document["status"] == "finished" else 1
