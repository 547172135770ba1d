"""Test processes multiply with the BLAS that the program's own processes use, so that figures agree to the bit."""

from __future__ import annotations

import os
import tempfile

from hypothesis import settings

from tui_tuner.models.blas import load_fast_blas

# What tests tokenise and compute has no business in the person's own cache.
os.environ["TUI_TUNER_CACHE"] = tempfile.mkdtemp(prefix="tui-tuner-cache-")

load_fast_blas()

# The same examples in every run, however busy the machine is: a failure can be repeated.
settings.register_profile("steady", derandomize=True, deadline=None)
settings.load_profile("steady")
