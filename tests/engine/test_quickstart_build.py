"""The script that makes the embedded model: its arithmetic, its training, its exam, and what it writes."""

from __future__ import annotations

import importlib
import json
import random
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tui_tuner.paths import resolve_model
from tui_tuner.quickstart.build import __main__ as script
from tui_tuner.quickstart.build import exam, pretrain, quick_math
from tui_tuner.quickstart.build.canaries import CASES, canaries
from tui_tuner.quickstart.build.card import model_card
from tui_tuner.quickstart.build.exam import Figure
from tui_tuner.quickstart.build.pretrain import Recipe
from tui_tuner.quickstart.build.skills import SKILLS, draw_conversation
from tui_tuner.quickstart.build.tokenizer import ENDOFTEXT, SPACE, encode_conversation
from tui_tuner.quickstart.build.world import EXAM, PRETRAIN, draw_game

pytestmark = pytest.mark.mlx
SMALL = Recipe(hidden=32, layers=1, heads=2, intermediate=32, steps=3, batch=4, warmup=1)


@pytest.fixture(scope="module")
def backend() -> Any:
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(Path(resolve_model("embedded:phi3-tiny", None)) / "tokenizer.json"))


def flat(model: Any) -> dict[str, Any]:
    from mlx.utils import tree_flatten

    return {name: np.array(value) for name, value in tree_flatten(model.parameters())}


# -- arithmetic --------------------------------------------------------------------------------------------------------


def test_quick_exponentials_are_numpys_to_a_few_ten_millionths() -> None:
    import mlx.core as mx

    x = np.concatenate([np.linspace(-80, 80, 4_001), [0.0, -0.5, 0.5, 1e-8]]).astype(np.float32)
    np.testing.assert_allclose(np.array(quick_math._exp(mx.array(x))), np.exp(x.astype(np.float64)), rtol=8e-6)
    near = np.linspace(-1, 1, 2_001).astype(np.float32)
    np.testing.assert_allclose(np.array(quick_math._exp(mx.array(near))), np.exp(near.astype(np.float64)), rtol=4e-7)
    ends = np.array(quick_math._exp(mx.array([-1e9, -200.0, 200.0, 1e9])))
    assert np.isfinite(ends).all() and (ends[:2] < 1e-37).all() and (ends[2:] > 1e37).all()


def test_the_quick_loss_and_its_slope_are_mlxs() -> None:
    import mlx.core as mx
    import mlx.nn as nn

    mx.random.seed(0)
    logits, targets = 5 * mx.random.normal((7, 11)), mx.array([0, 3, 10, 10, 5, 1, 2])

    def quick(x: Any) -> Any:
        return (quick_math.quick_cross_entropy(x, targets) * mx.arange(1, 8)).sum()

    def stock(x: Any) -> Any:
        return (nn.losses.cross_entropy(x, targets) * mx.arange(1, 8)).sum()

    ours, theirs = (mx.value_and_grad(function)(logits) for function in (quick, stock))
    assert ours[0].item() == pytest.approx(theirs[0].item(), rel=1e-6)
    np.testing.assert_allclose(np.array(ours[1]), np.array(theirs[1]), atol=2e-6)


def test_the_quick_gate_and_softmax_have_the_slopes_of_stock_ones() -> None:
    import mlx.core as mx
    import mlx.nn as nn

    gate, softmax = quick_math._functions()
    mx.random.seed(1)
    g, x = mx.random.normal((3, 8)), mx.random.normal((3, 8))
    weights = mx.random.normal((3, 8))
    pairs: list[tuple[Callable[..., Any], Callable[..., Any], tuple[Any, ...]]] = [
        (gate, lambda a, b: nn.silu(a) * b, (g, x)),
        (softmax, lambda a: mx.softmax(a, axis=-1), (g,)),
    ]
    for ours, stock, inputs in pairs:
        np.testing.assert_allclose(np.array(ours(*inputs)), np.array(stock(*inputs)), atol=1e-6)
        for at in range(len(inputs)):
            slopes = [
                mx.grad(lambda *i, one=one: (one(*i) * weights).sum(), argnums=at)(*inputs) for one in (ours, stock)
            ]
            np.testing.assert_allclose(np.array(slopes[0]), np.array(slopes[1]), atol=2e-6)


def test_only_inside_does_phi3_compute_otherwise_and_it_says_the_same(backend: Any) -> None:
    import mlx.core as mx
    from mlx_lm.models import phi3

    before = phi3.swiglu, phi3.scaled_dot_product_attention
    model = pretrain.build_model(SMALL, backend)
    tokens = mx.array([[5, 90, 17, 400, 23, 8]])
    plain = np.array(model(tokens))
    with pytest.raises(RuntimeError, match="in the middle"), quick_math.quick_exponentials():
        assert phi3.swiglu is not before[0]
        np.testing.assert_allclose(np.array(model(tokens)), plain, atol=2e-5)
        raise RuntimeError("in the middle")
    assert (phi3.swiglu, phi3.scaled_dot_product_attention) == before


# -- training ----------------------------------------------------------------------------------------------------------


def test_a_word_starts_near_the_same_word_after_a_space(backend: Any) -> None:
    model = pretrain.build_model(SMALL, backend)
    rows = np.array(model.model.embed_tokens.weight)
    np.testing.assert_allclose(np.array(model.lm_head.weight), 0.1 * rows, rtol=1e-5)
    vocabulary = backend.get_vocab()
    pairs = [(vocabulary[word], vocabulary[SPACE + word]) for word in ("Ada", "Brook", "Foxes", "Otto", "Tigers")]

    def cosine(a: int, b: int) -> float:
        return float(rows[a] @ rows[b] / np.linalg.norm(rows[a]) / np.linalg.norm(rows[b]))

    assert np.mean([cosine(*pair) for pair in pairs]) > 0.4 > np.mean([cosine(a, b + 1) for a, b in pairs])


def test_the_same_seed_trains_the_same_model_and_the_loss_falls(backend: Any) -> None:
    said: list[str] = []
    recipe = replace(SMALL, steps=12)
    first = pretrain.pretrain(recipe, backend, said.append)
    losses = [float(found[1]) for line in said if (found := re.search(r"loss (\d+\.\d{4})", line))]
    assert len(losses) == 1 and losses[0] < np.log(backend.get_vocab_size())
    assert re.fullmatch(r"step 12/12  loss \d\.\d{4}  \d+ s", said[0])
    start = flat(pretrain.build_model(recipe, backend))
    assert all(
        np.isfinite(value).all() and not np.array_equal(value, start[name]) for name, value in flat(first).items()
    )
    runs = [flat(pretrain.pretrain(replace(SMALL, seed=seed), backend, said.append)) for seed in (7, 7, 8)]
    assert all(np.array_equal(value, runs[1][name]) for name, value in runs[0].items())
    assert not np.array_equal(runs[0]["lm_head.weight"], runs[2]["lm_head.weight"])


def test_batches_count_every_word_of_the_answers_and_no_padding(backend: Any) -> None:
    recipe = replace(SMALL, told_share=0.0, longest=60)
    batches = pretrain._batches(recipe, backend)
    for _ in range(20):
        inputs, places, targets = next(batches)
        rows, width = inputs.shape
        assert rows == recipe.batch and width % 8 == 0 and width <= 64
        following = np.concatenate([inputs[:, 1:], np.full((rows, 1), ENDOFTEXT)], axis=1).reshape(-1)
        inner = places[(places + 1) % width != 0]
        np.testing.assert_array_equal(following[inner], targets[(places + 1) % width != 0])
        assert (targets != ENDOFTEXT).all(), "padding is never learned"
        assert len({place // width for place in places}) == rows, "every row has an answer"


def test_rows_that_are_told_are_counted_in_part(backend: Any) -> None:
    counts = []
    for share in (0.0, 0.5, 1.0):
        batches = pretrain._batches(replace(SMALL, told_share=share), backend)
        counts.append(sum(len(next(batches)[1]) for _ in range(8)))
    assert counts[0] < 0.9 * counts[1] < 0.81 * counts[2]


# -- exam --------------------------------------------------------------------------------------------------------------


def test_the_exam_counts_what_is_right_to_the_letter(backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that knows all, but for one full stop in `refuse` and for everything about comparing."""
    known = {
        skill: [draw_conversation(rng, EXAM, skill)[-1] for _ in range(3)]
        for skill in SKILLS
        for rng in [random.Random(f"exam-7-{skill}")]
    }
    answers = {skill: [answer for _, answer in turns] for skill, turns in known.items()}
    answers["refuse"][1] = answers["refuse"][1].removesuffix(".")
    answers["compare"] = ["I cannot tell."] * 3
    order = iter(SKILLS)
    asked: list[list[str]] = []

    def generate(model: Any, tokenizer: Any, prompts: list[list[int]], **options: Any) -> Any:
        asked.append([backend.decode(prompt, skip_special_tokens=False) for prompt in prompts])
        return SimpleNamespace(texts=answers[next(order)])

    monkeypatch.setattr(importlib.import_module("mlx_lm.generate"), "batch_generate", generate)
    wrapped = SimpleNamespace(_tokenizer=SimpleNamespace(backend_tokenizer=backend))
    figures = {figure.skill: figure for figure in exam.examine(None, wrapped, 7, each=3)}
    assert list(figures) == list(SKILLS)
    assert {skill: figure.right for skill, figure in figures.items()} == {
        **dict.fromkeys(SKILLS, 3), "refuse": 2, "compare": 0,
    }  # fmt: skip
    question, right, said = figures["refuse"].mistake or ("", "", "")
    assert (question, right, said) == (*known["refuse"][1], right.removesuffix("."))
    assert figures["compare"].share == 0.0 and figures["report"].mistake is None
    for prompts, turns in zip(asked, known.values(), strict=True):
        for prompt, (question, answer) in zip(prompts, turns, strict=True):
            assert prompt.endswith(f"<|user|>{question}<|end|><|assistant|>"), "the answer is not given away"
            assert prompt.count("<|assistant|>") in (1, 2) and f"<|assistant|>{answer}<|end|>" not in prompt


def test_the_card_states_what_the_exam_found() -> None:
    figures = [Figure("report", 199, 200, ("q", "a", "b")), Figure("chat", 150, 200, None)]
    text = model_card(Recipe(steps=12), figures, 1_234_567, 9_876_543, 777)
    assert "| report | 199 | 200 | 99.5% |" in text and "| chat | 150 | 200 | 75.0% |" in text
    assert "| **all** | **349** | **400** | **87.2%** |" in text
    assert "1,234,567 parameters in float32 (9,876,543 bytes)" in text and "12 steps of 32 conversations" in text
    assert "{" not in text, "no place of the form is left open"


# -- the whole ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def built(backend: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What the script writes with a recipe of seconds and a tokenizer at hand; no such model passes its exam."""
    to = tmp_path_factory.mktemp("built")
    with pytest.MonkeyPatch.context() as patch:
        said: list[str] = []
        patch.setattr(script, "_say", said.append)
        patch.setattr(script, "build_tokenizer", lambda seed: backend)
        patch.setattr(script, "examine", lambda model, wrapped, seed: exam.examine(model, wrapped, seed, each=2))
        patch.setattr(exam, "_LONGEST_ANSWER", 3)
        passed = script.build(to, SMALL)
    return SimpleNamespace(folder=to, said=said, passed=passed)


def test_the_script_writes_a_model_that_stock_mlx_lm_loads(built: Any, backend: Any) -> None:
    from mlx_lm import load

    model, tokenizer = load(str(built.folder / "model"))[:2]
    assert tokenizer.get_vocab() == backend.get_vocab()
    assert tokenizer.eos_token_ids == {4, 0}
    assert flat(model)["model.layers.0.mlp.gate_up_proj.weight"].shape == (64, 32)
    config = json.loads((built.folder / "model" / "config.json").read_text())
    assert (config["num_hidden_layers"], config["vocab_size"]) == (1, backend.get_vocab_size())
    assert sorted(file.name for file in built.folder.iterdir()) == ["model", "players.json"]
    suite = json.loads((built.folder / "model" / "canaries.json").read_text(encoding="utf-8"))
    assert suite == canaries(SMALL.seed) and all(len(cases) <= CASES for cases in suite.values())


def test_the_script_tells_every_skill_and_fails_whom_the_exam_fails(built: Any) -> None:
    assert not built.passed and f"exam: {0:.1%} right" in built.said[-1]
    assert "table: 480 players" in built.said[0]
    assert all(any(re.search(rf"^ *{skill}  0/2  ", line) for line in built.said) for skill in SKILLS)
    card = (built.folder / "model" / "README.md").read_text(encoding="utf-8")
    assert "| **all** | **0** | **14** | **0.0%** |" in card and "pre-training | 3 steps of 4" in card


@pytest.mark.parametrize(("share", "status"), [(0.95, 0), (0.945, 1)])
def test_the_exit_status_is_the_exams(
    share: float, status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given: list[Recipe] = []

    def build(to: Path, recipe: Recipe) -> bool:
        given.append(recipe)
        assert to == tmp_path
        return share >= script.PASS_MARK

    monkeypatch.setattr(script, "build", build)
    assert script.main(["--to", str(tmp_path), "--steps", "5"]) == status
    assert given == [replace(Recipe(), steps=5)] and re.search(r"built in \d+ s", capsys.readouterr().out)
    with pytest.raises(SystemExit) as caught:
        script.main([])
    assert caught.value.code == 2


# -- what the base model is taught -------------------------------------------------------------------------------------


def drawn(skill: str, count: int = 300) -> list[list[tuple[str, str]]]:
    rng = random.Random(f"test-{skill}")
    return [draw_conversation(rng, PRETRAIN, skill) for _ in range(count)]


def test_whoever_had_more_is_right() -> None:
    for ((question, answer),) in drawn("compare"):
        had = [(int(number), name) for name, number in re.findall(r"([A-Z]\w+ [A-Z]\w+)\D*?(\d+)", question)]
        (low, _), (high, best) = sorted(had)
        noun = "goals" if "goals" in question else "assists"
        assert answer == (f"Both had {low} {noun}." if low == high else f"{best} had more {noun}, {high} to {low}.")


def test_what_is_repeated_stands_in_the_question_to_the_letter() -> None:
    for ((question, answer),) in drawn("repeat"):
        assert question.partition(":")[2].lstrip() == answer


def test_a_report_tells_nothing_that_was_not_said() -> None:
    for ((question, answer),) in drawn("report"):
        told = set(re.findall(r"\d+|[A-Z][a-z]+", question))
        assert set(re.findall(r"\d+", answer)) - told <= {"1"}  # "no goals" and "1 goal" are said of 0 and 1
        assert set(re.findall(r"[A-Z][a-z]+", answer)) <= told


def test_who_nothing_was_said_of_is_not_known() -> None:
    answers = {answer for ((_, answer),) in drawn("refuse")}
    known = {answer for answer in answers if answer.startswith("I have no record of ")}
    assert answers - known == {"I only know the games that you tell me."} and known
    for ((question, answer),) in drawn("refuse"):
        if answer in known:
            assert answer.removeprefix("I have no record of ").removesuffix(".") in question


def test_an_answer_follows_from_the_game_alone(backend: Any) -> None:
    rng = random.Random(5)
    for _ in range(200):
        game = draw_game(rng, PRETRAIN)
        assert game.goals + game.assists <= game.score_for and game.team != game.opponent
        margin = game.score_for - game.score_against
        assert game.result == "LDW"[(margin > 0) - (margin < 0) + 1]
        ids, said = encode_conversation(backend, [(game.name, game.score)])
        assert (
            len(ids) == len(said)
            and backend.decode([i for i, s in zip(ids, said, strict=True) if s][:-1]) == game.score
        )
