"""The table `[sweep]` of a preset: which keys are tried with which values, and how. Read and checked, not expanded.

Like `[scale]` it is a table of a preset and no part of an experiment: what a run keeps is one of its combinations.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, TypeGuard, get_args

from pydantic import Field, ValidationError

from tui_tuner.config import describe
from tui_tuner.config.problems import Origin, Problem, as_error, inert, shown, unknown_key
from tui_tuner.config.suggest import nearest
from tui_tuner.config.types import Name, Section, TextMetric, Whole

SWEEP: Final = "sweep"
"""The table of a preset that says what a sweep tries."""
MOST: Final = 100
"""The most runs of one sweep: more than anybody waits for, and few enough to be read as a table."""
VALIDATION: Final = "validation_loss"
"""The metric that needs no test rows: the best validation loss of a run."""
METRICS: Final = (VALIDATION, *get_args(TextMetric), "loss", "perplexity")
"""What the runs of a sweep can be ranked by."""
_RANGE: Final = ("low", "high", "log")


class SweepTable(Section):
    """How a sweep goes through its values."""

    method: Literal["grid", "random"] = "grid"
    runs: Annotated[Whole, Field(ge=1, le=MOST)] | None = None
    seed: Annotated[Whole, Field(ge=0)] = 0
    metric: Name = VALIDATION


_WANTED: Final = {
    "method": '"grid", which tries every combination, or "random", which draws some',
    "runs": f"a whole number, 1 to {MOST}",
    "seed": "a whole number, 0 or more",
    "metric": f"one of {', '.join(METRICS)}",
    "values": "a table of keys with lists, such as train.learning_rate = [1e-4, 3e-4]",
}


@dataclass(frozen=True)
class Axis:
    """One key and what it is tried with: either a list, or a range that values are drawn from.

    Attributes:
        key: the dotted key of an experiment.
        values: the list; empty for a range.
        low, high: the bounds of a range, both inside it.
        log: whether a range is drawn from evenly in its logarithm.
        whole: whether the key takes whole numbers.
    """

    key: str
    values: tuple[Any, ...] = ()
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    whole: bool = False


@dataclass(frozen=True)
class Sweep:
    """What a preset's `[sweep]` says.

    Attributes:
        method: `grid` or `random`.
        runs: how many a random sweep draws; None for a grid.
        seed: of the drawing.
        metric: what the runs are ranked by at the end.
        axes: the keys that are tried, in the order of the file.
    """

    method: str
    runs: int | None
    seed: int
    metric: str
    axes: tuple[Axis, ...]


def read_sweep(table: Any, origin: Origin) -> Sweep:
    """The sweep that the table says.

    Args:
        table: the value of `sweep` in a preset.
        origin: where it stands; the lines of its keys are those under `("sweep", …)`.

    Raises:
        TunerError: everything that is wrong with it, with lines.
    """
    if not isinstance(table, Mapping):
        raise as_error([_problem((), "sweep is no table", "write its keys under [sweep]", origin)], origin)
    plain = {key: value for key, value in table.items() if key != "values"}
    problems: list[Problem] = []
    made = SweepTable()
    try:
        made = SweepTable.model_validate(plain)
    except ValidationError as error:
        problems += [_of_pydantic(each["loc"], each["type"], plain, origin) for each in error.errors()]
    else:
        problems += _contradictions(made, origin)
    axes = []
    values = table.get("values", {})
    if not isinstance(values, Mapping) or not values:
        message = "sweep.values is no table" if values else "[sweep] tries nothing"
        problems.append(_problem(("values",), message, f"give sweep.values {_WANTED['values']}", origin))
    else:
        for key, location, value in flat_values(values):
            axis, wrong = _axis(key, value, made.method)
            if axis is not None:
                axes.append(axis)
            problems += [_problem(location, message, fix, origin) for message, fix in wrong]
    if problems:
        raise as_error(problems, origin)
    return Sweep(made.method, made.runs, made.seed, made.metric, tuple(axes))


def _contradictions(made: SweepTable, origin: Origin) -> Iterator[Problem]:
    if made.method == "random" and made.runs is None:
        yield _problem((), "a random sweep does not say how many runs it draws", "add runs = 10 under [sweep]", origin)
    if made.method == "grid" and made.runs is not None:
        fix = 'leave it out, or set method = "random"'
        yield _problem(("runs",), "sweep.runs has no meaning for a grid, which runs every combination", fix, origin)
    if made.metric not in METRICS:
        near = nearest(made.metric, METRICS)
        fix = f'did you mean "{near}"?' if near else f"set it to {_WANTED['metric']}"
        yield _problem(("metric",), f"sweep.metric is {shown(made.metric)}, which runs are not ranked by", fix, origin)


def _of_pydantic(location: tuple[Any, ...], kind: str, plain: Mapping[str, Any], origin: Origin) -> Problem:
    key = str(location[0])
    if kind == "extra_forbidden":
        near = nearest(key, _WANTED)
        fix = f"did you mean {near}?" if near else f"[sweep] has {', '.join(_WANTED)}"
        if "." in key or describe.field(key) or key in [section.name for section in describe.sections()]:
            fix = "write what is tried under [sweep.values]"
        return _problem((key,), f'[sweep] has no key "{inert(key)}"', fix, origin)
    return _problem((key,), f"sweep.{key} is {shown(plain[key])}", f"set it to {_WANTED[key]}", origin)


def _problem(location: tuple[Any, ...], message: str, fix: str, origin: Origin) -> Problem:
    key = ".".join(("sweep", *(str(part) for part in location)))
    if text := origin.overrides.get(key):
        return Problem(key, message, fix, f"--set {inert(text)}")
    line = origin.line((SWEEP, *location))
    return Problem(key, message, fix, origin.place(line), line)


def flat_values(values: Mapping[str, Any]) -> Iterator[tuple[str, tuple[str, ...], Any]]:
    """Dotted key, where it stands in `[sweep]`, and value; `"train.iters"` and `train.iters` mean the same in TOML."""
    sections = [section.name for section in describe.sections()]
    for name, value in values.items():
        if isinstance(value, Mapping) and name in sections:
            for key, inner in value.items():
                yield f"{name}.{key}", ("values", name, key), inner
        else:
            yield name, ("values", name), value


def _axis(key: str, value: Any, method: str) -> tuple[Axis | None, list[tuple[str, str]]]:
    """The axis, or what is wrong with it: message and fix."""
    info = describe.field(key)
    if info is None:
        return None, [unknown_key(key)]
    if key == "run.name":
        return None, [("run.name cannot be swept", "leave it out: the runs of a sweep are numbered")]
    if isinstance(value, Mapping):
        return _range(info, value, method)
    if not isinstance(value, list) or not value:
        fix = f"give it a list of values, such as {key} = [{describe.in_toml(info.default)}]"
        return None, [(f"sweep.values.{key} is {shown(value)}, not a list", fix)]
    wrong = []
    for number, item in enumerate(value):
        if any(_same(item, other) for other in value[:number]):
            wrong.append((f"sweep.values.{key} names {shown(item)} twice", "name it once"))
    return (None, wrong) if wrong else (Axis(key, tuple(value)), [])


def _range(
    info: describe.FieldInfo, value: Mapping[str, Any], method: str
) -> tuple[Axis | None, list[tuple[str, str]]]:
    key = f"sweep.values.{info.key}"
    if unknown := [name for name in value if name not in _RANGE]:
        return None, [(f'{key} has no key "{inert(unknown[0])}"', "a range has low, high and, if you like, log = true")]
    if info.kind not in ("whole", "number"):
        return None, [(f"{key} is a range, but {info.key} takes {info.wanted}", "give it a list of values")]
    if method != "random":
        return None, [(f"{key} is a range, which a grid cannot try", 'give it a list, or set method = "random"')]
    low, high, log = value.get("low"), value.get("high"), value.get("log", False)
    if not (_number(low) and _number(high) and isinstance(log, bool)):
        return None, [(f"{key} is {shown(dict(value))}", "write it as { low = 1e-5, high = 1e-3, log = true }")]
    if not low < high:
        return None, [(f"{key} has a low of {shown(low)} and a high of {shown(high)}", "make low less than high")]
    if log and low <= 0:
        return None, [(f"{key} has a low of {shown(low)}, which has no logarithm", "make it more than 0")]
    whole = info.kind == "whole"
    if whole and not (float(low).is_integer() and float(high).is_integer()):
        return None, [(f"{key} has bounds that are no whole numbers", f"{info.key} takes whole numbers")]
    return Axis(info.key, low=float(low), high=float(high), log=log, whole=whole), []


def _number(value: Any) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _same(one: Any, other: Any) -> bool:
    return isinstance(one, bool) == isinstance(other, bool) and one == other
