"""A conversion as it is being chosen: only what a model's shapes allow can be, and it ends in a request."""

from __future__ import annotations

from pathlib import Path

from tui_tuner.engine.model_requests import ConvertModel
from tui_tuner.engine.results import Offers
from tui_tuner.models.learned.methods import DWQ_BITS, GPTQ_BITS, Learned

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
    "dynamic": "more bits where your rows feel it most",
    "awq": "scales weights by what your rows activate",
    "dwq": "trains scales and offsets on your rows",
    "gptq": "mends rounding errors, by your rows",
}
_BITS = {"gptq": GPTQ_BITS, "dwq": DWQ_BITS, "dynamic": (2, 3, 4, 5, 6)}
_OWN = {
    "dynamic": ("More", ("1 step", "8 bits")),
    "awq": ("Grid", ("20", "10", "40")),
    "dwq": ("Rate", ("1e-6", "1e-5", "1e-4")),
    "gptq": ("Rest", ("6", "4", "8")),
}
"""A setting of each method's own, with its values, the usual one first."""
_SAMPLES = {"dwq": ("1024", "256", "4096")}
_SOME = ("128", "32", "512")
_SAID = {
    "Rows": "that it learns from, at most",
    "More": "bits for what feels it most, than the others have",
    "Grid": "steps of its search",
    "Rate": "learning rate",
    "Rest": "bits of the embeddings",
}


class Wish:
    """What is chosen, as settings with the values there are for each.

    Args:
        offers: what the model's shapes allow.
    """

    def __init__(self, offers: Offers) -> None:
        self._offers = offers
        kinds = [*offers.modes, *([_MIXED] if offers.recipes else []), *offers.methods]
        self.kinds: tuple[str, ...] = (
            *kinds, *([_OFF] if offers.dequantize else []), *([_CAST] if offers.dtypes else [])
        )  # fmt: skip
        self._chosen: dict[str, str] = {"Mode": self.kinds[0]}

    @property
    def settings(self) -> dict[str, tuple[str, ...]]:
        """The settings of the mode that is chosen, and their values."""
        kind = self._chosen["Mode"]
        found: dict[str, tuple[str, ...]] = {"Mode": self.kinds}
        if self.learns:
            return {**found, **self._of_method(kind)}
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

    def _of_method(self, kind: str) -> dict[str, tuple[str, ...]]:
        own, values = _OWN[kind]
        groups = tuple(map(str, self._offers.methods[kind]))
        found = {"Bits": tuple(map(str, _BITS.get(kind, self._offers.modes["affine"][0])))}
        return {
            **found,
            **({"Group": groups} if len(groups) > 1 else {}),
            "Rows": _SAMPLES.get(kind, _SOME),
            own: values,
        }

    @property
    def learns(self) -> bool:
        """Whether what is chosen looks at rows first."""
        return self._chosen["Mode"] in self._offers.methods

    @property
    def most(self) -> int:
        """How many settings there are at most, whichever way is chosen."""
        return 5 if self._offers.methods else 4

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
        return _ABOUT.get(self.value(setting), "") if setting == "Mode" else _SAID.get(setting, "")

    @property
    def suffix(self) -> str:
        """What to add to the model's name."""
        kind = self.value("Mode")
        if self.learns:
            group = "" if self._group() == int(_USUAL["Group"]) else f"-g{self._group()}"
            return f"{self.value('Bits')}bit-{kind}{group}"
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
        quantizes = kind not in (_OFF, _CAST) and not self.learns
        return ConvertModel(
            model,
            target,
            bits=int(self.value("Bits")) if "Bits" in settings else None,
            group_size=self._group(),
            mode=kind if quantizes and kind != _MIXED else "affine",
            recipe=self.value("Recipe") if kind == _MIXED else "",
            dtype="" if dtype == KEEP else dtype,
            dequantize=kind == _OFF,
            data=data,
            force=force,
            learned=self._learned(kind) if self.learns else None,
        )

    def _learned(self, kind: str) -> Learned:
        """The method that is chosen, with its settings."""
        rows, own = int(self.value("Rows")), self.value(_OWN[kind][0])
        if kind == "dynamic":
            return Learned(kind, rows, high_bits=8 if own == "8 bits" else None)
        if kind == "awq":
            return Learned(kind, rows, grid=int(own))
        if kind == "dwq":
            return Learned(kind, rows, learning_rate=float(own))
        return Learned(kind, rows, rest_bits=int(own))

    def _group(self) -> int | None:
        return int(self.value("Group")) if "Group" in self.settings else self._only_group(self.value("Mode"))

    def _only_group(self, kind: str) -> int | None:
        """The group size where there is no choice."""
        modes, methods = self._offers.modes, self._offers.methods
        if kind in methods:
            return methods[kind][0]
        mode = "affine" if kind == _MIXED else kind
        return modes[mode][1][0] if mode in modes else None
