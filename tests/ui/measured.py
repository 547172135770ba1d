"""A run that was measured in every way: several results, parts apart, behaviour, canaries, checkpoints.

Names and answers are hostile where they come from data or a model.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.ui.fakes import RunBuilder, metric
from tests.ui.workshop import HOSTILE, answer_row, finished, write_answers

METRICS = ("exact_match", "rouge1", "rougeL", "perplexity", "truncated")
_VALUES = {
    "before": (0.0, 0.31, 0.287, 14.82, 0.8),
    "after": (0.925, 0.991, 0.988, 1.36, 0.0),
    "step-60": (0.7, 0.902, 0.871, 1.91, 0.05),
    "phi-3-mini": (0.025, 0.402, 0.377, 9.4, 0.35),
}
_MEANT: dict[str, dict[str, Any]] = {
    "rouge1": {"label": "ROUGE-1", "definition": "F-measure of the single words that both share.",
               "options": {"use_stemmer": False}, "version": "rouge_score 0.1.2", "higher_is_better": True},
    "perplexity": {"label": "Perplexity", "definition": "e to the mean loss per token of the reference.",
                   "options": {"mask_prompt": True}, "version": "1", "higher_is_better": False},
    "truncated": {"label": "Cut off", "definition": "Share of answers that ran into the token limit.",
                  "higher_is_better": True, "judged": False},
}  # fmt: skip


def figures(label: str, shift: float = 0.0) -> dict[str, dict[str, Any]]:
    """The metrics of a result."""
    found = {}
    for name, value in zip(METRICS, _VALUES[label], strict=True):
        spread = 0.9 if name == "perplexity" and value > 5 else 0.04
        found[name] = {**metric(value - shift, spread), **_MEANT.get(name, {})}
        if name == "perplexity":
            found[name]["high"] = value - shift + spread
    return found


def judged(a: dict[str, Any], b: dict[str, Any]) -> dict[str, Any]:
    """The verdict on each metric that is judged."""
    out = {}
    for name in METRICS[:-1]:
        difference = b[name]["value"] - a[name]["value"]
        out[name] = {
            "a": a[name]["value"], "b": b[name]["value"], "difference": difference, "low": difference - 0.05,
            "high": difference + 0.05, "p": 0.0002, "wins": 10, "ties": 1, "losses": 1, "effect": 2.14,
            "verdict": "better", "sentence": f"{name} is better on 12 rows.", "rows_to_settle": None,
        }  # fmt: skip
    out["rougeL"] |= {"verdict": "no measurable change", "p": 0.31, "rows_to_settle": 480, "effect": 0.12,
                      "low": -0.02, "high": 0.05, "difference": 0.02}  # fmt: skip
    return out


def write(folder: Path, name: str, document: object) -> None:
    (folder / name).write_text(json.dumps(document), encoding="utf-8")


def behaviour(passed: tuple[int, ...]) -> dict[str, Any]:
    prompts = ("I am allergic to chicken. Dinner?", f"Answer in JSON. {HOSTILE}", "How many goals did Nora score?")
    cases = []
    for name, prompt, right in zip(("no-chicken", "json", "goals"), prompts, passed, strict=True):
        answers = [
            {"text": f"Rice with beans {at}. {HOSTILE}", "passed": at < right,
             "why": [] if at < right else ['has "chicken", which it must not']}
            for at in range(4)
        ]  # fmt: skip
        cases.append({"name": name, "prompt": prompt, "passed": right, "samples": 4, "rate": right / 4,
                      "low": max(right / 4 - 0.3, 0), "high": min(right / 4 + 0.3, 1), "answers": answers})  # fmt: skip
    rate = sum(passed) / 12
    return {"label": "x", "cases": cases, "rate": rate, "low": max(rate - 0.25, 0), "high": min(rate + 0.25, 1)}


def canaries(passed: dict[str, int], status: dict[str, str] | None = None) -> dict[str, Any]:
    groups = []
    for name, right in passed.items():
        cases = [
            {"name": f"{name} {at}", "prompt": f"Question {at}? {HOSTILE}", "answer": f"Answer {at}",
             "passed": at < right, "why": "" if at < right else 'does not have "Paris"'}
            for at in range(5)
        ]  # fmt: skip
        group = {"name": name, "passed": right, "n": 5, "rate": right / 5, "low": max(right / 5 - 0.3, 0),
                 "high": min(right / 5 + 0.3, 1), "cases": cases}  # fmt: skip
        groups.append({**group, "status": status[name]} if status else group)
    rate = sum(passed.values()) / (5 * len(passed))
    return {"label": "x", "groups": groups, "rate": rate, "low": rate - 0.1, "high": min(rate + 0.1, 1)}


CHECKPOINTS = {
    "metric": "rouge1",
    "points": [
        {"step": step, "value": value, "low": value - 0.05, "high": min(value + 0.05, 1.0), "validation_loss": loss}
        for step, value, loss in ((30, 0.62, 1.1), (60, 0.902, 0.47), (90, 0.994, 0.29), (120, 0.991, 0.31))
    ],
    "best_step": 90,
    "used": 120,
}


def measured(builder: RunBuilder, rows: int = 12) -> RunBuilder:
    """A finished run with every kind of file in its evaluation folder."""
    folder = finished(builder, rows).folder.evaluation
    for label in ("before", "after"):
        found = [json.loads(line) for line in (folder / f"{label}.jsonl").read_text("utf-8").splitlines()]
        for row in found:
            row["split"] = "recall" if row["index"] < rows // 2 else "unseen"
            row["scores"] = {**row["scores"], "perplexity": 3.0}
        found[1]["finish"] = "length"
        if label == "after":
            found[2]["prediction"] = ""
        write_answers(folder, label, found)
    for label in ("step-60", "phi-3-mini"):
        write_answers(folder, label, [answer_row(at, f"FT W | Herons {at}-2", 0.8) for at in range(rows)])
    for label in _VALUES:
        splits = {name: {"n": rows // 2, "metrics": figures(label, shift)}
                  for name, shift in (("recall", 0.0), ("unseen", 0.1))}  # fmt: skip
        write(folder, f"{label}.json", {"label": label, "model": "embedded:phi3-tiny", "n": rows,
                                        "metrics": figures(label), "splits": splits})  # fmt: skip
    whole = judged(figures("before"), figures("after"))
    parts = {name: {"n": rows // 2, "metrics": whole, "sentence": "better"} for name in ("recall", "unseen")}
    sentence = "Better on 3 of 4 metrics (exact_match, rouge1 and perplexity), no measurable change on the others."
    write(folder, "verdict.json", {"a": "before", "b": "after", "n": rows, "metrics": whole, "sentence": sentence,
                                   "splits": parts})  # fmt: skip
    write(folder, "behaviour-before.json", behaviour((1, 0, 2)))
    write(folder, "behaviour-after.json", behaviour((4, 2, 1)))
    write(folder, "canaries-before.json", canaries({"general": 5, "json": 4, "refusal": 3, "language": 5}))
    status = {"general": "held", "json": "weaker", "refusal": "died", "language": "held"}
    write(folder, "canaries-after.json", canaries({"general": 5, "json": 2, "refusal": 0, "language": 5}, status))
    write(folder, "checkpoints.json", CHECKPOINTS)
    return builder
