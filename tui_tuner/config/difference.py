"""In which keys two experiments differ, and what a change would change.

Advice, the command `diff` and the screens tell differences from here, so that all tell the same ones in the same order.
It only compares: nothing here may change an experiment, or guess at what a value means.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tui_tuner.config import describe
from tui_tuner.config.model import Experiment


@dataclass(frozen=True)
class Difference:
    """One key that has two values.

    Attributes:
        key: the dotted key.
        old: the first value; None when it is not known.
        new: the second value.
    """

    key: str
    old: str | None
    new: str


def between(a: Experiment, b: Experiment) -> list[Difference]:
    """The keys in which two experiments differ, in the order of the form; values as TOML writes them."""
    pairs = [(info, describe.value_of(a, info), describe.value_of(b, info)) for info in describe.fields()]
    return [
        Difference(info.key, describe.in_toml(old), describe.in_toml(new)) for info, old, new in pairs if old != new
    ]


@dataclass(frozen=True)
class Across:
    """One key that does not have the same value everywhere.

    Attributes:
        key: the dotted key.
        values: of each experiment, as people read it; None where the experiment is not known.
    """

    key: str
    values: tuple[str | None, ...]


def across(experiments: Sequence[Experiment | None]) -> list[Across]:
    """The keys that two or more of any number of experiments differ in, in the order of the form."""
    known = [one for one in experiments if one is not None]
    found = []
    for info in describe.fields() if len(known) > 1 else ():
        first = describe.value_of(known[0], info)
        if any(describe.value_of(one, info) != first for one in known[1:]):
            values = (None if one is None else value_text(describe.value_of(one, info)) for one in experiments)
            found.append(Across(info.key, tuple(values)))
    return found


def of_change(change: Mapping[str, Any], experiment: Experiment | None) -> list[Difference]:
    """A change key by key, as it is given, beside what an experiment has; values as people read them."""
    tables = experiment.model_dump() if experiment is not None else {}
    found = []
    for key, new in change.items():
        section, _, name = key.partition(".")
        table = tables.get(section, {})
        found.append(Difference(key, value_text(table[name]) if name in table else None, value_text(new)))
    return found


def value_text(value: Any) -> str:
    """A setting as people read it: as TOML has it, but `1e-4` for 0.0001 and `fast` without quotes."""
    if isinstance(value, float) and 0 < abs(value) < 1e-2:
        mantissa, _, exponent = f"{value:.6e}".partition("e")
        return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"
    return value if isinstance(value, str) and value else describe.in_toml(value)
