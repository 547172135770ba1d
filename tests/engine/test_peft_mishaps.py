"""Adapters of PEFT that are damaged, foreign or strange: each is one sentence, and leaves nothing."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tui_tuner.errors import TunerError
from tui_tuner.models.adapters import CONFIG, WEIGHTS
from tui_tuner.models.peft import PEFT_WEIGHTS, from_peft, to_peft

pytestmark = pytest.mark.mlx
MODULE = "model.layers.{}.self_attn.q_proj"


def save(file: Path, tensors: dict[str, Any]) -> None:
    import mlx.core as mx

    mx.save_safetensors(str(file), {name: mx.array(np.asarray(value, np.float32)) for name, value in tensors.items()})


def peft(folder: Path, tensors: dict[str, Any] | None = None, **config: Any) -> Path:
    """A LoRA of rank 2 on one module 3 wide and 4 high, as PEFT writes it."""
    folder.mkdir()
    (folder / CONFIG).write_text(json.dumps({"peft_type": "LORA", "r": 2, "lora_alpha": 4, **config}))
    stem = f"base_model.model.{MODULE.format(0)}"
    usual = {f"{stem}.lora_A.weight": np.ones((2, 3)), f"{stem}.lora_B.weight": np.ones((4, 2))}
    save(folder / PEFT_WEIGHTS, usual if tensors is None else tensors)
    return folder


def mlx_lm(folder: Path, tensors: dict[str, Any], **config: Any) -> Path:
    folder.mkdir()
    parameters = {"rank": 2, "scale": 2.0, "dropout": 0.0}
    (folder / CONFIG).write_text(json.dumps({"num_layers": 1, "lora_parameters": parameters, **config}))
    save(folder / WEIGHTS, tensors)
    return folder


def taken(source: Path, tmp_path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """What an adapter becomes: configuration and tensors."""
    import mlx.core as mx

    (tmp_path / "out").mkdir()
    settings = from_peft(source, tmp_path / "out", "acme/base")
    assert json.loads((tmp_path / "out" / CONFIG).read_text()) == settings
    return settings, {name: np.array(v) for name, v in mx.load(str(tmp_path / "out" / WEIGHTS)).items()}


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        (None, "adapter-not-found", f"has no {CONFIG}, so it is no adapter"),
        ("{", "adapter-damaged", "is not valid JSON"),
        ("[" * 99_999, "adapter-damaged", "is not valid JSON"),
        ("[]", "adapter-format", "none of PEFT's"),
        ('{"num_layers": 4}', "adapter-format", "none of PEFT's"),
    ],
    ids=["none", "torn", "deep", "list", "mlx-lm's"],
)
def test_a_configuration_that_is_none_of_pefts(text: str | None, code: str, message: str, tmp_path: Path) -> None:
    source = peft(tmp_path / "in")
    (source / CONFIG).unlink()
    if text is not None:
        (source / CONFIG).write_text(text)
    with pytest.raises(TunerError, match=message) as caught:
        from_peft(source, tmp_path, "m")
    assert caught.value.code == code
    with pytest.raises(TunerError, match="there is no such adapter folder"):
        from_peft(source / PEFT_WEIGHTS, tmp_path, "m")  # a file where a folder should be
    (source / CONFIG).unlink(missing_ok=True)
    (source / CONFIG).mkdir()
    with pytest.raises(TunerError) as caught:
        from_peft(source, tmp_path, "m")
    assert caught.value.code == "not-readable"


STEM = f"base_model.model.{MODULE.format(0)}"


@pytest.mark.parametrize(
    ("tensors", "code", "message"),
    [
        ({}, "adapter-damaged", "has no weights"),
        ({f"{STEM}.lora_A.weight": np.ones((2, 3))}, "adapter-damaged", "are not complete"),
        ({f"{STEM}.lora_embedding_A": np.ones((2, 3))}, "peft-unsupported", "it holds .*lora_embedding_A"),
    ],
    ids=["none", "half", "embedding"],
)
def test_weights_that_are_not_all_there_or_have_no_place(
    tensors: dict[str, Any], code: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(TunerError, match=message) as caught:
        from_peft(peft(tmp_path / "in", tensors), tmp_path, "m")
    assert caught.value.code == code and not (tmp_path / WEIGHTS).exists()


@pytest.mark.parametrize(
    "config",
    [{"lora_alpha": None}, {"lora_alpha": 0}, {"alpha_pattern": "q_proj"}, {"alpha_pattern": {"(": 4}},
     {"use_dora": True}, {"lora_dropout": "much"}],
    ids=lambda config: str(next(iter(config.items()))),
)  # fmt: skip
def test_a_configuration_that_does_not_fit_the_weights(config: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(TunerError, match="do not go together") as caught:
        from_peft(peft(tmp_path / "in", **config), tmp_path, "m")
    assert caught.value.code == "adapter-damaged" and not (tmp_path / WEIGHTS).exists()


@pytest.mark.parametrize("parameters", [None, {}, {"rank": "x", "scale": 1.0}, {"rank": 2}])
def test_parameters_that_mlx_lm_would_not_write(parameters: Any, tmp_path: Path) -> None:
    tensors = {"lm_head.lora_a": np.ones((3, 2)), "lm_head.lora_b": np.ones((2, 4))}
    with pytest.raises(TunerError, match="do not go together"):
        to_peft(mlx_lm(tmp_path / "in", tensors, lora_parameters=parameters), tmp_path)
    assert not (tmp_path / PEFT_WEIGHTS).exists()


@pytest.mark.parametrize("spoil", ["gone", "torn"])
def test_weights_that_cannot_be_read(spoil: str, tmp_path: Path) -> None:
    source = peft(tmp_path / "in")
    (source / PEFT_WEIGHTS).unlink() if spoil == "gone" else (source / PEFT_WEIGHTS).write_bytes(b"torn")
    with pytest.raises(TunerError) as caught:
        from_peft(source, tmp_path, "m")
    assert (caught.value.code, bool(caught.value.fix)) == (
        {"gone": "adapter-not-found", "torn": "adapter-damaged"}[spoil], True,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("config", "scale"),
    [
        ({}, 2.0),
        ({"use_rslora": True}, 4 / math.sqrt(2)),
        ({"alpha_pattern": {"q_proj": 8}}, 4.0),
        ({"alpha_pattern": {"k_proj": 8}}, 2.0),
        ({"alpha_pattern": {r"model\.layers\.0\..*": 6}}, 3.0),
        ({"alpha_pattern": None, "lora_alpha": 1}, 0.5),
    ],
)
def test_the_scale_is_alpha_over_rank_as_peft_reckons_it(config: dict[str, Any], scale: float, tmp_path: Path) -> None:
    settings, tensors = taken(peft(tmp_path / "in", **config), tmp_path)
    assert settings["lora_parameters"] == {
        "rank": 2, "scale": pytest.approx(scale), "dropout": 0.0, "keys": [MODULE.format(0)],
    }  # fmt: skip
    assert {name: value.shape for name, value in tensors.items()} == {
        f"{MODULE.format(0)}.lora_a": (3, 2), f"{MODULE.format(0)}.lora_b": (2, 4),
    }  # fmt: skip


def test_ranks_of_their_own_say_the_same_at_the_largest(tmp_path: Path) -> None:
    """B·A times its own scale is what it was, for each module."""
    generator = np.random.default_rng(0)
    a, b = [generator.normal(size=(r, 3)) for r in (1, 2)], [generator.normal(size=(4, r)) for r in (1, 2)]
    tensors = {}
    for n in range(2):
        tensors[f"base_model.model.{MODULE.format(n)}.lora_A.weight"] = a[n]
        tensors[f"base_model.model.{MODULE.format(n)}.lora_B.weight"] = b[n]
    settings, found = taken(peft(tmp_path / "in", tensors), tmp_path)
    for n, scale in enumerate((4 / 1, 4 / 2)):
        ours = found[f"{MODULE.format(n)}.lora_a"] @ found[f"{MODULE.format(n)}.lora_b"]
        np.testing.assert_allclose(settings["lora_parameters"]["scale"] * ours, scale * (b[n] @ a[n]).T, rtol=1e-5)
    assert settings["lora_parameters"]["rank"] == 2


@pytest.mark.parametrize("name", ["lora_magnitude_vector", "lora_magnitude_vector.weight"])
def test_dora_of_either_age_keeps_its_magnitudes(name: str, tmp_path: Path) -> None:
    tensors = {f"{STEM}.lora_A.weight": np.ones((2, 3)), f"{STEM}.lora_B.weight": np.ones((4, 2)),
               f"{STEM}.{name}": np.arange(4).reshape(4, 1)}  # fmt: skip
    settings, found = taken(peft(tmp_path / "in", tensors, use_dora=True), tmp_path)
    assert settings["fine_tune_type"] == "dora" and found[f"{MODULE.format(0)}.m"].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("tensors", "config", "message"),
    [
        ({"a.lora_a": np.ones((3, 2))}, {"fine_tune_type": "full"}, "a full fine-tune is no adapter"),
        ({"a.weight": np.ones((3, 2))}, {}, r"a\.weight has no counterpart in PEFT"),
        ({"a.lora_a": np.ones((2, 3, 2))}, {}, r"a\.lora_a has no counterpart in PEFT"),
    ],
    ids=["full", "other", "experts"],
)
def test_what_peft_has_no_form_for_is_refused_and_nothing_written(
    tensors: dict[str, Any], config: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(TunerError, match=message) as caught:
        to_peft(mlx_lm(tmp_path / "in", tensors, **config), tmp_path)
    assert caught.value.code == "peft-unsupported" and "tui-tuner fuse" in caught.value.fix
    assert not (tmp_path / PEFT_WEIGHTS).exists()


def test_modules_outside_of_layers_name_no_layers(tmp_path: Path) -> None:
    tensors = {"lm_head.lora_a": np.ones((3, 2)), "lm_head.lora_b": np.ones((2, 4))}
    (tmp_path / "out").mkdir()
    settings = to_peft(mlx_lm(tmp_path / "in", tensors), tmp_path / "out")
    assert settings["target_modules"] == ["lm_head"] and settings["layers_to_transform"] is None
    assert (
        settings["layers_pattern"] is None
        and settings["lora_alpha"] == 4
        and settings["base_model_name_or_path"] is None
    )
