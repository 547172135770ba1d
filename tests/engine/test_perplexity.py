"""Loss and perplexity of a test set against a computation of their own in float64, whatever the batches."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.support.models import make_rows
from tui_tuner.config import AdapterSection
from tui_tuner.data.examples import tokenise
from tui_tuner.errors import TunerError
from tui_tuner.evaluation import perplexity as module
from tui_tuner.evaluation.metrics import loss_scores
from tui_tuner.evaluation.perplexity import row_losses
from tui_tuner.models.adapters import attach
from tui_tuner.models.load import Base, fresh_tree
from tui_tuner.runs.control import JobControl, StopRequested

pytestmark = pytest.mark.mlx

ROWS = make_rows(11, seed=4, low=2, high=20)


@pytest.fixture(scope="module")
def adapted(base: Base) -> Any:
    import mlx.core as mx
    from mlx.utils import tree_map

    tree = fresh_tree(base)
    attach(tree, AdapterSection(rank=4, dropout=0.5))
    mx.random.seed(3)
    tree.update(tree_map(lambda w: w + 0.1 * mx.random.normal(w.shape), tree.trainable_parameters()))
    return tree


def by_hand(model: Any, tokenizer: Any, rows: list[dict[str, Any]], mask_prompt: bool, cut: int | None = None) -> Any:
    """Row by row, unpadded, in float64 from the logits on."""
    import mlx.core as mx

    sums, counts = [], []
    for row in rows:
        example = tokenise(row, tokenizer, mask_prompt=mask_prompt)
        tokens = example.tokens[:cut]
        logits = np.array(model(mx.array([tokens])).astype(mx.float32), dtype=np.float64)[0]
        shifted = logits - logits.max(axis=-1, keepdims=True)
        log_chances = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
        places = range(max(example.offset, 1), len(tokens))
        sums.append(-sum(log_chances[place - 1, tokens[place]] for place in places))
        counts.append(len(places))
    return np.array(sums), np.array(counts)


@pytest.mark.parametrize("mask_prompt", [True, False])
@pytest.mark.parametrize("batch_size", [1, 4, 64])
def test_losses_of_rows(base: Base, mask_prompt: bool, batch_size: int) -> None:
    base.model.eval()
    expected = by_hand(base.model, base.tokenizer, ROWS, mask_prompt)
    sums, counts = row_losses(base.model, base.tokenizer, ROWS, mask_prompt=mask_prompt, batch_size=batch_size)
    assert counts.tolist() == expected[1].tolist()
    assert sums == pytest.approx(expected[0], rel=1e-5)
    found = loss_scores(sums, counts)
    assert found["loss"].value == pytest.approx(expected[0].sum() / expected[1].sum(), rel=1e-6)
    assert found["perplexity"].value == pytest.approx(np.exp(expected[0].sum() / expected[1].sum()), rel=1e-5)
    # Longer rows weigh more: the mean of the rows' own losses is another number.
    assert found["loss"].value != pytest.approx(np.mean(found["loss"]), rel=1e-6)


def test_with_an_adapter_and_without_its_dropout(base: Base, adapted: Any) -> None:
    adapted.train()
    sums, _ = row_losses(adapted, base.tokenizer, ROWS, batch_size=3)
    assert adapted.training and all(layer.training for layer in adapted.layers)
    adapted.eval()
    assert sums == pytest.approx(by_hand(adapted, base.tokenizer, ROWS, True)[0], rel=1e-5)
    assert sums != pytest.approx(row_losses(base.model, base.tokenizer, ROWS)[0], rel=1e-3)


def test_rows_are_cut_as_in_training(base: Base) -> None:
    base.model.eval()
    rows = [{"prompt": "what is red?", "completion": " ".join(["red blue green"] * 20)}, ROWS[0]]
    prompt = tokenise(rows[0], base.tokenizer, mask_prompt=True).offset
    cut = prompt + 3
    sums, counts = row_losses(base.model, base.tokenizer, rows, max_length=cut)
    expected = by_hand(base.model, base.tokenizer, rows, True, cut)
    assert counts[0] == 3 and counts.tolist() == expected[1].tolist()
    assert sums == pytest.approx(expected[0], rel=1e-5)
    with pytest.raises(TunerError, match="no row has a token of the answer"):
        row_losses(base.model, base.tokenizer, rows[:1], max_length=prompt)


def test_plain_text_counts_whole(base: Base) -> None:
    base.model.eval()
    rows = [{"text": "what is red? it is blue."}, {"text": "it is green."}]
    sums, counts = row_losses(base.model, base.tokenizer, rows, mask_prompt=False)
    expected = by_hand(base.model, base.tokenizer, rows, False)
    assert counts.tolist() == expected[1].tolist() and sums == pytest.approx(expected[0], rel=1e-5)
    with pytest.raises(TunerError, match="test row 1: prompt masking needs rows"):
        row_losses(base.model, base.tokenizer, rows)


def test_batches_hold_no_more_logits_than_fit(base: Base, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    compute = module._batch

    def watched(model: Any, tokens: Any) -> Any:
        sizes.append(len(tokens) * max(len(row) for row in tokens))
        return compute(model, tokens)

    monkeypatch.setattr(module, "_batch", watched)
    whole = row_losses(base.model, base.tokenizer, ROWS, batch_size=64)
    vocabulary = base.model.args.vocab_size
    longest, sizes[:] = sizes[0] // len(ROWS), []
    monkeypatch.setattr(module, "_CELLS", 2 * longest * vocabulary)
    told: list[int] = []
    small = row_losses(base.model, base.tokenizer, ROWS, batch_size=64, tell=told.append)
    assert max(sizes) <= 2 * longest and len(sizes) > 3
    assert small[0] == pytest.approx(whole[0], rel=1e-5)
    assert told[-1] == len(ROWS) and told == sorted(told)


def test_it_can_be_stopped(base: Base) -> None:
    control = JobControl()
    with pytest.raises(StopRequested):
        row_losses(
            base.model, base.tokenizer, ROWS, batch_size=2, control=control, tell=lambda done: control.stop("user")
        )


def test_no_rows_have_no_losses(base: Base) -> None:
    sums, counts = row_losses(base.model, base.tokenizer, [])
    assert sums.shape == counts.shape == (0,)
