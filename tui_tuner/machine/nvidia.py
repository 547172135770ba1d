"""What NVIDIA's driver tells of its cards, by NVML, where `nvidia-ml-py` is installed and a driver answers.

Without either nothing is known, and nothing fails. The driver's library is opened once; it must never be asked again
and again when there is none.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any


def _library() -> Any:
    return importlib.import_module("pynvml")


class Nvidia:
    """The cards that a process computes on: the mean of their loads, memory and power of all, the hottest temperature.

    Which cards those are says the driver. Where it does not know the process, as in a container, the cards count that
    `CUDA_VISIBLE_DEVICES` names, of which mlx takes the first, else the first of all.

    Args:
        pid: the process that computes.
        library: gives NVML's module; may raise.
        visible: what `CUDA_VISIBLE_DEVICES` says; None for nothing.
    """

    interval = 2.0

    def __init__(
        self,
        pid: int,
        library: Callable[[], Any] = _library,
        visible: str | None = os.environ.get("CUDA_VISIBLE_DEVICES"),
    ) -> None:
        self._pid, self._open, self._visible = pid, library, visible
        self._nvml: Any = None
        self._tried = False

    def read(self) -> Mapping[str, object]:
        if not self._tried:
            self._tried = True
            # Not there, no driver, or one that does not fit: it will be no other within this process's life.
            with suppress(Exception):
                nvml = self._open()
                nvml.nvmlInit()
                self._nvml = nvml
        if self._nvml is None:
            return {}
        told = [self._of(card) for card in self._cards()]
        values: dict[str, object] = {}
        for name, together in (
            ("gpu", lambda known: sum(known) / len(known)),
            ("gpu_memory", sum),
            ("gpu_memory_total", sum),
            ("gpu_temperature", max),
            ("gpu_power", sum),
        ):
            if known := [card[name] for card in told if card.get(name) is not None]:
                values[name] = together(known)
        return values

    def _cards(self) -> list[Any]:
        nvml = self._nvml
        cards = [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount())]
        ours = [card for card in cards if self._computes_on(card)]
        if ours:
            return ours
        first = (self._visible or "").split(",")[0].strip()
        with suppress(Exception):
            if first.isdigit():
                return [cards[int(first)]]
            if first:
                return [nvml.nvmlDeviceGetHandleByUUID(first)]
        return cards[:1]

    def _computes_on(self, card: Any) -> bool:
        with suppress(Exception):
            return any(each.pid == self._pid for each in self._nvml.nvmlDeviceGetComputeRunningProcesses(card))
        return False

    def _of(self, card: Any) -> dict[str, Any]:
        """Each figure by itself: cards differ in what they support, and say so by an exception."""
        nvml = self._nvml
        values: dict[str, Any] = {}
        with suppress(Exception):
            values["gpu"] = nvml.nvmlDeviceGetUtilizationRates(card).gpu / 100
        with suppress(Exception):
            memory = nvml.nvmlDeviceGetMemoryInfo(card)
            values["gpu_memory"], values["gpu_memory_total"] = memory.used, memory.total
        with suppress(Exception):
            values["gpu_temperature"] = nvml.nvmlDeviceGetTemperature(card, nvml.NVML_TEMPERATURE_GPU)
        with suppress(Exception):
            values["gpu_power"] = nvml.nvmlDeviceGetPowerUsage(card) / 1000
        return values
