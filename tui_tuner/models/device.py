"""What the device gives a job: how much memory it has, and mlx's limits on it while a job works.

On Apple Silicon the graphics card may push a model's weights out of reach between two uses unless they are wired; mlx
wires up to a limit that is 0 by default. mlx-lm raises it while it trains and generates, and so does this, for all that
a job does, and puts it back. It must never fail a job: a limit that a system refuses stays as it was.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from tui_tuner import units
from tui_tuner.models.facts import NEAR

_MEBIBYTE = 1 << 20
_GROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


@dataclass(frozen=True)
class DeviceMemory:
    """Memory of the device that mlx computes on, in bytes.

    Attributes:
        working_set: what Metal recommends to have in use at a time; 0 on other devices, which recommend nothing.
        total: all there is: the graphics card's own, or the machine's where both share it.
    """

    working_set: int
    total: int

    @property
    def usable(self) -> int:
        """What a job can take without swapping or failing."""
        return self.working_set or self.total


def device_memory() -> DeviceMemory:
    """What mlx and the system tell of the device. To be called after `libraries.ready`."""
    import mlx.core as mx

    facts: dict[str, object] = {}
    with contextlib.suppress(Exception):  # each backend tells something else, and some nothing
        facts = dict(mx.device_info())

    def size(*names: str) -> int:
        return next((value for name in names if isinstance(value := facts.get(name), int) and value > 0), 0)

    total = size("total_memory", "memory_size") or system_memory()
    return DeviceMemory(size("max_recommended_working_set_size"), total)


def system_memory() -> int:
    """Bytes of memory that the system lets this process have; a graphics card's own do not count. Needs no mlx."""
    return min([int(psutil.virtual_memory().total), *_group_limits()])


def memory_in_use() -> dict[str, int]:
    """What mlx has in use, keeps for later use, and had in use at most: bytes, by the names of the event `machine`.

    Counters that belong to no stream: any thread may ask. Empty where mlx does not tell.
    """
    import mlx.core as mx

    with contextlib.suppress(Exception):
        return {
            "mlx_active": int(mx.get_active_memory()),
            "mlx_cache": int(mx.get_cache_memory()),
            "mlx_peak": int(mx.get_peak_memory()),
        }
    return {}


def _group_limits() -> list[int]:
    """What a control group lets this process have (cgroup v2 and v1), in bytes; a container has less than its host."""
    limits = []
    for place in _GROUP_LIMITS:
        with contextlib.suppress(OSError, ValueError):  # "max" is no number
            limits.append(int(Path(place).read_text(encoding="ascii")))
    return [limit for limit in limits if limit > 0]


@contextlib.contextmanager
def working_memory(share: float | None = None) -> Iterator[None]:
    """Gives mlx what a job needs while open: memory that stays at hand, within a limit. Then all is as it was before.

    What mlx has kept for later use is given back to the system at the end. To be used on the MLX thread, around all
    that a job computes.

    Args:
        share: of what the device can give, above which mlx first gives kept memory back and waits for what is at work;
            0 leaves it to mlx. None asks the settings.
    """
    import mlx.core as mx

    if share is None:
        from tui_tuner.settings import load_settings

        share = load_settings().memory_share
    memory = device_memory()
    with contextlib.ExitStack() as after:
        if share:
            _limit(after, mx.set_memory_limit, int(share * memory.usable))
        if memory.working_set:
            _limit(after, mx.set_wired_limit, memory.working_set)
        after.callback(_give_back)
        yield


def _limit(after: contextlib.ExitStack, change: Callable[[int], int], size: int) -> None:
    """Sets one of mlx's limits, and has it put back at the end."""
    with contextlib.suppress(RuntimeError, ValueError):  # a system before macOS 15, or one that has changed since
        before = change(size)
        after.callback(_quietly, change, before)


def _quietly(change: Callable[[int], int], size: int) -> None:
    with contextlib.suppress(RuntimeError, ValueError):
        change(size)


def _give_back() -> None:
    """Waits for what is at work, as limits must not change under it, and empties mlx's stock of unused memory."""
    import mlx.core as mx

    with contextlib.suppress(RuntimeError):  # what failed has been told by whoever asked for it
        mx.synchronize()
    mx.clear_cache()


def weights_size(folder: Path) -> int:
    """Bytes of a model's weight files, which is what the weights take in memory."""
    return sum(file.stat().st_size for file in folder.glob("model*.safetensors"))


def too_large(weights: int, memory: DeviceMemory) -> str:
    """What a person should know who uses a model of this size on this device; empty when it fits.

    Args:
        weights: bytes.
        memory: of the device.
    """
    if weights <= NEAR * memory.usable:
        return ""
    have = f"The model's weights take {units.size(weights)}"
    smaller = "take a smaller model or one of fewer bits"
    if not memory.working_set:
        all_there_is = f"{units.size(memory.total)} of memory there are"
        return f"{have} of the {all_there_is}, so that most of the time may go to swapping: {smaller}."
    text = (
        f"{have}, and macOS lets the graphics card have {units.size(memory.working_set)} at hand at a time, so that "
        f"every step may wait for memory: {smaller}"
    )
    if weights > NEAR * memory.total:
        return f"{text}."
    # Between the model and all there is; the rest is for the system and what else is open.
    more = (weights + memory.total) // 2 // _MEBIBYTE
    return (
        f"{text}, or let it have more of the machine's {units.size(memory.total)} until the next restart: "
        f"sudo sysctl iogpu.wired_limit_mb={more}"
    )
