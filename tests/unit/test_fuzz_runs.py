"""Run folders, damaged or made by somebody else: what is understood is shown, and nothing else comes out."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from tests.support.mutations import as_json, damaged, odd, survive
from tests.ui.fakes import RunBuilder
from tests.ui.measured import measured
from tui_tuner.errors import TunerError
from tui_tuner.evaluation.board import read_board
from tui_tuner.evaluation.stored import read_pairs, rows_file
from tui_tuner.runs import RunFolder, RunView, read_events
from tui_tuner.runs.catalogue import list_runs, summarise
from tui_tuner.runs.control import JobControl
from tui_tuner.runs.events import EventLog, EventTail
from tui_tuner.runs.labels import change_labels, labels_of
from tui_tuner.runs.lock import holder
from tui_tuner.runs.probes import timeline
from tui_tuner.runs.queue import RunQueue
from tui_tuner.runs.requests import FILE, obey
from tui_tuner.runs.stocklog import StockLogReader
from tui_tuner.training.checkpoint import CheckpointStore

QUICK = pytest.param(0, 1, id="quick")
LONG = [pytest.param(seed, 20, id=f"long-{seed}", marks=pytest.mark.slow) for seed in range(1, 4)]
ROUNDS = pytest.mark.parametrize("seed, times", [QUICK, *LONG])


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    builder = measured(RunBuilder(tmp_path / "runs", "players"))
    builder.add("forecast", peak=1e9, low=1e9, high=2e9, seconds=[1, 2, 3], parts={"weights": 1e6})
    builder.add("advice", code="overfitting", title="x", text="y", step=30, severity="warning", changes=["a=1"])
    builder.add("control", what="learning_rate", value=1e-4, by="request", step=30)
    builder.add("skipped_step", step=7, reason="nan").add("run_finished", status="failed", reason="x")
    return builder.folder


def _looked_at(folder: RunFolder) -> None:
    """What screens and commands ask of a run."""
    view = RunView()
    view.extend(read_events(folder.events))
    for alive in (True, False):
        view.state(alive)
    assert view.step >= 0 and view.steps >= 0
    view.elapsed_at(1.8e9)
    view.eta_seconds(1.8e9)
    timeline(view, ["a"])
    summarise(folder)
    read_board(folder.evaluation, view)


@ROUNDS
def test_event_logs(seed: int, times: int, run: RunFolder) -> None:
    whole = run.events.read_bytes()
    events = [json.loads(line) for line in whole.splitlines()]

    def make(chance: random.Random) -> bytes:
        if chance.random() < 0.4:
            return damaged(whole, chance)
        return b"".join(
            as_json(odd(event, chance) if chance.random() < 0.3 else event) + b"\n"
            for event in chance.choices(events, k=chance.randint(1, 40))
        )

    def read(data: bytes) -> None:
        run.events.write_bytes(data)
        _looked_at(run)
        with_tail = EventTail(run.events)
        assert len(with_tail.poll()) == len(read_events(run.events))

    assert survive(read, make, 80 * times, seed) == 0


@ROUNDS
def test_a_damaged_log_is_gone_on_with(seed: int, times: int, run: RunFolder) -> None:
    """Whatever stands in the file, what is appended afterwards is read, and what could be read before still is."""
    whole = run.events.read_bytes()

    def read(data: bytes) -> None:
        run.events.write_bytes(data)
        before = read_events(run.events)
        log = EventLog(run.events)
        log.append("log", level="info", text="here")
        log.close()
        after = read_events(run.events)
        # A last line that lacks its end only is given it, and counts from then on.
        assert after[-1]["text"] == "here" and len(after) in (len(before) + 1, len(before) + 2)
        assert after[: len(before)] == before

    assert survive(read, lambda chance: damaged(whole, chance), 120 * times, seed) == 0


@pytest.mark.parametrize("name", ["meta.json", "config.toml", "labels.json", "lock"])
@ROUNDS
def test_what_stands_beside_the_log(seed: int, times: int, name: str, run: RunFolder) -> None:
    change_labels(run, add=["kept", "x"], note="a note", pinned=True)
    if name == "lock":
        (run.path / name).write_text('{"pid": 1, "started": 1.5, "host": "x", "token": "abc"}')
    path = run.path / name
    whole = path.read_bytes()

    def make(chance: random.Random) -> bytes:
        if name.endswith(".toml") or chance.random() < 0.4:
            return damaged(whole, chance)
        return as_json(odd(json.loads(whole), chance))

    def read(data: bytes) -> None:
        path.write_bytes(data)
        summary = list_runs(run.path.parent)
        assert [each.run for each in summary] == [run.name]
        labels_of(run.path)
        holder(run)
        if name == "labels.json":
            try:
                assert "more" in change_labels(run, add=["more"]).tags
            except TunerError:  # what cannot be read is not written over
                assert path.read_bytes() == data

    assert survive(read, make, 60 * times, seed) == 0


@ROUNDS
def test_results(seed: int, times: int, run: RunFolder) -> None:
    files = sorted(path for path in run.evaluation.iterdir() if path.is_file())
    whole = {path: path.read_bytes() for path in files}

    def make(chance: random.Random) -> tuple[Path, bytes]:
        path = chance.choice(files)
        data = whole[path]
        if path.suffix == ".json" and chance.random() < 0.6:
            return path, as_json(odd(json.loads(data), chance))
        if path.suffix == ".jsonl" and chance.random() < 0.6:
            return path, b"".join(as_json(odd(json.loads(line), chance)) + b"\n" for line in data.splitlines())
        return path, damaged(data, chance)

    def read(given: tuple[Path, bytes]) -> None:
        path, data = given
        path.write_bytes(data)
        board = read_board(run.evaluation)
        assert isinstance(board.metrics, list)
        pairs = read_pairs(rows_file(run.evaluation, "before"), rows_file(run.evaluation, "after"))
        for metric in pairs.metrics:
            assert all(pair.difference(metric) is None or (pair.a and pair.b) for pair in pairs.rows)
        assert all(pair.length >= 0 and pair.changed in (True, False) for pair in pairs.rows)
        path.write_bytes(whole[path])

    assert survive(read, make, 80 * times, seed) == 0


@ROUNDS
def test_queues(seed: int, times: int, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    queue = RunQueue(runs)
    for name in ("a", "b", "c"):
        queue.add(RunBuilder(runs, name).folder, sweep="s")
    path = runs / ".queue" / "queue.json"
    whole = path.read_bytes()

    def make(chance: random.Random) -> bytes:
        return damaged(whole, chance) if chance.random() < 0.4 else as_json(odd(json.loads(whole), chance))

    def read(data: bytes) -> None:
        path.write_bytes(data)
        found = queue.read()
        assert all((runs / entry.run).parent == runs for entry in found.entries)
        for entry in found.entries:
            queue.move(entry.run, "down")
            break

    survive(read, make, 150 * times, seed)


@ROUNDS
def test_requests(seed: int, times: int, run: RunFolder) -> None:
    lines = [
        {"t": 1.5, "type": "learning_rate", "value": 1e-4},
        {"t": 2, "type": "stop"},
        {"t": 3, "type": "probe", "value": "x"},
    ]
    whole = b"".join(as_json(line) + b"\n" for line in lines)
    path = run.path / FILE

    def make(chance: random.Random) -> bytes:
        if chance.random() < 0.5:
            return damaged(whole, chance)
        return b"".join(as_json(odd(line, chance)) + b"\n" for line in lines)

    def read(data: bytes) -> None:
        path.write_bytes(data)
        control = JobControl()
        for wish in EventTail(path).poll():
            obey(control, str(wish["type"]), wish.get("value"))

    assert survive(read, make, 60 * times, seed) == 0


@ROUNDS
def test_indexes_of_checkpoints(seed: int, times: int, run: RunFolder) -> None:
    entries = [
        {
            "step": step,
            "file": f"{step:07d}.safetensors",
            "sha256": "ab" * 32,
            "best": step == 10,
            "value": 0.5,
            "adapter_sha256": "",
        }
        for step in (10, 20, 30)
    ]
    path = run.state / "index.json"

    def make(chance: random.Random) -> bytes:
        return damaged(as_json(entries), chance) if chance.random() < 0.4 else as_json(odd(entries, chance))

    def read(data: bytes) -> None:
        path.write_bytes(data)
        store = CheckpointStore(run.state, run.adapters, keep=2)
        store.load()

    survive(read, make, 200 * times, seed)


@ROUNDS
def test_logs_of_other_programs(seed: int, times: int, tmp_path: Path) -> None:
    path = tmp_path / "train.log"
    whole = (
        b"Loading pretrained model\nLoading datasets\nTraining\nTrainable parameters: 0.041% (1.573M/3821.080M)\n"
        b"Starting training..., iters: 600\nIter 1: Val loss 2.323, Val took 16.701s\n"
        b"Iter 10: Train loss 1.957, Learning Rate 1.000e-05, It/sec 0.420, Tokens/sec 150.1, Trained Tokens 3574, "
        b"Peak mem 9.5 GB\nIter 100: Saved adapter weights to adapters/adapters.safetensors and "
        b"adapters/0000100.safetensors.\n"
        b"Saved final weights to adapters/adapters.safetensors.\n"
    )

    def read(data: bytes) -> None:
        path.write_bytes(data)
        reader = StockLogReader(path)
        view = RunView()
        view.extend(reader.poll())
        view.extend(reader.poll())
        view.state(False)
        view.eta_seconds(1.8e9)

    assert survive(read, lambda chance: damaged(whole, chance), 250 * times, seed) == 0
