"""What a source is, from its first records: format, columns, what they are taken for and might be, how to divide them.

It works where no row can be made yet, because that is when a person has to choose. It reads no more than the head of
the source, and never decides anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tui_tuner.data.lookup import is_empty, look_up, paths_of
from tui_tuner.data.opening import open_source
from tui_tuner.data.readers.refusals import no_rows
from tui_tuner.data.shapes import Guess, recognise
from tui_tuner.data.shapes.guess import SAMPLE, all_guesses
from tui_tuner.data.splitadvice import SplitAdvice, split_advice
from tui_tuner.data.table import Fault
from tui_tuner.data.template import Template
from tui_tuner.errors import TunerError

if TYPE_CHECKING:
    from tui_tuner.config import DataSection

KEPT = 200
"""Records that are handed on, to try templates and conditions on."""
_COLUMNS = 200


@dataclass(frozen=True)
class SourceFacts:
    """A source at a glance.

    Attributes:
        path: the file or folder, or the name on the Hub.
        format: of the file, such as "jsonl".
        splits: records found so far by the splits that the source brings; empty where it brings none.
        rows: records found so far, of what is trained on.
        complete: whether that is all of them.
        guess: what the records are taken for, as `data.shape` has it.
        guesses: everything they might be, the likeliest first.
        columns: paths that lead to values, each with one of its values.
        records: the first records.
        advice: how to divide them.
    """

    path: str
    format: str
    splits: dict[str, int]
    rows: int
    complete: bool
    guess: Guess
    guesses: list[Guess]
    columns: dict[str, Any]
    records: list[dict[str, Any]]
    advice: SplitAdvice


def source_facts(data: DataSection, base: Path | None = None) -> SourceFacts:
    """Looks at the head of a source.

    Raises:
        TunerError: it cannot be opened, or no record of its head can be read.
    """
    source = open_source(data, base)
    try:
        table = source.main
        read = list(table.rows(0, SAMPLE))
        records = [record for record in read if not isinstance(record, Fault)]
        if not records:
            fault = next((record for record in read if isinstance(record, Fault)), None)
            raise fault.error() if fault is not None else no_rows(source.path)
        paths = paths_of(records)[:_COLUMNS]
        guess = recognise(records, data.shape)
        advice = split_advice(records, paths, len(data.prompt), _asked(data, guess), own=source.has_splits)
        return SourceFacts(
            path=str(source.path),
            format=source.format,
            splits={name: len(one) for name, one in source.tables.items()} if source.has_splits else {},
            rows=len(table),
            complete=table.complete,
            guess=guess,
            guesses=all_guesses(records),
            columns={path: _example(records, path) for path in paths},
            records=records[:KEPT],
            advice=advice,
        )
    finally:
        source.close()


def _asked(data: DataSection, guess: Guess) -> list[str]:
    """The columns that questions are made of, in a lasting order."""
    texts = list(data.prompt) or [guess.mapping[role] for role in ("prompt",) if role in guess.mapping]
    found: set[str] = set()
    for text in texts:
        try:
            found |= Template.parse(text).fields
        except TunerError:
            continue  # the preview says what is wrong with it
    return sorted(found)


def _example(records: list[dict[str, Any]], path: str) -> Any:
    """The first value that is not empty."""
    return next((value for record in records if not is_empty(value := look_up(record, path))), None)
