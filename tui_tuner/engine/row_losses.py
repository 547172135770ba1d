"""Base against adapter on one test row of a run, token by token. Called on the MLX thread only.

The row is rendered as it was for training. Nothing is written.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tui_tuner.config import load_experiment
from tui_tuner.data.examples import Example, tokenise
from tui_tuner.data.prepare import Row, read_prepared, reference_of, row_kind
from tui_tuner.engine.chat_form import form_of_run
from tui_tuner.engine.consent import allow_code
from tui_tuner.engine.new_run import read_base
from tui_tuner.engine.requests import TokenLosses
from tui_tuner.engine.results import RowLosses
from tui_tuner.engine.shelf import ModelShelf
from tui_tuner.errors import TunerError
from tui_tuner.evaluation.tokenloss import token_losses
from tui_tuner.models.adapters import WEIGHTS
from tui_tuner.models.device import working_memory
from tui_tuner.models.libraries import ready
from tui_tuner.runs import RunFolder


def row_losses(request: TokenLosses, shelf: ModelShelf, check: Callable[[], None]) -> RowLosses:
    """The losses of a row's answer under the base and under the run's adapter.

    Args:
        check: called between the two models; it raises to end the work.

    Raises:
        TunerError: the run has no adapter yet, no such row, or its model cannot be loaded.
    """
    ready()
    folder = RunFolder.open(request.run)
    if not (folder.adapters / WEIGHTS).is_file():
        raise TunerError(
            "the run has no adapter yet, so there is nothing to hold against the base",
            code="no-adapter",
            where=str(folder.adapters),
            fix="wait for its first checkpoint",
        )
    experiment = load_experiment(folder.config)
    row = _row(folder, request)
    allow_code(experiment)
    base = shelf.base(experiment.model.path, read_base(folder), template=form_of_run(folder, experiment))
    example = _cut(tokenise(row, base.tokenizer, mask_prompt=row_kind(row) != "text"), experiment.train.max_seq_length)
    with working_memory():
        first = token_losses(base.model, example.tokens, example.offset)
        check()
        second = token_losses(shelf.with_adapter(base, folder.adapters), example.tokens, example.offset)
    start = max(example.offset, 1)
    return RowLosses(request.index, _pieces(base.tokenizer, example.tokens[start:]), first, second)


def _row(folder: RunFolder, request: TokenLosses) -> Row:
    rows = read_prepared(folder.data).test
    row = rows[request.index] if 0 <= request.index < len(rows) else None
    if row is not None and (not request.reference or reference_of(row) == request.reference):
        return row
    raise TunerError(
        f"row {request.index} is not in the run's test rows as it was answered",
        code="no-such-row",
        where=str(folder.data / "test.jsonl"),
        fix="choose one of the run's own test rows",
    )


def _cut(example: Example, length: int) -> Example:
    return Example(example.tokens[:length], example.offset)


def _pieces(tokenizer: Any, tokens: list[int]) -> list[str]:
    return [tokenizer.decode([token]) for token in tokens]
