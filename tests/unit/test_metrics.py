"""Metrics against published figures, and as `evaluate.Metric` without network or cache."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tui_tuner.errors import TunerError
from tui_tuner.evaluation.metrics import METRICS, metric_object, metric_spec, score_rows

# Texts and figures of google-research's rouge_score tests (testdata and rouge_scorer_test.py, Apache-2.0), where they
# are the output of ROUGE-1.5.5 on random words with real suffixes.
TARGETS = (
    (
        "ZfbCUIUuePaiLVUlCaUXxkpu XPeWing tUHfPMuZ',-Xd Y BrUgVJing M-HV.-DgdDaY.rFDJCRing Ht-LM EKBDXkME,yz'"
        "RBr q'wtion wIojNbN wL,b .a-'XdQggyFl jB-RPP'iyOIcUxer tKM L"
    ),
    (
        "KsJdPByEtAor fE-Qg Dpdbring cw-WeFyu vC MoBL Xdn g wkvcEiGvKtion BDFhrpMtion psing sbKao Q m qiing L"
        "Mmer HqqLFXe,XPY,J XsurkMer ,ed nB'wH'bWVHjWFEing tQ.saefZwJtKrTlixYpMMsJing UCAPwNHeYVjDing c T BUy"
        "SKtion gMPfJpwGw p'NvxAoping eu pBwMBKV'I DNxqelhu,PHPxDEq,mtion SN"
    ),
)
PREDICTIONS = (
    "rFDJCRtion Ht-LM EKtDXkME,yz'RBr q'wer wrojNbN wL,b .a-'XdQggyFl jB-RPP'iyOIcUxi",
    (
        "n cw-WeFyu vC MoBL Xdn g wkvcEiGvKtion BDFhrpMer pstion sbKao Q m qier LMmed HqqLFXe,XPY,J XsurkMeo "
        ",ed nB'wH'bWVHjWFEer tQ.saefZwJtKrTlixYpMMNJtion UCAPwNHeYVjD"
    ),
)
PUBLISHED = [
    (0, "rouge1", False, 0.51163),
    (0, "rouge2", False, 0.39024),
    (0, "rougeL", False, 0.51163),
    (1, "rouge1", False, 0.50000),
    (1, "rouge2", False, 0.36364),
    (1, "rougeL", False, 0.50000),
    (1, "rouge1", True, 0.52941),
    (1, "rouge2", True, 0.36364),
]


@pytest.mark.parametrize(("line", "metric", "stemmer", "value"), PUBLISHED)
def test_rouge_agrees_with_the_published_figures(line: int, metric: str, stemmer: bool, value: float) -> None:
    scored = score_rows(metric, [PREDICTIONS[line]], [TARGETS[line]], use_stemmer=stemmer)
    assert scored == pytest.approx([value], abs=1e-5)


def test_rouge_by_hand() -> None:
    said, right = ["the cat sat on the mat"], ["The cat, it lay on a mat!"]
    # Shared words: the, cat, on, mat; 6 said, 7 right. Shared pairs: the cat; 5 and 6. In order: the cat on mat.
    assert score_rows("rouge1", said, right) == pytest.approx([2 * 4 / 13])
    assert score_rows("rouge2", said, right) == pytest.approx([2 * 1 / 11])
    assert score_rows("rougeL", said, right) == pytest.approx([2 * 4 / 13])


def test_the_stemmer_is_off_unless_asked_for() -> None:
    assert score_rows("rouge1", ["running dogs"], ["running dog"]) == pytest.approx([0.5])
    assert score_rows("rouge1", ["running dogs"], ["running dog"], use_stemmer=True) == pytest.approx([1.0])


def test_exact_match_strips_and_nothing_else() -> None:
    said = [" 12 yards\n", "12 Yards", "12  yards", "", "é"]
    right = ["12 yards", "12 yards", "12 yards", " ", "e\u0301"]
    assert score_rows("exact_match", said, right).tolist() == [1.0, 0.0, 0.0, 1.0, 0.0]


def test_text_without_latin_words_scores_nothing() -> None:
    assert score_rows("rouge1", ["привет", "", "!!"], ["привет", "", "!!"]).tolist() == [0.0, 0.0, 0.0]


def test_no_rows_give_an_empty_array() -> None:
    values = score_rows("rouge1", [], [])
    assert (values.shape, values.dtype) == ((0,), np.float64)


@settings(max_examples=40, deadline=None)
@given(pairs=st.lists(st.tuples(st.text(max_size=30), st.text(max_size=30)), max_size=5))
def test_every_value_is_between_0_and_1(pairs: list[tuple[str, str]]) -> None:
    said, right = [one for one, _ in pairs], [other for _, other in pairs]
    for name in METRICS:
        values = score_rows(name, said, right)
        assert values.shape == (len(pairs),)
        assert ((values >= 0) & (values <= 1)).all()
        assert (score_rows(name, right, said) == pytest.approx(values)) or not pairs


def test_refusals() -> None:
    with pytest.raises(TunerError, match='did you mean "rougeL"'):
        metric_spec("rogueL")
    with pytest.raises(TunerError, match="2 predictions and 1 references"):
        score_rows("exact_match", ["a", "b"], ["a"])
    with pytest.raises(TunerError, match="row 2: the prediction is a NoneType"):
        score_rows("rouge1", ["a", None], ["a", "b"])  # type: ignore[list-item]
    with pytest.raises(TunerError, match='no option "use_stemmer"'):
        score_rows("exact_match", ["a"], ["a"], use_stemmer=True)


@pytest.mark.parametrize("name", list(METRICS))
def test_the_metric_object_is_the_mean_of_the_rows(name: str) -> None:
    import evaluate

    metric = metric_object(name)
    assert isinstance(metric, evaluate.Metric)
    assert (metric.name, metric.description) == (name, METRICS[name].definition)
    result = metric.compute(predictions=list(PREDICTIONS), references=list(TARGETS))
    assert result == {name: pytest.approx(score_rows(name, PREDICTIONS, TARGETS).mean())}
    # In parts, and a second time with the same object.
    metric.add(prediction=PREDICTIONS[0], reference=TARGETS[0])
    metric.add_batch(predictions=[PREDICTIONS[1]], references=[TARGETS[1]])
    assert metric.compute() == result


def test_the_metric_object_takes_the_metrics_options() -> None:
    metric = metric_object("rouge1")
    assert metric.compute(predictions=["dogs"], references=["dog"], use_stemmer=True) == {"rouge1": 1.0}


def test_metric_objects_need_neither_network_nor_cache(tmp_path: Path) -> None:
    blocked = tmp_path / "a file, not a folder"
    blocked.write_text("")
    code = """
import socket
def refuse(*args, **kwargs):
    raise SystemExit("reached for the network")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
from tui_tuner.evaluation.metrics import METRICS, metric_object
for name in METRICS:
    print(metric_object(name).compute(predictions=["a b", "b c d"], references=["a b", "c d b"]))
"""
    places = {
        name: str(blocked / "x") for name in ("HF_HOME", "HF_DATASETS_CACHE", "HF_METRICS_CACHE", "XDG_CACHE_HOME")
    }
    environment = {**os.environ, **places, "HOME": str(blocked), "HF_HUB_OFFLINE": "1"}
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert ended.returncode == 0, ended.stderr
    values = [float(line.split(": ")[1].rstrip("}")) for line in ended.stdout.splitlines()]
    assert values == pytest.approx([0.5, 1.0, 0.75, 5 / 6])
