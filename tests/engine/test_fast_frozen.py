"""Reusing what frozen layers compute changes no loss and no weight, and is not done where it could."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.architectures import ARCHITECTURES, build, make_examples
from tests.support.twins import twins
from tui_tuner.config import AdapterSection, TrainSection
from tui_tuner.models.adapters import attach
from tui_tuner.training.fast.activations import ActivationStore
from tui_tuner.training.fast.frozen import FrozenLoss, frozen_layers, frozen_loss
from tui_tuner.training.fast.loss import fast_loss
from tui_tuner.training.fast.order import FastOrder
from tui_tuner.training.optimizers import build_optimizer
from tui_tuner.training.step import checkpointed_layers, compile_step, validate

pytestmark = pytest.mark.mlx

TRAIN, VALID = make_examples(22, seed=5), make_examples(7, seed=6)
PLENTY = 1 << 30
ADAPTERS: dict[str, dict[str, Any]] = {
    "lora": {"layers": 1},
    "lora with dropout": {"layers": 2, "dropout": 0.3},
    "dora": {"method": "dora", "layers": 2},
    "full": {"method": "full", "layers": 1},
}


def make_order(seed: int = 2) -> FastOrder:
    return FastOrder(TRAIN, VALID, batch_size=4, max_length=64, seed=seed)


def train(
    name: str,
    adapter: AdapterSection,
    store: ActivationStore | None,
    *,
    epochs: int = 3,
    checkpoint: bool = False,
    seed: int = 2,
) -> tuple[list[float], list[float], dict[str, Any]]:
    """Losses of the steps and of a validation an epoch, and the weights; with reuse when there is a store."""
    import mlx.core as mx
    from mlx.utils import tree_flatten

    model = build(name)
    mx.random.seed(4)
    attach(model, adapter)
    order = make_order(seed)
    batch = next(order.validation())
    loss: Any = fast_loss(model, batch)
    if store is not None:
        loss, reason = frozen_loss(model, loss, batch, store, "base")
        assert isinstance(loss, FrozenLoss), reason
    optimizer, rate = build_optimizer(TrainSection(learning_rate=1e-2))
    losses, validations = [], []
    model.train()
    with checkpointed_layers(model, checkpoint):
        step = compile_step(model, optimizer, loss, accumulation=1, clip_norm=0.0, extra_state=rate.state)
        for _ in range(epochs):
            for _ in range(order.batches_per_epoch):
                losses.append(step(loss.arrays(order.next()), None, True).loss.item())
            validations.append(validate(model, order.validation(), loss, lambda _: None)[0])
    return losses, validations, {k: np.array(v) for k, v in tree_flatten(model.trainable_parameters())}


def same(a: tuple[Any, Any, dict[str, Any]], b: tuple[Any, Any, dict[str, Any]]) -> None:
    assert a[0] == b[0]
    assert a[1] == b[1]
    assert a[2].keys() == b[2].keys()
    for name, weight in a[2].items():
        assert np.array_equal(weight, b[2][name]), name


@pytest.mark.parametrize("kind", ADAPTERS)
@pytest.mark.parametrize("name", twins(["phi3", "llama", "gemma2"], ["phi3"]))
def test_losses_and_weights_are_the_same_to_the_bit(name: str, kind: str) -> None:
    adapter = AdapterSection(**{"rank": 2, **ADAPTERS[kind]})
    store = ActivationStore(memory=PLENTY)
    same(train(name, adapter, None), train(name, adapter, store))
    batches = 6 + 2
    assert (store.misses, store.hits) == (batches, 2 * batches)


@pytest.mark.parametrize(
    "name", twins(sorted(set(ARCHITECTURES) - {"phi3", "llama", "gemma2"}), ["gpt2", "qwen2", "qwen2 tied"])
)
def test_other_architectures(name: str) -> None:
    adapter, store = AdapterSection(rank=2, layers=1), ActivationStore(memory=PLENTY)
    same(train(name, adapter, None, epochs=2), train(name, adapter, store, epochs=2))
    assert store.hits > 0, "else it was compared with itself"


def test_with_gradient_checkpointing() -> None:
    adapter = AdapterSection(rank=2, layers=2)
    store = ActivationStore(memory=PLENTY)
    same(train("llama", adapter, None, checkpoint=True), train("llama", adapter, store, checkpoint=True))
    assert store.hits > 0, "else it was compared with itself"


def test_from_disk_and_across_sessions(tmp_path: Path) -> None:
    adapter = AdapterSection(rank=2, layers=2)
    plain = train("phi3", adapter, None)
    first = ActivationStore(memory=20_000, folder=tmp_path / "hidden", disk=PLENTY)
    same(plain, train("phi3", adapter, first))
    assert 0 < first.memory_bytes <= 20_000
    assert first.disk_bytes == sum(p.stat().st_size for p in (tmp_path / "hidden").iterdir()) > 0
    second = ActivationStore(memory=0, folder=tmp_path / "hidden", disk=PLENTY)
    same(plain, train("phi3", adapter, second))
    assert second.misses < first.misses
    damaged = sorted((tmp_path / "hidden").iterdir())[0]
    content = bytearray(damaged.read_bytes())
    content[-3] ^= 1
    damaged.write_bytes(content)
    third = ActivationStore(memory=0, folder=tmp_path / "hidden", disk=PLENTY)
    same(plain, train("phi3", adapter, third))
    assert third.misses == 1


def test_in_another_order(tmp_path: Path) -> None:
    """What one seed's batches left in files serves another seed's, which come in another order."""
    first, second = ([order.next().rows for _ in range(order.batches_per_epoch)] for order in map(make_order, (2, 9)))
    assert first != second
    assert sorted(first) == sorted(second)
    adapter = AdapterSection(rank=2, layers=2)
    train("phi3", adapter, ActivationStore(memory=0, folder=tmp_path, disk=PLENTY))
    store = ActivationStore(memory=0, folder=tmp_path, disk=PLENTY)
    same(train("phi3", adapter, None, seed=9), train("phi3", adapter, store, seed=9))
    assert store.misses == 0


def test_with_room_for_some_in_memory_and_some_in_files(tmp_path: Path) -> None:
    adapter = AdapterSection(rank=2, layers=2)
    plain, everything = train("phi3", adapter, None), ActivationStore(memory=PLENTY)
    same(plain, train("phi3", adapter, everything))
    third = everything.memory_bytes // 3
    store = ActivationStore(memory=third, folder=tmp_path, disk=third)
    same(plain, train("phi3", adapter, store))
    assert 0 < store.memory_bytes <= third
    assert 0 < store.disk_bytes <= third
    assert store.hits > 0
    assert store.misses > everything.misses


def test_a_store_without_room_only_costs_time() -> None:
    adapter = AdapterSection(rank=2, layers=2)
    store = ActivationStore(memory=0)
    same(train("phi3", adapter, None, epochs=2), train("phi3", adapter, store, epochs=2))
    assert store.hits == 0


def refusal(model: Any) -> str:
    batch = make_order().next()
    loss = fast_loss(model, batch)
    unchanged, reason = frozen_loss(model, loss, batch, ActivationStore(memory=PLENTY), "base")
    assert unchanged is loss
    return reason


def test_no_frozen_layers() -> None:
    model = build("llama")
    attach(model, AdapterSection(rank=2))
    assert "no layer is frozen" in refusal(model)


def test_trained_embeddings() -> None:
    model = build("llama")
    attach(model, AdapterSection(rank=2, layers=1))
    model.model.embed_tokens.unfreeze()
    assert "beside the layers" in refusal(model)


def test_dropout_below() -> None:
    import mlx.nn as nn

    model = build("llama")
    attach(model, AdapterSection(rank=2, layers=1))
    model.layers[0].drop = nn.Dropout(0.1)
    assert "dropout" in refusal(model)
    model.layers[0].drop = nn.Dropout(0.0)
    assert isinstance(
        frozen_loss(model, fast_loss(model, make_order().next()), make_order().next(), ActivationStore(memory=1), "b")[
            0
        ],
        FrozenLoss,
    )


def test_randomness_below_that_no_module_tells_of() -> None:
    import mlx.core as mx

    model = build("llama")
    attach(model, AdapterSection(rank=2, layers=1))
    kind = type(model.layers[0])

    class Noisy(kind):  # type: ignore[valid-type,misc]
        def __call__(self, x: Any, *args: Any, **kwargs: Any) -> Any:
            out = super().__call__(x, *args, **kwargs)
            return out + mx.random.normal(out.shape) if self.training else out

    model.layers[0].__class__ = Noisy
    assert "random" in refusal(model)


def test_layers_that_talk_past_each_other() -> None:
    """A layer above that looks at something else below than its input: the way around the layers would lose it."""
    model = build("llama")
    attach(model, AdapterSection(rank=2, layers=1))
    seen: dict[str, Any] = {}
    kind = type(model.layers[0])

    class Telling(kind):  # type: ignore[valid-type,misc]
        def __call__(self, x: Any, *args: Any, **kwargs: Any) -> Any:
            seen["x"] = x
            return super().__call__(x, *args, **kwargs)

    class Hearing(kind):  # type: ignore[valid-type,misc]
        def __call__(self, x: Any, *args: Any, **kwargs: Any) -> Any:
            return super().__call__(x, *args, **kwargs) + seen.pop("x", 0.0)

    model.layers[0].__class__ = Telling
    model.layers[-1].__class__ = Hearing
    assert "other figures" in refusal(model)


def test_another_base_or_depth_is_another_key() -> None:
    store = ActivationStore(memory=PLENTY)
    batch = make_order().next()
    for layers, fingerprint in ((1, "a"), (2, "a"), (1, "b")):
        model = build("llama")
        attach(model, AdapterSection(rank=2, layers=layers))
        loss, _ = frozen_loss(model, fast_loss(model, batch), batch, store, fingerprint)
        loss.arrays(batch)
    assert (store.misses, store.hits) == (3, 0)


def test_frozen_layers_are_counted_from_the_bottom() -> None:
    model = build("llama")
    attach(model, AdapterSection(rank=2, layers=3))
    assert frozen_layers(model) == 1
    model.freeze()
    assert frozen_layers(model) == 3


def test_the_store_keeps_its_bounds(tmp_path: Path) -> None:
    import mlx.core as mx

    arrays = {f"k{i}": mx.random.normal((4, 8)).astype(mx.bfloat16) for i in range(6)}
    mx.eval(list(arrays.values()))
    old = ActivationStore(memory=0, folder=tmp_path, disk=500)
    for key, array in arrays.items():
        old.put(key, array)
    kept = [key for key in arrays if old.get(key) is not None]
    assert 0 < len(kept) < 6
    assert old.disk_bytes <= 500
    assert all(mx.array_equal(old.get(key), arrays[key]).item() for key in kept)
    assert old.get(kept[0]).dtype == mx.bfloat16
    new = ActivationStore(memory=0, folder=tmp_path, disk=500)
    new.put("fresh", arrays["k5"])
    assert new.get("fresh") is not None
    assert new.disk_bytes <= 500
    assert sum(p.stat().st_size for p in tmp_path.iterdir()) == new.disk_bytes


def test_a_full_disk_ends_the_keeping_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import mlx.core as mx

    array = mx.ones((4, 8))
    mx.eval(array)
    store = ActivationStore(memory=0, folder=tmp_path, disk=PLENTY)
    store.put("first", array)

    def full(self: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    store.put("second", array)
    assert store.get("second") is None
    assert store.get("first") is not None
    assert len(list(tmp_path.iterdir())) == 1


def test_a_folder_that_cannot_be_made_is_no_store(tmp_path: Path) -> None:
    import mlx.core as mx

    (tmp_path / "file").write_text("")
    store = ActivationStore(memory=0, folder=tmp_path / "file" / "hidden", disk=PLENTY)
    store.put("key", mx.ones((2, 2)))
    assert store.get("key") is None
