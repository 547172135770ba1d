"""The first rows of a source of any size, before anybody has read the rest of it.

What only the whole can tell is left open: how many rows there are, which of them are held back, which are copies. It
must never read further than it has to, nor call a row's split what may turn out to be another.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tui_tuner.data.fixes import FIXES, mended
from tui_tuner.data.opening import open_source
from tui_tuner.data.readers.refusals import no_rows
from tui_tuner.data.recipe import Recipe, settle
from tui_tuner.data.rows import Row
from tui_tuner.data.shapes.guess import SAMPLE
from tui_tuner.data.shapes.trees import flattened
from tui_tuner.data.splitnames import SPLITS
from tui_tuner.data.table import Fault, Record, Source, Table
from tui_tuner.errors import TunerError

if TYPE_CHECKING:
    from tui_tuner.config import DataSection

_PATIENCE = 0.15
"""Seconds after which no further record of a split is read, once there is one; records can be very long."""


@dataclass
class Head:
    """The beginning of a source.

    Attributes:
        rows: (split, number, row) in the order of the file; the split is empty while it is not known, and the number
            then counts the rows of the file, else those of the split.
        recipe: how records become rows, as far as the first of them tell.
        notes: what a person should know about how the source was opened.
    """

    rows: list[tuple[str, int, Row]]
    recipe: Recipe
    notes: list[str] = field(default_factory=list)


def read_head(data: DataSection, base: Path | None = None, limit: int = 200) -> Head:
    """The first rows of every split that the source brings, or of the whole.

    Args:
        limit: rows of each at most.

    Raises:
        TunerError: the source cannot be read, a template is malformed, it is not clear what the first records are, or
            there is none to be shown among them.
    """
    source = open_source(data, base)
    try:
        found = {name: list(_records(table, max(limit, SAMPLE))) for name, table in _tables(source)}
        sample = [record for records in found.values() for record in records]
        if not sample:
            raise _unreadable(source)
        recipe = settle(data, sample, str(source.path))
        if recipe.guess.shape == "tree" and not data.prompt:
            found = {
                name: [{"messages": turns} for _, turns in flattened(some, data.tree)] for name, some in found.items()
            }
            recipe = settle(data, [record for records in found.values() for record in records], str(source.path))
        known = source.has_splits and not data.sample and not any((data.train, data.valid, data.test))
        rows = [
            (name if known else "", number, row)
            for name, records in found.items()
            for number, row in zip(range(limit), _rows(records, recipe, data, source), strict=False)
        ]
        return Head(rows, recipe, list(source.notes))
    finally:
        source.close()


def _unreadable(source: Source) -> TunerError:
    """Why no record can be shown: the first is damaged, or there is none."""
    for _, table in _tables(source):
        for record in table.rows(0, 1):
            if isinstance(record, Fault):
                return record.error()
    return no_rows(source.path)


def _tables(source: Source) -> Iterator[tuple[str, Table]]:
    for name in ("", *SPLITS):
        if name in source.tables:
            yield name, source.tables[name]


def _records(table: Table, limit: int) -> Iterator[Record]:
    """The first records that can be read."""
    deadline = time.monotonic() + _PATIENCE
    found = 0
    for record in table.rows(0, limit):
        if not isinstance(record, Fault):
            found += 1
            yield record
        if found and time.monotonic() > deadline:
            return


def _rows(records: list[Record], recipe: Recipe, data: DataSection, source: Source) -> Iterator[Row]:
    fixes = [name for name in data.fixes if name in FIXES]
    for record in records:
        try:
            if recipe.keeps(record):
                yield from mended(recipe.rows_of(record, str(source.path)), fixes)
        except TunerError:
            continue  # what is wrong with it is told once all records are read
