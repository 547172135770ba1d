"""The only door to the model hub: from a model's name to a local folder.

It must never print or log a token, and never import the hub library before a name needs it.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tui_tuner.errors import TunerError

_PATTERNS = ["*.json", "model*.safetensors", "*.jinja", "tokenizer.model", "*.tiktoken", "*.txt", "README.md"]


def fetch(name: str, revision: str | None = None) -> Path:
    """The local folder of a hub model, downloaded into the hub's cache when it is not there yet.

    Raises:
        TunerError: when the repository is missing, gated, or cannot be reached and is not in the cache.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=_PATTERNS))
    except GatedRepoError as error:
        raise TunerError(
            f"the model {name} is gated: its owner asks you to accept terms first",
            code="model-gated",
            fix="accept them on the model's page and log in with `hf auth login`",
        ) from error
    except (RepositoryNotFoundError, RevisionNotFoundError) as error:
        raise TunerError(
            f"there is no model {name} on the hub that you can see",
            code="model-not-found",
            fix="check the spelling, or log in with `hf auth login` if it is private",
        ) from error
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError, ValueError) as error:
        raise TunerError(
            f"the model {name} is neither a local folder nor in the hub's cache, and the hub could not be reached",
            code="model-unreachable",
            fix="check the path or the network, and HF_HOME and HF_HUB_OFFLINE if you set them",
        ) from error


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
    """The models in the hub's cache, by name; none when there is no cache. Reads folders only, never the network."""
    found = []
    for repository in _cached_repositories():
        versions = sorted(repository.revisions, key=lambda one: ("main" in one.refs, one.last_modified), reverse=True)
        if versions:
            folder = Path(versions[0].snapshot_path)
            found.append(Cached(repository.repo_id, folder, repository.size_on_disk, repository.last_accessed))
    return sorted(found, key=lambda one: one.name.lower())


def delete_cached(name: str) -> int:
    """Deletes a model, every version of it, from the hub's cache; returns the bytes that this freed.

    Raises:
        TunerError: when it is not in the cache, or cannot be deleted.
    """
    for repository in _cached_repositories():
        if repository.repo_id == name:
            # The library deletes by the hash of a version, which two repositories can share.
            try:
                shutil.rmtree(repository.repo_path)
            except OSError as error:
                raise TunerError(
                    f"the model could not be deleted from the hub's cache ({error.strerror})",
                    code="not-deletable",
                    where=str(repository.repo_path),
                    fix="look whether its folder may be written",
                ) from error
            return int(repository.size_on_disk)
    raise TunerError(
        f"the model {name} is not in the hub's cache",
        code="model-not-found",
        fix="list what is with `tui-tuner models`",
    )


def _cached_repositories() -> list[Any]:
    from huggingface_hub import CacheNotFound, constants, scan_cache_dir

    try:
        return [one for one in scan_cache_dir(constants.HF_HUB_CACHE).repos if one.repo_type == "model"]
    except (CacheNotFound, OSError, ValueError):
        return []
