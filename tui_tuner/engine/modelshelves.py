"""Answers which models there are on this machine and what they are. Loads no weights, and never asks the network.

What is listed: the embedded models, those in the folder of models, those that were converted into other places, those
in the Hub's cache, and those that presets and runs name, wherever they are and even if they are not. A list must come
up whatever lies in these places: what is broken is listed with what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from tui_tuner.config.presets import list_presets
from tui_tuner.config.toml import load_experiment
from tui_tuner.engine.model_requests import (
    AskDevice,
    DeleteCached,
    DescribeModel,
    InspectModel,
    ListModels,
    ModelQuestion,
)
from tui_tuner.engine.new_run import model_fingerprint, read_base
from tui_tuner.engine.results import ListedModel, ModelDetails
from tui_tuner.errors import TunerError
from tui_tuner.models.describe import describe_model
from tui_tuner.models.hub import cached_models, delete_cached
from tui_tuner.models.inspect import inspect_model
from tui_tuner.models.memory import usual_memory
from tui_tuner.models.offers import offers_for
from tui_tuner.models.shape import shape_of
from tui_tuner.models.variants import all_variants, known_variants
from tui_tuner.paths import EMBEDDED, embedded_models, is_repository_name, models_dir, resolve_model, runs_dir
from tui_tuner.runs import RunFolder
from tui_tuner.runs.catalogue import list_runs

Named = tuple[str, str, Path | None]
"""Who names a model, what it is called there, and the folder that a path starts from."""


def answer_about_models(request: ModelQuestion) -> Any:
    """The result of a question.

    Raises:
        TunerError: there is no such model, or it cannot be deleted.
    """
    if isinstance(request, ListModels):
        return list_models(request.runs_dir, request.named)
    if isinstance(request, InspectModel):
        return model_details(request.path)
    if isinstance(request, DescribeModel):
        return describe_model(request.path, request.base)
    if isinstance(request, DeleteCached):
        return delete_cached(request.name)
    assert isinstance(request, AskDevice)
    return usable_memory()


def usable_memory() -> int:
    """Bytes that a job can have on this machine."""
    from tui_tuner.models.device import device_memory
    from tui_tuner.models.libraries import ready

    ready()
    return device_memory().usable


def model_details(path: str) -> ModelDetails:
    """What a model is, what was made of it, and what can be.

    Raises:
        TunerError: when there is no such model, or no readable config.json in it.
    """
    inspection = inspect_model(path)
    folder = Path(inspection.facts.path)
    variants = [variant.as_json() for variant in known_variants(model_fingerprint(folder))]
    return ModelDetails(inspection, variants, offers_for(inspection.facts))


def list_models(runs: Path | None = None, named: Iterable[Named] = ()) -> list[ListedModel]:
    """Every model there is, each once: embedded ones, then local ones, the Hub's cache, and those that are not here.

    Args:
        runs: where runs live, None for the usual place.
        named: further models that somebody names.
    """
    found: dict[str, ListedModel] = {}
    for name in embedded_models():
        _add(found, f"{EMBEDDED}{name}", name, "embedded", Path(resolve_model(f"{EMBEDDED}{name}", None)))
    for folder in _folders(models_dir()):
        _add(found, str(folder), folder.name, "local", folder)
    for variant in all_variants():
        folder = Path(variant.path)
        key = _add(found, variant.path, folder.name, "local", folder)
        found[key] = replace(found[key], made_as=variant.scheme)
    for model in cached_models():
        if (model.folder / "config.json").exists():
            key = _add(found, model.name, model.name, "cache", model.folder)
            found[key] = replace(found[key], used=model.used, on_disk=model.bytes)
    for who, path, base in (*named, *_named(runs)):
        key = _name(found, path, base)
        if key and who not in found[key].named_by:
            found[key].named_by.append(who)
    order = ("embedded", "local", "cache", "absent")
    return sorted(found.values(), key=lambda one: (order.index(one.source), one.name.lower()))


def _folders(place: Path) -> Iterator[Path]:
    """Folders of models, also those that lie in a folder of their owner's name."""
    for folder in _inside(place):
        if (folder / "config.json").is_file():
            yield folder
        else:
            yield from (inner for inner in _inside(folder) if (inner / "config.json").is_file())


def _inside(place: Path) -> list[Path]:
    try:
        return sorted(one for one in place.iterdir() if one.is_dir() and not one.name.startswith("."))
    except OSError:
        return []


def _named(runs: Path | None) -> Iterator[Named]:
    """What presets and runs name."""
    for preset in list_presets():
        try:
            yield f"preset {preset.name}", load_experiment(preset.path).model.path, preset.base
        except (TunerError, OSError):
            continue
    try:
        summaries = list_runs(runs_dir(runs))
    except TunerError:
        return
    for summary in summaries:
        if summary.model:
            try:
                base = read_base(RunFolder.open(summary.path))
            except (TunerError, OSError):
                base = None
            yield f"run {summary.run}", summary.model, base


def _name(found: dict[str, ListedModel], path: str, base: Path | None) -> str:
    """The key of a model that somebody names, which is added when it is not there yet; empty for no name at all."""
    if not path.strip():
        return ""
    if path in found:
        return path
    try:
        resolved = resolve_model(path, base)
    except TunerError as error:
        found[path] = ListedModel(path, path, "absent", problem=error.sentence())
        return path
    folder = Path(resolved)
    if folder.is_absolute() and folder.is_dir():
        return _add(found, resolved, folder.name, "local", folder)
    problem = "" if is_repository_name(path) else "There is no such folder."
    found[path] = ListedModel(path, path, "absent", problem=problem)
    return path


def _add(
    found: dict[str, ListedModel], path: str, name: str, source: Literal["embedded", "local", "cache"], folder: Path
) -> str:
    """Adds a model unless its folder is there already; returns the key of the one that is."""
    try:
        place = str(folder.resolve())
    except OSError:
        place = str(folder)
    for key, known in found.items():
        if known.folder == place:
            return key
    try:
        facts = describe_model(str(folder))
        memory = {} if facts.bytes == 0 else usual_memory(shape_of(folder))
        found[path] = ListedModel(
            path, name, source, place, facts.bytes, facts.architecture, facts.dtype, facts.quantization,
            facts.parameters, memory, problem=facts.problems[0] if facts.problems and facts.bytes == 0 else "",
        )  # fmt: skip
    except (TunerError, OSError, ValueError) as error:
        sentence = error.sentence() if isinstance(error, TunerError) else str(error)
        found[path] = ListedModel(path, name, source, place, problem=sentence)
    return path
