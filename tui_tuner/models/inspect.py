"""What a model is, in full, for a person who wonders whether it will do. Reads configuration and headers only.

Memory is the closed form of `memory.py`: to run it with 2,048 tokens in its cache, and to train adapters of rank 8 on
all linear modules with one row of 2,048 tokens at a time.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tui_tuner import units
from tui_tuner.errors import TunerError
from tui_tuner.models.describe import describe_model, unpacked_shape, within_layer
from tui_tuner.models.facts import ModelFacts
from tui_tuner.models.folder import read_header, read_model_config, weight_files
from tui_tuner.models.memory import usual_memory
from tui_tuner.models.shape import WIDTHS, shape_of
from tui_tuner.models.targets import aliases

_LICENCES = ("LICENSE", "LICENSE.txt", "LICENSE.md", "LICENCE")
_SAMPLE = [{"role": "user", "content": "What is two plus two?"}, {"role": "assistant", "content": "Four."}]


@dataclass(frozen=True)
class Inspection:
    """A model in full.

    Attributes:
        facts: at a glance.
        tied: whether the head shares the embedding's weights; None where the configuration does not say.
        types: bytes by data type of the stored tensors.
        quantized: how many modules are quantized in which way, in words.
        stored: (path, shape, type, quantization in words or empty) of every matrix, in the order of the files.
        sample: a short conversation as the model's template writes it; empty where that cannot be done.
        licence: its name or file; empty where none is found.
        memory: forecast bytes to `run` and to `train`.
    """

    facts: ModelFacts
    tied: bool | None
    types: dict[str, int]
    quantized: dict[str, int]
    sample: str
    licence: str
    memory: dict[str, int] = field(default_factory=dict)
    stored: list[tuple[str, list[int], str, str]] = field(default_factory=list)

    @property
    def aliases(self) -> dict[str, list[str]]:
        """What names of other tools mean in this model, where it has them under another name."""
        return aliases([name for name, _ in self.facts.modules])

    @property
    def meanings(self) -> dict[str, list[str]]:
        """The same the other way round: the names by what they mean."""
        meant: dict[str, list[str]] = {}
        for name, modules in self.aliases.items():
            meant.setdefault(", ".join(modules), []).append(name)
        return meant

    @property
    def ways(self) -> dict[str, str]:
        """How each module of a layer is stored, in words; with counts where the layers differ."""
        found: dict[str, dict[str, int]] = {}
        for path, _, dtype, quantization in self.stored:
            words = quantization or dtype
            inner = found.setdefault(within_layer(path) or path, {})
            inner[words] = inner.get(words, 0) + 1
        return {
            name: next(iter(ways)) if len(ways) == 1 else ", ".join(f"{n} × {way}" for way, n in ways.items())
            for name, ways in found.items()
        }

    def as_json(self) -> dict[str, Any]:
        """The document of `inspect --json`."""
        found = asdict(self.facts)
        found["modules"] = [{"name": name, "shape": shape} for name, shape in self.facts.modules]
        return {
            **found,
            "tied_embeddings": self.tied,
            "types": self.types,
            "quantized_modules": self.quantized,
            "sample": self.sample,
            "licence": self.licence,
            "memory": self.memory,
            "aliases": self.aliases,
            "stored": [
                {"module": path, "shape": shape, "type": dtype, "quantization": way or None}
                for path, shape, dtype, way in self.stored
            ],
        }

    def lines(self) -> list[str]:
        """The same for a person."""
        facts = self.facts
        told = [
            f"{facts.path}",
            f"  architecture   {facts.architecture}, {facts.parameters:,} parameters, {facts.layers} layers",
            f"  sizes          hidden {facts.hidden:,}, heads {facts.heads} ({facts.kv_heads} for keys and values), "
            f"vocabulary {facts.vocabulary:,}, context {facts.context:,}",
            f"  weights        {units.size(facts.bytes, fine=True)}, {facts.dtype}, quantization: {facts.quantization}",
        ]
        told += [f"                 {count} modules {way}" for way, count in self.quantized.items()]
        if self.tied is not None:
            told.append(f"  head           {'shares the embedding' if self.tied else 'has weights of its own'}")
        uses = {"run": "to run", "train": "to train with adapters"}
        needs = [f"{units.size(self.memory[use])} {words}" for use, words in uses.items() if use in self.memory]
        told += [f"  memory         about {', '.join(needs)}"] if needs else []
        told.append(f"  licence        {self.licence or 'not stated'}")
        told += [f"  {role:<14} {text}" for role, text in facts.tokens.items()]
        told += ["  modules that can be trained:"]
        ways, shapes = self.ways, dict(facts.modules)
        wide, long = (max((len(text) for text in texts), default=0) for texts in (ways, shapes.values()))
        told += [
            f"    {name:<{wide}}  {shape:<{long}}  {ways.get(name, '')}".rstrip() for name, shape in shapes.items()
        ]
        told += [f"    {', '.join(names)} → {meant}" for meant, names in self.meanings.items()]
        if others := {name: way for name, way in ways.items() if name not in shapes}:
            told.append("  other matrices:")
            told += [f"    {name:<{wide}}  {'':<{long}}  {way}" for name, way in others.items()]
        if self.sample:
            told += [
                "  a conversation as its template writes it:",
                *(f"    {line}" for line in self.sample.split("\n")),
            ]
        told += [f"  ✗ {problem}" for problem in facts.problems]
        return told


def inspect_model(path: str, base: Path | None = None) -> Inspection:
    """Looks at a model given as `embedded:NAME`, folder or hub name; what is wrong is in `facts.problems`.

    Raises:
        TunerError: when there is no such model, or no readable config.json in it.
    """
    facts = describe_model(path, base)
    folder = Path(facts.path)
    config = read_model_config(folder)
    nested = config.get("text_config")
    tied = config.get("tie_word_embeddings", nested.get("tie_word_embeddings") if isinstance(nested, dict) else None)
    types: dict[str, int] = {}
    tensors: dict[str, tuple[str, list[int]]] = {}
    try:
        for file in weight_files(folder):
            tensors |= read_header(file)
    except TunerError:
        pass  # named among the problems
    for dtype, shape in tensors.values():
        types[dtype] = types.get(dtype, 0) + WIDTHS.get(dtype, 1) * math.prod(shape)
    quantization = config.get("quantization") or config.get("quantization_config") or {}
    stored = _stored(tensors, quantization)
    return Inspection(
        facts,
        tied if isinstance(tied, bool) else None,
        types,
        _counted(stored),
        _rendered(folder, facts),
        licence_of(folder, config),
        {} if facts.problems and not facts.bytes else usual_memory(shape_of(folder)),
        stored,
    )


_TYPES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}


def _stored(
    tensors: dict[str, tuple[str, list[int]]], quantization: dict[str, Any]
) -> list[tuple[str, list[int], str, str]]:
    """Every matrix: its module, its shape as if it were not quantized, the type of its numbers or of its scales, and
    how it is quantized in words."""
    found = []
    for name, (dtype, shape) in tensors.items():
        path = name.removesuffix(".weight")
        if path == name or len(shape) < 2:
            continue
        way = ""
        if f"{path}.scales" in tensors:
            own = quantization.get(path)
            way = _way(own if isinstance(own, dict) else quantization)
            dtype = tensors[f"{path}.scales"][0]
        found.append((path, unpacked_shape(name, tensors, quantization), _TYPES.get(dtype, dtype.lower()), way))
    return found


def _way(params: dict[str, Any]) -> str:
    mode = params.get("mode", "affine")
    words = f"at {params.get('bits', '?')} bits in groups of {params.get('group_size', '?')}"
    return words if mode == "affine" else f"as {mode}"


def _counted(stored: list[tuple[str, list[int], str, str]]) -> dict[str, int]:
    """How many modules are quantized in which way."""
    found: dict[str, int] = {}
    for *_, way in stored:
        if way:
            found[way] = found.get(way, 0) + 1
    return found


def _rendered(folder: Path, facts: ModelFacts) -> str:
    if not facts.chat_template or facts.problems:
        return ""
    from tui_tuner.models.load import load_tokenizer

    try:
        return str(load_tokenizer(folder).apply_chat_template(_SAMPLE, tokenize=False))
    except TunerError as error:
        facts.problems.append(error.sentence())
    except Exception as error:  # a template is the model's own code
        facts.problems.append(f"the chat template refuses a plain conversation: {error}")
    return ""


def licence_of(folder: Path, config: dict[str, Any]) -> str:
    """The name of a model's licence, or of the file that has its text; empty where neither is there."""
    if isinstance(config.get("license"), str):
        return str(config["license"])
    if told := _licence_of_card(folder / "README.md"):
        return told
    return next((name for name in _LICENCES if (folder / name).is_file()), "")


def _licence_of_card(card: Path) -> str:
    """The licence that the block at the head of a model card names, of several the first; empty for none."""
    import yaml

    try:
        head, _, rest = card.read_text(encoding="utf-8", errors="replace")[:4_000].partition("\n")
    except OSError:
        return ""
    block, end, _ = rest.partition("\n---")
    if head.rstrip() != "---" or not end:
        return ""
    try:
        told = yaml.safe_load(block)
    except (yaml.YAMLError, ValueError, RecursionError):  # a card is anybody's text; one line of it may still do
        told = {"license": next((line[8:].strip() for line in block.splitlines() if line.startswith("license:")), "")}
    licence = told.get("license") if isinstance(told, dict) else None
    licence = next(iter(licence), None) if isinstance(licence, list) else licence
    return licence if isinstance(licence, str) else ""
