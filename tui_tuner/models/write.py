"""Writes a module tree as a model folder, all or nothing: into a hidden folder beside the place, then renamed.

What is written loads in stock `mlx_lm`. An existing folder is never touched unless that is asked for, and then stays
whole until the new one is. Called on the MLX thread.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tui_tuner import units
from tui_tuner.errors import TunerError, brief
from tui_tuner.models.quantize import quantization_config
from tui_tuner.models.staging import beside, take_place
from tui_tuner.models.trust import remote_code
from tui_tuner.runs.files import write_atomic, write_failure

_TOKENIZER = (
    "tokenizer*",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.*",
    "merges.txt",
    "*.tiktoken",
    "chat_template*",
    "generation_config.json",
    "LICENSE*",
)
"""What is copied from the source beside the weights; never code."""
_SPARE = 64 << 20  # bytes that shall be left on the disk


def check_target(target: Path, *, force: bool = False, source: Path | None = None) -> Path:
    """The absolute place of a model that is to be written.

    Raises:
        TunerError: it is taken and may not be replaced, is no model although it may be, or is the source itself.
    """
    target = target.expanduser().absolute()
    if source is not None and target.exists() and target.samefile(source):
        raise TunerError(
            "the target is the model itself", code="target-is-source", where=str(target), fix="name another folder",
            usage=True,
        )  # fmt: skip
    if not target.exists() and not target.is_symlink():
        return target
    if not force:
        raise TunerError(
            "there is something already", code="exists", where=str(target), fix="name another folder, or add --force",
            usage=True,
        )  # fmt: skip
    empty = target.is_dir() and not any(target.iterdir())
    if target.is_symlink() or not target.is_dir() or not (empty or (target / "config.json").is_file()):
        raise TunerError(
            "what is there is no model folder, and is not replaced",
            code="exists",
            where=str(target),
            fix="name another folder",
            usage=True,
        )
    return target


def check_space(target: Path, size: int) -> None:
    """Refuses what will not fit on the disk.

    Raises:
        TunerError: code "no-space", with both figures.
    """
    place = next(folder for folder in target.parents if folder.is_dir())
    free = shutil.disk_usage(place).free
    if free < size + _SPARE:
        raise TunerError(
            f"the disk has {units.size(free)} left, and the model takes {units.size(size)}",
            code="no-space",
            where=str(place),
            fix="make room, or name a folder on another disk",
        )


def check_own_code(source: Path, config: dict[str, Any]) -> None:
    """Refuses a model whose copy would need code of its own, which is never copied.

    Raises:
        TunerError: code "model-remote-code".
    """
    code = remote_code(source, config)
    if code is not None and (code.of_model or code.of_tokenizer):
        raise TunerError(
            "a model that needs code of its own is not written anew: the copy would not load without it",
            code="model-remote-code",
            where=str(source),
            fix="take a model of an architecture that mlx-lm knows",
        )


def write_model(
    target: Path,
    source: Path,
    model: Any,
    config: dict[str, Any],
    *,
    template: str = "",
    force: bool = False,
    verify: Callable[[Path], None] = lambda folder: None,
) -> Path:
    """Writes weights, configuration and the source's tokenizer.

    Args:
        target: the folder to be made.
        source: where tokenizer and licence are copied from.
        model: the module tree; it is not changed.
        config: the source's configuration; its quantization is replaced by the tree's own.
        template: a chat template in place of the source's; empty for that.
        force: whether a model that is there is replaced.
        verify: called with the folder before it gets its name; what it raises keeps it from getting it.

    Raises:
        TunerError: the place is taken, or cannot be written.
    """
    from mlx_lm.utils import save_config, save_model

    target = check_target(target, force=force, source=source)
    check_own_code(source, config)
    with beside(target) as folder:
        try:
            save_model(folder, model)
            settings = {k: v for k, v in config.items() if k not in ("quantization", "quantization_config", "auto_map")}
            if (quantization := quantization_config(model)) is not None:
                settings["quantization"] = quantization
            keep_vision = "vision_tower" in getattr(model, "model", {})
            save_config(settings, folder / "config.json", keep_vision_config=keep_vision)
            _copy_tokenizer(source, folder)
        except OSError as error:
            raise write_failure(error, target) from error
        except RuntimeError as error:
            raise not_written(error, folder, target) from error
        if template:
            write_atomic(folder / "chat_template.jinja", template)
        verify(folder)
        take_place(folder, check_target(target, force=force, source=source))
    return target


def not_written(error: RuntimeError, folder: Path, target: Path) -> TunerError:
    """What mlx's failure to write means: it has no number, so the folder and the disk are asked."""
    if not folder.is_dir():
        return TunerError(
            "the hidden folder it was being written into has gone", code="write-failed", where=str(target),
            fix="try again",
        )  # fmt: skip
    full = shutil.disk_usage(folder).free < _SPARE
    why = "no space left on the disk" if full else f"the weights cannot be written ({brief(error)})"
    return TunerError(why, code="no-space" if full else "write-failed", where=str(target), fix="make room there")


def _copy_tokenizer(source: Path, folder: Path) -> None:
    for pattern in _TOKENIZER:
        for file in sorted(source.glob(pattern)):
            if file.is_file() and file.suffix != ".py":
                shutil.copyfile(file, folder / file.name)  # a cache's links become files
