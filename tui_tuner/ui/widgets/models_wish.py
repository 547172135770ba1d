"""A conversion as it is being chosen: only what a model's shapes allow can be, and it ends in a request."""

from __future__ import annotations

from pathlib import Path

from tui_tuner.engine.model_requests import ConvertModel
from tui_tuner.engine.results import Offers

KEEP = "as it is"
_USUAL = {"Bits": "4", "Group": "64"}
_MIXED, _OFF, _CAST = "mixed bits", "de-quantize", "another type"
_ABOUT = {
    "affine": "the same bits everywhere; a scale and an offset a group",
    "mxfp4": "4-bit floats, a shared power of two for every 32",
    "nvfp4": "4-bit floats, a shared 8-bit float for every 16",
    "mxfp8": "8-bit floats, a shared power of two for every 32",
    _MIXED: "more bits for the modules that suffer most",
    _OFF: "takes quantization off; what it lost stays lost",
    _CAST: "only the type of what is not quantized",
}


class Wish:
    """What is chosen, as settings with the values there are for each.

    Args:
        offers: what the model's shapes allow.
    """

    def __init__(self, offers: Offers) -> None:
        self._offers = offers
        kinds = [*offers.modes, *([_MIXED] if offers.recipes else []), *([_OFF] if offers.dequantize else [])]
        self.kinds: tuple[str, ...] = (*kinds, *([_CAST] if offers.dtypes else []))
        self._chosen: dict[str, str] = {"Mode": self.kinds[0]}

    @property
    def settings(self) -> dict[str, tuple[str, ...]]:
        """The settings of the mode that is chosen, and their values."""
        kind = self._chosen["Mode"]
        found: dict[str, tuple[str, ...]] = {"Mode": self.kinds}
        if kind == _MIXED:
            found["Recipe"] = self._offers.recipes
        if kind in self._offers.modes or kind == _MIXED:
            bits, groups = self._offers.modes["affine" if kind == _MIXED else kind]
            if len(bits) > 1 and kind != _MIXED:
                found["Bits"] = tuple(map(str, bits))
            if len(groups) > 1:
                found["Group"] = tuple(map(str, groups))
        if self._offers.dtypes:
            found["Type"] = self._offers.dtypes if kind == _CAST else (KEEP, *self._offers.dtypes)
        return found

    def value(self, setting: str) -> str:
        """What is chosen for a setting."""
        values = self.settings[setting]
        chosen = self._chosen.get(setting, _USUAL.get(setting, values[0]))
        return chosen if chosen in values else values[0]

    def step(self, setting: str, by: int) -> None:
        """Goes on to another value, round and round."""
        values = self.settings[setting]
        self._chosen[setting] = values[(values.index(self.value(setting)) + by) % len(values)]

    def about(self, setting: str) -> str:
        """What a setting's value means; empty where it says it itself."""
        return _ABOUT.get(self.value(setting), "") if setting == "Mode" else ""

    @property
    def suffix(self) -> str:
        """What to add to the model's name."""
        kind = self.value("Mode")
        if kind == _CAST:
            return self.value("Type")
        if kind == _OFF:
            name = "dequantized"
        elif kind == _MIXED:
            name = self.value("Recipe").replace("_", "-")
        else:
            name = f"{self.value('Bits')}bit" if "Bits" in self.settings else kind
        group = self.value("Group") if "Group" in self.settings else _USUAL["Group"]
        parts = [name, "" if group == _USUAL["Group"] else f"g{group}"]
        if "Type" in self.settings and self.value("Type") != KEEP:
            parts.append(self.value("Type"))
        return "-".join(part for part in parts if part)

    def request(self, model: str, target: Path | None, data: str = "", *, force: bool = False) -> ConvertModel:
        """The request; without a target it forecasts only."""
        kind, settings = self.value("Mode"), self.settings
        dtype = self.value("Type") if "Type" in settings else KEEP
        quantizes = kind not in (_OFF, _CAST)
        return ConvertModel(
            model,
            target,
            bits=int(self.value("Bits")) if "Bits" in settings else None,
            group_size=int(self.value("Group")) if "Group" in settings else self._only_group(kind),
            mode=kind if quantizes and kind != _MIXED else "affine",
            recipe=self.value("Recipe") if kind == _MIXED else "",
            dtype="" if dtype == KEEP else dtype,
            dequantize=kind == _OFF,
            data=data,
            force=force,
        )

    def _only_group(self, kind: str) -> int | None:
        """The group size where there is no choice."""
        modes = self._offers.modes
        mode = "affine" if kind == _MIXED else kind
        return modes[mode][1][0] if mode in modes else None
