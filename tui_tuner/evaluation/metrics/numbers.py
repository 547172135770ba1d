r"""Whether an answer gives the right number: which numbers a text holds, which is its answer, and when two are equal.

Numbers are compared as fractions, so 0.1 is one tenth and 3.50 is 3.5. What stands around a number (currency, units)
does not count. Words ("seven", "5 million") are not read, and a digit that ends a name ("Q4", "COVID-19") is no number.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

_GROUP = "[,'’_\u00a0\u2009\u202f]"  # between groups of three digits
_SIGNS = "-\u2212\u2013"
_CURRENCY = r"(?:[A-Z]{0,2}\p|USD|EUR|GBP|CHF|JPY|CNY|INR|Rs\.?)".replace(r"\p", "[$€£¥₹₩₽¢]")

_NUMBER = re.compile(
    rf"""
    (?=[\d.A-Z$€£¥₹₩₽¢+{_SIGNS}])                              # what a number begins with, looked at first
    (?<![^\W_]) (?<![^\W\d_][{_SIGNS}]) (?<!\d\.)             # not inside a name or another number
    (?P<sign>(?<![\w)])[{_SIGNS}+])?                          # a minus, not a range
    (?:{_CURRENCY}\s?)?
    (?P<late>[{_SIGNS}])?                                     # $-5
    (?P<whole>
        \d{{1,3}}(?P<mark>{_GROUP})\d{{3}}(?:(?P=mark)\d{{3}})*(?!\d)(?:\.\d+)?     # 1,234,567.8
      | \d{{1,2}}(?:,\d{{2}})+,\d{{3}}(?!\d)(?:\.\d+)?                             # 12,34,567
      | \d{{1,3}}(?:\.\d{{3}})+,\d+(?![\d,])                                       # 1.234,5
      | \d{{1,3}}(?:\.\d{{3}}){{2,}}(?![.,]?\d)                                    # 1.234.567
      | (?<!\d/)\d+/\d+(?![/\d])                                                   # 3/4
      | (?<!\d,)\d+,\d+(?![,.]?\d)                                                 # 12,5
      | \d+(?:\.\d+)?                                                              # 12.5
      | (?<!\d)\.\d+
    )
    (?P<power>[eE][-+\u2212]?\d+(?!\w))?
    (?P<percent>\s?(?:\\?%|٪|percent\b|per\scent\b))?
    """,
    re.VERBOSE,
)
_MARKED = re.compile(r"####[^\w\n]*(?=\d)")
_HEADING = re.compile(r"[.):]\s*\w")
_BOXED = re.compile(r"\\boxed\{(?P<rest>(?:[^{}]|\{[^{}]*\})*)\}")
_FRACTION = re.compile(r"\\[dt]?frac\{(\d+)\}\{(\d+)\}")


@dataclass(frozen=True)
class Number:
    """A number as it stands in a text: its value, and whether a percent sign follows."""

    value: Fraction
    percent: bool = False

    def equals(self, other: Number) -> bool:
        """Whether both mean the same; a percentage also equals its plain number and its hundredth."""
        if self.value == other.value:
            return True
        if self.percent == other.percent:
            return False
        share, plain = (self, other) if self.percent else (other, self)
        return share.value / 100 == plain.value


def numbers(text: str) -> list[Number]:
    """All numbers of a text, in their order."""
    plain = _FRACTION.sub(r"\1/\2", text.replace("{,}", ","))
    found = (_read(match) for match in _NUMBER.finditer(plain))
    return [number for number in found if number is not None]


def answer_number(text: str) -> Number | None:
    r"""The number that a text gives as its answer: behind "####" (as in GSM8K) or in the last \boxed{…}, else its last.

    None when it holds no number.
    """
    if (marked := _marked(text)) is not None:
        return marked
    boxed = [found[-1] for match in _BOXED.finditer(text) if (found := numbers(match["rest"]))]
    if boxed:
        return boxed[-1]
    return next(reversed(numbers(text)), None)


def _marked(text: str) -> Number | None:
    """The number behind the first "####" that is no heading, such as "#### 2. Then"."""
    for mark in _MARKED.finditer(text):
        line = text[mark.start() + 4 :].split("\n", 1)[0]
        match = _NUMBER.search(line)
        if match is not None and not _HEADING.match(line, match.end()):
            return _read(match)
    return None


def right_number(prediction: str, references: Sequence[str], which: str = "last") -> float | None:
    """1.0 or 0.0: whether the prediction gives the number of a reference; None where no reference has one.

    Args:
        prediction: what the model said.
        references: right answers, of which any will do.
        which: "last" looks at the prediction's answer alone, "any" at all its numbers.
    """
    wanted = [number for right in references if (number := answer_number(right)) is not None]
    if not wanted:
        return None
    if which == "any":
        said = numbers(prediction)
    else:
        last = answer_number(prediction)
        said = [last] if last is not None else []
    return float(any(one.equals(other) for one in said for other in wanted))


def _read(match: re.Match[str]) -> Number | None:
    text, mark = match["whole"], match["mark"]
    if mark is not None:
        text = text.replace(mark, "")
    elif text.count(",") > 1:
        text = text.replace(",", "")
    elif "," in text:  # a decimal comma
        text = text.replace(".", "").replace(",", ".")
    elif text.count(".") > 1:
        text = text.replace(".", "")
    try:
        value = Fraction(text)
        power = int((match["power"] or "e0")[1:].replace("\u2212", "-"))
    except (ValueError, ZeroDivisionError):
        return None
    if abs(power) > 400:  # no answer, and a number of that many digits would take long
        return None
    if power:
        value *= Fraction(10) ** power
    negative = any(match[name] and match[name].strip() in _SIGNS for name in ("sign", "late"))
    return Number(-value if negative else value, match["percent"] is not None)
