"""Learned quantization part by part: the choice of modules, what is trained and judged by, the forecast, failures."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.learned import GROUP, LOW, nothing, rows
from tui_tuner.errors import TunerError
from tui_tuner.models.learned import awq, dwq, gptq
from tui_tuner.models.learned.dynamic import Rows
from tui_tuner.models.learned.learn import learn
from tui_tuner.models.learned.methods import Learned
from tui_tuner.models.learned.planning import (
    LONGEST,
    awq_layers,
    high_modules,
    plan_learned,
    target_of,
    with_high,
)
from tui_tuner.models.load import Base, fresh_tree
from tui_tuner.models.quantize import Part, Plan, params_of, plan, quantizable
from tui_tuner.models.scheme import Params, Scheme, scheme_of
from tui_tuner.runs.control import JobControl, StopRequested

pytestmark = pytest.mark.mlx


def scheme(method: str, bits: int = 4, **options: Any) -> Scheme:
    return scheme_of(bits, GROUP, learned=Learned(method, **options))


# -- dynamic -----------------------------------------------------------------------------------------------------------


def parts_of(widths: list[int]) -> Plan:
    """A plan of matrices of 32 rows, all at 4 bits in groups of 32 of a float16 model."""
    parts = [Part(f"m{n}", (32, 32 * width), None, LOW) for n, width in enumerate(widths)]
    weights = sum(part.weights for part in parts)
    after = sum(part.weights * 4 // 8 + part.weights // 32 * 4 for part in parts)
    return Plan(scheme("dynamic"), parts, weights, 2 * weights, after)


@given(
    st.lists(st.tuples(st.integers(1, 6), st.floats(0, 1)), min_size=1, max_size=8), st.floats(0, 1), st.floats(0, 1)
)
@settings(max_examples=60)
def test_more_bits_go_to_what_is_felt_most_and_never_beyond_the_target(
    modules: list[tuple[int, float]], one: float, other: float
) -> None:
    made = parts_of([width for width, _ in modules])
    felt = {f"m{n}": value for n, (_, value) in enumerate(modules)}
    chosen = []
    for share in sorted((one, other)):
        target = made.bits_per_weight + share * 4
        found = high_modules(made, felt, LOW, 8, target)
        more = sum(part.weights * 4 // 8 for part in made.parts if part.path in found)
        assert 8 * (made.bytes_after + more) <= target * made.parameters + 1e-6
        left = [felt[part.path] for part in made.parts if part.path not in found]
        assert not found or not left or max(left) <= min(felt[path] for path in found)
        chosen.append(found)
    assert chosen[0] <= chosen[1], "a higher target takes nothing away"


def test_what_the_architecture_chose_is_not_dynamics_to_choose() -> None:
    made = parts_of([1, 1])
    fixed = replace(made, parts=[replace(made.parts[0], after=Params(8, 64)), made.parts[1]])
    assert high_modules(fixed, {"m1": 0.1}, LOW, 8, 99.0) == {"m1"}


def test_the_target_is_halfway_unless_it_is_told_and_within_what_is_possible(llama: Base) -> None:
    tree = fresh_tree(llama)
    made = plan(tree, scheme("dynamic"))
    everything = with_high(tree, scheme("dynamic"), {part.path for part in made.parts}, 8)
    ends = made.bits_per_weight, everything.bits_per_weight
    wanted = Learned("dynamic", high_bits=8)
    assert target_of(made, LOW, wanted) == pytest.approx(sum(ends) / 2)
    for target in ends:
        assert target_of(made, LOW, replace(wanted, target_bits=target)) == target
    for target in (ends[0] - 0.01, ends[1] + 0.01, math.inf):
        with pytest.raises(TunerError, match=rf"{ends[0]:.2f} to {ends[1]:.2f} bits a weight") as caught:
            target_of(made, LOW, replace(wanted, target_bits=target))
        assert caught.value.usage and "--target-bits" in caught.value.fix


def test_chosen_modules_alone_have_the_higher_bits(llama: Base) -> None:
    chosen = {"model.layers.1.mlp.up_proj", "lm_head"}
    made = with_high(fresh_tree(llama), scheme("dynamic"), chosen, 6)
    assert {part.path for part in made.parts if part.after == Params(6, 32)} == chosen
    assert {part.after for part in made.parts if part.path not in chosen} == {LOW}


def test_rows_are_given_one_by_one_and_a_stop_comes_between_two() -> None:
    told: list[tuple[int, int]] = []
    control = JobControl()
    given_out = Rows([[1, 2], [3, 4, 5]], lambda *counts: told.append(counts), control.check)
    assert len(given_out) == 2
    np.testing.assert_array_equal(np.array(given_out[1:2]), [[3, 4, 5]])
    control.stop("test")
    with pytest.raises(StopRequested):
        given_out[0:1]
    assert told == [(1, 2)]


# -- DWQ ---------------------------------------------------------------------------------------------------------------


class Fixed:
    """A model that says the same logits to every token of a row, (1, tokens, vocabulary)."""

    def __init__(self, *logits: float) -> None:
        self.logits = logits

    def __call__(self, tokens: Any) -> Any:
        import mlx.core as mx

        return mx.broadcast_to(mx.array(self.logits), (*tokens.shape, len(self.logits)))


def test_the_distance_is_the_mean_divergence_in_nats_over_tokens() -> None:
    teacher, student = Fixed(0.0, math.log(2), math.log(3)), Fixed(0.0, 0.0, 0.0)
    p = np.array([1, 2, 3]) / 6
    wanted = float((p * np.log(p * 3)).sum())
    checks: list[int] = []
    found = dwq._distance(teacher, student, [[0, 1, 2], [0, 1]], lambda: checks.append(1))
    assert found == pytest.approx(wanted, rel=1e-5) and len(checks) == 2
    assert dwq._distance(teacher, teacher, [[0, 1]], nothing) == pytest.approx(0.0, abs=1e-6)


def test_dwq_needs_a_row_to_learn_from_and_one_to_judge_by(llama: Base) -> None:
    made = plan_learned(llama.model, llama.config, scheme("dwq"))
    with pytest.raises(TunerError, match="two rows at least") as caught:
        learn(llama, fresh_tree(llama), made, rows(1))
    assert caught.value.code == "no-calibration" and "--data" in caught.value.fix


@pytest.mark.parametrize(
    ("count", "iterations", "trained", "held"),
    [
        (2, None, 1, 1), (3, None, 2, 1), (8, None, 4, 4), (9, None, 5, 4), (100, None, 90, 10), (8, 3, 12, 4),
        (400, None, 368, 32),
    ],
)  # fmt: skip
def test_rows_that_judge_are_kept_back_and_iterations_repeat_the_others(
    count: int, iterations: int | None, trained: int, held: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, list[list[int]]] = {}

    def train(base: Any, tree: Any, train: Any, held: Any, *rest: Any) -> None:
        seen.update(train=[*train], held=[*held])

    monkeypatch.setattr(dwq, "apply", lambda *_, **__: None)
    monkeypatch.setattr(dwq, "_sides", nothing)
    monkeypatch.setattr(dwq, "_train", train)
    distances = iter([0.5, 0.25])
    monkeypatch.setattr(dwq, "_distance", lambda *_: next(distances))
    some = [[n, n] for n in range(count)]
    made = dwq.learn_dwq(None, None, Plan(scheme("dwq", iterations=iterations), [], 1, 1, 1), some, nothing, nothing)
    assert (len(seen["train"]), len(seen["held"])) == (trained, held)
    assert not {row[0] for row in seen["train"]} & {row[0] for row in seen["held"]}
    assert made.notes[0].startswith(f"KL 0.5 → 0.25 nats per token on {held} rows")


def test_scales_and_offsets_are_put_back_and_nothing_else(llama: Base) -> None:
    from mlx.utils import tree_flatten

    tree = fresh_tree(llama)
    tree.layers[0].mlp.up_proj = tree.layers[0].mlp.up_proj.to_quantized(32, 4)
    names = {name for name, _ in tree_flatten(dwq._sides(tree))}
    assert names == {f"model.layers.0.mlp.up_proj.{side}" for side in ("scales", "biases")}


# -- AWQ ---------------------------------------------------------------------------------------------------------------


@given(st.lists(st.lists(st.integers(0, 99), min_size=1, max_size=7), min_size=1, max_size=6))
@settings(max_examples=30)
def test_packed_rows_are_one_stream_cut_where_it_is_long_enough(some: list[list[int]]) -> None:
    long = max(map(len, some))
    stream = [token for row in some for token in row]
    found = np.array(awq.packed(some))
    assert found.shape == (len(stream) // long, long)
    assert found.reshape(-1).tolist() == stream[: found.size]


def test_what_goes_into_the_first_layer_is_the_embedding_and_the_model_stays_whole(llama: Base) -> None:
    import mlx.core as mx

    tree = fresh_tree(llama)
    layers = list(tree.layers)
    tokens = mx.array([[5, 6, 7, 8]])
    x, masks = awq._entered(tree, tokens)
    np.testing.assert_array_equal(np.array(x), np.array(tree.model.embed_tokens(tokens)))
    assert len(masks) == 3 and [id(layer) for layer in tree.layers] == [id(layer) for layer in layers]


def test_a_model_that_is_not_built_as_awq_expects_is_refused_by_the_missing_module(llama: Base) -> None:
    tree = fresh_tree(llama)
    root, known, prefix = awq_layers(tree, llama.config)
    assert root is tree and prefix == "" and known.scale_configs
    del tree.layers[1].mlp["up_proj"]
    with pytest.raises(TunerError, match=r"AWQ finds no module .*up_proj.* in this model") as caught:
        awq_layers(tree, llama.config)
    assert caught.value.code == "method-refused" and "gptq" in caught.value.fix


# -- forecast ----------------------------------------------------------------------------------------------------------


def test_memory_to_make_it_is_what_the_method_holds_beside_the_model(llama: Base) -> None:
    """By hand, of a llama of 3 layers, 64 wide, 128 inside, in float32."""
    modules = dict(quantizable(llama.model))
    weights = sum(module.weight.size for module in modules.values())
    found = {name: plan_learned(llama.model, llama.config, scheme(name)) for name in ("dynamic", "dwq", "gptq", "awq")}
    beside = {name: made.memory - made.bytes_before for name, made in found.items()}
    assert beside["dynamic"] == weights * (2 * 4 + 4)
    assert beside["dwq"] == found["dwq"].bytes_after + weights // 32 * 2 * 4 * 4
    inside = {"q": 64, "k": 64, "v": 64, "o": 64, "gate": 64, "up": 64, "down": 128}
    squares = 3 * sum(4 * width**2 for width in inside.values()) + 4 * 64**2  # and those of the head
    assert beside["gptq"] == found["gptq"].bytes_after + squares
    assert beside["awq"] == found["awq"].bytes_after + 128 * LONGEST * 4 * sum(inside.values())
    for made in found.values():
        assert "of your rows (512 tokens each)" in made.notes[0] and "in memory, about" in made.notes[0]


def test_what_a_method_does_not_reach_has_the_bits_of_the_rest(llama: Base) -> None:
    made = plan_learned(llama.model, llama.config, scheme("gptq", rest_bits=8))
    assert {part.path: part.after for part in made.parts if part.after != LOW} == {"model.embed_tokens": Params(8, 64)}
    made = plan_learned(llama.model, llama.config, scheme("awq", bits=3))
    assert {part.path for part in made.parts if part.after == Params(4, 32)} == {"model.embed_tokens", "lm_head"}
    assert {part.after for part in made.parts if ".layers." in part.path} == {Params(3, 32)}


def test_without_a_method_the_plan_is_the_plain_one(llama: Base) -> None:
    assert plan_learned(llama.model, llama.config, scheme_of(4, 32)) == plan(llama.model, scheme_of(4, 32))


def test_the_defaults_are_those_that_mlx_lm_has_today(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the option parsers of mlx-lm's own commands, stopped where they have read the command."""
    import argparse

    from mlx_lm.quant import awq, dwq, gptq

    read: dict[str, Any] = {}

    class Read(Exception):
        pass

    def parse(parser: argparse.ArgumentParser, *_: Any) -> Any:
        read.update(vars(argparse.ArgumentParser.parse_known_args(parser, ["--model", "m"])[0]))
        raise Read

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse)

    def defaults(module: Any) -> dict[str, Any]:
        read.clear()
        with pytest.raises(Read):
            module.main()
        return dict(read)

    ours = Learned("awq")
    assert {"n_grid": ours.steps, "embed_bits": ours.rest[0], "embed_group_size": ours.rest[1]}.items() <= (
        defaults(awq).items()
    )
    assert {"fallback_bits": 6, "fallback_group_size": 64}.items() <= defaults(gptq).items()
    assert Learned("gptq").rest == (6, 64)
    assert Learned("dwq").rate == defaults(dwq)["learning_rate"]


# -- failures ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error", [KeyError("gate"), AttributeError("no layers"), NotImplementedError(), IndexError("x")]
)
def test_what_fails_inside_of_a_method_is_told_as_the_methods_failure(
    error: Exception, llama: Base, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr(gptq, "learn_gptq", fail)
    made = plan_learned(llama.model, llama.config, scheme("gptq"))
    with pytest.raises(TunerError, match=r"^GPTQ fails on this model \(.+\)") as caught:
        learn(llama, None, made, rows(1))
    assert caught.value.code == "method-refused" and caught.value.fix == "take another method"


@pytest.mark.parametrize("error", [StopRequested("test"), TunerError("ours", code="own"), MemoryError()])
def test_stops_our_own_errors_and_what_is_no_methods_fault_pass(
    error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr(awq, "learn_awq", fail)
    with pytest.raises(type(error)) as caught:
        learn(SimpleNamespace(config={}), None, Plan(scheme("awq"), [], 1, 1, 1), [])  # type: ignore[arg-type]
    assert caught.value is error


def test_a_module_that_is_to_stay_stays(llama: Base) -> None:
    """As in a model whose architecture keeps some module as it is."""
    tree = fresh_tree(llama)
    made = plan_learned(tree, llama.config, scheme("gptq"))
    kept = "model.layers.2.mlp.down_proj"
    made = replace(made, parts=[replace(p, after=None) if p.path == kept else p for p in made.parts])
    learn(llama, tree, made, rows(2))
    found = {path: params_of(module) for path, module in quantizable(tree)}
    assert [path for path, params in found.items() if params is None] == [kept]
