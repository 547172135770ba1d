"""Small real models for tests: true architectures, random weights, real chat templates, a tokenizer trained here."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

_SPECIAL = {
    "phi3": ["<|endoftext|>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>"],
    "llama": ["<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"],
    "qwen2": ["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
    "gemma": ["<pad>", "<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>"],
    "plain": ["<|endoftext|>"],
}
_EOS = {
    "phi3": "<|end|>",
    "llama": "<|eot_id|>",
    "qwen2": "<|im_end|>",
    "gemma": "<end_of_turn>",
    "plain": "<|endoftext|>",
}
# Put before every encoded text, as these families do; a template that brings its own is tokenised without.
_BOS = {"llama": "<|begin_of_text|>", "gemma": "<bos>"}
_TEMPLATE = {
    "phi3": (
        "{% for m in messages %}{{ '<|' + m['role'] + '|>\n' + m['content'] + '<|end|>\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %}"
    ),
    "llama": (
        "{{ '<|begin_of_text|>' }}{% for m in messages %}{{ '<|start_header_id|>' + m['role'] + '<|end_header_id|>\n\n'"
        " + m['content'] + '<|eot_id|>' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
    ),
    "qwen2": (
        "{% if tools %}{{ '<|im_start|>system\n' + tools | tojson + '<|im_end|>\n' }}{% endif %}"
        "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
    ),
    # Knows no system role and wants turns to alternate.
    "gemma": (
        "{{ bos_token }}{% if messages and messages[0]['role'] == 'system' %}"
        "{{ raise_exception('System role not supported') }}{% endif %}"
        "{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}"
        "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}"
        "{{ '<start_of_turn>' + ('model' if m['role'] == 'assistant' else m['role']) + '\n' + m['content'] | trim"
        " + '<end_of_turn>\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
    ),
    "plain": None,
}
_VOCABULARY = (
    "the a one two three red green blue fox owl bear runs sees likes plays game score goal team point "
    "what who where is was in on at with and or of to from by for long short quick slow"
)
_WORDS = _VOCABULARY.split()


def sentence(rng: random.Random, low: int = 3, high: int = 12) -> str:
    """A few words of a small vocabulary."""
    return " ".join(rng.choice(_WORDS) for _ in range(rng.randint(low, high)))


def make_rows(count: int, seed: int = 0, low: int = 3, high: int = 12) -> list[dict[str, Any]]:
    """Prompt/completion rows of varied length."""
    rng = random.Random(seed)
    return [
        {"prompt": f"what is {sentence(rng, low, high)}?", "completion": f"it is {sentence(rng, low, high)}."}
        for _ in range(count)
    ]


def make_tokenizer(folder: Path, kind: str) -> int:
    """Writes a tokenizer of a family (phi3, llama, qwen2, gemma; plain has no chat template); returns its size."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=_SPECIAL[kind],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    rng = random.Random(1)
    tokenizer.train_from_iterator([sentence(rng, 5, 30) for _ in range(300)], trainer)
    if bos := _BOS.get(kind):
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{bos} $A", special_tokens=[(bos, tokenizer.token_to_id(bos))]
        )
    tokenizer.save(str(folder / "tokenizer.json"))
    config: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": _EOS[kind],
        "pad_token": _SPECIAL[kind][0],
        "model_max_length": 512,
        "clean_up_tokenization_spaces": False,
    }
    if bos:
        config["bos_token"] = bos
    if template := _TEMPLATE[kind]:
        config["chat_template"] = template
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return int(tokenizer.get_vocab_size())


def make_model(
    folder: Path,
    kind: str = "phi3",
    *,
    hidden: int = 64,
    layers: int = 3,
    intermediate: int = 128,
    bits: int | None = None,
    seed: int = 7,
    vocabulary: int | None = None,
    settings: dict[str, Any] | None = None,
) -> Path:
    """Writes a model folder that mlx-lm loads.

    Args:
        kind: phi3, llama, qwen2 or gemma.
        bits: quantize with groups of 32 to so many bits.
        vocabulary: rows of the embedding when it should be larger than the tokenizer's vocabulary.
        settings: of another architecture, put over those of the kind, whose tokenizer and template it takes.
    """
    import mlx.core as mx
    import mlx.nn as nn
    from mlx.utils import tree_flatten
    from mlx_lm.utils import _get_classes, quantize_model

    size = make_tokenizer(folder, kind)
    config: dict[str, Any] = {
        "model_type": kind,
        "architectures": ["ForCausalLM"],
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "intermediate_size": intermediate,
        "num_attention_heads": 4,
        "num_key_value_heads": 2 if kind != "phi3" else 4,
        "rms_norm_eps": 1e-5,
        "vocab_size": vocabulary or size,
        "max_position_embeddings": 512,
        "original_max_position_embeddings": 512,
        "rope_theta": 10000.0,
        "tie_word_embeddings": False,
        "torch_dtype": "float32",
        "eos_token_id": _eos_id(folder, kind),
    }
    if kind == "gemma":
        config |= {"head_dim": hidden // 4, "tie_word_embeddings": True}
    config |= settings or {}
    mx.random.seed(seed)
    model_class, arguments = _get_classes(config)
    model: nn.Module = model_class(arguments.from_dict(config))
    mx.eval(model.parameters())
    if bits:
        model, config = quantize_model(model, config, group_size=32, bits=bits)
    mx.save_safetensors(
        str(folder / "model.safetensors"), dict(tree_flatten(model.parameters())), metadata={"format": "mlx"}
    )
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def _eos_id(folder: Path, kind: str) -> int:
    vocabulary = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["added_tokens"]
    return next(int(t["id"]) for t in vocabulary if t["content"] == _EOS[kind])
