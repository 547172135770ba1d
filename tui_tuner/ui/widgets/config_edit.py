"""How a value is changed: by steps, by what is typed, by lines of text. What is right, only the model says.

Pure functions. Every change goes through `with_overrides`, so that a form accepts and refuses what `--set` does.
"""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Iterator, Sequence
from typing import Any

from tui_tuner.config.describe import FieldInfo, in_toml, value_of
from tui_tuner.config.model import Experiment
from tui_tuner.config.overrides import with_overrides
from tui_tuner.errors import TunerError

_TRIES = 8
LISTS = ("texts", "choices", "wholes")
"""Kinds of values that are lists of single words, texts or numbers."""


def with_value(experiment: Experiment, info: FieldInfo, value: Any) -> Experiment:
    """The experiment with another value of a key.

    Raises:
        TunerError: it is not right, or does not go with the others.
    """
    return with_overrides(experiment, [f"{info.key}={in_toml(value)}"])


def with_typed(experiment: Experiment, info: FieldInfo, text: str) -> Experiment:
    """The experiment with what was typed for a key; nothing at all is the default, where there is one.

    Raises:
        TunerError: as `with_value`.
    """
    if info.kind == "text":
        return with_value(experiment, info, text)
    if not text.strip() and not info.required:
        return with_value(experiment, info, info.default)
    return with_overrides(experiment, [f"{info.key}={text}"])


def typed(info: FieldInfo, value: Any) -> str:
    """A value as a person would type it on one line."""
    return value if isinstance(value, str) and info.kind in ("text", "choice") else in_toml(value)


def refusal(error: TunerError) -> str:
    """Why a value was refused, without the place, which is known here."""
    text = f"{error.message}; {error.fix}" if error.fix else error.message
    text = text[:1].upper() + text[1:] if not error.message.split(" ")[0].count(".") else text
    return text if text.endswith((".", "?")) else f"{text}."


def stepped(experiment: Experiment, info: FieldInfo, by: int) -> Experiment | None:
    """The experiment with the value before (-1) or after (1) of a key, None where there is none.

    Words and switches go round; numbers take the steps a person would: doubles where it is a power of two, else 1, 2
    and 5 times a power of ten. What the model refuses is stepped over.
    """
    for value in _values(info, value_of(experiment, info), by):
        try:
            return with_value(experiment, info, value)
        except TunerError:
            continue
    return None


def _values(info: FieldInfo, value: Any, by: int) -> Iterator[Any]:
    if info.kind == "switch":
        yield not value
    elif info.kind == "choice":
        at = info.choices.index(value)
        yield from (info.choices[(at + by * step) % len(info.choices)] for step in range(1, len(info.choices)))
    elif info.kind in ("whole", "number"):
        whole = info.kind == "whole"
        for _ in range(_TRIES):
            value = _next_number(value, by, whole, info)
            if value is None:
                return
            yield value


def _next_number(value: float, by: int, whole: bool, info: FieldInfo) -> float | None:
    low = info.low if info.low is not None else -math.inf
    if value <= 0:
        if by < 0:
            return value - 1 if whole and value - 1 >= low else None
        return 1 if whole and value >= 0 else value + 1 if whole else 0.01 if (info.high or 2) <= 1 else 1.0
    if whole and by < 0 and value <= 1:
        return 0 if low <= 0 and value == 1 else None
    if whole and (_power_of_two(int(value)) or value < 2):
        found: float = int(value) * 2 if by > 0 else int(value) // 2
    else:
        found = _handy(value, by)
        if whole:
            found = max(round(found), 1)
    if not whole and by < 0 and low == 0 and not info.low_open and found < 1e-3 and (info.high or 2) <= 1:
        return 0.0
    return found if low <= found <= (info.high if info.high is not None else math.inf) else None


def _power_of_two(value: int) -> bool:
    return value > 0 and value & (value - 1) == 0


def _handy(value: float, by: int) -> float:
    """The next of 1, 2 and 5 times a power of ten."""
    power = math.floor(math.log10(value))
    steps = [float(f"{mantissa}e{power + shift}") for shift in (-1, 0, 1) for mantissa in (1, 2, 5)]
    near = value * 1e-9
    if by > 0:
        return min(step for step in steps if step > value + near)
    return max(step for step in steps if step < value - near)


# -- several lines ----------------------------------------------------------------------------------------------------


def can_be_lines(info: FieldInfo, value: Any) -> bool:
    """Whether a value can be written with an item a line; else it takes TOML."""
    if info.kind == "text":
        return True
    return all(isinstance(item, str) and item and not set("\r\n") & set(item) for item in value)


def as_lines(info: FieldInfo, value: Any) -> str:
    """A value as text of several lines: the text itself, or an item a line."""
    return str(value) if info.kind == "text" else "\n".join(map(str, value))


def as_toml(info: FieldInfo, value: Any) -> str:
    """A value as TOML, each item of a list on a line of its own."""
    if info.kind not in LISTS or not value:
        return in_toml(value)
    return "\n".join(["[", *(f"  {_long(item)}," for item in value), "]"])


def _long(item: Any) -> str:
    """An item as TOML; texts of several lines keep them."""
    if isinstance(item, str) and "\n" in item and "\r" not in item:
        inner = json.dumps(item, ensure_ascii=False)[1:-1].replace("\\n", "\n").replace("\x7f", "\\u007F")
        found = f'"""\n{inner}"""'
        try:
            if tomllib.loads(f"value = {found}")["value"] == item:
                return found
        except (tomllib.TOMLDecodeError, RecursionError):
            pass
    return in_toml(item)


def from_lines(experiment: Experiment, info: FieldInfo, text: str) -> Experiment:
    """The experiment with a value written as `as_lines` writes it; empty lines are no items.

    Raises:
        TunerError: as `with_value`.
    """
    if info.kind == "text":
        return with_value(experiment, info, text)
    items: Sequence[str] = [item for item in text.split("\n") if item.strip()]
    if info.kind == "wholes":
        return with_overrides(experiment, [f"{info.key}=[{', '.join(item.strip() for item in items)}]"])
    return with_value(experiment, info, items)


def from_toml(experiment: Experiment, info: FieldInfo, text: str) -> Experiment:
    """The experiment with a value written as TOML.

    Raises:
        TunerError: it is no TOML, or as `with_value`.
    """
    try:
        found = tomllib.loads(f"value = {text.strip()}\n")
    except (tomllib.TOMLDecodeError, RecursionError, ValueError):
        found = {}
    if set(found) != {"value"}:
        raise TunerError("this is no TOML value", code="bad-override", fix='write it like ["a", "b"]')
    return with_overrides(experiment, [f"{info.key}={text.strip()}"])
