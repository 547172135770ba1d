"""Test processes multiply with the BLAS that the program's own processes use, so that figures agree to the bit."""

from __future__ import annotations

import os
import tempfile

from tui_tuner.models.blas import load_fast_blas

# What tests tokenise and compute has no business in the person's own cache.
os.environ["TUI_TUNER_CACHE"] = tempfile.mkdtemp(prefix="tui-tuner-cache-")

load_fast_blas()
