"""Losses, agreement and what a merge keeps, of models whose logits are known: every figure by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tui_tuner.data.examples import Example
from tui_tuner.errors import TunerError
from tui_tuner.evaluation import perplexity
from tui_tuner.evaluation.generate import TIE, Drawing, _sampler, common_prefix, text_of
from tui_tuner.evaluation.perplexity import row_losses
from tui_tuner.evaluation.proof import Agreement, Proof, agreement, proof
from tui_tuner.runs.control import JobControl, StopRequested

pytestmark = pytest.mark.mlx
WORDS = 5


class Fixed:
    """A model whose logits depend on the last token alone: rows of a table (vocabulary, vocabulary)."""

    def __init__(self, table: Any) -> None:
        self.table = np.asarray(table, np.float32)
        self.training = False
        self.widths: list[tuple[int, ...]] = []

    def __call__(self, tokens: Any) -> Any:
        import mlx.core as mx

        self.widths.append(tuple(tokens.shape))
        return mx.array(self.table)[tokens]

    def modules(self) -> list[Any]:
        return [self]

    def eval(self) -> None:
        self.training = False

    def _set_training_mode(self, mode: bool) -> None:
        self.training = mode


def table(seed: int) -> Any:
    return np.random.default_rng(seed).normal(size=(WORDS, WORDS))


def log_p(logits: Any) -> Any:
    shifted = logits - logits.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def examples(*rows: tuple[list[int], int]) -> list[Example]:
    return [Example(tokens, offset) for tokens, offset in rows]


ROWS = examples(([0, 1, 2, 3, 4], 2), ([4, 4], 0), ([1, 0, 1, 0, 1, 0, 2], 5), ([3], 0))
"""Of the first three tokens are counted, of the second one, of the third two, of the last none."""


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that are tokens already."""
    monkeypatch.setattr(perplexity, "_examples", lambda rows, tokenizer, mask: [*rows])


# -- losses ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [1, 2, 8])
def test_losses_are_the_logarithms_of_what_the_table_gives_each_token(batch_size: int, known: None) -> None:
    model = Fixed(table(0))
    sums, counts = row_losses(model, None, ROWS, batch_size=batch_size)  # type: ignore[arg-type]
    wanted = [-sum(log_p(model.table)[a, b] for a, b in pairs) for pairs in (
        [(1, 2), (2, 3), (3, 4)], [(4, 4)], [(1, 0), (0, 2)], [],
    )]  # fmt: skip
    assert counts.tolist() == [3, 1, 2, 0]
    np.testing.assert_allclose(sums, wanted, rtol=1e-5)


def test_a_row_that_is_cut_counts_what_is_left_of_it(known: None) -> None:
    model = Fixed(table(1))
    sums, counts = row_losses(model, None, ROWS, max_length=4)  # type: ignore[arg-type]
    assert counts.tolist() == [2, 1, 0, 0] and sums[2] == 0.0
    with pytest.raises(TunerError, match="no row has a token of the answer") as caught:
        row_losses(model, None, ROWS[2:], max_length=4)  # type: ignore[arg-type]
    assert caught.value.where == "2 test rows" and "train.max_seq_length" in caught.value.fix


def test_progress_begins_with_the_rows_that_have_nothing_to_count_and_a_stop_leaves_the_mode(known: None) -> None:
    told: list[int] = []
    model, control = Fixed(table(2)), JobControl()
    row_losses(model, None, ROWS, batch_size=1, tell=told.append)  # type: ignore[arg-type]
    assert told == [2, 3, 4]
    model.training = True
    control.stop("test")
    with pytest.raises(StopRequested):
        row_losses(model, None, ROWS, control=control)  # type: ignore[arg-type]
    assert model.training


@given(st.lists(st.integers(1, 60), min_size=1, max_size=20), st.integers(1, 9), st.integers(1, 3_000_000))
@settings(max_examples=60)
def test_batches_hold_every_row_once_and_no_more_logits_than_fit(
    ends: list[int], batch_size: int, vocabulary: int
) -> None:
    batches = [*perplexity._batches(range(len(ends)), ends, batch_size, vocabulary)]
    assert sorted(row for batch in batches for row in batch) == list(range(len(ends)))
    lengths = [ends[row] for batch in batches for row in batch]
    assert lengths == sorted(lengths, reverse=True)
    for batch in batches:
        assert len(batch) == 1 or (len(batch) <= batch_size and len(batch) * ends[batch[0]] * vocabulary <= 64_000_000)


# -- agreement ---------------------------------------------------------------------------------------------------------


def test_agreement_by_hand() -> None:
    p, q = Fixed(table(3)), Fixed(table(4))
    told: list[tuple[int, int]] = []
    found = agreement(p, q, ROWS, tell=lambda *counts: told.append(counts))
    pairs = [(1, 2), (2, 3), (3, 4), (4, 4), (1, 0), (0, 2)]
    a, b = log_p(p.table), log_p(q.table)
    assert (found.tokens, found.rows) == (6, 3) and told == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert found.kl == pytest.approx(np.mean([(np.exp(a[at]) * (a[at] - b[at])).sum() for at, _ in pairs]), rel=1e-4)
    assert found.top1 == np.mean([a[at].argmax() == b[at].argmax() for at, _ in pairs])
    losses = [-np.mean([one[at, said] for at, said in pairs]) for one in (a, b)]
    assert (found.reference_loss, found.loss) == pytest.approx(tuple(losses), rel=1e-5)
    assert found.perplexity == pytest.approx(tuple(np.exp(losses)), rel=1e-5)


def test_a_model_agrees_with_itself_and_a_constant_in_its_logits_is_nothing() -> None:
    one, other = Fixed(table(5)), Fixed(table(5) + 7.0)
    found = agreement(one, other, ROWS)
    assert found.kl == pytest.approx(0.0, abs=1e-6) and found.kl >= 0 and found.top1 == 1.0


def test_a_broken_model_has_a_perplexity_without_end_and_no_overflow() -> None:
    assert replace(Agreement(1, 1, 0.0, 1.0, 1.0, 2.0), loss=1e9).perplexity == (math.e, math.inf)


@pytest.mark.parametrize(
    ("share", "noise", "kept"), [(1.0, 0.0, 1.0), (0.0, 0.0, 0.0), (0.5, 0.0, 0.5), (-1.0, 0.0, -1.0), (0.8, 3.0, 0.8)]
)
def test_what_is_kept_is_how_far_it_went_along_the_way(share: float, noise: float, kept: float) -> None:
    """Noise in a place that the fine-tune left alone does not count; KL shows it."""
    base, way, aside = np.zeros((WORDS, WORDS)), np.zeros((WORDS, WORDS)), np.zeros((WORDS, WORDS))
    way[:, 0], way[:, 1] = 2.0, -2.0
    aside[:, 2], aside[:, 3] = 1.0, -1.0
    fused = base + share * way + noise * aside
    found = proof(Fixed(base), Fixed(base + way), Fixed(fused), ROWS)
    assert found.kept == pytest.approx(kept, abs=1e-6)
    assert found.holds is (share == 1.0 and not noise)
    assert found.base_loss == pytest.approx(math.log(WORDS), rel=1e-6)
    assert found.as_json()["loss"]["fused"] == pytest.approx(found.agreement.loss)


FINE = Proof(Agreement(100, 9, 0.0001, 0.995, 1.0, 1.0), 2.0, 0.5, 1.0)


@pytest.mark.parametrize(
    ("changes", "holds"),
    [
        ({}, True),
        ({"kept": 0.99}, True),
        ({"kept": 0.989}, False),
        ({"kept": 1.011}, False),
        ({"agreement": replace(FINE.agreement, top1=0.989)}, False),
        ({"agreement": replace(FINE.agreement, kl=0.0051)}, False),
        ({"agreement": replace(FINE.agreement, kl=0.0049)}, True),
        ({"base_kl": 0.0, "agreement": replace(FINE.agreement, kl=1e-7)}, True),
        ({"kept": None}, False),
        ({"kept": None, "agreement": replace(FINE.agreement, kl=1e-7)}, True),
    ],
)
def test_a_proof_holds_by_all_three_measures(changes: dict[str, Any], holds: bool) -> None:
    assert replace(FINE, **changes).holds is holds
    assert replace(FINE, **changes).as_json()["holds"] is holds


# -- answers -----------------------------------------------------------------------------------------------------------


@given(st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=8), min_size=1, max_size=6))
@settings(max_examples=80)
def test_what_prompts_begin_with_alike_leaves_a_token_of_each(prompts: list[list[int]]) -> None:
    count = common_prefix(prompts)
    assert 0 <= count < min(map(len, prompts))
    assert len({tuple(prompt[:count]) for prompt in prompts}) == 1
    longer = {tuple(prompt[: count + 1]) for prompt in prompts}
    assert len(longer) > 1 or count == min(map(len, prompts)) - 1


def test_a_drawing_takes_likelier_tokens_more_often_and_its_seed_alone_decides() -> None:
    import mlx.core as mx

    logits = mx.array([[0.0, math.log(3.0)]])
    draw = _sampler(Drawing(1.0, 7))
    often = np.mean([int(draw(logits).item()) for _ in range(400)])
    assert often == pytest.approx(0.75, abs=0.07)
    mx.random.seed(3)
    first = [int(one(logits).item()) for one in [_sampler(Drawing(1.0, 9))] for _ in range(12)]
    mx.random.seed(4)
    again = [int(one(logits).item()) for one in [_sampler(Drawing(1.0, 9))] for _ in range(12)]
    assert first == again
    cold = _sampler(Drawing(0.01, 1))
    assert {int(cold(logits).item()) for _ in range(20)} == {1} == {int(_sampler(None)(logits).item())}
    assert 0 < TIE < 1e-3


def test_a_tokenizer_without_a_detokenizer_decodes_at_once() -> None:
    class Plain:
        def decode(self, tokens: list[int]) -> str:
            return "".join(map(chr, tokens))

    assert text_of(Plain(), (72, 105)) == "Hi"
