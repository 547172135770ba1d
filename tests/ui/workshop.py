"""What the tests of the models, data, config, benchmark and chat screens share: an experiment, and answers to ask for.

The texts are hostile on purpose: markup, escape sequences, and characters that reorder others.
"""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from tests.ui.fakes import START, FakeEngine, RunBuilder
from tests.ui.looking import shown, until
from tui_tuner.config.model import Experiment
from tui_tuner.config.toml import dump_experiment, experiment_from_text
from tui_tuner.engine.model_requests import AskDevice, InspectModel, ListModels
from tui_tuner.engine.protocol import JobHandle, JobStatus
from tui_tuner.engine.requests import PreviewData
from tui_tuner.engine.results import (
    DataPreview,
    Inspection,
    ListedModel,
    ModelDetails,
    ModelFacts,
    Offers,
    PreviewRow,
)
from tui_tuner.errors import TunerError
from tui_tuner.models.sizes import room
from tui_tuner.ui.app import TunerApp
from tui_tuner.ui.screens.data import DataScreen

SIZES = [(80, 24), (120, 40)]
WITH_WIDE = [*SIZES, pytest.param((160, 50), marks=pytest.mark.slow)]
HOSTILE = "[bold red]no[/] markup \x1b[31m \u202eabc \x07"
SAFE = "[bold red]no[/] markup ␛[31m ‹rlo›abc ␇"
"""HOSTILE as it must be shown."""

TEMPLATE = (
    "{% for message in messages %}{{ '<|' + message['role'] + '|>\\n' + message['content'] + '<|end|>\\n' }}"
    "{# [b]remark[/b] \x1b[0m #}{% endfor %}"
)


def experiment(**sections: Any) -> Experiment:
    """The experiment that the screens show; keyword arguments replace whole keys, as `train_iters=5`."""
    made = experiment_from_text(_TEXT, "test.toml")
    for key, value in sections.items():
        section, _, name = key.partition("_")
        setattr(getattr(made, section), name, value)
    return made


_TEXT = """
[run]
name = "players"
[model]
path = "embedded:phi3-tiny"
[data]
source = "embedded:players"
prompt = ["Report this game: {name}.", "What did {name} do?"]
completion = ["FT {report}"]
train = 180
[adapter]
rank = 16
targets = ["self_attn.qkv_proj", "mlp.down_proj"]
[train]
iters = 120
learning_rate = 3e-3
[probes]
prompts = ["Report this game: Nora Winslow.", "Say hello."]
"""


def facts(**changes: Any) -> ModelFacts:
    made: dict[str, Any] = {
        "path": "/models/phi-3-mini", "architecture": "phi3", "parameters": 3_821_079_552, "layers": 32, "hidden": 3072,
        "heads": 32, "kv_heads": 8, "vocabulary": 32064, "context": 4096, "dtype": "bfloat16",
        "quantization": "4 bits, group 64", "bytes": 2_149_000_000, "chat_template": TEMPLATE,
        "modules": [("self_attn.qkv_proj", "9216 × 3072"), ("self_attn.o_proj", "3072 × 3072"),
                    ("mlp.gate_up_proj", "16384 × 3072"), ("mlp.down_proj", "3072 × 8192")],
        "problems": [], "tokens": {"bos": "<s>", "eos": "<|end|>"},
    }  # fmt: skip
    return ModelFacts(**{**made, **changes})


ROOM = 24_000_000_000
"""Bytes that a job can have on the machine of these tests."""


def listed(**changes: Any) -> ListedModel:
    made: dict[str, Any] = {
        "path": "embedded:phi3-tiny", "name": "phi3-tiny", "source": "embedded", "folder": "/models/phi-3-mini",
        "bytes": 2_149_000_000, "architecture": "phi3", "dtype": "bfloat16", "quantization": "4 bits, group 64",
        "parameters": 3_821_079_552, "memory": {"run": 2_400_000_000, "train": 9_800_000_000},
    }  # fmt: skip
    return ListedModel(**{**made, **changes})


def shelf(**changes: Any) -> list[ListedModel]:
    """A list with one of each kind; keyword arguments change the first."""
    local = {"source": "local", "parameters": 8_030_000_000}
    return [
        listed(**changes),
        listed(path="/models/llama-8b", name="llama-8b", folder="/models/llama-8b", architecture="llama",
               bytes=16_060_000_000, memory={"run": 16_500_000_000, "train": 21_000_000_000}, **local),
        listed(path="/models/llama-8b-4bit", name="llama-8b-4bit", folder="/models/llama-8b-4bit", bytes=4_520_000_000,
               architecture="llama", made_as="4 bits, group 64",
               memory={"run": 5_000_000_000, "train": 23_000_000_000}, **local),
        listed(path="/models/cut", name="cut", folder="/models/cut", bytes=0, parameters=0, memory={},
               problem="/models/cut: the weight file is cut short; download it again.", source="local"),
        listed(path="acme/tiny-chat", name="acme/tiny-chat", folder="/cache/tiny-chat", source="cache",
               bytes=901_000_000, parameters=1_100_000_000, on_disk=1_830_000_000, used=1_700_000_000.0,
               memory={"run": 1_000_000_000, "train": 4_000_000_000}),
        ListedModel("other/model", "other/model", "absent", named_by=["preset other"]),
    ]  # fmt: skip


def inspected(of: ModelFacts, **changes: Any) -> ModelDetails:
    seen = Inspection(of, False, {"BF16": of.bytes}, {"at 4 bits in groups of 64": 129}, "<|user|>\nHello.<|end|>\n",
                      "mit", {"run": 2_400_000_000, "train": 9_800_000_000})  # fmt: skip
    offers = Offers(
        {"affine": ((2, 3, 4, 5, 6, 8), (32, 64, 128)), "mxfp4": ((4,), (32,))}, ("mixed_3_6",), ("float32",), True
    )
    return ModelDetails(**{"inspection": seen, "variants": [], "offers": offers, **changes})


def variant(bits: int, **changes: Any) -> dict[str, Any]:
    made = {
        "path": f"/models/phi3-tiny-{bits}bit", "scheme": f"{bits} bits, group 64", "bytes": bits * 478_000_000,
        "bits_per_weight": bits + 0.5, "perplexity": 8.4 - bits / 20, "perplexity_before": 7.9, "kl": 0.24 / bits**2,
        "top1": 0.9 + bits / 100, "tokens_per_second": 240.0 / bits, "measured_on": "40 rows of players", "made": 0.0,
        "memory": bits * 490_000_000,
    }  # fmt: skip
    return {**made, **changes}


def about_models(handle: JobHandle, what: Any, models: list[ListedModel] | None = None) -> bool:
    """Answers a question about models at once: with facts, or an error; whether it was one."""
    request = handle.request
    if isinstance(request, AskDevice):
        result: Any = ROOM
    elif isinstance(request, ListModels):
        result = shelf() if models is None else models
    elif isinstance(request, InspectModel):
        if isinstance(what, TunerError):
            handle.status, handle.error = JobStatus.FAILED, what
            return True
        result = what if isinstance(what, ModelDetails) else inspected(what)
    else:
        return False
    handle.status, handle.result = JobStatus.DONE, result
    return True


def preview_row(index: int, split: str, question: str = "Report this game: Nora Winslow.") -> PreviewRow:
    answer = "FT W | 4-2"
    pieces = ["<|user|>", "\n", *(f"{word} " for word in question.split(" ")), "<|end|>", "\n", "<|assistant|>", "\n"]
    offset = len(pieces)
    pieces += ["FT", " W", " |", " 4", "-", "2", "<|end|>"]
    rendered = f"<|user|>\n{question}<|end|>\n<|assistant|>\n{answer}<|end|>"
    row = {"prompt": question, "completion": answer}
    return PreviewRow(index, split, row, rendered, list(enumerate(pieces)), offset, 12 if index == 4 else 0)


def preview(**changes: Any) -> DataPreview:
    rows = [preview_row(at, "train", HOSTILE if at == 2 else f"Report game {at}.") for at in range(30)]
    rows += [preview_row(at, "valid", f"Valid game {at}.") for at in range(5)]
    rows += [preview_row(at, "test", f"Test game {at}.") for at in range(5)]
    made: dict[str, Any] = {
        "counts": {"train": 360, "valid": 40, "test": 40}, "kind": "completion", "rows": rows,
        "notes": ["240 records became 480 rows: 2 wordings each.", "3 rows are cut."],
        "token_lengths": {"min": 38, "median": 52, "p95": 71, "max": 301}, "trainable_tokens": 9312,
    }  # fmt: skip
    return DataPreview(**{**made, **changes})


def preview_of(request: PreviewData, whole: DataPreview) -> DataPreview:
    """The answer to a preview: the whole, or the rows that are asked for by their places."""
    if not request.only:
        return whole
    known = {(row.split, row.index): row for row in whole.rows}
    places = [(split, at) for split, at in request.only if at < whole.counts[split]]
    rows = [known.get((split, at)) or preview_row(at, split, f"{split.title()} game {at}.") for split, at in places]
    return replace(whole, rows=rows)


def answering(what: Any) -> Callable[[JobHandle], None]:
    """An answer for the engine's side lane, at once: a result, or an error to fail with."""

    def answer(handle: JobHandle) -> None:
        if not about_models(handle, what) and isinstance(handle.request, PreviewData):
            if isinstance(what, TunerError):
                handle.status, handle.error = JobStatus.FAILED, what
            else:
                chosen = isinstance(handle.request, PreviewData) and isinstance(what, DataPreview)
                handle.status = JobStatus.DONE
                handle.result = preview_of(handle.request, what) if chosen else what

    return answer


def with_config(builder: RunBuilder, made: Experiment | None = None) -> RunBuilder:
    builder.folder.config.write_text(dump_experiment(made or experiment()), encoding="utf-8")
    return builder


def with_adapter(builder: RunBuilder) -> RunBuilder:
    (builder.folder.adapters / "adapters.safetensors").write_bytes(b"weights")
    return builder


def answer_row(index: int, prediction: str, score: float, **changes: Any) -> dict[str, Any]:
    scores = {"exact_match": float(score == 1.0), "rouge1": score, "rouge2": score * 0.9, "rougeL": score * 0.95}
    row = {"index": index, "prompt": f"Game {index}: {HOSTILE}", "reference": "FT W | Herons 4-2",
           "prediction": prediction, "scores": scores, "tokens": 12, "finish": "stop"}  # fmt: skip
    return {**row, **changes}


def write_answers(folder: Path, label: str, rows: list[dict[str, Any]]) -> None:
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / f"{label}.jsonl").write_text(text, encoding="utf-8")


def finished(builder: RunBuilder, rows: int = 12) -> RunBuilder:
    """A finished run with its configuration, adapter, and answers: row 3 was lost, row 5 is as before, all else won."""
    with_adapter(with_config(builder.prepared().train(1, 120).evaluated().finish()))
    folder = builder.folder.evaluation
    write_answers(folder, "before", [answer_row(at, "The Herons won.", 0.4 if at == 3 else 0.3) for at in range(rows)])
    after = [answer_row(at, "FT W | Herons 4-2", 1.0) for at in range(rows)]
    after[3] = answer_row(3, "FT [b]L[/b]", 0.1)
    if rows > 5:
        after[5] = answer_row(5, "The Herons won.", 0.3)
    write_answers(folder, "after", after)
    return builder


async def open_mode(
    pilot: Pilot[Any], mode: str, *, made: Experiment | None = None, run: RunBuilder | None = None
) -> None:
    """Sets up the experiment and the run, and goes to a mode."""
    app: TunerApp = pilot.app  # type: ignore[assignment]
    if made is not None:
        app.set_experiment(made)
    if run is not None:
        app.select_run(run.folder)
    app.go(mode)
    await until(pilot, lambda: app.current_mode == mode and app.screen.query("#body"), f"{mode} is shown")
    await pilot.pause()
    if mode == "data":
        await asked_all(pilot)


async def asked_all(pilot: Pilot[Any]) -> None:
    """Waits until the Data screen, which draws first rows before it asks for more, has asked all there is."""
    screen = pilot.app.screen
    assert isinstance(screen, DataScreen)
    await until(pilot, lambda: not screen._questions.has_more_to_ask, "all was asked")


@pytest.fixture
def place(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of runs whose path is nowhere on the screen, in a fixed time zone."""
    path = tmp_path_factory.mktemp("snap") / "runs"
    path.mkdir()
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    return path


def posed(
    mode: str, text: str, *, made: Experiment | None = None, run: RunBuilder | None = None, keys: tuple[str, ...] = ()
) -> Callable[[Pilot[Any]], Awaitable[None]]:
    """Brings the app where a picture is taken: in a mode, when `text` is there, after some keys."""

    async def prepare(pilot: Pilot[Any]) -> None:
        app: TunerApp = pilot.app  # type: ignore[assignment]
        await open_mode(pilot, mode, made=made, run=run)
        await pilot.press(*keys)
        await until(pilot, lambda: text in shown(app), text)
        assert app.mishaps == []

    return prepare


def app_with(place: Path, engine: FakeEngine) -> TunerApp:
    return TunerApp(engine=engine, runs_dir=place)


@pytest.fixture(autouse=True)
def frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    """One time of day and time zone, no presets but those a test shows, one size of memory; for pictures."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    monkeypatch.setattr("tui_tuner.ui.format.time.time", lambda: START + 3 * 3600)
    monkeypatch.setattr("tui_tuner.config.presets.list_presets", list)
    monkeypatch.setattr("tui_tuner.models.sizes.this_machine", lambda: room(32_000_000_000, 32_000_000_000))
