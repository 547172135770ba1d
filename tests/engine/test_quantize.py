"""What a plan foresees is what comes out, for every way of quantizing that mlx knows and every family of models."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tui_tuner.errors import TunerError
from tui_tuner.models.fuse import size_of
from tui_tuner.models.load import Base, fresh_tree, load_base
from tui_tuner.models.quantize import (
    apply,
    dequantized,
    params_of,
    plan,
    quantizable,
    quantization_config,
    stored_bytes,
)
from tui_tuner.models.scheme import MODES, Params, Scheme, scheme_of
from tui_tuner.models.write import write_model
from tui_tuner.runs.control import JobControl, StopRequested

pytestmark = pytest.mark.mlx

EVERY = [
    *({"mode": "affine", "bits": bits, "group_size": 32} for bits in MODES["affine"][0]),
    *({"mode": mode} for mode in ("mxfp4", "nvfp4", "mxfp8")),
    {"bits": 4, "group_size": 32, "dtype": "bfloat16"},
    {"dtype": "float16"},
]


@pytest.fixture(scope="module", params=["phi3", "llama", "qwen2", "gemma"])
def base(request: pytest.FixtureRequest, model_of: Callable[..., Path]) -> Base:
    return load_base(model_of(request.param))


def outputs(model: Any) -> Any:
    import mlx.core as mx

    return np.array(model(mx.array([[1, 2, 3, 4]])).astype(mx.float32))


@pytest.mark.parametrize("asked", EVERY, ids=lambda asked: "-".join(map(str, asked.values())))
def test_the_forecast_is_the_size_and_the_result_reads_back(base: Base, asked: dict[str, Any], tmp_path: Path) -> None:
    from mlx_lm.utils import compute_bits_per_weight

    tree = fresh_tree(base)
    made = plan(tree, scheme_of(**asked))
    apply(tree, made)
    assert size_of(tree) == made.bytes_after
    assert made.bits_per_weight == pytest.approx(compute_bits_per_weight(tree))
    again = load_base(write_model(tmp_path / "new", base.path, tree, base.config))
    np.testing.assert_array_equal(outputs(again.model), outputs(tree))
    assert again.tokenizer.chat_template == base.tokenizer.chat_template
    assert [params_of(module) for _, module in quantizable(again.model)] == [part.after for part in made.parts]


def test_every_module_equals_that_of_stock_mlx_lm(base: Base, tmp_path: Path) -> None:
    from mlx.utils import tree_flatten
    from mlx_lm.convert import convert

    convert(str(base.path), str(tmp_path / "stock"), quantize=True, q_bits=4, q_group_size=32, dtype="float32")
    tree = fresh_tree(base)
    apply(tree, plan(tree, scheme_of(4, 32)))
    ours, theirs = (
        dict(tree_flatten(tree.parameters())),
        dict(tree_flatten(load_base(tmp_path / "stock").model.parameters())),
    )
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        np.testing.assert_array_equal(np.array(value), np.array(theirs[name]), err_msg=name)


def test_recipes_mix_bits_as_mlx_lm_does(model_of: Callable[..., Path], tmp_path: Path) -> None:
    from mlx_lm.convert import convert

    base = load_base(model_of("llama"))
    convert(
        str(base.path),
        str(tmp_path / "stock"),
        quantize=True,
        q_group_size=32,
        quant_predicate="mixed_3_6",
        dtype="float32",
    )
    theirs = json.loads((tmp_path / "stock" / "config.json").read_text())["quantization"]
    tree = fresh_tree(base)
    made = plan(tree, scheme_of(group_size=32, recipe="mixed_3_6"))
    assert {part.path: part.after.bits for part in made.parts if part.after} == {
        path: way["bits"] for path, way in theirs.items() if isinstance(way, dict)
    }
    assert {part.after.bits for part in made.parts if part.after} == {3, 6}


def test_what_a_group_does_not_divide_stays_and_is_named(tmp_path: Path) -> None:
    from tests.support.models import make_model

    base = load_base(make_model(tmp_path / "odd", "llama", intermediate=96))
    made = plan(fresh_tree(base), scheme_of(4, 64))
    assert {part.path.rpartition(".")[2] for part in made.kept} == {"down_proj"}
    assert all("width of 96 is no multiple of 64" in part.reason for part in made.kept)
    assert any("stay unquantized" in note and "down_proj" in note for note in made.notes)
    with pytest.raises(TunerError, match="the widest has 96 inputs"):
        plan(fresh_tree(base), scheme_of(4, 128))


def test_quantization_is_taken_off_and_says_that_nothing_is_got_back(model_of: Callable[..., Path]) -> None:
    base = load_base(model_of("phi3", 4))
    tree = fresh_tree(base)
    made = plan(tree, scheme_of(dequantize=True))
    apply(tree, made)
    assert quantization_config(tree) is None
    assert size_of(tree) == made.bytes_after
    assert any("what quantization lost stays lost" in note for note in made.notes)
    np.testing.assert_allclose(outputs(tree), outputs(base.model), atol=1e-4)


def test_a_quantized_model_is_quantized_anew_and_not_silently_left(model_of: Callable[..., Path]) -> None:
    base = load_base(model_of("phi3", 4))
    tree = fresh_tree(base)
    made = plan(tree, scheme_of(8, 32))
    apply(tree, made)
    assert quantization_config(tree) == {"bits": 8, "group_size": 32, "mode": "affine"}
    assert any("quantized already" in note for note in made.notes)


def test_the_base_s_own_tree_is_not_touched(base: Base) -> None:
    before = outputs(base.model)
    tree = fresh_tree(base)
    apply(tree, plan(tree, scheme_of(2, 32)))
    np.testing.assert_array_equal(outputs(base.model), before)
    assert not np.array_equal(outputs(tree), before)


def test_a_stop_ends_it_between_two_modules(base: Base) -> None:
    control = JobControl()
    seen: list[str] = []

    def tell(done: int, total: int, path: str) -> None:
        seen.append(path)
        if done == 2:
            control.stop("test")

    tree = fresh_tree(base)
    with pytest.raises(StopRequested):
        apply(tree, plan(tree, scheme_of(4, 32)), tell=tell, check=control.check)
    assert len(seen) == 3


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({}, "nothing is asked for"),
        ({"bits": 7}, "affine has no 7 bits"),
        ({"bits": 4, "group_size": 48}, "no groups of 48"),
        ({"mode": "mxfp4", "bits": 8}, "mxfp4 has no 8 bits"),
        ({"mode": "fp4"}, 'no quantization mode "fp4"'),
        ({"recipe": "mixed_1_2"}, 'no recipe "mixed_1_2"'),
        ({"recipe": "mixed_4_6", "mode": "nvfp4"}, "affine mode only"),
        ({"dtype": "float8"}, '"float8" is no data type'),
        ({"bits": 4, "dequantize": True}, "cannot be quantized and de-quantized"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_loaded(asked: dict[str, Any], message: str) -> None:
    with pytest.raises(TunerError, match=message) as caught:
        scheme_of(**asked)
    assert caught.value.usage and caught.value.fix


@pytest.mark.parametrize("params", [Params(4, 32), Params(3, 64), Params(8, 32, "mxfp8"), Params(4, 16, "nvfp4"), None])
def test_bytes_of_one_module_by_hand(params: Params | None) -> None:
    # 64 × 128 weights: packed bits, and a float16 scale and offset (affine) or one byte (mx, nv) for each group.
    by_hand = {None: 16384, 4: 4096 + 256 * 4, 3: 3072 + 128 * 4, 8: 8192 + 256}
    wanted = 4096 + 512 if params and params.mode == "nvfp4" else by_hand[params.bits if params else None]
    assert stored_bytes((64, 128), params, 2) == wanted


def test_a_module_that_is_not_quantized_is_its_own_twin(base: Base) -> None:
    for _, module in quantizable(base.model):
        assert dequantized(module) is module
    assert isinstance(Scheme(dtype="float16").text(), str)
