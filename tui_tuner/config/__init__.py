"""Experiments: what a preset holds, in and out of TOML, and what each key means.

Nothing here imports a training library: the config form and the command line's help must open at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui_tuner.lazy import lazily

if TYPE_CHECKING:
    from tui_tuner.config.anchor import anchored
    from tui_tuner.config.data_section import DataSection
    from tui_tuner.config.describe import FieldInfo, SectionInfo, field, fields, sections
    from tui_tuner.config.model import (
        AdapterSection,
        EvaluationSection,
        Experiment,
        ModelSection,
        ProbesSection,
        RunSection,
        TrainSection,
    )
    from tui_tuner.config.overrides import apply_overrides, parse_override, with_overrides
    from tui_tuner.config.presets import Preset, find_preset, list_presets, load_preset
    from tui_tuner.config.problems import Problem, explain
    from tui_tuner.config.toml import dump_experiment, experiment_from_text, load_experiment

__all__ = [
    "AdapterSection",
    "DataSection",
    "EvaluationSection",
    "Experiment",
    "FieldInfo",
    "ModelSection",
    "Preset",
    "ProbesSection",
    "Problem",
    "RunSection",
    "SectionInfo",
    "TrainSection",
    "anchored",
    "apply_overrides",
    "dump_experiment",
    "experiment_from_text",
    "explain",
    "field",
    "fields",
    "find_preset",
    "list_presets",
    "load_experiment",
    "load_preset",
    "parse_override",
    "sections",
    "with_overrides",
]

__getattr__ = lazily(
    __name__,
    {
        "AdapterSection": "model",
        "DataSection": "data_section",
        "EvaluationSection": "model",
        "Experiment": "model",
        "FieldInfo": "describe",
        "ModelSection": "model",
        "Preset": "presets",
        "ProbesSection": "model",
        "Problem": "problems",
        "RunSection": "model",
        "SectionInfo": "describe",
        "TrainSection": "model",
        "anchored": "anchor",
        "apply_overrides": "overrides",
        "dump_experiment": "toml",
        "experiment_from_text": "toml",
        "explain": "problems",
        "field": "describe",
        "fields": "describe",
        "find_preset": "presets",
        "list_presets": "presets",
        "load_experiment": "toml",
        "load_preset": "presets",
        "parse_override": "overrides",
        "sections": "describe",
        "with_overrides": "overrides",
    },
)
