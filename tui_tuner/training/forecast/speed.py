"""How fast this device computes: a few products and sums, timed once and remembered, and what real steps taught since.

The figures are kept in the cache folder by device and kind of number; whoever deletes them loses nothing but a second.
Timing is for the MLX thread, or for a process that trains nothing; reading what is known is for anybody.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from tui_tuner.models.libraries import backend, ready
from tui_tuner.models.shape import ModelShape
from tui_tuner.paths import cache_dir
from tui_tuner.runs.files import read_object, write_json

_LONG_ENOUGH = 0.05  # seconds that a timing lasts
_UNTAUGHT, _TAUGHT = 2.0, 1.35


@dataclass(frozen=True)
class Speed:
    """What a device does in a second.

    Attributes:
        flops: additions and multiplications of a matrix product.
        moved: bytes read and written by what is done element by element.
        factor: how many times as long real steps took as these two figures tell.
        spread: an interval reaches from the estimate divided by it to the estimate times it.
    """

    flops: float
    moved: float
    factor: float = 1.0
    spread: float = _UNTAUGHT

    def seconds(self, flops: float, moved: float) -> float:
        """What so much work takes."""
        return self.factor * (flops / self.flops + moved / self.moved)


def known_speed(shape: ModelShape) -> Speed | None:
    """What was measured on this device for such a model; None where nothing was."""
    found = read_object(_place()).get(_key(shape))
    try:
        return Speed(**{name: float(value) for name, value in dict(found or {}).items()}) if found else None
    except (TypeError, ValueError):
        return None  # of another version, or not ours


def measured_speed(shape: ModelShape) -> Speed:
    """The same, measured now where nothing is known; takes a few tenths of a second."""
    known = known_speed(shape)
    if known is not None:
        return known
    speed = Speed(*_timed(shape))
    _keep(shape, speed)
    return speed


def learn(shape: ModelShape, speed: Speed, told: float, taken: float) -> None:
    """Remembers how long steps really took.

    Args:
        told: seconds that `speed` made them.
        taken: seconds that they took.
    """
    if told > 0 and taken > 0 and math.isfinite(taken / told):
        factor = speed.factor * taken / told
        _keep(shape, replace(speed, factor=min(max(factor, 0.02), 50.0), spread=_TAUGHT))


def _key(shape: ModelShape) -> str:
    bits = shape.quantized.bits if shape.quantized else "plain"
    return f"{backend()}|{shape.element} bytes|{bits}"


def _place() -> Path:
    return cache_dir() / "speeds.json"


def _keep(shape: ModelShape, speed: Speed) -> None:
    with contextlib.suppress(Exception):
        _place().parent.mkdir(parents=True, exist_ok=True)
        write_json(_place(), {**read_object(_place()), _key(shape): asdict(speed)})


def _timed(shape: ModelShape) -> tuple[float, float]:
    ready()
    import mlx.core as mx

    kind = mx.float32 if shape.element == 4 else mx.bfloat16
    rows, width = (256, 1024) if shape.element == 4 else (64, 512)
    given, weights = mx.ones((rows, width), kind), mx.ones((width, width), kind)
    way = shape.quantized
    if way is not None:
        packed = mx.quantize(weights, way.group_size, way.bits)

        def product() -> Any:
            return mx.quantized_matmul(given, *packed, group_size=way.group_size, bits=way.bits)
    else:

        def product() -> Any:
            return given @ weights

    numbers = mx.ones((1 << 20,), kind)
    seconds = _time_of(lambda: mx.eval(product()))
    moving = _time_of(lambda: mx.eval(numbers * mx.sigmoid(numbers)))
    return 2.0 * rows * width * width / seconds, 2.0 * numbers.nbytes / moving


def _time_of(act: Callable[[], None]) -> float:
    """Seconds of one time, the fastest of several."""
    act()
    best, begun = math.inf, time.perf_counter()
    while time.perf_counter() - begun < _LONG_ENOUGH or best == math.inf:
        started = time.perf_counter()
        act()
        best = min(best, time.perf_counter() - started)
    return max(best, 1e-9)
