"""From what the hub and its library raise to one sentence for a person.

What is said is ours alone: never a header, never an address with a signature in it, never a token.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tui_tuner.errors import TunerError

_LOGIN = "log in with `hf auth login`"
_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_READ_ONLY = {errno.EACCES, errno.EPERM, errno.EROFS, errno.EEXIST, errno.ENOTDIR}


@contextmanager
def hub_failures(name: str, what: str = "model") -> Iterator[None]:
    """Turns what is raised inside into a `TunerError` about the repository; a stop and our own errors pass.

    Args:
        name: of the repository.
        what: "model" for a download, "upload" for an upload.
    """
    from tui_tuner.runs.control import StopRequested

    try:
        yield
    except (TunerError, StopRequested):
        raise
    except Exception as error:
        raise failure(error, name, what) from error


def failure(error: Exception, name: str, what: str = "model") -> TunerError:
    """What an exception of the hub's library means."""
    from huggingface_hub import errors

    if isinstance(error, errors.GatedRepoError):
        return TunerError(
            f"the model {name} is gated: its owner asks you to accept terms first",
            code="model-gated",
            fix=f"accept them on the model's page and {_LOGIN}",
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return TunerError(
            f"the model {name} has no such version",
            code="model-no-revision",
            fix="name a branch, a tag or a commit that its page lists, or none for the newest",
        )
    if isinstance(error, errors.RepositoryNotFoundError):
        return _not_found(name, what)
    if isinstance(error, errors.OfflineModeIsEnabled):
        return _unreachable(name, what, "HF_HUB_OFFLINE forbids to ask the Hub", "unset HF_HUB_OFFLINE")
    if isinstance(error, errors.HFValidationError):
        return TunerError(
            f'"{name}" cannot be the name of a repository', code="usage", fix="write it as owner/name", usage=True
        )
    status = _status(error)
    if status is not None:
        return _refused(status, name, what)
    if isinstance(error, OSError) and (error.errno in _NO_SPACE or error.errno in _READ_ONLY):
        return _disk(error)
    return _unreachable(name, what, "the Hub could not be reached", "check the network, and HF_ENDPOINT if you set it")


def _status(error: BaseException | None) -> int | None:
    while error is not None:
        response: Any = getattr(error, "response", None)
        if isinstance(getattr(response, "status_code", None), int):
            return int(response.status_code)
        error = error.__cause__
    return None


def _not_found(name: str, what: str) -> TunerError:
    if what == "upload":
        return TunerError(
            f"the Hub has no place for {name} that you may write to",
            code="model-not-found",
            fix=f"check the owner's name, and {_LOGIN}",
        )
    return TunerError(
        f"there is no model {name} on the hub that you can see",
        code="model-not-found",
        fix=f"check the spelling, or {_LOGIN} if it is private",
    )


def _refused(status: int, name: str, what: str) -> TunerError:
    if status == 401:
        return TunerError(
            "the Hub does not know your token, or misses one",
            code="hub-token",
            where=name,
            fix=f"{_LOGIN}, or correct HF_TOKEN if you set it",
        )
    if status == 403:
        right = "write" if what == "upload" else "read"
        return TunerError(
            f"your token may not {right} this repository",
            code="hub-forbidden",
            where=name,
            fix=f"make a token with the right to {right} it, and {_LOGIN}",
        )
    if status == 404:
        return _not_found(name, what)
    if status == 429:
        return TunerError(
            "the Hub asks you to slow down: too many requests",
            code="hub-busy",
            where=name,
            fix="wait some minutes and try again; who is logged in may ask more often",
        )
    if status >= 500:
        return TunerError(
            f"the Hub has a failure of its own (status {status})",
            code="hub-failed",
            where=name,
            fix="try again later; what has come so far is kept",
        )
    return TunerError(
        f"the Hub refuses the request (status {status})", code="hub-failed", where=name,
        fix="look whether the model's page says why",
    )  # fmt: skip


def _unreachable(name: str, what: str, why: str, fix: str) -> TunerError:
    if what == "upload":
        return TunerError(why, code="model-unreachable", where=name, fix=fix)
    return TunerError(
        f"the model {name} is neither a local folder nor in the hub's cache, and {why}",
        code="model-unreachable",
        fix=f"check the path, or {fix}",
    )


def broken(name: str) -> TunerError:
    """The connection broke again and again while files were coming."""
    return TunerError(
        f"the connection broke while {name} was being downloaded, and did not come back",
        code="download-broken",
        fix="try again when the network is better: what has come is kept, and the rest follows",
    )


def _disk(error: OSError) -> TunerError:
    from tui_tuner.models.hub.cache import cache_folder

    if error.errno in _NO_SPACE:
        return TunerError(
            "the disk became full while a model was being downloaded",
            code="no-space",
            where=str(cache_folder()),
            fix="free some space, or set HF_HOME to a folder on another disk; what has come is kept",
        )
    return TunerError(
        "the Hub's cache may not be written",
        code="cache-not-writable",
        where=str(Path(error.filename).parent if error.filename else cache_folder()),
        fix="change its rights, or set HF_HOME to a folder that you may write to",
    )
