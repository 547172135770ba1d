"""The rows that are trained, validated and tested on, and the files that keep them.

Before a run every record must be usable: the first one that is not is refused with its place. It must never change a
row's text, and never leave a row out without a note.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tui_tuner.data.draft import PARTS, Draft, draft
from tui_tuner.data.rows import Row, RowKind, checked_row, messages_of, reference_of, row_kind
from tui_tuner.data.source import read_jsonl, refuse
from tui_tuner.errors import TunerError
from tui_tuner.runs.files import write_atomic, write_failure
from tui_tuner.units import many

if TYPE_CHECKING:
    from tui_tuner.config import DataSection

__all__ = ["Prepared", "Row", "messages_of", "prepare", "read_prepared", "reference_of", "row_kind", "write_prepared"]


@dataclass
class Prepared:
    """The rows of each part, all of one kind, and what a person should know about how they came about.

    `unseen` are facts that are not trained in any wording; empty unless `data.split` is "facts".
    """

    train: list[Row]
    valid: list[Row]
    test: list[Row]
    notes: list[str] = field(default_factory=list)
    unseen: list[Row] = field(default_factory=list)


def prepare(data: DataSection, seed: int, base: Path | None = None) -> Prepared:
    """Read, render, check and divide a source.

    Args:
        data: source, templates and counts. Counts are records; each gives as many rows as there are wordings.
        seed: of the division.
        base: folder that a relative source is looked for in.

    Raises:
        TunerError: the source can't be read, a template doesn't fit its columns, a row can't be trained on, or there
            are fewer records than asked for. Names file, line and row.
    """
    return prepared_of(draft(data, seed, base))


def refuse_unusable(made: Draft) -> None:
    """Refuses a draft that no run can train on.

    Raises:
        TunerError: the first record that can't be used, and how many others there are; or the reason why the records
            can't be divided as asked.
    """
    if made.faults:
        refuse(made.faults, len(made.records))
    if made.refused:
        error = made.refused[0][1]
        more = f" ({len(made.refused):,} of {len(made.records):,} rows can't be used)"
        message = error.message + (more if len(made.refused) > 1 else "")
        raise TunerError(message, code=error.code, where=error.where, fix=error.fix, usage=error.usage)
    if made.undivided is not None:
        raise made.undivided


def prepared_of(made: Draft) -> Prepared:
    """What a draft holds, once none of its records is refused.

    Raises:
        TunerError: as `refuse_unusable`.
    """
    refuse_unusable(made)
    prepared = Prepared(
        made.rows("train"), made.rows("valid"), made.rows("test"), list(made.notes), made.rows("unseen")
    )
    _make_one_kind(prepared)
    _note_overlap(prepared)
    return prepared


def write_prepared(prepared: Prepared, folder: Path) -> None:
    """Write `train.jsonl`, `valid.jsonl` and `test.jsonl`, as stock `mlx_lm.lora --data` reads them.

    Facts that are never trained are beside them as `unseen.jsonl`. A part without rows gets no file (stock mlx-lm fails
    on an empty one), and an older file of that name goes.

    Raises:
        TunerError: the folder can't be written to.
    """
    for name in PARTS:
        path = folder / f"{name}.jsonl"
        rows: list[Row] = getattr(prepared, name)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if rows:
                write_atomic(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
            else:
                path.unlink(missing_ok=True)
        except OSError as error:
            raise write_failure(error, path) from None


def read_prepared(folder: Path) -> Prepared:
    """Read back what `write_prepared` wrote; a part whose file is missing has no rows; notes are not kept.

    Raises:
        TunerError: no `train.jsonl`, or a damaged line; names file and line.
    """
    parts: dict[str, list[Row]] = {}
    kind: RowKind | None = None
    for name in PARTS:
        path = folder / f"{name}.jsonl"
        parts[name] = []
        if name != "train" and not path.exists():
            continue
        records = read_jsonl(path)
        for index, record in enumerate(records.rows):
            kind = kind or row_kind(record)
            parts[name].append(checked_row(record, kind, records.where(index)))
    return Prepared(parts["train"], parts["valid"], parts["test"], [], parts["unseen"])


def _make_one_kind(prepared: Prepared) -> None:
    """Stock mlx-lm reads every row as the first one's kind; so a mixture of rows with and without a system message
    is written as conversations throughout."""
    everything = [prepared.train, prepared.valid, prepared.test, prepared.unseen]
    if len({row_kind(row) for rows in everything for row in rows}) > 1:
        for rows in everything:
            rows[:] = [row if "messages" in row else {"messages": messages_of(row)} for row in rows]


def _question(row: Row) -> str:
    if row_kind(row) == "text":
        return str(row["text"])
    return json.dumps([(turn["role"], turn["content"]) for turn in messages_of(row)[:-1]])


def _note_overlap(prepared: Prepared) -> None:
    """Say how many held-out rows ask what training asks too: their scores show recall, not what carries over."""
    trained = {_question(row) for row in prepared.train}
    for name, rows in (("validation", prepared.valid), ("test", prepared.test)):
        shared = sum(_question(row) in trained for row in rows)
        if shared:
            what = many(shared, f"{name} row asks", f"{name} rows ask")
            prepared.notes.append(f"{what} what a training row asks too ({len(rows):,} in all)")
