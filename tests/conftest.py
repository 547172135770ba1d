"""Test processes multiply with the BLAS that the program's own processes use, so that figures agree to the bit."""

from __future__ import annotations

import gc
import os
import tempfile
from collections.abc import Iterator

import pytest
from hypothesis import settings

from tui_tuner.models.blas import load_fast_blas

# What tests tokenise and compute has no business in the person's own cache.
os.environ["TUI_TUNER_CACHE"] = tempfile.mkdtemp(prefix="tui-tuner-cache-")

load_fast_blas()

# The same examples in every run, however busy the machine is: a failure can be repeated.
settings.register_profile("steady", derandomize=True, deadline=None)
settings.load_profile("steady")


def pytest_collection_finish() -> None:
    """Keeps the collector from looking through thousands of collected tests and the libraries again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def no_waiting_for_the_disk() -> Iterator[None]:
    """Lets nothing wait until the disk has what was written: that matters when the power fails, and to no test.

    What is told to the system outlives a process that is killed, so tests that kill lose nothing by it. Processes that
    tests start wait as ever.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: os.fstat(descriptor) and None)
        yield
