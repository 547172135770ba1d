"""Four projects that went wrong, each rebuilt in small: `tui-tuner check` names the cause before a step is trained."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from tui_tuner.config import Experiment
from tui_tuner.engine.preflight import Preflight, preflight

pytestmark = pytest.mark.mlx

WORDS = [
    *("river", "hill", "market", "bridge", "council", "storm", "harvest", "school"),
    *("railway", "museum", "garden", "harbour", "tower", "valley", "forest"),
]


def rows_file(path: Path, rows: list[Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def checked(source: Path, data: dict[str, Any] | None = None, **sections: dict[str, Any]) -> Preflight:
    made = {"model": {"path": "embedded:phi3-tiny"}, "data": {"source": str(source), **(data or {})}, **sections}
    return preflight(Experiment.model_validate(made))


def codes(found: Preflight) -> dict[str, Any]:
    return {problem.code: problem for problem in found.problems}


def article(rng: random.Random) -> str:
    return "The " + " ".join(rng.choice(WORDS) for _ in range(40)) + "."


def test_summaries_trained_in_one_form_and_asked_in_another(tmp_path: Path) -> None:
    """Trained on bare texts and benchmarked through the chat template: answers ran to the cap, and 100 rows could not
    tell whether the score had moved."""
    rng = random.Random(1)
    texts = [article(rng) for _ in range(240)]
    source = rows_file(tmp_path / "x.jsonl", [{"text": f"{text} Summary: {text[4:40]}"} for text in texts])
    found = codes(checked(source, {"mask_prompt": False, "test": 100}))
    assert "ask through the model's chat template" in found["template-mismatch"].message
    assert "14%" in found["small-test"].message and found["small-test"].count == 100
    # As prompt and answer there is one form only, for training and benchmark.
    source = rows_file(tmp_path / "y.jsonl", [{"document": text, "summary": text[4:40]} for text in texts])
    templates = {"prompt": "Summarise this article:\n\n{document}", "completion": "{summary}"}
    assert "template-mismatch" not in codes(checked(source, templates))


def test_facts_that_validation_never_saw(tmp_path: Path) -> None:
    """120 rows of which 85 have the answer "0 yards", held-out records that nobody can know."""
    rng = random.Random(2)
    yards = ["0"] * 85 + [str(rng.randrange(1, 300)) for _ in range(35)]
    rng.shuffle(yards)
    players = [
        {
            "Name": f"{WORDS[n % 15].title()} {WORDS[n // 15].title()}",
            "Team": WORDS[n % 7],
            "Week": n % 3,
            "Yards": made,
        }
        for n, made in enumerate(yards)
    ]
    source = rows_file(tmp_path / "players.jsonl", players)
    templates = {"prompt": "How many yards did {Name} make?", "completion": "{Yards} yards"}
    found = codes(checked(source, templates))
    assert 'training answers are the same ("0 yards")' in found["dominant-answer"].message
    assert 'data.split = "facts"' in found["unseen-facts"].fix
    worded = [f"{start} {{Name}}?" for start in ("How many yards did", "Yards of", "What did", "Tell the yards of")]
    mended = codes(checked(source, {**templates, "prompt": worded, "split": "facts", "filter": ['Yards != "0"']}))
    assert not {"unseen-facts", "dominant-answer"} & set(mended)


def test_instructions_whose_splits_overlap_and_modules_that_are_fused(tmp_path: Path) -> None:
    """q_proj and others were asked for where the model has qkv_proj; 60 % of the test stood in training."""
    rng = random.Random(3)
    rows = [{"instruction": f"Explain the {article(rng)}", "input": "", "output": article(rng)} for _ in range(150)]
    rows_file(tmp_path / "set" / "train.jsonl", rows[:100])
    rows_file(tmp_path / "set" / "test.jsonl", rows[70:120])
    rows_file(tmp_path / "set" / "valid.jsonl", rows[120:])
    found = checked(tmp_path / "set", adapter={"targets": ["self_attn.q_proj", "nothing_like_it"]})
    leaked = codes(found)["leakage"]
    assert not found.ok and (leaked.severity, leaked.count, leaked.step) == ("error", 30, "drop-leaks")
    assert "nothing_like_it" in codes(found)["target-not-found"].message
    found = checked(
        tmp_path / "set", {"fixes": ["drop-leaks"]}, adapter={"targets": ["q_proj", "k_proj", "v_proj", "o_proj"]}
    )
    assert found.ok and "leakage" not in codes(found)


def test_recipes_in_another_familys_tokens(tmp_path: Path) -> None:
    """Texts with ChatML's tokens for a Phi-3, alpha beside scale, and epochs turned into iterations by hand."""
    texts = [
        f"<|im_start|>user\nA dish with {WORDS[n % 15]} and {n} eggs?<|im_end|>\n<|im_start|>assistant\n"
        f'{{"name": "{WORDS[n % 15]} {n}"}}<|im_end|>\n'
        for n in range(60)
    ]
    source = rows_file(tmp_path / "recipes.jsonl", [{"text": text} for text in texts])
    found = checked(source, adapter={"rank": 8, "alpha": 16})
    assert codes(found)["foreign-special-tokens"].step == "messages-from-tokens"
    assert codes(found)["mask-text"].severity == "error" and not found.ok
    mended = checked(source, {"fixes": ["messages-from-tokens"]}, train={"epochs": 3.0})
    assert mended.ok and not {"foreign-special-tokens", "mask-text", "template-mismatch"} & set(codes(mended))
    assert mended.training["steps"] == 3 * 12 and mended.training["epochs"] == 3.0
    assert (
        Experiment.model_validate(
            {"model": {"path": "m"}, "data": {"source": "d"}, "adapter": {"rank": 8, "alpha": 16}}
        ).adapter.effective_scale
        == 2.0
    )  # alpha is heeded
