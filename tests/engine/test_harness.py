"""The tasks of the harness are asked of the model with its adapter, and without the library there is one sentence.

The harness itself is a stand-in of the size of what we use of it: it is large, and its tasks need the network.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tui_tuner.engine.harness import run_tasks
from tui_tuner.engine.pipeline import run_experiment
from tui_tuner.engine.requests import RunTasks
from tui_tuner.engine.shelf import ModelShelf
from tui_tuner.errors import TunerError
from tui_tuner.runs import RunFolder
from tui_tuner.runs.control import JobControl

pytestmark = pytest.mark.mlx


@pytest.fixture
def harness(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the stand-in was asked with."""
    asked: dict[str, Any] = {}

    def simple_evaluate(**given: Any) -> dict[str, Any]:
        if "unknown" in given["tasks"]:
            raise KeyError("unknown")
        asked.update(given)
        figures = {"alias": "t", "acc,none": 0.5, "acc_stderr,none": 0.25, "f1,strict": 1, "f1_stderr,strict": "N/A"}
        return {"results": dict.fromkeys(given["tasks"], figures)}

    class LM:
        def __init__(self) -> None:
            self.begun = True

    modules = {
        "lm_eval": {"simple_evaluate": simple_evaluate, "__version__": "0.0"},
        "lm_eval.api": {},
        "lm_eval.api.model": {"LM": LM},
        "lm_eval.api.registry": {"register_model": lambda name: lambda kind: kind},
    }
    for name, values in modules.items():
        module = types.ModuleType(name)
        vars(module).update(values)
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.delitem(sys.modules, "mlx_lm.evaluate", raising=False)
    return asked


def test_the_model_of_a_run_is_asked_with_its_adapter(
    harness: dict[str, Any], new_run: Callable[..., RunFolder]
) -> None:
    folder = new_run(train={"iters": 2}, evaluation={"enabled": False})
    run_experiment(folder, JobControl(), ModelShelf())
    request = RunTasks(str(folder.path), ("one", "two"), limit=3, batch_size=4)
    document = run_tasks(request, JobControl(), ModelShelf())
    figures = {"acc": {"value": 0.5, "stderr": 0.25}, "f1 (strict)": {"value": 1.0, "stderr": None}}
    assert document["tasks"] == {"one": figures, "two": figures}
    assert document["adapter"] == str(folder.adapters)
    model = harness["model"]
    assert model.begun and model._batch_size == 4
    assert any("lora_b" in module for _, module in model._model.named_modules())
    assert (harness["limit"], harness["num_fewshot"], harness["apply_chat_template"]) == (3, None, True)
    sys.modules.pop("mlx_lm.evaluate", None)


def test_a_task_that_fails_is_one_sentence(harness: dict[str, Any], tiny_model: Path) -> None:
    with pytest.raises(TunerError) as caught:
        run_tasks(RunTasks(str(tiny_model), ("unknown",)), JobControl(), ModelShelf())
    assert caught.value.code == "harness-failed"
    sys.modules.pop("mlx_lm.evaluate", None)


def test_without_the_library_there_is_one_sentence(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lm_eval", None)
    monkeypatch.delitem(sys.modules, "mlx_lm.evaluate", raising=False)
    with pytest.raises(TunerError) as caught:
        run_tasks(RunTasks(str(tiny_model), ("arc_easy",)), JobControl(), ModelShelf())
    assert caught.value.code == "no-harness"
    assert "tui-tuner[harness]" in caught.value.fix
