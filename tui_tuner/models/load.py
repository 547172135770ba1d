"""From a folder to a model in memory. Called on the MLX thread only.

A loaded base is never changed: adapters are put on module trees of their own that share its arrays.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tui_tuner.data.formprobe import put_template
from tui_tuner.errors import TunerError, brief
from tui_tuner.models.folder import check_folder
from tui_tuner.models.libraries import ready
from tui_tuner.models.trust import check_trust


@dataclass(frozen=True)
class Base:
    """A model's weights and tokenizer in memory, without any adapter. `model` is pristine and must stay so."""

    path: Path
    model: Any
    tokenizer: Any
    config: dict[str, Any]
    template: str = ""
    """The chat template in the place of the model's own; empty for that."""


def load_tokenizer(folder: Path, template: str = "") -> Any:
    """mlx-lm's tokenizer wrapper for a model folder.

    Args:
        folder: the model's.
        template: a chat template in the place of the model's own; empty for that.

    Raises:
        TunerError: when the tokenizer's files cannot be read.
    """
    config = check_folder(folder)  # before the libraries, which take seconds to import
    code = check_trust(folder, config)
    ready()
    from mlx_lm.utils import load_config
    from mlx_lm.utils import load_tokenizer as load

    try:
        # The tokens that end an answer often stand in generation_config.json only, which load_config reads too.
        ends = load_config(folder).get("eos_token_id")
        tokenizer = load(folder, {"trust_remote_code": code is not None and code.of_tokenizer}, eos_token_ids=ends)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # from KeyError to a panic in Rust code, which is no Exception
        raise TunerError(
            f"the model's tokenizer cannot be loaded ({brief(error)})",
            code="model-bad-tokenizer",
            where=str(folder),
            fix="copy tokenizer.json and tokenizer_config.json from the original model",
        ) from error
    put_template(tokenizer, template)
    return tokenizer


def load_base(folder: Path, template: str = "") -> Base:
    """Loads weights and tokenizer and evaluates them.

    Args:
        folder: the model's.
        template: a chat template in the place of the model's own; empty for that.

    Raises:
        TunerError: for a faulty folder, an unknown architecture, or weights that do not fit it.
    """
    config = check_folder(folder)
    ready()
    from mlx_lm.utils import load_model

    tokenizer = load_tokenizer(folder, template)
    try:
        model, config = load_model(folder, lazy=False, strict=True, trust_remote_code=_runs(folder, config))
    except Exception as error:  # mlx, mlx-lm and safetensors each have their own
        raise _not_loaded(folder, config["model_type"], error) from error
    return Base(folder, model, tokenizer, config, template)


def in_form(base: Base, template: str) -> Base:
    """The same base with another chat template, empty for the model's own; costs a tokenizer.

    Raises:
        TunerError: when the tokenizer's files cannot be read any more.
    """
    if base.template == template:
        return base
    return replace(base, tokenizer=load_tokenizer(base.path, template), template=template)


def skeleton(folder: Path) -> Any:
    """A model's module tree without its weights in memory, to see what it is made of.

    Raises:
        TunerError: for a faulty folder, an unknown architecture, or weights that do not fit it.
    """
    config = check_folder(folder)
    ready()
    from mlx_lm.utils import load_model

    try:
        return load_model(folder, lazy=True, strict=True, trust_remote_code=_runs(folder, config))[0]
    except Exception as error:
        raise _not_loaded(folder, config["model_type"], error) from error


def fresh_tree(base: Base) -> Any:
    """A second module tree on the base's own arrays: costs milliseconds and no memory, and may be changed freely.

    Raises:
        TunerError: when the model's files have gone or changed since the base was loaded.
    """
    from mlx_lm.utils import load_model

    trusted = _runs(base.path, base.config)
    try:
        tree, _ = load_model(base.path, lazy=True, strict=True, trust_remote_code=trusted)
    except Exception as error:
        raise _not_loaded(base.path, base.config["model_type"], error) from error
    tree.update(base.model.parameters())
    tree.eval()
    return tree


def _runs(folder: Path, config: dict[str, Any]) -> bool:
    """Whether mlx-lm may run the model's own code: it asks for some, and a person has allowed exactly that.

    Raises:
        TunerError: it asks for some, and nobody has.
    """
    code = check_trust(folder, config)
    return code is not None and code.of_model


def _not_loaded(folder: Path, kind: str, error: Exception) -> TunerError:
    if str(error).endswith("not supported."):  # mlx-lm has a ValueError and these words for it
        return TunerError(
            f"mlx-lm does not know the architecture {kind!r}",
            code="model-unknown-architecture",
            where=str(folder),
            fix="update mlx-lm, or take another model",
        )
    return TunerError(
        f"the model's weights cannot be loaded ({brief(error)})",
        code="model-bad-weights",
        where=str(folder),
        fix="download the model again, and check that its config.json belongs to these weights",
    )
