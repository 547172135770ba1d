"""From a preset's `[sweep]` to the experiments that it means: every combination of a grid, or some drawn at random.

The same preset, overrides and seed give the same experiments, whatever the machine or the version of Python. Nothing
is returned unless every combination is a possible experiment.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from tui_tuner.config import describe
from tui_tuner.config.anchor import anchored_overrides
from tui_tuner.config.model import Experiment
from tui_tuner.config.overrides import apply_overrides, by_key, toml_value, validated
from tui_tuner.config.presets import Preset, find_preset, without_strange_consent
from tui_tuner.config.problems import SHOWN, Origin, inert
from tui_tuner.config.sweep_table import MOST, SWEEP, VALIDATION, Axis, Sweep, read_sweep
from tui_tuner.config.toml import preset_tables, read_text
from tui_tuner.errors import TunerError

_DRAWS: Final = 200  # for each run that is wanted: after so many without a new one there are hardly any left
_DIGITS: Final = 3  # of a number that is drawn: a learning rate with more says nothing and cannot be read


@dataclass(frozen=True)
class Trial:
    """One combination.

    Attributes:
        number: from 1, in the order of the sweep.
        values: dotted key → value, for the keys that are swept.
        experiment: the whole experiment, named `<name>-<number>`.
    """

    number: int
    values: dict[str, Any]
    experiment: Experiment


def load_sweep(name_or_path: str, overrides: Sequence[str] = ()) -> tuple[Sweep, list[Trial], Preset]:
    """The sweep of a preset and what it expands to.

    Args:
        name_or_path: as `find_preset` takes it.
        overrides: `key=value` texts. A key that is swept is fixed by one; `sweep.runs=5` and the like change the sweep
            itself, and `sweep.values.KEY=[…]` adds a key to it.

    Raises:
        TunerError: the preset is wrong, has no sweep, or means an impossible experiment; all of those are named.
    """
    preset = find_preset(name_or_path)
    where = str(preset.path)
    about = [text for text in overrides if _key(text).startswith(f"{SWEEP}.")]
    others = anchored_overrides([text for text in overrides if text not in about])
    tables, others, lines = preset_tables(read_text(preset.path), where, others)
    missing = SWEEP not in tables and not about
    table = _with_overrides(tables.pop(SWEEP, {}), about)
    if missing:
        raise TunerError(
            f"the preset {preset.name} has no table [sweep]",
            code="no-sweep",
            where=where,
            fix="add [sweep.values] with keys and lists, or --set 'sweep.values.train.learning_rate=[1e-4, 3e-4]'",
            usage=True,
        )
    fixed = {_key(text) for text in others}
    sweep = read_sweep(_without(table, fixed), Origin(where, lines, by_key(about)))
    trials = expand(sweep, tables, others, Origin(where, lines, by_key(others)))
    own = (without_strange_consent(trial.experiment, preset.path, overrides) for trial in trials)
    return sweep, [replace(trial, experiment=one) for trial, one in zip(trials, own, strict=True)], preset


def expand(sweep: Sweep, tables: Mapping[str, Any], overrides: Sequence[str], origin: Origin) -> list[Trial]:
    """The experiments that a sweep means, in its order: a grid's last key changes fastest.

    Args:
        tables: the preset's, without `scale` and `sweep`.
        overrides: `key=value` texts for all of them.
        origin: where the values are from, for errors.

    Raises:
        TunerError: too many, too few, or impossible combinations.
    """
    plain = apply_overrides(tables, overrides)
    combinations = list(_grid(sweep.axes, origin) if sweep.method == "grid" else _drawn(sweep, origin))
    digits = max(2, len(str(len(combinations))))
    trials: list[Trial] = []
    wrong: list[tuple[int, dict[str, Any], TunerError]] = []
    for number, values in enumerate(combinations, 1):
        try:
            experiment = validated(_placed(plain, values), Origin(origin.where, overrides=origin.overrides))
        except TunerError as error:
            wrong.append((number, values, error))
            continue
        run = experiment.run.model_copy(update={"name": f"{experiment.run.name}-{number:0{digits}}"})
        trials.append(Trial(number, values, experiment.model_copy(update={"run": run})))
    if wrong:
        if not trials and len({error.message for _, _, error in wrong}) == 1:
            validated(_placed(plain, combinations[0]), origin)  # what is wrong in all of them has a line
        raise _impossible(wrong, len(combinations), origin)
    _must_be_measured(sweep, trials[0].experiment, origin)
    return trials


def tell(values: Mapping[str, Any]) -> str:
    """A combination on one line, such as `adapter.rank=8, train.iters=200`."""
    return ", ".join(f"{key}={describe.in_toml(value)}" for key, value in values.items())


# -- combinations -----------------------------------------------------------------------------------------------------
def _grid(axes: Sequence[Axis], origin: Origin) -> Iterator[dict[str, Any]]:
    total = math.prod(len(axis.values) for axis in axes)
    if total > MOST:
        sizes = " × ".join(str(len(axis.values)) for axis in axes)
        raise _wrong(
            f"the grid has {total:,} combinations ({sizes}), more than {MOST}",
            'name fewer values, or set method = "random" with runs',
            origin,
        )
    for index in range(total):
        yield _combination(axes, index)


def _combination(axes: Sequence[Axis], index: int) -> dict[str, Any]:
    found = {}
    for axis in reversed(axes):
        index, at = divmod(index, len(axis.values))
        found[axis.key] = axis.values[at]
    return {axis.key: found[axis.key] for axis in axes}


def _drawn(sweep: Sweep, origin: Origin) -> list[dict[str, Any]]:
    """Different combinations. Only `random()` is drawn from, the one method whose numbers Python promises to keep."""
    chance = random.Random(sweep.seed)
    wanted = sweep.runs or 1
    found: dict[tuple[str, ...], dict[str, Any]] = {}
    for _ in range(wanted * _DRAWS):
        values = {axis.key: _draw(axis, chance.random()) for axis in sweep.axes}
        found.setdefault(tuple(describe.in_toml(value) for value in values.values()), values)
        if len(found) == wanted:
            return list(found.values())
    if all(axis.values for axis in sweep.axes) and (total := math.prod(len(a.values) for a in sweep.axes)) >= wanted:
        # Chance alone is slow to find the last ones; they follow in the order of the grid.
        for index in range(min(total, MOST * _DRAWS)):
            values = _combination(sweep.axes, index)
            found.setdefault(tuple(describe.in_toml(value) for value in values.values()), values)
            if len(found) == wanted:
                return list(found.values())
    raise _wrong(
        f"sweep.runs is {wanted}, but there are hardly more than {len(found)} different combinations",
        "lower it, or widen the values",
        origin,
    )


def _draw(axis: Axis, chance: float) -> Any:
    if axis.values:
        return axis.values[int(chance * len(axis.values))]
    low, high = (axis.low, axis.high + 1 if axis.whole else axis.high)
    value = math.exp(math.log(low) + chance * math.log(high / low)) if axis.log else low + chance * (high - low)
    if axis.whole:
        return int(min(max(math.floor(value), axis.low), axis.high))
    return min(max(float(f"{value:.{_DIGITS}g}"), axis.low), axis.high)


def _placed(tables: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    placed = {name: dict(table) if isinstance(table, Mapping) else table for name, table in tables.items()}
    for key, value in values.items():
        section, _, name = key.partition(".")
        table = placed.setdefault(section, {})
        if isinstance(table, dict):
            table[name] = value
    return placed


# -- overrides of the sweep itself ------------------------------------------------------------------------------------
def _key(text: str) -> str:
    return text.partition("=")[0].strip()


def _with_overrides(table: Any, overrides: Sequence[str]) -> Any:
    if not isinstance(table, Mapping):
        return table
    changed = dict(table)
    values = dict(changed["values"]) if isinstance(changed.get("values"), Mapping) else changed.get("values", {})
    for text in overrides:
        name, equals, raw = text.partition("=")
        name = name.strip().removeprefix(f"{SWEEP}.")
        if not equals or not raw.strip():
            raise TunerError(
                "a change needs the form key=value",
                code="bad-override",
                where=f"--set {inert(text)}",
                fix="write it like sweep.runs=10",
                usage=True,
            )
        parsed, value = toml_value(raw.strip())
        value = value if parsed else raw.strip()
        if name.startswith("values.") and isinstance(values, dict):
            values = _without_key(values, name.removeprefix("values."))
            values[name.removeprefix("values.")] = value
        else:
            changed[name] = value
    if values:
        changed["values"] = values
    return changed


def _without(table: Any, fixed: set[str]) -> Any:
    """The table without the keys that an override has fixed."""
    if not isinstance(table, Mapping) or not isinstance(table.get("values"), Mapping):
        return table
    values = dict(table["values"])
    for key in fixed:
        values = _without_key(values, key)
    return {**table, "values": values}


def _without_key(values: Mapping[str, Any], key: str) -> dict[str, Any]:
    section, _, name = key.partition(".")
    left = {each: value for each, value in values.items() if each != key}
    if isinstance(left.get(section), Mapping):
        left[section] = {each: value for each, value in left[section].items() if each != name}
        if not left[section]:
            del left[section]
    return left


# -- errors -----------------------------------------------------------------------------------------------------------
def _impossible(wrong: Sequence[tuple[int, dict[str, Any], TunerError]], total: int, origin: Origin) -> TunerError:
    """All impossible combinations as one failure; those that fail alike are told once."""
    alike: dict[str, list[tuple[int, dict[str, Any]]]] = {}
    for number, values, error in wrong:
        clause = f"{error.message}; {error.fix}" if error.fix else error.message
        alike.setdefault(clause, []).append((number, values))
    told = []
    for clause, which in list(alike.items())[:SHOWN]:
        more = f" and {len(which) - 1} more" if len(which) > 1 else ""
        told.append(f"Number {which[0][0]} ({tell(which[0][1])}){more}: {clause.rstrip('.')}.")
    if len(alike) > SHOWN:
        told.append(f"And {len(alike) - SHOWN} more reasons.")
    message = f"{len(wrong)} of {total} combinations are impossible, so nothing is queued. {' '.join(told)}"
    return _wrong(message, "", origin)


def _must_be_measured(sweep: Sweep, experiment: Experiment, origin: Origin) -> None:
    if sweep.metric == VALIDATION or sweep.metric in ("loss", "perplexity"):
        measured = sweep.metric == VALIDATION or experiment.evaluation.enabled
    else:
        measured = experiment.evaluation.enabled and sweep.metric in experiment.evaluation.metrics
    if not measured:
        raise _wrong(
            f"sweep.metric is {sweep.metric}, which these runs do not measure",
            f'add it to evaluation.metrics, or set metric = "{VALIDATION}"',
            origin,
            "metric",
        )


def _wrong(message: str, fix: str, origin: Origin, key: str = "values") -> TunerError:
    return TunerError(message, code="bad-sweep", where=origin.place(origin.line((SWEEP, key))), fix=fix)
