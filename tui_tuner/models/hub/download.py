"""From a model's name to a local folder: what would be fetched, whether there is room, and the fetching itself.

Only safetensors and text are ever fetched. A repository that has pickled weights only is refused before the first byte.
"""

from __future__ import annotations

import os
import re
import shutil
import threading
import warnings
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from tui_tuner import units
from tui_tuner.errors import TunerError
from tui_tuner.models.hub.cache import cache_folder, is_whole, storage
from tui_tuner.models.hub.failures import hub_failures
from tui_tuner.models.hub.transfer import part_of, transfer
from tui_tuner.models.hub.watch import Plan, RemoteFile, Watch, watcher

_NEEDED = ["*.json", "model*.safetensors", "*.jinja", "tokenizer.model", "*.tiktoken", "*.txt"]
"""What mlx-lm takes of a model, too: a folder that it has downloaded has all of these."""
_WANTED = [*_NEEDED, "*.py", "README.md", "LICENSE*"]
"""Code is fetched to be read and to be asked about; it is text, and nothing here runs it."""
_PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
_SPARE = 64 << 20  # bytes that shall be left on the disk
_LOOK = 0.1
_HASH = re.compile("[0-9a-f]{40}|[0-9a-f]{64}")
Found = TypeVar("Found")


def fetch(name: str, revision: str | None = None, *, newest: bool = False) -> Path:
    """The local folder of a hub model, downloaded into the hub's cache unless a whole one is there.

    The thread's `watcher` hears of a download.

    Args:
        name: of the repository.
        revision: a branch, tag or commit; None for the newest.
        newest: whether the Hub is asked even if a whole one is there.

    Raises:
        TunerError: when the repository is missing, gated or pickled, cannot be reached and is not in the cache, or
            does not fit on the disk.
    """
    quiet()
    if not newest and (here := in_cache(name, revision)) is not None:
        return here
    watch = watcher()
    plan = _heeding(lambda: plan_download(name, revision), watch.check)
    check_room(plan)
    watch.begin(plan)
    with hub_failures(name):
        if plan.missing:
            transfer(plan, watch)
        return _linked(plan, watch)


def plan_download(name: str, revision: str | None = None) -> Plan:
    """What a download would fetch; what lies in the cache is not counted. Asks the Hub, and fetches nothing.

    Raises:
        TunerError: when the repository is missing, gated or pickled, or cannot be reached.
    """
    quiet()
    from huggingface_hub import HfApi, constants

    with hub_failures(name):
        info = HfApi(endpoint=constants.ENDPOINT).model_info(name, revision=revision, files_metadata=True, timeout=20)
    files = tuple(_files(info.siblings or []))
    _refuse_pickled(name, [str(one.rfilename) for one in info.siblings or []])
    commit = str(info.sha)
    place = storage(name)
    missing = tuple(
        file
        for file in files
        if not (place / "snapshots" / commit / file.path).exists() and not (place / "blobs" / file.hash).exists()
    )
    here = sum(min(_length(part_of(name, file)), file.bytes) for file in missing)
    return Plan(name, revision or "", commit, files, missing, here)


def check_room(plan: Plan) -> None:
    """Refuses a download that will not fit on the disk.

    Raises:
        TunerError: code "no-space", with both figures.
    """
    place = cache_folder().absolute()
    home = next((folder for folder in (place, *place.parents) if folder.is_dir()), Path("/"))
    free = shutil.disk_usage(home).free
    if plan.missing and free < plan.to_come + _SPARE:
        raise TunerError(
            f"the disk has {units.size(free)} left, and {units.size(plan.to_come)} of {plan.name} are to be downloaded",
            code="no-space",
            where=str(place),
            fix="make room, or set HF_HOME to a folder on another disk",
        )
    if plan.missing and not os.access(home, os.W_OK | os.X_OK):
        raise TunerError(
            "the Hub's cache may not be written",
            code="cache-not-writable",
            where=str(home),
            fix="change its rights, or set HF_HOME to a folder that you may write to",
        )


def quiet() -> None:
    """Keeps the hub's library from writing to the terminal: no bars, no warnings."""
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    from huggingface_hub.utils import disable_progress_bars, logging

    logging.set_verbosity_error()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a variable asks for bars: there is no place for them
        disable_progress_bars()


def in_cache(name: str, revision: str | None) -> Path | None:
    """The folder of a model that is whole in the cache; None where there is none. Never asks the network."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError

    try:
        folder = Path(snapshot_download(name, revision=revision, allow_patterns=_NEEDED, local_files_only=True))
    except HFValidationError:
        with hub_failures(name):
            raise
    except (OSError, ValueError):  # the library's own "it is not there" is one of these
        return None
    return folder if is_whole(folder) else None


def _files(siblings: list[Any]) -> list[RemoteFile]:
    found = []
    for one in siblings:
        path = PurePosixPath(str(one.rfilename))
        if not any(fnmatch(str(path), pattern) for pattern in _WANTED):
            continue
        large = one.lfs is not None
        length = one.lfs.size if large else one.size
        digest = str(one.lfs.sha256 if large else one.blob_id)
        if path.is_absolute() or ".." in path.parts or "\\" in str(path) or not _HASH.fullmatch(digest):
            raise TunerError(
                f"the repository has a file outside its folder ({path}), which is refused",
                code="model-outside",
                fix="take the model from somewhere you trust",
            )
        found.append(RemoteFile(str(path), int(length or 0), digest, large))
    return found


def _refuse_pickled(name: str, paths: list[str]) -> None:
    top = [path for path in paths if "/" not in path]
    pickled = [path for path in top if path.endswith(_PICKLED) and "training_args" not in path]
    if pickled and not any(fnmatch(path, "model*.safetensors") for path in top):
        raise TunerError(
            f"the weights of {name} are pickled ({pickled[0]}), which can run code when opened: nothing was downloaded",
            code="model-pickle",
            fix="take a version with safetensors weights",
        )


def _length(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _linked(plan: Plan, watch: Watch) -> Path:
    """Has the library lay out the folder of a version whose files are there; only headers are asked for."""
    from huggingface_hub import snapshot_download

    def lay_out() -> Path:
        return Path(snapshot_download(plan.name, revision=plan.revision or None, allow_patterns=_WANTED))

    return _heeding(lay_out, watch.check)


def _heeding(work: Callable[[], Found], check: Callable[[], None]) -> Found:
    """Does something that cannot be stopped in a thread of its own, which is left behind when a stop is asked."""
    found: list[Found] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            found.append(work())
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    while thread.is_alive():
        check()
        thread.join(_LOOK)
    if failed:
        raise failed[0]
    return found[0]
