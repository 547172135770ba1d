"""Whether all that a model folder names lies in it: no link and no path leads elsewhere. Reads names, no weights."""

from __future__ import annotations

from pathlib import Path, PurePath

from tui_tuner.errors import TunerError
from tui_tuner.models.hub.cache import repository_of
from tui_tuner.runs.files import read_object

CONFIG_LIMIT = 16 << 20
"""Bytes of a config.json; those of the largest models have some tens of thousands."""


def check_inside(folder: Path) -> None:
    """Refuses a folder from which something leads out.

    The Hub's cache has links from a version into the blobs of the same repository; these are no way out.

    Raises:
        TunerError: code "model-outside".
    """
    try:
        links = [entry for entry in folder.iterdir() if entry.is_symlink()]
        homes = _homes(folder)
        outside = next((link for link in links if not _within(link, homes)), None)
    except (OSError, RuntimeError, ValueError):
        return  # what cannot be read is said by whoever reads it
    if outside is not None:
        raise _way_out(folder, f"{outside.name} is a link that leads out of the folder")
    document = read_object(folder / "tokenizer_config.json")
    for key, value in document.items():
        for path in value if isinstance(value, list) else [value]:
            if key.endswith(("_file", "_files")) and isinstance(path, str) and _leads_out(path):
                raise _way_out(folder, f"tokenizer_config.json names a file outside the folder as {key} ({path[:80]})")


def _homes(folder: Path) -> list[Path]:
    """Where a link of this folder may lead to."""
    homes = [folder.resolve()]
    if repository_of(folder):
        repository = folder.parent.parent
        homes += [(repository / "blobs").resolve(), *_shared_store(repository.parent)]
    return homes


def _shared_store(cache: Path) -> list[Path]:
    """The Hub's own store of files that several repositories share, where its library has one."""
    try:
        from huggingface_hub.utils._shared_blobs import is_shared_blobs_dir, shared_blobs_dir
    except ImportError:
        return []
    store = shared_blobs_dir(cache)
    return [Path(store).resolve()] if is_shared_blobs_dir(store) else []


def _within(link: Path, homes: list[Path]) -> bool:
    try:
        target = link.resolve()
    except (OSError, RuntimeError):  # round and round: it leads nowhere, and must not hide where others lead
        return True
    return any(target.is_relative_to(home) for home in homes)


def _leads_out(path: str) -> bool:
    """Many tokenizers still name where they once lay on their maker's machine; what is not there cannot be read."""
    pure = PurePath(path)
    try:
        return ".." in pure.parts or (pure.is_absolute() and Path(path).exists())
    except (OSError, ValueError):
        return True


def _way_out(folder: Path, what: str) -> TunerError:
    return TunerError(
        f"{what}, which is refused", code="model-outside", where=str(folder),
        fix="take the model from somewhere you trust, or copy the file into the folder",
    )  # fmt: skip
