"""Models that are in memory, so that a chat after a run, or base against adapter, loads nothing twice.

Belongs to the MLX thread. At most one base is kept: on one machine there is room for one. On it stand the adapters that
were used last, each on a module tree of its own, and what a chat has read with each.
"""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any

from tui_tuner.chat.prompt_cache import PromptCaches
from tui_tuner.models.adapters import WEIGHTS, load_adapter
from tui_tuner.models.folder import locate
from tui_tuner.models.load import Base, in_form, load_base

Adapter = tuple[Path, int, int]
"""What tells an adapter from any other: its weights file, when that was written, and its size."""

_TREES = 6
_TREE_BYTES = 2 << 30
_FORMS = 4
_SHARE = 8
"""The part of the memory that what a chat has read may take: one in so many."""


class ModelShelf:
    """Keeps the last base, the last adapter trees on it, and what was read with them."""

    def __init__(self) -> None:
        self._base: Base | None = None
        self._stamp: tuple[tuple[str, int, int], ...] = ()
        self._forms: OrderedDict[str, Base] = OrderedDict()
        self._trees: OrderedDict[Adapter, Any] = OrderedDict()
        self._prompts: PromptCaches | None = None

    def base(self, path: str, relative_to: Path | None = None, template: str = "") -> Base:
        """The base at a path, loaded when it is not the one at hand or its files have changed.

        Args:
            path: as the configuration names it.
            relative_to: folder that a relative path is looked for in first.
            template: a chat template in the place of the model's own; empty for that. Another one costs a tokenizer.
        """
        folder = locate(path, relative_to)
        if not self.holds(folder):
            self.clear()  # before loading: two bases may not fit
            stamp = file_stamp(folder)
            self._base = load_base(folder, template)
            self._stamp = stamp
        assert self._base is not None
        self._base = self.form(self._base, template)
        return self._base

    def holds(self, folder: Path) -> bool:
        """Whether the model of a folder is in memory as its files are now."""
        return self._base is not None and self._base.path == folder and self._stamp == file_stamp(folder)

    def form(self, base: Base, template: str) -> Base:
        """A base with another chat template, empty for its own; the last few of the base at hand are kept."""
        if self._base is None or base.model is not self._base.model:
            return in_form(base, template)
        found = self._forms.pop(template, None) or in_form(base, template)
        self._forms[template] = found
        while len(self._forms) > _FORMS:
            self._forms.popitem(last=False)
        return found

    def with_adapter(self, base: Base, adapter: Path | None) -> Any:
        """The base's own tree, or one with an adapter on it; loaded again when the adapter's file has changed.

        Args:
            adapter: its folder, or the weights file of a checkpoint in it.
        """
        if adapter is None:
            return base.model
        key, file = adapter_key(adapter), weights_of(adapter)
        tree = self._trees.pop(key, None)
        if tree is None:
            self._make_room(key)
            tree = load_adapter(base, file.parent, file.name)
        self._trees[key] = tree
        return tree

    @property
    def prompts(self) -> PromptCaches:
        """What was read with the base and the adapters at hand."""
        if self._prompts is None:
            from tui_tuner.models.device import device_memory

            self._prompts = PromptCaches(device_memory().usable // _SHARE)
        return self._prompts

    def clear(self) -> None:
        """Lets go of all models."""
        self._base, self._stamp = None, ()
        self._forms.clear()
        self._trees.clear()
        self.forget_prompts()

    def forget_prompts(self) -> None:
        """Lets go of what was read: something else needs the memory."""
        self._prompts = None

    def _make_room(self, new: Adapter) -> None:
        older = [key for key in self._trees if key[0] == new[0]]  # of a file that was written again
        for key in older:
            del self._trees[key]
        while self._trees and (len(self._trees) >= _TREES or sum(key[2] for key in self._trees) + new[2] > _TREE_BYTES):
            self._trees.popitem(last=False)


def weights_of(adapter: Path) -> Path:
    """The weights file of an adapter that is given by its folder or by the file itself."""
    return adapter if adapter.suffix == ".safetensors" and not adapter.is_dir() else adapter / WEIGHTS


def adapter_key(adapter: Path) -> Adapter:
    """What tells an adapter from any other, and from itself when its file is written again."""
    weights = weights_of(adapter)
    status = weights.stat() if weights.is_file() else None
    return weights.resolve(), status.st_mtime_ns if status else 0, status.st_size if status else 0


def file_stamp(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """Name, time of change and size of a model's files: differs as soon as any of them was written again."""
    files = sorted(folder.glob("*.safetensors")) + sorted(folder.glob("*.json"))
    return tuple((f.name, f.stat().st_mtime_ns, f.stat().st_size) for f in files)
