"""What a person may wish the learning rate of a run to become: a rate, or a factor on the present one.

The screen, the command line, the requests of other processes and the training loop all read it here, so that none of
them takes what another would refuse. Nothing here knows a schedule: a wish is about the rate that is in force when it
is taken.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any, Final

from ..errors import TunerError
from .columns import number

HIGHEST: Final = 10.0
"""The highest learning rate that a configuration takes, and so the highest that may be wished for."""
EXAMPLES: Final = "write a rate such as 5e-6, or a factor such as x0.5 or /2"

_NUMBER = r"(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?"
_WISH = re.compile(rf"([x×*/]?)\s*({_NUMBER})", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True)
class RateWish:
    """A wish for another learning rate.

    Attributes:
        amount: the new rate, or what the present one is multiplied by; above zero.
        relative: whether it is a factor.
    """

    amount: float
    relative: bool = False

    @classmethod
    def parse(cls, text: str) -> RateWish:
        """Reads what a person types: `1e-5`, `0.00005`, `x0.5`, `/2`.

        Raises:
            TunerError: `bad-rate` (usage), when it is neither a rate nor a factor, or out of range.
        """
        found = _WISH.fullmatch(text.strip())
        if found is None:
            raise _bad("it is no learning rate", text)
        sign, amount = found[1], float(found[2])
        if sign == "/":
            amount = 1 / amount if amount else math.inf
        return cls._checked(amount, bool(sign), text)

    @classmethod
    def read(cls, value: Any) -> RateWish:
        """The wish that a request carries: a number, or a text as `parse` takes it.

        Raises:
            TunerError: `bad-rate` (usage), for anything else.
        """
        if isinstance(value, str):
            return cls.parse(value)
        amount = number(value)
        if amount is None:
            raise _bad("it is no learning rate", str(value))
        return cls._checked(amount, False, f"{amount:g}")

    @classmethod
    def _checked(cls, amount: float, relative: bool, text: str) -> RateWish:
        if not 0 < amount < math.inf:
            raise _bad("it is no number above zero", text)
        if not relative and amount > HIGHEST:
            raise _bad(f"a learning rate is at most {HIGHEST:g}", text)
        return cls(amount, relative)

    @property
    def value(self) -> float | str:
        """The wish as a request carries it."""
        return f"x{self.amount!r}" if self.relative else self.amount

    def rate(self, present: float) -> float:
        """The new rate, given the one in force; what is multiplied is rounded to seven digits, as a float32 has them.

        Raises:
            TunerError: `bad-rate` (usage), when a factor leads beyond the highest rate, or to nothing at all.
        """
        if not self.relative:
            return self.amount
        rate = float(f"{present * self.amount:.7g}")
        if not 0 < rate <= HIGHEST:
            raise _bad(
                f"it would make a rate of {rate:g}, which is not above 0 and at most {HIGHEST:g}", str(self.value)
            )
        return rate


def _bad(message: str, text: str) -> TunerError:
    return TunerError(message, code="bad-rate", where=f'"{text.strip()[:40]}"', fix=EXAMPLES, usage=True)
