"""From a folder to a model in memory. Called on the MLX thread only.

A loaded base is never changed: adapters are put on module trees of their own that share its arrays.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tui_tuner.errors import TunerError
from tui_tuner.models.folder import check_folder
from tui_tuner.models.libraries import ready


@dataclass(frozen=True)
class Base:
    """A model's weights and tokenizer in memory, without any adapter. `model` is pristine and must stay so."""

    path: Path
    model: Any
    tokenizer: Any
    config: dict[str, Any]

    @property
    def layer_count(self) -> int:
        return len(self.model.layers)


def load_tokenizer(folder: Path) -> Any:
    """mlx-lm's tokenizer wrapper for a model folder.

    Raises:
        TunerError: when the tokenizer's files cannot be read.
    """
    ready()
    from mlx_lm.utils import load_tokenizer as load

    config = check_folder(folder)
    try:
        return load(folder, {"trust_remote_code": False}, eos_token_ids=config.get("eos_token_id"))
    except Exception as error:  # transformers raises anything from KeyError to a Rust panic's wrapper
        raise TunerError(
            f"the model's tokenizer cannot be loaded ({_short(error)})",
            code="model-bad-tokenizer",
            where=str(folder),
            fix="copy tokenizer.json and tokenizer_config.json from the original model",
        ) from error


def load_base(folder: Path) -> Base:
    """Loads weights and tokenizer and evaluates them.

    Raises:
        TunerError: for a faulty folder, an unknown architecture, or weights that do not fit it.
    """
    ready()
    from mlx_lm.utils import load_model

    config = check_folder(folder)
    tokenizer = load_tokenizer(folder)
    try:
        model, config = load_model(folder, lazy=False, strict=True)
    except Exception as error:  # mlx, mlx-lm and safetensors each have their own
        raise TunerError(
            f"the model's weights cannot be loaded ({_short(error)})",
            code="model-bad-weights",
            where=str(folder),
            fix=f"check that mlx-lm knows the architecture {config['model_type']!r} and download the model again",
        ) from error
    return Base(folder, model, tokenizer, config)


def fresh_tree(base: Base) -> Any:
    """A second module tree on the base's own arrays: costs milliseconds and no memory, and may be changed freely."""
    from mlx_lm.utils import load_model

    tree, _ = load_model(base.path, lazy=True, strict=True)
    tree.update(base.model.parameters())
    tree.eval()
    return tree


def _short(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    text = lines[0].strip() if lines else ""
    return (text[:160] or type(error).__name__).rstrip(".")
