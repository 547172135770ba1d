"""A fast BLAS is loaded before mlx, from where there is one, and its absence is told instead of felt."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tui_tuner.models import blas
from tui_tuner.models import libraries as heavy

ROOT = Path(__file__).parents[2]
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="mlx uses the platform's own BLAS elsewhere")
needs_compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="makes a library")

REPORT = """
import json, sys
from dataclasses import asdict
from tui_tuner.models.blas import load_fast_blas
print(json.dumps([asdict(load_fast_blas()), asdict(load_fast_blas()), "mlx.core" in sys.modules]))
"""


def child(code: str = REPORT, *, before: str = "", **environment: str) -> Any:
    """What a fresh process prints as JSON on its last line."""
    inherited = {k: v for k, v in os.environ.items() if k not in {"LD_PRELOAD", blas.SWITCH, "CONDA_PREFIX", "MKLROOT"}}
    result = subprocess.run(
        [sys.executable, "-c", before + code],
        env={**inherited, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.splitlines()[-1])


NONE_THERE = "import tui_tuner.models.blas as b; b._NAMES = ('libnothing-of-this-name.so',)\n"


@linux
def test_absent_it_says_what_to_install() -> None:
    first, second, imported = child(before=NONE_THERE)
    assert first == second
    assert (first["name"], first["path"], first["fast"]) == ("reference", "", False)
    assert "libopenblas0-pthread" in first["advice"]
    assert not imported


@linux
@pytest.mark.parametrize("word", ["off", "0", " OFF "])
def test_the_environment_turns_it_off(word: str) -> None:
    info, _, _ = child(TUI_TUNER_BLAS=word)
    assert (info["name"], info["fast"]) == ("reference", False)
    assert blas.SWITCH in info["advice"]


@linux
@needs_compiler
def test_a_setting_turns_it_off_and_the_environment_wins(libraries: Path, tmp_path: Path) -> None:
    root = tmp_path / "conda"
    (root / "lib").mkdir(parents=True)
    shutil.copy(libraries / "libopenblas.so.0", root / "lib")
    settings = tmp_path / "settings.toml"
    settings.write_text("fast_blas = false\n")
    places = {"CONDA_PREFIX": str(root), "TUI_TUNER_CONFIG": str(tmp_path)}
    first, second, imported = child(**places)
    assert first == second
    assert (first["name"], first["path"], first["fast"]) == ("reference", "", False)
    assert "turned off by the setting fast_blas" in first["advice"]
    assert str(settings) in first["advice"]
    assert not imported
    info, _, _ = child(**places, TUI_TUNER_BLAS="on")
    assert (info["name"], info["fast"]) == ("OpenBLAS", True)
    settings.write_text("fast_blas = true\n")
    info, _, _ = child(**places)
    assert info["name"] == "OpenBLAS"
    info, _, _ = child(**places, TUI_TUNER_BLAS="off")
    assert blas.SWITCH in info["advice"]


@linux
def test_what_was_decided_holds_for_the_process(tmp_path: Path) -> None:
    """mlx binds what it finds at its first import: a setting that is changed later must not tell otherwise."""
    settings = tmp_path / "settings.toml"
    settings.write_text("fast_blas = false\n")
    code = REPORT.replace("print(", "before = load_fast_blas().name\nOPEN.write_text('')\nprint(").replace(
        "OPEN", f"__import__('pathlib').Path({str(settings)!r})"
    )
    info, _, _ = child(code, TUI_TUNER_CONFIG=str(tmp_path))
    assert "turned off by the setting" in info["advice"]
    assert settings.read_text() == ""


@linux
def test_too_late_is_said() -> None:
    info, _, imported = child(before="import mlx.core\n")
    assert imported
    assert (info["name"], info["fast"]) == ("reference", False)
    assert "imported before" in info["advice"]


@pytest.fixture(scope="module")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Libraries: two that have the symbol mlx calls, one whose symbols are prefixed, as those inside numpy are."""
    folder = tmp_path_factory.mktemp("environment") / "lib"
    folder.mkdir()
    source = folder / "source.c"
    whole = "int threads = 0; void %s(int n) { threads = n; } void cblas_sgemm(void) {}"
    for name, text in {
        "libopenblas.so.0": whole % "openblas_set_num_threads",
        "libmkl_rt.so.2": whole % "MKL_Set_Num_Threads",
        "prefixed.so": "void scipy_cblas_sgemm(void) {}",
    }.items():
        source.write_text(text)
        subprocess.run(["cc", "-shared", "-fPIC", "-o", str(folder / name), str(source)], check=True)
    return folder


@linux
@needs_compiler
def test_an_environments_own_library_is_preferred_and_global(libraries: Path, tmp_path: Path) -> None:
    root = tmp_path / "conda"
    (root / "lib").mkdir(parents=True)
    shutil.copy(libraries / "libopenblas.so.0", root / "lib")
    code = REPORT + (
        "import ctypes\n"
        "everywhere = ctypes.CDLL(None)\n"
        "print(json.dumps([asdict(load_fast_blas()), hasattr(everywhere, 'cblas_sgemm'),\n"
        "    ctypes.c_int.in_dll(everywhere, 'threads').value]))\n"
    )
    info, everywhere, threads = child(code, CONDA_PREFIX=str(root), OPENBLAS_NUM_THREADS="")
    assert info == {"name": "OpenBLAS", "path": str(root / "lib" / "libopenblas.so.0"), "fast": True, "advice": ""}
    assert everywhere
    assert 1 <= threads <= (os.cpu_count() or 1)
    _, _, own = child(code, CONDA_PREFIX=str(root), OPENBLAS_NUM_THREADS="3")
    assert own == 0, "a person's own setting is left alone"


@linux
@needs_compiler
def test_a_prefixed_copy_does_not_serve(libraries: Path, tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    shutil.copy(libraries / "prefixed.so", tmp_path / "lib" / "libopenblas.so.0")
    shutil.copy(libraries / "libmkl_rt.so.2", tmp_path / "lib")
    info, _, _ = child(CONDA_PREFIX=str(tmp_path))
    assert (info["name"], Path(info["path"]).name) == ("MKL", "libmkl_rt.so.2")


@linux
@needs_compiler
def test_a_preloaded_one_is_taken_as_it_is(libraries: Path) -> None:
    info, _, _ = child(LD_PRELOAD=str(libraries / "libopenblas.so.0"))
    assert (info["name"], info["fast"]) == ("preloaded", True)


@linux
def test_loading_the_models_libraries_loads_it_first() -> None:
    """Through the front door: mlx must not be there before the BLAS is."""
    code = (
        "import json, sys\n"
        "import tui_tuner.models.libraries as libraries\n"
        "seen = []\n"
        "libraries.load_fast_blas = lambda: seen.append('mlx.core' in sys.modules)\n"
        "libraries.ready(); libraries.ready()\n"
        "print(json.dumps([seen, 'mlx.core' in sys.modules]))\n"
    )
    assert child(code) == [[False], True]


def test_nothing_is_loaded_on_other_systems(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blas, "_loaded", None)
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(blas, "_candidates", lambda: pytest.fail("looked for a library"))
    assert blas.load_fast_blas() == blas.BlasInfo("platform", "", True, "")


def test_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blas, "_quota", lambda: None)
    free = blas.usable_processors()
    assert 1 <= free <= (os.cpu_count() or 1)
    for quota, expected in ((0.5, 1), (1.0, 1), (float(free + 5), free)):
        monkeypatch.setattr(blas, "_quota", lambda quota=quota: quota)
        assert blas.usable_processors() == expected


@linux
def test_a_fast_one_here_is_fast() -> None:
    """Where this machine has one, a product takes well under half the time of mlx's own."""
    code = """
import json, sys, time
from tui_tuner.models.blas import load_fast_blas
info = load_fast_blas()
import mlx.core as mx
a = mx.random.normal((768, 768))
mx.eval(a @ a)
times = []
for _ in range(5):
    begun = time.perf_counter()
    mx.eval(a @ a)
    times.append(time.perf_counter() - begun)
print(json.dumps([info.fast, min(times)]))
"""
    fast, quick = child(code)
    if not fast:
        pytest.skip("this machine has no fast BLAS")
    off, slow = child(code, TUI_TUNER_BLAS="off")
    assert not off
    assert quick < 0.5 * slow


def test_asking_what_computes_has_the_fast_library_loaded_before_mlx(monkeypatch: pytest.MonkeyPatch) -> None:
    class ReadyAsked(Exception):
        pass

    def ready() -> None:
        raise ReadyAsked

    monkeypatch.setattr(heavy, "ready", ready)
    monkeypatch.setitem(sys.modules, "mlx.core", None)  # importing it now is an error
    for ask in (heavy.backend, heavy.backend_advice):
        with pytest.raises(ReadyAsked):
            ask()
