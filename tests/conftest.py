"""Every test process multiplies with the same BLAS as the program's own processes do, so that figures agree to the bit."""

from __future__ import annotations

from tui_tuner.models.blas import load_fast_blas

load_fast_blas()
