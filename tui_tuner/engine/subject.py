"""Who is to be asked: from what a person writes to a model in memory, with the right adapter and chat template.

A person names a model, a run, or one checkpoint of a run. Called on the MLX thread.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tui_tuner.config import Experiment, load_experiment
from tui_tuner.engine.chat_form import form_of_chat, form_of_run
from tui_tuner.engine.consent import allow_code
from tui_tuner.engine.evaluate_stage import Subject
from tui_tuner.engine.new_run import read_base
from tui_tuner.engine.shelf import ModelShelf
from tui_tuner.engine.voices import BASE, checkpoint_of, run_of
from tui_tuner.errors import TunerError
from tui_tuner.models.adapters import attach
from tui_tuner.models.load import Base, fresh_tree
from tui_tuner.models.start import locate_start, start_from
from tui_tuner.paths import EMBEDDED, find_local, is_repository_name
from tui_tuner.runs import RunFolder
from tui_tuner.runs.catalogue import find_run


@dataclass(frozen=True)
class Target:
    """What was named.

    Attributes:
        model: as a configuration names it.
        run: the run that was named, or None.
        experiment: the run's configuration.
        adapter: an adapter folder, or the weights file of a checkpoint; None for a model alone.
        untrained: whether it is the run's model as it was before training.
    """

    model: str
    run: RunFolder | None = None
    experiment: Experiment | None = None
    adapter: Path | None = None
    untrained: bool = False


def target_of(text: str, adapter: Path | None, runs: Path) -> Target:
    """What a text means: a model folder, an embedded one, a repository, a run, or "RUN:CHECKPOINT".

    Args:
        adapter: an adapter folder to put on a model.
        runs: where runs live.

    Raises:
        TunerError: there is no such run or checkpoint, or an adapter was given for a run, which has its own.
    """
    run, which = run_of(text, runs)
    if run is None:
        return Target(text, adapter=adapter)
    if adapter is not None:
        raise TunerError(
            "a run brings its own adapter",
            code="usage",
            where=text,
            fix="leave --adapter out, or name the model instead of the run",
            usage=True,
        )
    experiment = load_experiment(run.config)
    allow_code(experiment)
    if which == BASE:
        return Target(experiment.model.path, run, experiment, untrained=True)
    return Target(experiment.model.path, run, experiment, checkpoint_of(run, which) if which else run.adapters)


def adapted_target(text: str, adapter: Path | None, runs: Path, purpose: str) -> tuple[Target, Path]:
    """What a text means when it has to have an adapter, and that adapter: its folder or the weights of a checkpoint.

    Args:
        purpose: what the adapter is for, such as "merge".

    Raises:
        TunerError: as `target_of`, or it is a model alone.
    """
    target = target_of(text, adapter, runs)
    if target.adapter is not None:
        return target, target.adapter
    named = text.startswith(EMBEDDED) or is_repository_name(text) or find_local(text, None) is not None
    if target.run is None and not named:
        find_run(text, runs)  # raises, and names the nearest run
    raise TunerError(
        f"there is no adapter to {purpose}",
        code="usage",
        where=text,
        fix="name a run, or give a model and --adapter",
        usage=True,
    )


def subject_of(target: Target, shelf: ModelShelf, relative_to: Path | None = None) -> Subject:
    """Loads what was named.

    Raises:
        TunerError: model or adapter cannot be loaded, or do not fit each other.
    """
    if target.run is not None and target.experiment is not None:
        base = shelf.base(target.model, read_base(target.run), form_of_run(target.run, target.experiment))
        if target.untrained:
            return untrained(target.run, target.experiment, base)
    else:
        base = shelf.base(target.model, relative_to, form_of_chat("auto", target.adapter))
    return Subject(base, shelf.with_adapter(base, target.adapter), target.adapter)


def untrained(run: RunFolder, experiment: Experiment, base: Base) -> Subject:
    """A run's model before its training: the base, or the base with the weights that training started from.

    Raises:
        TunerError: those weights are gone or do not fit.
    """
    if not experiment.adapter.start_from:
        return Subject(base, base.model)
    path = locate_start(experiment.adapter.start_from, read_base(run))
    tree = fresh_tree(base)
    attach(tree, experiment.adapter)
    start_from(path, tree, experiment.adapter)
    tree.eval()
    return Subject(base, tree, path)
