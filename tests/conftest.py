"""Test processes multiply with the BLAS that the program's own processes use, so that figures agree to the bit."""

from __future__ import annotations

from tui_tuner.models.blas import load_fast_blas

load_fast_blas()
