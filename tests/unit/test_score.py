"""From predictions to intervals, and the verdict over several metrics."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tui_tuner.errors import TunerError
from tui_tuner.evaluation.metrics import score_rows
from tui_tuner.evaluation.score import Comparison, intervals, row_scores, verdict
from tui_tuner.evaluation.significance import mean_interval, paired

SAID = ["a b c", "a b", "x"] * 10
RIGHT = ["a b c", "a c", "y"] * 10


def test_summaries_are_the_intervals_of_the_rows() -> None:
    names = ["exact_match", "rouge1", "bleu", "token_f1"]
    summary = intervals(row_scores(SAID, RIGHT, names))
    assert list(summary) == names
    assert summary["exact_match"].value == pytest.approx(1 / 3)
    assert summary["rouge1"].value == pytest.approx(0.5)
    assert summary["rouge1"] == mean_interval(score_rows("rouge1", SAID, RIGHT))
    assert all(one.low <= one.value <= one.high for one in summary.values())


def test_no_rows_are_refused() -> None:
    with pytest.raises(TunerError, match="no rows"):
        intervals(row_scores([], [], ["exact_match"]))


def rows(n: int = 60) -> dict[str, np.ndarray]:
    random = np.random.default_rng(1)
    return {"exact_match": np.zeros(n), "rouge1": random.random(n), "rouge2": random.random(n)}


def test_the_verdict_is_corrected_over_the_metrics() -> None:
    before = rows()
    # 6 of 60 rows gained: p = 2/64 = 0.031 for this metric alone, and 0.094 as one of three.
    after = {**before, "exact_match": np.array([1.0] * 6 + [0.0] * 54)}
    alone = verdict({"exact_match": before["exact_match"]}, after)
    assert (alone["exact_match"].p, alone["exact_match"].verdict) == (2 / 64, "better")
    # Metrics that no row differs in are not tested, and do not count.
    assert verdict(before, after)["exact_match"].p == 2 / 64
    swapped = {name: np.r_[values[1], values[0], values[2:]] for name, values in before.items()}
    after = {**swapped, "exact_match": after["exact_match"]}
    among = verdict(before, after)
    assert list(among) == list(before)
    assert among["exact_match"].p == pytest.approx(6 / 64)
    assert among["exact_match"].p_uncorrected == 2 / 64
    assert among["exact_match"].verdict == "no measurable change"
    assert among["exact_match"].rows_to_settle is not None
    assert "no measurable change; about" in among["exact_match"].sentence


def test_one_metric_is_judged_as_it_is_alone() -> None:
    before, after = rows()["rouge1"], rows()["rouge2"]
    assert verdict({"m": before}, {"m": after})["m"] == paired(before, after, name="m")


@pytest.mark.parametrize(
    ("gain", "start"),
    [
        ((1.0, 0.5, 0.5), "Better on all 3 metrics. exact_match rose"),
        ((0.0, 0.5, 0.0), "Better on 1 of 3 metrics (rouge1), no measurable change on the others. rouge1 rose"),
        ((0.0, -0.5, -0.5), "Worse on 2 of 3 metrics (rouge1 and rouge2), no measurable change on the others. rouge1"),
        ((1.0, -0.5, 0.0), "Mixed: better on exact_match, worse on rouge1. exact_match rose"),
        ((0.0, 0.0, 0.0), "No measurable change on any of 3 metrics. exact_match stayed"),
    ],
)
def test_the_sentence_on_all_metrics(gain: tuple[float, float, float], start: str) -> None:
    before = rows()
    after = {name: values + change for (name, values), change in zip(before.items(), gain, strict=True)}
    assert verdict(before, after).sentence.startswith(start)


def test_the_sentence_on_one_metric_is_its_own() -> None:
    values = rows()["rouge1"]
    compared = verdict({"rouge1": values}, {"rouge1": values})
    assert compared.sentence == compared["rouge1"].sentence
    assert Comparison({}).sentence == ""


def test_the_document_is_json_with_the_promised_keys() -> None:
    before = rows()
    document = json.loads(
        json.dumps(verdict(before, {**before, "rouge1": before["rouge2"]}).as_json(), allow_nan=False)
    )
    keys = {"a", "b", "difference", "low", "high", "p", "wins", "ties", "losses", "verdict", "sentence"}
    assert set(document) == set(before)
    assert all(keys <= set(one) for one in document.values())
    assert isinstance(document["rouge1"]["wins"], int)


def test_only_common_metrics_are_judged() -> None:
    before = rows()
    assert list(verdict(before, {"rouge2": before["rouge2"], "new": before["rouge1"]})) == ["rouge2"]
    with pytest.raises(TunerError, match="no metric in common"):
        verdict({"a": [1.0]}, {"b": [1.0]})
    with pytest.raises(TunerError, match="a has 2 rows before and 1 after"):
        verdict({"a": [1.0, 0.0]}, {"a": [1.0]})
