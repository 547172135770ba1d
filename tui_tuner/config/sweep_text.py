"""The table `[sweep]` as text that a person edits: what a preset carries, a first one where it has none, what it means.

The text is apart from the experiment it is tried on: it holds that one table and nothing else. Nothing here writes a
file.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from tui_tuner.config import describe
from tui_tuner.config.model import Experiment
from tui_tuner.config.overrides import with_overrides
from tui_tuner.config.patch import brief
from tui_tuner.config.problems import Origin, inert
from tui_tuner.config.scales import SCALE
from tui_tuner.config.sweep import Trial, expand
from tui_tuner.config.sweep_table import SWEEP, VALIDATION, Sweep, flat_values, read_sweep
from tui_tuner.config.toml import preset_tables
from tui_tuner.errors import TunerError

_WHERE: Final = "the sweep"
_HEADING = re.compile(r"#\s*\[sweep(?:\.values)?\]\s*(?:#.*)?$")
_LINE = re.compile(r"#\s?(\s*(?:\[sweep(?:\.values)?\]|[\w\"'.-]+\s*=).*)$")
_REMARKS: Final = """\
# Each combination is a run.
# method = "random" draws some of them, with
# runs = 10 and seed = 0, say; a range will do
# then: { low = 1e-5, high = 1e-3, log = true }
"""
_FIRST: Final = "train.learning_rate"
_FACTORS: Final = {"number": (0.5, 1, 2), "whole": (0.5, 1, 2)}


def sweep_of(experiment: Experiment, text: str) -> tuple[Sweep, list[Trial]]:
    """The sweep that a text says, and the experiments that it means; checked as `load_sweep` checks a preset's.

    Args:
        experiment: what all of them have in common.

    Raises:
        TunerError: the text is wrong, with its line, or means impossible experiments, all of which are named.
    """
    found, _, lines = preset_tables(text, _WHERE, ())
    if others := [name for name in found if name != SWEEP]:
        line = lines.get((others[0],))
        raise TunerError(
            f'"{inert(others[0])}" is no part of a sweep',
            code="bad-sweep",
            where=f"{_WHERE}, line {line}" if line is not None else _WHERE,
            fix="write what is tried under [sweep.values], and anything else into the form",
        )
    origin = Origin(_WHERE, lines)
    sweep = read_sweep(found.get(SWEEP, {}), origin)
    tables, _, _ = preset_tables(brief(experiment), _WHERE, ())
    return sweep, expand(sweep, tables, (), origin)


def carried_sweep(text: str, overrides: Sequence[str] = ()) -> str:
    """The sweep that a preset's text carries, as text: its table, or one that is commented out; empty for none.

    Args:
        overrides: those the preset was loaded with; a scale among them has its own values.
    """
    with contextlib.suppress(TunerError):
        scale = [each for each in overrides if each.partition("=")[0].strip() == SCALE]
        table = preset_tables(text, _WHERE, scale)[0].get(SWEEP)
        if isinstance(table, Mapping) and table:
            return _told(table)
    return _commented(text)


def first_sweep(experiment: Experiment, key: str = "") -> str:
    """A sweep to begin with: over one key, around the value that it has.

    Args:
        key: the dotted key; another one is taken where it cannot be tried so.
    """
    info = describe.field(key)
    values = _around(experiment, info) if info is not None and info.section != "run" else []
    if len(values) < 2:
        info = describe.field(_FIRST)
        assert info is not None
        values = _around(experiment, info)
    assert info is not None
    table = {"method": "grid", "metric": VALIDATION, "values": {info.key: values}}
    return _REMARKS + _told(table)


def _around(experiment: Experiment, info: describe.FieldInfo) -> list[Any]:
    """Values to try for a key, its own among them, all of them possible."""
    now = describe.value_of(experiment, info)
    wanted: list[Any] = []
    if info.kind == "choice":
        wanted = list(info.choices)
    elif info.kind == "switch":
        wanted = [False, True]
    elif info.kind in _FACTORS and isinstance(now, (int, float)):
        made = [now * factor for factor in _FACTORS[info.kind]]
        wanted = [int(value) for value in made] if info.kind == "whole" else [float(f"{value:.3g}") for value in made]
    out: list[Any] = []
    for value in wanted:
        with contextlib.suppress(TunerError):
            with_overrides(experiment, [f"{info.key}={describe.in_toml(value)}"])
            if value not in out:
                out.append(value)
    return out


def _told(table: Mapping[str, Any]) -> str:
    """The table as text."""
    values = table.get("values", {})
    plain = [f"{key} = {describe.in_toml(value)}" for key, value in table.items() if key != "values"]
    tried = (
        [f"{key} = {describe.in_toml(value)}" for key, _, value in flat_values(values)]
        if isinstance(values, Mapping)
        else []
    )
    return "\n".join([f"[{SWEEP}]", *plain, "", f"[{SWEEP}.values]", *tried]) + "\n"


def _commented(text: str) -> str:
    """A table `[sweep]` that stands in a comment, without its number signs; empty for none that can be read."""
    lines = [line.strip() for line in text.splitlines()]
    at = next((number for number, line in enumerate(lines) if _HEADING.match(line)), None)
    if at is None:
        return ""
    out = []
    for line in lines[at:]:
        found = _LINE.match(line)
        if found is None and line.strip("# "):
            break  # prose, or what is no comment any more
        out.append(found.group(1) if found is not None else "")
    made = "\n".join(out).strip("\n") + "\n"
    with contextlib.suppress(TunerError):
        if SWEEP in preset_tables(made, _WHERE, ())[0]:
            return made
    return ""


def switched(text: str) -> str:
    """The text with a random sweep in the place of a grid, and the other way round."""
    lines = text.split("\n")
    at = next((number for number, line in enumerate(lines) if line.split("#")[0].strip() == f"[{SWEEP}]"), None)
    if at is None:
        lines, at = [f"[{SWEEP}]", *lines], 0
    end = next((number for number in range(at + 1, len(lines)) if lines[number].lstrip().startswith("[")), len(lines))
    own = [line for line in lines[at + 1 : end] if not re.match(r"\s*(?:method|runs|seed)\s*=", line)]
    random = any(re.match(r"\s*method\s*=\s*[\"']random", line) for line in lines[at + 1 : end])
    new = ['method = "grid"'] if random else ['method = "random"', "runs = 10", "seed = 0"]
    return "\n".join([*lines[: at + 1], *new, *own, *lines[end:]])
