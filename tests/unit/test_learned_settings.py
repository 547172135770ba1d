"""What learned methods and schemes may be asked for: their own defaults, which settings go together, and refusals."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import asdict, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tui_tuner.errors import TunerError
from tui_tuner.models.facts import ModelFacts, Offers
from tui_tuner.models.learned.methods import AWQ_TYPES, METHODS, Learned, check_model, groups_for, refused
from tui_tuner.models.offers import offers_for
from tui_tuner.models.scheme import DEFAULTS, DTYPES, MODES, RECIPES, Params, Scheme, scheme_of

OWN = {
    "dynamic": {"target_bits": 5.0, "high_bits": 8},
    "awq": {"rest_bits": 8, "grid": 7},
    "dwq": {"learning_rate": 1e-4, "iterations": 9},
    "gptq": {"rest_bits": 3},
}
"""Each method's own settings, with values other than the usual ones."""
EVERY = sorted({name for names in OWN.values() for name in names})


def facts(widths: list[int], **changes: Any) -> ModelFacts:
    modules = [(f"mlp.part{n}", f"8 × {width}") for n, width in enumerate(widths)]
    plain = ModelFacts("m", "llama", 1, 1, 64, 1, 1, 9, 9, "bfloat16", "none", 9, "", modules)
    return replace(plain, **changes)


# -- settings of a method ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "used"),
    [
        ("dynamic", {"samples": 128, "target_bits": None, "high_bits": None}),
        ("awq", {"samples": 128, "rest_bits": 4, "grid": 20}),
        ("dwq", {"samples": 1024, "learning_rate": 1e-6, "iterations": None}),
        ("gptq", {"samples": 128, "rest_bits": 6}),
    ],
)
def test_what_is_not_given_is_mlx_lms_own(method: str, used: dict[str, Any]) -> None:
    """The figures are the defaults of mlx_lm.quant's commands, and of the functions behind them."""
    assert Learned(method).as_json() == {"name": method, **used}


@pytest.mark.parametrize("method", METHODS)
def test_a_method_tells_the_settings_it_was_given_and_no_others(method: str) -> None:
    told = Learned(method, samples=5, **OWN[method]).as_json()
    assert told == {"name": method, "samples": 5, **OWN[method]}


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("method", METHODS)
def test_a_setting_of_another_method_is_refused_by_its_option_and_says_whose_it_is(method: str, name: str) -> None:
    value = next(own[name] for own in OWN.values() if name in own)
    if name in OWN[method]:
        assert getattr(Learned(method, **{name: value}), name) == value
        return
    with pytest.raises(TunerError) as caught:
        Learned(method, **{name: value})
    owners = [other for other in METHODS if name in OWN[other]]
    assert caught.value.message == f"{method} has no --{name.replace('_', '-')}"
    assert caught.value.fix == f"it belongs to {' and '.join(owners)}" and caught.value.usage


@pytest.mark.parametrize("value", [0, -1, math.nan])
@pytest.mark.parametrize(
    ("method", "name"),
    [("awq", "samples"), ("awq", "grid"), ("dwq", "iterations"), ("dwq", "learning_rate"), ("dynamic", "target_bits")],
)
def test_a_count_or_rate_of_nothing_is_refused(method: str, name: str, value: float) -> None:
    with pytest.raises(TunerError, match=f"--{name.replace('_', '-')} must be more than 0"):
        Learned(method, **{name: value})


@pytest.mark.parametrize("bits", [0, 1, 7, 16])
@pytest.mark.parametrize(("method", "name"), [("dynamic", "high_bits"), ("awq", "rest_bits"), ("gptq", "rest_bits")])
def test_bits_that_mlx_does_not_have_are_refused(method: str, name: str, bits: int) -> None:
    with pytest.raises(TunerError, match=f"--{name.replace('_', '-')} cannot be {bits}") as caught:
        Learned(method, **{name: bits})
    assert caught.value.fix == "choose 2, 3, 4, 5, 6 or 8"


@pytest.mark.parametrize(("low", "high"), [(2, 3), (3, 4), (4, 5), (5, 6), (6, 8)])
def test_dynamic_takes_the_next_bits_there_are_unless_it_is_told(low: int, high: int) -> None:
    assert Learned("dynamic").high(low) == high
    assert Learned("dynamic", high_bits=8).high(low) == 8


@pytest.mark.parametrize(("given_high", "low"), [(None, 8), (4, 4), (3, 6)])
def test_dynamic_needs_more_bits_for_what_gets_more(given_high: int | None, low: int) -> None:
    with pytest.raises(TunerError, match=f"more than {low} bits are needed") as caught:
        Learned("dynamic", high_bits=given_high).check_bits(low)
    assert caught.value.fix == "lower --bits"


@pytest.mark.parametrize(
    ("method", "known"),
    [("gptq", {2, 4, 8}), ("dwq", {2, 3, 4, 5, 6}), ("dynamic", {2, 3, 4, 5, 6}), ("awq", {2, 3, 4, 5, 6, 8})],
)
def test_the_bits_that_each_method_has(method: str, known: set[int]) -> None:
    taken = set()
    for bits in MODES["affine"][0]:
        try:
            assert scheme_of(bits, learned=Learned(method)).quantize == Params(bits, 64)
            taken.add(bits)
        except TunerError as error:
            assert error.code == "bad-scheme" and str(bits) in error.message
    assert taken == known


# -- which models ------------------------------------------------------------------------------------------------------


@given(widths=st.lists(st.sampled_from([32, 48, 64, 96, 128, 192, 256]), max_size=5))
@settings(max_examples=60)
def test_a_group_that_fits_a_strict_method_fits_every_width(widths: list[int]) -> None:
    groups = (32, 64, 128)
    strict, lax = groups_for("awq", widths, groups), groups_for("gptq", widths, groups)
    assert set(strict) <= set(lax) and groups_for("dynamic", widths, groups) == strict
    assert all(width % group == 0 for group in strict for width in widths)
    assert all(any(width % group == 0 for width in widths) for group in lax)
    assert bool(lax) <= bool(widths), "a model without modules is offered nothing"


@pytest.mark.parametrize("method", METHODS)
def test_a_quantized_model_is_refused_by_every_method_with_a_way_out(method: str) -> None:
    with pytest.raises(TunerError) as caught:
        check_model(method, "llama", quantized=True)
    assert caught.value.code == "method-refused" and "this one is quantized" in caught.value.message
    assert caught.value.fix == "take the original"
    check_model(method, "llama", quantized=False)


def test_awq_names_the_architecture_it_does_not_know_and_the_others_take_any() -> None:
    with pytest.raises(TunerError, match="AWQ is not known for the architecture mamba") as caught:
        check_model("awq", "mamba", quantized=False)
    assert all(name in caught.value.fix for name in ("dynamic", "dwq", "gptq"))
    for method in set(METHODS) - {"awq"}:
        check_model(method, "mamba", quantized=False)


def test_names_of_methods_are_written_as_their_papers_do() -> None:
    assert refused("gptq", "x", "").message == "GPTQ x" and refused("dynamic", "x", "").message == "dynamic x"


def test_offers_of_a_model_that_everything_fits() -> None:
    found = offers_for(facts([128, 256], architecture="qwen2", hidden=128))
    assert found == Offers(MODES, (), ("float16", "float32"), False, dict.fromkeys(METHODS, (32, 64, 128)))


def test_a_width_narrows_the_groups_of_the_strict_methods_alone() -> None:
    found = offers_for(facts([128, 96], hidden=128)).methods
    assert found == {"dynamic": (32,), "awq": (32,), "dwq": (32, 64, 128), "gptq": (32, 64, 128)}
    # The embedding is as wide as the model, and no module of a layer: it counts all the same.
    assert offers_for(facts([128], hidden=160)).methods["dynamic"] == (32,)


@pytest.mark.parametrize(
    ("changes", "methods"),
    [
        ({"architecture": "gemma"}, {"dynamic", "dwq", "gptq"}),
        ({"quantization": "4 bits, group 64"}, set()),
        ({"hidden": 0}, set(METHODS)),
        ({"hidden": 48}, {"dwq", "gptq"}),
    ],
)
def test_methods_that_can_do_nothing_are_not_offered(changes: dict[str, Any], methods: set[str]) -> None:
    assert set(offers_for(facts([128], **changes)).methods) == methods


def test_a_model_without_matrices_is_offered_data_types_alone() -> None:
    found = offers_for(facts([], hidden=0))
    assert (found.modes, found.recipes, found.methods) == ({}, (), {}) and found.dtypes == ("float16", "float32")


def test_mixtures_are_offered_where_mlx_lm_finds_what_it_goes_by() -> None:
    shown = facts([64], modules=[("mlp.down_proj", "64 × 128")])
    assert offers_for(shown).recipes == RECIPES
    assert offers_for(facts([64])).recipes == ()
    assert offers_for(replace(shown, modules=[("mlp.down_proj", "64 × 48")])).recipes == ()  # no affine group fits


# -- schemes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ({"bits": 4}, "4 bits, group 64"),
        ({"mode": "nvfp4"}, "nvfp4 (4 bits, group 16)"),
        ({"mode": "mxfp8", "dtype": "float16"}, "mxfp8 (8 bits, group 32), float16"),
        ({"recipe": "mixed_3_6", "group_size": 32}, "mixed_3_6, group 32"),
        ({"dequantize": True}, "not quantized"),
        ({"dequantize": True, "dtype": "bfloat16"}, "not quantized, bfloat16"),
        ({"bits": 3, "learned": Learned("dwq")}, "dwq, 3 bits, group 64"),
        ({"bits": 4, "learned": Learned("dynamic")}, "dynamic, 4 or 5 bits, group 64"),
        ({"bits": 2, "learned": Learned("dynamic", high_bits=8)}, "dynamic, 2 or 8 bits, group 64"),
        ({"recipe": "mixed_2_6", "learned": Learned("dwq")}, "dwq, mixed_2_6, group 64"),
    ],
)
def test_a_scheme_says_what_it_is(asked: dict[str, Any], text: str) -> None:
    assert scheme_of(**asked).text() == text


@pytest.mark.parametrize("mode", MODES)
def test_a_mode_alone_or_a_group_alone_gets_the_rest_from_mlx(mode: str) -> None:
    bits, group = DEFAULTS[mode]
    if mode != "affine":
        assert scheme_of(mode=mode).quantize == Params(bits, group, mode)
    for size in MODES[mode][1]:
        assert scheme_of(mode=mode, group_size=size).quantize == Params(bits, size, mode)


@given(
    st.sampled_from([None, 1, *MODES["affine"][0], 7]), st.sampled_from([None, 8, 16, 32, 64, 128]),
    st.sampled_from([*MODES, "fp4"]), st.sampled_from(["", *RECIPES, "mixed"]), st.sampled_from(["", *DTYPES, "int8"]),
    st.booleans(),
)  # fmt: skip
@settings(max_examples=80)
def test_whatever_is_asked_is_what_mlx_can_do_or_one_sentence_with_a_way_out(
    bits: int | None, group: int | None, mode: str, recipe: str, dtype: str, dequantize: bool
) -> None:
    try:
        made = scheme_of(bits, group, mode, recipe, dtype, dequantize=dequantize)
    except TunerError as error:
        assert error.usage and error.fix and error.code in ("bad-scheme", "nothing-to-do")
        return
    assert made.text() and not (made.quantize and made.dequantize)
    if made.quantize is not None:
        known = MODES[made.quantize.mode]
        assert made.quantize.bits in known[0] and made.quantize.group_size in known[1]
        assert made.quantize.as_config() == {**asdict(made.quantize)}
    assert made.dtype in ("", *DTYPES) and made.recipe in ("", *RECIPES)


def test_a_scheme_made_by_hand_is_checked_as_well() -> None:
    with pytest.raises(TunerError, match='no quantization mode "odd"'):
        Scheme(Params(4, 64, "odd"))
    with pytest.raises(TunerError, match="dynamic chooses bits itself"):
        Scheme(Params(4, 64), recipe="mixed_3_6", learned=Learned("dynamic"))
    # A mixture has bits of its own, so that the scheme's need not be DWQ's.
    assert Scheme(Params(8, 64), recipe="mixed_3_6", learned=Learned("dwq")).text() == "dwq, mixed_3_6, group 64"


def test_settings_and_schemes_are_asked_without_the_libraries() -> None:
    script = (
        "import sys; from tui_tuner.models.scheme import scheme_of; from tui_tuner.models.offers import offers_for;"
        "from tui_tuner.models.learned.methods import Learned; scheme_of(4, learned=Learned('awq'));"
        "print(sorted({'mlx', 'mlx_lm', 'transformers', 'numpy'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout == "[]\n"
    assert set(AWQ_TYPES) >= {"llama", "qwen2", "qwen3", "gemma3_text"}
