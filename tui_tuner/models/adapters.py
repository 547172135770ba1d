"""Adapters: put them on a module tree, save and load them in mlx-lm's own format. Called on the MLX thread only.

What is written here loads unchanged in `mlx_lm.generate --adapter-path`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tui_tuner.config import AdapterSection
from tui_tuner.errors import TunerError, brief
from tui_tuner.models.load import Base, fresh_tree
from tui_tuner.models.targets import resolve
from tui_tuner.runs.files import read_failure, write_json

WEIGHTS = "adapters.safetensors"
CONFIG = "adapter_config.json"


@dataclass(frozen=True)
class Attached:
    """What an adapter trains: numbers of weights and of layers, and the module paths within a layer.

    `total` are the model's own weights, without the adapter's.

    `keys` and `stock_layers` are mlx-lm's `keys` and `num_layers`: those paths and that number, or full paths in any
    layer when single layers were chosen. `notes` are sentences about names that were taken to mean others.
    """

    trainable: int
    total: int
    layers: int
    modules: list[str]
    keys: list[str]
    stock_layers: int
    notes: list[str] = field(default_factory=list)

    def sentence(self) -> str:
        share = 100 * self.trainable / max(self.total, 1)
        return f"{self.trainable:,} of {self.total:,} weights train ({share:.2f} %), in {self.layers} layers"


def trainable_modules(model: Any) -> list[str]:
    """Paths, within a layer, of the linear modules an adapter can go on, sorted."""
    import mlx.nn as nn
    from mlx_lm.models.switch_layers import QuantizedSwitchLinear, SwitchLinear

    kinds = (nn.Linear, nn.QuantizedLinear, SwitchLinear, QuantizedSwitchLinear)
    return sorted(
        {
            name
            for layer in model.layers
            for name, module in layer.named_modules()
            if isinstance(module, kinds) or hasattr(module, "to_lora")
        }
    )


def attach(model: Any, adapter: AdapterSection) -> Attached:
    """Freezes a module tree and puts a fresh adapter on it (or unfreezes layers, for the method `full`).

    The random start of the adapter is drawn from mlx's generator: seed it first.

    Raises:
        TunerError: for more layers than there are, targets that match nothing, or weights that cannot be trained.
    """
    import mlx.nn as nn
    from mlx.utils import tree_flatten
    from mlx_lm.tuner.utils import linear_to_lora_layers

    chosen = _chosen_layers(model, adapter)
    stock_layers = len(model.layers) if adapter.layer_numbers else len(chosen)
    model.freeze()
    available = trainable_modules(model)
    if adapter.method == "full":
        if any(isinstance(m, nn.QuantizedLinear) for _, m in model.named_modules()):
            raise TunerError(
                "full fine-tuning needs unquantized weights, and this model is quantized",
                code="full-on-quantized",
                where="adapter.method",
                fix="choose lora or dora, or de-quantize the model first",
            )
        for number in chosen:
            model.layers[number].unfreeze()
        modules, keys, notes = available, available, []
    else:
        targets = resolve(available, adapter.targets)
        modules, notes = targets.modules, targets.notes
        if adapter.method == "dora":
            _check_dora(model, modules)
        keys = _full_paths(model, adapter.layer_numbers, modules) if adapter.layer_numbers else modules
        parameters = {**lora_parameters(adapter), "keys": keys}
        linear_to_lora_layers(model, stock_layers, parameters, use_dora=adapter.method == "dora")
    trainable = sum(v.size for _, v in tree_flatten(model.trainable_parameters()))
    if not trainable:
        raise TunerError(
            "the adapter would train nothing", code="trains-nothing", where="adapter", fix="check rank and targets"
        )
    return Attached(trainable, total_parameters(model), len(chosen), modules, keys, stock_layers, notes)


def _chosen_layers(model: Any, adapter: AdapterSection) -> list[int]:
    """Numbers of the layers that are trained.

    Raises:
        TunerError: for layers that the model does not have.
    """
    count = len(model.layers)
    beyond = [number for number in adapter.layer_numbers if number >= count]
    if beyond:
        raise TunerError(
            f"there is no layer {beyond[0]}: the model has layers 0 to {count - 1}",
            code="too-many-layers",
            where="adapter.layer_numbers",
            fix="name only layers that it has",
        )
    if adapter.layers > count:
        raise TunerError(
            f"{adapter.layers} layers are asked for, but the model has {count}",
            code="too-many-layers",
            where="adapter.layers",
            fix=f"set it to {count} or less (0 means all)",
        )
    return sorted(adapter.layer_numbers) or list(range(count))[-(adapter.layers or count) :]


def _full_paths(model: Any, numbers: list[int], modules: list[str]) -> list[str]:
    """Paths from the model's root, which mlx-lm takes as keys as well: its way to name single layers."""
    names = {id(module): name for name, module in model.named_modules()}
    return [f"{names[id(model.layers[number])]}.{module}" for number in sorted(numbers) for module in modules]


def _check_dora(model: Any, modules: list[str]) -> None:
    """Refuses what mlx-lm's DoRA cannot do, which it would say by a shape that does not fit, in the first step."""
    from mlx_lm.models.switch_layers import QuantizedSwitchLinear, SwitchLinear

    for layer in model.layers:
        for name, module in layer.named_modules():
            if name not in modules:
                continue
            if isinstance(module, SwitchLinear | QuantizedSwitchLinear):
                what = "mixture-of-experts layers"
            elif 32 % getattr(module, "bits", 32):
                what = f"weights quantized to {module.bits} bits"
            else:
                continue
            raise TunerError(
                f"DoRA does not work on {what} ({name})",
                code="dora-unsupported",
                where="adapter.method",
                fix="choose lora, or other targets",
            )


def total_parameters(model: Any) -> int:
    """Number of weights of a model, quantized ones counted unpacked; those of an adapter on it do not count."""
    from mlx_lm.utils import get_total_parameters

    return int(get_total_parameters(model))


def lora_parameters(adapter: AdapterSection) -> dict[str, Any]:
    """mlx-lm's `lora_parameters` of an adapter section, without the keys."""
    return {"rank": adapter.rank, "scale": adapter.effective_scale, "dropout": adapter.dropout}


def write_adapter_config(
    folder: Path, adapter: AdapterSection, attached: Attached, model_path: str, extra: dict[str, Any]
) -> None:
    """Writes the `adapter_config.json` that mlx-lm's `load_adapters` reads; `extra` is kept beside it."""
    parameters = None if adapter.method == "full" else {**lora_parameters(adapter), "keys": attached.keys}
    write_json(
        folder / CONFIG,
        {
            "model": model_path,
            "fine_tune_type": adapter.method,
            "num_layers": attached.stock_layers,
            "lora_parameters": parameters,
            **extra,
        },
    )


def load_adapter(base: Base, folder: Path, weights: str = WEIGHTS) -> Any:
    """A module tree of its own on the base's arrays with a saved adapter on it, ready to generate.

    Args:
        base: the loaded base; it is not changed.
        folder: a stock adapter folder.
        weights: file name within it, for an earlier checkpoint.

    Raises:
        TunerError: when files are missing or the adapter was made for another base.
    """
    import mlx.core as mx
    from mlx.utils import tree_flatten

    config = read_adapter_config(folder)
    path = folder / weights
    if not path.is_file():
        raise TunerError(
            "there are no adapter weights yet",
            code="adapter-not-found",
            where=str(path),
            fix="train first, or give another folder",
        )
    tree = fresh_tree(base)
    try:
        tensors = mx.load(str(path))
    except (RuntimeError, ValueError) as error:
        raise TunerError(
            "the adapter's weights are damaged",
            code="adapter-damaged",
            where=str(path),
            fix="take an earlier checkpoint from the same folder, or train again",
        ) from error
    try:
        put_adapter(tree, config)
        own = dict(tree_flatten(tree.parameters()))
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise TunerError(
            f"the adapter does not fit this model ({brief(error)})",
            code="adapter-mismatch",
            where=str(folder),
            fix=f"use the model it was trained on ({config.get('model', 'not recorded')})",
        ) from error
    for name in _misfits(tensors, own):
        raise TunerError(
            f"the adapter was made for another model: {name} does not fit",
            code="adapter-mismatch",
            where=str(folder),
            fix=f"use the model it was trained on ({config.get('model', 'not recorded')})",
        )
    tree.load_weights(list(tensors.items()), strict=False)
    tree.eval()
    mx.eval(tree.parameters())
    return tree


def _misfits(tensors: dict[str, Any], own: dict[str, Any]) -> Iterator[str]:
    """Weights of an adapter that have no place in the tree, and places in the tree that the adapter leaves empty."""
    for name, tensor in tensors.items():
        if name not in own or own[name].shape != tensor.shape:
            yield name
    yield from (name for name in own if name.rsplit(".", 1)[-1] in ("lora_a", "lora_b") and name not in tensors)


def put_adapter(tree: Any, config: dict[str, Any]) -> None:
    """Puts an untrained adapter of a stock `adapter_config.json` on a module tree."""
    from mlx_lm.tuner.utils import linear_to_lora_layers

    method = config.get("fine_tune_type", "lora")
    if method != "full":
        linear_to_lora_layers(tree, config["num_layers"], config["lora_parameters"], use_dora=method == "dora")


def read_adapter_config(folder: Path) -> dict[str, Any]:
    """A stock adapter folder's configuration as a dictionary.

    Raises:
        TunerError: there is none, it cannot be read, or it is another tool's.
    """
    config = adapter_document(folder, "give the folder that training wrote, such as runs/NAME/adapters", "train again")
    if not isinstance(config, dict) or "num_layers" not in config:
        raise TunerError(
            "the adapter's configuration is not one of mlx-lm's",
            code="adapter-format",
            where=str(folder / CONFIG),
            fix="adapters of other tools must be converted first",
        )
    return config


def adapter_document(folder: Path, if_missing: str, if_damaged: str) -> Any:
    """What the `adapter_config.json` of an adapter's folder holds, of whichever tool.

    Args:
        if_missing: what a person can do where there is none.
        if_damaged: what a person can do where it is no JSON.

    Raises:
        TunerError: there is none, or it cannot be read.
    """
    path = folder / CONFIG
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        known = folder.is_dir()
        raise TunerError(
            f"the folder has no {CONFIG}, so it is no adapter" if known else "there is no such adapter folder",
            code="adapter-not-found",
            where=str(folder),
            fix=if_missing,
        ) from error
    except OSError as error:
        raise read_failure(error, path) from error
    except (ValueError, RecursionError) as error:
        raise TunerError(
            f"{CONFIG} is not valid JSON", code="adapter-damaged", where=str(path), fix=if_damaged
        ) from error
