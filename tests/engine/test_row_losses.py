"""Base against adapter, token by token: the figures are those of a computation in float64, of the right row."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest

from tui_tuner.config import load_experiment
from tui_tuner.data.examples import tokenise
from tui_tuner.engine.pipeline import run_experiment
from tui_tuner.engine.requests import TokenLosses
from tui_tuner.engine.row_losses import row_losses
from tui_tuner.engine.shelf import ModelShelf
from tui_tuner.errors import TunerError
from tui_tuner.evaluation.tokenloss import token_losses
from tui_tuner.models.adapters import load_adapter
from tui_tuner.models.load import load_base
from tui_tuner.runs import RunFolder
from tui_tuner.runs.control import JobControl

pytestmark = pytest.mark.mlx


def independent(model: object, tokens: list[int], offset: int) -> np.ndarray:
    """The same by numpy in float64, from the logits of each position apart."""
    import mlx.core as mx

    out = []
    for at in range(max(offset, 1), len(tokens)):
        logits = np.array(model(mx.array([tokens[:at]]))[0, -1].astype(mx.float32), dtype=np.float64)  # type: ignore[operator]
        out.append(np.log(np.exp(logits - logits.max()).sum()) + logits.max() - logits[tokens[at]])
    return np.array(out)


@pytest.fixture
def trained(new_run: Callable[..., RunFolder]) -> RunFolder:
    folder = new_run(evaluation={"enabled": False}, train={"iters": 6, "learning_rate": 1e-2})
    run_experiment(folder, JobControl(), ModelShelf())
    return folder


def test_every_token_of_the_answer_has_its_loss_under_both_models(trained: RunFolder) -> None:
    rows = [json.loads(line) for line in (trained.data / "test.jsonl").read_text("utf-8").splitlines()]
    base = load_base(ModelShelf().base(load_experiment(trained.config).model.path).path)
    example = tokenise(rows[2], base.tokenizer, mask_prompt=True)
    found = row_losses(TokenLosses(trained.path, 2, rows[2]["completion"]), ModelShelf(), lambda: None)
    assert "".join(found.pieces) == base.tokenizer.decode(example.tokens[example.offset :])
    np.testing.assert_allclose(found.base, independent(base.model, example.tokens, example.offset), atol=2e-4)
    tuned = load_adapter(base, trained.adapters)
    np.testing.assert_allclose(found.adapter, independent(tuned, example.tokens, example.offset), atol=2e-4)
    assert np.abs(np.array(found.base) - np.array(found.adapter)).max() > 0.01
    document = found.as_json()
    assert document["mean"]["base"] == pytest.approx(np.mean(found.base))
    assert [token["adapter"] for token in document["tokens"]] == found.adapter


def test_the_first_token_is_never_predicted(trained: RunFolder) -> None:
    base = ModelShelf().base(load_experiment(trained.config).model.path)
    tokens = base.tokenizer.encode("the red fox runs")
    assert len(token_losses(base.model, tokens, 0)) == len(tokens) - 1
    assert token_losses(base.model, tokens, len(tokens)) == []


def test_another_row_is_not_taken_for_it(trained: RunFolder) -> None:
    for request in (TokenLosses(trained.path, 2, "something else"), TokenLosses(trained.path, 99)):
        with pytest.raises(TunerError) as caught:
            row_losses(request, ModelShelf(), lambda: None)
        assert caught.value.code == "no-such-row"


def test_without_an_adapter_it_says_so(new_run: Callable[..., RunFolder]) -> None:
    with pytest.raises(TunerError) as caught:
        row_losses(TokenLosses(new_run().path, 0), ModelShelf(), lambda: None)
    assert caught.value.code == "no-adapter"
