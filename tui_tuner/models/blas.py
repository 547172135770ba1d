"""A fast matrix product for mlx on Linux processors, found on the machine and loaded before mlx.

mlx's wheel for Linux brings an unoptimised reference BLAS. Its calls are ordinary symbols, so an OpenBLAS or MKL that
is loaded globally first answers them instead: a 1024³ float32 product took 6 GFLOP/s without and 386 with OpenBLAS
on the same machine. This module must never import mlx itself, never install anything, and never fail: without a fast
library everything works, slowly, and `advice` says what to install.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SWITCH = "TUI_TUNER_BLAS"
"""Environment variable; `off` leaves mlx the BLAS it brings, anything else overrules the setting `fast_blas`."""

_INSTALL = (
    "install OpenBLAS (Debian and Ubuntu: libopenblas0-pthread; Fedora: openblas-threads; conda: openblas) "
    "and start again; training on this processor gets several times faster"
)
_NAMES = (
    "libopenblas.so.0",  # Debian's alternatives, Arch, conda, openSUSE
    "libopenblasp.so.0",  # Fedora, with threads
    "libopenblaso.so.0",  # Fedora, with OpenMP
    "libopenblas.so",
    "libmkl_rt.so.3",
    "libmkl_rt.so.2",
    "libmkl_rt.so.1",
    "libmkl_rt.so",
)
_THREADS = ("OPENBLAS_NUM_THREADS", "GOTO_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS")
_PREFIXED = "CONDA_PREFIX", "MKLROOT"
_OFF = frozenset({"off", "0", "no", "false"})


@dataclass(frozen=True)
class BlasInfo:
    """Which BLAS mlx will call.

    Attributes:
        name: `OpenBLAS`, `MKL`, `preloaded` (one was there before us), `reference` (mlx's own) or `platform`.
        path: file or name it was loaded by; empty when none was.
        fast: whether a tuned library answers mlx's calls.
        advice: what to do about it; empty when there is nothing to do.
    """

    name: str
    path: str
    fast: bool
    advice: str


_loaded: BlasInfo | None = None


def load_fast_blas() -> BlasInfo:
    """Loads a fast BLAS globally when there is one; to be called before mlx is first imported.

    Only the first successful call does anything. On other systems than Linux, where mlx uses the platform's own
    libraries, nothing is loaded; nor where a person has turned it off, by `TUI_TUNER_BLAS` or else by the setting.
    """
    global _loaded
    if _loaded is not None:
        return _loaded
    if not sys.platform.startswith("linux"):
        return BlasInfo("platform", "", True, "")
    if off := _turned_off():
        _loaded = BlasInfo("reference", "", False, off)  # kept: mlx will have bound its own, whatever is set later
        return _loaded
    if _answers(None):
        _loaded = BlasInfo("preloaded", "", True, "")
        return _loaded
    if "mlx.core" in sys.modules:
        return BlasInfo(
            "reference",
            "",
            False,
            "mlx was imported before a fast BLAS could be loaded: load it at the program's start",
        )
    for candidate in _candidates():
        library = _load(candidate)
        if library is not None:
            name = "MKL" if "mkl" in Path(candidate).name else "OpenBLAS"
            _limit_threads(library, name)
            _loaded = BlasInfo(name, candidate, True, "")
            return _loaded
    return BlasInfo("reference", "", False, _INSTALL)


def _turned_off() -> str:
    """By what, and how to turn it on again; empty when it is on."""
    if word := os.environ.get(SWITCH, "").strip().lower():
        return f"a fast BLAS is turned off by {SWITCH}; unset it to use one" if word in _OFF else ""
    from tui_tuner.settings import load_settings, settings_path

    if load_settings().fast_blas:
        return ""
    return f"a fast BLAS is turned off by the setting fast_blas in {settings_path()}; set it to true to use one"


def share_processors(processes: int) -> None:
    """Leaves room for as many processes that compute on this machine; to be called before a fast BLAS is loaded.

    Threads that wait for each other on too few processors cost more than they bring: measured, two processes with two
    threads each on two processors were ten times slower than with one each.
    """
    if processes < 2 or not sys.platform.startswith("linux") or any(os.environ.get(key) for key in _THREADS):
        return
    each = str(max(usable_processors() // processes, 1))
    for key in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[key] = each


def _candidates() -> Iterator[str]:
    """Files in this Python's and conda's own folders first, then names for the system's loader to find."""
    folders = [Path(sys.prefix) / "lib", *(Path(root) / "lib" for key in _PREFIXED if (root := os.environ.get(key)))]
    for folder in dict.fromkeys(folders):
        for name in _NAMES:
            if (folder / name).is_file():
                yield str(folder / name)
    yield from _NAMES


def _answers(library: str | None) -> bool:
    """Whether a library (None: what is loaded globally) has the symbol that mlx calls, unprefixed."""
    try:
        return hasattr(ctypes.CDLL(library), "cblas_sgemm")
    except OSError:
        return False


def _load(candidate: str) -> ctypes.CDLL | None:
    # Looked at privately first: a copy with prefixed or 64-bit symbols must not enter the global scope.
    if not _answers(candidate):
        return None
    if "mkl" in Path(candidate).name:
        _choose_mkl_threading()
    try:
        return ctypes.CDLL(candidate, mode=ctypes.RTLD_GLOBAL)
    except OSError:
        return None


def _choose_mkl_threading() -> None:
    """MKL ends the process when the OpenMP runtime of its default threading cannot be found: take one that can."""
    if os.environ.get("MKL_THREADING_LAYER"):
        return
    for runtime, layer in (("libiomp5.so", "INTEL"), ("libgomp.so.1", "GNU")):
        for place in (str(Path(sys.prefix) / "lib" / runtime), runtime):
            with contextlib.suppress(OSError):
                ctypes.CDLL(place, mode=ctypes.RTLD_GLOBAL)
                os.environ["MKL_THREADING_LAYER"] = layer
                return
    os.environ["MKL_THREADING_LAYER"] = "SEQUENTIAL"


def _limit_threads(library: ctypes.CDLL, name: str) -> None:
    """As many threads as processors this process may use; a container's quota counts, a person's own setting wins."""
    if any(os.environ.get(key) for key in _THREADS):
        return
    setter = "MKL_Set_Num_Threads" if name == "MKL" else "openblas_set_num_threads"
    with contextlib.suppress(AttributeError):
        getattr(library, setter)(ctypes.c_int(usable_processors()))


def usable_processors() -> int:
    """Processors this process may use: of its affinity mask, and no more than its control group's quota."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _quota()
    return max(1, count if quota is None else min(count, round(quota)))


def _quota() -> float | None:
    """Processors' worth of time that a control group allows (cgroup v2, then v1); None for no limit."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        limit, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()[:2]
        return None if limit == "max" else float(limit) / float(period)
    with contextlib.suppress(OSError, ValueError, ZeroDivisionError):
        root = Path("/sys/fs/cgroup/cpu")
        limit_us = float((root / "cpu.cfs_quota_us").read_text(encoding="ascii"))
        return limit_us / float((root / "cpu.cfs_period_us").read_text(encoding="ascii")) if limit_us > 0 else None
    return None
