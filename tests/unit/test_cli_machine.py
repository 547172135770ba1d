"""`tui-tuner system`: what it says for people and for scripts, and of what cannot be had."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from tui_tuner.cli import machine
from tui_tuner.cli.app import run
from tui_tuner.cli.output import Output
from tui_tuner.machine.figures import Reading

VALUES = {"cpu": 0.5, "memory": 6e9, "memory_total": 16e9, "gpu_temperature": 61.0, "power": 42.123456}


def said(*, json: bool, values: dict[str, float] = VALUES, **facts: Any) -> str:
    out = io.StringIO()
    given = {"device": "a GPU", "limit": 12_000_000_000, "platform": "darwin", **facts}
    machine.tell(Reading(7.0, values), Output(out, io.StringIO(), json), **given)
    return out.getvalue()


def test_people_read_figures_and_what_cannot_be_had() -> None:
    assert said(json=False).splitlines() == [
        "mlx computes on          a GPU",
        "a job may take           12.0 GB",
        "processor                50 %",
        "memory                   6.0 GB of 16.0 GB",
        "GPU's temperature        61 °C",
        "machine's power          42 W",
        "GPU's load               not to be had: ioreg does not tell it on this Mac",
    ]


def test_a_machine_that_tells_nothing_shows_no_zeros() -> None:
    lines = said(json=False, values={}, device="", limit=0, platform="linux").splitlines()
    assert len(lines) == 3 and all("not to be had" in line for line in lines)


def test_scripts_get_one_document() -> None:
    assert json.loads(said(json=True)) == {
        "t": 7.0, "cpu": 0.5, "memory": 6_000_000_000, "memory_total": 16_000_000_000, "gpu_temperature": 61.0,
        "power": 42.123, "device": "a GPU", "memory_limit": 12_000_000_000,
        "missing": {"gpu": "ioreg does not tell it on this Mac"},
    }  # fmt: skip


@pytest.mark.parametrize("as_json", [False, True])
def test_watching_tells_a_line_each_time(as_json: bool) -> None:
    out, waited = io.StringIO(), []
    readings = iter([Reading(float(at), VALUES) for at in range(3)])
    status = machine.follow(lambda: next(readings), Output(out, io.StringIO(), as_json), 2.0, waited.append, 3)
    lines = out.getvalue().splitlines()
    assert status == 0 and len(lines) == 3 and waited == [2.0, 2.0]
    if as_json:
        assert [json.loads(line)["t"] for line in lines] == [0.0, 1.0, 2.0]
    else:
        assert "processor 50 %, memory 6.0 GB, GPU's temperature 61 °C, machine's power 42 W" in lines[0]


def test_an_interrupt_ends_the_watching_well() -> None:
    def interrupted() -> Reading:
        raise KeyboardInterrupt

    assert machine.follow(interrupted, Output(io.StringIO(), io.StringIO()), 1.0) == 0


def test_too_often_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["system", "--watch", "--every", "0.1", "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "usage"


def test_without_mlx_the_machine_is_told_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise ImportError("no mlx")

    monkeypatch.setattr("tui_tuner.models.libraries.ready", broken)
    assert machine._device() == ("", 0)


def test_the_command_reads_this_machine(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_device", lambda: ("the processor", 1))
    assert run(["system", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert 0 < found["memory"] < found["memory_total"] and found["device"] == "the processor"
