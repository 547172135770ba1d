"""A small language to find runs by: words, `key:value`, comparisons, `-` or `!` for what shall not be, `sort:key`.

    state:finished lr>=1e-4 model:phi -tag:failed sort:best

Every term must hold. A query that cannot be understood is refused with what would be;
it never finds nothing by mistake.
"""

from __future__ import annotations

import difflib
import math
import operator
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from ..errors import TunerError
from .catalogue import RunSummary
from .state import RunState

Value = str | float | tuple[str, ...] | None
"""What a run has under a key: text, a number, several texts, or nothing."""

_TERM = re.compile(r"""^(?P<key>[A-Za-z_][\w.]*)(?P<how>>=|<=|!=|[:=<>])(?P<value>.*)$""", re.DOTALL)
_PIECE = re.compile(r"""(?:[^\s"]|"[^"]*"?)+""")
_AGE = re.compile(r"^(\d+(?:\.\d+)?)(m|h|d|w)$")
_UNITS = {"m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    ">": operator.gt, "<": operator.lt, ">=": operator.ge, "<=": operator.le, "=": operator.eq, "!=": operator.ne,
}  # fmt: skip

_SETTINGS = {
    "lr": "train.learning_rate",
    "rank": "adapter.rank",
    "layers": "adapter.layers",
    "method": "adapter.method",
    "batch": "train.batch_size",
    "iters": "train.iters",
    "epochs": "train.epochs",
    "mode": "train.mode",
    "data": "data.source",
    "seed": "run.seed",
}
"""Short names of settings that one often asks for."""

_FACTS: dict[str, Callable[[RunSummary], Value]] = {
    "run": lambda run: run.run,
    "name": lambda run: run.name,
    "state": lambda run: run.state.value,
    "model": lambda run: run.model,
    "tag": lambda run: run.labels.tags,
    "note": lambda run: run.labels.note,
    "verdict": lambda run: run.verdict or "",
    "sweep": lambda run: run.sweep,
    "step": lambda run: float(run.step),
    "steps": lambda run: float(run.steps),
    "best": lambda run: run.best,
    "created": lambda run: run.created,
    "duration": lambda run: run.duration,
    "ranks": lambda run: float(run.ranks),
}
_MOMENTS = ("created",)
_SPANS = ("duration",)
_FLAGS: dict[str, Callable[[RunSummary], bool]] = {
    "pinned": lambda run: run.labels.pinned,
    "archived": lambda run: run.labels.archived,
    "problem": lambda run: bool(run.problem),
    "note": lambda run: bool(run.labels.note),
    "tag": lambda run: bool(run.labels.tags),
    "sweep": lambda run: bool(run.sweep),
}

KEYS = (*_FACTS, *_SETTINGS, "is", "sort")


@dataclass(frozen=True)
class Query:
    """What was asked for.

    Attributes:
        terms: what must hold of a run.
        order: the keys to sort by, the first one foremost, each with whether it falls.
        archived: whether archived runs were asked for, which are left out otherwise.
    """

    terms: tuple[Callable[[RunSummary], bool], ...] = ()
    order: tuple[tuple[str, bool], ...] = ()
    archived: bool = False

    def find(self, runs: Iterable[RunSummary]) -> list[RunSummary]:
        """The runs that all terms hold of, in the order asked for; else as they come, pinned ones first.

        What a run does not have comes last, whichever way one sorts.
        """
        found = [
            run for run in runs if (self.archived or not run.labels.archived) and all(term(run) for term in self.terms)
        ]
        for key, falls in reversed(self.order):
            have = [run for run in found if value_of(run, key) is not None]
            lack = [run for run in found if value_of(run, key) is None]
            found = sorted(have, key=lambda run, key=key: _rank(value_of(run, key)), reverse=falls) + lack  # type: ignore[misc]
        return sorted(found, key=lambda run: not run.labels.pinned) if not self.order else found


def parse_query(text: str, now: float | None = None) -> Query:
    """What a text asks for; an empty one asks for all that is not archived.

    Args:
        now: the moment that ages such as `7d` count back from, in seconds since the epoch; else the present one.

    Raises:
        TunerError: `bad-query`, naming the term and what would be understood.
    """
    moment = datetime.now().timestamp() if now is None else now
    terms: list[Callable[[RunSummary], bool]] = []
    order: list[tuple[str, bool]] = []
    archived = False
    for piece in _PIECE.findall(text):
        wanted = not (piece[0] in "-!" and len(piece) > 1)
        plain = piece if wanted else piece[1:]
        match = _TERM.match(plain) if not plain.startswith('"') else None
        if match is None:
            term = _word(plain.replace('"', ""))
        else:
            key, how, value = match["key"].lower(), match["how"], match["value"].replace('"', "")
            if key == "sort":
                order.append(_sorted_by(value, wanted))
                continue
            if key == "is" and value.lower() == "archived":
                archived = archived or wanted
            term = _term(key, how, value, piece, moment)
        terms.append(term if wanted else _not(term))
    return Query(tuple(terms), tuple(order), archived)


def value_of(run: RunSummary, key: str) -> Value:
    """What a run has under a key of the language: a fact, a short name of a setting, or a setting in full."""
    if key in _FACTS:
        return _FACTS[key](run)
    value = run.settings.get(_SETTINGS.get(key, key))
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, list | tuple):
        return tuple(str(each) for each in value)
    return None if value is None else str(value)


def _rank(value: Value) -> tuple[int, float, str]:
    """Numbers before texts, so that mixed values can be sorted."""
    if isinstance(value, float | int):
        return (0, float(value), "")
    return (1, 0.0, " ".join(value) if isinstance(value, tuple) else str(value).casefold())


def _not(term: Callable[[RunSummary], bool]) -> Callable[[RunSummary], bool]:
    return lambda run: not term(run)


def _word(word: str) -> Callable[[RunSummary], bool]:
    """A word is looked for in what a person knows a run by."""
    sought = word.casefold()

    def holds(run: RunSummary) -> bool:
        places = (
            run.run,
            run.name,
            run.state,
            run.model,
            run.labels.note,
            *run.labels.tags,
            str(value_of(run, "data") or ""),
        )
        return any(sought in place.casefold() for place in places)

    return holds


def _sorted_by(value: str, rises: bool) -> tuple[str, bool]:
    key = value.lower()
    falls = not rises
    if key.startswith("-"):
        key, falls = key[1:], not falls
    _known(key, f"sort:{value}")
    return key, falls


def _known(key: str, term: str) -> None:
    """Refuses a key that no run can have."""
    if key in _FACTS or key in _SETTINGS or ("." in key and not key.endswith(".")):
        return
    near = difflib.get_close_matches(key, KEYS, 1)
    raise _refused(term, f"did you mean {near[0]}?" if near else "the keys are " + ", ".join(KEYS))


def _refused(term: str, fix: str) -> TunerError:
    return TunerError(f"“{term}” is not understood", code="bad-query", fix=fix, usage=True)


def _term(key: str, how: str, value: str, piece: str, now: float) -> Callable[[RunSummary], bool]:
    if key == "is":
        return _flag(value.lower(), piece)
    _known(key, piece)
    if not value:
        raise _refused(piece, f"say what {key} shall be, such as {key}{how}…")
    if key == "state" and how in (":", "=", "!="):
        _known_state(value.lower(), piece, whole=how != ":")
    if key in _MOMENTS:
        return _when(key, how, value, piece, now)
    if how in ("<", ">", "<=", ">="):
        bound = _span(value) if key in _SPANS else None
        least = bound if bound is not None else _number(value)
        if least is None:
            raise _refused(piece, f"{how} wants a number" + (" or a time such as 10m" if key in _SPANS else ""))
        return lambda run: _compared(value_of(run, key), _ORDER[how], least)
    number = _number(value)

    def equal(run: RunSummary) -> bool:
        have = value_of(run, key)
        if isinstance(have, float):
            return number is not None and math.isclose(have, number, rel_tol=1e-9)
        texts = have if isinstance(have, tuple) else (have or "",)
        sought = value.casefold()
        return any(sought in str(each).casefold() if how == ":" else sought == str(each).casefold() for each in texts)

    return _not(equal) if how == "!=" else equal


def _known_state(value: str, piece: str, *, whole: bool) -> None:
    """Refuses a word that is no state, nor, unless it shall be a whole one, the beginning of one."""
    states = [state.value for state in RunState]
    if value in states or (not whole and any(state.startswith(value) for state in states)):
        return
    near = difflib.get_close_matches(value, states, 1) or [state for state in states if state.startswith(value)]
    raise _refused(piece, f"did you mean {near[0]}?" if near else "the states are " + ", ".join(states))


def _flag(value: str, piece: str) -> Callable[[RunSummary], bool]:
    if value in _FLAGS:
        return _FLAGS[value]
    if value in [state.value for state in RunState]:
        return lambda run: run.state.value == value
    raise _refused(piece, "it can be is:" + ", is:".join([*_FLAGS, *(state.value for state in RunState)]))


def _compared(have: Value, how: Callable[[Any, Any], bool], number: float) -> bool:
    """What a run does not have is neither above nor below anything."""
    return isinstance(have, float | int) and bool(how(float(have), number))


def _number(text: str) -> float | None:
    try:
        found = float(text.replace("_", ""))
    except ValueError:
        return None
    return None if math.isnan(found) else found


def _span(text: str) -> float | None:
    """Seconds of a text such as `90m`."""
    match = _AGE.match(text.lower())
    return float(match[1]) * _UNITS[match[2]] if match else None


def _when(key: str, how: str, value: str, piece: str, now: float) -> Callable[[RunSummary], bool]:
    """A day, `today`, or an age: `created:today`, `created>=2026-03-01`, `created<7d` (younger than seven days)."""
    age = _span(value)
    if age is not None:
        if how not in ("<", ">", "<=", ">="):
            raise _refused(piece, f"write {key}<{value} for younger, {key}>{value} for older")
        # An age grows into the past, so the comparison of moments is turned round.
        turned = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}[how]
        return lambda run: _compared(value_of(run, key), _ORDER[turned], now - age)
    today = datetime.fromtimestamp(now).replace(hour=0, minute=0, second=0, microsecond=0)
    try:
        begin, end = _ends_of(value, today)
    except (ValueError, OverflowError, OSError):  # a year that the system's clock does not have, too
        raise _refused(piece, f"{key} wants a day such as 2026-03-01, today, or an age such as 7d") from None
    if begin == end and how in (":", "=", "!="):
        raise _refused(piece, f"write {key}>{value} for later, {key}<{value} for earlier")

    def holds(run: RunSummary) -> bool:
        have = value_of(run, key)
        if not isinstance(have, float | int):
            return False
        if how in (":", "=", "!="):
            return (begin <= have < end) is (how != "!=")
        if how in (">=", "<"):
            return bool(_ORDER[how](have, begin))
        return have >= end if how == ">" else have < end

    return holds


def _ends_of(text: str, today: datetime) -> tuple[float, float]:
    """When a day begins and when it is over, in seconds since the epoch; of a moment both are the same.

    Raises:
        ValueError, OverflowError, OSError: it is neither, or beyond what can be reckoned with.
    """
    day = {"today": today, "yesterday": today - timedelta(days=1)}.get(text.lower())
    if day is None:
        with suppress(ValueError):
            day = datetime.combine(date.fromisoformat(text), time())
    if day is None:
        moment = datetime.fromisoformat(text).timestamp()
        return moment, moment
    return day.timestamp(), (day + timedelta(days=1)).timestamp()
