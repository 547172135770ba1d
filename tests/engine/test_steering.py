"""A run is steered, guarded and finished as asked, and what was asked survives a kill."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.exactness import Watch, events, run_watched, same, weights
from tui_tuner.chat.sampling import Sampling
from tui_tuner.chat.voices import Voice
from tui_tuner.engine.pipeline import run_experiment
from tui_tuner.engine.protocol import JobStatus
from tui_tuner.engine.requests import ChatTogether, ChatTurn, LookInside, RunExperiment
from tui_tuner.engine.shelf import ModelShelf
from tui_tuner.engine.worker import LocalEngine
from tui_tuner.errors import TunerError
from tui_tuner.runs import EventLog, RunFolder, RunView, read_events
from tui_tuner.runs.control import JobControl
from tui_tuner.runs.requests import ask

pytestmark = pytest.mark.mlx


def at_step(step: int, act: Callable[[], Any]) -> Watch:
    """Acts once, when the step is reported."""
    done: list[bool] = []

    def watch(kind: str, fields: dict[str, Any]) -> None:
        if kind == "train" and fields["step"] == step and not done:
            done.append(True)
            act()

    return watch


def test_evaluate_and_checkpoint_now_change_nothing_else(
    new_run: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, asked = new_run(adapter={"dropout": 0.1}), new_run(adapter={"dropout": 0.1})
    run_experiment(whole, JobControl(), ModelShelf())
    control = JobControl()

    def ask_for_both() -> None:
        control.request("evaluate")
        control.request("checkpoint")

    run_watched(asked, control, at_step(2, ask_for_both), monkeypatch)
    assert 2 in [e["step"] for e in events(asked, "validation")]
    assert 2 in [e["step"] for e in events(asked, "checkpoint")]
    one, two = weights(whole), weights(asked)
    assert all(np.array_equal(one[name], two[name]) for name in one)


def test_finish_after_this_epoch(new_run: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch) -> None:
    folder = new_run(data={"train": 16}, train={"mode": "stock"})
    control = JobControl()
    document = run_watched(folder, control, at_step(2, lambda: control.request("finish_epoch")), monkeypatch)
    assert document["status"] == "finished"
    assert document["steps"] == 4  # 16 rows in batches of 4
    assert events(folder, "verdict")


def test_pause_saves_and_says_so(new_run: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch) -> None:
    folder = new_run()
    control = JobControl()

    def watch(kind: str, fields: dict[str, Any]) -> None:
        if kind == "train" and fields["step"] == 2:
            control.pause()
        if kind == "control" and fields["what"] == "pause":
            control.proceed()

    run_watched(folder, control, watch, monkeypatch)
    assert [e["what"] for e in events(folder, "control")] == ["pause", "proceed"]
    assert 2 in [e["step"] for e in events(folder, "checkpoint")]


def test_epochs_count_the_remainder(new_run: Callable[..., RunFolder]) -> None:
    folder = new_run(data={"train": 18}, train={"epochs": 2.0, "iters": 3, "mode": "fast"})
    document = run_experiment(folder, JobControl(), ModelShelf())
    plan = events(folder, "plan")[0]
    assert plan["steps"] == document["steps"] == 2 * plan["batches_per_epoch"]
    assert plan["batches_per_epoch"] == 5  # 18 rows in batches of 4: the last one has 2


def bad_losses(monkeypatch: pytest.MonkeyPatch, steps: set[int]) -> None:
    """Makes the loss of these steps, counted over all that were computed, not a number."""
    from tui_tuner.training import loop

    compile_step = loop.compile_step
    computed: list[int] = []

    def compiling(*arguments: Any, **options: Any) -> Any:
        step = compile_step(*arguments, **options)

        def poisoned(*inputs: Any) -> Any:
            import dataclasses

            import mlx.core as mx

            computed.append(1)
            result = step(*inputs)
            return dataclasses.replace(result, loss=mx.array(math.nan)) if len(computed) in steps else result

        return poisoned

    monkeypatch.setattr(loop, "compile_step", compiling)


def test_a_bad_step_is_skipped_and_named(new_run: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch) -> None:
    bad_losses(monkeypatch, {5})
    folder = new_run()
    document = run_experiment(folder, JobControl(), ModelShelf())
    assert document["status"] == "finished"
    (skipped,) = events(folder, "skipped_step")
    assert skipped["step"] == 5
    assert len(skipped["rows"]) == 4
    assert all(np.isfinite(value).all() for value in weights(folder).values())


def test_an_undone_step_leaves_no_trace(new_run: Callable[..., RunFolder]) -> None:
    """Weights and optimizer state that are put back are those before the step, to the last bit."""
    import mlx.core as mx
    from mlx.utils import tree_flatten

    from tests.support.models import make_rows
    from tui_tuner.config import AdapterSection, TrainSection
    from tui_tuner.data.examples import tokenise
    from tui_tuner.models.adapters import attach
    from tui_tuner.models.load import fresh_tree, load_base
    from tui_tuner.training.batches import StockOrder
    from tui_tuner.training.guard import Guard
    from tui_tuner.training.optimizers import build_optimizer
    from tui_tuner.training.step import StockLoss, compile_step

    folder = new_run()
    base = load_base(Path(_model_of(folder)))
    tree = fresh_tree(base)
    mx.random.seed(1)
    attach(tree, AdapterSection(rank=4))
    optimizer, rate = build_optimizer(TrainSection(learning_rate=1e-2))
    optimizer.init(tree.trainable_parameters())
    examples = [tokenise(row, base.tokenizer, mask_prompt=True) for row in make_rows(8)]
    order = StockOrder(examples, [], batch_size=4, max_length=128, seed=0)
    loss = StockLoss()
    step = compile_step(tree, optimizer, loss, accumulation=1, clip_norm=0.0, extra_state=rate.state)
    step(loss.arrays(order.next()), None, True)

    def picture() -> dict[str, Any]:
        both = {"weights": tree.trainable_parameters(), "optimizer": optimizer.state}
        return {name: np.array(value) for name, value in tree_flatten(both)}

    guard = Guard(tree, optimizer)
    before, kept = picture(), guard.remember(None)
    batch = order.next()
    step(loss.arrays(batch), None, True)
    changed = picture()
    assert any(not np.array_equal(before[name], changed[name]) for name in before)
    assert guard.put_back(kept) is None
    assert all(np.array_equal(value, before[name]) for name, value in picture().items())
    step(loss.arrays(batch), None, True)  # the compiled step still holds the same containers
    assert all(np.array_equal(value, changed[name]) for name, value in picture().items())


@pytest.mark.parametrize("together", [1, 30, 1 << 22])
def test_the_norm_is_that_of_all_gradients(together: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many of them are squared at a time, in whatever precision they come."""
    import mlx.core as mx

    from tui_tuner.training import step

    monkeypatch.setattr(step, "_TOGETHER", together)
    rng = np.random.default_rng(3)
    arrays = [rng.normal(size=shape).astype(np.float32) for shape in ((3, 4), (5,), (2, 20), (6, 2), (1, 1))]
    arrays[1] = arrays[1].astype(np.float16)
    gradients = {"a": mx.array(arrays[0]), "b": [{"c": mx.array(each)} for each in arrays[1:]]}
    expected = sum(float(np.square(each.astype(np.float64)).sum()) for each in arrays)
    assert step.squared_norm(gradients).item() == pytest.approx(expected, rel=1e-6)
    gradients["b"][2]["c"][0, 0] = float("nan")
    assert np.isnan(step.squared_norm(gradients).item())


def _model_of(folder: RunFolder) -> str:
    from tui_tuner.config import load_experiment

    return load_experiment(folder.config).model.path


def test_too_many_bad_steps_roll_back_at_half_the_rate(
    new_run: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    bad_losses(monkeypatch, {7, 8, 9})
    folder = new_run(train={"max_skipped": 3, "report_every": 1, "eval_every": 100})
    document = run_experiment(folder, JobControl(), ModelShelf())
    assert document["status"] == "finished"
    (rollback,) = [e for e in events(folder, "control") if e["what"] == "rollback"]
    assert rollback["step"] == 4  # the last checkpoint before step 7
    assert rollback["value"] == pytest.approx(5e-4)
    view = RunView()
    view.extend(read_events(folder.events))
    steps = view.train.column("step").tolist()
    assert steps == [float(i) for i in range(1, 15)]
    assert view.train.column("learning_rate")[-1] == pytest.approx(5e-4)


def test_a_run_that_stays_bad_ends_with_the_rows_at_fault(
    new_run: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    bad_losses(monkeypatch, set(range(6, 200)))
    folder = new_run(train={"eval_every": 100})
    with pytest.raises(TunerError) as caught:
        run_experiment(folder, JobControl(), ModelShelf())
    assert caught.value.code == "not-finite"
    assert "rows" in caught.value.sentence() and "3 rollbacks" in caught.value.sentence()


def test_clipping_bounds_the_update(new_run: Callable[..., RunFolder]) -> None:
    """With plain SGD the update is rate × clipped gradient, so its norm is at most rate × clip_norm."""
    import mlx.core as mx

    sgd = {"optimizer": "sgd", "learning_rate": 0.1, "iters": 1, "clip_norm": 0.01, "save_every": 1, "keep": "last"}
    folder = new_run(train=sgd, evaluation={"enabled": False})
    run_experiment(folder, JobControl(), ModelShelf())
    tuned = weights(folder)
    # The adapter's second matrices start at zero, so what they are now is their update; the first ones have no gradient
    # then, because the second ones are zero.
    update = math.sqrt(sum(float(np.square(v).sum()) for name, v in tuned.items() if name.endswith("lora_b")))
    assert update == pytest.approx(0.1 * 0.01, rel=1e-3)
    (report,) = events(folder, "train")
    assert report["grad_norm"] > 0.01
    assert mx.isfinite(mx.array(update)).item()


def test_patience_ends_early_and_the_best_is_kept(
    new_run: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    from tui_tuner.training import loop

    losses = iter([3.0, 2.0, 2.5, 2.4, 2.6, 2.7, 2.8])
    monkeypatch.setattr(loop, "validate", lambda *_: (next(losses), 100))
    folder = new_run(train={"eval_every": 2, "patience": 2, "iters": 40, "save_every": 1, "keep_checkpoints": 50})
    document = run_experiment(folder, JobControl(), ModelShelf())
    assert document["status"] == "finished"
    assert document["steps"] == 6
    best = next(e for e in reversed(events(folder, "checkpoint")) if e["best"])
    assert best["step"] == 2
    import mlx.core as mx

    kept = {k: np.array(v) for k, v in mx.load(str(folder.adapters / "0000002_adapters.safetensors")).items()}
    assert all(np.array_equal(value, kept[name]) for name, value in weights(folder).items())


def test_the_average_of_the_best_is_their_mean(
    new_run: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlx.core as mx

    from tui_tuner.training import loop

    losses = iter([9.0, 2.0, 5.0, 1.0, 6.0, 7.0, 8.0, 9.0, 9.0])
    monkeypatch.setattr(loop, "validate", lambda *_: (next(losses), 100))
    folder = new_run(train={"eval_every": 2, "iters": 10, "keep": "average", "average_best": 2, "keep_checkpoints": 1})
    run_experiment(folder, JobControl(), ModelShelf())
    parts = [mx.load(str(folder.adapters / f"{step:07d}_adapters.safetensors")) for step in (2, 6)]
    for name, value in weights(folder).items():
        mean = (np.array(parts[0][name], np.float64) + np.array(parts[1][name], np.float64)) / 2
        assert np.allclose(value, mean, atol=1e-7)


def test_the_best_by_a_metric_of_answers(new_run: Callable[..., RunFolder]) -> None:
    folder = new_run(train={"best_by": "rouge1", "best_rows": 4})
    document = run_experiment(folder, JobControl(), ModelShelf())
    assert document["status"] == "finished"
    assert any(e["best"] for e in events(folder, "checkpoint"))


def test_one_can_chat_with_the_model_while_it_trains(
    new_run: Callable[..., RunFolder], tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answers come before the run ends, from base and adapter, and training does not notice."""
    settings = {"adapter": {"dropout": 0.2}, "evaluation": {"enabled": False}}
    whole, visited = new_run(**settings), new_run(**settings)
    run_experiment(whole, JobControl(), ModelShelf())
    engine = LocalEngine()
    engine.start()
    chats: list[Any] = []
    words = [{"role": "user", "content": "who?"}]
    append = EventLog.append

    def watching(self: EventLog, type: str, **fields: Any) -> Any:
        event = append(self, type, **fields)
        if type == "train" and fields["step"] == 4:
            voices = [Voice(str(tiny_model), adapter) for adapter in (None, visited.adapters)]
            sampling = Sampling(max_tokens=5, temperature=1.0)
            turns = [ChatTurn(voice, words, sampling) for voice in [*voices, *voices]]
            looks = [LookInside(voice, words, "it is red.") for voice in voices]
            chats.extend(engine.submit(request) for request in [*turns[:2], ChatTogether(tuple(turns[2:])), *looks])
        return event

    monkeypatch.setattr(EventLog, "append", watching)
    try:
        run = engine.submit(RunExperiment(visited.path))
        assert run.finished.wait(300)
    finally:
        assert engine.shutdown(60)
    assert run.status is JobStatus.DONE
    assert [chat.status for chat in chats] == [JobStatus.DONE] * 5
    assert all(chat.ended < run.ended for chat in chats)
    base, adapter, (first, second), inside, tuned = [chat.result for chat in chats]
    assert (first.text, second.text) == (base.text, adapter.text)
    assert base.tokens and adapter.tokens
    assert inside.losses != tuned.losses  # four steps have changed something
    assert [reply.reused for reply in (base, adapter, first, second)] == [0] * 4  # nothing is kept beside a run
    same(whole, visited)


def test_another_process_can_steer(new_run: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that was left in the folder reaches the run; an old one does not."""
    folder = new_run(train={"iters": 5000, "report_every": 1})
    (folder.path / "requests.jsonl").write_text('{"t": 1.0, "type": "stop", "value": null}\n')
    control = JobControl()
    document = run_watched(folder, control, at_step(3, lambda: ask(folder, "stop")), monkeypatch)
    assert document["status"] == "stopped"
    assert 3 <= document["steps"] < 5000
    with pytest.raises(TunerError) as caught:
        ask(folder, "stop")
    assert caught.value.code == "not-running"


def test_a_factor_is_taken_and_nonsense_does_no_harm(
    new_run: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = new_run(train={"report_every": 1})
    control = JobControl()

    def steer() -> None:
        for wish in ("fast", None, "x0.5"):
            control.request("learning_rate", wish)

    assert run_watched(folder, control, at_step(3, steer), monkeypatch)["status"] == "finished"
    (taken,) = events(folder, "control")
    assert (taken["step"], taken["value"]) == (3, 5e-4)
    assert taken["before"] == pytest.approx(1e-3)
    said = [e["text"] for e in events(folder, "log") if e["level"] == "warning"]
    assert len([text for text in said if "the learning rate stays" in text]) == 2
    with pytest.raises(TunerError) as caught:
        ask(folder, "learning_rate", "fast")
    assert caught.value.code == "bad-rate"


def test_a_full_disk_makes_a_run_wait(new_run: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch) -> None:
    from tui_tuner.engine import patience
    from tui_tuner.training.checkpoint import CheckpointStore

    monkeypatch.setattr(patience, "_LOOK", 0.01)
    monkeypatch.setattr(patience.Patience.__init__, "__defaults__", (0.01,))
    whole, folder = new_run(), new_run()
    run_experiment(whole, JobControl(), ModelShelf())
    save, fails, troubles = CheckpointStore.save, [], []
    control = JobControl()
    control.on_change(lambda: troubles.append(control.trouble))

    def failing(self: CheckpointStore, *arguments: Any, **options: Any) -> Path:
        if len(fails) < 3:
            fails.append(1)
            raise TunerError("no space left on the disk", code="no-space", where="state")
        return save(self, *arguments, **options)

    monkeypatch.setattr(CheckpointStore, "save", failing)
    assert run_experiment(folder, control, ModelShelf())["status"] == "finished"
    assert any("space" in text for text in troubles) and troubles[-1] == ""
    assert any("disk was full" in e["text"] for e in events(folder, "log"))
    same(whole, folder)
