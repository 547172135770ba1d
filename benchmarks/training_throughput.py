"""The fast mode against mlx_lm.lora: real, unpadded tokens per second, on the same rows, in alternation.

Stock is what `mlx_lm.lora` runs (`mlx_lm.lora.train_model`); the fast mode is the app's own loop. Each side runs in
a process of its own, with the same BLAS, prompt masking on, one epoch over the same rows, and pays for everything: the
tokenisation, every trace of its compiled step, the remainder rows (which stock leaves out, and which count for the
fast mode because it trains them). Only ratios are printed as results, and only they mean something on another machine.

    python benchmarks/training_throughput.py --data-dir DIR [--steps 0] [--pairs 1] [--batch 1 4 8] [--frozen] [--json]

DIR holds alpaca/alpaca_en_999.json, gsm8k/train_3000.jsonl and wikisql/train.jsonl (the project ships no data). With
`--steps N` only N batches' worth of each set's rows is taken. Exit 0 when all bars are met, else 1.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import tempfile
from pathlib import Path
from typing import Any

from common import run_python, verdict

BARS = {
    ("alpaca", 1): 1.0,
    ("alpaca", 4): 1.6,
    ("alpaca", 8): 1.9,
    ("gsm8k", 1): 1.0,
    ("gsm8k", 4): 1.3,
    ("gsm8k", 8): 1.45,
    ("wikisql", 1): 1.0,
}
FROZEN_BAR = 1.7
MAX_LENGTH = 1024

MODEL = """
import json, sys
from pathlib import Path
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from tui_tuner.models.libraries import ready
ready()
import mlx.core as mx
from mlx.utils import tree_flatten
from mlx_lm.utils import _get_classes

folder, texts, hidden, layers, vocabulary = Path(sys.argv[1]), Path(sys.argv[2]), *map(int, sys.argv[3:6])
folder.mkdir()
special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
tokenizer = Tokenizer(models.BPE())
tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
tokenizer.decoder = decoders.ByteLevel()
tokenizer.train_from_iterator(json.loads(texts.read_text()), trainers.BpeTrainer(vocab_size=vocabulary,
    special_tokens=special, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
tokenizer.save(str(folder / "tokenizer.json"))
(folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast",
    "eos_token": special[2], "pad_token": special[0], "clean_up_tokenization_spaces": False, "chat_template":
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"}))
config = {"model_type": "llama", "hidden_size": hidden, "num_hidden_layers": layers, "intermediate_size": 3 * hidden,
    "num_attention_heads": hidden // 32, "num_key_value_heads": hidden // 64, "rms_norm_eps": 1e-5, "rope_theta": 1e4,
    "vocab_size": tokenizer.get_vocab_size(), "max_position_embeddings": 2048, "tie_word_embeddings": False}
mx.random.seed(0)
kind, arguments = _get_classes(config)
model = kind(arguments.from_dict(config))
mx.save_safetensors(str(folder / "model.safetensors"), dict(tree_flatten(model.parameters())), {"format": "mlx"})
(folder / "config.json").write_text(json.dumps(config))
"""

STOCK = """
import json, resource, sys, time, types
from tui_tuner.models.libraries import ready
ready()
import mlx.core as mx
import numpy as np
from mlx_lm import lora
from mlx_lm.tuner import datasets, trainer
from mlx_lm.utils import load

model_path, data, batch, max_length, out = sys.argv[1:6]
model, tokenizer = load(model_path)
args = types.SimpleNamespace(**{**lora.CONFIG_DEFAULTS, "model": model_path, "data": data, "train": True,
    "batch_size": int(batch), "steps_per_report": 10, "steps_per_eval": 10**6, "save_every": 10**6,
    "mask_prompt": True, "num_layers": -1, "learning_rate": 1e-4, "max_seq_length": int(max_length),
    "adapter_path": out})
train, _, _ = datasets.load_dataset(args, tokenizer)
args.iters = len(train) // int(batch)
seen = {"tokens": 0, "begun": 0.0}

class Counting(datasets.CacheDataset):
    # Rows are fetched just before their step, and tokenised then.
    def __getitem__(self, index):
        seen["begun"] = seen["begun"] or time.perf_counter()
        row = super().__getitem__(index)
        seen["tokens"] += min(len(row[0]), int(max_length))
        return row

class Clock(trainer.TrainingCallback):
    def on_train_loss_report(self, info):
        seen["seconds"] = time.perf_counter() - seen["begun"]

lora.CacheDataset = Counting
np.random.seed(0)
mx.reset_peak_memory()
sys.stdout = sys.stderr
lora.train_model(args, model, train, [], Clock())
sys.stdout = sys.__stdout__
print(json.dumps({"tokens": seen["tokens"], "seconds": seen["seconds"], "steps": args.iters,
    "peak": mx.get_peak_memory(), "resident": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}))
"""

FAST = """
import json, resource, sys, time
from pathlib import Path
from tui_tuner.config import AdapterSection, TrainSection
from tui_tuner.data.examples import tokenise_all
from tui_tuner.models.adapters import attach
from tui_tuner.models.load import load_base
from tui_tuner.runs.control import JobControl
from tui_tuner.training.fast.activations import ActivationStore
from tui_tuner.training.fast.frozen import FrozenLoss, frozen_loss
from tui_tuner.training.fast.loss import fast_loss
from tui_tuner.training.fast.order import FastOrder
from tui_tuner.training.loop import Trainer
from tui_tuner.training.optimizers import build_optimizer

model_path, data, batch, max_length, layers, epochs, reuse = sys.argv[1:8]
base = load_base(Path(model_path))
import mlx.core as mx
rows = [json.loads(line) for line in (Path(data) / "train.jsonl").open()]
mx.random.seed(0)
attach(base.model, AdapterSection(layers=int(layers)))
mx.reset_peak_memory()
begun = time.perf_counter()
examples = tokenise_all(rows, base.tokenizer, mask_prompt=True, max_length=int(max_length), where="train")
order = FastOrder(examples, [], batch_size=int(batch), max_length=int(max_length), seed=0)
size = order.batches_per_epoch
first, start = order.next(), {"epoch": 0, "cursor": 0}
order.restore(start)
loss = fast_loss(base.model, first)
assert loss.split is not None, loss.reason
if reuse == "reuse":
    loss, reason = frozen_loss(base.model, loss, first, ActivationStore(memory=8 << 30), "benchmark")
    assert isinstance(loss, FrozenLoss), reason
train = TrainSection(learning_rate=1e-4, iters=size * int(epochs), batch_size=int(batch), eval_every=10**6,
    save_every=10**6, report_every=size if int(epochs) > 1 else 10)
optimizer, rate = build_optimizer(train)
marks = {}
def emit(type, **fields):
    if type == "train":
        marks[fields["step"]] = time.perf_counter() - begun
Trainer(base.model, optimizer, rate, order, loss, train, emit=emit, control=JobControl()).run()
print(json.dumps({"tokens": int(epochs) * sum(min(len(e.tokens), int(max_length)) for e in examples),
    "seconds": marks[train.iters], "epochs": [marks[size * n] for n in range(1, int(epochs) + 1)], "steps": train.iters,
    "peak": mx.get_peak_memory(), "resident": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
    "padding": order.padding, "shapes": len(order.shapes)}))
"""

Rows = list[dict[str, str]]


def read_sets(folder: Path) -> dict[str, Rows]:
    """Prompt/completion rows of the three data sets."""
    alpaca = json.loads((folder / "alpaca" / "alpaca_en_999.json").read_text(encoding="utf-8"))
    gsm8k = [json.loads(line) for line in (folder / "gsm8k" / "train_3000.jsonl").open(encoding="utf-8")]
    wikisql = [json.loads(line)["text"] for line in (folder / "wikisql" / "train.jsonl").open(encoding="utf-8")]
    return {
        "alpaca": [
            {"prompt": "\n\n".join(filter(None, (r["instruction"], r["input"]))), "completion": r["output"]}
            for r in alpaca
        ],
        "gsm8k": [{"prompt": r["question"], "completion": r["answer"]} for r in gsm8k],
        "wikisql": [
            dict(zip(("prompt", "completion"), text.rsplit("\nA: ", 1), strict=True))
            for text in wikisql
            if "\nA: " in text
        ],
    }


def usable(rows: Rows) -> Rows:
    """Rows with an answer, and with a prompt that leaves room for one: the same for both sides."""
    return [row for row in rows if row["completion"] and len(row["prompt"]) < 2 * MAX_LENGTH]


def write_set(folder: Path, rows: Rows) -> Path:
    folder.mkdir(parents=True)
    for name, part in (("train", rows), ("valid", rows[:1])):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in part), encoding="utf-8")
    return folder


def measured(code: str, *arguments: Any) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(run_python(code, *map(str, arguments), timeout=7200).strip().splitlines()[-1])
    return result


def speed(result: dict[str, Any]) -> float:
    return float(result["tokens"] / result["seconds"])


def described(stock: dict[str, Any], fast: dict[str, Any]) -> str:
    padding = fast["padding"]
    sides = (
        f"{side} {speed(got):.0f} tokens/s ({1000 * got['seconds'] / got['steps']:.0f} ms a step, {share:.0%} padding, "
        f"peak {got['peak'] / 1e6:.0f} MB, resident {got['resident'] / 1e3:.0f} MB)"
        for side, got, share in (("stock", stock, padding[1]), ("fast", fast, padding[0]))
    )
    return f"{', '.join(sides)}, {fast['shapes']} shapes, {padding[2]:.2f}x by padding alone"


def compare(name: str, size: int, data: Path, model: Path, scratch: Path, pairs: int) -> dict[str, Any]:
    """Runs both sides in alternation; ratios of speed and memory."""
    ratios, memory, resident = [], [], []
    for number in range(pairs):
        order = ("stock", "fast") if number % 2 == 0 else ("fast", "stock")
        got: dict[str, dict[str, Any]] = {}
        for side in order:
            if side == "stock":
                got[side] = measured(STOCK, model, data, size, MAX_LENGTH, scratch / "adapter")
            else:
                got[side] = measured(FAST, model, data, size, MAX_LENGTH, 0, 1, "plain")
        stock, fast = got["stock"], got["fast"]
        ratios.append(speed(fast) / speed(stock))
        memory.append(fast["peak"] / stock["peak"])
        resident.append(fast["resident"] / stock["resident"])
        print(f"{name}, batch {size}: {described(stock, fast)}, ratio {ratios[-1]:.2f}", flush=True)
    return {
        "set": name,
        "batch": size,
        "ratio": statistics.median(ratios),
        "peak": statistics.median(memory),
        "resident": statistics.median(resident),
    }


def frozen(data: Path, model: Path, size: int, layers: int, pairs: int) -> float:
    """A quarter of the layers adapted: speed of the later epochs with what frozen layers compute kept ÷ without."""
    ratios = []
    for _ in range(pairs):
        plain, reuse = (
            measured(FAST, model, data, size, MAX_LENGTH, max(layers // 4, 1), 3, way) for way in ("plain", "reuse")
        )
        before, after = ((r["epochs"][-1] - r["epochs"][0]) / 2 for r in (plain, reuse))
        ratios.append(before / after)
        print(
            f"frozen layers: an epoch from the second on took {before:.1f} s without and {after:.1f} s with reuse, "
            f"ratio {ratios[-1]:.2f}; peak {plain['peak'] / 1e6:.0f} MB and {reuse['peak'] / 1e6:.0f} MB",
            flush=True,
        )
    return statistics.median(ratios)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=0, help="batches a set; 0 is one whole epoch")
    parser.add_argument("--pairs", type=int, default=1)
    parser.add_argument("--sets", nargs="+", default=["alpaca", "gsm8k", "wikisql"])
    parser.add_argument("--batch", nargs="+", type=int, default=[1, 4, 8])
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--vocabulary", type=int, default=4096)
    parser.add_argument("--frozen", action="store_true", help="measure the reuse of frozen layers as well")
    parser.add_argument("--only-frozen", action="store_true", help="measure nothing else")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def main() -> int:
    options = arguments()
    sets = {name: usable(rows) for name, rows in read_sets(options.data_dir).items()}
    for rows in sets.values():
        random.Random(0).shuffle(rows)
    results, met = [], True
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        texts = scratch / "texts.json"
        texts.write_text(json.dumps([" ".join(row.values()) for rows in sets.values() for row in rows]))
        model = scratch / "model"
        run_python(MODEL, str(model), str(texts), str(options.hidden), str(options.layers), str(options.vocabulary))
        for key in options.sets if not options.only_frozen else []:
            for size in options.batch:
                rows = sets[key][: options.steps * size or None]
                data = write_set(scratch / f"{key}-{size}", rows)
                results.append(compare(key, size, data, model, scratch, options.pairs))
        for each in results:
            label = f"{each['set']}, batch {each['batch']}"
            if (each["set"], each["batch"]) in BARS:
                bar = BARS[each["set"], each["batch"]]
                met &= verdict(f"{label}: tokens/s ÷ mlx_lm.lora", each["ratio"], bar, at_least=True)
            met &= verdict(f"{label}: peak memory ÷ mlx_lm.lora", each["peak"], 1.0, at_least=False)
        if options.frozen or options.only_frozen:
            data = write_set(scratch / "frozen", sets["gsm8k"][: (options.steps or 100) * 4])
            ratio = frozen(data, model, 4, options.layers, options.pairs)
            results.append({"set": "gsm8k", "batch": 4, "frozen": ratio})
            met &= verdict("a quarter of the layers adapted: later epochs with reuse", ratio, FROZEN_BAR, at_least=True)
    if options.json:
        print(json.dumps({"results": results, "met": met}))
    return 0 if met else 1


if __name__ == "__main__":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    raise SystemExit(main())
