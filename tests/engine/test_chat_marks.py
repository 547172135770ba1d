"""The marks of reasoning and of tool calls are those that mlx-lm knows."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re

import tui_tuner.models.libraries
from tui_tuner.chat.parts import USUAL


def test_every_form_of_a_call_that_mlx_lm_reads_is_known() -> None:
    tui_tuner.models.libraries.ready()
    parsers = importlib.import_module("mlx_lm.tool_parsers")
    found = {}
    for each in pkgutil.iter_modules(parsers.__path__):
        module = importlib.import_module(f"mlx_lm.tool_parsers.{each.name}")
        if start := getattr(module, "tool_call_start", None):
            found[start] = module.tool_call_end
    assert len(found) > 8
    assert {start: USUAL.calls.get(start) for start in found} == found


def test_every_form_of_reasoning_that_mlx_lm_reads_is_known() -> None:
    tui_tuner.models.libraries.ready()
    utils = importlib.import_module("mlx_lm.tokenizer_utils")
    source = inspect.getsource(utils._infer_thinking)
    pairs = re.findall(r'\("(<[^"]+)", "(<[^"]+)"\)', source)
    pairs += zip(
        re.findall(r'think_start = "([^"]+)"', source), re.findall(r'think_end = "([^"]+)"', source), strict=True
    )
    assert len(pairs) >= 5
    assert {start: USUAL.reasoning.get(start) for start, _ in pairs} == dict(pairs)
