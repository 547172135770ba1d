"""From a source to rows divided among train, validation and test, with what cannot be used set aside and named.

A draft refuses nothing that concerns single records: `data.prepare` raises their first fault before a run, a linter
lists them all. Records are filtered and sampled, rendered, and divided by seed, whole records (or groups of them)
always on one side, unless facts are to be learned and wordings held back. The same source, settings and seed always
give the same rows. It keeps no rows: each is made again of its record when it is asked for.
"""

from __future__ import annotations

import difflib
import json
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tui_tuner.data.divide import divided
from tui_tuner.data.fixes import DROP_DUPLICATES, DROP_LEAKS, DROP_UNUSABLE, FIXES, mended
from tui_tuner.data.lookup import has_column, has_value, paths_of
from tui_tuner.data.opening import open_source
from tui_tuner.data.openrecords import OpenRecords
from tui_tuner.data.recipe import MOST_COLUMNS, Recipe, located, settle
from tui_tuner.data.rows import Row, RowKind, row_kind
from tui_tuner.data.shapes import SURE
from tui_tuner.data.shapes.guess import SAMPLE
from tui_tuner.data.shapes.trees import flattened
from tui_tuner.data.source import Records
from tui_tuner.data.split import sample
from tui_tuner.data.table import Fault, Record
from tui_tuner.errors import TunerError
from tui_tuner.units import many

if TYPE_CHECKING:
    from tui_tuner.config import DataSection

PARTS = ("train", "valid", "test", "unseen")
Origin = tuple[int, int]
"""Number of the record in the source, from 0, and number of the wording."""


class Origins(Sequence[Origin]):
    """Which row of which record, in order: 8 bytes each."""

    def __init__(self, origins: Sequence[Origin]) -> None:
        self.pairs: NDArray[np.int32] = np.array(origins, np.int32).reshape(-1, 2)

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: Any) -> Any:
        record, wording = self.pairs[index].tolist()
        return record, wording

    def __iter__(self) -> Iterator[Origin]:
        return ((record, wording) for record, wording in self.pairs.tolist())


_PORTION = 1024
_NONE = Origins([])


@dataclass
class Draft:
    """Rows before anything was refused.

    Attributes:
        records: of the source; trees of messages already are conversations.
        recipe: how records become rows.
        fixes: the mendings of single rows that are applied.
        sizes: (records,) how many rows each has; 0 for one that was filtered out or cannot be used.
        refused: records that cannot be used, with the reason.
        parts: of "train", "valid", "test" and "unseen" which row of which record, in order of use.
        notes: what a person should know about how the rows came about.
        undivided: why the usable records could not be divided, when they could not; all then count as training.
        faults: records that could not be read.
        kinds: of the rows.
    """

    records: OpenRecords | Records
    recipe: Recipe
    fixes: list[str] = field(default_factory=list)
    sizes: NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))
    refused: list[tuple[int, TunerError]] = field(default_factory=list)
    parts: dict[str, Origins] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    undivided: TunerError | None = None
    faults: list[Fault] = field(default_factory=list)
    kinds: set[RowKind] = field(default_factory=set)

    def rows_of(self, record: Record) -> list[Row]:
        """The rows of a record.

        Raises:
            TunerError: it cannot be used.
        """
        rows = self.recipe.rows_of(record, "")
        return mended(rows, self.fixes) if self.fixes else rows

    def some(self, origins: Sequence[Origin]) -> Iterator[Row]:
        """The rows with these origins.

        Raises:
            TunerError: the file changed since it was read.
        """
        last, rows = -1, list[Row]()
        for record, wording in origins:
            if record != last:
                last, rows = record, self.rows_of(self.records[record])
            yield rows[wording]

    def each(self, part: str) -> Iterator[Row]:
        """The rows of a part, one after another."""
        return self.some(self.parts.get(part, _NONE))

    def rows(self, part: str) -> list[Row]:
        """The rows of a part."""
        return list(self.each(part))

    def row(self, part: str, number: int) -> Row | None:
        """One row of a part by its number, from 0; None where there is no such row."""
        origins = self.parts.get(part, _NONE)
        return next(self.some([origins[number]])) if 0 <= number < len(origins) else None

    @property
    def counts(self) -> dict[str, int]:
        """Rows by part; "unseen" only where there are such."""
        return {part: len(self.parts.get(part, _NONE)) for part in PARTS if self.parts.get(part) or part != "unseen"}


def draft(data: DataSection, seed: int, base: Path | None = None, check: Callable[[], None] = lambda: None) -> Draft:
    """Reads, renders and divides a source.

    Args:
        check: called now and then; it may raise to end the work.

    Raises:
        TunerError: the source cannot be read, a template does not fit its columns, or it is not clear what its records
            are.
    """
    fixes = _known(data.fixes)
    records = OpenRecords(open_source(data, base))
    where = str(records.path)
    head = list(islice(records.unread, SAMPLE)) or list(records.first_pass())  # which says why, when there is none
    recipe = settle(data, head, where)
    if recipe.guess.shape == "tree" and not data.prompt:
        made = _of_trees(records, data, fixes)
    else:
        try:
            recipe.check_columns(head, where)
        except TunerError:
            recipe.check_columns(records.unread, where)
        made = Draft(records, recipe, fixes)
    usable, marks = _made(made, data, seed, check)
    made.faults = list(records.faults)
    if DROP_UNUSABLE in fixes and (left_out := len(made.refused) + len(made.faults)):
        made.notes.append(f"{DROP_UNUSABLE}: {many(left_out, 'record', 'records')} left out")
        made.refused, made.faults = [], []
    if usable:
        parts: dict[str, list[Origin]]
        try:
            parts = divided(made, usable, marks, data, seed)
        except TunerError as error:
            made.undivided = error
            # All of it can still be looked at.
            parts = {"train": [(n, w) for n in usable for w in range(made.sizes[n])]}
        _clean_training(made, parts)
        made.parts = {part: Origins(origins) for part, origins in parts.items()}
    return made


def _known(fixes: list[str]) -> list[str]:
    for name in fixes:
        if name not in FIXES:
            near = difflib.get_close_matches(name, FIXES, n=1)
            raise TunerError(
                f'there is no fix "{name}"',
                code="unknown-fix",
                where="data.fixes",
                fix=f'did you mean "{near[0]}"?' if near else f"there are {', '.join(FIXES)}",
                usage=True,
            )
    return list(fixes)


def _of_trees(records: OpenRecords, data: DataSection, fixes: list[str]) -> Draft:
    """A draft of conversations in the place of trees of messages."""
    found = flattened(list(records.first_pass()), data.tree)
    where = str(records.path)
    if not found:
        raise TunerError(
            "no branch of these trees of messages ends with the assistant",
            code="no-answers",
            where=where,
            fix="bring trees with answers",
        )
    which = {"best": "the best-ranked branch of each", "longest": "the longest branch of each", "all": "every branch"}
    told = f"{many(len(found), 'conversation', 'conversations')} made of trees: {which[data.tree]} (data.tree)"
    rows: list[Record] = [{"messages": messages} for _, messages in found]
    lines = [records.place(number).line for number, _ in found]
    recipe = settle(data, rows, where)
    recipe.check_columns(rows, where)
    return Draft(Records(rows, records.path, None, lines, records.format, [*records.notes, told]), recipe, fixes)


# -- records ----------------------------------------------------------------------------------------------------------


class _Survey:
    """What is noted of every record on the way: its columns, and what stands empty in it."""

    def __init__(self, recipe: Recipe, data: DataSection) -> None:
        self.columns: dict[str, None] = {}
        self.paths: dict[str, None] = {}
        asked = {path for template in recipe.templates for path in template.written} if data.prompt else set()
        self.empty = dict.fromkeys(sorted(asked), 0)
        self._seen: set[tuple[str, ...]] = set()

    def take(self, record: Record) -> None:
        keys = tuple(record)
        if keys not in self._seen or any(isinstance(value, Mapping) for value in record.values()):
            self.columns.update(dict.fromkeys(keys))
            self.paths.update(dict.fromkeys(paths_of((record,))))
            if len(self._seen) < SAMPLE:
                self._seen.add(keys)
        for path in self.empty:
            self.empty[path] += has_column(record, path) and not has_value(record, path)


class _Maker:
    """Makes the rows of records to see whether that can be done, and keeps what tells them apart."""

    def __init__(self, made: Draft) -> None:
        self._made = made
        self._sizes, self._marks, self._usable = array("i"), array("q"), array("q")
        self._changed = 0

    def take(self, index: int, record: Record) -> None:
        made = self._made
        try:
            rows = made.recipe.rows_of(record, "")
            if made.fixes:
                before, rows = rows, mended(rows, made.fixes)
                self._changed += rows != before
        except TunerError as error:
            made.refused.append((index, error))
            return
        if rows:
            self._usable.append(index)
            self._sizes.append(len(rows))
            self._marks.append(mark(rows))
            made.kinds.update(map(row_kind, rows))

    def finish(self, count: int) -> tuple[list[int], list[int]]:
        made = self._made
        made.refused = [(index, located(error, made.records.where(index))) for index, error in made.refused]
        made.sizes = np.zeros(count, np.int32)
        made.sizes[np.array(self._usable, np.int64)] = np.array(self._sizes, np.int32)
        if self._changed:
            made.notes.append(f"{', '.join(made.fixes)}: {many(self._changed, 'record', 'records')} mended")
        return self._usable.tolist(), self._marks.tolist()


def mark(rows: Sequence[Row]) -> int:
    """A number that is the same for the same rows, within this process."""
    try:
        return hash(tuple(tuple(sorted(row.items())) for row in rows))
    except TypeError:  # lists of messages
        return hash(json.dumps(rows, sort_keys=True))


def _made(made: Draft, data: DataSection, seed: int, check: Callable[[], None]) -> tuple[list[int], list[int]]:
    """Makes the rows of all records in one pass: the numbers of those that have some, and a mark for each of them."""
    records, recipe = made.records, made.recipe
    survey, maker = _Survey(recipe, data), _Maker(made)
    kept = array("q")
    for index, record in enumerate(records.first_pass()):
        if not index % _PORTION:
            check()
        survey.take(record)
        if data.filter and not recipe.keeps(record):
            continue
        kept.append(index)
        if not data.sample:
            maker.take(index, record)
    recipe.columns[:] = list(survey.paths)[:MOST_COLUMNS]
    made.notes += records.notes
    _note_recipe(made, survey, data)
    chosen = _chosen(kept, made, data, seed)
    if data.sample:
        for index in chosen:
            maker.take(index, records[index])
    return maker.finish(len(records))


def _note_recipe(made: Draft, survey: _Survey, data: DataSection) -> None:
    """What is used of the records, and what stands empty in them."""
    guess, notes = made.recipe.guess, made.notes
    if not data.prompt:
        surely = "" if guess.confidence >= SURE else f" (only {guess.confidence:.0%} sure; set data.shape or templates)"
        if guess.shape not in ("completion", "messages", "text") or surely:
            notes.append(f"taken as {guess.shape}: {guess.why}{surely}")
        used = made.recipe.used
        unused = [name for name in survey.columns if name not in used]
        if unused:
            notes.append(f"columns that are not used: {', '.join(unused[:12])}")
        firsts = sorted({path.rpartition(".")[0] for path in used if path.endswith(".0")})
        if firsts:
            notes.append(f"only the first of each list is used: {', '.join(firsts)}")
        return
    for path, empty in survey.empty.items():
        if empty:
            notes.append(
                f'"{path}" is empty in {empty:,} of {many(len(made.records), "record")}, written as nothing;'
                f" {{{path} or 0}} would write 0"
            )


def _chosen(kept: Sequence[int], made: Draft, data: DataSection, seed: int) -> Sequence[int]:
    """Numbers of the records that pass the filter and are drawn into the sample."""
    if data.filter:
        out = len(made.records) - len(kept)
        made.notes.append(f"the filter leaves out {many(out, 'record', 'records')} of {len(made.records):,}")
        if not kept:
            raise TunerError(
                "no record meets the conditions", code="no-rows", where="data.filter", fix="loosen or remove one"
            )
    if data.sample and data.sample < len(kept):
        made.notes.append(f"{data.sample:,} of {many(len(kept), 'record', 'records')} taken by seed (data.sample)")
        return [kept[index] for index in sample(len(kept), data.sample, seed)]
    return kept


def _clean_training(made: Draft, parts: dict[str, list[Origin]]) -> None:
    """Takes rows out of training that stand in it twice, or are held out."""
    train = parts.get("train", [])

    def marked(origins: Sequence[Origin]) -> list[int]:
        return [mark([row]) for row in made.some(origins)]

    if DROP_LEAKS in made.fixes:
        held = {found for part in PARTS[1:] for found in marked(parts.get(part, []))}
        kept = [origin for origin, found in zip(train, marked(train), strict=True) if found not in held]
        made.notes.append(f"{DROP_LEAKS}: {many(len(train) - len(kept), 'training row', 'training rows')} left out")
        train = kept
    if DROP_DUPLICATES in made.fixes:
        first: dict[int, Origin] = {}
        for origin, found in zip(train, marked(train), strict=True):
            first.setdefault(found, origin)
        left = len(train) - len(first)
        made.notes.append(f"{DROP_DUPLICATES}: {many(left, 'training row', 'training rows')} left out")
        train = list(first.values())
    if "train" in parts:
        parts["train"] = train
