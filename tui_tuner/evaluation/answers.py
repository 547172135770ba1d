"""Answers and losses, kept: the same model under the same settings is not asked the same prompt twice.

The name of a store is a hash of everything that an answer depends on but the prompt: the files of model and adapter,
the settings, the versions of the libraries and the device. A store is a file of JSON lines, one for each prompt, that
is only added to, so a kill costs the line being written. It must never fail a benchmark, nor return anything but what
the model said; it may be deleted at any time.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from tui_tuner.data.cachefiles import trim
from tui_tuner.data.fingerprints import file_hash
from tui_tuner.errors import TunerError
from tui_tuner.paths import cache_dir
from tui_tuner.runs.files import write_all
from tui_tuner.versions import installed

LIMIT = 128 << 20
"""Bytes that all stores together may take; the longest unused are removed first."""

_MODEL_FILES = (".safetensors", ".json", ".jinja", ".model", ".txt")

Kept = tuple[list[int], str]
"""Token ids without the stop token, and how the answer ended."""


def store_key(model: Path, adapter: Path | None, settings: dict[str, Any]) -> str | None:
    """What a store of answers is called; None when a file cannot be read, and nothing can be kept.

    Args:
        model: the model's folder.
        adapter: the adapter's folder, or the weights file that was put on the model; None for the model alone.
        settings: whatever else decides an answer, such as its longest length.
    """
    try:
        parts = {
            "model": _hashes(model),
            "adapter": _hashes(adapter) if adapter is not None else [],
            "settings": settings,
            "versions": [installed(name) for name in ("mlx", "mlx-lm")],
        }
    except (TunerError, OSError):
        return None
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _hashes(place: Path) -> list[list[str]]:
    """What makes a model or an adapter, by name and SHA-256: the files of its folder, or weights and configuration."""
    weights = place if place.is_file() else place / "adapters.safetensors"
    if weights.is_file():
        config = weights.with_name("adapter_config.json")
        files = {"weights": weights, **({"config": config} if config.is_file() else {})}
    else:
        files = {path.name: path for path in sorted(place.iterdir()) if path.suffix in _MODEL_FILES}
    return [[name, file_hash(path)] for name, path in files.items()]


class AnswerStore:
    """The answers of one model under one set of settings. Use it as a context manager.

    Args:
        key: as `store_key` makes it; None keeps nothing.
        folder: where stores lie; by default `answers` in the cache folder of the platform.
        limit: bytes that all stores may take; one of them at most a quarter.
    """

    def __init__(self, key: str | None, folder: Path | None = None, limit: int = LIMIT) -> None:
        self._path = (folder or cache_dir() / "answers") / f"{key}.jsonl" if key else None
        self._limit = limit
        self._known: dict[str, Kept] = {}
        self._losses: dict[str, tuple[float, int]] = {}
        self._descriptor: int | None = None
        self._size = 0

    def __enter__(self) -> AnswerStore:
        if self._path is not None:
            with contextlib.suppress(OSError):
                self._known, self._losses = _read(self._path)
                os.utime(self._path)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._descriptor is not None and self._path is not None:
            os.close(self._descriptor)
            self._descriptor = None
            with contextlib.suppress(OSError):
                trim(self._path.parent, self._limit, keep=self._path, pattern="*.jsonl")

    def get(self, prompt: Sequence[int]) -> Kept | None:
        """What was answered to a prompt, or None."""
        return self._known.get(_mark(prompt))

    def put(self, prompt: Sequence[int], tokens: list[int], finish: str) -> None:
        """Keeps an answer, where that can be."""
        mark = _mark(prompt)
        if mark not in self._known:
            self._known[mark] = (tokens, finish)
            self._write({"p": mark, "t": tokens, "f": finish})

    def loss(self, row: Sequence[int]) -> tuple[float, int] | None:
        """The summed loss that was kept of a row, and how many tokens it is of; or None."""
        return self._losses.get(_mark(row))

    def put_loss(self, row: Sequence[int], total: float, count: int) -> None:
        """Keeps a row's loss, where that can be."""
        mark = _mark(row)
        if mark not in self._losses:
            self._losses[mark] = total, count
            self._write({"p": mark, "l": total, "n": count})

    def _write(self, told: dict[str, Any]) -> None:
        if self._path is None:
            return
        line = json.dumps(told, separators=(",", ":")).encode() + b"\n"
        try:
            if self._descriptor is None:
                self._open(self._path)
            if self._descriptor is not None and self._size + len(line) <= self._limit // 4:
                write_all(self._descriptor, line)
                self._size += len(line)
        except OSError:
            self._path = None  # a full disk, or no right to write: what is known stays known, no more is kept

    def _open(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        self._size = os.fstat(self._descriptor).st_size
        if self._size and os.pread(self._descriptor, 1, self._size - 1) != b"\n":
            write_all(self._descriptor, b"\n")  # ends what a kill left torn


def _read(path: Path) -> tuple[dict[str, Kept], dict[str, tuple[float, int]]]:
    """The answers and losses of a file; lines that are neither do not count."""
    found, losses = dict[str, Kept](), dict[str, tuple[float, int]]()
    for line in path.read_bytes().split(b"\n"):
        try:
            told = json.loads(line)
            if "l" in told:
                loss = float(told["l"]), int(told["n"])
                if math.isfinite(loss[0]):  # of a model that says no numbers it is asked anew
                    losses[str(told["p"])] = loss
                continue
            mark, tokens, finish = told["p"], told["t"], told["f"]
        except (ValueError, KeyError, TypeError, RecursionError, OverflowError):
            continue
        whole = isinstance(tokens, list) and all(type(token) is int for token in tokens)
        if isinstance(mark, str) and whole and finish in ("stop", "length"):
            found[mark] = (tokens, finish)
    return found, losses


def _mark(prompt: Sequence[int]) -> str:
    return hashlib.sha256(np.asarray(prompt, np.int64).tobytes()).hexdigest()[:40]
