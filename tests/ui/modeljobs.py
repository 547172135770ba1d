"""An engine that converts and merges models as a test says, and what it is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.ui.fakes import FakeEngine
from tests.ui.workshop import about_models, facts, inspected, variant
from tui_tuner.engine.model_requests import ConvertModel
from tui_tuner.engine.protocol import JobHandle, JobStatus
from tui_tuner.engine.results import Offers

FORECAST = {
    "scheme": "4 bits, group 64", "parameters": 3_821_079_552, "bytes_before": 7_640_000_000, "bytes": 2_149_000_000,
    "bits_per_weight": 4.5, "unquantized": [], "variants": [],
    "notes": ["1 of 130 modules stay unquantized (3% of their weights): head, its width of 100 is no multiple of 64"],
}  # fmt: skip
LEARNED = {
    **FORECAST, "scheme": "gptq, 4 bits, group 64", "memory_to_make": 19_300_000_000,
    "notes": ["needs the unquantized model in memory, about 19.3 GB in all; passes over up to 128 of your rows (512 "
              "tokens each) forward once, then solves for each module, which takes longest"],
}  # fmt: skip
METHODS = Offers({"affine": ((2, 4, 8), (32, 64)), "mxfp4": ((4,), (32,))}, ("mixed_3_6",), ("float16",), False,
                 {"dynamic": (32, 64), "dwq": (32, 64), "gptq": (32, 64)})  # fmt: skip
MADE = {
    "path": "/models/phi3-tiny-4bit", **FORECAST, "perplexity": {"before": 7.9, "after": 8.2}, "kl": 0.015,
    "top1_agreement": 0.94, "variants": [variant(4), variant(8)],
}  # fmt: skip


def way(name: str, kept: float, holds: bool, size: int) -> dict[str, Any]:
    return {"way": name, "text": f"merged as {name}", "bytes": size, "kept": kept, "holds": holds, "kl": 1.2e-3 / kept,
            "top1_agreement": min(kept + 0.01, 1.0), "loss": {"base": 2.0, "adapter": 0.6, "fused": 0.6 / kept},
            "exact": {"same": int(8 * kept), "of": 8}}  # fmt: skip


WAYS = [way("stock", 0.118, False, 2_149_000_000), way("finer", 0.83, False, 2_400_000_000),
        way("8bit", 0.996, True, 3_900_000_000), way("float", 1.0, True, 7_640_000_000)]  # fmt: skip
FUSED = {"path": None, **WAYS[2], "recommended": "8bit", "ways": WAYS, "measured_on": "40 held-out rows (test)"}


@pytest.fixture(autouse=True)
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of models, and a cache, of the test's own."""
    monkeypatch.setenv("TUI_TUNER_MODELS", str(tmp_path / "made"))
    monkeypatch.setenv("TUI_TUNER_CACHE", str(tmp_path / "cache"))
    return tmp_path / "made"


def answer(handle: JobHandle) -> None:
    """Questions about models and forecasts at once; what writes a model waits for the test."""
    request = handle.request
    known = inspected(facts(), variants=[variant(4), variant(8)])
    if not about_models(handle, known) and isinstance(request, ConvertModel) and request.target is None:
        handle.status, handle.result = JobStatus.DONE, FORECAST if request.learned is None else LEARNED


def answer_unquantized(handle: JobHandle) -> None:
    """The same about a model that learned methods apply to."""
    learned = variant(4, path="/models/phi3-tiny-4bit-gptq", scheme="gptq, 4 bits, group 64", kl=0.004,
                      calibrated_on="128 train rows of players, none of which it is measured on")  # fmt: skip
    known = inspected(facts(quantization="none"), offers=METHODS, variants=[variant(4), variant(8), learned])
    if not about_models(handle, known):
        answer(handle)


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine(answer)


def wished(engine: FakeEngine, kind: type) -> list[Any]:
    """Requests of a kind that write something."""
    return [one for one in engine.submitted if isinstance(one, kind) and getattr(one, "target", "") is not None]


def going(engine: FakeEngine) -> JobHandle:
    return next(one for one in engine.handles() if one.status is JobStatus.RUNNING and one.request.lane == "mlx")
