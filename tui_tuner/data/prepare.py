"""From a source to the rows that are trained, validated and tested on, and to the files that keep them.

Records are divided by seed first; then every wording (prompt and completion template) of a record is rendered within
its part, so that no fact is asked in training and, in other words, in the test. The same source, settings and seed
always give the same rows. It must never change a row's text, and never leave a row out without a note.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tui_tuner.data.rows import Row, RowKind, checked_row, kind_of_columns, messages_of, reference_of, row_kind
from tui_tuner.data.shapes import unusable_shape
from tui_tuner.data.source import Records, read_jsonl, read_records
from tui_tuner.data.split import sample, split_records
from tui_tuner.data.template import Template, has_column, has_value, unknown_column
from tui_tuner.data.wording import many
from tui_tuner.errors import TunerError
from tui_tuner.runs.files import write_atomic, write_failure

if TYPE_CHECKING:
    from tui_tuner.config import DataSection

__all__ = ["Prepared", "Row", "messages_of", "prepare", "read_prepared", "reference_of", "row_kind", "write_prepared"]

PARTS = ("train", "valid", "test")


@dataclass
class Prepared:
    """The rows of each part, all of one kind, and what a person should know about how they came about."""

    train: list[Row]
    valid: list[Row]
    test: list[Row]
    notes: list[str] = field(default_factory=list)


Maker = Callable[[dict[str, Any], str], list[Row]]


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
    records = read_records(data.source, base)
    notes = list(records.notes)
    templates = _templates(data)
    make = _from_templates(templates, records, notes) if templates else _as_they_are(records, notes)
    made = _all_rows(records, make)
    if records.splits is None:
        parts = _divide(records, made, data, seed, notes)
    else:
        parts = _take_splits(records, made, data, seed, notes)
    if len(templates) > 1:
        notes.append(f"every record is asked in {len(templates)} wordings, all within the same split")
    prepared = Prepared(parts[0], parts[1], parts[2], notes)
    _note_overlap(prepared)
    return prepared


def write_prepared(prepared: Prepared, folder: Path) -> None:
    """Write `train.jsonl`, `valid.jsonl` and `test.jsonl`, as stock `mlx_lm.lora --data` reads them.

    A part without rows gets no file (stock mlx-lm fails on an empty one), and an older file of that name goes.

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
    """Read back what `write_prepared` wrote; a missing valid or test file is a part without rows, notes are not kept.

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
    return Prepared(parts["train"], parts["valid"], parts["test"])


def _templates(data: DataSection) -> list[tuple[Template, Template]]:
    """Every wording as a pair of parsed templates; empty when rows are taken as they are."""
    prompts, completions = list(data.prompt), list(data.completion)
    if bool(prompts) != bool(completions):
        have, lack = ("prompt", "completion") if prompts else ("completion", "prompt")
        raise TunerError(
            f"data.{have} is set and data.{lack} is not", code="bad-template", fix="write both, or neither", usage=True
        )
    if len(completions) not in (1, len(prompts)) and prompts:
        raise TunerError(
            f"data.prompt has {len(prompts)} wordings and data.completion {len(completions)}",
            code="bad-template",
            fix="write one completion for all wordings, or one for each",
            usage=True,
        )
    answers = [Template.parse(text) for text in completions]
    return [(Template.parse(text), answers[index if len(answers) > 1 else 0]) for index, text in enumerate(prompts)]


def _from_templates(templates: list[tuple[Template, Template]], records: Records, notes: list[str]) -> Maker:
    """A maker that renders every wording of a record, once each column of the templates is known to exist somewhere."""
    every = list({template.text: template for pair in templates for template in pair}.values())
    columns = records.columns()
    for template in every:
        for path in sorted(template.fields):
            if not any(has_column(record, path) for record in records.rows):
                raise _located(unknown_column(path, columns, template.text), str(records.path))
    for path in sorted(
        {part.path for t in every for part in t.parts if not isinstance(part, str) and part.default is None}
    ):
        empty = sum(has_column(record, path) and not has_value(record, path) for record in records.rows)
        if empty:
            notes.append(
                f'"{path}" is empty in {empty:,} of {many(len(records.rows), "record", "records")}, written as nothing;'
                f" {{{path} or 0}} would write 0"
            )

    def make(record: dict[str, Any], where: str) -> list[Row]:
        try:
            rows = [{"prompt": ask.render(record), "completion": answer.render(record)} for ask, answer in templates]
        except TunerError as error:
            raise _located(error, where) from None
        for row, wording in zip(rows, templates, strict=True):
            for text, template in zip(row.values(), wording, strict=True):
                if not text.strip() and template.fields:
                    raise _rendered_to_nothing(template, where)
        return [checked_row(row, "completion", where) for row in rows]

    return make


def _rendered_to_nothing(template: Template, where: str) -> TunerError:
    path = min(template.fields)
    return TunerError(
        f'the template "{template.text}" gives no text here',
        code="bad-row",
        where=where,
        fix=f"write what an empty value means, such as {{{path} or 0}}, or take the row out",
    )


def _as_they_are(records: Records, notes: list[str]) -> Maker:
    """A maker that takes each record as one row of the kind that the first record has."""
    kind = kind_of_columns(records.rows[0])
    if kind is None:
        raise unusable_shape(records)
    used = {"completion": {"prompt", "completion"}, "chat": {"messages", "tools"}, "text": {"text"}}[kind]
    unused = [name for name in records.columns() if name not in used]
    if unused:
        notes.append(f"rows are used as {' and '.join(sorted(used - {'tools'}))}; not used: {', '.join(unused[:12])}")
    return lambda record, where: [checked_row(record, kind, where)]


def _all_rows(records: Records, make: Maker) -> list[list[Row]]:
    """The rows of every record. The first record that can't be used is named, and how many others there are."""
    made: list[list[Row]] = []
    first: TunerError | None = None
    refused = 0
    for index, record in enumerate(records.rows):
        try:
            made.append(make(record, records.where(index)))
        except TunerError as error:
            first = first or error
            refused += 1
    if first is not None:
        if refused > 1:
            first.message += f" ({refused:,} of {len(records.rows):,} rows can't be used)"
        raise first
    return made


def _divide(records: Records, made: list[list[Row]], data: DataSection, seed: int, notes: list[str]) -> list[list[Row]]:
    """Train, valid and test rows of a source that is one file."""
    identities = [_identity(rows) for rows in made]
    split = split_records(
        identities, train=data.train, valid=data.valid, test=data.test, seed=seed, where=str(records.path)
    )
    copies = len(made) - len(set(identities))
    if copies:
        notes.append(f"{many(copies, 'record is a copy', 'records are copies')} of others ({len(made):,} in all)")
    if split.left_out:
        notes.append(f"{many(len(split.left_out), 'copy', 'copies')} of held-out records left out of training")
    unused = len(made) - sum(map(len, (split.train, split.valid, split.test, split.left_out)))
    if unused:
        notes.append(f"{many(unused, 'record is', 'records are')} not used, because data.train asks for {data.train:,}")
    return [[row for index in part for row in made[index]] for part in (split.train, split.valid, split.test)]


def _take_splits(
    records: Records, made: list[list[Row]], data: DataSection, seed: int, notes: list[str]
) -> list[list[Row]]:
    """Train, valid and test rows of a folder that brings them; a count takes that many of them by seed."""
    assert records.splits is not None
    parts: list[list[Row]] = []
    start = 0
    for offset, name in enumerate(PARTS):
        count = len(records.splits[name])
        rows = made[start : start + count]
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
            rows = [rows[index] for index in sample(count, wanted, seed + offset)]
        elif not count:
            notes.append(f"the folder has no {name} file, so there are no {name} rows")
        parts.append([row for group in rows for row in group])
    return parts


def _identity(rows: list[Row]) -> str:
    return json.dumps(rows, sort_keys=True)


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


def _located(error: TunerError, where: str) -> TunerError:
    return TunerError(error.message, code=error.code, where=where, fix=error.fix, usage=error.usage)
