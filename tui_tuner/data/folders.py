"""Which files of a folder are its train, validation and test data.

In the order in which they are looked for: files or folders called after a split, shards of them as on the Hub
(`data/train-00000-of-00002.parquet`), names that have a split in them (`squad-dev.json`), and last, shards without any
or the only file that holds data.
Where two files could be meant, nothing is guessed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from tui_tuner.data.readers.refusals import IMAGES, SOUNDS_AND_FILMS
from tui_tuner.data.readers.sniff import (
    COLUMN_ENDINGS,
    JSON_ENDINGS,
    PACKED_ENDINGS,
    TABLE_ENDINGS,
    ending,
)
from tui_tuner.data.splitnames import SPLITS, split_of, split_within
from tui_tuner.errors import TunerError
from tui_tuner.runs.files import read_failure

DATA_ENDINGS = frozenset((*JSON_ENDINGS, *TABLE_ENDINGS, *COLUMN_ENDINGS, ".txt"))
_SHARD = re.compile(r"\d+")
_SHARDED_SPLIT = re.compile(r"^([A-Za-z]+)[-_.]\d+(?:-of-\d+)?(?:-[0-9a-f]{16})?$")
_MOST_LOOKED_AT = 500
_OF_A_PROGRAM = re.compile(
    r"^(package|tsconfig|manifest|metadata|settings|index|merges|vocab|special_tokens_map|added_tokens|adapter_.*"
    r"|.*config|.*tokenizer.*|.*results?|.*metrics|.*\.index)\.json$",
    re.IGNORECASE,
)
_OF_A_SAVED_SET = ("state.json", "dataset_info.json", "dataset_dict.json")


def split_files(folder: Path, subset: str = "") -> dict[str, list[Path]]:
    """The files of each split of a folder, in order; all under "" where it has no splits.

    Args:
        folder: the folder.
        subset: one of its folders, where a person names it.

    Raises:
        TunerError: no data, no train data, or two files for one split.
    """
    if subset:
        folder = _subfolder(folder, subset)
    entries = _entries(folder)
    files = [path for path in entries if is_data(path)]
    below = _entries(folder / "data") if (folder / "data").is_dir() else []
    files_below = [path for path in below if is_data(path)]
    found = _called_after_splits(folder, entries, files)
    if "train" not in found:
        found = _called_after_splits(folder / "data", below, files_below) or found
    found = found or _with_splits_in_names(folder, files) or _with_splits_in_names(folder, files_below)
    if "train" in found:
        return {split: found[split] for split in SPLITS if split in found}
    if not found and (shards := _shards(files) or _shards(files_below)):
        return {"": shards}
    raise _no_train_file(folder, entries)


def unused_files(folder: Path, used: dict[str, list[Path]]) -> list[str]:
    """The names of data files beside those that are used; the folder's own, and those in `data`."""
    taken = {path for paths in used.values() for path in paths}
    places = {path.parent for path in taken} & {folder, folder / "data"}
    beside = [path for place in sorted(places) for path in data_inside(place) if path not in taken]
    return [path.name for path in beside if not _OF_A_PROGRAM.search(path.name) and ending(path) != ".txt"]


def is_data(path: Path) -> bool:
    """Whether a file's name says that it holds records, and it is no hidden file or part of a saved set's machinery."""
    name = path.name
    if name.startswith((".", "_")) or name in _OF_A_SAVED_SET:
        return False
    if name.startswith("cache-") and path.suffix == ".arrow":  # what `datasets` computed from a set beside it
        return False
    return ending(path) in DATA_ENDINGS and path.is_file()


def data_inside(folder: Path) -> list[Path]:
    """The data files of a folder, in the order of the numbers in their names."""
    try:
        return sorted((path for path in folder.iterdir() if is_data(path)), key=_natural)
    except OSError:
        return []


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise read_failure(error, folder) from None


def _stem(path: Path) -> str:
    name = path.name
    return Path(Path(name).stem).stem if path.suffix.lower() in PACKED_ENDINGS else Path(name).stem


def _natural(path: Path) -> list[object]:
    """A key under which shard 10 comes after shard 9."""
    parts = re.split(r"(\d+)", path.name.casefold())
    return [int(part) if part.isdigit() else part for part in parts]


def _called_after_splits(folder: Path, entries: Iterable[Path], files: Iterable[Path]) -> dict[str, list[Path]]:
    """Files called train, valid or test, alone or in shards, and the files in folders of these names."""
    found: dict[str, list[Path]] = {}
    for path in files:
        stem = _stem(path)
        sharded = _SHARDED_SPLIT.match(stem)
        split = split_of(sharded[1] if sharded else stem)
        if not split:
            continue
        others = found.setdefault(split, [])
        if others and not (sharded and _pattern(others[0]) == _pattern(path)):
            raise _two(folder, others[0], path, split)
        others.append(path)
    for path in entries:
        if path.is_dir() and (split := split_of(path.name)) and (inside := data_inside(path)):
            if split in found:
                raise _two(folder, found[split][0], path, split)
            found[split] = inside
    return {split: sorted(paths, key=_natural) for split, paths in found.items()}


def _with_splits_in_names(folder: Path, files: Iterable[Path]) -> dict[str, list[Path]]:
    """Files with the word for a split in their names, as in `squad-train.json`."""
    found: dict[str, list[Path]] = {}
    for path in files:
        if split := split_within(_stem(path)):
            others = found.setdefault(split, [])
            if others and _pattern(others[0]) != _pattern(path):
                raise _two(folder, others[0], path, split)
            others.append(path)
    return {split: sorted(paths, key=_natural) for split, paths in found.items()}


def _pattern(path: Path) -> str:
    """A file's name with its numbers taken out: shards of one set have the same."""
    return _SHARD.sub("#", path.name)


def _shards(files: list[Path]) -> list[Path]:
    """Files that are parts of one set: numbered alike, or a single one; none where that isn't sure."""
    columns = [path for path in files if ending(path) in COLUMN_ENDINGS]
    parts = columns or [path for path in files if ending(path) != ".txt" and not _OF_A_PROGRAM.search(path.name)]
    if parts and len({_pattern(path) for path in parts}) == 1:
        return sorted(parts, key=_natural)
    return []


def _subfolder(folder: Path, subset: str) -> Path:
    below = [path for parent in (folder, folder / "data") if parent.is_dir() for path in _entries(parent)]
    for path in below:
        if path.is_dir() and path.name == subset:
            return path
    names = ", ".join(f'"{path.name}"' for path in below if path.is_dir() and not path.name.startswith("."))
    raise TunerError(
        f'the folder has no subset "{subset}"',
        code="no-such-subset",
        where=str(folder),
        fix=f"set data.subset to one of its folders: {names}" if names else "leave data.subset empty",
        usage=True,
    )


def _two(folder: Path, one: Path, other: Path, split: str) -> TunerError:
    return TunerError(
        f'both "{one.name}" and "{other.name}" are {split} files',
        code="two-files",
        where=str(folder),
        fix="take one of them out",
    )


def _no_train_file(folder: Path, entries: list[Path]) -> TunerError:
    names = [path.name for path in entries if not path.name.startswith(".")]
    seen = ", ".join(names[:8]) or "nothing"
    fix = "call it train.jsonl, .json, .csv, .tsv or .parquet, or name one file as data.source"
    message = f"the folder has no train file (it has {seen})"
    suffixes = [path.suffix.lower() for path in islice(folder.rglob("*"), _MOST_LOOKED_AT) if path.is_file()]
    if "config.json" in names and any(suffix in (".safetensors", ".gguf") for suffix in suffixes):
        message, fix = "the folder is a model, not data", "name it as model.path, and the data as data.source"
    elif sum(suffix in IMAGES for suffix in suffixes) * 2 > len(suffixes):
        message, fix = f"the folder holds pictures (it has {seen})", "bring rows of text as JSONL or CSV"
    elif sum(suffix in SOUNDS_AND_FILMS for suffix in suffixes) * 2 > len(suffixes):
        message, fix = f"the folder holds sounds or films (it has {seen})", "bring rows of text as JSONL or CSV"
    return TunerError(message, code="no-train-file", where=str(folder), fix=fix, usage=True)
