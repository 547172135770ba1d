"""Values of Arrow in terms that JSON has: dates as text, decimals as numbers, bytes as text where they are UTF-8."""

from __future__ import annotations

import datetime
import decimal
import math
from typing import Any


def plain(value: Any, name: str, lost: list[str]) -> Any:
    """A value of Arrow in terms that JSON has; `lost` takes the name of a column whose value has none."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        if math.isfinite(value):
            return value
        lost.append("")
        return None
    if isinstance(value, dict):
        return {str(key): plain(item, name, lost) for key, item in value.items()}
    if isinstance(value, list):
        if value and all(isinstance(item, tuple) and len(item) == 2 for item in value):  # a map
            return {str(key): plain(item, name, lost) for key, item in value}
        return [plain(item, name, lost) for item in value]
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            lost.append(name)
            return None
    if isinstance(value, decimal.Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return value.isoformat()
    return str(value)
