"""Runs that keep what frozen layers compute: what they say, when it is offered, and that a changed base is noticed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.architectures import build, make_examples
from tests.support.exactness import curve, same, stop_after
from tests.support.models import make_model
from tui_tuner.config import AdapterSection
from tui_tuner.engine import losses
from tui_tuner.engine.pipeline import run_experiment
from tui_tuner.engine.shelf import ModelShelf
from tui_tuner.models.adapters import attach
from tui_tuner.runs import RunFolder, read_events
from tui_tuner.runs.control import JobControl
from tui_tuner.training.fast.loss import fast_loss
from tui_tuner.training.fast.offer import Work, hidden_states, work_of, worth_it
from tui_tuner.training.fast.order import EpochSize, FastOrder

pytestmark = pytest.mark.mlx
PLENTY = 1 << 30


def run(folder: RunFolder) -> list[dict[str, Any]]:
    assert run_experiment(folder, JobControl(), ModelShelf())["status"] == "finished"
    return [dict(event) for event in read_events(folder.events)]


def said(events: list[dict[str, Any]], word: str) -> list[str]:
    return [event["text"] for event in events if event["type"] == "log" and word in event["text"]]


def offers(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [event for event in events if event["type"] == "advice" and event["code"] == "reuse-frozen"]


SHORT = {"evaluation": {"enabled": False}}
LAST_LAYER = {**SHORT, "adapter": {"layers": 1, "rank": 4}}


def test_it_is_offered_where_it_pays_and_the_offer_is_right(new_run: Callable[..., RunFolder]) -> None:
    train = {"iters": 21, "eval_every": 7}
    plain = new_run(**LAST_LAYER, train=train)
    events = run(plain)
    (offer,) = offers(events)
    assert (offer["severity"], offer["change"]) == ("info", {"train.reuse_frozen": True})
    assert "lower 2 of 3 layers" in offer["text"]
    assert "over 3 epochs" in offer["text"]
    first_step = next(i for i, event in enumerate(events) if event["type"] == "train")
    assert events.index(offer) < first_step
    taken = new_run(**LAST_LAYER, train={**train, **{"reuse_frozen": True}})
    events = run(taken)
    assert not offers(events)
    (line,) = said(events, "lower 2 of 3 layers")
    assert "GB in memory" in line
    assert "activations" in line
    assert f"about {offer['evidence']['speedup']:.1f} times as fast" in line
    same(plain, taken)


@pytest.mark.parametrize(
    "sections",
    [
        {"adapter": {"layers": 1}, "train": {"iters": 7}},  # one epoch
        {"adapter": {"layers": 0}, "train": {"iters": 21}},  # no layer is frozen
        {"adapter": {"layers": 1}, "train": {"iters": 21, "mode": "stock"}},
    ],
)
def test_it_is_not_offered_where_it_does_not_pay(
    sections: dict[str, dict[str, Any]], new_run: Callable[..., RunFolder]
) -> None:
    assert not offers(run(new_run(**SHORT, **sections)))


def test_it_is_not_offered_without_room(new_run: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(losses, "_room", lambda ranks: (1000, 1000, Path("nowhere")))
    assert not offers(run(new_run(**LAST_LAYER, train={"iters": 21})))


def test_it_is_offered_once_a_run(new_run: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch) -> None:
    folder = new_run(**LAST_LAYER, train={"iters": 40, "save_every": 2})
    stop_after(folder, "train", 6, monkeypatch)
    assert len(offers(run(folder))) == 1


@pytest.mark.parametrize(
    ("sections", "why"),
    [
        ({"adapter": {"layers": 1}, "train": {"iters": 7}}, "brings little, as each row is trained once"),
        ({"adapter": {"layers": 0}, "train": {"iters": 21}}, "no layer is frozen"),
        ({"adapter": {"layers": 1}, "train": {"iters": 21, "mode": "stock"}}, "not done in stock mode"),
    ],
)
def test_asked_for_in_vain_it_says_why(
    sections: dict[str, dict[str, Any]], why: str, new_run: Callable[..., RunFolder]
) -> None:
    sections = {**sections, "train": {**sections["train"], "reuse_frozen": True}}
    assert len(said(run(new_run(**SHORT, **sections)), why)) == 1


def test_more_than_fits_is_told(new_run: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(losses, "_room", lambda ranks: (20_000, 0, Path("nowhere")))
    taken = new_run(**LAST_LAYER, train={"iters": 21, "reuse_frozen": True})
    assert said(run(taken), "which is more than the 20.0 kB that there is room for")
    plain = new_run(**LAST_LAYER, train={"iters": 21})
    run(plain)
    same(plain, taken)


def test_a_base_that_was_written_again_is_computed_anew(
    new_run: Callable[..., RunFolder], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same folder, names and sizes with other weights: nothing that the old ones computed may be read."""
    monkeypatch.setattr(losses, "_room", lambda ranks: (0, PLENTY, tmp_path / "kept"))  # all goes through files
    place = {"model": {"path": str(make_model(tmp_path / "base", seed=1))}}
    train = {"iters": 14, "reuse_frozen": True}
    first = new_run(**LAST_LAYER, **place, train=train)
    run(first)
    kept = set((tmp_path / "kept").iterdir())
    assert kept
    again = new_run(**LAST_LAYER, **place, train=train)
    run(again)
    assert set((tmp_path / "kept").iterdir()) == kept
    same(first, again)
    make_model(tmp_path / "base", seed=2)
    other = new_run(**LAST_LAYER, **place, train=train)
    run(other)
    assert curve(other) != curve(first)
    assert len(set((tmp_path / "kept").iterdir())) == 2 * len(kept)
    plain = new_run(**LAST_LAYER, **place, train={"iters": 14})
    run(plain)
    same(plain, other)


def test_room_is_a_share_of_what_is_free(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import mlx.core as mx

    from tui_tuner.models.device import DeviceMemory

    monkeypatch.setenv("TUI_TUNER_CACHE", str(tmp_path))
    monkeypatch.setattr(losses, "device_memory", lambda: DeviceMemory(16_000, 24_000))
    for active, expected in ((0, 2000), (8000, 2000), (14_000, 500), (20_000, 0)):
        monkeypatch.setattr(mx, "get_active_memory", lambda active=active: active)
        assert losses._room(1)[0] == expected
    monkeypatch.setattr(losses.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 4000})())
    assert losses._room(1)[1:] == (1000, tmp_path / "activations")
    (tmp_path / "activations").rmdir()
    (tmp_path / "activations").write_text("a file in the way")
    assert losses._room(1)[1] == 0


# -- the forecast -----------------------------------------------------------------------------------------------------
def test_what_pays() -> None:
    size = {"places": 100_000, "itemsize": 2048, "budget": PLENTY}
    offer = worth_it(Work(6, 8), epochs=10, **size)
    assert offer.worth
    assert offer.bytes == 204_800_000
    assert Work(6, 8).saved == pytest.approx((6 + 2 * 2 + 1) / (2 * 2 + 1))
    assert offer.speedup == pytest.approx(10 / (1 + 9 / 2.2))
    assert offer.sentence == "about 2.0 times as fast over 10 epochs, for 205 MB that are kept"
    assert not worth_it(Work(6, 8), epochs=1, **size).worth
    assert not worth_it(Work(0, 8), epochs=10, **size).worth
    assert not worth_it(Work(1, 32), epochs=10, **size).worth
    assert not worth_it(Work(6, 8, head=60.0), epochs=10, **size).worth
    too_large = worth_it(Work(6, 8), epochs=10, **{**size, "budget": 1 << 20})
    assert not too_large.worth
    assert "more than" in too_large.sentence


def test_the_work_of_a_model_is_counted_by_hand() -> None:
    """llama of the tests: a layer's matrices, attention over the width, and the head where the loss looks."""
    model = build("llama")
    attach(model, AdapterSection(rank=2, layers=1))
    args = model.args
    order = FastOrder(make_examples(22, seed=5), make_examples(7, seed=6), batch_size=4, max_length=64, seed=2)
    loss = fast_loss(model, order.next())
    hidden, itemsize = hidden_states(model, loss, order.next())
    assert (hidden, itemsize) == (args.hidden_size, 4 * args.hidden_size)
    size = EpochSize(rows=10, train=400, slots=100, valid=0)
    work = work_of(model, loss, size, hidden, full=False, recomputed=False)
    head_dim = args.hidden_size // args.num_attention_heads
    matrices = 2 * hidden * (args.num_attention_heads + args.num_key_value_heads) * head_dim
    matrices += 3 * hidden * args.intermediate_size + 2 * hidden  # and two norms
    layer = matrices + 2 * hidden * 40
    assert (work.frozen, work.layers, work.trained) == (len(model.layers) - 1, len(model.layers), 2.0)
    assert work.head == pytest.approx(2 * args.vocab_size * hidden * 0.25 / layer)
    assert work_of(model, loss, size, hidden, full=True, recomputed=True).trained == 4.0


def test_the_size_of_an_epoch_is_that_of_its_arrays() -> None:
    order = FastOrder(make_examples(22, seed=5), make_examples(7, seed=6), batch_size=4, max_length=64, seed=2)
    batches = [order.next() for _ in range(order.batches_per_epoch)]
    inputs = sum(batch.tokens[:, :-1].size for batch in batches)
    valid = sum(batch.tokens[:, :-1].size for batch in order.validation())
    assert order.size() == (22, inputs, sum(batch.slots for batch in batches), valid)
    assert order.size(1).valid == next(order.validation(1)).tokens[:, :-1].size
