"""The embedded tiny model and its data, so that the whole loop runs at once, offline, on any machine.

What lies here is data (`model/`, `players.json`) and the script that rebuilds it (`build/`). This module only says
where the data lies. It must never import mlx, mlx_lm or transformers, and never write into its own folder.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["EMBEDDED_DATA", "EMBEDDED_MODELS", "embedded_data", "embedded_model"]

_HERE = Path(__file__).resolve().parent

EMBEDDED_MODELS: dict[str, Path] = {"phi3-tiny": _HERE / "model"}
EMBEDDED_DATA: dict[str, Path] = {"players": _HERE / "players.json"}


def embedded_model(name: str) -> Path:
    """The folder of an embedded model; KeyError names the ones there are."""
    return _lookup(EMBEDDED_MODELS, name, "model")


def embedded_data(name: str) -> Path:
    """The file of an embedded table; KeyError names the ones there are."""
    return _lookup(EMBEDDED_DATA, name, "data set")


def _lookup(table: dict[str, Path], name: str, kind: str) -> Path:
    if name not in table:
        raise KeyError(f"there is no embedded {kind} named {name!r}; there is: {', '.join(sorted(table))}")
    return table[name]
