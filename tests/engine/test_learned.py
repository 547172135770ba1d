"""Learned quantization: it does what mlx-lm's methods do, on rows of the person's own, and never on measured ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.models import make_model, make_rows
from tui_tuner.cli.app import run as command
from tui_tuner.engine.calibration import calibration_of
from tui_tuner.engine.conversion import convert_model
from tui_tuner.engine.model_requests import ConvertModel
from tui_tuner.engine.proofrows import drafted, rows_of_draft
from tui_tuner.engine.shelf import ModelShelf
from tui_tuner.errors import TunerError
from tui_tuner.models.fuse import size_of
from tui_tuner.models.learned.awq import packed
from tui_tuner.models.learned.learn import learn
from tui_tuner.models.learned.methods import AWQ_TYPES, METHODS, Learned, groups_for
from tui_tuner.models.learned.planning import plan_learned, target_of
from tui_tuner.models.load import Base, fresh_tree, load_base
from tui_tuner.models.quantize import apply, params_of, plan, quantizable
from tui_tuner.models.scheme import Params, Scheme, scheme_of
from tui_tuner.paths import EMBEDDED
from tui_tuner.runs.control import JobControl, StopRequested

pytestmark = [pytest.mark.mlx, pytest.mark.usefixtures("cache")]

SMALL = {
    "dynamic": Learned("dynamic", samples=4),
    "awq": Learned("awq", samples=8, grid=4),
    "dwq": Learned("dwq", samples=8, learning_rate=1e-4),
    "gptq": Learned("gptq", samples=4),
}
APPLIES = [(kind, method) for kind in ("phi3", "llama", "qwen2", "gemma") for method in METHODS
           if method != "awq" or kind in AWQ_TYPES]  # fmt: skip


@pytest.fixture
def rows(tmp_path: Path) -> str:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in make_rows(60, seed=4)))
    return str(path)


def weights(model: Any) -> dict[str, Any]:
    from mlx.utils import tree_flatten

    return dict(tree_flatten(model.parameters()))


def same(ours: Any, theirs: Any) -> None:
    a, b = weights(ours), weights(theirs)
    assert a.keys() == b.keys()
    for name, value in a.items():
        np.testing.assert_array_equal(np.array(value), np.array(b[name]), err_msg=name)


def samples(count: int = 6, length: int = 24, seed: int = 0) -> list[list[int]]:
    return np.random.default_rng(seed).integers(3, 300, (count, length)).tolist()


def learnt(base: Base, scheme: Scheme, taught: list[list[int]]) -> tuple[Any, Any]:
    tree = fresh_tree(base)
    return tree, learn(base, tree, plan_learned(tree, base.config, scheme), taught)


# -- it is mlx-lm's arithmetic ----------------------------------------------------------------------------------------


def test_gptq_gives_what_mlx_lm_gives(model_of: Callable[..., Path]) -> None:
    import mlx.core as mx
    from mlx_lm.quant.gptq import gptq_quantize

    base = load_base(model_of("llama"))
    stock = fresh_tree(base)
    gptq_quantize(stock, mx.array(samples()), 4, 32, 6, 64, batch_size=1)
    ours, _ = learnt(base, scheme_of(4, 32, learned=Learned("gptq")), samples())
    same(ours, stock)


def test_awq_gives_what_mlx_lm_gives(model_of: Callable[..., Path]) -> None:
    import mlx.core as mx
    from mlx_lm.quant.awq import AWQ_MODEL_CONFIGS, awq_quantize

    base = load_base(model_of("qwen2"))
    stock = fresh_tree(base)
    awq_quantize(stock, mx.array(samples()), AWQ_MODEL_CONFIGS["qwen2"], 32, 4, n_grid=4)
    ours, made = learnt(base, scheme_of(4, 32, learned=SMALL["awq"]), samples())
    same(ours, stock)
    assert {params_of(module).bits for _, module in quantizable(ours)} == {4}  # type: ignore[union-attr]
    assert size_of(ours) == made.bytes_after


def test_dwq_gives_what_mlx_lm_gives(model_of: Callable[..., Path]) -> None:
    import mlx.core as mx
    from mlx.optimizers import Adam
    from mlx_lm.quant.dwq import dwq_quantize

    base = load_base(model_of("llama"))
    taught = samples(24)
    scheme = scheme_of(4, 32, learned=Learned("dwq", learning_rate=1e-5))
    stock = fresh_tree(base)
    apply(stock, plan(stock, scheme))
    stock.freeze()
    data = [(row, 0) for row in taught]
    teacher = lambda batch, at, split: base.model(batch)  # noqa: E731
    adam = Adam(1e-5, bias_correction=True)
    dwq_quantize(stock, teacher, adam, data[4:], data[:4], 4, 513, 0, dtype=mx.float32)
    before = np.random.get_state()[1].copy()  # type: ignore[index]
    ours, made = learnt(base, scheme, taught)
    assert "rows that were not learned from" in made.notes[0] and "taken back" not in made.notes[0]
    same(ours, stock)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # type: ignore[index]
    assert not ours.training and not weights(base.model).keys() & {"model.layers.0.mlp.up_proj.scales"}


def test_dynamic_chooses_as_mlx_lm_does(model_of: Callable[..., Path]) -> None:
    import mlx.core as mx
    from mlx_lm.quant.dynamic_quant import estimate_sensitivities, estimate_threshold

    base = load_base(model_of("llama"))
    taught = samples()
    scheme = scheme_of(4, 32, learned=Learned("dynamic", target_bits=6.3))
    felt = dict(estimate_sensitivities(base.model, mx.array(taught), 4, 32, 5, 32, batch_size=1))
    edge = estimate_threshold(base.model, felt, 6.3, 4, 32, 5, 32)
    ours, made = learnt(base, scheme, taught)
    chosen = {path for path, module in quantizable(ours) if params_of(module) == Params(5, 32)}
    assert chosen and chosen < felt.keys()
    assert chosen == {path for path, value in felt.items() if value > edge}
    assert made.bits_per_weight <= 6.3 and size_of(ours) == made.bytes_after
    assert f"{len(chosen)} of {len(made.parts)} modules have 5 bits" in made.notes[0]


def test_training_that_does_harm_is_taken_back(model_of: Callable[..., Path]) -> None:
    base = load_base(model_of("llama"))
    plain = fresh_tree(base)
    scheme = scheme_of(4, 32, learned=Learned("dwq", learning_rate=10.0))
    apply(plain, plan(plain, scheme))
    ours, made = learnt(base, scheme, samples(8))
    same(ours, plain)
    assert "it was taken back" in made.notes[0]


def test_modules_that_no_row_reaches_are_rounded_and_named(model_of: Callable[..., Path]) -> None:
    base = load_base(model_of("llama"))
    layer = base.model.layers[1]
    layer.mlp.up_proj.weight = 0 * layer.mlp.up_proj.weight  # so that nothing but zeros goes into down_proj
    ours, made = learnt(base, scheme_of(4, 32, learned=Learned("gptq")), samples())
    assert "1 modules were rounded as they are" in made.notes[0] and "layers.1.mlp.down_proj" in made.notes[0]
    assert all(np.isfinite(np.array(value)).all() for value in weights(ours).values())


# -- as a conversion --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "method"), APPLIES)
def test_every_method_gives_a_model_that_stock_mlx_lm_speaks_with(
    kind: str, method: str, model_of: Callable[..., Path], rows: str, tmp_path: Path
) -> None:
    from mlx_lm import generate, load

    asked = ConvertModel(str(model_of(kind)), tmp_path / "new", 4, 32, data=rows, rows=4, learned=SMALL[method])
    forecast = convert_model(replace(asked, target=None), JobControl(), ModelShelf())
    found = convert_model(asked, JobControl(), ModelShelf())
    assert forecast["memory_to_make"] > forecast["bytes_before"] and "of your rows" in forecast["notes"][0]
    assert found["method"]["name"] == method and found["kl"] > 0 and found["perplexity"]["after"] > 1
    assert "train rows of" in found["calibrated_on"] and "none of which it is measured on" in found["calibrated_on"]
    assert forecast["bytes"] == pytest.approx(found["bytes"], rel=0.05 if method == "dynamic" else 0)
    model, tokenizer = load(str(tmp_path / "new"))
    assert size_of(model) == found["bytes"]
    assert isinstance(generate(model, tokenizer, prompt=[1, 2, 3], max_tokens=4), str)
    assert [one["scheme"].partition(",")[0] for one in found["variants"]] == [method]


@pytest.mark.slow
def test_gptq_is_nearer_than_rounding_at_no_more_bits(tmp_path: Path) -> None:
    """On the embedded model, which is trained: measured 0.069 against 0.136 nats per token with 64 rows."""
    model = f"{EMBEDDED}phi3-tiny"
    shelf = ModelShelf()
    plain = convert_model(ConvertModel(model, tmp_path / "plain", 4, 32, rows=24), JobControl(), shelf)
    gptq = Learned("gptq", samples=32, rest_bits=4)
    learned = convert_model(ConvertModel(model, tmp_path / "gptq", 4, 32, rows=24, learned=gptq), JobControl(), shelf)
    assert learned["bytes"] <= plain["bytes"] and learned["measured_on"] == plain["measured_on"]
    assert learned["kl"] < 0.8 * plain["kl"]
    again = convert_model(
        ConvertModel(model, tmp_path / "gptq", 4, 32, rows=24, force=True, learned=gptq), JobControl(), shelf
    )
    assert again["kl"] == learned["kl"], "the same rows, drawn by seed, give the same model"


@pytest.mark.slow
@pytest.mark.parametrize("method", ["dynamic", "dwq"])
def test_the_others_are_nearer_than_rounding_too(method: str, tmp_path: Path) -> None:
    model = f"{EMBEDDED}phi3-tiny"
    shelf = ModelShelf()
    learned = Learned(method, samples=128, learning_rate=1e-5 if method == "dwq" else None)
    found = convert_model(ConvertModel(model, tmp_path / "new", 4, 32, rows=24, learned=learned), JobControl(), shelf)
    plain = convert_model(ConvertModel(model, tmp_path / "plain", 4, 32, rows=24), JobControl(), shelf)
    assert found["kl"] < plain["kl"]


# -- which rows -------------------------------------------------------------------------------------------------------


def test_rows_that_are_measured_are_never_learned_from(model_of: Callable[..., Path], tmp_path: Path) -> None:
    base = load_base(model_of("llama"))
    some = make_rows(12, seed=9)
    folder = tmp_path / "own"
    folder.mkdir()
    for name, part in (("train", [*some, *some[:6]]), ("valid", some[:4])):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in part))
    made, named = drafted(str(folder), str(base.path))
    assert made is not None
    measured = rows_of_draft(made, named, base.tokenizer, 4)
    found = calibration_of(made, named, base.tokenizer, 100, measured.rows, 0)
    assert measured.rows == [*map(dict, made.rows("valid"))]
    told = {tuple(example.tokens) for example in measured.examples}
    assert len(found.rows) == 10, "18 rows of training less the 4 that are measured, each there twice"
    assert not told & {tuple(row) for row in found.rows}
    assert found.source == f"10 train rows of {folder}, none of which it is measured on"


def test_where_every_row_is_measured_none_is_left(model_of: Callable[..., Path], tmp_path: Path) -> None:
    base = load_base(model_of("llama"))
    made, named = drafted(f"{EMBEDDED}players", str(base.path))
    assert made is not None
    everything = [row for part in made.parts for row in made.rows(part)]
    with pytest.raises(TunerError, match="no rows beside those") as caught:
        calibration_of(made, named, base.tokenizer, 4, everything, 0)
    assert caught.value.code == "no-calibration"


def test_rows_are_packed_whole_and_in_order() -> None:
    np.testing.assert_array_equal(np.array(packed([[1, 2, 3], [4, 5], [6, 7, 8, 9]])), [[1, 2, 3, 4], [5, 6, 7, 8]])


# -- stops and refusals -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "what"), [
    ("dynamic", "rows looked at"), ("dynamic", "modules"), ("awq", "layers"), ("dwq", "modules"), ("dwq", "steps"),
    ("gptq", "rows looked at"), ("gptq", "modules"),
])  # fmt: skip
def test_a_stop_in_the_middle_leaves_nothing(
    method: str, what: str, model_of: Callable[..., Path], rows: str, tmp_path: Path
) -> None:
    control = JobControl()
    seen = []

    class Watching:
        def __call__(self, doing: str, done: int, total: int) -> None:
            seen.append((doing, done))
            if doing == what and done == 1:
                control.stop("test")

    learned = replace(SMALL[method], samples=24)
    model, shelf = str(model_of("llama")), ModelShelf()
    asked = ConvertModel(model, tmp_path / "new", 4, 32, data=rows, rows=4, learned=learned)
    with pytest.raises(StopRequested):
        convert_model(replace(asked, progress=Watching()), control, shelf)  # type: ignore[arg-type]
    assert seen[-1] == (what, 1)
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "cache") == ["rows.jsonl"]
    assert params_of(shelf.base(model).model.layers[0].mlp.up_proj) is None, "the base is as it was"
    assert not shelf.base(model).model.training


@pytest.mark.parametrize(
    ("kind", "bits", "learned", "message"),
    [
        ("gemma", None, Learned("awq"), "AWQ is not known for the architecture gemma"),
        ("phi3", 4, Learned("gptq"), "GPTQ learns from the unquantized model"),
        ("phi3", 4, Learned("dynamic"), "dynamic learns from the unquantized model"),
    ],
)
def test_a_model_that_a_method_is_not_for_is_refused(
    kind: str, bits: int | None, learned: Learned, message: str, model_of: Callable[..., Path]
) -> None:
    with pytest.raises(TunerError, match=message) as caught:
        convert_model(ConvertModel(str(model_of(kind, bits)), learned=learned), JobControl(), ModelShelf())
    assert caught.value.code == "method-refused" and caught.value.fix


def test_groups_that_do_not_divide_every_width_are_refused_before_anything_is_loaded(tmp_path: Path) -> None:
    base = load_base(make_model(tmp_path / "odd", "llama", intermediate=96))
    with pytest.raises(TunerError, match=r"64 does not divide the 96 of model\.layers\.\d\.mlp\.down_proj"):
        plan_learned(fresh_tree(base), base.config, scheme_of(4, 64, learned=Learned("dynamic")))
    made = plan_learned(fresh_tree(base), base.config, scheme_of(4, 64, learned=Learned("gptq")))
    assert {part.path.rpartition(".")[2] for part in made.kept} == {"down_proj"}
    tree = fresh_tree(base)
    assert params_of(learn(base, tree, made, samples()) and tree.layers[0].mlp.down_proj) is None
    assert groups_for("dynamic", [64, 96], (32, 64)) == (32,) and groups_for("gptq", [64, 96], (32, 64)) == (32, 64)


def test_without_rows_nothing_is_learned(model_of: Callable[..., Path], tmp_path: Path) -> None:
    asked = ConvertModel(str(model_of("llama")), tmp_path / "new", 4, 32, learned=Learned("gptq"))
    with pytest.raises(TunerError, match="looks at rows of yours") as caught:
        convert_model(asked, JobControl(), ModelShelf())
    assert caught.value.code == "no-calibration" and not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (lambda: Learned("hqq"), 'no learned method "hqq"'),
        (lambda: Learned("gptq", grid=4), "gptq has no --grid"),
        (lambda: Learned("dwq", learning_rate=0.0), "--learning-rate must be more than 0"),
        (lambda: Learned("dynamic", high_bits=7), "--high-bits cannot be 7"),
        (lambda: scheme_of(3, learned=Learned("gptq")), "GPTQ has no 3 bits"),
        (lambda: scheme_of(8, learned=Learned("dwq")), "DWQ has nothing to learn at 8 bits"),
        (lambda: scheme_of(8, learned=Learned("dynamic")), "more than 8 bits are needed"),
        (lambda: scheme_of(mode="mxfp4", learned=Learned("dwq")), "affine mode only"),
        (lambda: scheme_of(recipe="mixed_4_6", learned=Learned("awq")), "awq chooses bits itself"),
        (lambda: scheme_of(dtype="float16", learned=Learned("awq")), "keep the model's data type"),
    ],
)
def test_what_a_method_does_not_have_is_refused(asked: Callable[[], Any], message: str) -> None:
    with pytest.raises(TunerError, match=message) as caught:
        asked()
    assert caught.value.code == "bad-scheme" and caught.value.usage and caught.value.fix


def test_dynamic_s_target_must_be_within_reach(model_of: Callable[..., Path]) -> None:
    base = load_base(model_of("llama"))
    made = plan(fresh_tree(base), scheme_of(4, 32))
    low = Params(4, 32)
    with pytest.raises(TunerError, match=r"has 6\.0\d to 7\.0\d bits a weight, not 3"):
        target_of(made, low, Learned("dynamic", target_bits=3.0))
    usual = target_of(made, low, Learned("dynamic"))
    assert usual == pytest.approx(made.bits_per_weight + 0.5, abs=0.05)


def test_awq_is_offered_for_what_mlx_lm_knows_and_can_load() -> None:
    from importlib.util import find_spec

    from mlx_lm.quant.awq import AWQ_MODEL_CONFIGS
    from mlx_lm.utils import MODEL_REMAPPING

    known = {name for name in AWQ_MODEL_CONFIGS if find_spec(f"mlx_lm.models.{MODEL_REMAPPING.get(name, name)}")}
    assert set(AWQ_TYPES) == known


# -- the command ------------------------------------------------------------------------------------------------------


def test_the_command_learns_and_says_what_from(
    model_of: Callable[..., Path], rows: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = str(model_of("qwen2"))
    arguments = f"convert {model} --bits 4 --group-size 32 --method awq --grid 2 --samples 6".split()
    assert command([*arguments, "--json"]) == 0
    forecast = json.loads(capsys.readouterr().out)
    assert forecast["method"] == {"name": "awq", "samples": 6, "rest_bits": 4, "grid": 2}
    assert command([*arguments, "--data", rows, "--rows", "4", "--to", str(tmp_path / "new")]) == 0
    told = capsys.readouterr()
    assert "learned from 6 train rows of" in told.out and "awq, 4 bits, group 32" in told.out
    assert "it/s" not in told.out + told.err, "what mlx-lm prints is for nobody"
    assert command(["convert", model, "--bits", "4", "--samples", "6", "--json"]) == 2
    assert "no method" in json.loads(capsys.readouterr().out)["error"]["message"]
    assert command(["convert", str(model_of("phi3")), "--method", "awq", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "method-refused"
