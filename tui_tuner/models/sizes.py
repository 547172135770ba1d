"""Which sizes of model a machine has room for, said of well-known decoders at 4 bits: an answer before one is chosen.

What a chosen model takes is told by its own shape elsewhere; this must never be used in its place. Nothing is loaded,
no mlx imported, and no device asked.
"""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path

from tui_tuner.config import AdapterSection, TrainSection
from tui_tuner.models.device import system_memory
from tui_tuner.models.facts import NEAR
from tui_tuner.models.memory import BatchSize, training_memory, usual_memory
from tui_tuner.models.scheme import Params
from tui_tuner.models.shape import Matrix, ModelShape

_SCHEME = Params(4, 64)
_BITS = 4.5
"""Of a weight at 4 bits: every 64 share a scale and an offset of 16 bits each."""
_SHORT = 512
"""Tokens of a row of instruction data, which is short."""
_NVIDIA = Path("/proc/driver/nvidia/version")
# Metal recommends a part of the memory it shares with all else. What mlx is told on each machine counts; before it is
# asked, the smaller part is taken.
_METAL = 2 / 3


@dataclass(frozen=True)
class Decoder:
    """A model whose configuration is published: its layers, widths, heads, vocabulary, and whether its head is tied."""

    name: str
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    inner: int
    vocabulary: int
    tied: bool = False

    def shape(self) -> ModelShape:
        """Its sizes, with all linear modules and embeddings at 4 bits."""
        queries, keys = self.heads * self.head_dim, self.kv_heads * self.head_dim
        made = (
            ("self_attn.q_proj", self.hidden, queries),
            ("self_attn.k_proj", self.hidden, keys),
            ("self_attn.v_proj", self.hidden, keys),
            ("self_attn.o_proj", queries, self.hidden),
            ("mlp.gate_proj", self.hidden, self.inner),
            ("mlp.up_proj", self.hidden, self.inner),
            ("mlp.down_proj", self.inner, self.hidden),
        )
        matrices = tuple(Matrix(path, inputs, outputs, quantized=_SCHEME) for path, inputs, outputs in made)
        tables = (1 if self.tied else 2) * self.vocabulary * self.hidden
        count = self.layers * sum(matrix.weights for matrix in matrices) + tables
        norms = (2 * self.layers + 1) * self.hidden
        return ModelShape(
            self.layers, self.hidden, self.heads, self.kv_heads, self.head_dim, self.inner, self.vocabulary, element=2,
            bytes=int(count * _BITS / 8) + 2 * norms, parameters=count + norms, matrices=matrices, tied=self.tied,
        )  # fmt: skip


DECODERS = (
    Decoder("Llama-3.2-1B", 16, 2048, 32, 8, 64, 8192, 128256, tied=True),
    Decoder("Llama-3.2-3B", 28, 3072, 24, 8, 128, 8192, 128256, tied=True),
    Decoder("Llama-3.1-8B", 32, 4096, 32, 8, 128, 14336, 128256),
    Decoder("Qwen2.5-14B", 48, 5120, 40, 8, 128, 13824, 152064),
    Decoder("Qwen2.5-32B", 64, 5120, 40, 8, 128, 27648, 152064),
    Decoder("Llama-3.1-70B", 80, 8192, 64, 8, 128, 28672, 128256),
)
"""From small to large; figures from each model's config.json."""


@dataclass(frozen=True)
class Machine:
    """What a machine has room for.

    Attributes:
        memory: bytes that it has.
        usable: bytes that a job can take, as far as the system tells; 0 where only a graphics card knows.
        train: the largest of `DECODERS` with room to train adapters of rank 8, one row of 512 tokens at a time; None
            where none has.
        anew: the same with `train.grad_checkpoint`.
        long: the same with one row of 2,048 tokens, as the Models screen reckons.
        run: the largest with room to answer.
    """

    memory: int
    usable: int
    train: Decoder | None = None
    anew: Decoder | None = None
    long: Decoder | None = None
    run: Decoder | None = None


def this_machine() -> Machine:
    """What this machine has room for, as far as can be told without mlx."""
    memory = system_memory()
    if platform.system() == "Darwin":
        return room(memory, int(memory * _METAL))
    return Machine(memory, 0) if _NVIDIA.exists() else room(memory, memory)


def room(memory: int, usable: int) -> Machine:
    """The largest decoders that find room in `usable` bytes, tightly at most."""
    fitting: dict[str, Decoder | None] = {}
    for decoder in DECODERS:
        fitting |= {use: decoder for use, need in _needs(decoder).items() if need <= NEAR * usable}
    return Machine(memory, usable, **fitting)


def _needs(decoder: Decoder) -> dict[str, int]:
    """Bytes that each use of `Machine` takes."""
    shape = decoder.shape()
    usual = usual_memory(shape)

    def training(anew: bool) -> int:
        section = TrainSection(batch_size=1, grad_checkpoint=anew)
        return training_memory(shape, AdapterSection(), section, BatchSize(1, _SHORT, _SHORT)).peak

    return {"train": training(False), "anew": training(True), "long": usual["train"], "run": usual["run"]}


def billions(decoder: Decoder) -> str:
    """A decoder's size as people say it: `8 B`."""
    return f"{decoder.shape().parameters / 1e9:.0f} B"
