"""Where training may start from: the weights of an adapter that mlx-lm or another run saved.

mlx-lm's own `--resume-adapter-file` loads what fits and passes over the rest without a word. This must never: weights
that would mean something else here, or that leave a part of the adapter at random, are refused with a sentence. Called
on the MLX thread only.
"""

from __future__ import annotations

import hashlib
import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tui_tuner.config import AdapterSection
from tui_tuner.config.describe import in_toml
from tui_tuner.errors import TunerError
from tui_tuner.models.adapters import CONFIG, WEIGHTS, read_adapter_config
from tui_tuner.paths import find_local
from tui_tuner.runs.files import read_failure
from tui_tuner.units import listed

_KEY = "adapter.start_from"


@dataclass(frozen=True)
class Start:
    """Weights that were put into an adapter.

    Attributes:
        path: the file they came from, absolute.
        sha256: of that file.
        model: the model that they were trained on, as their configuration names it; empty when unknown.
        doubts: sentences about what could not be checked.
    """

    path: Path
    sha256: str
    model: str = ""
    doubts: list[str] = field(default_factory=list)

    def sentence(self) -> str:
        """What a run does with them, for its log."""
        origin = f", trained on {self.model}" if self.model else ""
        return (
            f"training starts from the weights in {self.path} (SHA-256 {self.sha256[:12]}…{origin}); only weights are "
            "taken: optimizer, schedule, order of rows and steps begin anew; to go on with a run exactly, resume it"
        )


def locate_start(text: str, base: Path | None) -> Path:
    """The weights file that `adapter.start_from` means.

    Args:
        text: an adapter folder, a `.safetensors` file in one, or a run folder.
        base: the folder that a relative path is looked up in before the working directory.

    Raises:
        TunerError: there is none.
    """
    found = find_local(text, base)
    if found is None:
        raise TunerError(
            "there is no such adapter to start from",
            code="adapter-not-found",
            where=f"{_KEY} = {in_toml(text)}",
            fix="check the path; a relative one counts from the preset's folder",
        )
    if found.is_dir():
        folder = next((each for each in (found, found / "adapters") if (each / WEIGHTS).is_file()), None)
        if folder is None:
            if (found / CONFIG).is_file():
                read_adapter_config(found)  # another tool's folder is named as such
            raise TunerError(
                f"the folder holds no {WEIGHTS} to start from",
                code="adapter-not-found",
                where=str(found),
                fix="give an adapter folder, such as runs/NAME/adapters, or a .safetensors file in one",
            )
        return folder / WEIGHTS
    if found.suffix != ".safetensors":
        raise TunerError(
            "is no .safetensors file",
            code="adapter-format",
            where=str(found),
            fix="give the weights that mlx-lm or a run wrote",
        )
    return found


def start_from(path: Path, tree: Any, adapter: AdapterSection) -> Start:
    """Puts saved weights into a module tree that has a fresh adapter on it (or unfrozen layers, for `full`).

    Args:
        path: the weights file; its `adapter_config.json` is looked for beside it.
        tree: what `attach` made; unchanged when the weights are refused.
        adapter: what it was made by.

    Raises:
        TunerError: the file cannot be read, or was made in another way or for another model.
    """
    import mlx.core as mx
    from mlx.utils import tree_flatten

    config = read_adapter_config(path.parent) if (path.parent / CONFIG).exists() else None
    digest = _sha256(path)
    try:
        tensors = dict(mx.load(str(path)))
        mx.eval(list(tensors.values()))
    except (RuntimeError, ValueError) as error:
        raise _damaged(path, "the adapter's weights are damaged") from error
    model = str((config or {}).get("model") or "")
    own = dict(tree_flatten(tree.trainable_parameters()))
    fit = _Fit(path, model, adapter, tensors, own, _Places(tree))
    fit.method((config or {}).get("fine_tune_type"))
    doubts = [] if adapter.method == "full" else fit.factor(config)
    fit.layers()
    fit.modules()
    fit.arrays()
    for name, tensor in tensors.items():
        if not mx.all(mx.isfinite(tensor)).item():
            raise _damaged(path, f"the adapter holds a number that is not finite, in {name}")
    tree.load_weights(list(tensors.items()), strict=False)
    mx.eval(tree.parameters())
    return Start(path, digest, model, doubts)


class _Places:
    """Takes the name of a weight apart: which layer, and which module in it."""

    def __init__(self, tree: Any) -> None:
        names = {id(module): name for name, module in tree.named_modules()}
        self._stem = names[id(tree.layers[0])].rpartition(".")[0]
        self.count = len(tree.layers)
        self.known = {name for layer in tree.layers for name, _ in layer.named_modules()}

    def of(self, name: str) -> tuple[int, str] | None:
        """Layer number and module path; None for a weight outside the layers."""
        match = re.fullmatch(rf"{re.escape(self._stem)}\.(\d+)\.(.+)\.\w+", name)
        return None if match is None else (int(match[1]), match[2])

    def layers(self, names: Any) -> list[int]:
        """The numbers of the layers that weights are in, sorted."""
        return sorted({place[0] for place in map(self.of, names) if place is not None})

    def modules(self, names: Any) -> list[str]:
        """The modules within a layer that weights are of, sorted."""
        return sorted({place[1] for place in map(self.of, names) if place is not None})


@dataclass(frozen=True)
class _Fit:
    """Compares saved weights with the adapter that is to take them; each check raises with both values and the fix."""

    path: Path
    model: str
    adapter: AdapterSection
    theirs: dict[str, Any]
    own: dict[str, Any]
    places: _Places

    def method(self, told: Any) -> None:
        ends = {name.rpartition(".")[2] for name in self.theirs}
        method = told or ("full" if "lora_a" not in ends else "dora" if "m" in ends else "lora")
        if method != self.adapter.method:
            raise self._differs(
                f"was trained with the method {method}, and adapter.method is {self.adapter.method}",
                f"set adapter.method = {in_toml(str(method))}",
            )

    def factor(self, config: dict[str, Any] | None) -> list[str]:
        """Rank and scale. Returns what could not be compared."""
        ranks = {a.shape[-1] for name, a in self.theirs.items() if name.endswith(".lora_a") and a.ndim == 2}
        if len(ranks) == 1 and ranks != {self.adapter.rank}:
            (rank,) = ranks
            raise self._differs(
                f"has rank {rank}, and adapter.rank is {self.adapter.rank}", f"set adapter.rank = {rank}"
            )
        scale, ours = ((config or {}).get("lora_parameters") or {}).get("scale"), self.adapter.effective_scale
        if not isinstance(scale, int | float):
            return [
                f"no {CONFIG} beside {self.path.name} tells the scale that it was trained with: "
                f"that it is {ours:g} is taken on trust"
            ]
        if not math.isclose(scale, ours, rel_tol=1e-6):
            raise self._differs(
                f"was trained with scale {scale:g}, and here it would be {ours:g}, so that its weights would mean "
                "something else",
                f"set adapter.scale = {scale:g}" + (" and adapter.alpha = 0" if self.adapter.alpha else ""),
            )
        return []

    def layers(self) -> None:
        theirs, ours = self.places.layers(self.theirs), self.places.layers(self.own)
        if theirs == ours or not theirs:
            return
        count = self.places.count
        if theirs[-1] >= count:
            raise self._foreign(f"it is on layer {theirs[-1]}, and this one has layers 0 to {count - 1}")
        last = theirs == list(range(count))[-len(theirs) :]
        raise self._differs(
            f"is on {_layers(theirs)}, and the configuration trains {_layers(ours)}",
            f"set adapter.layers = {0 if len(theirs) == count else len(theirs)}"
            if last
            else f"set adapter.layer_numbers = {in_toml(theirs)}",
        )

    def modules(self) -> None:
        theirs, ours = self.places.modules(self.theirs), self.places.modules(self.own)
        if theirs == ours or self.adapter.method == "full":
            return
        strange = [module for module in theirs if module not in self.places.known]
        if strange:
            raise self._foreign(f"this one has no {strange[0]}")
        raise self._differs(
            f"is on {', '.join(theirs)}, and the configuration trains {', '.join(ours)}",
            f"set adapter.targets = {in_toml(theirs)}",
        )

    def arrays(self) -> None:
        for name, tensor in sorted(self.theirs.items()):
            if name not in self.own:
                raise self._foreign(f"{name} has no place in this one")
            if tensor.shape != self.own[name].shape:
                raise self._foreign(f"{name} has the shape {tensor.shape}, and here it is {self.own[name].shape}")
        for name in self.own:
            if name not in self.theirs:
                raise self._foreign(f"it has no weights for {name}")

    def _differs(self, what: str, fix: str) -> TunerError:
        return TunerError(f"the adapter to start from {what}", code="adapter-mismatch", where=str(self.path), fix=fix)

    def _foreign(self, what: str) -> TunerError:
        return TunerError(
            f"the adapter to start from was made for another model: {what}",
            code="adapter-mismatch",
            where=str(self.path),
            fix=f"use the model that it was trained on ({self.model or 'not recorded'})",
        )


def _layers(numbers: list[int]) -> str:
    """Layer numbers in words: `layer 3`, `layers 2 to 5`, `layers 0, 2 and 5`."""
    if len(numbers) == 1:
        return f"layer {numbers[0]}"
    if numbers == list(range(numbers[0], numbers[-1] + 1)):
        return f"layers {numbers[0]} to {numbers[-1]}"
    return f"layers {listed(numbers)}"


def _damaged(path: Path, what: str) -> TunerError:
    fix = "take an earlier checkpoint from the same folder"
    return TunerError(what, code="adapter-damaged", where=str(path), fix=fix)


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as handle:
            return hashlib.file_digest(handle, "sha256").hexdigest()
    except OSError as error:
        raise read_failure(error, path) from error
