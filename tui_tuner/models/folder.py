"""Checks a model folder before anything is loaded, so that every fault is one sentence and not a library's traceback.

It reads headers and small JSON files only; weights are never loaded here, and pickled weights are never opened.
"""

from __future__ import annotations

import contextlib
import json
import struct
from pathlib import Path
from typing import Any

from tui_tuner.errors import TunerError, brief
from tui_tuner.models.hub import fetch, in_cache
from tui_tuner.models.inside import CONFIG_LIMIT, check_inside
from tui_tuner.models.trust import check_trust
from tui_tuner.paths import is_repository_name, resolve_model
from tui_tuner.runs.files import read_failure

_LFS = b"version https://git-lfs"
_HEADER_LIMIT = 100 << 20  # bytes; the safetensors format's own limit for a header
_LONGEST_NAME = 256  # characters of a file's name, more than any file system takes
_TABLES = ("quantization", "quantization_config", "text_config")
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "tiktoken.model")


def locate(path: str, base: Path | None = None, *, download: bool = True) -> Path:
    """The folder of a model given as `embedded:NAME`, a path (relative to `base`), or a hub name.

    Args:
        download: whether a model of the hub is fetched when it is not in the cache.

    Raises:
        TunerError: when it is none of these, or the hub cannot give it.
    """
    resolved = resolve_model(path, base)
    folder = Path(resolved)
    # A local path comes back absolute; anything else is no path of this machine.
    with contextlib.suppress(OSError):  # a name too long, a folder that may not be searched
        if folder.is_absolute() and folder.is_dir():
            return folder
        if folder.is_absolute() and folder.is_file():
            raise TunerError(
                "the model is a file, not a folder",
                code="model-not-a-folder",
                where=str(folder),
                fix="give the folder that holds config.json and the weights",
            )
    if is_repository_name(path) and not path.startswith((".", "/", "~")):
        found = fetch(path) if download else in_cache(path, None)
        if found is not None:
            return found
        raise TunerError(
            "the model is not on this machine yet",
            code="model-not-found",
            where=path,
            fix=f"`tui-tuner download {path}` fetches it",
        )
    raise TunerError(
        "there is no such model folder",
        code="model-not-found",
        where=path or "model.path",
        fix="give a folder that holds config.json and *.safetensors, or a hub name such as owner/name",
    )


def read_model_config(folder: Path) -> dict[str, Any]:
    """The model's `config.json`, checked to be an object with a `model_type`."""
    path = folder / "config.json"
    check_inside(folder)
    try:
        if path.stat().st_size > CONFIG_LIMIT:
            raise TunerError(
                f"config.json has {path.stat().st_size / 1e6:,.0f} MB, which no configuration needs",
                code="model-bad-config", where=str(path), fix="download the model again",
            )  # fmt: skip
        raw = path.read_bytes()
    except FileNotFoundError as error:
        raise TunerError(
            "the folder has no config.json, so it is no model",
            code="model-no-config",
            where=str(folder),
            fix="give the folder that holds config.json and the weights",
        ) from error
    except OSError as error:
        raise _unreadable(error, path) from error
    if raw.startswith(_LFS):
        raise _pointer(path)
    try:
        config = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise TunerError(
            f"config.json is not valid JSON ({brief(error)})",
            code="model-bad-config",
            where=str(path),
            fix="download the model again",
        ) from error
    if not isinstance(config, dict) or not isinstance(config.get("model_type"), str):
        raise TunerError(
            "config.json names no model_type", code="model-bad-config", where=str(path), fix="download the model again"
        )
    if wrong := next((key for key in _TABLES if not isinstance(config.get(key) or {}, dict)), None):
        raise TunerError(
            f"{wrong} in config.json is no table", code="model-bad-config", where=str(path),
            fix="download the model again",
        )  # fmt: skip
    return config


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a model, checked against its index, for pointers in place of weights, and for length."""
    files = sorted(folder.glob("model*.safetensors"))
    if not files:
        pickled = [p.name for p in folder.iterdir() if p.suffix in {".bin", ".pt", ".pth", ".ckpt"}]
        if pickled:
            raise TunerError(
                f"the weights are pickled ({pickled[0]}), which can run code when opened, and are refused",
                code="model-pickle",
                where=str(folder),
                fix="take a version with safetensors weights",
            )
        raise TunerError(
            "the folder has no weights (model*.safetensors)",
            code="model-no-weights",
            where=str(folder),
            fix="download the model again, or give another folder",
        )
    index = folder / "model.safetensors.index.json"
    if index.exists():
        missing, wanted = _missing_shards(index)
        if missing:
            raise TunerError(
                f"{len(missing)} of {wanted} weight files are missing, the first is {missing[0]}",
                code="model-missing-shards",
                where=str(folder),
                fix="download the model again",
            )
    for file in files:
        read_header(file)
    return files


def _missing_shards(index: Path) -> tuple[list[str], int]:
    """The files that the index names and that are not there, and how many it names."""
    try:
        raw = index.read_bytes()
        if raw.startswith(_LFS):
            raise _pointer(index)
        names = set(json.loads(raw)["weight_map"].values())
        if not all(isinstance(name, str) and len(name) < _LONGEST_NAME for name in names):
            raise ValueError("a name that is none")
    except (OSError, ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        raise TunerError(
            "the index of the weights is damaged",
            code="model-bad-index",
            where=str(index),
            fix="download the model again",
        ) from error
    if outside := [name for name in names if Path(name).name != name or name in ("..", "")]:
        raise TunerError(
            f"the index of the weights names a file outside the folder ({outside[0]}), which is refused",
            code="model-bad-index",
            where=str(index),
            fix="take the model from somewhere you trust",
        )
    return sorted(name for name in names if not (index.parent / name).is_file()), len(names)


def read_header(file: Path) -> dict[str, tuple[str, list[int]]]:
    """Names of a safetensors file's tensors, with data type and shape.

    Raises:
        TunerError: when the file is a Git-LFS pointer, is cut short, or is no safetensors file.
    """
    damaged = TunerError(
        "the weight file is damaged or cut short", code="model-bad-weights", where=str(file), fix="download it again"
    )
    try:
        with file.open("rb") as handle:
            raw = handle.read(len(_LFS))
            if raw == _LFS:
                raise _pointer(file)
            if len(raw) < 8:
                raise damaged
            (length,) = struct.unpack("<Q", raw[:8])
            size = file.stat().st_size
            if length > min(_HEADER_LIMIT, size):
                raise damaged
            handle.seek(8)
            header = json.loads(handle.read(length))
    except OSError as error:
        raise _unreadable(error, file) from error
    except (ValueError, RecursionError) as error:
        raise damaged from error
    try:
        tensors = {name: tensor for name, tensor in header.items() if name != "__metadata__"}
        found = {name: (str(t["dtype"]), [_whole(size) for size in t["shape"]]) for name, t in tensors.items()}
        end = max((_whole(t["data_offsets"][1]) for t in tensors.values()), default=0)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise damaged from error
    if 8 + length + end > size:
        raise damaged
    return found


def _whole(value: Any) -> int:
    """A size as a header has it.

    Raises:
        ValueError: it is no whole number from 0 on.
    """
    if type(value) is not int or not 0 <= value < 1 << 63:
        raise ValueError(f"no size: {value}")
    return value


def _unreadable(error: OSError, path: Path) -> TunerError:
    failure = read_failure(error, path)
    failure.fix = failure.fix or "download the model again"
    return failure


def _pointer(file: Path) -> TunerError:
    return TunerError(
        f"{file.name} is a Git-LFS pointer, not the file itself",
        code="lfs-pointer",
        where=str(file.parent),
        fix="run `git lfs pull` in that folder",
    )


def check_folder(folder: Path) -> dict[str, Any]:
    """Everything that can be known to be wrong with a model folder without loading it; returns its configuration.

    Raises:
        TunerError: for the first fault found.
    """
    check_inside(folder)
    config = read_model_config(folder)
    weight_files(folder)
    check_trust(folder, config)
    if not any((folder / name).is_file() for name in _TOKENIZER_FILES):
        raise TunerError(
            "the folder has no tokenizer (tokenizer.json or tokenizer.model)",
            code="model-no-tokenizer",
            where=str(folder),
            fix="copy the tokenizer's files from the original model",
        )
    return config
