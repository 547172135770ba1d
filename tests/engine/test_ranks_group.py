"""What ranks tell each other: one word for all, sums, every rank's own arrays, and the same weights everywhere."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.support.ranks import FakeGroup, on_ranks
from tui_tuner.errors import TunerError
from tui_tuner.runs.control import Heard, JobControl, StopRequested
from tui_tuner.training.batches import Batch
from tui_tuner.training.checkpoint import Progress, Snapshot
from tui_tuner.training.distributed import Group, SharedLoss
from tui_tuner.training.ranks import ALONE
from tui_tuner.training.step import validate

pytestmark = pytest.mark.mlx


@pytest.mark.parametrize("value", [None, 3, 0.1 + 0.2, "ü" * 10, [1, [2.5, None]], {"text": "x" * 5000}])
def test_all_ranks_hear_what_rank_0_says(value: Any) -> None:
    """Short words go in one message and long ones in two; a number arrives to the last bit."""
    assert on_ranks(3, lambda group: group.lead(lambda: value if group.rank == 0 else "not asked")) == [value] * 3


def test_only_rank_0_acts() -> None:
    acted: list[int] = []
    on_ranks(3, lambda group: group.lead(lambda: acted.append(group.rank)))
    assert acted == [0]


def test_a_stop_in_what_rank_0_does_stops_all() -> None:
    def act(group: FakeGroup) -> str:
        control = JobControl()
        if group.rank == 0:
            control.stop("ada")
        try:
            group.lead(control.check)
        except StopRequested as stop:
            return str(stop)
        return "went on"

    assert on_ranks(2, act) == ["ada", "ada"]


def test_wishes_are_heard_by_all_at_once_and_taken_once() -> None:
    """What is asked of rank 0 counts, whatever the others' own controls say."""

    def act(group: FakeGroup) -> list[Heard]:
        control = JobControl()
        if group.rank == 0:
            control.request("learning_rate", 0.1 + 0.2)
            control.pause()
        else:
            control.stop("nobody listens")
        peek, take = (partial(control.hear, take=take) for take in (False, True))
        return [Heard(*group.lead(look)) for look in (peek, take, take)]

    first, second = on_ranks(2, act)
    assert first == second
    assert first == [
        Heard(None, True, []),
        Heard(None, True, [["learning_rate", 0.1 + 0.2]]),  # type: ignore[list-item]
        Heard(None, True, []),
    ]


def test_sums_are_made_in_float32_and_given_in_the_arrays_own_type() -> None:
    import mlx.core as mx

    def act(group: FakeGroup) -> Any:
        tree = {"a": mx.array([1.0, 2.0]) * (group.rank + 1), "b": [mx.array(0.5, mx.bfloat16), mx.zeros((2, 2))]}
        added = group.total(tree)
        kinds = str(added["a"].dtype), str(added["b"][0].dtype)
        return added["a"].tolist(), added["b"][0].item(), added["b"][1].shape, kinds

    kinds = "mlx.core.float32", "mlx.core.bfloat16"
    assert on_ranks(3, act) == [([6.0, 12.0], 1.5, (2, 2), kinds)] * 3


def test_a_lone_number_is_summed_too() -> None:
    import mlx.core as mx

    assert on_ranks(2, lambda group: group.total(mx.array(group.rank + 1.0)).item()) == [3.0, 3.0]


def test_large_trees_are_sent_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    import mlx.core as mx

    from tui_tuner.training import distributed

    monkeypatch.setattr(distributed, "_GROUP_BYTES", 100)
    sent: list[int] = []

    class Counting(FakeGroup):
        def _all_sum(self, array: Any) -> Any:
            sent.append(array.size)
            return super()._all_sum(array)

    def act(group: FakeGroup) -> list[float]:
        group.__class__ = Counting
        tree = {name: mx.full((size,), float(size)) for name, size in (("a", 10), ("b", 30), ("c", 3), ("d", 4))}
        return [value.tolist()[0] for value in group.total(tree).values()]

    assert on_ranks(2, act) == [[20.0, 60.0, 6.0, 8.0]] * 2
    assert sorted(sent) == [7, 7, 40, 40]


def test_every_rank_keeps_its_own_key_and_gradients_in_a_checkpoint() -> None:
    import mlx.core as mx

    def act(group: FakeGroup) -> Any:
        gradients = {"w": mx.array([1.0, 2.0]) + group.rank}
        key = mx.array([7, group.rank], mx.uint32)
        snapshot = Snapshot(Progress(step=5), {}, {}, group.gather(gradients), group.gather(key))
        assert snapshot.ranks == 2
        own = snapshot.gradients_of(group.rank, 2)
        other = [snapshot.gradients_of(rank, 3)["w"].tolist() for rank in range(3)]
        return snapshot.key_of(group.rank), own["w"].tolist(), other, snapshot.key_of(2), snapshot.key_of(3)

    first, second = on_ranks(2, act)
    assert first[:2] == ([7, 0], [1.0, 2.0])
    assert second[:2] == ([7, 1], [2.0, 3.0])
    # With more ranks than before, nothing of the sum is lost or counted twice, and new ones get keys of their own.
    assert first[2] == [[3.0, 5.0], [0.0, 0.0], [0.0, 0.0]]
    assert first[3] != first[4]
    assert first[3:] == second[3:]


def test_a_checkpoint_of_one_process_is_what_it_always_was() -> None:
    import mlx.core as mx

    snapshot = Snapshot(Progress(), {}, {}, {"w": mx.array([1.0])}, ALONE.gather(mx.array([7, 8], mx.uint32)))
    assert (snapshot.ranks, snapshot.key.shape, snapshot.key_of(0)) == (1, (2,), [7, 8])
    assert snapshot.gradients_of(0, 1) is snapshot.gradients
    assert [snapshot.gradients_of(rank, 2)["w"].tolist() for rank in (0, 1)] == [[1.0], [0.0]]


@pytest.mark.parametrize("apart", [False, True])
def test_weights_that_differ_become_those_of_rank_0(apart: bool) -> None:
    import mlx.core as mx
    import mlx.nn as nn
    import mlx.optimizers as opt

    def act(group: FakeGroup) -> Any:
        model = nn.Linear(3, 2)
        model.weight, model.bias = mx.ones((2, 3)), mx.zeros((2,))
        optimizer = opt.Adam(0.1)
        optimizer.init(model.trainable_parameters())
        containers = optimizer.state, optimizer.state["weight"]
        if apart and group.rank == 1:
            model.weight = model.weight * (1 + 2**-23)  # the last bit
            optimizer.state["weight"]["m"] = mx.ones((2, 3))
        differed = group.align(model, optimizer)
        kept = optimizer.state is containers[0] and optimizer.state["weight"] is containers[1]
        return differed, kept, np.array(model.weight).tobytes(), optimizer.state["weight"]["m"].tolist()

    first, second = on_ranks(2, act)
    assert first == second
    # A compiled step holds the containers of the state, so they must be the same ones.
    assert first[:2] == (apart, True)
    assert first[2] == np.ones((2, 3), np.float32).tobytes()
    assert first[3] == [[0.0] * 3] * 2


def test_values_that_changed_places_are_noticed() -> None:
    import mlx.core as mx
    import mlx.nn as nn

    def act(group: FakeGroup) -> bool:
        model = nn.Linear(2, 1, bias=False)
        model.weight = mx.array([[1.0, 2.0]] if group.rank == 0 else [[2.0, 1.0]])
        return group.align(model, SimpleNamespace(state={}))

    assert on_ranks(2, act) == [True, True]


def test_a_validation_in_shares_is_the_validation() -> None:
    """Two ranks, five rows in batches of two: the last batch leaves a rank without rows."""
    import mlx.core as mx

    rng = np.random.default_rng(3)
    tokens = rng.integers(1, 50, (5, 9)).astype(np.int32)
    spans = np.array([[1, 9], [4, 9], [2, 6], [1, 3], [5, 8]], np.int32)
    batches = [Batch(tokens[i : i + 2], spans[i : i + 2], list(range(i, min(i + 2, 5))), 0.0) for i in (0, 2, 4)]

    class MeanToken:
        """Not a loss of any model, but a mean over counted tokens that any wrong weight would change."""

        def arrays(self, batch: Batch) -> tuple[Any, ...]:
            steps = np.arange(batch.tokens.shape[1])
            mask = (steps >= np.maximum(batch.lengths[:, :1], 1)) & (steps < batch.lengths[:, 1:])
            return mx.array(batch.tokens), mx.array(mask)

        def __call__(self, model: Any, tokens: Any, mask: Any) -> tuple[Any, Any]:
            return (tokens * mask).astype(mx.float32).sum() / mask.sum(), mask.sum()

    model = SimpleNamespace(eval=lambda: None, train=lambda: None)
    alone = validate(model, batches, MeanToken(), lambda _: None)

    def act(group: FakeGroup) -> tuple[float, int]:
        return validate(
            model, batches, SharedLoss(MeanToken(), group.rank, 2, equal=False), lambda _: None, group.total
        )

    first, second = on_ranks(2, act)
    assert first == second
    assert first[1] == alone[1]
    assert first[0] == pytest.approx(alone[0], rel=1e-6)


def test_waiting_ranks_wait_for_a_while_and_rank_0_as_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    from tui_tuner.training import distributed

    slept: list[float] = []
    monkeypatch.setattr(distributed.time, "sleep", slept.append)
    waited: list[Any] = []
    on_ranks(2, lambda group: group.idle(lambda timeout: waited.append((group.rank, timeout))))
    assert waited == [(0, 0.5)]
    assert slept == [0.5]
    ALONE.idle(waited.append)
    assert waited[-1] is None


def test_a_lost_rank_is_told_from_other_failures() -> None:
    group = Group(SimpleNamespace(rank=lambda: 1, size=lambda: 2))
    error = group.lost(RuntimeError("[ring] connection to a peer was lost"))
    assert isinstance(error, TunerError)
    assert error.code == "rank-lost"
    assert group.lost(RuntimeError("[metal::malloc] out of memory")) is None
