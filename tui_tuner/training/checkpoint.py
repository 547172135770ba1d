"""What exact resume needs, on disk: written atomically, verified on reading, the newest few and the best kept.

A checkpoint is one safetensors file in `state/` (trainable weights, optimizer state, gradients in accumulation, and the
random key as arrays; everything else as JSON in its metadata) and the same weights in `adapters/` in mlx-lm's format.
`state/index.json` names each file with its SHA-256, so that a damaged one is noticed and the one before it is used; a
copy of it stands beside it. A file that the index names is never written again: a kill between any two writes leaves an
index whose files are all whole.
"""

from __future__ import annotations

import errno
import hashlib
import json
import math
import re
import shutil
from dataclasses import asdict, dataclass, field, fields
from itertools import count as counting
from pathlib import Path
from typing import Any

import numpy as np

from tui_tuner.errors import TunerError
from tui_tuner.runs.files import replacing, write_json
from tui_tuner.training.batches import Batch
from tui_tuner.training.best import Best
from tui_tuner.training.randomness import first_key

_INDEX = "index.json"
_INDEX_COPY = "index.copy.json"
_STATE_FILE = re.compile(r"\d{7,}(-\d+)?\.safetensors")
_ADAPTER_FILE = re.compile(r"\d{7,}_adapters\.safetensors")
_ALMOST_NOTHING = 1 << 20  # bytes


@dataclass
class Progress:
    """Everything of a training run's position that is no array.

    Losses in nats per token, times in seconds. `window_*` are the sums since the last report; `places` are the tokens
    of its batches, padding included. `finish_at` is the step after which a person asked to finish.
    """

    step: int = 0
    trained_tokens: int = 0
    window_loss: float = 0.0
    window_tokens: int = 0
    window_steps: int = 0
    window_seconds: float = 0.0
    window_places: int = 0
    window_padding: int = 0
    best: Best = field(default_factory=Best)
    skipped: int = 0
    skipped_in_a_row: int = 0
    rollbacks: int = 0
    rate_factor: float = 1.0
    finish_at: int | None = None
    order: dict[str, Any] = field(default_factory=dict)

    def copy(self) -> Progress:
        """A position of its own."""
        return Progress.from_dict(asdict(self))

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Progress:
        """The position that `asdict` took apart."""
        best = values["best"]
        pairs = [(float(value), int(step)) for value, step in best["values"]]
        return cls(**{**values, "best": Best(pairs, int(best["waited"]))})

    def count(self, step: int, loss: float, tokens: int, seconds: float, batch: Batch) -> None:
        """Counts a step that was done: its loss, its tokens that count, and the batch it was of."""
        self.step = step
        self.window_seconds += seconds
        # Summed in float32, as mlx-lm does, so that reported means agree to the last bit.
        self.window_loss = float(np.float32(self.window_loss) + np.float32(loss))
        self.window_tokens += tokens
        self.window_steps += 1
        self.window_places += int(batch.tokens.size)
        self.window_padding += round(batch.padding * batch.tokens.size)

    def start_window(self) -> None:
        """Begins the sums of a new report."""
        self.window_loss, self.window_tokens, self.window_steps, self.window_seconds = 0.0, 0, 0, 0.0
        self.window_places, self.window_padding = 0, 0


@dataclass(frozen=True)
class Snapshot:
    """A checkpoint in memory: the position and the arrays by group.

    Several ranks have a random key each, and each its own part of gradients in accumulation; both then stand one after
    another along a first axis. Everything else is the same for all.

    Attributes:
        key: (2,) words of the random key of one rank, or (ranks, 2).
    """

    progress: Progress
    weights: dict[str, Any]
    optimizer: dict[str, Any]
    gradients: dict[str, Any]
    key: Any

    @property
    def ranks(self) -> int:
        """How many ranks it is of."""
        return 1 if self.key.ndim == 1 else int(self.key.shape[0])

    def key_of(self, rank: int) -> list[int]:
        """The random key, two words, that a rank goes on with; one that had none yet gets one of its own."""
        keys = self.key.reshape(-1, 2).tolist()
        if rank < len(keys):
            return [int(word) for word in keys[rank]]
        return first_key(*(int(word) for word in keys[0]), rank, self.progress.step)

    def gradients_of(self, rank: int, size: int) -> dict[str, Any]:
        """The gradients in accumulation that a rank of `size` goes on with: its own, or, with another number of ranks
        than before, rank 0 the sum of all and the others none of it."""
        import mlx.core as mx

        if self.ranks == size:
            return {name: value[rank] for name, value in self.gradients.items()} if size > 1 else self.gradients
        whole = {name: value if self.ranks == 1 else value.sum(axis=0) for name, value in self.gradients.items()}
        return whole if rank == 0 else {name: mx.zeros_like(value) for name, value in whole.items()}


@dataclass
class _Entry:
    step: int
    file: str
    sha256: str
    best: bool
    value: float | None = None
    adapter_sha256: str = ""  # of the weights in `adapters/`; empty in an index of an earlier version


class CheckpointStore:
    """The checkpoints of one run.

    Args:
        state: the run's `state/` folder.
        adapters: the run's `adapters/` folder.
        keep: how many of the newest to keep beside the best, at least 1.
        keep_best: how many of the best to keep.
    """

    def __init__(self, state: Path, adapters: Path, keep: int, keep_best: int = 1) -> None:
        self._state, self._adapters, self._keep, self._keep_best = state, adapters, max(keep, 1), max(keep_best, 1)
        self._notes: list[str] = []
        self._entries = self._read_index()

    def save(self, snapshot: Snapshot, *, value: float | None = None, best: bool = False) -> Path:
        """Writes a checkpoint and returns the adapter file's path.

        Args:
            value: what the best are chosen by, lower is better; None for a checkpoint that was not validated. Saved
                again without one, a step keeps the one it has: the weights are the same.
            best: whether it is the best so far.

        Raises:
            TunerError: `no-space` or `not-writable`; what was there before is unharmed.
        """
        step = snapshot.progress.step
        self._state.mkdir(parents=True, exist_ok=True)
        self._adapters.mkdir(parents=True, exist_ok=True)
        same = next((e for e in self._entries if e.step == step), None)
        if same is not None and value is None:
            value, best = same.value, same.best
        arrays: dict[str, Any] = {"rng.key": snapshot.key}
        for group in ("weights", "optimizer", "gradients"):
            arrays.update({f"{group}.{name}": value for name, value in getattr(snapshot, group).items()})
        metadata = {"progress": json.dumps(asdict(snapshot.progress))}
        file = self._state / self._free_name(step)
        adapter = self._adapter(step)
        digest = _save_arrays(file, arrays, metadata)
        adapter_digest = _save_arrays(adapter, snapshot.weights, {})
        _copy(adapter, self._adapters / "adapters.safetensors")
        if best:
            _copy(adapter, self._adapters / "best_adapters.safetensors")
        entries = [e for e in self._entries if e.step < step]
        if best:
            for entry in entries:
                entry.best = False
        entries.append(_Entry(step, file.name, digest, best, value, adapter_digest))
        self._entries = self._prune(entries)
        # The copy first: whichever of the two a kill leaves newer, all files that it names are there.
        for name in (_INDEX_COPY, _INDEX):
            write_json(self._state / name, [asdict(e) for e in self._entries])
        self._sweep()
        return adapter

    def load(self) -> tuple[Snapshot, list[str]] | None:
        """The newest undamaged checkpoint and a sentence for all that was damaged; None when there is none.

        Raises:
            TunerError: when there were checkpoints and all are damaged.
        """
        damaged: list[str] = []
        for entry in sorted(self._entries, key=lambda e: -e.step):
            path = self._state / entry.file
            reason = _damage(path, entry.sha256)
            if reason is None:
                self._entries = [e for e in self._entries if e.step <= entry.step]
                notes, self._notes = self._notes, []
                return _read_snapshot(path), notes + [f"the {text}; the one before it is used" for text in damaged]
            damaged.append(f"checkpoint of step {entry.step} {reason}")
        if damaged:
            raise TunerError(
                f"no checkpoint of this run can be read ({'; '.join(damaged)})",
                code="checkpoints-damaged",
                where=str(self._state),
                fix="start a new run with the same configuration",
            )
        return None

    def settle(self, keep: str, count: int) -> list[str]:
        """Makes `adapters.safetensors` what a finished run ends with; a sentence for all that was damaged.

        Weights that are damaged in `adapters/` are taken from `state/`; where those are damaged too, the next best
        stand in for them.

        Args:
            keep: `best`, `last`, or `average` (of the best `count` checkpoints). Without a validated checkpoint it is
                the last one's.
            count: how many are averaged.

        Raises:
            TunerError: `no-space` or `not-writable`.
        """
        target = self._adapters / "adapters.safetensors"
        wanted = count if keep == "average" else 1
        ranked = [] if keep == "last" else self._ranked()
        if not ranked:
            ranked, wanted = sorted(self._entries, key=lambda e: -e.step), 1
        files: list[Path] = []
        notes: list[str] = []
        for entry in ranked:
            if len(files) == wanted:
                break
            if self._mended(entry, notes):
                files.append(self._adapter(entry.step))
        if len(files) == 1:
            _copy(files[0], target)
        elif files:
            _save_arrays(target, _mean(files), {})
        return notes

    def _mended(self, entry: _Entry, notes: list[str]) -> bool:
        """Whether a checkpoint's weights in `adapters/` are whole, if need be again."""
        adapter, state = self._adapter(entry.step), self._state / entry.file
        reason = _damage(adapter, entry.adapter_sha256)
        if reason is None:
            return True
        whole = _damage(state, entry.sha256) is None
        if whole:
            entry.adapter_sha256 = _save_arrays(adapter, _read_snapshot(state).weights, {})
        then = "they were written again from its state" if whole else "the next best take their place"
        notes.append(f"the file with the weights of step {entry.step} {reason}; {then}")
        return whole

    def _adapter(self, step: int) -> Path:
        return self._adapters / f"{step:07d}_adapters.safetensors"

    def _free_name(self, step: int) -> str:
        """A name in `state/` that the index does not use: a step may be saved twice."""
        taken = {e.file for e in self._entries}
        names = (f"{step:07d}{'' if n == 1 else f'-{n}'}.safetensors" for n in counting(1))
        return next(name for name in names if name not in taken)

    def _ranked(self) -> list[_Entry]:
        """Validated checkpoints, best first."""
        valued = [e for e in self._entries if e.value is not None]
        return sorted(valued, key=lambda e: (e.value if e.value is not None else 0.0, e.step))

    def _prune(self, entries: list[_Entry]) -> list[_Entry]:
        newest = {e.step for e in sorted(entries, key=lambda e: -e.step)[: self._keep]}
        valued = sorted((e.value, e.step) for e in entries if e.value is not None)
        good = {step for _, step in valued[: self._keep_best]}
        return [e for e in entries if e.best or e.step in newest or e.step in good]

    def _sweep(self) -> None:
        """Removes files of checkpoints that are no longer in the index."""
        kept = {e.file for e in self._entries} | {self._adapter(e.step).name for e in self._entries}
        for folder, names in ((self._state, _STATE_FILE), (self._adapters, _ADAPTER_FILE)):
            for path in folder.iterdir():
                if names.fullmatch(path.name) and path.name not in kept:
                    path.unlink(missing_ok=True)

    def _read_index(self) -> list[_Entry]:
        failure: Exception | None = None
        for name in (_INDEX, _INDEX_COPY):
            try:
                entries = _entries_of(json.loads((self._state / name).read_text(encoding="utf-8")))
            except FileNotFoundError:
                continue
            except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
                failure = error
                continue
            if failure is not None:
                self._notes.append("the index of the checkpoints is damaged; its copy is used")
            return entries
        if failure is None:
            return []
        raise TunerError(
            "the index of the checkpoints is damaged, and so is its copy",
            code="checkpoints-damaged",
            where=str(self._state / _INDEX),
            fix="start a new run with the same configuration",
        ) from failure


def _entries_of(values: Any) -> list[_Entry]:
    """The entries of an index; fields of a later version are passed over."""
    known = {field.name for field in fields(_Entry)}
    entries = [_Entry(**{name: value for name, value in each.items() if name in known}) for each in values]
    if wrong := next((each for each in entries if not _is_sound(each)), None):
        raise ValueError(f"no entry of ours: {wrong}")
    return entries


def _is_sound(entry: _Entry) -> bool:
    """Whether an entry is of the right types and names a file of ours: a run folder may be a stranger's."""
    values = entry.value is None or (isinstance(entry.value, int | float) and math.isfinite(entry.value))
    texts = all(isinstance(text, str) for text in (entry.file, entry.sha256, entry.adapter_sha256))
    return values and texts and type(entry.step) is int and entry.step >= 0 and bool(_STATE_FILE.fullmatch(entry.file))


def _save_arrays(path: Path, arrays: dict[str, Any], metadata: dict[str, str]) -> str:
    import mlx.core as mx

    with replacing(path) as part:
        try:
            mx.save_safetensors(str(part), arrays, metadata=metadata)
        except RuntimeError as error:
            # mlx reports a failed write as a RuntimeError without a number, so the disk itself is asked.
            full = shutil.disk_usage(path.parent).free < _ALMOST_NOTHING
            raise OSError(errno.ENOSPC if full else errno.EIO, str(error)) from error
        digest = _sha256(part)
    return digest


def _mean(files: list[Path]) -> dict[str, Any]:
    """The mean of the same arrays in several files, computed in float32 and given in their own type."""
    import mlx.core as mx

    loaded = [dict(mx.load(str(file))) for file in files]
    mean = {}
    for name, first in loaded[0].items():
        total = sum((arrays[name].astype(mx.float32) for arrays in loaded), start=mx.array(0.0))
        mean[name] = (total / len(loaded)).astype(first.dtype)
    mx.eval(list(mean.values()))
    return mean


def _copy(source: Path, target: Path) -> None:
    with replacing(target) as part:
        shutil.copyfile(source, part)


def _sha256(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _damage(path: Path, digest: str) -> str | None:
    """What is wrong with a file, None when nothing is; without a digest it only has to be there."""
    if not path.is_file():
        return "is missing"
    return None if not digest or _sha256(path) == digest else "is damaged"


def _read_snapshot(path: Path) -> Snapshot:
    import mlx.core as mx

    try:
        arrays, metadata = mx.load(str(path), return_metadata=True)
        groups: dict[str, dict[str, Any]] = {"weights": {}, "optimizer": {}, "gradients": {}}
        for name, value in arrays.items():
            group, _, rest = name.partition(".")
            if group in groups:
                groups[group][rest] = value
        mx.eval(list(arrays.values()))
        return Snapshot(Progress.from_dict(json.loads(metadata["progress"])), **groups, key=arrays["rng.key"])
    except (RuntimeError, KeyError, TypeError, ValueError, AttributeError) as error:
        # Its checksum is that of the index, so it was made like this: RecursionError is a RuntimeError.
        raise TunerError(
            "is no checkpoint of this program",
            code="checkpoints-damaged",
            where=str(path),
            fix="start a new run with the same configuration",
        ) from error
