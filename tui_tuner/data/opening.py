"""From what a preset calls `data.source` to tables of records that are read when they are asked for.

A source is a file in any common format, a folder that brings its splits, or a set on the Hub. Opening one reads no more
than its beginning, and says at once where there is no data at all. Nothing is dropped in silence.
"""

from __future__ import annotations

import difflib
import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tui_tuner.config.reading import Slice
from tui_tuner.data.folders import split_files, unused_files
from tui_tuner.data.readers.options import Options
from tui_tuner.data.readers.sniff import tables_of
from tui_tuner.data.readers.views import Chain, Part
from tui_tuner.data.splitnames import split_of
from tui_tuner.data.table import Source, Table
from tui_tuner.errors import TunerError
from tui_tuner.paths import is_repository_name, resolve_data

if TYPE_CHECKING:
    from tui_tuner.config import DataSection

HUB = "hf:"
"""What a source begins with that is a set on the Hub and nothing else."""

_FILE_ENDINGS = re.compile(r"\.(jsonl?|ndjson|csv|tsv|txt|parquet|arrow|gz|zst|zip|xlsx|toml)$", re.IGNORECASE)


def open_source(data: DataSection | str, base: Path | None = None) -> Source:
    """Open a source.

    Args:
        data: what to read and how, or just the source: a file, a folder with train, valid and test files,
            "embedded:NAME", or a set on the Hub ("hf:owner/name", or "owner/name" when there is no such path).
        base: folder that a relative path is looked for in first.

    Raises:
        TunerError: it isn't there, or holds no data at all; says why.
    """
    name, options = (data, Options()) if isinstance(data, str) else (data.source, Options.of(data))
    source = _opened(name, options, base)
    try:
        return _sliced(source, options.slice) if options.slice != Slice() and source.format != "hub" else source
    except BaseException:
        source.close()
        raise


def _opened(name: str, options: Options, base: Path | None) -> Source:
    if name.startswith(HUB):
        return _from_hub(name, name.removeprefix(HUB).strip("/"), options)
    path = Path(resolve_data(name, base))
    try:
        if path.is_dir():
            return _from_folder(name, path, options)
        if path.is_file():
            tables = tables_of(path, options)
            return Source(name, path, tables, _format(tables))
        if path.exists():  # a pipe or a device might never end
            raise TunerError("is neither a file nor a folder", code="no-such-data", where=str(path), usage=True)
    except (OSError, ValueError):  # a name too long, or a folder that may not be looked into
        raise _not_there(name, base) from None
    if _may_be_on_the_hub(name, base):
        return _from_hub(name, name, options)
    raise _not_there(name, base)


def _from_folder(name: str, folder: Path, options: Options) -> Source:
    files = split_files(folder, options.subset)
    options = Options(encoding=options.encoding, delimiter=options.delimiter, header=options.header)
    tables: dict[str, Table] = {}
    try:
        for split, paths in files.items():
            opening = partial(_single, options=options)
            tables[split] = opening(paths[0]) if len(paths) == 1 else Chain(folder, paths, opening)
    except BaseException:
        for table in tables.values():
            table.close()
        raise
    unused = [] if options.subset else unused_files(folder, files)
    notes = [f"files that are not used: {', '.join(unused[:12])}"] if unused else []
    return Source(name, folder, tables, _format(tables), notes)


def _single(path: Path, options: Options) -> Table:
    """The one table of a file inside a folder."""
    tables = tables_of(path, options)
    if len(tables) == 1:
        return next(iter(tables.values()))
    for table in tables.values():
        table.close()
    raise TunerError(
        "the file brings splits of its own, but is one of several files",
        code="ambiguous-rows",
        where=str(path),
        fix="name the file itself as data.source",
    )


def _from_hub(name: str, repository: str, options: Options) -> Source:
    from tui_tuner.data.hub import open_set

    tables, notes = open_set(repository, options.subset, options.slice.split)
    main = "" if "" in tables else "train"
    tables[main] = _part(tables[main], options.slice)
    return Source(name, Path(repository), tables, "hub", notes)


def _format(tables: dict[str, Table]) -> str:
    return next((tables[name].format for name in ("", "train") if name in tables), "")


def _part(table: Table, wanted: Slice) -> Table:
    """The rows of a table that a slice names. Looks for its end where the slice counts from there."""
    if wanted.counts_from_the_end:
        while not table.extend(1.0):
            pass
    start, stop = wanted.bounds(len(table))
    return table if start == 0 and stop is None else Part(table, start, stop)


def _sliced(source: Source, wanted: Slice) -> Source:
    """The source with only what a slice names: one split of it, or a part of what is trained on."""
    if not wanted.split:
        main = "" if "" in source.tables else "train"
        tables = {**source.tables, main: _part(source.tables[main], wanted)}
    else:
        split = split_of(wanted.split)
        if split not in source.tables and not (split == "train" and "" in source.tables):
            has = ", ".join(source.tables) if source.has_splits else "no splits"
            raise TunerError(
                f'there is no split "{wanted.split}" (the source has {has})',
                code="no-such-split",
                where=source.name,
                fix="name one that is there as data.slice, or leave the name out",
                usage=True,
            )
        kept = split if split in source.tables else ""
        for name, table in source.tables.items():
            if name != kept:
                table.close()
        tables = {"": _part(source.tables[kept], wanted)}
    return Source(source.name, source.path, tables, source.format, source.notes)


def is_of_the_hub(name: str, base: Path | None) -> bool:
    """Whether a source is a set on the Hub, which may have to be fetched, and not a file or folder of this machine."""
    if name.startswith(HUB):
        return True
    return not Path(resolve_data(name, base)).exists() and _may_be_on_the_hub(name, base)


def _may_be_on_the_hub(name: str, base: Path | None) -> bool:
    """Whether a name that is no path here has the form of one on the Hub, and isn't meant for a folder that is here."""
    if not is_repository_name(name) or _FILE_ENDINGS.search(name):
        return False
    folder = name.partition("/")[0]
    return not any((root / folder).is_dir() for root in (base, Path.cwd()) if root is not None)


def _not_there(source: str, base: Path | None) -> TunerError:
    folder = (base or Path.cwd()) / Path(source).parent
    try:
        names = [entry.name for entry in folder.iterdir()]
    except (OSError, ValueError):
        names = []
    near = difflib.get_close_matches(Path(source).name, names, n=1)
    fix = f'did you mean "{Path(source).with_name(near[0])}"?' if near else "check data.source"
    if not near and is_repository_name(source) and not _FILE_ENDINGS.search(source):
        fix += f', or write "{HUB}{source}" for the set on the Hub'
    return TunerError("there is no such file or folder", code="no-such-data", where=source, fix=fix, usage=True)
