"""What the tests of learned quantization share: one way of rounding, rows of tokens, and nobody who watches."""

from __future__ import annotations

from typing import Any

import numpy as np

from tui_tuner.models.scheme import Params

GROUP = 32
LOW = Params(4, GROUP)


def nothing(*_: Any) -> None:
    """Watches nothing."""


def rows(count: int = 6, length: int = 12, seed: int = 0) -> list[list[int]]:
    """So many rows of so many token ids."""
    return np.random.default_rng(seed).integers(3, 300, (count, length)).tolist()
