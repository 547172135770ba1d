"""Makes a llama of random weights, its tokenizer trained on the very texts: FOLDER TEXTS HIDDEN LAYERS VOCABULARY."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from tui_tuner.models.libraries import ready

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
TEMPLATE = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def make_tokenizer(folder: Path, texts: list[str], vocabulary: int) -> int:
    """Writes a byte-level tokenizer; returns its size."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": SPECIAL[2],
        "pad_token": SPECIAL[0],
        "clean_up_tokenization_spaces": False,
        "chat_template": TEMPLATE,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return int(tokenizer.get_vocab_size())


def main() -> None:
    folder, texts = Path(sys.argv[1]), Path(sys.argv[2])
    hidden, layers, vocabulary = map(int, sys.argv[3:6])
    ready()
    import mlx.core as mx
    from mlx.utils import tree_flatten
    from mlx_lm.utils import _get_classes

    folder.mkdir(parents=True)
    config: dict[str, Any] = {
        "model_type": "llama",
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "intermediate_size": 3 * hidden,
        "num_attention_heads": hidden // 32,
        "num_key_value_heads": hidden // 64,
        "rms_norm_eps": 1e-5,
        "rope_theta": 1e4,
        "vocab_size": make_tokenizer(folder, json.loads(texts.read_text()), vocabulary),
        "max_position_embeddings": 2048,
        "tie_word_embeddings": False,
    }
    mx.random.seed(0)
    kind, arguments = _get_classes(config)
    weights = dict(tree_flatten(kind(arguments.from_dict(config)).parameters()))
    mx.save_safetensors(str(folder / "model.safetensors"), weights, {"format": "mlx"})
    (folder / "config.json").write_text(json.dumps(config))


if __name__ == "__main__":
    main()
