"""Who can be asked in a chat: from what a person writes to a voice, and all the voices that there are to choose from.

Reads names and configurations; loads no model and needs no mlx.
"""

from __future__ import annotations

import json
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

from tui_tuner.chat.voices import Voice
from tui_tuner.data.chatforms import NAMES, RECORDED
from tui_tuner.engine.new_run import read_base
from tui_tuner.errors import TunerError
from tui_tuner.paths import EMBEDDED, find_local, is_repository_name, resolve_model
from tui_tuner.runs.catalogue import find_run, list_runs
from tui_tuner.runs.folder import RunFolder

BASE, LAST, BEST = "base", "last", "best"
_WEIGHTS, _BEST_WEIGHTS = "adapters.safetensors", "best_adapters.safetensors"


def voice_of(spec: str, runs: Path, here: Voice | None = None) -> Voice:
    """The voice that a person means.

    Args:
        spec: "base" for the model of `here`; a step, "best" or "last" for a checkpoint of its run; a run, "RUN:STEP",
            "RUN:best", "RUN:last" or "RUN:base"; an adapter's folder, or a weights file in one, which stands on the
            model of its run, else on that of `here`, else on the one that it names; a model's folder, `embedded:NAME`,
            or a repository.
        runs: where runs live.
        here: who is being talked to.

    Raises:
        TunerError: there is nothing of that name, or no model for it to stand on; the run has no such checkpoint, or
            no adapter yet.
    """
    spec = spec.strip()
    if spec.startswith(EMBEDDED):
        return Voice(resolve_model(spec, None), None, spec)
    place = find_local(spec, None)
    if place is not None and (place / "config.json").is_file():
        return Voice(str(place), None, place.name)
    if place is not None and (place.suffix == ".safetensors" or (place / "adapter_config.json").is_file()):
        return _of_adapter(place, here)
    if here is not None and (short := _near(spec, here)) is not None:
        return short
    run, which = run_of(spec, runs)
    if run is not None:
        return voice_of_run(run, which)
    if is_repository_name(spec):
        return Voice(spec, None, spec)
    return voice_of_run(find_run(spec, runs))  # which says what there is of the sort


def voice_of_run(run: RunFolder, which: str = "") -> Voice:
    """A run's adapter, one of its checkpoints, or with "base" its model alone, in the form that was trained with.

    Args:
        which: a step, "best", "last", "base", or empty for the adapter that the run has come to.

    Raises:
        TunerError: its configuration cannot be read, or there is no such checkpoint or no adapter yet.
    """
    from tui_tuner.config import load_experiment
    from tui_tuner.engine.consent import allow_code

    experiment = load_experiment(run.config)
    allow_code(experiment)
    alone = _alone(run, experiment.model.path, experiment.model.chat_template)
    if which == BASE:
        return alone
    if which:
        return replace(alone, adapter=checkpoint_of(run, which), label=f"{run.name}:{which}")
    if not (run.adapters / _WEIGHTS).is_file():
        raise TunerError(
            "the run has no adapter yet",
            code="no-adapter",
            where=run.name,
            fix=f"wait for its first checkpoint, or ask {run.name}:{BASE}",
            usage=True,
        )
    return replace(alone, adapter=run.adapters, label=run.name)


def voices_there(runs: Path, run: RunFolder | None = None) -> list[Voice]:
    """All that can be asked by choosing: of the run first, then of other runs of its model, then of the rest.

    Of the run these are its model, its adapter and its checkpoints, the newest first; of the others the adapters. A run
    whose configuration cannot be read is left out, and so is one without weights.
    """
    out: list[Voice] = []
    model = ""
    if run is not None and (alone := _read_alone(run)) is not None:
        model = alone.model
        out.append(alone)
        out += [replace(alone, adapter=file, label=label) for label, file in _adapters(run)]
    others: list[Voice] = []
    for summary in list_runs(runs):
        folder = RunFolder(summary.path)
        if (run is None or folder.path != run.path) and (folder.adapters / _WEIGHTS).is_file():
            found = _read_alone(folder)
            if found is not None:
                others.append(replace(found, adapter=folder.adapters, label=folder.name))
    return [*out, *sorted(others, key=lambda voice: voice.model != model)]


def run_of(text: str, runs: Path) -> tuple[RunFolder | None, str]:
    """The run that a text names, and which of its checkpoints; None where it is a model."""
    if text.startswith(EMBEDDED):
        return None, ""
    place = find_local(text, None)
    if place is not None and (place / "config.json").is_file():
        return None, ""
    try:
        return find_run(text, runs), ""
    except TunerError as error:
        head, colon, which = text.rpartition(":")
        if colon and head:
            return find_run(head, runs), which
        if error.code != "run-not-found" and not is_repository_name(text):
            raise
        return None, ""  # what it is, if anything, the model's loader says


def checkpoints_of(run: RunFolder) -> dict[int, Path]:
    """The weights files of a run's checkpoints, by step, in order."""
    found = ((path.name.partition("_")[0], path) for path in run.adapters.glob("[0-9]*_adapters.safetensors"))
    return dict(sorted((int(step), path) for step, path in found if step.isdecimal()))


def checkpoint_of(run: RunFolder, which: str) -> Path:
    """The weights file of a checkpoint by its step, "best" (by validation) or "last".

    Raises:
        TunerError: there is no such checkpoint; names those that there are.
    """
    steps = checkpoints_of(run)
    if which == BEST and (run.adapters / _BEST_WEIGHTS).is_file():
        return run.adapters / _BEST_WEIGHTS
    if which == LAST and steps:
        return steps[max(steps)]
    if which.isdecimal() and int(which) in steps:
        return steps[int(which)]
    there = ", ".join(map(str, steps)) or "none"
    raise TunerError(
        f'the run has no checkpoint "{which}"',
        code="no-checkpoint",
        where=run.name,
        fix=f"its checkpoints are {there}" + (f", {BEST} and {LAST}" if steps else ""),
        usage=True,
    )


def _near(spec: str, here: Voice) -> Voice | None:
    """What a word means beside the voice that is being talked to; None for any other word."""
    if spec == BASE:
        return Voice(here.model, None, BASE, here.template)
    run = _run_around(here.adapter) if here.adapter is not None else None
    if run is not None and (spec in (BEST, LAST) or spec.isdecimal()):
        return replace(here, adapter=checkpoint_of(run, spec), label=f"{run.name}:{spec}")
    return None


def _of_adapter(place: Path, here: Voice | None) -> Voice:
    """A voice of an adapter that is named by its place."""
    label = place.name if place.parent.name == "" else f"{place.parent.name}/{place.name}"
    run = _run_around(place)
    if run is not None:
        return replace(voice_of_run(run, BASE), adapter=place, label=f"{run.name} {place.name}")
    if here is not None:
        return Voice(here.model, place, label)
    try:
        named = json.loads(((place if place.is_dir() else place.parent) / "adapter_config.json").read_text("utf-8"))
        model = named["model"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        model = None
    if not isinstance(model, str):
        raise TunerError(
            "the adapter does not say which model it is for",
            code="no-model",
            where=str(place),
            fix="name the model, and give the adapter with --adapter",
            usage=True,
        )
    return Voice(resolve_model(model, None), place, label)


def _run_around(adapter: Path) -> RunFolder | None:
    """The run whose adapter folder this is, or lies in."""
    folder = adapter.parent if adapter.suffix == ".safetensors" else adapter
    try:
        run = RunFolder.open(folder.parent)
    except TunerError:
        return None
    return run if run.adapters.resolve() == folder.resolve() and run.config.is_file() else None


def _alone(run: RunFolder, model: str, template: str) -> Voice:
    """A run's model alone, in the form that its adapter was trained in."""
    base = read_base(run)
    try:
        found = resolve_model(model, base)
    except TunerError:  # an embedded one of another version: the engine says what is wrong
        found = model
    kept = run.adapters / RECORDED
    if kept.is_file():
        return Voice(found, None, BASE, str(kept))
    file = find_local(template, base) if template not in ("auto", *NAMES) else None
    return Voice(found, None, BASE, str(file or template))


def _read_alone(run: RunFolder) -> Voice | None:
    """As `_alone`, from the configuration as it stands; None where it cannot be read."""
    try:
        section: Any = tomllib.loads(run.config.read_text(encoding="utf-8"))["model"]
        return _alone(run, str(section["path"]), str(section.get("chat_template", "auto")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _adapters(run: RunFolder) -> list[tuple[str, Path]]:
    """A run's adapter and its checkpoints, with what each is called."""
    found = [(run.name, run.adapters)] if (run.adapters / _WEIGHTS).is_file() else []
    if (run.adapters / _BEST_WEIGHTS).is_file():
        found.append((f"{run.name}:{BEST}", run.adapters / _BEST_WEIGHTS))
    steps = checkpoints_of(run)
    return [*found, *((f"{run.name}:{step}", steps[step]) for step in sorted(steps, reverse=True))]
