"""How the next token is chosen, and where an answer ends; as a person sets it, by name and with its bounds.

Plain data, no mlx. Greedy is the default: two models are compared by what they say, not by what they happened to draw.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from tui_tuner.errors import TunerError

MAX_TOKENS = 256


@dataclass(frozen=True)
class Sampling:
    """Settings of one answer.

    Attributes:
        temperature: 0 is greedy; then the five that follow change nothing but for the penalty.
        top_p: tokens are drawn of the likeliest ones that together have this probability; 1 takes all.
        top_k: of this many likeliest tokens; 0 takes all.
        min_p: of those that have at least this share of the likeliest one's probability; 0 takes all.
        repetition_penalty: logits of tokens that came before are divided by it (or multiplied, below zero); 1 is none.
        max_tokens: cap on the answer's tokens.
        seed: of the drawing.
        stop: texts that end an answer where they begin; they are not part of it.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    max_tokens: int = MAX_TOKENS
    seed: int = 0
    stop: tuple[str, ...] = ()

    @property
    def greedy(self) -> bool:
        return self.temperature == 0

    def changed(self, name: str, text: str) -> Sampling:
        """With one setting as a person writes it.

        Args:
            name: of a setting; hyphens and case do not matter.
            text: its value; for `stop` a text, `\\n` in it a line's end, several parted by `|`, empty for none.

        Raises:
            TunerError: there is no such setting (names the nearest), or the value is none for it (names its bounds).
        """
        name = name.strip().lower().replace("-", "_")
        names = [each.name for each in fields(self)]
        if name not in names:
            near = difflib.get_close_matches(name, names, 1)
            raise TunerError(
                f'there is no setting "{name}"',
                code="unknown-setting",
                fix=f"did you mean {near[0]}?" if near else "the settings are " + ", ".join(names),
                usage=True,
            )
        if name == "stop":
            parts = tuple(part for part in text.replace("\\n", "\n").split("|") if part)
            return replace(self, stop=parts)
        low, high, whole = _BOUNDS[name]
        try:
            value = int(text) if whole else float(text)
        except ValueError:
            value = None
        if value is None or not low <= value <= high:
            kind = "a whole number" if whole else "a number"
            upto = f"from {low:g} to {high:g}" if high < _MANY else f"of at least {low:g}"
            raise TunerError(
                f"{name} must be {kind} {upto}, not {text.strip() or 'nothing'}",
                code="bad-setting",
                where=name,
                fix=f"it is {getattr(self, name):g} now",
                usage=True,
            )
        change: dict[str, Any] = {name: value}
        return replace(self, **change)

    def told(self) -> list[str]:
        """What differs from greedy answers of the usual length, in a few words each."""
        usual = GREEDY
        words = {name: name.replace("_", " ") for name in _BOUNDS}
        out = [
            f"{words[name]} {getattr(self, name):g}" for name in _BOUNDS if getattr(self, name) != getattr(usual, name)
        ]
        return [*out, *(["stop texts"] if self.stop else [])]

    def as_json(self) -> dict[str, Any]:
        """Its settings by name."""
        return {**asdict(self), "stop": list(self.stop)}


_MANY = 10**9
_BOUNDS: dict[str, tuple[float, float, bool]] = {
    "temperature": (0, 5, False),
    "top_p": (0.01, 1, False),
    "top_k": (0, 1_000_000, True),
    "min_p": (0, 1, False),
    "repetition_penalty": (0.1, 10, False),
    "max_tokens": (1, _MANY, True),
    "seed": (0, 2**32 - 1, True),
}

GREEDY = Sampling()

SETS: dict[str, Sampling] = {
    "greedy": GREEDY,
    "careful": Sampling(temperature=0.3, top_p=0.9),
    "balanced": Sampling(temperature=0.7, top_p=0.95),
    "lively": Sampling(temperature=1.0, min_p=0.05),
}
"""Sets by name that are always there. A set leaves the cap, the seed and the stop texts to the person."""

Own = Mapping[str, Mapping[str, float]]
"""Sets of a person's own, as the settings' file holds them: a set's name, and its settings by name."""

DRAWN = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty")
"""The settings that a set holds."""

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,23}")


def set_names(own: Own) -> list[str]:
    """All sets that there are, a person's own last."""
    return [*SETS, *(name for name in own if name not in SETS)]


def named_set(name: str, now: Sampling, own: Own | None = None) -> Sampling:
    """A set by name, with the cap, the seed and the stop texts that are in force.

    Raises:
        TunerError: there is no such set, or one of the person's own holds what is no setting.
    """
    name, own = name.strip(), own or {}
    chosen = SETS.get(name.lower())
    if chosen is None:
        written = own.get(name, own.get(name.lower()))
        if written is None:
            raise TunerError(
                f'there is no set of settings "{name}"',
                code="unknown-setting",
                fix="the sets are " + ", ".join(set_names(own)),
                usage=True,
            )
        chosen = GREEDY
        for setting, value in written.items():
            if setting not in DRAWN:
                raise TunerError(
                    f'the set "{name}" holds "{setting}", which no set does',
                    code="unknown-setting",
                    where="settings.toml",
                    fix="a set holds " + ", ".join(DRAWN),
                )
            chosen = chosen.changed(setting, f"{value:.10g}")
    return replace(chosen, max_tokens=now.max_tokens, seed=now.seed, stop=now.stop)


def kept_set(name: str, now: Sampling, own: Own) -> dict[str, dict[str, float]]:
    """A person's sets with one more, or with another one of this name.

    Raises:
        TunerError: the name is none for a set of one's own.
    """
    name = name.strip().lower()
    names = [each.name for each in fields(Sampling)]
    if not _NAME.fullmatch(name) or name in SETS or name in names or name in ("save", "drop"):
        taken = name in SETS or name in names
        raise TunerError(
            f'"{name}" is {"taken already" if taken else "no name for a set of settings"}',
            code="bad-setting",
            fix="take up to 24 letters, digits, - and _, a letter first",
            usage=True,
        )
    found = {each: float(getattr(now, each)) for each in DRAWN if getattr(now, each) != getattr(GREEDY, each)}
    return {**{each: dict(settings) for each, settings in own.items()}, name: found}


def dropped_set(name: str, own: Own) -> dict[str, dict[str, float]]:
    """A person's sets without one.

    Raises:
        TunerError: it is none of their own.
    """
    name = name.strip().lower()
    if name not in own:
        raise TunerError(
            f'there is no set of your own called "{name}"',
            code="unknown-setting",
            fix=("yours are " + ", ".join(own)) if own else "`/set save NAME` keeps the present settings as one",
            usage=True,
        )
    return {each: dict(settings) for each, settings in own.items() if each != name}
