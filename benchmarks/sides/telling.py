"""What a measured process tells: how far it is, on standard error, and its figures, as the last line of its output."""

from __future__ import annotations

import json
import resource
import sys
import time
from typing import Any

_EVERY = 5.0  # seconds


class Progress:
    """Tells of steps, rarely enough to cost nothing."""

    def __init__(self, total: int) -> None:
        self._total, self._next = total, 0.0

    def at(self, step: int) -> None:
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + _EVERY
            print(f"progress {step} {self._total}", file=sys.__stderr__, flush=True)


def figures(**values: Any) -> None:
    """Prints the figures, with the processor time and the memory that the process has taken."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    unit = 1 if sys.platform == "darwin" else 1024
    values |= {"processor": usage.ru_utime + usage.ru_stime, "resident": usage.ru_maxrss * unit}
    print(json.dumps(values), file=sys.__stdout__, flush=True)
