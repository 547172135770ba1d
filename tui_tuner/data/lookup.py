"""Values at paths inside records: keys of objects and positions of lists, never attributes, so nothing can be run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final


class _Missing:
    """Stands for a value that a record does not have, which is not the same as null."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = _Missing()


def look_up(record: Mapping[str, Any], path: str) -> Any:
    """The value at a path: the column of that very name, else key by key and position by position; else `MISSING`."""
    if path in record:
        return record[path]
    value: Any = record
    for step in path.split("."):
        if isinstance(value, Mapping) and step in value:
            value = value[step]
        elif (
            isinstance(value, list) and step.isascii() and step.isdigit() and len(step) < 10 and int(step) < len(value)
        ):
            value = value[int(step)]
        else:
            return MISSING
    return value


def is_empty(value: Any) -> bool:
    """Whether there is nothing in a value: missing, null, blank text, an empty list or object."""
    return value is MISSING or value is None or value in ({}, []) or (isinstance(value, str) and not value.strip())


def has_value(record: Mapping[str, Any], path: str) -> bool:
    """Whether the record has something other than null or empty text at the path."""
    return not is_empty(look_up(record, path))


def has_column(record: Mapping[str, Any], path: str) -> bool:
    """Whether the path exists in the record, empty or not."""
    return look_up(record, path) is not MISSING


def paths_of(records: Iterable[Mapping[str, Any]], deepest: int = 3) -> list[str]:
    """All paths that lead to values in these records, in the order of their first occurrence; lists are not entered."""
    found: dict[str, None] = {}

    def walk(value: Any, prefix: str, depth: int) -> None:
        for key, inner in value.items():
            path = f"{prefix}{key}"
            if isinstance(inner, Mapping) and inner and depth < deepest:
                walk(inner, f"{path}.", depth + 1)
            else:
                found.setdefault(path)

    for record in records:
        walk(record, "", 1)
    return list(found)
