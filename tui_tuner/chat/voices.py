"""Who answers in a chat, by name. Plain data, no mlx: a model is given to a voice on the engine's MLX thread."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Voice:
    """A model, alone or with an adapter. Two voices are equal when the same answers, whatever they are called.

    Attributes:
        model: the model's folder or hub name, as a configuration names it.
        adapter: the adapter's folder, or the weights file of one of its checkpoints; None for the model alone.
        label: what its answers are headed by.
        template: as `model.chat_template` has it; a template that lies beside the adapter comes before it.
    """

    model: str
    adapter: Path | None = None
    label: str = field(default="", compare=False)
    template: str = "auto"

    @property
    def name(self) -> str:
        """`base` or `adapter`."""
        return "base" if self.adapter is None else "adapter"
