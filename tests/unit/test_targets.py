"""Names that people know find the modules that a model has."""

from __future__ import annotations

import pytest

from tui_tuner.errors import TunerError
from tui_tuner.models.targets import resolve

PHI3 = ["mlp.down_proj", "mlp.gate_up_proj", "self_attn.o_proj", "self_attn.qkv_proj"]
LLAMA = [f"self_attn.{n}_proj" for n in "qkvo"] + [f"mlp.{n}_proj" for n in ("gate", "up", "down")]
GPT2 = ["attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj"]


@pytest.mark.parametrize(
    ("available", "wanted", "found"),
    [
        (PHI3, [], PHI3),
        (PHI3, ["down_proj", "self_attn.qkv_proj", "down_proj"], ["mlp.down_proj", "self_attn.qkv_proj"]),
        (PHI3, ["attention"], ["self_attn.o_proj", "self_attn.qkv_proj"]),
        (PHI3, ["mlp"], ["mlp.down_proj", "mlp.gate_up_proj"]),
        (PHI3, ["linear"], PHI3),
        (PHI3, ["q_proj", "k_proj", "v_proj", "o_proj"], ["self_attn.o_proj", "self_attn.qkv_proj"]),
        (PHI3, ["gate_proj", "up_proj"], ["mlp.gate_up_proj"]),
        (LLAMA, ["q_proj", "v_proj"], ["self_attn.q_proj", "self_attn.v_proj"]),
        (LLAMA, ["attention"], LLAMA[:4]),
        (GPT2, ["q_proj", "o_proj"], ["attn.c_attn", "attn.c_proj"]),
        (GPT2, ["down_proj"], ["mlp.c_proj"]),
    ],
)
def test_names_find_modules(available: list[str], wanted: list[str], found: list[str]) -> None:
    assert resolve(available, wanted).modules == found


def test_fused_modules_are_told() -> None:
    (note,) = resolve(PHI3, ["q_proj", "k_proj", "v_proj"]).notes
    assert note == "this model fuses q_proj, k_proj and v_proj into self_attn.qkv_proj: that is trained"
    assert resolve(LLAMA, ["q_proj"]).notes == []


@pytest.mark.parametrize("name", ["qvk_proj", "lm_head", "self_attn", ""])
def test_a_name_that_matches_nothing_is_an_error_that_lists_what_exists(name: str) -> None:
    with pytest.raises(TunerError) as caught:
        resolve(PHI3, ["o_proj", name])
    assert caught.value.code == "target-not-found"
    assert all(path in caught.value.message for path in PHI3)
    assert caught.value.fix


def test_the_nearest_name_is_offered() -> None:
    with pytest.raises(TunerError) as caught:
        resolve(PHI3, ["qvk_proj"])
    assert caught.value.fix == "did you mean qkv_proj?"
