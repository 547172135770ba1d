"""The rows that a model is measured on before and after it is stored in another way.

A person's own where there are any, held-out ones first; else a few passages of plain text, which every model can be
measured on and which say less.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from tui_tuner.config import Experiment
from tui_tuner.config.presets import load_preset
from tui_tuner.data.draft import Draft, draft
from tui_tuner.data.examples import Example, prompt_tokens, tokenise_many
from tui_tuner.data.prepare import Row, read_prepared, row_kind
from tui_tuner.errors import TunerError
from tui_tuner.paths import EMBEDDED
from tui_tuner.runs import RunFolder

_HELD_OUT = ("test", "valid", "train")


@dataclass(frozen=True)
class ProofRows:
    """Rows, where they are from in words, and their tokens.

    Attributes:
        rows: as prepared; empty for passages.
        examples: tokenised; of rows with prompts only the answers count.
        source: for a person.
    """

    rows: list[Row]
    examples: list[Example]
    source: str

    def prompts(self, tokenizer: Any, most: int) -> list[list[int]]:
        """Tokens of the first prompts; none for rows that have none."""
        asked = [row for row in self.rows if row_kind(row) != "text"][:most]
        return [prompt_tokens(row, tokenizer) for row in asked]


def rows_of_source(data: str, model: str, tokenizer: Any, most: int, base: Path | None = None) -> ProofRows:
    """Rows of a source; of the embedded data for the embedded model; or passages.

    Raises:
        TunerError: the source cannot be read, or has no row that can be used.
    """
    made, named = drafted(data, model, base)
    return passages(tokenizer, most) if made is None else rows_of_draft(made, named, tokenizer, most)


def drafted(data: str, model: str, base: Path | None = None) -> tuple[Draft | None, str]:
    """The rows of a source, or of the embedded data for the embedded model, and what it is called; else None.

    Raises:
        TunerError: the source cannot be read.
    """
    if data and not data.startswith(EMBEDDED):
        experiment = Experiment.model_validate({"model": {"path": model}, "data": {"source": data}})
    elif data or model.startswith(EMBEDDED):
        experiment, _ = load_preset("quickstart")
    else:
        return None, ""
    return draft(experiment.data, experiment.run.seed, base), data or experiment.data.source


def rows_of_draft(made: Draft, named: str, tokenizer: Any, most: int) -> ProofRows:
    """The first held-out rows of a source, or of its training rows where it has no others.

    Raises:
        TunerError: it has no rows, or one of them cannot be used.
    """
    for part in _HELD_OUT:
        if part in made.parts and len(made.parts[part].pairs):
            rows = list(made.some(made.parts[part].pairs[:most].tolist()))
            return _tokenised(rows, tokenizer, f"{len(rows)} rows of {named}")
    raise TunerError("the source has no rows", code="no-rows", where=named, fix="give another with --data")


def rows_of_run(run: RunFolder, tokenizer: Any, most: int) -> ProofRows:
    """Held-out rows of a run: those of its test, else of its validation.

    Raises:
        TunerError: the run has no prepared rows.
    """
    prepared = read_prepared(run.data)
    for part in _HELD_OUT:
        if rows := list(getattr(prepared, part))[:most]:
            told = "rows it was trained on" if part == "train" else f"held-out rows ({part})"
            return _tokenised(rows, tokenizer, f"{len(rows)} {told} of {run.name}")
    raise TunerError("the run has no rows", code="no-rows", where=str(run.data), fix="give others with --data")


def passages(tokenizer: Any, most: int) -> ProofRows:
    """Short texts of several kinds that come with the program."""
    text = files("tui_tuner.evaluation").joinpath("passages.txt").read_text(encoding="utf-8")
    found = [part.strip() for part in text.split("\n\n") if part.strip()][:most]
    examples = [Example(list(tokenizer.encode(part)), 0) for part in found]
    return ProofRows([], examples, f"{len(examples)} passages of plain text that come with the program")


def _tokenised(rows: Sequence[Row], tokenizer: Any, source: str) -> ProofRows:
    texts = row_kind(rows[0]) == "text"
    examples = []
    for example in tokenise_many(rows, tokenizer, mask_prompt=not texts):
        if isinstance(example, TunerError):
            raise example
        examples.append(example)
    return ProofRows(list(rows), examples, source)
