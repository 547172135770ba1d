"""Pre-training of the base model: a phi3 of about a million parameters, in float32, from random weights.

The loss looks at all that the model has to say, and at a tenth of what it is told: that is random, and there is little
to learn in it but its form. mlx is imported inside the functions only. Nothing here reads `players.json`.
"""

from __future__ import annotations

import json
import math
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .quick_math import quick_cross_entropy, quick_exponentials
from .skills import draw_conversation, system_message
from .tokenizer import END, ENDOFTEXT, SPACE, encode_conversation

__all__ = ["Recipe", "build_model", "model_config", "pretrain", "save_model"]


@dataclass(frozen=True)
class Recipe:
    """The shape of the model and how it is trained."""

    seed: int = 7
    hidden: int = 128
    layers: int = 4
    heads: int = 4
    intermediate: int = 256
    context: int = 512
    steps: int = 3500
    batch: int = 32
    peak_rate: float = 3e-3
    warmup: int = 100
    weight_decay: float = 0.05
    told_share: float = 0.1
    longest: int = 160


def model_config(recipe: Recipe, vocabulary: int) -> dict[str, Any]:
    """config.json, with the keys that Phi-3's has."""
    return {
        "architectures": ["Phi3ForCausalLM"],
        "model_type": "phi3",
        "hidden_size": recipe.hidden,
        "num_hidden_layers": recipe.layers,
        "intermediate_size": recipe.intermediate,
        "num_attention_heads": recipe.heads,
        "num_key_value_heads": recipe.heads,
        "hidden_act": "silu",
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "rope_scaling": None,
        "max_position_embeddings": recipe.context,
        "original_max_position_embeddings": recipe.context,
        "vocab_size": vocabulary,
        "tie_word_embeddings": False,
        "attention_bias": False,
        "attention_dropout": 0.0,
        "embd_pdrop": 0.0,
        "resid_pdrop": 0.0,
        "initializer_range": 0.02,
        "sliding_window": None,
        "bos_token_id": None,
        "eos_token_id": [END, ENDOFTEXT],
        "pad_token_id": ENDOFTEXT,
        "torch_dtype": "float32",
        "use_cache": True,
    }


def build_model(recipe: Recipe, tokenizer: Any) -> Any:
    """A new mlx-lm phi3 with random weights.

    Embeddings are large beside what the layers add at first, a word starts near the same word after a space, and the
    output layer starts as a small copy of the embeddings: attending to a word then already means saying it, which is
    what lets so small a model learn to copy within minutes.
    """
    import mlx.core as mx
    from mlx.utils import tree_map_with_path
    from mlx_lm.models.phi3 import Model, ModelArgs

    mx.random.seed(recipe.seed)
    model = Model(ModelArgs.from_dict(model_config(recipe, tokenizer.get_vocab_size())))
    own = mx.random.normal((2, tokenizer.get_vocab_size(), recipe.hidden))
    embeddings = 0.5 * (0.8 * own[0][mx.array(_families(tokenizer))] + 0.6 * own[1])

    def start(path: str, value: Any) -> Any:
        if "norm" in path:
            return value
        if "embed_tokens" in path or "lm_head" in path:
            return embeddings * (0.1 if "lm_head" in path else 1.0)
        scale = 1.0 / math.sqrt(value.shape[-1])
        if path.endswith(("o_proj.weight", "down_proj.weight")):
            scale /= math.sqrt(2 * recipe.layers)
        return mx.random.normal(value.shape) * scale

    model.update(tree_map_with_path(start, model.parameters()))
    mx.eval(model.parameters())
    return model


def _families(tokenizer: Any) -> list[int]:
    """For each token the id of the same word without the space before it; its own id where there is none."""
    vocabulary: dict[str, int] = tokenizer.get_vocab()
    bare = {index: vocabulary.get(piece.removeprefix(SPACE), index) for piece, index in vocabulary.items()}
    return [bare[index] for index in range(len(bare))]


def _batches(recipe: Recipe, tokenizer: Any) -> Iterator[tuple[Any, Any, Any]]:
    """Without end: inputs, the places that the loss looks at, and what stands there; rows of similar length."""
    import numpy as np

    rng = random.Random(f"pretrain-{recipe.seed}")
    while True:
        rows: list[tuple[list[int], list[bool]]] = []
        while len(rows) < recipe.batch * 16:
            ids, said = encode_conversation(tokenizer, draw_conversation(rng), system_message(rng))
            if len(ids) <= recipe.longest:
                rows.append((ids, said))
        rows.sort(key=lambda row: len(row[0]))
        groups = [rows[i : i + recipe.batch] for i in range(0, len(rows), recipe.batch)]
        rng.shuffle(groups)
        for group in groups:
            width = 8 * math.ceil((len(group[-1][0]) - 1) / 8) + 1
            ids_array = np.zeros((len(group), width), dtype=np.int32)
            counted = np.zeros((len(group), width), dtype=bool)
            for i, (ids, said) in enumerate(group):
                ids_array[i, : len(ids)] = ids
                counted[i, : len(ids)] = [s or rng.random() < recipe.told_share for s in said]
            places = np.flatnonzero(counted[:, 1:])
            yield ids_array[:, :-1], places, ids_array[:, 1:].reshape(-1)[places]


def pretrain(recipe: Recipe, tokenizer: Any, say: Callable[[str], None]) -> Any:
    """The trained model; `say` gets a line of progress now and then."""
    import mlx.core as mx
    import mlx.nn as nn
    import mlx.optimizers as optim

    model = build_model(recipe, tokenizer)
    rise = optim.linear_schedule(recipe.peak_rate / 100, recipe.peak_rate, recipe.warmup)
    fall = optim.cosine_decay(recipe.peak_rate, max(1, recipe.steps - recipe.warmup), recipe.peak_rate / 100)
    schedule = optim.join_schedules([rise, fall], [recipe.warmup])
    optimizer = optim.AdamW(learning_rate=schedule, weight_decay=recipe.weight_decay, betas=[0.9, 0.98])

    def loss_of(inputs: Any, places: Any, targets: Any) -> Any:
        states = model.model(inputs).reshape(-1, recipe.hidden)[places]
        return quick_cross_entropy(model.lm_head(states), targets).mean()

    gradient = nn.value_and_grad(model, loss_of)

    def step(inputs: Any, places: Any, targets: Any) -> Any:
        loss, gradients = gradient(inputs, places, targets)
        gradients, _ = optim.clip_grad_norm(gradients, 1.0)
        optimizer.update(model, gradients)
        return loss

    begun, recent = time.perf_counter(), []
    batches = _batches(recipe, tokenizer)
    with quick_exponentials():
        for number in range(1, recipe.steps + 1):
            loss = step(*(mx.array(part) for part in next(batches)))
            mx.eval(loss, model.state, optimizer.state)
            recent.append(loss.item())
            if number % 50 == 0 or number == recipe.steps:
                mean = sum(recent) / len(recent)
                say(f"step {number}/{recipe.steps}  loss {mean:.4f}  {time.perf_counter() - begun:.0f} s")
                recent = []
    return model


def save_model(model: Any, recipe: Recipe, vocabulary: int, folder: Path) -> None:
    """Writes config.json, generation_config.json and model.safetensors."""
    import mlx.core as mx
    from mlx.utils import tree_flatten

    config = model_config(recipe, vocabulary)
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    generation = {"do_sample": False, "eos_token_id": [END, ENDOFTEXT], "pad_token_id": ENDOFTEXT}
    (folder / "generation_config.json").write_text(json.dumps(generation, indent=2) + "\n", encoding="utf-8")
    mx.save_safetensors(str(folder / "model.safetensors"), dict(tree_flatten(model.parameters())), {"format": "mlx"})
