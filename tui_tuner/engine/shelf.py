"""Models that are in memory, so that a chat after a run, or base against adapter, loads nothing twice.

Belongs to the MLX thread. At most one base is kept: on one machine there is room for one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tui_tuner.models.adapters import WEIGHTS, load_adapter
from tui_tuner.models.folder import locate
from tui_tuner.models.load import Base, in_form, load_base


class ModelShelf:
    """Keeps the last base and the last adapter tree on it."""

    def __init__(self) -> None:
        self._base: Base | None = None
        self._stamp: tuple[tuple[str, int, int], ...] = ()
        self._tree: tuple[tuple[Path, int, int], Any] | None = None

    def base(self, path: str, relative_to: Path | None = None, template: str = "") -> Base:
        """The base at a path, loaded when it is not the one at hand or its files have changed.

        Args:
            path: as the configuration names it.
            relative_to: folder that a relative path is looked for in first.
            template: a chat template in the place of the model's own; empty for that. Another one costs a tokenizer.
        """
        folder = locate(path, relative_to)
        stamp = file_stamp(folder)
        if self._base is None or self._base.path != folder or self._stamp != stamp:
            self.clear()  # before loading: two bases may not fit
            self._base = load_base(folder, template)
            self._stamp = stamp
        self._base = in_form(self._base, template)
        return self._base

    def with_adapter(self, base: Base, adapter: Path | None) -> Any:
        """The base's own tree, or one with the adapter on it; loaded again when the adapter's file has changed."""
        if adapter is None:
            return base.model
        weights = adapter / WEIGHTS
        status = weights.stat() if weights.is_file() else None
        key = (adapter.resolve(), status.st_mtime_ns if status else 0, status.st_size if status else 0)
        if self._tree is None or self._tree[0] != key:
            self._tree = None
            self._tree = (key, load_adapter(base, adapter))
        return self._tree[1]

    def clear(self) -> None:
        """Lets go of all models."""
        self._base, self._tree, self._stamp = None, None, ()


def file_stamp(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """Name, time of change and size of a model's files: differs as soon as any of them was written again."""
    files = sorted(folder.glob("*.safetensors")) + sorted(folder.glob("*.json"))
    return tuple((f.name, f.stat().st_mtime_ns, f.stat().st_size) for f in files)
