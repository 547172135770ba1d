"""The only door to the model hub: from a model's name to a local folder.

It must never print or log a token, and never import the hub library before a name needs it.
"""

from __future__ import annotations

from pathlib import Path

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
