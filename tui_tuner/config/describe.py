"""Every key of an experiment in words: its type, range, default and help, taken from the model itself.

The config form, `--set`, error messages, saved files and the reference in docs/ read this, so that none of them can
say what the model does not hold to. It must never keep a list of keys of its own.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo as PydanticField
from pydantic_core import PydanticUndefined

from tui_tuner.config.model import Experiment

Kind = Literal["whole", "number", "switch", "text", "choice", "texts", "choices", "wholes", "tables"]

_WORDS: dict[Kind, str] = {
    "whole": "whole number",
    "number": "number",
    "switch": "true or false",
    "text": "text",
    "choice": "one word",
    "texts": "list of texts",
    "choices": "list of words",
    "wholes": "list of whole numbers",
    "tables": "list of tables",
}


@dataclass(frozen=True)
class FieldInfo:
    """One key of the experiment, for people and for forms.

    Attributes:
        key: the dotted key, such as `train.iters`.
        type: the type in words, such as `whole number`.
        default: the value when the key is left out; None when it must be given.
        allowed: what may stand there, in words, such as `1 or more`; empty when anything of the type may.
        help: what it is and when to change it.
        kind: the type for programs.
        choices: the words allowed, for the kinds `choice` and `choices`.
        low, high: the bounds of numbers, None where there is none.
        low_open, high_open: whether the bound itself is outside.
        required: whether it must be given.
        basic: whether somebody who does a first run should see it.
        unit: what its number counts, such as `tokens`; empty where it counts nothing.
    """

    key: str
    type: str
    default: Any
    allowed: str
    help: str
    kind: Kind
    choices: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    low_open: bool = False
    high_open: bool = False
    required: bool = False
    basic: bool = False
    unit: str = ""

    @property
    def section(self) -> str:
        """The table that the key stands in."""
        return self.key.partition(".")[0]

    @property
    def name(self) -> str:
        """The key inside its table."""
        return self.key.partition(".")[2]

    @property
    def wanted(self) -> str:
        """Type and range in one phrase, such as `a whole number, 1 or more`."""
        if self.kind in ("choice", "choices"):
            return self.allowed
        phrase = self.type if self.kind in ("switch", "text") else f"a {self.type}"
        return f"{phrase}, {self.allowed}" if self.allowed and self.kind in ("whole", "number") else phrase

    @property
    def default_text(self) -> str:
        """The default as it is written in TOML, or `required`."""
        return "required" if self.required else in_toml(self.default)


@dataclass(frozen=True)
class SectionInfo:
    """One table of the experiment: its name, and what it is about."""

    name: str
    help: str


def in_toml(value: Any) -> str:
    """A value as TOML writes it on one line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(in_toml(item) for item in value)}]"
    if isinstance(value, BaseModel):
        return in_toml(value.model_dump(exclude_defaults=True))
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key} = {in_toml(item)}' for key, item in value.items())}}}"
    return repr(value) if isinstance(value, (int, float)) else str(value)


def value_of(experiment: Experiment, info: FieldInfo) -> Any:
    """The value that an experiment has for a key."""
    return getattr(getattr(experiment, info.section), info.name)


def in_tables(info: FieldInfo, tables: Sequence[BaseModel]) -> list[str]:
    """Each table of a key of the kind `tables` as TOML, under a heading of its own."""
    return [
        "\n".join(
            [
                f"[[{info.key}]]",
                *(f"{name} = {in_toml(each)}" for name, each in table.model_dump(exclude_defaults=True).items()),
            ]
        )
        for table in tables
    ]


def entries(info: FieldInfo) -> list[FieldInfo]:
    """The keys of each of the tables that a key of the kind `tables` lists, such as `behaviour.cases.name`."""
    if info.kind != "tables":
        return []
    table = _model_of(Experiment.model_fields[info.section]).model_fields[info.name]
    inner = get_args(table.annotation)[0].model_fields
    return [_describe(f"{info.key}.{name}", entry) for name, entry in inner.items()]


def fields(experiment: type[Experiment] = Experiment) -> list[FieldInfo]:
    """Every key of an experiment, in the order of the file."""
    return list(_all(experiment))


def sections(experiment: type[Experiment] = Experiment) -> list[SectionInfo]:
    """Every table of an experiment, in the order of the file."""
    return [
        SectionInfo(name, " ".join((_model_of(field).__doc__ or "").split()))
        for name, field in experiment.model_fields.items()
    ]


def field(key: str) -> FieldInfo | None:
    """The description of a dotted key, or None when there is no such key."""
    return _by_key().get(key)


def key_names() -> list[str]:
    """Every dotted key, in the order of the file."""
    return list(_by_key())


@lru_cache(maxsize=1)
def _by_key() -> dict[str, FieldInfo]:
    return {info.key: info for info in fields()}


@lru_cache(maxsize=4)
def _all(experiment: type[Experiment]) -> tuple[FieldInfo, ...]:
    return tuple(
        _describe(f"{section}.{name}", entry)
        for section, table in experiment.model_fields.items()
        for name, entry in _model_of(table).model_fields.items()
    )


def _model_of(entry: PydanticField) -> type[BaseModel]:
    annotation = entry.annotation
    if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
        raise TypeError(f"{annotation!r} is no section")
    return annotation


def _describe(key: str, entry: PydanticField) -> FieldInfo:
    kind, choices = _kind(entry.annotation)
    low, low_open = _bound(entry, "ge", "gt")
    high, high_open = _bound(entry, "le", "lt")
    default = entry.get_default(call_default_factory=True)
    required = default is PydanticUndefined
    extra = entry.json_schema_extra if isinstance(entry.json_schema_extra, dict) else {}
    return FieldInfo(
        key=key,
        type=_WORDS[kind],
        default=None if required else default,
        allowed=str(extra.get("allowed") or _allowed(kind, choices, (low, low_open), (high, high_open))),
        help=" ".join((entry.description or "").split()),
        kind=kind,
        choices=choices,
        low=low,
        high=high,
        low_open=low_open,
        high_open=high_open,
        required=required,
        basic=bool(extra.get("basic")),
        unit=str(extra.get("unit") or ""),
    )


def _kind(annotation: Any) -> tuple[Kind, tuple[str, ...]]:
    if hasattr(annotation, "__metadata__"):  # Annotated
        annotation = annotation.__origin__
    arguments = get_args(annotation)
    if get_origin(annotation) is Literal:
        return "choice", arguments
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "tables", ()
    if get_origin(annotation) is list:
        kind, choices = _kind(arguments[0])
        lists: dict[Kind, Kind] = {"choice": "choices", "whole": "wholes", "tables": "tables"}
        return lists.get(kind, "texts"), choices
    simple: dict[Any, Kind] = {bool: "switch", int: "whole", float: "number", str: "text"}
    return simple[annotation], ()


def _bound(entry: PydanticField, closed: str, opened: str) -> tuple[float | None, bool]:
    """The bound of a field, and whether the bound itself is outside."""
    for item in entry.metadata:
        for attribute in (closed, opened):
            if (bound := getattr(item, attribute, None)) is not None:
                return bound, attribute == opened
    return None, False


def _allowed(
    kind: Kind, choices: tuple[str, ...], low: tuple[float | None, bool], high: tuple[float | None, bool]
) -> str:
    quoted = [f'"{word}"' for word in choices]
    if kind == "choice":
        return f"{', '.join(quoted[:-1])} or {quoted[-1]}"
    if kind == "choices":
        return f"any of {', '.join(quoted)}"
    if low[0] is not None and high[0] is not None and not low[1] and not high[1]:
        return f"{low[0]:g} to {high[0]:g}"
    parts = []
    if low[0] is not None:
        parts.append(f"more than {low[0]:g}" if low[1] else f"{low[0]:g} or more")
    if high[0] is not None:
        parts.append(f"less than {high[0]:g}" if high[1] else f"at most {high[0]:g}")
    return ", ".join(parts)
