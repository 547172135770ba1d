"""What of a run's configuration a tracker is told: numbers, switches, choices and names.

Model, data and weights go by names that tell no place on the machine. Texts that somebody wrote (notes, templates,
system messages, probes, cases) go only where samples are wanted; a key that is added later goes nowhere until it is
named here.
"""

from __future__ import annotations

from typing import Any, Final

from tui_tuner import __version__
from tui_tuner.config import Experiment, describe
from tui_tuner.errors import without_secrets
from tui_tuner.models.card import public_name, without_places
from tui_tuner.runs import RunFolder
from tui_tuner.runs.files import read_object

_PLAIN: Final = frozenset({"choice", "choices", "whole", "wholes", "number", "switch"})
_NAMES: Final = frozenset(
    {
        *("run.name", "data.subset", "data.slice", "data.encoding", "data.delimiter", "data.fixes", "data.allow"),
        "adapter.targets",
    }
)
_PLACES: Final = frozenset({"model.path", "model.chat_template", "data.source", "adapter.start_from"})
_TEXTS: Final = frozenset(
    {
        *("run.notes", "data.prompt", "data.completion", "data.system", "data.filter", "data.group"),
        *("probes.prompts", "behaviour.cases"),
    }
)


def settings_to_tell(experiment: Experiment, samples: bool = False) -> dict[str, Any]:
    """The configuration as tables of plain values, without what is not to be told."""
    tables: dict[str, Any] = {}
    for info in describe.fields():
        if info.section == "tracking":
            continue
        value = describe.value_of(experiment, info)
        if info.key in _PLACES:
            value = public_name(value) if value else value
        elif not (info.kind in _PLAIN or info.key in _NAMES or (samples and info.key in _TEXTS)):
            continue
        tables.setdefault(info.section, {})[info.name] = _clean(value)
    return tables


def versions_to_tell(folder: RunFolder) -> dict[str, Any]:
    """The versions that a result depends on."""
    libraries = read_object(folder.meta).get("libraries")
    known = libraries if isinstance(libraries, dict) else {}
    return {"tui_tuner": __version__, **{str(name): version for name, version in known.items() if version}}


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return without_places(without_secrets(value))
    if isinstance(value, list | tuple):
        return [_clean(each) for each in value]
    if hasattr(value, "model_dump"):
        return _clean(value.model_dump(exclude_defaults=True))
    if isinstance(value, dict):
        return {key: _clean(each) for key, each in value.items()}
    return value
