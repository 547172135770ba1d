"""Adapters of PEFT (Hugging Face), in and out: names, shapes and scale, so that the same model comes out.

PEFT computes W·x + s·B(A·x) with A of shape (rank, inputs), B of (outputs, rank) and s = alpha ÷ rank, or alpha ÷ √rank
with rsLoRA; mlx-lm computes x·W + scale·(x·a)·b with a and b the transposes. The names of modules are those of the
original model, which mlx-lm keeps for decoders of the usual build. What has no counterpart is refused by name.

Called on the MLX thread.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tui_tuner.errors import TunerError, brief
from tui_tuner.models.adapters import CONFIG, WEIGHTS, adapter_document, read_adapter_config
from tui_tuner.runs.files import write_json

PEFT_WEIGHTS = "adapter_model.safetensors"
_PREFIX = "base_model.model."
_LAYER = re.compile(r"\.layers\.(\d+)\.")
_PARTS = {"lora_a": "lora_A.weight", "lora_b": "lora_B.weight", "m": "lora_magnitude_vector"}
_SUPPORTED = ("lora_A.weight", "lora_B.weight", "lora_magnitude_vector", "lora_magnitude_vector.weight")


def to_peft(source: Path, target: Path, weights: str = WEIGHTS) -> dict[str, Any]:
    """Writes an mlx-lm adapter as a PEFT one.

    Args:
        source: a stock mlx-lm adapter folder.
        target: the folder to be filled; it must be there.
        weights: file name within the source, for a checkpoint.

    Returns:
        The written `adapter_config.json`.

    Raises:
        TunerError: a full fine-tune, which PEFT has no form for, or modules of experts.
    """
    import mlx.core as mx

    config = read_adapter_config(source)
    method = config.get("fine_tune_type", "lora")
    if method not in ("lora", "dora"):
        raise TunerError(
            "a full fine-tune is no adapter, and PEFT has no form for it",
            code="peft-unsupported",
            where=str(source),
            fix="merge it with `tui-tuner fuse` instead",
        )
    found = _load(source / weights)
    tensors: dict[str, Any] = {}
    modules: set[str] = set()
    layers: set[int] = set()
    for name, value in found.items():
        module, _, part = name.rpartition(".")
        if part not in _PARTS or len(value.shape) > 2:
            raise TunerError(
                f"{name} has no counterpart in PEFT",
                code="peft-unsupported",
                where=str(source / weights),
                fix="hand on the mlx-lm adapter, or merge it with `tui-tuner fuse`",
            )
        modules.add(module)
        if at := _LAYER.search(f".{module}."):
            layers.add(int(at[1]))
        tensors[f"{_PREFIX}{module}.{_PARTS[part]}"] = mx.contiguous(value.T) if len(value.shape) == 2 else value
    with _understood(source):
        settings = _settings(config, modules, layers)
    mx.save_safetensors(str(target / PEFT_WEIGHTS), tensors, metadata={"format": "pt"})
    write_json(target / CONFIG, settings)
    return settings


def _settings(config: dict[str, Any], modules: set[str], layers: set[int]) -> dict[str, Any]:
    """What PEFT's `adapter_config.json` says of an adapter of mlx-lm, of its modules' names and layers' numbers."""
    parameters = config["lora_parameters"]
    rank = int(parameters["rank"])
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": config.get("model") or None,
        "r": rank,
        "lora_alpha": _plain(float(parameters["scale"]) * rank),
        "lora_dropout": float(parameters.get("dropout", 0.0)),
        "target_modules": sorted({module.rpartition(".")[2] for module in modules}),
        "layers_to_transform": sorted(layers) or None,
        "layers_pattern": "layers" if layers else None,
        "use_dora": config.get("fine_tune_type") == "dora",
        "use_rslora": False,
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
    }


def from_peft(source: Path, target: Path, model: str) -> dict[str, Any]:
    """Writes a PEFT adapter as one of mlx-lm.

    Modules may have ranks and alphas of their own: they are brought to the largest rank with rows of nothing, and to
    one scale by scaling B, neither of which changes what the adapter says.

    Args:
        source: a PEFT folder, with safetensors weights.
        target: the folder to be filled; it must be there.
        model: the base, as `adapter_config.json` shall name it.

    Returns:
        The written `adapter_config.json`.

    Raises:
        TunerError: it is no LoRA, holds what mlx-lm cannot load, or has pickled weights.
    """
    import mlx.core as mx

    config = _peft_config(source)
    _check(config, source)
    tensors = _by_module(_load(source / PEFT_WEIGHTS), source)
    out: dict[str, Any] = {}
    with _understood(source):
        ranks = {module: parts["lora_A.weight"].shape[0] for module, parts in tensors.items()}
        scales = {module: _scale(config, module, rank) for module, rank in ranks.items()}
        rank, scale = max(ranks.values()), max(scales.values())
        for module, parts in tensors.items():
            a, b = parts["lora_A.weight"].T, parts["lora_B.weight"].T
            missing = rank - ranks[module]
            out[f"{module}.lora_a"] = mx.contiguous(mx.pad(a, [(0, 0), (0, missing)]))
            out[f"{module}.lora_b"] = mx.contiguous(mx.pad(b * (scales[module] / scale), [(0, missing), (0, 0)]))
            if config.get("use_dora"):
                out[f"{module}.m"] = parts["lora_magnitude_vector"].reshape(-1)
        settings = {
            "model": model,
            "fine_tune_type": "dora" if config.get("use_dora") else "lora",
            "num_layers": 0,
            "lora_parameters": {
                "rank": rank,
                "scale": scale,
                "dropout": float(config.get("lora_dropout") or 0.0),
                "keys": sorted(tensors),
            },
        }
    mx.save_safetensors(str(target / WEIGHTS), out, metadata={"format": "mlx"})
    write_json(target / CONFIG, settings)
    return settings


@contextmanager
def _understood(folder: Path) -> Iterator[None]:
    """Says in a sentence that an adapter's configuration lacks something, or does not fit its weights."""
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, re.error) as error:
        raise TunerError(
            f"the adapter's configuration and weights do not go together ({brief(error)})",
            code="adapter-damaged",
            where=str(folder),
            fix="fetch it again, or make it anew",
        ) from error


def _peft_config(folder: Path) -> dict[str, Any]:
    config = adapter_document(folder, "give the folder that PEFT's save_pretrained wrote", "fetch it again")
    if not isinstance(config, dict) or "peft_type" not in config:
        raise TunerError(
            "the adapter is none of PEFT's",
            code="adapter-format",
            where=str(folder / CONFIG),
            fix="is it one of mlx-lm's already?",
        )
    return config


def _check(config: dict[str, Any], folder: Path) -> None:
    """Refuses what mlx-lm has no way to say."""
    reasons = {
        f'its kind is {config["peft_type"]}, not LORA': config["peft_type"] != "LORA",
        "it trains biases too": config.get("bias") not in (None, "none"),
        "it brings whole modules (modules_to_save)": bool(config.get("modules_to_save")),
        "it adds tokens (trainable_token_indices)": bool(config.get("trainable_token_indices")),
        "its weights lie the other way round (fan_in_fan_out)": bool(config.get("fan_in_fan_out")),
    }  # fmt: skip
    if reason := next((text for text, holds in reasons.items() if holds), ""):
        raise TunerError(
            f"mlx-lm cannot load this adapter: {reason}",
            code="peft-unsupported",
            where=str(folder),
            fix="merge it with PEFT (merge_and_unload) and convert the merged model",
        )
    if not (folder / PEFT_WEIGHTS).is_file() and (folder / "adapter_model.bin").is_file():
        raise TunerError(
            "the adapter's weights are pickled (adapter_model.bin), which can run code when opened, and are refused",
            code="model-pickle",
            where=str(folder),
            fix="save it with safe_serialization=True",
        )


def _by_module(tensors: dict[str, Any], folder: Path) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for name, value in tensors.items():
        part = next((part for part in _SUPPORTED if name.endswith(f".{part}")), None)
        if part is None:
            raise TunerError(
                f"mlx-lm cannot load this adapter: it holds {name}",
                code="peft-unsupported",
                where=str(folder),
                fix="merge it with PEFT (merge_and_unload) and convert the merged model",
            )
        module = name.removeprefix(_PREFIX).removesuffix(f".{part}")
        found.setdefault(module, {})[part.removesuffix(".weight") if "magnitude" in part else part] = value
    for module, parts in found.items():
        if not {"lora_A.weight", "lora_B.weight"} <= parts.keys():
            raise TunerError(
                f"the adapter's weights of {module} are not complete", code="adapter-damaged", where=str(folder)
            )
    if not found:
        raise TunerError("the adapter has no weights", code="adapter-damaged", where=str(folder))
    return found


def _scale(config: dict[str, Any], module: str, rank: int) -> float:
    """A module's alpha over its rank, as PEFT has it; patterns are regular expressions for the end of a name."""
    alpha = next(
        (
            value
            for pattern, value in (config.get("alpha_pattern") or {}).items()
            if re.match(rf"(.*\.)?({pattern})$", module)
        ),
        config.get("lora_alpha", 8),
    )
    return float(alpha) / (math.sqrt(rank) if config.get("use_rslora") else rank)


def _load(path: Path) -> dict[str, Any]:
    import mlx.core as mx

    if not path.is_file():
        raise TunerError(
            f"the adapter has no {path.name}",
            code="adapter-not-found",
            where=str(path.parent),
            fix="name another folder",
        )
    try:
        return dict(mx.load(str(path)))
    except (RuntimeError, ValueError) as error:
        raise TunerError(
            f"the adapter's weights are damaged ({brief(error)})", code="adapter-damaged", where=str(path),
            fix="fetch them again",
        ) from error  # fmt: skip


def _plain(value: float) -> float | int:
    return int(value) if float(value).is_integer() else value
