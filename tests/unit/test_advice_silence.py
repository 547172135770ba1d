"""When the run doctor is silent: on healthy runs, and on what it has said before; and what every advice keeps to."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.curves import Pairs, codes, experiment, run
from tui_tuner.config import Experiment
from tui_tuner.config.advice import CODES as START_CODES
from tui_tuner.runs import RunView
from tui_tuner.runs.files import plain_json
from tui_tuner.training.advice import BEFORE_TRAINING, CODES, Advice, MachineFacts, NewAdvice, diagnose

DOCS = Path(__file__).parents[2] / "docs" / "advice.md"


# -- healthy runs -----------------------------------------------------------------------------------------------------
def _shape(kind: str, x: Any, rng: np.random.Generator) -> Any:
    level, fall = rng.uniform(0.2, 1.5), rng.uniform(0.5, 2.5)
    return {
        "exponential": lambda: level + fall * np.exp(-x / rng.uniform(0.05, 0.6)),
        "converged": lambda: level + fall * np.exp(-x / rng.uniform(0.005, 0.05)),
        "cosine": lambda: level + fall * 0.5 * (1 + np.cos(np.pi * x)),
        "power": lambda: level + fall * (1 + x * rng.uniform(5, 100)) ** -0.5,
        "slow": lambda: 2.0 * (1 - rng.uniform(0.12, 0.3) * x),
        "epochs": lambda: level + fall * 0.6 ** np.floor(3 * x),
    }[kind]()


def healthy(kind: str, seed: int, count: int, sigma: float, early: bool) -> tuple[Any, Pairs, dict[str, Any]]:
    """A healthy run: reports with log-normal noise, validation that goes along, all other figures in order."""
    rng = np.random.default_rng(seed)
    x = np.arange(1, count + 1) / count
    base = _shape(kind, x, rng)
    sigmas = sigma * (1 + 4 * np.exp(-20 * x)) if early else sigma
    losses = base * np.exp(rng.normal(0, 1, count) * sigmas)
    gap, every = rng.uniform(1.0, 1.3), max(1, count // int(rng.choice([2, 5, 10])))
    validation = [(0.0, 1.5 * float(base[0]))]
    validation += [
        (float(step), float(base[step - 1] * gap * np.exp(rng.normal(0, 0.01))))
        for step in range(1, count + 1)
        if step % every == 0 or step == count
    ]
    columns = {
        "grad_norm": rng.lognormal(0, 0.3, count) * (1 + 2 * (1 - np.exp(-np.arange(count) / 5))),
        "tokens_per_second": 1000 * rng.lognormal(0, 0.2, count),
        "padding_fraction": np.clip(rng.normal(0.2, 0.05, count), 0, 1),
        "peak_memory": 6e9,
        "learning_rate": 1e-5,
    }
    return losses, validation, columns


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    kind=st.sampled_from(["exponential", "converged", "cosine", "power", "slow", "epochs"]),
    seed=st.integers(0, 10_000),
    count=st.sampled_from([1, 2, 3, 10, 30, 100, 400]),
    sigma=st.sampled_from([0.01, 0.05, 0.1, 0.2]),
    early=st.booleans(),
)
def test_healthy_runs_are_left_alone_at_every_point(
    kind: str, seed: int, count: int, sigma: float, early: bool
) -> None:
    losses, validation, columns = healthy(kind, seed, count, sigma, early)
    machine = MachineFacts(memory_limit=10**10, swap_growth=0)
    for seen in sorted({1, 2, count // 4, count // 2, 3 * count // 4, count} - {0}):
        if seen > count:
            continue
        part = {name: value if np.ndim(value) == 0 else value[:seen] for name, value in columns.items()}
        view = run(losses[:seen], [v for v in validation if v[0] <= seen], steps=count, columns=part)
        assert diagnose(view, experiment(train={"iters": count}), machine) == []


def test_a_run_that_has_not_reported_has_no_advice() -> None:
    assert diagnose(RunView(), None, None) == []
    assert diagnose(run([1.0]), experiment(), MachineFacts()) == []
    assert diagnose(run([], [(0, 2.0)])) == []


# -- what every diagnosis keeps to ------------------------------------------------------------------------------------
def _anything() -> Any:
    loss = st.one_of(st.floats(0, 1e3), st.just(math.nan), st.floats(1.0, 1.1))
    return st.tuples(
        st.lists(loss, max_size=60),
        st.lists(st.tuples(st.integers(0, 80), loss), max_size=12),
        st.lists(st.floats(0, 1e4), min_size=60, max_size=60),
        st.sampled_from([1, 2, 4]),
        st.integers(1, 30),
        st.integers(0, 5000),
    )


@settings(max_examples=80, deadline=None)
@given(_anything())
def test_every_change_makes_a_valid_experiment_and_every_advice_an_event(made: Any) -> None:
    losses, validation, others, batch, iters, tokens = made
    columns = {
        "grad_norm": others,
        "tokens_per_second": others[::-1],
        "padding_fraction": np.asarray(others) / 1e4,
        "peak_memory": others,
    }
    view = run(losses, sorted(validation), tokens=tokens, columns=columns, steps=iters)
    config = experiment(train={"batch_size": batch, "iters": iters, "warmup": min(2, iters - 1)})
    found = diagnose(view, config, MachineFacts(memory_limit=9000, swap_growth=10**9))
    assert found == diagnose(view, config, MachineFacts(memory_limit=9000, swap_growth=10**9))
    assert len(set(codes(found))) == len(found)
    assert [a.severity for a in found] == sorted((a.severity for a in found), key=["error", "warning", "info"].index)
    for advice in found:
        assert advice.code in CODES
        assert advice.text.endswith(".") and re.search(r"\d", advice.text) and "nan" not in advice.text
        assert plain_json(advice.as_fields())[1] == []  # nothing that JSON has no words for
        document = config.model_dump()
        for key, value in advice.change.items():
            section, name = key.split(".")
            assert document[section][name] != value
            document[section][name] = value
        Experiment.model_validate(document)


def test_ten_thousand_reports_are_read_in_passing() -> None:
    losses, validation, columns = healthy("exponential", 1, 10_000, 0.1, True)
    view = run(losses, validation, steps=10_000, columns=columns)
    diagnose(view, experiment(), MachineFacts(memory_limit=10**10))
    times = []
    for _ in range(7):
        # Processor time, and far from what it takes: what is asked is that it does not grow with their square.
        start = time.process_time()
        diagnose(view, experiment(), MachineFacts(memory_limit=10**10))
        times.append(time.process_time() - start)
    assert min(times) < 0.2


def test_it_needs_no_mlx() -> None:
    code = "import sys, tui_tuner.training.advice; print([m for m in sys.modules if m.split('.')[0] in " + (
        "('mlx', 'mlx_lm', 'transformers', 'datasets', 'textual')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_guide_names_every_code() -> None:
    text = DOCS.read_text(encoding="utf-8")
    assert re.findall(r"^\| `([a-z-]+)` \|", text, re.MULTILINE) == [*CODES, *BEFORE_TRAINING, *START_CODES]


# -- saying it once ---------------------------------------------------------------------------------------------------
def test_advice_is_new_once_and_again_when_its_severity_changes() -> None:
    news = NewAdvice()
    mild, grave = Advice("diverging", "warning", "a."), Advice("diverging", "error", "b.")
    other = Advice("padding", "info", "c.")
    assert news.take([mild]) == [mild]
    assert news.take([mild, other]) == [other]
    assert news.take([]) == []
    assert news.take([mild, other]) == []  # gone for a while and back: near a threshold that is no news
    assert news.take([grave, other]) == [grave]
    assert news.take([grave]) == []
    assert news.take([mild]) == [mild]


def test_a_resumed_run_does_not_repeat_itself() -> None:
    said = [
        json.loads(json.dumps({"t": 1.0, "type": "advice", **Advice("padding", "info", "a.").as_fields()})),
        {"t": 2.0, "type": "advice", "code": 3, "severity": None},
    ]
    news = NewAdvice(said)
    assert codes(news.take([Advice("padding", "info", "a."), Advice("memory", "error", "b.")])) == ["memory"]
