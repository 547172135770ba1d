"""Importing the heavy libraries, once, quietly and without side effects that outlive the import.

mlx_lm and transformers take seconds to import, lower the process's limit on open files, and can trip over each other
when two threads import them at once. Whatever needs them calls `ready` first.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator

from tui_tuner.models.blas import load_fast_blas

_lock = threading.Lock()
_done = False


def ready() -> None:
    """Imports mlx, mlx_lm and transformers unless that was done; safe from any thread."""
    global _done
    with _lock:
        if _done:
            return
        os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
        # Many rows are encoded on all cores. Said outright, for unsaid the library warns when a process is started.
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
        load_fast_blas()  # before mlx: afterwards its own slow one is bound
        with open_file_limit_kept():
            import mlx_lm.utils  # noqa: F401
        _done = True


def backend() -> str:
    """What mlx computes on, in words: the GPU by name, or the processor and the BLAS it uses."""
    if _on_gpu():
        import mlx.core as mx

        return str(mx.device_info().get("device_name", "the GPU"))
    blas = load_fast_blas()
    names = {"reference": "mlx's own BLAS", "platform": "the platform's BLAS", "preloaded": "a BLAS loaded before"}
    return f"the processor with {names.get(blas.name, blas.name)}"


def backend_advice() -> str:
    """What would make mlx compute faster on this machine, in words; empty when there is nothing to do."""
    return "" if _on_gpu() else load_fast_blas().advice


def _on_gpu() -> bool:
    ready()
    import mlx.core as mx

    return bool(mx.default_device().type == mx.gpu)


@contextlib.contextmanager
def open_file_limit_kept() -> Iterator[None]:
    """Puts the process's limit on open files back to what it was: importing mlx_lm lowers it."""
    try:
        import resource
    except ImportError:  # not on this platform: nothing to keep
        yield
        return
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        yield
    finally:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
