"""Models and experiments that the engine's tests share; models are made once a session."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.models import make_model, make_rows
from tui_tuner.config import Experiment
from tui_tuner.engine.new_run import create_run
from tui_tuner.models.load import Base, load_base
from tui_tuner.runs import RunFolder


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("tiny") / "phi3")


@pytest.fixture(scope="session")
def model_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Tiny models by family and bits, made when first asked for."""
    place, made = tmp_path_factory.mktemp("models"), dict[tuple[str, int | None], Path]()

    def get(kind: str = "phi3", bits: int | None = None) -> Path:
        if (kind, bits) not in made:
            made[kind, bits] = make_model(place / f"{kind}-{bits or 32}", kind, bits=bits)
        return made[kind, bits]

    return get


@pytest.fixture(scope="module")
def base(model_of: Callable[..., Path]) -> Base:
    """A tiny phi3 in memory, which no test may change."""
    return load_base(model_of("phi3"))


@pytest.fixture(scope="module")
def llama(model_of: Callable[..., Path]) -> Base:
    """A tiny llama in memory, which no test may change."""
    return load_base(model_of("llama"))


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The place of a cache of the test's own, in which nothing is yet."""
    monkeypatch.setenv("TUI_TUNER_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="session")
def tiny_rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in make_rows(40)))
    return path


@pytest.fixture
def new_run(tiny_model: Path, tiny_rows: Path, tmp_path: Path) -> Callable[..., RunFolder]:
    """Makes run folders of a tiny experiment; sections given as keywords override its values."""

    def make(**sections: dict[str, Any]) -> RunFolder:
        values: dict[str, dict[str, Any]] = {
            "run": {"name": "tiny", "seed": 5},
            "model": {"path": str(tiny_model)},
            "data": {"source": str(tiny_rows), "valid": 8, "test": 6},
            "adapter": {"rank": 4},
            "train": {
                "iters": 14,
                "batch_size": 4,
                "learning_rate": 1e-3,
                "report_every": 2,
                "eval_every": 5,
                "save_every": 4,
                "max_seq_length": 128,
            },
            "evaluation": {"max_tokens": 6},
        }
        for section, changes in sections.items():
            values.setdefault(section, {}).update(changes)
        return create_run(Experiment.model_validate(values), tmp_path / "runs")

    return make
