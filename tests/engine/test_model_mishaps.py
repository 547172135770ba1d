"""What ends before its time, conversion, merge, export or import, leaves nothing half-made; the next one goes well."""

from __future__ import annotations

import errno
import json
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engine.test_disk_full import files_up_to
from tests.support.commands import process
from tui_tuner.engine.exporting import _made
from tui_tuner.engine.model_requests import ConvertModel, ExportAdapter, FuseAdapter, ImportAdapter, ModelRequest
from tui_tuner.engine.modeljobs import perform_model_job
from tui_tuner.engine.pipeline import run_experiment
from tui_tuner.engine.shelf import ModelShelf
from tui_tuner.errors import TunerError
from tui_tuner.runs import RunFolder
from tui_tuner.runs.control import JobControl, StopRequested

pytestmark = pytest.mark.mlx

KINDS = ("convert", "fuse", "mlx", "peft", "gguf", "import")
Asked = Callable[..., ModelRequest]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, model_of: Callable[..., Path], tiny_rows: Path) -> RunFolder:
    """A run on a quantized llama, and its adapter as PEFT has it."""
    from tui_tuner.config import Experiment
    from tui_tuner.engine.new_run import create_run

    run = create_run(
        Experiment.model_validate(
            {
                "run": {"name": "tiny", "seed": 5},
                "model": {"path": str(model_of("llama", 4))},
                "data": {"source": str(tiny_rows), "valid": 4, "test": 4},
                "adapter": {"rank": 4},
                "train": {"iters": 4, "batch_size": 2, "eval_every": 4, "save_every": 4, "max_seq_length": 128},
                "evaluation": {"enabled": False},
            }
        ),
        tmp_path_factory.mktemp("runs"),
    )
    run_experiment(run, JobControl(), ModelShelf())
    perform_model_job(ExportAdapter(str(run.path), run.path / "peft", "peft"), JobControl(), ModelShelf())
    return run


@pytest.fixture
def asked(trained: RunFolder, model_of: Callable[..., Path]) -> Asked:
    """Requests by kind and target."""

    def ask(kind: str, target: Path, *, force: bool = False) -> ModelRequest:
        run = str(trained.path)
        if kind == "convert":
            return ConvertModel(str(model_of("llama")), target, 4, 32, rows=2, force=force)
        if kind == "fuse":
            return FuseAdapter(run, target, way="float", rows=2, force=force)
        if kind == "import":
            return ImportAdapter(trained.path / "peft", str(model_of("llama", 4)), target)
        return ExportAdapter(run, target, kind)

    return ask


def place_of(kind: str, folder: Path) -> Path:
    return folder / ("new.gguf" if kind == "gguf" else "new")


def done(request: ModelRequest, control: JobControl | None = None) -> Any:
    return perform_model_job(request, control or JobControl(), ModelShelf())


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def contents(target: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in target.iterdir()}


def full(*_: Any, **__: Any) -> Any:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def broken(*_: Any, **__: Any) -> Any:
    raise RuntimeError("[write] Unable to write 4096 bytes to file.")


def refused(*_: Any, **__: Any) -> Any:
    raise TunerError("no space left on the disk", code="no-space")


PHASES: dict[str, list[tuple[str, str, Callable[..., Any]]]] = {
    "convert": [
        ("mlx_lm.utils", "save_model", broken),
        ("mlx_lm.utils", "save_config", full),
        ("tui_tuner.models.write", "_copy_tokenizer", full),
        ("tui_tuner.engine.conversion", "load_base", refused),
        ("tui_tuner.models.staging", "_sync", full),
    ],
    "fuse": [
        ("mlx_lm.utils", "save_model", full),
        ("tui_tuner.engine.fusing", "write_atomic", refused),
        ("tui_tuner.models.staging", "_sync", full),
    ],
    "mlx": [("tui_tuner.engine.exporting.shutil", "copyfile", full), ("tui_tuner.models.staging", "_sync", full)],
    "peft": [
        ("tui_tuner.models.peft", "write_json", refused),
        ("mlx.core", "save_safetensors", broken),
        ("tui_tuner.models.staging", "_sync", full),
    ],
    "gguf": [("mlx.core", "save_gguf", broken), ("tui_tuner.models.staging", "_sync", full)],
    "import": [
        ("mlx.core", "save_safetensors", broken),
        ("tui_tuner.engine.exporting", "load_adapter", refused),
        ("tui_tuner.models.staging", "_sync", full),
    ],
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_failure_in_any_phase_leaves_nothing_and_the_next_goes_well(
    kind: str, asked: Asked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = place_of(kind, tmp_path / "models")
    for module, name, failing in PHASES[kind]:
        with monkeypatch.context() as patch:
            patch.setattr(f"{module}.{name}", failing)
            with pytest.raises(TunerError):
                done(asked(kind, target))
        assert names(tmp_path) == [], name
    done(asked(kind, target))
    assert target.exists() and names(target.parent) == [target.name]


@pytest.mark.parametrize("kind", ["convert", "fuse"])
def test_a_model_that_is_there_stays_until_the_new_one_is_whole(
    kind: str, asked: Asked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = place_of(kind, tmp_path)
    done(asked("convert", target))
    (target / "mine.txt").write_text("a note")
    before = contents(target)
    for module, name, failing in PHASES[kind]:
        with monkeypatch.context() as patch:
            patch.setattr(f"{module}.{name}", failing)
            with pytest.raises(TunerError):
                done(asked(kind, target, force=True))
        assert contents(target) == before and names(tmp_path) == ["new"], name
    done(asked(kind, target, force=True))
    assert "mine.txt" not in contents(target) and names(tmp_path) == ["new"]


@pytest.mark.parametrize("kind", ["convert", "fuse", "peft", "gguf", "import"])
@pytest.mark.parametrize("size", [0, 20_000], ids=["at once", "half-way"])
def test_a_disk_that_refuses_to_hold_more(
    kind: str, size: int, asked: Asked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = place_of(kind, tmp_path)
    if kind in ("peft", "import"):
        size //= 10
    monkeypatch.setattr("tui_tuner.engine.modeljobs.cache_dir", lambda: tmp_path.parent)
    with files_up_to(size), pytest.raises(TunerError) as caught:
        done(asked(kind, target))
    assert caught.value.code in ("no-space", "write-failed"), caught.value
    assert names(tmp_path) == []
    done(asked(kind, target))
    assert names(tmp_path) == [target.name]


def stopping(nth: int) -> tuple[JobControl, Callable[[], int]]:
    """A control that is asked to stop when it is looked at for the nth time."""
    control, seen = JobControl(), 0
    check = control.check

    def counting() -> None:
        nonlocal seen
        seen += 1
        if seen == nth:
            control.stop("test")
        check()

    control.check = counting  # type: ignore[method-assign]
    return control, lambda: seen


@pytest.mark.parametrize("kind", KINDS)
def test_a_stop_is_heard_wherever_it_comes(kind: str, asked: Asked, tmp_path: Path) -> None:
    target = place_of(kind, tmp_path)
    control, looks = stopping(0)
    done(asked(kind, target), control)
    shutil.rmtree(target) if target.is_dir() else target.unlink()
    moments = sorted({1, 2, 3, looks() // 2, looks() - 1, looks()} & set(range(1, looks() + 1)))
    for nth in moments:
        control, _ = stopping(nth)
        with pytest.raises(StopRequested):
            done(asked(kind, target), control)
        assert names(tmp_path) == [], nth


@pytest.mark.parametrize("gone", ["target", "hidden"])
def test_what_is_deleted_in_the_middle(
    gone: str, asked: Asked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = place_of("convert", tmp_path)
    done(asked("convert", target))
    copy = sys.modules["tui_tuner.models.write"]._copy_tokenizer

    def deleting(source: Path, folder: Path) -> None:
        copy(source, folder)
        shutil.rmtree(target if gone == "target" else folder)

    monkeypatch.setattr("tui_tuner.models.write._copy_tokenizer", deleting)
    if gone == "target":
        done(asked("convert", target, force=True))
    else:
        with pytest.raises(TunerError):
            done(asked("convert", target, force=True))
    assert (target / "config.json").is_file() and names(tmp_path) == ["new"]


def test_what_comes_into_the_target_s_place_meanwhile_is_not_written_over(
    asked: Asked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = place_of("convert", tmp_path)
    copy = sys.modules["tui_tuner.models.write"]._copy_tokenizer

    def coming(source: Path, folder: Path) -> None:
        copy(source, folder)
        target.mkdir()
        (target / "thesis.txt").write_text("mine")

    monkeypatch.setattr("tui_tuner.models.write._copy_tokenizer", coming)
    with pytest.raises(TunerError, match="something already"):
        done(asked("convert", target))
    assert contents(target) == {"thesis.txt": b"mine"} and names(tmp_path) == ["new"]


COMMANDS = ("convert", "fuse", "import", "gguf")


@pytest.fixture
def typed(trained: RunFolder, model_of: Callable[..., Path]) -> Iterator[Callable[[str, Path], list[str]]]:
    """The command that a kind of request is typed as."""
    run, model, quantized = str(trained.path), str(model_of("llama")), str(model_of("llama", 4))

    def type_(kind: str, target: Path) -> list[str]:
        asked = {
            "convert": ["convert", model, "--bits", "4", "--group-size", "32", "--rows", "2", "--force"],
            "fuse": ["fuse", run, "--way", "float", "--rows", "2", "--force"],
            "import": ["import", str(trained.path / "peft"), "--model", quantized],
            "gguf": ["export", run, "--as", "gguf"],
        }[kind]
        return [*asked, "--to", str(target), "--json"]

    yield type_


def interrupted(command: list[str], number: signal.Signals, delay: float, target: Path) -> None:
    """Runs a command, signals it after a while, and looks at what it left."""
    old = contents(target) if target.is_dir() else None
    running = process(*command)
    try:
        running.wait(delay)
    except Exception:
        running.send_signal(number)
    out, err = running.communicate(timeout=120)
    assert "Traceback" not in err and "terminate called" not in err, err
    if target.is_dir():
        found = contents(target)
        if found != old:
            assert {"adapter_config.json", "adapters.safetensors"} <= set(found) or "config.json" in found
            assert running.returncode in (0, -signal.SIGKILL)
    else:
        assert old is None and (running.returncode != 0 or target.is_file())
    if number is not signal.SIGKILL:
        assert not [name for name in names(target.parent) if name.startswith(".")], (out, err)
        if running.returncode:
            told = json.loads(out) if out else {"error": {"code": "stopped"}}  # before the program could listen
            assert told["error"]["code"] == "stopped", told


@pytest.mark.parametrize(
    ("kind", "number", "seed"),
    [
        ("convert", signal.SIGKILL, 1),
        pytest.param("convert", signal.SIGTERM, 2, marks=pytest.mark.slow),
        *(
            pytest.param(kind, number, seed, marks=pytest.mark.slow)
            for kind in COMMANDS
            for number in (signal.SIGKILL, signal.SIGINT, signal.SIGTERM)
            for seed in range(3, 8)
        ),
    ],
)
def test_a_signal_at_any_moment_leaves_the_old_or_the_new_one(
    kind: str, number: signal.Signals, seed: int, typed: Callable[[str, Path], list[str]], tmp_path: Path
) -> None:
    target = place_of(kind, tmp_path)
    command = typed(kind, target)
    rng = random.Random(f"{kind}-{number}-{seed}")
    begun = time.monotonic()
    first = process(*command)
    first.communicate(timeout=120)
    assert first.returncode == 0
    whole = time.monotonic() - begun
    if kind in ("import", "gguf"):
        shutil.rmtree(target) if target.is_dir() else target.unlink()
    # The first half of the time is imports, in which there is nothing to be spoilt yet.
    interrupted(command, number, whole * rng.uniform(0.4, 1.0), target)
    if kind in ("import", "gguf") and target.exists():
        return
    again = process(*command)
    out, err = again.communicate(timeout=120)
    assert again.returncode == 0, (out, err)
    assert names(tmp_path) == [target.name]


def test_a_stop_while_an_adapter_is_written_leaves_nothing(tmp_path: Path) -> None:
    def check() -> None:
        raise StopRequested

    with pytest.raises(StopRequested), _made(tmp_path / "adapter", check) as new:
        (new / "adapters.safetensors").write_bytes(b"half")
    assert list(tmp_path.iterdir()) == []
