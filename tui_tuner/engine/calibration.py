"""The rows that a learned quantization looks at: a person's own, of training, and none that it is then measured on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tui_tuner.data.draft import Draft
from tui_tuner.data.examples import tokenise_many
from tui_tuner.data.prepare import Row
from tui_tuner.data.split import sample
from tui_tuner.errors import TunerError
from tui_tuner.models.learned.planning import LONGEST

_PARTS = ("train", "valid", "test")
_AHEAD = 4
"""Times as many rows are looked at as are wanted, because copies of measured ones are passed over."""


@dataclass(frozen=True)
class Calibration:
    """Rows to learn from.

    Attributes:
        rows: token ids as the model sees them, through its chat template and cut; two each at least.
        source: for a person.
    """

    rows: list[list[int]]
    source: str


def calibration_of(
    made: Draft | None, named: str, tokenizer: Any, most: int, measured: Sequence[Row], seed: int
) -> Calibration:
    """Draws rows of a source by seed: of training, or where there are none of validation, or of the test.

    Args:
        made: the source's rows, divided; None where there is no source.
        named: the source, for a person.
        measured: rows that the result is measured on; neither they nor their copies are drawn.

    Raises:
        TunerError: there is no source, or no row is left (code "no-calibration").
    """
    if made is None:
        raise TunerError(
            "a learned method looks at rows of yours, and none are named",
            code="no-calibration",
            fix="name their source with --data",
            usage=True,
        )
    taken = {_key(row) for row in measured}
    for part in _PARTS:
        origins = made.parts.get(part, ())
        drawn = [origins[at] for at in sample(len(origins), _AHEAD * most + len(taken), seed)]
        rows = [row for row in made.some(drawn) if _key(row) not in taken][:most]
        if found := _tokens(rows, tokenizer):
            apart = ", none of which it is measured on" if measured else ""
            return Calibration(found, f"{len(found)} {part} rows of {named}{apart}")
    raise TunerError(
        "the source has no rows beside those that the result is measured on",
        code="no-calibration",
        where=named,
        fix="give a source with more rows, or measure on fewer with --rows",
    )


def _key(row: Row) -> str:
    return json.dumps(row, sort_keys=True, default=str)


def _tokens(rows: Sequence[Row], tokenizer: Any) -> list[list[int]]:
    found = []
    for example in tokenise_many(rows, tokenizer, mask_prompt=False):
        if isinstance(example, TunerError):
            raise example
        if len(tokens := example.tokens[:LONGEST]) > 1:
            found.append(tokens)
    return found
