"""Relative paths of an experiment, tied to the folder they were meant from.

A preset's paths count from its own folder, what is typed on a command line from the working directory, and what is kept
with a run must not depend on either. Names of repositories and of embedded things are never touched.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tui_tuner.config.describe import in_toml
from tui_tuner.config.model import Experiment
from tui_tuner.config.overrides import parse_override
from tui_tuner.config.reading import CHAT_TEMPLATES
from tui_tuner.paths import EMBEDDED, find_local

PATH_KEYS = ("model.path", "model.chat_template", "data.source", "adapter.start_from")


def anchored(experiment: Experiment, base: Path | None) -> Experiment:
    """A copy whose local paths are absolute, so that it means the same wherever it is read from.

    Args:
        experiment: stays as it is.
        base: the folder that relative paths are looked up in before the working directory.
    """
    copy = experiment.model_copy(deep=True)
    copy.model.path = _absolute(copy.model.path, base)
    if copy.model.chat_template not in CHAT_TEMPLATES:  # a folder may be called as a template is
        copy.model.chat_template = _absolute(copy.model.chat_template, base)
    copy.data.source = _absolute(copy.data.source, base)
    copy.adapter.start_from = _absolute(copy.adapter.start_from, base)
    return copy


def anchored_overrides(overrides: Sequence[str]) -> list[str]:
    """The overrides, with paths that exist under the working directory made absolute; errors as `parse_override`."""
    done = []
    for text in overrides:
        if text.partition("=")[0].strip() in PATH_KEYS:
            info, value = parse_override(text)
            if value not in CHAT_TEMPLATES and (path := _absolute(value, None)) != value:
                text = f"{info.key}={in_toml(path)}"
        done.append(text)
    return done


def _absolute(path: str, base: Path | None) -> str:
    if path.startswith(EMBEDDED):
        return path
    return str(found) if (found := find_local(path, base)) else path
