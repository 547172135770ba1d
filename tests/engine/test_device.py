"""Limits of memory follow the device, hold while a job works, and are as before afterwards. Both kinds of device are
played by mlx's own module with other answers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from tui_tuner.chat.sampling import Sampling
from tui_tuner.chat.voices import Voice
from tui_tuner.engine.adviser import Adviser
from tui_tuner.engine.requests import ChatTurn
from tui_tuner.models import device as device_module
from tui_tuner.models.device import DeviceMemory, device_memory, too_large, weights_size, working_memory
from tui_tuner.models.libraries import ready
from tui_tuner.runs import RunFolder, read_events
from tui_tuner.runs.control import JobControl

pytestmark = pytest.mark.mlx
GB = 10**9
MAC = {"device_name": "Apple M2", "max_recommended_working_set_size": 16 * GB, "memory_size": 24 * GB}


class Device:
    """mlx as it answers on one device; `calls` is what it was asked to set."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, facts: dict[str, Any], refuse: str = "") -> None:
        ready()
        import mlx.core as mx

        self.calls: list[tuple[str, int]] = []
        self.limits = {"wired": 7, "memory": 36 * GB}
        self._refuse = refuse
        monkeypatch.setattr(device_module, "_GROUP_LIMITS", ())
        monkeypatch.setattr(mx, "device_info", lambda: facts)
        monkeypatch.setattr(mx, "set_wired_limit", lambda size: self._set("wired", size))
        monkeypatch.setattr(mx, "set_memory_limit", lambda size: self._set("memory", size))
        monkeypatch.setattr(mx, "clear_cache", lambda: self.calls.append(("clear", 0)))

    def _set(self, what: str, size: int) -> int:
        if what == self._refuse:
            raise ValueError("[metal::set_wired_limit] larger than the maximum working set size is not allowed.")
        self.calls.append((what, size))
        self.limits[what], before = size, self.limits[what]
        return before


def test_on_a_mac_memory_is_wired_while_a_job_works(monkeypatch: pytest.MonkeyPatch) -> None:
    device = Device(monkeypatch, MAC)
    with working_memory(0.5):
        assert device.limits == {"wired": 16 * GB, "memory": 8 * GB}
    assert device.limits == {"wired": 7, "memory": 36 * GB}
    order = [what for what, _ in device.calls]
    assert order == ["memory", "wired", "clear", "wired", "memory"]


def test_limits_are_put_back_after_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    import mlx.core as mx

    def broken() -> None:
        raise RuntimeError("[eval] Attempting to eval an array without a primitive")

    device = Device(monkeypatch, MAC)
    monkeypatch.setattr(mx, "synchronize", broken)
    with pytest.raises(KeyError, match="the first"), working_memory(0.0):
        raise KeyError("the first")
    assert device.limits == {"wired": 7, "memory": 36 * GB}
    assert ("clear", 0) in device.calls


def test_a_system_that_refuses_a_limit_works_without(monkeypatch: pytest.MonkeyPatch) -> None:
    device = Device(monkeypatch, MAC, refuse="wired")
    with working_memory(0.5):
        assert device.limits == {"wired": 7, "memory": 8 * GB}
    assert device.limits == {"wired": 7, "memory": 36 * GB}


@pytest.mark.parametrize(
    ("facts", "total"),
    [({"device_name": "AMD"}, None), ({"device_name": "NVIDIA H100", "total_memory": 80 * GB, "free_memory": GB}, 80)],
)
def test_elsewhere_nothing_is_wired(monkeypatch: pytest.MonkeyPatch, facts: dict[str, Any], total: int | None) -> None:
    device = Device(monkeypatch, facts)
    expected = total * GB if total else psutil.virtual_memory().total
    assert device_memory() == DeviceMemory(0, expected)
    with working_memory(0.0):
        assert device.calls == []
    assert device.calls == [("clear", 0)]
    with working_memory(0.25):
        assert device.limits["memory"] == expected // 4
    assert device.limits["memory"] == 36 * GB


def test_the_share_is_a_setting(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    device = Device(monkeypatch, MAC)
    monkeypatch.setenv("TUI_TUNER_CONFIG", str(tmp_path))
    with working_memory():
        assert device.limits["memory"] == 36 * GB
    (tmp_path / "settings.toml").write_text("memory_share = 0.75\n")
    with working_memory():
        assert device.limits["memory"] == 12 * GB


def test_without_a_word_from_the_device_the_machine_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    import mlx.core as mx

    def silent() -> dict[str, Any]:
        raise RuntimeError("no device")

    monkeypatch.setattr(device_module, "_GROUP_LIMITS", ())
    monkeypatch.setattr(mx, "device_info", silent)
    assert device_memory() == DeviceMemory(0, psutil.virtual_memory().total)


# -- models that are too large ----------------------------------------------------------------------------------------
def test_a_model_beyond_the_working_set_is_told_with_numbers_and_a_way_out() -> None:
    text = too_large(int(17.2 * GB), DeviceMemory(16 * GB, 24 * GB))
    assert "17.2 GB" in text
    assert "16.0 GB" in text
    assert "smaller model" in text
    megabytes = int(text.rpartition("sudo sysctl iogpu.wired_limit_mb=")[2])
    assert 17.2 * GB < megabytes * (1 << 20) < 24 * GB


def test_a_model_beyond_the_machine_is_not_told_to_raise_the_limit() -> None:
    text = too_large(23 * GB, DeviceMemory(16 * GB, 24 * GB))
    assert "23.0 GB" in text
    assert "sysctl" not in text
    assert "swapping" in too_large(23 * GB, DeviceMemory(0, 24 * GB))


def test_a_model_that_fits_is_not_mentioned() -> None:
    assert too_large(14 * GB, DeviceMemory(16 * GB, 24 * GB)) == ""
    assert too_large(21 * GB, DeviceMemory(0, 24 * GB)) == ""


def test_a_run_says_it_once_before_the_model_is_loaded(
    new_run: Callable[..., RunFolder], tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tui_tuner.engine.pipeline import run_experiment
    from tui_tuner.engine.shelf import ModelShelf

    size = weights_size(tiny_model)
    assert size == (tiny_model / "model.safetensors").stat().st_size
    device = Device(monkeypatch, {"max_recommended_working_set_size": size, "memory_size": 2 * size})
    folder = new_run(train={"iters": 4}, evaluation={"enabled": False})
    control = JobControl()
    control.stop("test")
    for _ in range(2):
        run_experiment(folder, control, ModelShelf())
        control = JobControl()
    events = read_events(folder.events)
    said = [event for event in events if event["type"] == "advice" and event["code"] == "model-size"]
    assert [event["severity"] for event in said] == ["warning"]
    assert "sysctl" in said[0]["text"]
    loaded = next(i for i, e in enumerate(events) if e["type"] == "log" and e["text"].startswith("model "))
    assert events.index(said[0]) < loaded
    assert device.limits == {"wired": 7, "memory": 36 * GB}
    assert ("wired", size) in device.calls


def test_a_chat_is_wired_too(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tui_tuner.engine.desk import DataDesk
    from tui_tuner.engine.protocol import JobHandle
    from tui_tuner.engine.worker import _Performer

    device = Device(monkeypatch, MAC)
    turn = ChatTurn(Voice(str(tiny_model)), [{"role": "user", "content": "what"}], Sampling(max_tokens=2))
    reply = _Performer(DataDesk())(JobHandle(1, turn))
    assert reply.tokens <= 2
    assert device.calls[0] == ("wired", 16 * GB)
    assert device.limits["wired"] == 7


def test_the_doctor_judges_by_what_the_device_recommends(monkeypatch: pytest.MonkeyPatch) -> None:
    from tui_tuner.config import Experiment

    Device(monkeypatch, MAC)
    said: list[dict[str, Any]] = []
    adviser = Adviser(lambda type, **fields: said.append(fields))
    adviser.begin([], Experiment.model_validate({"model": {"path": "m"}, "data": {"source": "d"}}))
    figures = {"step": 10, "loss": 1.0, "tokens": 10, "trained_tokens": 10, "tokens_per_second": 1.0}
    rates = {"steps_per_second": 1.0, "learning_rate": 1e-4, "grad_norm": 1.0, "padding_fraction": 0.0}
    adviser.hear({"type": "train", "t": 1.0, "peak_memory": int(15.9 * GB), **figures, **rates})
    assert [(each["code"], each["severity"]) for each in said] == [("memory", "error")]


# -- the stock of unused memory ---------------------------------------------------------------------------------------
@pytest.mark.parametrize(("threshold", "cleared"), [(0.0, True), (0.5, True), (1.0, False), (2.0, False)])
def test_unused_memory_above_the_threshold_is_given_back_after_each_step(
    threshold: float, cleared: bool, new_run: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One GB is kept for later use: given back above the threshold, kept at it and below."""
    from tui_tuner.engine.pipeline import run_experiment
    from tui_tuner.engine.shelf import ModelShelf

    ready()
    import mlx.core as mx

    device = Device(monkeypatch, {})
    monkeypatch.setattr(mx, "get_cache_memory", lambda: GB)
    train = {"iters": 6, "clear_cache_threshold": threshold, "eval_every": 100}
    run_experiment(new_run(train=train, evaluation={"enabled": False}), JobControl(), ModelShelf())
    at_the_end = 1
    assert device.calls == [("clear", 0)] * (at_the_end + 6 * cleared)
