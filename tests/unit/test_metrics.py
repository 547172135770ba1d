"""Metrics against published figures, and as `evaluate.Metric` without network or cache."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tui_tuner.errors import TunerError
from tui_tuner.evaluation.metrics import METRICS, TEXT_METRICS, metric_object, metric_spec, score_rows, specs_of
from tui_tuner.evaluation.metrics.answering import answer_scores, loss_scores, repetition
from tui_tuner.models import trust
from tui_tuner.models.trust import allow

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
def test_every_value_is_within_its_bounds(pairs: list[tuple[str, str]]) -> None:
    said, right = [one for one, _ in pairs], [other for _, other in pairs]
    for name in TEXT_METRICS:
        values = score_rows(name, said, right)
        low, high = METRICS[name].bounds
        assert values.shape == (len(pairs),)
        assert high is not None and ((values >= low) & (values <= high + 1e-9)).all()
        if name.startswith(("rouge1", "rouge2", "rougeL", "exact", "token")) and name != "rougeLsum":
            assert score_rows(name, right, said) == pytest.approx(values)


def test_names_may_be_written_in_other_ways() -> None:
    names = ["ROUGE-L", "rouge_1", "BLEU", "chrF", "f1", "EM", "numeric", "ppl"]
    found = [spec.name for spec in specs_of(names)]
    assert found == ["rougeL", "rouge1", "bleu", "chrf", "token_f1", "exact_match", "numeric_accuracy", "perplexity"]
    assert [spec.name for spec in specs_of(["rouge1", "ROUGE-1"])] == ["rouge1"]


def test_every_metric_says_what_it_is_and_who_computed_it() -> None:
    for name, spec in METRICS.items():
        told = spec.describe()
        assert told["definition"].endswith(".") and told["label"] and spec.name == name
        library, _, version = told["version"].partition(" ")
        assert library in ("tui_tuner", "rouge_score", "sacrebleu") and version[0].isdigit()
    assert specs_of(["rouge1"], {"use_stemmer": True})[0].describe()["options"] == {"use_stemmer": True}


def test_what_answers_are_like() -> None:
    said = ["a b c d a b c d", " \n", "one two three"]
    found = {name: list(one) for name, one in answer_scores(said, finishes=["length", "stop", "stop"]).items()}
    # Five 4-grams, of which the last is the first again.
    assert found == {
        "length": [8, 0, 3],
        "empty": [0, 1, 0],
        "repetition": pytest.approx([0.2, 0, 0]),
        "truncated": [1, 0, 0],
    }
    assert repetition("no no no no no no") == pytest.approx(1 - 1 / 3)
    counted = answer_scores(said, tokens=[9, 1, 4])
    assert list(counted["length"]) == [9, 1, 4] and counted["length"].note == {"unit": "tokens"}
    assert "truncated" not in counted and not METRICS["truncated"].judged


def test_the_loss_weighs_tokens_not_rows() -> None:
    found = loss_scores([2.0, 12.0, 0.0], [1, 9, 0])
    assert found["loss"].value == pytest.approx(1.4)
    assert found["perplexity"].value == pytest.approx(np.exp(1.4))
    assert found["loss"].kept.tolist() == pytest.approx([2.0, 12 / 9])  # the third row has no counted token


def test_refusals() -> None:
    with pytest.raises(TunerError, match='did you mean "rougeL"'):
        metric_spec("rogueL")
    with pytest.raises(TunerError, match=r"2 predictions and 1 reference\b"):
        score_rows("exact_match", ["a", "b"], ["a"])
    with pytest.raises(TunerError, match="row 2: the prediction is a NoneType"):
        score_rows("rouge1", ["a", None], ["a", "b"])  # type: ignore[list-item]
    with pytest.raises(TunerError, match='no option "use_stemmer"'):
        score_rows("exact_match", ["a"], ["a"], use_stemmer=True)
    with pytest.raises(TunerError, match="row 2: there is no reference"):
        score_rows("rouge1", ["a", "b"], ["a", []])
    with pytest.raises(TunerError, match="loss cannot be computed from predictions and references"):
        score_rows("loss", ["a"], ["a"])
    with pytest.raises(TunerError, match="bleu smooths by exp or none"):
        score_rows("bleu", ["a"], ["a"], smooth_method="floor")


@pytest.mark.parametrize("name", [name for name in TEXT_METRICS if name not in ("numeric_accuracy", "bleu", "chrf")])
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


def test_metric_objects_of_what_is_no_mean() -> None:
    said, right = ["The dog bit the man.", "It is 7."], [["The dog bit the man.", "A dog bit him."], ["It was 7.0"]]
    single = [one[0] for one in right]
    assert metric_object("bleu").compute(predictions=said, references=single)["bleu"] == pytest.approx(
        sacrebleu_of(said, [single])
    )
    assert metric_object("numeric_accuracy").compute(predictions=said, references=right) == {"numeric_accuracy": 1.0}
    assert metric_object("empty").compute(predictions=["", "x"]) == {"empty": 0.5}
    assert metric_object("truncated").compute(predictions=["length", "stop"]) == {"truncated": 0.5}
    loss = metric_object("perplexity").compute(predictions=[2.0, 12.0], references=[1, 9])
    assert loss == {"perplexity": pytest.approx(np.exp(1.4))}


def sacrebleu_of(said: list[str], streams: list[list[str]]) -> float:
    from sacrebleu import corpus_bleu

    return corpus_bleu(said, streams).score


@pytest.mark.parametrize("name", ["exact_match", "rouge1", "bleu"])
def test_metric_objects_take_several_references(name: str) -> None:
    result = metric_object(name).compute(predictions=["a b c d e"], references=[["x", "a b c d e"]])
    assert result[name] == pytest.approx(METRICS[name].bounds[1])


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
from tui_tuner.evaluation.metrics import TEXT_METRICS, metric_object
for name in TEXT_METRICS:
    print(metric_object(name).compute(predictions=["a b 1", "b c d"], references=["a b 1", "c d b"]))
"""
    places = {
        name: str(blocked / "x") for name in ("HF_HOME", "HF_DATASETS_CACHE", "HF_METRICS_CACHE", "XDG_CACHE_HOME")
    }
    environment = {**os.environ, **places, "HOME": str(blocked), "HF_HUB_OFFLINE": "1"}
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert ended.returncode == 0, ended.stderr
    values = [float(line.split(": ")[1].rstrip("}")) for line in ended.stdout.splitlines()]
    rouges = [1.0, 0.75, 5 / 6, 5 / 6]
    assert values[:8] == pytest.approx([0.5, 0.5, 1.0, 1.0, *rouges])
    assert values[8] == 0.0 and 0 < values[9] < 100  # no prediction has a 4-gram; chrF


SCRIPT = """
import datasets
import evaluate

class Nearly(evaluate.Metric):
    def _info(self):
        text = datasets.Value("string")
        return evaluate.MetricInfo(
            description="", citation="", features=datasets.Features({"predictions": text, "references": text})
        )

    def _compute(self, predictions, references):
        if "bad" in predictions:
            raise ValueError("cannot take bad")
        same = [p.lower() == r.lower() for p, r in zip(predictions, references)]
        return {"nearly": sum(same) / len(same), "far": 1 - sum(same) / len(same)}
"""


def test_a_metric_of_evaluate_from_a_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_EVALUATE_OFFLINE", "1")
    script = tmp_path / "nearly.py"
    script.write_text(SCRIPT)
    allow(consent_to(script))
    assert score_rows(str(script), ["A", "b"], ["a", "c"]).tolist() == [1.0, 0.0]
    assert score_rows(f"evaluate:{script}#far", ["A", "b"], ["a", "c"]).tolist() == [0.0, 1.0]
    spec = metric_spec(f"evaluate:{script}#far")
    assert spec.label == "nearly" and spec.version.startswith("evaluate ") and "figure far" in spec.definition
    with pytest.raises(TunerError, match=r"nearly\.py: the metric gives no figure .odd.; choose from nearly, far"):
        score_rows(f"{script}#odd", ["a"], ["a"])
    with pytest.raises(TunerError, match=r"row 2: the metric .*nearly\.py cannot score it: cannot take bad"):
        score_rows(str(script), ["a", "bad"], ["a", "a"])


def consent_to(script: Path) -> str:
    """What the refusal of a script spells."""
    with pytest.raises(TunerError) as caught:
        score_rows(str(script), ["a"], ["a"])
    assert caught.value.code == "metric-code"
    return re.search(r"--trust-remote-code (\S+)", caught.value.fix)[1]  # type: ignore[index]


def test_a_script_runs_only_with_a_consent_to_exactly_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_EVALUATE_OFFLINE", "1")
    monkeypatch.setattr(trust, "_allowed", set())
    script, mark = tmp_path / "my nearly.py", tmp_path / "was-run"
    script.write_text(f"open({str(mark)!r}, 'w').close()\n{SCRIPT}")
    consent = consent_to(script)
    assert not mark.exists() and consent.startswith("my-nearly.py@")
    allow(consent)
    assert score_rows(str(script), ["A"], ["a"]).tolist() == [1.0] and mark.exists()
    script.write_text(script.read_text() + "\n# another one\n")
    assert consent_to(script) != consent


def test_a_metric_that_cannot_be_had(tmp_path: Path) -> None:
    with pytest.raises(TunerError) as caught:
        score_rows(str(tmp_path / "none.py"), ["a"], ["a"])
    assert caught.value.code == "no-such-metric"
    assert "\n" not in caught.value.sentence() and "give the path of its script" in caught.value.sentence()
