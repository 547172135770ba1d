"""The fast loss is mlx-lm's loss of the same positions, and has its gradients, whatever the model and what trains."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.support.architectures import ARCHITECTURES, build, make_examples
from tui_tuner.config import AdapterSection
from tui_tuner.models.adapters import attach
from tui_tuner.training.batches import Batch, stock_batch
from tui_tuner.training.fast.loss import FastLoss, _lean_cross_entropy, counted_positions, fast_loss, piece_size
from tui_tuner.training.fast.order import FastOrder
from tui_tuner.training.fast.trunk import calling, find_split

pytestmark = pytest.mark.mlx

EXAMPLES = make_examples(24, seed=1)
SMALL_PIECES = 4 * 96 * 7  # bytes: seven positions of logits


def corrected_stock(model: Any, tokens: Any, lengths: Any) -> tuple[Any, Any]:
    """mlx-lm's default_loss, but for the padding token that it counts after each row: `<` instead of `<=`."""
    import mlx.core as mx
    import mlx.nn as nn

    inputs, targets = tokens[:, :-1], tokens[:, 1:]
    logits = model(inputs)
    steps = mx.arange(1, targets.shape[1] + 1)
    mask = mx.logical_and(steps >= lengths[:, 0:1], steps < lengths[:, 1:])
    ce = nn.losses.cross_entropy(logits, targets) * mask
    count = mask.sum()
    return ce.astype(mx.float32).sum() / count, count


def spread_adapters(model: Any) -> None:
    """Gives the adapters' zero halves values, so that their gradients are not zero."""
    import mlx.core as mx
    from mlx.utils import tree_map

    mx.random.seed(9)
    model.update(tree_map(lambda w: w + 0.05 * mx.random.normal(w.shape), model.trainable_parameters()))


def compare(model: Any, batch: Batch, **options: Any) -> FastLoss:
    """Asserts that the loss, the count and every gradient agree; returns the loss."""
    import mlx.core as mx
    import mlx.nn as nn
    from mlx.utils import tree_flatten

    loss = fast_loss(model, batch, **options)
    model.train()
    arrays = mx.array(batch.tokens), mx.array(batch.lengths)
    (expected, count), theirs = nn.value_and_grad(model, corrected_stock)(model, *arrays)
    (value, counted), ours = nn.value_and_grad(model, loss)(model, *loss.arrays(batch))
    assert counted.item() == count.item()
    assert abs(value.item() - expected.item()) <= 1e-5
    first, second = dict(tree_flatten(theirs)), dict(tree_flatten(ours))
    assert first.keys() == second.keys()
    for name, gradient in first.items():
        scale = max(float(mx.abs(gradient).max().item()), 1e-3)
        assert float(mx.abs(gradient - second[name]).max().item()) <= 2e-4 * scale, name
    return loss


@pytest.mark.parametrize("method", ["lora", "dora", "full"])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_loss_and_gradients_are_those_of_mlx_lm(name: str, method: str) -> None:
    model = build(name)
    attach(model, AdapterSection(method=method, rank=2))
    spread_adapters(model)
    order = FastOrder(EXAMPLES, [], batch_size=4, max_length=64, seed=0)
    for _ in range(2):
        loss = compare(model, order.next())
        assert loss.split is not None, loss.reason


@pytest.mark.parametrize("bits", [4, 8])
def test_a_quantized_model(bits: int) -> None:
    model = build("llama", bits=bits)
    attach(model, AdapterSection(rank=2))
    spread_adapters(model)
    assert compare(model, stock_batch(EXAMPLES, [0, 1, 2, 3], 64)).split is not None


@pytest.mark.parametrize(
    ("examples", "max_length"),
    [(make_examples(6, seed=2, masked=False), 64), (make_examples(6, seed=3, low=20, high=60, masked=False), 24)],
    ids=["prompts count too", "rows are cut"],
)
def test_unmasked_and_cut_rows(examples: list[Any], max_length: int) -> None:
    model = build("qwen2")
    attach(model, AdapterSection(rank=2))
    order = FastOrder(examples, [], batch_size=3, max_length=max_length, seed=0)
    for _ in range(order.batches_per_epoch):
        batch = order.next()
        assert batch.tokens.shape[1] <= max(max_length, 9)
        compare(model, batch)


@pytest.mark.parametrize("name", ["llama", "qwen2 tied", "gemma2"])
@pytest.mark.parametrize("trains", ["layers", "head adapter", "everything"])
def test_pieces_have_the_gradients_of_the_whole(name: str, trains: str) -> None:
    from mlx_lm.tuner.utils import linear_to_lora_layers

    model = build(name)
    model.freeze()
    head = "lm_head" if name == "llama" else "model.embed_tokens"
    keys = ["self_attn.q_proj", *([head] if trains == "head adapter" else [])]
    if trains == "everything":
        model.unfreeze()
    else:
        linear_to_lora_layers(model, 2, {"rank": 2, "scale": 4.0, "dropout": 0.0, "keys": keys})
        spread_adapters(model)
    batch = stock_batch(EXAMPLES, [3, 4, 5, 6], 64)
    assert len(counted_positions(batch)[0]) > 3 * 7
    compare(model, batch, logits_bytes=SMALL_PIECES)


def test_pieces_in_a_compiled_step_train_like_the_whole() -> None:
    """The step as the loop compiles it, a head adapter and an optimizer in it."""
    from mlx.utils import tree_flatten
    from mlx_lm.tuner.utils import linear_to_lora_layers

    from tui_tuner.config import TrainSection
    from tui_tuner.training.optimizers import build_optimizer
    from tui_tuner.training.step import compile_step

    results = []
    for logits_bytes in (1 << 26, SMALL_PIECES):
        model = build("llama")
        model.freeze()
        parameters = {"rank": 2, "scale": 4.0, "dropout": 0.0, "keys": ["self_attn.q_proj", "lm_head"]}
        linear_to_lora_layers(model, 2, parameters)
        model.train()
        order = FastOrder(EXAMPLES, [], batch_size=4, max_length=64, seed=0)
        loss = fast_loss(model, order.next(), logits_bytes=logits_bytes)
        optimizer, rate = build_optimizer(TrainSection(learning_rate=1e-2, optimizer="sgd"))
        step = compile_step(model, optimizer, loss, accumulation=1, clip_norm=0.0, extra_state=rate.state)
        losses = [step(loss.arrays(order.next()), None, True).loss.item() for _ in range(8)]
        results.append((losses, dict(tree_flatten(model.trainable_parameters()))))
    (first, one), (second, other) = results
    assert first == pytest.approx(second, abs=1e-5)
    assert any("lm_head" in name for name in one)
    for name, weight in one.items():
        assert np.allclose(np.array(weight), np.array(other[name]), atol=1e-5), name
        assert np.abs(np.array(weight)).max() > 0


def test_dropout_in_the_head_is_not_drawn_twice() -> None:
    """Recomputing would drop other values: with dropout the pieces' logits are kept."""
    from mlx_lm.tuner.utils import linear_to_lora_layers

    model = build("llama")
    model.freeze()
    parameters = {"rank": 2, "scale": 4.0, "dropout": 0.5, "keys": ["lm_head"]}
    linear_to_lora_layers(model, 2, parameters)
    batch = stock_batch(EXAMPLES, [0, 1], 64)
    assert fast_loss(model, batch)._recompute is False
    plain = build("llama")
    attach(plain, AdapterSection(rank=2, dropout=0.5))
    assert fast_loss(plain, batch)._recompute is True


def test_the_padding_token_is_what_stock_counts_too_much() -> None:
    """mlx-lm counts one more target in each row that is shorter than its batch; the fast loss does not."""
    import mlx.core as mx
    from mlx_lm.tuner.trainer import default_loss

    model = build("llama")
    batch = stock_batch(EXAMPLES, [0, 1, 2, 3], 64)
    loss = fast_loss(model, batch)
    _, theirs = default_loss(model, mx.array(batch.tokens), mx.array(batch.lengths))
    _, ours = loss(model, *loss.arrays(batch))
    shorter = int((batch.lengths[:, 1] < batch.tokens.shape[1]).sum())
    assert shorter == 4
    assert theirs.item() - ours.item() == shorter
    targets = [EXAMPLES[row].tokens[max(EXAMPLES[row].offset, 1) :] for row in range(4)]
    assert counted_positions(batch)[1].tolist() == [token for row in targets for token in row]


def test_a_model_that_cannot_be_taken_apart_gets_all_logits_and_a_reason() -> None:
    import mlx.core as mx

    kind = type(build("llama"))

    class Peeking(kind):  # type: ignore[valid-type,misc]
        """A head that looks at a neighbour as well."""

        def __call__(self, inputs: Any, cache: Any = None) -> Any:
            logits = super().__call__(inputs, cache)
            return logits + 0.5 * mx.roll(logits, 1, axis=1)

    model = build("llama")
    model.__class__ = Peeking
    attach(model, AdapterSection(rank=2))
    spread_adapters(model)
    loss = compare(model, stock_batch(EXAMPLES, [0, 1, 2, 3], 64))
    assert loss.split is None
    assert "position by itself" in loss.reason


def test_a_trunk_that_gives_no_hidden_states_is_not_split() -> None:
    model = build("llama")
    tokens = stock_batch(EXAMPLES, [0, 1], 64).tokens
    original = type(model.model).__call__
    with calling(model.model, lambda *a, **k: original(model.model, *a, **k)[..., 0]):
        split, reason = find_split(model, tokens)
    assert split is None
    assert reason
    assert find_split(model, tokens)[0] is not None


def test_finding_the_split_leaves_the_model_as_it_was() -> None:
    import mlx.core as mx
    from mlx.utils import tree_flatten

    model = build("gemma2")
    attach(model, AdapterSection(rank=2, dropout=0.3))
    model.train()
    key = mx.array(mx.random.state[0])
    kinds = [type(m) for m in model.modules()]
    before = tree_flatten(model.state)
    fast_loss(model, stock_batch(EXAMPLES, [0, 1], 64))
    assert [type(m) for m in model.modules()] == kinds
    after = tree_flatten(model.state)
    assert [name for name, _ in before] == [name for name, _ in after]
    assert all(a is b or mx.array_equal(a, b).item() for (_, a), (_, b) in zip(before, after, strict=True))
    assert mx.array_equal(key, mx.random.state[0]).item()
    assert all(m.training for m in model.modules())


def test_another_instance_is_not_touched_while_one_is_patched() -> None:
    import mlx.core as mx

    one, other = build("llama"), build("llama")
    tokens = mx.array([[1, 2, 3]])
    expected = other(tokens)
    with calling(one.model, lambda *_, **__: mx.zeros((1, 3, 32))):
        assert mx.array_equal(other(tokens), expected).item()
        assert mx.abs(one(tokens)).max().item() == 0
    assert mx.array_equal(one(tokens), expected).item()


@pytest.mark.parametrize("kind", ["float32", "bfloat16", "float16"])
def test_cross_entropy_is_that_of_mlx(kind: str) -> None:
    import mlx.core as mx
    import mlx.nn as nn

    mx.random.seed(0)
    logits = (5 * mx.random.normal((2, 30, 50))).astype(getattr(mx, kind))
    targets = mx.random.randint(0, 50, (2, 30))
    weights = mx.random.uniform(shape=(2, 30))

    def total(function: Any) -> Any:
        return mx.value_and_grad(lambda x: (function(x, targets) * weights).astype(mx.float32).sum())(logits)

    (expected, theirs), (value, ours) = total(nn.losses.cross_entropy), total(_lean_cross_entropy())
    assert ours.dtype == logits.dtype
    wide = logits.astype(mx.float32)
    exact = (mx.softmax(wide, axis=-1) - mx.eye(50)[targets]) * weights[..., None]
    error, their_error = (float(mx.abs(g.astype(mx.float32) - exact).max().item()) for g in (ours, theirs))
    # In half precision this gradient rounds less often than mlx's.
    assert error <= max(1.01 * their_error, 1e-6)
    true = (nn.losses.cross_entropy(wide, targets) * weights).sum().item()
    tolerance = {"float32": 1e-6, "float16": 1e-4, "bfloat16": 1e-3}[kind]
    assert value.item() == pytest.approx(true, rel=tolerance)
    assert expected.item() == pytest.approx(true, rel=tolerance)


def test_piece_sizes() -> None:
    assert piece_size(100, 1000, 4 * 1000 * 100) == 100
    assert piece_size(101, 1000, 4 * 1000 * 100) == 51
    assert piece_size(10, 1000, 1) == 1


def test_pieces_bound_the_memory() -> None:
    """The peak of a step with a large vocabulary falls when its logits come in pieces, and below mlx-lm's."""
    import mlx.core as mx
    import mlx.nn as nn
    from mlx_lm.tuner.trainer import default_loss

    from tests.support import architectures

    config = {**architectures.ARCHITECTURES["llama"], "vocab_size": 20_000}
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(architectures.ARCHITECTURES, "llama", config)
        model = build("llama")
    attach(model, AdapterSection(rank=2))
    batch = stock_batch(make_examples(8, low=50, high=60), list(range(8)), 64)

    def peak(loss: Any, arrays: tuple[Any, ...]) -> int:
        mx.eval(arrays)
        mx.clear_cache()
        mx.reset_peak_memory()
        mx.eval(nn.value_and_grad(model, loss)(model, *arrays))
        return int(mx.get_peak_memory())

    whole, pieces = fast_loss(model, batch, logits_bytes=1 << 30), fast_loss(model, batch, logits_bytes=2 << 20)
    stock = peak(default_loss, (mx.array(batch.tokens), mx.array(batch.lengths)))
    all_at_once = peak(whole, whole.arrays(batch))
    in_pieces = peak(pieces, pieces.arrays(batch))
    assert all_at_once < 0.4 * stock
    assert in_pieces < 0.7 * all_at_once
