"""Packages whose front page costs nothing: a name is imported when it is first used.

The first frame must not wait for numpy or pydantic, yet `from tui_tuner.runs import RunView` should stay the way to say
it. A package lists its names beside the modules they live in; type checkers see ordinary imports.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any


def lazily(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """A module's `__getattr__` (PEP 562) that imports each name from the submodule it lives in, once."""

    def getattribute(name: str) -> Any:
        home = homes.get(name)
        if home is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = importlib.import_module(f"{package}.{home}")
        return getattr(module, name)

    return getattribute
