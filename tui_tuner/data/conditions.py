"""Conditions on a record, for filters and for parts of a template: `yards > 0`, `category != "closed_qa" and input`.

A small language of its own instead of an evaluator of Python's, so that a preset from a stranger can only look values
up and compare them. What it knows:

- a column or a path in it (`player.name`; in backticks where the name has spaces: `` `First name` ``), alone: whether
  there is anything in it;
- `==  !=  <  <=  >  >=`, `contains`, `startswith`, `endswith`, `in (…, …)` with texts in quotes, numbers, true, false,
  null;
- `length(path)`: characters of a text, items of a list;
- `not`, `and`, `or`, and brackets.

Values compare as numbers where both sides are numbers or texts that are written as such (a CSV has only texts), else as
texts. A value that is missing or empty is less than nothing and equals only null.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tui_tuner.data.lookup import is_empty, look_up
from tui_tuner.errors import TunerError

Test = Callable[[Mapping[str, Any]], Any]

_TOKEN = re.compile(
    r"""\s*(?:(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(?P<number>-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.]))"""
    r"""|(?P<sign>==|!=|<=|>=|<|>|=|\(|\)|,)|`(?P<quoted>[^`]+)`|(?P<word>[^\s()<>=!,"'`]+)|(?P<bad>\S))"""
)
_ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_WORDS: dict[str, Callable[[str, str], bool]] = {
    "contains": operator.contains,
    "startswith": str.startswith,
    "endswith": str.endswith,
}
_CONSTANTS = {"true": True, "false": False, "null": None, "none": None}
_DEEPEST = 50


@dataclass(frozen=True)
class Condition:
    """A condition that has been read.

    Attributes:
        text: as it was written.
        paths: the columns it looks at.
    """

    text: str
    paths: frozenset[str]
    _test: Test

    @classmethod
    def parse(cls, text: str) -> Condition:
        """Reads a condition.

        Raises:
            TunerError: it is malformed; names the place and what was expected (code "bad-condition").
        """
        parser = _Parser(text)
        test = parser.whole()
        return cls(text, frozenset(parser.paths), test)

    def holds(self, record: Mapping[str, Any]) -> bool:
        """Whether a record meets it."""
        return _truth(self._test(record))


@dataclass(frozen=True)
class _Token:
    kind: str
    value: str
    start: int


class _Parser:
    """Reads by recursive descent: or, and, not, comparison, value."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.paths: set[str] = set()
        self._tokens = list(_tokens(text))
        self._at = 0
        self._depth = 0

    def whole(self) -> Test:
        if not self._tokens:
            raise self._wrong("is empty", 0)
        test = self._either()
        if (token := self._peek()) is not None:
            raise self._wrong(f'has "{token.value}" where it should end', token.start)
        return test

    def _either(self) -> Test:
        self._go_down()
        tests = [self._all()]
        while self._word("or"):
            tests.append(self._all())
        self._depth -= 1
        return tests[0] if len(tests) == 1 else lambda record: any(_truth(test(record)) for test in tests)

    def _all(self) -> Test:
        tests = [self._not()]
        while self._word("and"):
            tests.append(self._not())
        return tests[0] if len(tests) == 1 else lambda record: all(_truth(test(record)) for test in tests)

    def _not(self) -> Test:
        negations = 0
        while self._word("not"):
            negations += 1
        test = self._comparison()
        if not negations:
            return test
        return lambda record: _truth(test(record)) is (negations % 2 == 0)

    def _comparison(self) -> Test:
        left = self._value()
        token = self._peek()
        if token is None:
            return left
        if token.kind == "sign" and token.value in ("==", "=", "!=", *_ORDERS):
            self._at += 1
            return _compared(left, "==" if token.value == "=" else token.value, self._value())
        negated = token.kind == "word" and token.value.lower() == "not"
        following = self._tokens[self._at + 1] if negated and self._at + 1 < len(self._tokens) else token
        word = following.value.lower() if following.kind == "word" else ""
        if word not in _WORDS and word != "in":
            return left
        self._at += 2 if negated else 1
        if word == "in":
            choices = self._choices()
            test: Test = lambda record: any(_equal(left(record), choice(record)) for choice in choices)  # noqa: E731
        else:
            right = self._value()
            test = lambda record: _WORDS[word](_as_text(left(record)), _as_text(right(record)))  # noqa: E731
        return (lambda record: not test(record)) if negated else test

    def _choices(self) -> list[Test]:
        self._expect("(")
        choices = [self._value()]
        while self._sign(","):
            choices.append(self._value())
        self._expect(")")
        return choices

    def _value(self) -> Test:
        token = self._peek()
        if token is None:
            raise self._wrong("breaks off", len(self.text))
        self._at += 1
        if token.kind == "sign" and token.value == "(":
            inner = self._either()
            self._expect(")")
            return inner
        if token.kind == "text":
            return _constant(re.sub(r"\\(.)", r"\1", token.value[1:-1]))
        if token.kind == "number":
            return _constant(float(token.value))
        if token.kind == "quoted":
            return self._path(token.value)
        if token.kind == "word":
            if token.value.lower() in _CONSTANTS:
                return _constant(_CONSTANTS[token.value.lower()])
            if token.value.lower() in ("length", "len") and self._sign("("):
                self._go_down()
                inner = self._value()
                self._depth -= 1
                self._expect(")")
                return lambda record: _length(inner(record))
            return self._path(token.value)
        raise self._wrong(f'has "{token.value}" where a column or a value should be', token.start)

    def _path(self, path: str) -> Test:
        self.paths.add(path)
        return lambda record: look_up(record, path)

    def _go_down(self) -> None:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise self._wrong("is nested too deeply", 0)

    def _peek(self) -> _Token | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _word(self, word: str) -> bool:
        token = self._peek()
        if token is not None and token.kind == "word" and token.value.lower() == word:
            self._at += 1
            return True
        return False

    def _sign(self, sign: str) -> bool:
        token = self._peek()
        if token is not None and token.kind == "sign" and token.value == sign:
            self._at += 1
            return True
        return False

    def _expect(self, sign: str) -> None:
        if not self._sign(sign):
            token = self._peek()
            found = f'has "{token.value}"' if token is not None else "breaks off"
            raise self._wrong(f'{found} where "{sign}" should be', token.start if token is not None else len(self.text))

    def _wrong(self, message: str, position: int) -> TunerError:
        return TunerError(
            f'the condition "{self.text}" {message} (character {position + 1})',
            code="bad-condition",
            fix='write it as column > 0, column == "text", or column contains "text"; join with and, or, not',
            usage=True,
        )


def _tokens(text: str) -> list[_Token]:
    found = []
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup
        if kind is not None:
            found.append(_Token(kind, match[kind], match.start(kind)))
    return found


def _constant(value: Any) -> Test:
    return lambda _record: value


def _truth(value: Any) -> bool:
    """A condition's own true or false; of a value, whether there is anything in it."""
    return value if isinstance(value, bool) else not is_empty(value)


def _compared(left: Test, sign: str, right: Test) -> Test:
    if sign == "==":
        return lambda record: _equal(left(record), right(record))
    if sign == "!=":
        return lambda record: not _equal(left(record), right(record))
    order = _ORDERS[sign]

    def test(record: Mapping[str, Any]) -> bool:
        a, b = left(record), right(record)
        if is_empty(a) or is_empty(b):
            return False
        x, y = _as_number(a), _as_number(b)
        return order(x, y) if x is not None and y is not None else order(_as_text(a), _as_text(b))

    return test


def _equal(a: Any, b: Any) -> bool:
    if is_empty(a) or is_empty(b):
        return is_empty(a) and is_empty(b)
    if isinstance(a, bool) or isinstance(b, bool):
        return _as_text(a).lower() == _as_text(b).lower()
    # A number in the condition compares by value; two texts compare as texts, so that "007" is not "7".
    if not (isinstance(a, str) and isinstance(b, str)):
        x, y = _as_number(a), _as_number(b)
        if x is not None and y is not None:
            return x == y
    return _as_text(a) == _as_text(b)


def _as_number(value: Any) -> int | float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return value
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return None
    return None


def _as_text(value: Any) -> str:
    if is_empty(value):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, list):
        return ", ".join(map(_as_text, value))
    return str(value)


def _length(value: Any) -> float:
    return float(len(value)) if isinstance(value, str | list | dict) else 0.0
