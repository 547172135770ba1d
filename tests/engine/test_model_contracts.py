"""What is reckoned of a model is what it is: closed forms, plans and files against the arrays that mlx makes."""

from __future__ import annotations

import json
import math
import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.families import make_family
from tui_tuner.config import AdapterSection
from tui_tuner.errors import TunerError
from tui_tuner.models.adapters import (
    attach,
    load_adapter,
    lora_parameters,
    put_adapter,
    total_parameters,
    trainable_modules,
    write_adapter_config,
)
from tui_tuner.models.fuse import EIGHT, FINER, STOCK, TOUCHED, WHOLE, fuse, size_of, ways_for
from tui_tuner.models.load import Base, fresh_tree, in_form, load_base, skeleton
from tui_tuner.models.memory import adapted
from tui_tuner.models.quantize import (
    apply,
    changes,
    dequantized,
    params_of,
    plan,
    quantizable,
    quantization_config,
    stored_bytes,
)
from tui_tuner.models.scheme import MODES, Params, scheme_of
from tui_tuner.models.shape import shape_of
from tui_tuner.models.write import check_target, not_written, write_model

pytestmark = pytest.mark.mlx


@pytest.fixture(scope="module")
def four(model_of: Callable[..., Path]) -> Base:
    return load_base(model_of("llama", 4))


@pytest.fixture(scope="module")
def mixtral(tmp_path_factory: pytest.TempPathFactory) -> Base:
    return load_base(make_family(tmp_path_factory.mktemp("moe") / "mixtral", "mixtral", layers=2))


def outputs(model: Any) -> Any:
    import mlx.core as mx

    return np.array(model(mx.array([[5, 6, 7, 8]])).astype(mx.float32))


# -- sizes and adapters ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["llama", "four", "mixtral"])
def test_sizes_by_headers_are_those_of_the_loaded_model(name: str, request: pytest.FixtureRequest) -> None:
    base: Base = request.getfixturevalue(name)
    shape = shape_of(base.path)
    assert shape.parameters == total_parameters(base.model) and shape.bytes == size_of(base.model)
    assert [matrix.path for matrix in shape.matrices] == trainable_modules(base.model)
    assert shape.layers == len(base.model.layers) and size_of(skeleton(base.path)) == shape.bytes


CHOICES = [
    {"rank": 1}, {"rank": 3, "targets": ["attention"]}, {"layers": 1, "targets": ["mlp"]}, {"layer_numbers": [2, 0]},
    {"method": "dora", "targets": ["q_proj", "down_proj"]}, {"method": "full", "layers": 2}, {"method": "full"},
    {"layer_numbers": [1], "targets": ["o_proj"]},
]  # fmt: skip


@pytest.mark.parametrize("section", CHOICES, ids=lambda section: "-".join(map(str, section.values())))
def test_the_forecast_of_an_adapter_is_what_is_attached(section: dict[str, Any], llama: Base) -> None:
    adapter, tree = AdapterSection(**section), fresh_tree(llama)
    attached, reckoned = attach(tree, adapter), adapted(shape_of(llama.path), adapter)
    assert (attached.trainable, attached.layers) == (reckoned.count, reckoned.layers)
    assert (
        attached.sentence().startswith(f"{reckoned.count:,} of ")
        and f"in {reckoned.layers} layers" in attached.sentence()
    )
    if adapter.method != "full":
        assert attached.modules == [matrix.path for matrix in reckoned.matrices]
        assert total_parameters(tree) == total_parameters(llama.model) == attached.total
    else:
        assert total_parameters(tree) == attached.total


def test_experts_have_an_adapter_each(mixtral: Base) -> None:
    adapter, tree = AdapterSection(rank=2, targets=["mlp"]), fresh_tree(mixtral)
    attached = attach(tree, adapter)
    assert attached.trainable == adapted(shape_of(mixtral.path), adapter).count
    with pytest.raises(TunerError, match="DoRA does not work on mixture-of-experts layers") as caught:
        attach(fresh_tree(mixtral), AdapterSection(method="dora"))
    assert caught.value.code == "dora-unsupported" and caught.value.where == "adapter.method"
    attach(fresh_tree(mixtral), AdapterSection(method="dora", targets=["attention"]))


@pytest.mark.parametrize("bits", [3, 6])
def test_dora_is_refused_where_mlx_lm_would_fail_in_the_first_step(bits: int, llama: Base) -> None:
    tree = fresh_tree(llama)
    apply(tree, plan(tree, scheme_of(bits, 32)))
    with pytest.raises(TunerError, match=rf"weights quantized to {bits} bits \(") as caught:
        attach(tree, AdapterSection(method="dora"))
    assert caught.value.fix == "choose lora, or other targets"


@pytest.mark.parametrize(
    ("section", "where", "message"),
    [
        ({"layers": 4}, "adapter.layers", "4 layers are asked for, but the model has 3"),
        ({"layer_numbers": [0, 3]}, "adapter.layer_numbers", "there is no layer 3: the model has layers 0 to 2"),
    ],
)
def test_layers_that_there_are_not_are_refused_by_adapter_and_forecast_alike(
    section: dict[str, Any], where: str, message: str, llama: Base
) -> None:
    for ask in (lambda a: attach(fresh_tree(llama), a), lambda a: adapted(shape_of(llama.path), a)):
        with pytest.raises(TunerError, match=message) as caught:
            ask(AdapterSection(**section))
        assert caught.value.code == "too-many-layers" and caught.value.where == where


@pytest.mark.parametrize(
    "section", [{"rank": 2}, {"rank": 2, "layer_numbers": [0, 2]}, {"method": "full", "layers": 1}]
)
def test_an_adapter_is_read_as_it_was_written(section: dict[str, Any], llama: Base, tmp_path: Path) -> None:
    import mlx.core as mx
    from mlx.utils import tree_flatten

    adapter, tree = AdapterSection(**section), fresh_tree(llama)
    attached = attach(tree, adapter)
    moved = {name: value + 0.01 for name, value in tree_flatten(tree.trainable_parameters())}
    tree.load_weights(list(moved.items()), strict=False)
    tree.eval()
    mx.save_safetensors(str(tmp_path / "adapters.safetensors"), moved)
    write_adapter_config(tmp_path, adapter, attached, "acme/base", {"more": 1})
    again = load_adapter(llama, tmp_path)
    np.testing.assert_array_equal(outputs(again), outputs(tree))
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    assert (config["model"], config["more"], config["num_layers"]) == ("acme/base", 1, attached.stock_layers)
    bare = fresh_tree(llama)
    put_adapter(bare, config)
    assert {n for n, _ in tree_flatten(bare.parameters())} == {n for n, _ in tree_flatten(tree.parameters())}


@pytest.mark.parametrize(
    ("spoil", "code", "message"),
    [
        (lambda c: c["lora_parameters"].pop("rank"), "adapter-mismatch", "there is no 'rank'"),
        (lambda c: c["lora_parameters"].update(keys=["mlp.none"]), "adapter-mismatch", "does not fit"),
        (lambda c: c["lora_parameters"].update(rank=7), "adapter-mismatch", "does not fit"),
        (lambda c: c.update(lora_parameters=None), "adapter-mismatch", "does not fit this model"),
        (lambda c: c.pop("num_layers"), "adapter-format", "not one of mlx-lm's"),
    ],
    ids=["no rank", "other modules", "other rank", "no parameters", "no layers"],
)
def test_an_adapter_whose_configuration_is_another_s_names_the_right_model(
    spoil: Callable[[dict[str, Any]], Any], code: str, message: str, llama: Base, tmp_path: Path
) -> None:
    import mlx.core as mx
    from mlx.utils import tree_flatten

    adapter, tree = AdapterSection(rank=2), fresh_tree(llama)
    write_adapter_config(tmp_path, adapter, attach(tree, adapter), "acme/base", {})
    mx.save_safetensors(str(tmp_path / "adapters.safetensors"), dict(tree_flatten(tree.trainable_parameters())))
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    assert config["lora_parameters"] == {**lora_parameters(adapter), "keys": trainable_modules(llama.model)}
    spoil(config)
    (tmp_path / "adapter_config.json").write_text(json.dumps(config))
    with pytest.raises(TunerError, match=message) as caught:
        load_adapter(llama, tmp_path)
    assert caught.value.code == code
    assert code == "adapter-format" or caught.value.fix == "use the model it was trained on (acme/base)"


# -- quantization ------------------------------------------------------------------------------------------------------


@given(
    st.sampled_from([(mode, bits, group) for mode, (b, g) in MODES.items() for bits in b for group in g]),
    st.integers(1, 3), st.integers(1, 5), st.sampled_from(["float32", "float16"]),
)  # fmt: skip
@settings(max_examples=40)
def test_bytes_of_a_module_are_those_that_mlx_takes(
    way: tuple[str, int, int], groups: int, rows: int, dtype: str
) -> None:
    import mlx.core as mx

    mode, bits, group = way
    shape = (rows, groups * max(group, 32))
    found = mx.quantize(mx.zeros(shape, dtype=getattr(mx, dtype)), group, bits, mode=mode)
    size = 4 if dtype == "float32" else 2
    assert stored_bytes(shape, Params(bits, group, mode), size) == sum(each.nbytes for each in found)
    assert stored_bytes(shape, None, size) == size * math.prod(shape)


@pytest.mark.parametrize("seed", range(3))
def test_any_mixture_of_ways_is_written_and_read_back(seed: int, llama: Base, tmp_path: Path) -> None:
    chance = random.Random(seed)
    ways = [None, Params(2, 32), Params(4, 64), Params(8, 32), Params(4, 32, "mxfp4"), Params(4, 16, "nvfp4")]
    wanted = {path: chance.choice(ways) for path, _ in quantizable(llama.model)}
    wanted["lm_head"] = Params(4, 64)
    tree = fresh_tree(llama)
    made = plan(tree, scheme_of(4), lambda choose: lambda path, module: wanted[path])
    assert made.as_json()["unquantized"] == [
        {"module": path, "reason": "the architecture keeps it as it is"} for path, way in wanted.items() if way is None
    ]
    apply(tree, made)
    assert size_of(tree) == made.bytes_after and {p: params_of(m) for p, m in quantizable(tree)} == wanted
    again = load_base(write_model(tmp_path / "new", llama.path, tree, llama.config))
    np.testing.assert_array_equal(outputs(again.model), outputs(tree))
    assert quantization_config(again.model) == again.config["quantization"] == quantization_config(tree)
    assert (tmp_path / "new" / "model.safetensors").stat().st_size == pytest.approx(
        made.as_json()["bytes_on_disk"], rel=0.02
    )


def test_what_is_not_quantized_at_all_has_no_entry(llama: Base) -> None:
    assert quantization_config(llama.model) is None


@pytest.mark.parametrize(
    ("name", "asked", "moves"),
    [
        ("llama", {"dequantize": True}, False), ("four", {"dequantize": True}, True),
        ("four", {"bits": 4, "group_size": 32}, False), ("four", {"bits": 4, "group_size": 64}, True),
        ("llama", {"dtype": "float32"}, False), ("llama", {"dtype": "float16"}, True),
    ],
)  # fmt: skip
def test_a_plan_that_changes_nothing_is_known_to(
    name: str, asked: dict[str, Any], moves: bool, request: pytest.FixtureRequest
) -> None:
    base: Base = request.getfixturevalue(name)
    made = plan(base.model, scheme_of(**asked))
    assert changes(base.model, made) is moves
    tree = fresh_tree(base)
    apply(tree, made)
    assert np.array_equal(outputs(tree), outputs(base.model)) or moves


@pytest.mark.parametrize("kind", ["embedding", "linear", "bias", "experts"])
def test_a_module_comes_back_as_what_it_was(kind: str) -> None:
    import mlx.core as mx
    import mlx.nn as nn
    from mlx_lm.models.switch_layers import SwitchLinear

    mx.random.seed(0)
    plain = {
        "embedding": lambda: nn.Embedding(8, 64), "linear": lambda: nn.Linear(64, 8, bias=False),
        "bias": lambda: nn.Linear(64, 8), "experts": lambda: SwitchLinear(64, 8, 3, bias=False),
    }[kind]()  # fmt: skip
    back = dequantized(plain.to_quantized(32, 8))
    assert (
        type(back) is type(plain) and back.weight.shape == plain.weight.shape and ("bias" in back) == (kind == "bias")
    )
    np.testing.assert_allclose(np.array(back.weight), np.array(plain.weight), atol=0.02)
    if kind == "bias":
        np.testing.assert_array_equal(np.array(back.bias), np.array(plain.bias))


# -- merging -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "names"),
    [
        (Params(4, 64), ["stock", "finer", "8bit", "float", "dequantized"]),
        (Params(4, 32), ["stock", "8bit", "float", "dequantized"]),
        (Params(8, 128), ["stock", "finer", "float", "dequantized"]),
        (Params(4, 32, "mxfp4"), ["stock", "8bit", "float", "dequantized"]),
    ],
)
def test_ways_follow_how_the_base_is_stored(params: Params, names: list[str], llama: Base) -> None:
    tree = fresh_tree(llama)
    scheme = scheme_of(params.bits, params.group_size, params.mode)
    if params.group_size == 128:
        made = plan(tree, scheme_of(params.bits, params.group_size))
        assert made.kept, "not every width is that of a group, and those stay as they are"
    apply(tree, plan(tree, scheme))
    assert [way.name for way in ways_for(tree)] == names


@pytest.mark.parametrize(
    ("way", "touched", "others"),
    [
        (STOCK, Params(4, 32), Params(4, 32)), (replace(FINER, touched=Params(4, 64)), Params(4, 64), Params(4, 32)),
        (EIGHT, Params(8, 32), Params(4, 32)), (TOUCHED, None, Params(4, 32)), (WHOLE, None, None),
    ],
)  # fmt: skip
def test_a_way_touches_what_the_adapter_touched(
    way: Any, touched: Params | None, others: Params | None, four: Base
) -> None:
    tree = fresh_tree(four)
    attach(tree, AdapterSection(rank=2, layers=1, targets=["mlp"]))
    before = outputs(four.model)
    merged = fuse(four.model, tree, fresh_tree(four), way)
    for path, module in quantizable(merged):
        assert params_of(module) == (touched if path.startswith("model.layers.2.mlp") else others), path
    np.testing.assert_array_equal(outputs(four.model), before)
    np.testing.assert_allclose(outputs(merged), before, atol=0.2 if way.plain else 0.5)


# -- files that went wrong ---------------------------------------------------------------------------------------------


def test_a_form_of_another_template_costs_a_tokenizer_and_no_weights(llama: Base) -> None:
    own = in_form(llama, "")
    assert own is llama
    other = in_form(llama, "{{ messages[0]['content'] }}")
    said = [{"role": "user", "content": "as it is"}]
    assert other.model is llama.model and other.tokenizer.apply_chat_template(said, tokenize=False) == "as it is"
    assert in_form(other, "").tokenizer.chat_template == llama.tokenizer.chat_template


def test_weights_that_changed_under_a_loaded_model_are_told(llama: Base, tmp_path: Path) -> None:
    folder = shutil.copytree(llama.path, tmp_path / "m")
    base = load_base(folder)
    (folder / "config.json").write_text(json.dumps({**base.config, "hidden_size": 32}))
    for ask in (lambda: fresh_tree(base), lambda: skeleton(folder), lambda: load_base(folder)):
        with pytest.raises(TunerError, match="weights cannot be loaded") as caught:
            ask()
        assert caught.value.code == "model-bad-weights" and caught.value.where == str(folder)


@pytest.mark.parametrize("there", [True, False])
def test_a_write_that_failed_asks_folder_and_disk_why(
    there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "hidden"
    if there:
        folder.mkdir()
    error = RuntimeError("[save_safetensors] failed to write")
    told = not_written(error, folder, tmp_path / "new")
    assert ("has gone" in told.message, told.code) == (not there, "write-failed")
    monkeypatch.setattr("shutil.disk_usage", lambda place: SimpleNamespace(free=1))
    assert not there or not_written(error, folder, tmp_path / "new").code == "no-space"


@pytest.mark.parametrize("make", ["file", "folder", "link"])
def test_only_a_model_or_an_empty_folder_is_ever_replaced(make: str, tmp_path: Path) -> None:
    target = tmp_path / "taken"
    if make == "file":
        target.touch()
    elif make == "link":
        (tmp_path / "elsewhere").mkdir()
        target.symlink_to(tmp_path / "elsewhere")
    else:
        target.mkdir()
        assert check_target(target, force=True) == target
        (target / "thesis.txt").touch()
    for force, message in ((False, "there is something already"), (True, "is no model folder, and is not replaced")):
        with pytest.raises(TunerError, match=message) as caught:
            check_target(target, force=force)
        assert caught.value.code == "exists" and caught.value.usage
    if make == "folder":
        (target / "config.json").touch()
        assert check_target(target, force=True) == target
