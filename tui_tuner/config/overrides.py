"""Changes to an experiment as people type them: `train.iters=50`.

The command line's `--set` and the config form take the same way in, so that both accept and refuse the same words.
Nothing here may guess at a key: a wrong one is refused with the nearest right one.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from tui_tuner.config import describe
from tui_tuner.config.model import Experiment
from tui_tuner.config.problems import Origin, as_error, explain, inert, unknown_key
from tui_tuner.errors import TunerError

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_BARE_ITEM = re.compile(r"[\w./:@+-]+")


def apply_overrides(data: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """A copy of an experiment's tables with the overrides in place; the last one of a key wins.

    Args:
        data: tables as TOML gives them, such as `{"train": {"iters": 100}}`.
        overrides: texts `section.key=value`. A value is read as TOML; bare words are text; lists may leave their quotes
            to the shell: `["a", "b"]`, `[a, b]` and a single `a` are all understood.

    Raises:
        TunerError: usage, for a text that is no `key=value`, an unknown key, or a value that cannot be read.
    """
    changed = {name: dict(table) if isinstance(table, Mapping) else table for name, table in data.items()}
    for text in overrides:
        info, value = parse_override(text)
        table = changed.setdefault(info.section, {})
        # A section that is no table is the file's own error, and is reported as such when the whole is checked.
        if isinstance(table, dict):
            table[info.name] = value
    return changed


def parse_override(text: str) -> tuple[describe.FieldInfo, Any]:
    """The field that a `key=value` text names, and the value; errors as in `apply_overrides`."""
    key, equals, raw = text.partition("=")
    key = key.strip()
    where = f"--set {inert(text)}"
    if not equals or not key:
        raise TunerError(
            "a change needs the form key=value",
            code="bad-override",
            where=where,
            fix="write it like train.iters=50",
            usage=True,
        )
    info = describe.field(key)
    if info is None:
        message, fix = unknown_key(key)
        if key == "scale":
            message, fix = "only a preset has scales", "choose one where you name the preset, or write adapter.scale"
        if any(section.name == key for section in describe.sections()):
            message, fix = f"{key} is a section, not a key", f"name one of its keys, such as {_first_key(key)}"
        raise TunerError(message, code="unknown-key", where=where, fix=fix, usage=True)
    if not raw.strip():
        fix = f"give it {info.wanted}"
        if info.default in ("", []):
            fix += f", or {key}={info.default_text} for none"
        raise TunerError(f"{key} has no value", code="bad-override", where=where, fix=fix, usage=True)
    return info, _read(info, raw, where)


def with_overrides(experiment: Experiment, overrides: Sequence[str]) -> Experiment:
    """A new experiment with the overrides in place, checked as a whole; the given one stays as it is.

    Raises:
        TunerError: as in `apply_overrides`, or when the result is impossible.
    """
    changed = apply_overrides(experiment.model_dump(), overrides)
    return validated(changed, Origin(overrides=by_key(overrides)))


def by_key(overrides: Sequence[str]) -> dict[str, str]:
    """Dotted key → the override text that decides it."""
    return {text.partition("=")[0].strip(): text for text in overrides}


def validated(data: Mapping[str, Any], origin: Origin) -> Experiment:
    """The experiment that the tables describe.

    Raises:
        TunerError: when any key or value is wrong, with the place that `origin` knows of it.
    """
    try:
        return Experiment.model_validate(dict(data))
    except ValidationError as error:
        raise as_error(explain(error, origin), origin) from None


def _first_key(section: str) -> str:
    return next(key for key in describe.key_names() if key.startswith(f"{section}."))


def _read(info: describe.FieldInfo, raw: str, where: str) -> Any:
    text = raw.strip()
    parsed, value = toml_value(text)
    if info.kind in ("text", "choice"):
        # 2024-11-02, 007 and true are fine names: only quotes say more than the text itself.
        return value if parsed and isinstance(value, str) else text
    if info.kind in ("texts", "choices", "wholes", "tables"):
        return value if parsed and isinstance(value, (list, str, int)) else _bare_list(text, where)
    if parsed:
        return value
    return float(text) if _NUMBER.fullmatch(text) else text


def toml_value(text: str) -> tuple[bool, Any]:
    """Whether the text is one TOML value, and that value."""
    try:
        document = tomllib.loads(f"value = {text}")
    except (tomllib.TOMLDecodeError, RecursionError, ValueError):
        return False, None
    # More than one key: a line break smuggled another one in.
    return set(document) == {"value"}, document.get("value")


def _bare_list(text: str, where: str) -> Any:
    """A list whose quotes the shell has eaten, or a single text."""
    if not text.startswith("["):
        return [text]
    items = [item.strip() for item in text[1:-1].split(",")]
    if text.endswith("]") and all(_BARE_ITEM.fullmatch(item) for item in items):
        return items
    raise TunerError(
        "the list cannot be read",
        code="bad-override",
        where=where,
        fix='put it in single quotes for the shell, and each text in double quotes: \'key=["a", "b"]\'',
        usage=True,
    )
