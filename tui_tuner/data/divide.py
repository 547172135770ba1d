"""Which rows of a draft go to which part: as the source brings it, or by seed, by group, or as facts in other words.

It works on numbers of records and on marks that are equal for equal rows, so no row has to be in memory. The same
records, settings and seed always give the same parts.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any

from tui_tuner.data.lookup import has_column, look_up
from tui_tuner.data.split import Split, sample, split_records
from tui_tuner.data.splitnames import SPLITS
from tui_tuner.data.template import unknown_column
from tui_tuner.errors import TunerError
from tui_tuner.units import many

if TYPE_CHECKING:
    from tui_tuner.config import DataSection
    from tui_tuner.data.draft import Draft, Origin


def divided(
    made: Draft, usable: list[int], marks: Sequence[int], data: DataSection, seed: int
) -> dict[str, list[Origin]]:
    """The rows of each part, in the order of their use; what a person should know goes into the draft's notes.

    Args:
        usable: numbers of the records that have rows.
        marks: one for each of them; equal where their rows are.

    Raises:
        TunerError: there are fewer records than asked for, or the settings do not fit the source.
    """
    records, wordings = made.records, len(made.recipe.wordings)
    same_split = [f"every record is asked in {wordings} wordings, all within the same split"] if wordings > 1 else []
    if records.sizes is not None:
        made.notes += same_split
        return _as_brought(made, usable, data, seed)
    groups = _groups(made, usable, data)
    if data.split == "facts":
        return _facts(made, usable, marks, groups, data, seed)
    split = _split(made, usable, marks, groups, data, seed)
    made.notes += same_split
    parts = (("train", split.train), ("valid", split.valid), ("test", split.test))
    return {name: [(n, w) for n in _at(usable, places) for w in range(made.sizes[n])] for name, places in parts}


def _at(usable: list[int], places: list[int]) -> list[int]:
    return [usable[place] for place in places]


def _groups(made: Draft, usable: list[int], data: DataSection) -> Sequence[Hashable] | None:
    """What each usable record is about; None when every record is its own."""
    if not data.group:
        return None
    records = made.records
    for path in data.group:
        if not any(has_column(records[index], path) for index in usable):
            error = unknown_column(path, made.recipe.columns, "data.group")
            raise TunerError(error.message, code=error.code, where="data.group", fix=error.fix)
    found = []
    for index in usable:
        record = records[index]
        found.append(json.dumps([_plain(look_up(record, path)) for path in data.group]))
    return found


def _plain(value: Any) -> Any:
    return value if isinstance(value, str | int | float | bool) else repr(value)


def _wanted(data: DataSection, count: int) -> tuple[int, int]:
    """How many records validation and test shall have; 0 leaves it to the split's own share."""
    valid = data.valid or (max(1, round(data.valid_share * count)) if data.valid_share else 0)
    test = data.test or (max(1, round(data.test_share * count)) if data.test_share else 0)
    return valid, test


def _split(
    made: Draft,
    usable: list[int],
    marks: Sequence[int],
    groups: Sequence[Hashable] | None,
    data: DataSection,
    seed: int,
) -> Split:
    valid, test = _wanted(data, len(usable))
    split = split_records(
        marks,
        train=data.train,
        valid=valid,
        test=test,
        seed=seed,
        where=str(made.records.path),
        groups=groups if data.split == "grouped" else None,
    )
    notes = made.notes
    if data.split == "grouped" and groups is not None:
        about = many(len(set(groups)), "group")
        notes.append(
            f"records that agree in {', '.join(data.group)} stay together ({about}): {len(split.train):,} train, "
            f"{len(split.valid):,} valid, {len(split.test):,} test"
        )
    copies = len(usable) - len(set(marks))
    if copies:
        notes.append(f"{many(copies, 'record is a copy', 'records are copies')} of others ({len(usable):,} in all)")
    if split.left_out:
        notes.append(f"{many(len(split.left_out), 'copy', 'copies')} of held-out records left out of training")
    unused = len(usable) - sum(map(len, (split.train, split.valid, split.test, split.left_out)))
    if unused:
        notes.append(f"{many(unused, 'record is', 'records are')} not used, because data.train asks for {data.train:,}")
    return split


def _facts(
    made: Draft,
    usable: list[int],
    marks: Sequence[int],
    groups: Sequence[Hashable] | None,
    data: DataSection,
    seed: int,
) -> dict[str, list[Origin]]:
    """Every fact is trained in some wordings, and asked in others; unseen facts are asked in all of them."""
    count = len(made.recipe.wordings)
    for_test = data.test_wordings
    first_held = count - data.valid_wordings - for_test
    seen, unseen = usable, list[int]()
    if data.unseen:
        about = groups or marks
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
    sizes = records.sizes
    assert sizes is not None
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
        count = sizes[name]
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
        parts[name] = [(index, wording) for index in inside for wording in range(made.sizes[index])]
    return parts
