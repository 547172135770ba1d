"""Model folders and adapters, damaged or made by a joker: headers, indexes and configurations give a sentence."""

from __future__ import annotations

import json
import random
import shutil
import struct
from pathlib import Path
from typing import Any

import pytest

from tests.support.mutations import as_json, damaged, odd, survive
from tui_tuner.config.model import AdapterSection, TrainSection
from tui_tuner.engine.ranks.hosts import plan_ranks
from tui_tuner.models.adapters import read_adapter_config
from tui_tuner.models.describe import describe_model
from tui_tuner.models.folder import check_folder, read_header, weight_files
from tui_tuner.models.memory import BatchSize, training_memory, usual_memory
from tui_tuner.models.shape import shape_from, shape_of
from tui_tuner.models.trust import remote_code
from tui_tuner.paths import resolve_model

QUICK = pytest.param(0, 1, id="quick")
LONG = [pytest.param(seed, 20, id=f"long-{seed}", marks=pytest.mark.slow) for seed in range(1, 4)]
ROUNDS = pytest.mark.parametrize("seed, times", [QUICK, *LONG])


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """The embedded model, with an index and without its weights' numbers: their header is all that is read here."""
    source = Path(resolve_model("embedded:phi3-tiny", None))
    folder = tmp_path / "model"
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    header = json.loads(_header(next(source.glob("model*.safetensors")).read_bytes()))
    at = 0
    for name, tensor in header.items():
        if name != "__metadata__":
            length = min(tensor["data_offsets"][1] - tensor["data_offsets"][0], 8)
            tensor["data_offsets"] = [at, at + length]
            at += length
    (folder / "model.safetensors").write_bytes(_safetensors(header, at))
    names = [name for name in header if name != "__metadata__"]
    index = {"metadata": {"total_size": at}, "weight_map": dict.fromkeys(names, "model.safetensors")}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return folder


def _header(data: bytes) -> bytes:
    (length,) = struct.unpack("<Q", data[:8])
    return data[8 : 8 + length]


def _safetensors(header: Any, size: int) -> bytes:
    raw = as_json(header)
    return struct.pack("<Q", len(raw)) + raw + b"\0" * size


def _looked_at(folder: Path) -> None:
    """What `inspect`, the Models screen, `check` and the forecast ask, as far as no library is needed for it."""
    describe_model(str(folder))
    config = check_folder(folder)
    remote_code(folder, config)
    shape = shape_of(folder)
    usual_memory(shape)
    training_memory(shape, AdapterSection(), TrainSection(), BatchSize(4, 512, 256))


@pytest.mark.parametrize(
    "name", ["config.json", "tokenizer_config.json", "model.safetensors.index.json", "generation_config.json"]
)
@ROUNDS
def test_documents(seed: int, times: int, name: str, model: Path) -> None:
    path = model / name
    if not path.exists():
        path.write_text('{"eos_token_id": [1, 2], "temperature": 0.5}')
    whole = path.read_bytes()
    document = json.loads(whole)
    if name == "config.json":
        document["quantization"] = {"group_size": 64, "bits": 4, "model.layers.0": {"bits": 8, "group_size": 32}}
        document["rope_scaling"] = {"type": "longrope", "long_factor": [1.0], "short_factor": [1.0]}
    if name == "model.safetensors.index.json":
        document["weight_map"] = dict(list(document["weight_map"].items())[:5])

    def make(chance: random.Random) -> bytes:
        return damaged(whole, chance) if chance.random() < 0.3 else as_json(odd(document, chance))

    def read(data: bytes) -> None:
        path.write_bytes(data)
        _looked_at(model)

    survive(read, make, 80 * times, seed)


@ROUNDS
def test_headers_of_weights(seed: int, times: int, model: Path) -> None:
    path = model / "model.safetensors"
    whole = path.read_bytes()
    header = json.loads(_header(whole))
    few = dict(list(header.items())[:8])

    def make(chance: random.Random) -> bytes:
        if chance.random() < 0.4:
            return damaged(whole, chance)
        if chance.random() < 0.2:
            return struct.pack("<Q", chance.choice((0, 1, 7, 2**31, 2**40, 2**63, 2**64 - 1))) + whole[8:]
        return _safetensors(odd(few, chance), chance.choice((0, 64, 4096)))

    def read(data: bytes) -> None:
        path.write_bytes(data)
        for size in [n for _, (_, shape) in read_header(path).items() for n in shape]:
            assert isinstance(size, int)
        weight_files(model)
        _looked_at(model)

    survive(read, make, 150 * times, seed)


@ROUNDS
def test_adapters(seed: int, times: int, tmp_path: Path) -> None:
    ours = {
        "fine_tune_type": "lora",
        "num_layers": 4,
        "model": "a/b",
        "lora_parameters": {"rank": 8, "scale": 20.0, "dropout": 0.0, "keys": ["self_attn.qkv_proj"]},
    }
    theirs = {"peft_type": "LORA", "r": 8, "lora_alpha": 16, "target_modules": ["q_proj"], "rank_pattern": {"x": 4}}
    path = tmp_path / "adapter_config.json"
    (tmp_path / "adapters.safetensors").write_bytes(_safetensors({}, 0))

    def make(chance: random.Random) -> bytes:
        sample = chance.choice((ours, theirs))
        return damaged(as_json(sample), chance) if chance.random() < 0.4 else as_json(odd(sample, chance))

    def read(data: bytes) -> None:
        path.write_bytes(data)
        read_adapter_config(tmp_path)

    survive(read, make, 300 * times, seed)


@ROUNDS
def test_shapes_of_tensors(seed: int, times: int, model: Path) -> None:
    """What is reckoned of names and sizes alone, whatever they are."""
    config = json.loads((model / "config.json").read_text())
    tensors = read_header(model / "model.safetensors")
    names = list(tensors)

    def make(chance: random.Random) -> dict[str, tuple[str, list[int]]]:
        chosen = chance.sample(names, chance.randint(0, len(names)))
        sizes, types = (0, 1, 7, 64, 2**31, 2**62), ("F32", "BF16", "U32", "I8", "F8_E4M3", "?")
        return {
            name: (chance.choice(types), chance.choices(sizes, k=chance.randint(0, 4)))
            if chance.random() < 0.2
            else tensors[name]
            for name in chosen
        }

    def read(given: dict[str, tuple[str, list[int]]]) -> None:
        usual_memory(shape_from(config, given))

    survive(read, make, 100 * times, seed)


@ROUNDS
def test_hosts_files(seed: int, times: int, tmp_path: Path) -> None:
    hosts = [{"ssh": "a", "ips": ["10.0.0.1"]}, {"ssh": "b", "ips": ["10.0.0.2"], "rdma": [None, "x"]}]
    sample = {"backend": "ring", "envs": [], "hosts": hosts}
    path = tmp_path / "hosts.json"

    def make(chance: random.Random) -> bytes:
        return damaged(as_json(sample), chance) if chance.random() < 0.4 else as_json(odd(sample, chance))

    def read(data: bytes) -> None:
        path.write_bytes(data)
        plan = plan_ranks(None, path)
        if plan is not None:
            assert plan.size >= 1 and plan.options() and plan.launcher_options()

    survive(read, make, 200 * times, seed)
