"""What lies in the hub's cache. Reads folders only, never the network."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tui_tuner.errors import TunerError

PARTIAL = ".tui-tuner.incomplete"
"""How a file ends that has not come whole; it lies beside the whole ones, and the next attempt goes on with it."""


@dataclass(frozen=True)
class Cached:
    """A model in the hub's cache.

    Attributes:
        name: of the repository.
        folder: its newest version.
        bytes: all that it takes on disk, older versions with it.
        used: when a file of it was last read, in seconds since the epoch.
    """

    name: str
    folder: Path
    bytes: int
    used: float


def cached_models() -> list[Cached]:
    """The models in the hub's cache, by name; none when there is no cache."""
    found = []
    for repository in _cached_repositories():
        versions = sorted(repository.revisions, key=lambda one: ("main" in one.refs, one.last_modified), reverse=True)
        if versions:
            folder = Path(versions[0].snapshot_path)
            found.append(Cached(repository.repo_id, folder, repository.size_on_disk, repository.last_accessed))
    return sorted(found, key=lambda one: one.name.lower())


def delete_cached(name: str) -> int:
    """Deletes a model, every version of it and what has come of one, from the hub's cache; returns the bytes freed.

    Raises:
        TunerError: when it is not in the cache, or cannot be deleted.
    """
    place = storage(name)
    if not (place / "blobs").is_dir():
        raise TunerError(
            f"the model {name} is not in the hub's cache",
            code="model-not-found",
            fix="list what is with `tui-tuner models`",
        )
    freed = sum(
        file.lstat().st_size for file in (place / "blobs").iterdir() if file.is_file() and not file.is_symlink()
    )
    # The library deletes by the hash of a version, which two repositories can share.
    try:
        shutil.rmtree(place)
    except OSError as error:
        raise TunerError(
            f"the model could not be deleted from the hub's cache ({error.strerror})",
            code="not-deletable",
            where=str(place),
            fix="look whether its folder may be written",
        ) from error
    return freed


def storage(name: str) -> Path:
    """The folder of a repository in the hub's cache, as its documentation lays it out: blobs, refs and snapshots."""
    return cache_folder() / "--".join(["models", *name.split("/")])


def cache_folder() -> Path:
    """Where the hub's cache lies."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE).expanduser()


def repository_of(folder: Path) -> str:
    """The name of the repository that a folder of the hub's cache belongs to; empty for any other folder."""
    if folder.parent.name != "snapshots" or not folder.parent.parent.name.startswith("models--"):
        return ""
    return folder.parent.parent.name.removeprefix("models--").replace("--", "/", 1)


def is_whole(folder: Path) -> bool:
    """Whether a model's folder has a configuration and all its weights, as far as its own index tells."""
    if not (folder / "config.json").is_file():
        return False
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        try:
            names = {str(name) for name in json.loads(index.read_bytes())["weight_map"].values()}
        except (OSError, ValueError, KeyError, AttributeError, TypeError, RecursionError):
            return False
        return bool(names) and all((folder / name).is_file() for name in names)
    return any(folder.glob("model*.safetensors"))


def _cached_repositories() -> list[Any]:
    from huggingface_hub import CacheNotFound, constants, scan_cache_dir

    try:
        return [one for one in scan_cache_dir(constants.HF_HUB_CACHE).repos if one.repo_type == "model"]
    except (CacheNotFound, OSError, ValueError):
        return []
