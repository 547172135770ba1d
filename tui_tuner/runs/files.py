"""The files of a run folder: JSON, strict and whole, and what is written all or nothing.

Everything in a run folder but the event log is written through `atomic`. It must never write JSON that a strict reader
refuses.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from contextlib import suppress
from enum import Enum
from pathlib import Path
from typing import Any

from ..atomic import (
    read_failure,
    remove_leftovers,
    replacing,
    sync_folder,
    sync_to_disk,
    write_all,
    write_atomic,
    write_failure,
)
from ..errors import TunerError

__all__ = [
    "encode_json",
    "plain_json",
    "read_failure",
    "read_json",
    "read_object",
    "remove_leftovers",
    "replacing",
    "strict_json",
    "sync_folder",
    "sync_to_disk",
    "write_all",
    "write_atomic",
    "write_failure",
    "write_json",
]


def write_json(path: Path, obj: Any) -> None:
    """Write `obj` as indented strict JSON, all or nothing; numbers that are not finite become null.

    Raises:
        TunerError: as `write_atomic`.
    """
    plain, _ = plain_json(obj)
    write_atomic(path, encode_json(plain, indent=2) + b"\n")


def read_json(path: Path) -> Any:
    """What a JSON file holds.

    Raises:
        TunerError: `not-found`, `not-readable`, or `damaged-file` naming file and line.
    """
    try:
        raw = Path(path).read_bytes()
    except OSError as error:
        raise read_failure(error, Path(path)) from error
    try:
        return json.loads(raw.decode("utf-8-sig"))
    except json.JSONDecodeError as error:
        raise TunerError(
            f"is not valid JSON ({error.msg})",
            code="damaged-file",
            where=f"{path}:{error.lineno}",
            fix="restore it or delete it",
        ) from error
    except (ValueError, RecursionError) as error:
        raise TunerError(
            "is not valid JSON", code="damaged-file", where=str(path), fix="restore it or delete it"
        ) from error


def strict_json(text: str) -> Any:
    """What a text says as JSON; NaN and Infinity, which Python reads otherwise, are none.

    Raises:
        ValueError: it is no JSON.
        RecursionError: it is nested too deeply.
    """
    return _STRICT.decode(text)


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")


_STRICT = json.JSONDecoder(parse_constant=_refuse)


def read_object(path: Path) -> dict[str, Any]:
    """What a JSON file holds when that is an object; empty where it holds anything else or cannot be read.

    For notes that a reader can do without, such as those that a run was made with.
    """
    with suppress(TunerError):
        found = read_json(path)
        return found if isinstance(found, dict) else {}
    return {}


def encode_json(plain: Any, indent: int | None = None) -> bytes:
    """Strict JSON as UTF-8, readable as it stands; escaped throughout only where text is no valid Unicode."""
    separators = (",", ": ") if indent else (",", ":")
    try:
        text = json.dumps(plain, ensure_ascii=False, allow_nan=False, indent=indent, separators=separators)
        return text.encode("utf-8")
    except UnicodeEncodeError:
        return json.dumps(plain, allow_nan=False, indent=indent, separators=separators).encode("ascii")


def plain_json(value: Any) -> tuple[Any, list[str]]:
    """`value` in terms that strict JSON has: paths and unknown objects as text, numpy values as Python's own.

    Returns:
        The plain value, and the dotted places at which a number was not finite and became None ("loss",
        "metrics.rouge1.p"; "" for the value itself), in order.
    """
    nonfinite: list[str] = []
    return _plain(value, "", nonfinite), nonfinite


def _plain(value: Any, place: str, nonfinite: list[str]) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Enum):
        return _plain(value.value, place, nonfinite)
    if isinstance(value, float):
        if math.isfinite(value):
            return float(value)
        nonfinite.append(place)
        return None
    if isinstance(value, int):
        return int(value)
    if isinstance(value, str):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item, _join(place, str(key)), nonfinite) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item, _join(place, str(index)), nonfinite) for index, item in enumerate(value)]
    for method in ("tolist", "item"):  # numpy arrays and scalars, without importing what the value came from
        convert = getattr(value, method, None)
        if callable(convert):
            return _plain(convert(), place, nonfinite)
    return str(value)


def _join(place: str, key: str) -> str:
    return f"{place}.{key}" if place else key
