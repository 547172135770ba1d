"""From a source to rows divided among train, validation and test, with what cannot be used set aside and named.

A draft refuses nothing that concerns single records: `data.prepare` raises their first fault before a run, a linter
lists them all. Records are filtered and sampled, rendered, and divided by seed, whole records (or groups of them)
always on one side, unless facts are to be learned and wordings held back. The same source, settings and seed always
give the same rows.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tui_tuner.data.fixes import DROP_DUPLICATES, DROP_LEAKS, DROP_UNUSABLE, FIXES, mended
from tui_tuner.data.lookup import has_column, has_value, look_up
from tui_tuner.data.recipe import Recipe, located, settle
from tui_tuner.data.rows import Row
from tui_tuner.data.shapes import SURE
from tui_tuner.data.shapes.trees import flattened
from tui_tuner.data.source import Records, read_records
from tui_tuner.data.split import Split, sample, split_records
from tui_tuner.data.splitnames import SPLITS
from tui_tuner.data.table import Fault
from tui_tuner.data.template import unknown_column
from tui_tuner.data.wording import many
from tui_tuner.errors import TunerError

if TYPE_CHECKING:
    from tui_tuner.config import DataSection

PARTS = ("train", "valid", "test", "unseen")
Origin = tuple[int, int]
"""Number of the record in the source, from 0, and number of the wording."""


@dataclass
class Draft:
    """Rows before anything was refused.

    Attributes:
        records: as read; trees of messages already are conversations.
        recipe: how records become rows.
        made: the rows of each record; none for one that was filtered out or cannot be used.
        refused: records that cannot be used, with the reason.
        parts: of "train", "valid", "test" and "unseen" which row of which record, in order of use.
        notes: what a person should know about how the rows came about.
        faults: records that could not be read.
        undivided: why the usable records could not be divided, when they could not; all then count as training.
    """

    records: Records
    recipe: Recipe
    made: list[list[Row]]
    refused: list[tuple[int, TunerError]]
    parts: dict[str, list[Origin]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    undivided: TunerError | None = None
    faults: list[Fault] = field(default_factory=list)

    def rows(self, part: str) -> list[Row]:
        """The rows of a part."""
        return [self.made[record][wording] for record, wording in self.parts.get(part, ())]

    def row(self, part: str, number: int) -> Row | None:
        """One row of a part by its number, from 0; None where there is no such row."""
        origins = self.parts.get(part, [])
        if not 0 <= number < len(origins):
            return None
        record, wording = origins[number]
        return self.made[record][wording]

    def each(self, part: str) -> Iterator[Row]:
        """The rows of a part, one after another."""
        return (self.made[record][wording] for record, wording in self.parts.get(part, ()))

    @property
    def counts(self) -> dict[str, int]:
        """Rows by part; "unseen" only where there are such."""
        return {part: len(self.parts.get(part, ())) for part in PARTS if self.parts.get(part) or part != "unseen"}


def draft(data: DataSection, seed: int, base: Path | None = None) -> Draft:
    """Reads, renders and divides a source.

    Raises:
        TunerError: the source cannot be read, a template does not fit its columns, or it is not clear what its records
            are.
    """
    records = read_records(data, base, strict=False)
    faults = records.faults
    notes = list(records.notes)
    recipe = settle(data, records.rows, str(records.path))
    if recipe.guess.shape == "tree" and not data.prompt:
        records = _untangled(records, data, notes)
        recipe = settle(data, records.rows, str(records.path))
    recipe.check_columns(records.rows, str(records.path))
    _note_recipe(recipe, records, data, notes)
    chosen = _chosen(records, recipe, data, seed, notes)
    fixes = _known(data.fixes)
    made, refused = _all_rows(records, recipe, chosen, fixes, notes)
    if DROP_UNUSABLE in fixes and (left_out := len(refused) + len(faults)):
        notes.append(f"{DROP_UNUSABLE}: {many(left_out, 'record', 'records')} left out")
        refused, faults = [], []
    result = Draft(records, recipe, made, refused, {}, notes, faults=faults)
    usable = [index for index in chosen if made[index]]
    if usable:
        try:
            result.parts = _divided(result, usable, data, seed)
        except TunerError as error:
            result.undivided = error
            # All of it can still be looked at.
            result.parts = {"train": [(n, w) for n in usable for w in range(len(made[n]))]}
        _clean_training(result, fixes)
    return result


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


def _clean_training(made: Draft, fixes: list[str]) -> None:
    """Takes rows out of training that stand in it twice, or are held out."""
    train = made.parts.get("train", [])
    if DROP_LEAKS in fixes:
        held = {_identity([row]) for part in PARTS[1:] for row in made.rows(part)}
        kept = [origin for origin in train if _identity([made.made[origin[0]][origin[1]]]) not in held]
        made.notes.append(f"{DROP_LEAKS}: {many(len(train) - len(kept), 'training row', 'training rows')} left out")
        train = kept
    if DROP_DUPLICATES in fixes:
        first: dict[str, Origin] = {}
        for origin in train:
            first.setdefault(_identity([made.made[origin[0]][origin[1]]]), origin)
        left = len(train) - len(first)
        made.notes.append(f"{DROP_DUPLICATES}: {many(left, 'training row', 'training rows')} left out")
        train = list(first.values())
    if "train" in made.parts:
        made.parts["train"] = train


# -- records ----------------------------------------------------------------------------------------------------------


def _untangled(records: Records, data: DataSection, notes: list[str]) -> Records:
    """Conversations in the place of trees of messages."""
    found = flattened(records.rows, data.tree)
    if not found:
        raise TunerError(
            "no branch of these trees of messages ends with the assistant",
            code="no-answers",
            where=str(records.path),
            fix="bring trees with answers",
        )
    which = {"best": "the best-ranked branch of each", "longest": "the longest branch of each", "all": "every branch"}
    notes.append(f"{many(len(found), 'conversation', 'conversations')} made of trees: {which[data.tree]} (data.tree)")
    rows = [{"messages": messages} for _, messages in found]
    return Records(rows, records.path, None, [records.lines[number] for number, _ in found], records.format)


def _chosen(records: Records, recipe: Recipe, data: DataSection, seed: int, notes: list[str]) -> list[int]:
    """Numbers of the records that pass the filter and are drawn into the sample."""
    kept = list(range(len(records.rows)))
    if data.filter:
        kept = [index for index in kept if recipe.keeps(records.rows[index])]
        out = len(records.rows) - len(kept)
        notes.append(f"the filter leaves out {many(out, 'record', 'records')} of {len(records.rows):,}")
        if not kept:
            raise TunerError(
                "no record meets the conditions", code="no-rows", where="data.filter", fix="loosen or remove one"
            )
    if data.sample and data.sample < len(kept):
        notes.append(f"{data.sample:,} of {many(len(kept), 'record', 'records')} taken by seed (data.sample)")
        kept = [kept[index] for index in sample(len(kept), data.sample, seed)]
    return kept


def _note_recipe(recipe: Recipe, records: Records, data: DataSection, notes: list[str]) -> None:
    """What is used of the records, and what stands empty in them."""
    guess = recipe.guess
    if not data.prompt:
        surely = "" if guess.confidence >= SURE else f" (only {guess.confidence:.0%} sure; set data.shape or templates)"
        if guess.shape not in ("completion", "messages", "text") or surely:
            notes.append(f"taken as {guess.shape}: {guess.why}{surely}")
        used = recipe.used
        unused = [name for name in records.columns() if name not in used]
        if unused:
            notes.append(f"columns that are not used: {', '.join(unused[:12])}")
        return
    for path in sorted({path for template in recipe.templates for path in template.written}):
        empty = sum(has_column(record, path) and not has_value(record, path) for record in records.rows)
        if empty:
            notes.append(
                f'"{path}" is empty in {empty:,} of {many(len(records.rows), "record", "records")}, written as nothing;'
                f" {{{path} or 0}} would write 0"
            )


def _all_rows(
    records: Records, recipe: Recipe, chosen: list[int], fixes: list[str], notes: list[str]
) -> tuple[list[list[Row]], list[tuple[int, TunerError]]]:
    made: list[list[Row]] = [[] for _ in records.rows]
    refused = []
    changed = 0
    for index in chosen:
        try:
            rows = recipe.rows_of(records.rows[index], records.where(index))
            made[index] = mended(rows, fixes) if fixes else rows
            changed += made[index] != rows
        except TunerError as error:
            refused.append((index, located(error, records.where(index))))
    if changed:
        notes.append(f"{', '.join(fixes)}: {many(changed, 'record', 'records')} mended")
    return made, refused


# -- division ---------------------------------------------------------------------------------------------------------


def _divided(made: Draft, usable: list[int], data: DataSection, seed: int) -> dict[str, list[Origin]]:
    records, wordings = made.records, len(made.recipe.wordings)
    if records.splits is not None:
        if wordings > 1:
            made.notes.append(f"every record is asked in {wordings} wordings, all within the same split")
        return _as_brought(made, usable, data, seed)
    groups = _groups(made, usable, data)
    if data.split == "facts":
        return _facts(made, usable, groups, data, seed)
    split = _split(made, usable, groups, data, seed)
    if wordings > 1:
        made.notes.append(f"every record is asked in {wordings} wordings, all within the same split")
    parts = (("train", split.train), ("valid", split.valid), ("test", split.test))
    return {name: [(n, w) for n in _at(usable, places) for w in range(len(made.made[n]))] for name, places in parts}


def _at(usable: list[int], places: list[int]) -> list[int]:
    return [usable[place] for place in places]


def _identity(rows: list[Row]) -> str:
    return json.dumps(rows, sort_keys=True)


def _groups(made: Draft, usable: list[int], data: DataSection) -> list[Hashable] | None:
    """What each usable record is about; None when every record is its own."""
    if not data.group:
        return None
    rows = made.records.rows
    for path in data.group:
        if not any(has_column(rows[index], path) for index in usable):
            error = unknown_column(path, made.recipe.columns, "data.group")
            raise TunerError(error.message, code=error.code, where="data.group", fix=error.fix)
    return [json.dumps([_plain(look_up(rows[index], path)) for path in data.group]) for index in usable]


def _plain(value: Any) -> Any:
    return value if isinstance(value, str | int | float | bool) else repr(value)


def _wanted(data: DataSection, count: int) -> tuple[int, int]:
    """How many records validation and test shall have; 0 leaves it to the split's own share."""
    valid = data.valid or (max(1, round(data.valid_share * count)) if data.valid_share else 0)
    test = data.test or (max(1, round(data.test_share * count)) if data.test_share else 0)
    return valid, test


def _split(made: Draft, usable: list[int], groups: list[Hashable] | None, data: DataSection, seed: int) -> Split:
    identities = [_identity(made.made[index]) for index in usable]
    valid, test = _wanted(data, len(usable))
    split = split_records(
        identities,
        train=data.train,
        valid=valid,
        test=test,
        seed=seed,
        where=str(made.records.path),
        groups=groups if data.split == "grouped" else None,
    )
    notes = made.notes
    if data.split == "grouped" and groups is not None:
        about = many(len(set(groups)), "group", "groups")
        notes.append(
            f"records that agree in {', '.join(data.group)} stay together ({about}): {len(split.train):,} train, "
            f"{len(split.valid):,} valid, {len(split.test):,} test"
        )
    copies = len(usable) - len(set(identities))
    if copies:
        notes.append(f"{many(copies, 'record is a copy', 'records are copies')} of others ({len(usable):,} in all)")
    if split.left_out:
        notes.append(f"{many(len(split.left_out), 'copy', 'copies')} of held-out records left out of training")
    unused = len(usable) - sum(map(len, (split.train, split.valid, split.test, split.left_out)))
    if unused:
        notes.append(f"{many(unused, 'record is', 'records are')} not used, because data.train asks for {data.train:,}")
    return split


def _facts(
    made: Draft, usable: list[int], groups: list[Hashable] | None, data: DataSection, seed: int
) -> dict[str, list[Origin]]:
    """Every fact is trained in some wordings, and asked in others; unseen facts are asked in all of them."""
    count = len(made.recipe.wordings)
    for_test = data.test_wordings
    first_held = count - data.valid_wordings - for_test
    seen, unseen = usable, list[int]()
    if data.unseen:
        about = groups or [_identity(made.made[index]) for index in usable]
        split = split_records(
            about, train=0, valid=0, test=data.unseen, seed=seed, where=str(made.records.path), groups=about, parts=1
        )
        seen, unseen = sorted(_at(usable, split.train)), sorted(_at(usable, split.test))
    share = max(1, len(seen) // 10)
    valid, test = _wanted(data, len(seen))
    drawn = {
        "train": _drawn(seen, data.train or len(seen), seed),
        "valid": _drawn(seen, valid or share, seed + 1),
        "test": _drawn(seen, test or share, seed + 2),
    }
    held = {"train": (0, first_held), "valid": (first_held, count - for_test), "test": (count - for_test, count)}
    parts = {name: [(index, wording) for index in drawn[name] for wording in range(*held[name])] for name in held}
    parts["unseen"] = [(index, wording) for index in unseen for wording in range(count)]
    made.notes.append(
        f"{many(len(seen), 'fact is', 'facts are')} trained in {many(first_held, 'wording', 'wordings')} and tested in "
        f"{for_test} other" + (f"; {many(len(unseen), 'fact is', 'facts are')} never trained" if unseen else "")
    )
    return parts


def _drawn(indices: list[int], wanted: int, seed: int) -> list[int]:
    return [indices[place] for place in sample(len(indices), min(wanted, len(indices)), seed)]


def _as_brought(made: Draft, usable: list[int], data: DataSection, seed: int) -> dict[str, list[Origin]]:
    """The splits that the source brings; a count takes that many records of one by seed."""
    records = made.records
    assert records.splits is not None
    if data.valid_share or data.test_share or data.split != "records":
        raise TunerError(
            "the source brings its own splits, so nothing can be held back from it",
            code="own-splits",
            where="data.split" if data.split != "records" else "data.valid_share and data.test_share",
            fix="name its train file as data.source, or take these keys out",
        )
    parts: dict[str, list[Origin]] = {}
    start = 0
    known = set(usable)
    for offset, name in enumerate(SPLITS):
        count = len(records.splits[name])
        inside = [index for index in range(start, start + count) if index in known]
        start += count
        wanted = int(getattr(data, name))
        if wanted > count:
            has = f"{count:,} records" if count else "no such file"
            raise TunerError(
                f"data.{name} asks for {wanted:,} records, but the folder has {has} for {name}",
                code="too-few-rows",
                where=str(records.path),
                fix=f"lower data.{name}, or set it to 0 to take what is there",
            )
        if wanted:
            inside = [inside[place] for place in sample(len(inside), min(wanted, len(inside)), seed + offset)]
        elif not count:
            made.notes.append(f"the folder has no {name} file, so there are no {name} rows")
        parts[name] = [(index, wording) for index in inside for wording in range(len(made.made[index]))]
    return parts
