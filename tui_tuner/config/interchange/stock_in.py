"""The YAML of `mlx_lm.lora`, brought over: what its keys mean here, and what stock mlx-lm would have done with each.

Made against mlx-lm 0.32 (`lora.py`, `tuner/utils.py`, `tuner/datasets.py`): a key that mlx-lm passes over is said to be
passed over, and a value that the file leaves to mlx-lm's defaults is set to that default, where ours is another.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePath
from typing import Any, Final

from tui_tuner.config.describe import in_toml
from tui_tuner.config.interchange.report import Ledger
from tui_tuner.config.interchange.stock_data import read_data
from tui_tuner.config.interchange.tracker_keys import read_tracking
from tui_tuner.config.suggest import ELSEWHERE, nearest
from tui_tuner.paths import safe_name

PLAIN: Final = {
    "model": "model.path",
    "seed": "run.seed",
    "fine_tune_type": "adapter.method",
    "resume_adapter_file": "adapter.start_from",
    "optimizer": "train.optimizer",
    "learning_rate": "train.learning_rate",
    "batch_size": "train.batch_size",
    "iters": "train.iters",
    "val_batches": "train.eval_batches",
    "steps_per_report": "train.report_every",
    "steps_per_eval": "train.eval_every",
    "save_every": "train.save_every",
    "max_seq_length": "train.max_seq_length",
    "grad_checkpoint": "train.grad_checkpoint",
    "grad_accumulation_steps": "train.grad_accumulation",
    "mask_prompt": "data.mask_prompt",
}
"""Keys that mean the same here."""

DEFAULTS: Final[dict[str, Any]] = {
    "model": "Qwen/Qwen3-0.6b",
    "seed": 0,
    "num_layers": 16,
    "iters": 1000,
    "val_batches": 25,
    "mask_prompt": False,
}
"""mlx-lm's defaults that are not ours."""

LEFT_OUT: Final = {
    "trust_remote_code": "code runs only once it is allowed, with model.trust_remote_code",
    "config": "stock mlx-lm passes it over in a file, too",
    "clear_cache_threshold": "stock mlx-lm takes it from the command line alone, and then does not pass it to its "
    "trainer; here it is train.clear_cache_threshold, in GB",
}
"""Keys of mlx-lm that have no meaning here, and why."""

SPECIAL: Final = (
    *("train", "test", "test_batches", "num_layers", "adapter_path", "lora_parameters", "lr_schedule"),
    *("optimizer_config", "data", "hf_dataset", "report_to", "project_name"),
    *("prompt_feature", "completion_feature", "text_feature", "chat_feature"),
)
"""Keys that a function of their own brings over."""

_PASSED_OVER = "stock mlx-lm passes this key over"
_LAYER_PATH = re.compile(r"(?:\w+\.)*?(?:layers|h|blocks)\.(\d+)\.(.+)")


def read_stock(values: dict[str, Any], base: Path | None = None) -> Ledger:
    """Brings over the values of a file of `mlx_lm.lora`; the ledger is still open for what no step knew."""
    ledger = Ledger.of(values, base)
    for step in (_plain, _task, _layers, _lora, _schedule, _optimizer, read_data, read_tracking, _others, _defaults):
        step(ledger)
    ledger.tables.setdefault("train", {})["mode"] = "stock"
    ledger.notes.append(
        'train.mode is "stock", so that the losses are those of mlx_lm.lora; "fast" trains the same rows in less time'
    )
    return ledger


def _plain(ledger: Ledger) -> None:
    for key, ours in PLAIN.items():
        if not ledger.has(key):
            continue
        value = ledger.values[key]
        if key == "val_batches" and value == 0:
            ledger.leave(key, "without batches stock mlx-lm reports a validation loss of NaN", warning=True)
        elif isinstance(value, str) and ours in ("train.learning_rate", "train.iters", "train.batch_size"):
            ledger.put(key, ours, value, "it is text in the file, with which stock mlx-lm stops", warning=True)
        elif key == "learning_rate" and ledger.has("lr_schedule.arguments"):
            ledger.keep(key, "stock mlx-lm passes it over beside lr_schedule, whose first argument counts")
        else:
            ledger.put(key, ours, value)


def _task(ledger: Ledger) -> None:
    if "train" in ledger.values:
        if ledger.values["train"]:
            ledger.keep("train", "a run always trains")
        else:
            ledger.leave("train", "a run always trains; stock mlx-lm would only test")
    if ledger.has("test"):
        ledger.put("test", "evaluation.enabled", ledger.values["test"])
    if ledger.has("test_batches"):
        batches, size = ledger.values["test_batches"], ledger.ours("train.batch_size") or 4
        if batches == -1:
            ledger.put("test_batches", "evaluation.rows", 0)
            ledger.keep("test_batches", "all test rows, as evaluation.rows = 0")
        elif isinstance(batches, int) and not isinstance(batches, bool):
            ledger.put("test_batches", "evaluation.rows", batches * size, f"batches of {size} rows each")
    if ledger.has("adapter_path"):
        path = str(ledger.values["adapter_path"])
        name = safe_name(PurePath(path).name)
        if name == path:
            ledger.put("adapter_path", "run.name", name)
        else:
            ledger.put("adapter_path", "run.name", name, "adapters are kept in the run's own folder")


def _layers(ledger: Ledger) -> None:
    if not ledger.has("num_layers"):
        return
    count = ledger.values["num_layers"]
    if isinstance(count, int) and not isinstance(count, bool) and count <= 0:
        ledger.put("num_layers", "adapter.layers", 0, "all layers, which is 0 here")
    else:
        ledger.put("num_layers", "adapter.layers", count)


def _lora(ledger: Ledger) -> None:
    inside = [key for key in ledger.values if key.startswith("lora_parameters.")]
    for name in ("rank", "dropout", "scale"):
        if ledger.has(key := f"lora_parameters.{name}"):
            ledger.put(key, f"adapter.{name}", ledger.values[key])
        elif inside and ledger.ours("adapter.method") != "full":
            ledger.notes.append(f"stock mlx-lm stops at lora_parameters without {name}; ours is in its place")
    _alpha(ledger)
    key = "lora_parameters.keys"
    if not ledger.has(key):
        return
    given = ledger.values[key]
    names = [str(each) for each in (given if isinstance(given, list) else [given])]
    single = [_LAYER_PATH.fullmatch(name) for name in names]
    if all(single):
        numbers = sorted({int(found[1]) for found in single if found})
        modules = list(dict.fromkeys(found[2] for found in single if found))
        if len(names) != len(numbers) * len(modules):
            ledger.leave(
                key, "it names other modules in each layer; here all chosen layers have the same", warning=True
            )
            return
        ledger.tables.setdefault("adapter", {}).update(layers=0, layer_numbers=numbers)
        ledger.put(key, "adapter.targets", modules, f"in the layers {numbers}, which adapter.layer_numbers names")
    elif bare := [name for name in names if "." not in name]:
        note = f"stock mlx-lm wants the whole path within a layer, so {bare[0]} would match nothing; here it is found"
        ledger.put(key, "adapter.targets", names, note, warning=True)
    else:
        ledger.put(key, "adapter.targets", names)


def _alpha(ledger: Ledger) -> None:
    for name in ("alpha", "lora_alpha"):
        key = f"lora_parameters.{name}"
        if not ledger.has(key):
            continue
        scale = ledger.ours("adapter.scale")
        if scale is None:
            ledger.put(
                key, "adapter.alpha", ledger.values[key], "stock mlx-lm knows scale alone and stops here", warning=True
            )
        else:
            ledger.leave(
                key, f"stock mlx-lm passes it over beside scale: it trains with factor {scale:g}", warning=True
            )


def _schedule(ledger: Ledger) -> None:
    name, arguments = ledger.values.get("lr_schedule.name"), ledger.values.get("lr_schedule.arguments")
    for key, value in ledger.values.items():
        if key == "lr_schedule.warmup":
            ledger.put(key, "train.warmup", value)
        elif key == "lr_schedule.warmup_init" and value:
            ledger.leave(key, "the warm-up starts at a rate of 0 here", warning=True)
        elif key == "lr_schedule.warmup_init":
            ledger.keep(key, "the warm-up starts at a rate of 0")
    if name is None or not isinstance(arguments, list) or not arguments:
        return
    if ledger.put("lr_schedule.arguments", "train.learning_rate", arguments[0]):
        schedule, said = _curve(ledger, str(name), arguments)
        if schedule is None:
            ledger.leave("lr_schedule.name", said, warning=True)
            said = ""
        else:
            ledger.put("lr_schedule.name", "train.schedule", schedule, "" if schedule == name else f"mlx's {name}")
        note = f"the first is the rate{'; ' + said if said else ''}"
        ledger.put("lr_schedule.arguments", "train.learning_rate", arguments[0], note, warning=bool(said))


def _curve(ledger: Ledger, name: str, arguments: list[Any]) -> tuple[str | None, str]:
    """Our schedule for one of mlx's, and what differs; None for one that there is not."""
    numbers = [each if isinstance(each, int | float) else 0 for each in arguments]
    iters = ledger.ours("train.iters") or DEFAULTS["iters"]
    updates = int(iters) // int(ledger.ours("train.grad_accumulation") or 1)
    rest = max(updates - int(ledger.ours("train.warmup") or 0), 1)
    if name == "cosine_decay" and len(numbers) >= 2:
        end, steps = (numbers[2] if len(numbers) > 2 else 0), numbers[1]
        schedule = "cosine"
    elif name == "linear_schedule" and len(numbers) >= 3:
        end, steps = numbers[1], numbers[2]
        if end == numbers[0]:
            return "constant", ""
        schedule = "linear"
    else:
        return None, "schedules here are constant, cosine and linear; the rate stays constant"
    said = []
    if end:
        said.append(f"it falls to 0 here, not to {end:g}")
    if steps != rest:
        said.append(f"it falls over the {rest} updates of the run here, not over {steps:g}")
    return schedule, "; ".join(said)


def _optimizer(ledger: Ledger) -> None:
    used = str(ledger.ours("train.optimizer") or "adam")
    for key, value in ledger.values.items():
        parts = key.split(".")
        if parts[0] != "optimizer_config" or len(parts) < 2:
            continue
        if value == {} or value is None:
            ledger.keep(key, "nothing is set in it")
        elif parts[1] != used:
            ledger.leave(key, f"stock mlx-lm reads only what is under {used}, the optimizer in use")
        elif parts[2:] == ["weight_decay"]:
            put_decay(ledger, key, used, value)
        else:
            ledger.leave(key, f"options of {used} are mlx's own defaults here", warning=True)


def put_decay(ledger: Ledger, key: str, used: str, value: Any) -> None:
    """Takes a weight decay over: 0 leaves mlx's own default here, which of adamw and muon is 0.01."""
    if used in ("adam", "adafactor"):
        if value:
            ledger.leave(key, f"{used} has no weight decay in mlx", warning=True)
        else:
            ledger.keep(key, f"{used} has none")
    elif value == 0 and used == "adamw":
        ledger.put(
            key, "train.optimizer", "adam", "AdamW without decay is Adam, and a decay of 0 means mlx's 0.01 here"
        )
    elif value == 0 and used == "muon":
        ledger.leave(key, "0 means mlx's own decay of 0.01 here", warning=True)
    else:
        ledger.put(key, "train.weight_decay", value)


def _others(ledger: Ledger) -> None:
    """What mlx-lm does not know: hyphens, names of earlier versions and other tools, slips."""
    known = (*PLAIN, *LEFT_OUT, *SPECIAL)
    for key in ledger.open():
        top = key.partition(".")[0]
        leaf = key.rpartition(".")[2].replace("-", "_")
        right = top.replace("-", "_")
        if key in LEFT_OUT:
            ledger.leave(key, LEFT_OUT[key])
        elif ledger.values[key] is None:
            ledger.keep(key, "null leaves it to the default")
        elif right != top and right in known:
            _meant(ledger, key, right, f"{_PASSED_OVER}, whose name has hyphens")
        elif top in known and "." in key:
            _meant(ledger, key, leaf, f"{_PASSED_OVER} in {top}")
        elif top == "lora_layers":
            _meant(ledger, key, top, f"{_PASSED_OVER}: it is called num_layers, and 16 layers are trained")
        elif leaf in ELSEWHERE:
            _meant(ledger, key, leaf, _PASSED_OVER)
        elif near := nearest(leaf, known):
            ledger.leave(key, f"{_PASSED_OVER}; {near} is the nearest that it knows", warning=True)
        else:
            ledger.leave(key, _PASSED_OVER, warning=True)


def _meant(ledger: Ledger, key: str, name: str, note: str) -> None:
    """Takes over what a key that mlx-lm passes over was meant to be, unless the right one is there too."""
    ours = PLAIN.get(name) or ELSEWHERE.get(name)
    value = ledger.values[key]
    if ours is None:
        ledger.leave(key, note, warning=True)
    elif ledger.ours(ours) is not None:
        ledger.leave(key, f"{note}; {ours} is {in_toml(ledger.ours(ours))} by another key", warning=True)
    elif name == "use_dora":
        ledger.put(key, ours, "dora" if value is True else "lora", note, warning=True)
    elif ours == "adapter.layers" and isinstance(value, int) and value <= 0:
        ledger.put(key, ours, 0, note, warning=True)
    elif ours == "run.name":
        ledger.put(key, ours, safe_name(PurePath(str(value)).name), note, warning=True)
    else:
        ledger.put(key, ours, value, note, warning=True)


def _defaults(ledger: Ledger) -> None:
    for key, value in DEFAULTS.items():
        ours = "adapter.layers" if key == "num_layers" else PLAIN[key]
        if ledger.has(key):
            continue  # a value that could not be taken is told, and ours stays
        if ledger.ours(ours) is None and not (ours == "adapter.layers" and ledger.ours("adapter.layer_numbers")):
            note = "the file leaves it to mlx-lm's default"
            if ledger.put(key, ours, value, note, default=True) and key in ledger.values:
                ledger.keep(key, f"null: mlx-lm's default {in_toml(value)}")
