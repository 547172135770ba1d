"""What became of each key of another tool's file, and the experiment that it makes.

A key that a file has is in the report: as it was taken, as it was changed on the way, or with the reason why it was
not. It must never let one vanish, nor put in a value that the file does not say without telling.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from tui_tuner.config import describe
from tui_tuner.config.anchor import anchored, anchored_overrides
from tui_tuner.config.interchange.reading import leaves
from tui_tuner.config.model import Experiment
from tui_tuner.config.overrides import apply_overrides, by_key, validated
from tui_tuner.config.problems import Origin, inert
from tui_tuner.errors import TunerError

Fate = Literal["mapped", "changed", "default", "not mapped"]
SIGNS: Final[dict[Fate, str]] = {"mapped": "=", "changed": "~", "default": "+", "not mapped": "✗"}
"""The sign before a line of the report."""

_REQUIRED = ("model.path", "data.source")


@dataclass(frozen=True)
class Entry:
    """What became of one key.

    Attributes:
        key: as the file has it, dotted.
        value: as the file has it; of a default, the other tool's.
        fate: "mapped": it means the same here; "changed": it was brought over with a difference that the note tells;
            "default": the file does not have it, and the other tool's default is not ours; "not mapped": left out.
        ours: the key here; empty where it has none.
        becomes: the value here.
        note: what was changed, what the other tool would have done, or why it is left out; may be empty.
        warning: whether a person should read the note before a run.
    """

    key: str
    value: Any
    fate: Fate
    ours: str = ""
    becomes: Any = None
    note: str = ""
    warning: bool = False

    def line(self) -> str:
        """The entry in a line for people."""
        mark = "!" if self.warning else SIGNS[self.fate]
        became = f" → {self.ours} = {inert(describe.in_toml(self.becomes))}" if self.ours else ""
        said = f": {self.note}" if self.note else ""
        return f"{mark} {inert(self.key)} = {inert(_shown(self.value))}{became}{said}"

    def as_json(self) -> dict[str, Any]:
        """The entry as the command prints it."""
        told = {"key": self.key, "value": self.value, "fate": self.fate, "warning": self.warning, "note": self.note}
        return {**told, "ours": self.ours or None, "becomes": self.becomes}


@dataclass(frozen=True)
class Imported:
    """A file of another tool, brought over.

    Attributes:
        dialect: whose file it is, as in `importing.DIALECTS`.
        sure: how surely that was told by its keys: "certain", "likely", or "given" when a person said it.
        tables: the experiment's tables, as far as the file goes.
        entries: what became of each of its keys, in their order, then the defaults.
        notes: sentences about the whole.
        where: the file.
    """

    dialect: str
    sure: str
    tables: Mapping[str, Mapping[str, Any]]
    entries: tuple[Entry, ...]
    notes: tuple[str, ...] = ()
    where: str = ""

    @property
    def missing(self) -> tuple[str, ...]:
        """Keys that an experiment needs and that the file does not give."""
        return tuple(
            key for key in _REQUIRED if key.partition(".")[2] not in self.tables.get(key.partition(".")[0], {})
        )

    @property
    def warnings(self) -> tuple[Entry, ...]:
        """What a person should read before a run."""
        return tuple(entry for entry in self.entries if entry.warning)

    def experiment(self, overrides: Sequence[str] = (), base: Path | None = None) -> Experiment:
        """The experiment, relative paths made absolute from `base` or the working directory.

        Raises:
            TunerError: `import-incomplete` when the file names no model or no data, or it makes no valid experiment.
        """
        given = {text.partition("=")[0].strip() for text in overrides}
        if lacking := [key for key in self.missing if key not in given]:
            what = " and ".join({"model.path": "no model", "data.source": "no data"}[key] for key in lacking)
            raise TunerError(
                f"it names {what} that can be brought over",
                code="import-incomplete",
                where=self.where,
                fix="add " + " and ".join(f"--set {key}=…" for key in lacking),
                usage=True,
            )
        words = anchored_overrides(overrides)
        made = validated(apply_overrides(self.tables, words), Origin(self.where, overrides=by_key(words)))
        return anchored(made, base)

    def as_json(self) -> dict[str, Any]:
        """The report as the command prints it."""
        return {
            "dialect": self.dialect,
            "sure": self.sure,
            "entries": [entry.as_json() for entry in self.entries],
            "notes": list(self.notes),
            "missing": list(self.missing),
        }


@dataclass
class Ledger:
    """The books of one import: what the file says, what was made of it, and what is left to be told.

    Attributes:
        values: every value of the file by its dotted key.
        tables: the experiment's tables so far.
        entries: what became of keys, by key.
        notes: sentences about the whole.
        base: the folder that relative paths are looked up in before the working directory.
    """

    values: dict[str, Any]
    tables: dict[str, dict[str, Any]] = field(default_factory=dict)
    entries: dict[str, Entry] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    base: Path | None = None

    @classmethod
    def of(cls, values: Mapping[str, Any], base: Path | None = None) -> Ledger:
        """The books of a file's values; relative paths are looked up in `base` before the working directory."""
        found: dict[str, Any] = {}
        for key, value in leaves(values):
            while key in found:  # "a.b" beside a table a that has b
                key += " (again)"
            found[key] = value
        return cls(found, base=base)

    def has(self, key: str) -> bool:
        """Whether the file gives the key a value; null is none."""
        return self.values.get(key) is not None

    def open(self) -> list[str]:
        """The keys that nothing was said of yet, in the file's order."""
        return [key for key in self.values if key not in self.entries]

    def ours(self, key: str) -> Any:
        """What a key of the experiment has been set to, or None."""
        section, _, name = key.partition(".")
        return self.tables.get(section, {}).get(name)

    def put(
        self, key: str, ours: str, value: Any, note: str = "", *, warning: bool = False, default: bool = False
    ) -> bool:
        """Sets a key of the experiment to what a key of the file makes of it; False when it cannot take the value."""
        info = describe.field(ours)
        if info is None:
            raise KeyError(ours)
        took, made = taken(info, value)
        if not took:
            said = f"{ours} takes {info.wanted}"
            self.leave(key, f"{said}; {note}" if note else said, warning=True)
            return False
        self.tables.setdefault(info.section, {})[info.name] = made
        told = self.values.get(key)
        same = not note and type(told) is type(made) and told == made
        fate: Fate = "default" if default else "mapped" if same or (not note and _alike(told, made)) else "changed"
        self.entries[key] = Entry(key, value if default else told, fate, ours, made, note, warning)
        return True

    def keep(self, key: str, note: str) -> None:
        """Says that a key means here what it means there, without a key of its own."""
        self.entries[key] = Entry(key, self.values.get(key), "mapped", note=note)

    def leave(self, key: str, note: str, *, warning: bool = False) -> None:
        """Says that a key is left out, and why."""
        self.entries[key] = Entry(key, self.values.get(key), "not mapped", note=note, warning=warning)

    def closed(self, dialect: str, sure: str, where: str) -> Imported:
        """The report; what nothing was said of is left out as unknown."""
        for key in self.open():
            self.leave(key, "nothing here is known to mean the same", warning=True)
        ordered = [self.entries[key] for key in self.values]
        ordered += [entry for key, entry in self.entries.items() if key not in self.values]
        return Imported(dialect, sure, self.tables, tuple(ordered), tuple(self.notes), where)


def taken(info: describe.FieldInfo, value: Any) -> tuple[bool, Any]:
    """Whether a key can take a value, and the value in the key's own type; text that is a number is one."""
    if info.kind in ("whole", "number") and isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return False, None
    if info.kind == "whole":
        if isinstance(value, bool) or not isinstance(value, int | float) or value != value or value % 1:
            return False, None
        return _within(info, value), int(value)
    if info.kind == "number":
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < float("inf"):
            return False, None
        return _within(info, value), float(value)
    if info.kind == "switch":
        return isinstance(value, bool), value
    if info.kind == "choice":
        return value in info.choices, value
    if info.kind == "text":
        return isinstance(value, str) and bool(value.strip() or info.default == ""), value
    wanted = int if info.kind == "wholes" else str
    items = value if isinstance(value, list) else [value]
    return all(isinstance(item, wanted) and not isinstance(item, bool) for item in items), items


def _within(info: describe.FieldInfo, value: float) -> bool:
    above = info.low is None or value > info.low or (value == info.low and not info.low_open)
    below = info.high is None or value < info.high or (value == info.high and not info.high_open)
    return above and below


def _alike(told: Any, made: Any) -> bool:
    """Whether two values say the same in other words: 4 and 4.0, "a" and ["a"]."""
    if isinstance(told, bool) or isinstance(made, bool):
        return told is made
    return bool(told == made or [told] == made)


def _shown(value: Any) -> str:
    return "null" if value is None else describe.in_toml(value)
