"""`tui-tuner system`: what this machine is at, for people and scripts, once or again and again."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tui_tuner.cli.options import Debug, Json
from tui_tuner.cli.output import Output, opened
from tui_tuner.errors import TunerError

if TYPE_CHECKING:
    from tui_tuner.machine.figures import Reading

_FIRST = 0.5
"""Seconds between the two readings that a rate is taken between."""
_EVERY = 2.0
"""Seconds between two readings with `--watch`, unless told otherwise."""


def system(
    watch: Annotated[bool, typer.Option("--watch", help="Again and again, until ctrl+c.")] = False,
    every: Annotated[
        float, typer.Option("--every", metavar="SECONDS", help="Seconds between two readings with --watch.")
    ] = _EVERY,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """What this machine is at: processor, memory, swap, GPU, heat and power; and what of it cannot be had here."""
    if not every >= _FIRST:
        raise TunerError(f"--every takes {_FIRST} seconds or more", code="usage", fix="leave it out for 2", usage=True)
    from tui_tuner.machine.sampler import Sampler
    from tui_tuner.machine.sensors import sensors_of

    with opened(json=json, debug=debug) as output:
        sampler = Sampler(sensors_of(None))
        sampler.sample()
        time.sleep(_FIRST)
        if watch:
            return follow(sampler.sample, output, every)
        device, limit = _device()
        tell(sampler.sample(), output, device=device, limit=limit)
    return 0


def tell(reading: Reading, output: Output, *, device: str, limit: int, platform: str = sys.platform) -> None:
    """Says all of a reading, what mlx computes on, and what cannot be had.

    Args:
        reading: of this machine.
        output: where to.
        device: what mlx computes on; empty when it does not say.
        limit: bytes that a job may take there; 0 when unknown.
        platform: as `sys.platform`.
    """
    from tui_tuner import units
    from tui_tuner.machine.figures import FIGURES, LOOKED_FOR, missing

    absent = missing(reading.values, platform)
    if output.json:
        output.document({**document(reading), "device": device, "memory_limit": limit, "missing": absent})
        return
    lines = [("mlx computes on", device)] if device else []
    if limit:
        lines.append(("a job may take", units.size(limit)))
    for name, text in reading.texts():
        if not name.endswith("_total"):
            total = reading.values.get(f"{name}_total")
            lines.append((_SAID.get(name, FIGURES[name].label), f"{text} of {units.size(total)}" if total else text))
    for label, text in lines:
        output.say(f"{label:<24} {text}")
    for what, why in absent.items():
        output.say(f"{LOOKED_FOR[what]:<24} not to be had: {why}")


_SAID = {
    "cpu_temperature": "processor's temperature",
    "gpu_temperature": "GPU's temperature",
    "cpu_power": "processor's power",
    "gpu_power": "GPU's power",
    "power": "machine's power",
}
"""Names of figures that are told without a heading to stand under."""


def document(reading: Reading) -> dict[str, Any]:
    """A reading as JSON has it: its moment and the figures that are known."""
    from tui_tuner.machine.figures import rounded

    return {"t": reading.at, **{name: rounded(value) for name, value in reading.values.items()}}


def follow(
    sample: Callable[[], Reading],
    output: Output,
    every: float,
    wait: Callable[[float], None] = time.sleep,
    readings: int | None = None,
) -> int:
    """A line for each reading, as text or as JSON, until it is interrupted.

    Args:
        sample: gives the present reading.
        output: where to.
        every: seconds between two.
        wait: lets so many seconds pass.
        readings: how many; None for no end.
    """
    told = 0
    try:
        while readings is None or told < readings:
            if told:
                wait(every)
            reading = sample()
            output.document(document(reading)) if output.json else output.say(line(reading))
            told += 1
    except KeyboardInterrupt:  # how one ends it
        pass
    return 0


def line(reading: Reading) -> str:
    """A reading in one line, with its time of day."""
    return f"{time.strftime('%H:%M:%S', time.localtime(reading.at))}  {figures(reading)}"


def figures(reading: Reading) -> str:
    """The figures of a reading, with commas between."""
    from tui_tuner.machine.figures import FIGURES

    told = [(name, text) for name, text in reading.texts() if not name.endswith("_total")]
    return ", ".join(f"{_SAID.get(name, FIGURES[name].label)} {text}" for name, text in told)


def _device() -> tuple[str, int]:
    """What mlx computes on, and how much memory a job may take there; empty and 0 when mlx does not say."""
    try:
        from tui_tuner.models.device import device_memory
        from tui_tuner.models.libraries import backend, ready

        ready()
        return backend(), device_memory().usable
    except Exception:  # a machine is told of also where mlx cannot be loaded
        return "", 0
