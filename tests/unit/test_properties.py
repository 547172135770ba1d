"""What must hold of figures, masks and logs whatever they are made of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tui_tuner.data.examples import tokenise
from tui_tuner.evaluation.significance import mean_interval, paired
from tui_tuner.models.load import load_tokenizer
from tui_tuner.paths import resolve_model
from tui_tuner.runs.events import read_events
from tui_tuner.runs.view import RunView

QUICK = settings(
    max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
SHARES = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=2, max_size=25)


@QUICK
@given(rows=SHARES)
def test_a_comparison_turned_round_says_the_opposite(rows: list[tuple[float, float]]) -> None:
    one, other = [a for a, _ in rows], [b for _, b in rows]
    there = paired(one, other, name="x", resamples=500)
    back = paired(other, one, name="x", resamples=500)
    assert (there.wins, there.losses, there.ties) == (back.losses, back.wins, back.ties)
    assert there.difference == pytest.approx(-back.difference, abs=1e-12)
    assert there.p == pytest.approx(back.p, abs=0.05)
    opposite = {"better": "worse", "worse": "better"}
    if there.p < 0.02 or there.p > 0.1:  # at the border resampling may decide
        assert back.verdict in (opposite.get(there.verdict, there.verdict), "no measurable change")


@QUICK
@given(rows=SHARES, data=st.data())
def test_the_order_of_rows_does_not_matter(rows: list[tuple[float, float]], data: Any) -> None:
    turned = data.draw(st.permutations(rows))
    first = paired([a for a, _ in rows], [b for _, b in rows], name="x", resamples=500)
    again = paired([a for a, _ in turned], [b for _, b in turned], name="x", resamples=500)
    assert first.difference == pytest.approx(again.difference, abs=1e-12)
    assert (first.wins, first.ties, first.losses) == (again.wins, again.ties, again.losses)
    assert first.p == pytest.approx(again.p, abs=0.08)
    interval, other = (mean_interval([a for a, _ in some], 500) for some in (rows, turned))
    assert interval.value == pytest.approx(other.value, abs=1e-12)


@QUICK
@given(value=st.floats(0, 1), count=st.integers(2, 40))
def test_rows_that_are_all_alike_leave_nothing_to_find(value: float, count: int) -> None:
    result = paired([value] * count, [value] * count, name="x", resamples=200)
    assert result.difference == 0 and result.p == 1 and result.verdict == "no measurable change"


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return load_tokenizer(Path(resolve_model("embedded:phi3-tiny", None)))


WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=40).filter(
    str.strip
)


@pytest.mark.mlx
@QUICK
@given(question=WORDS, answer=WORDS)
def test_the_tokens_that_are_trained_are_the_answer(question: str, answer: str, tokenizer: Any) -> None:
    row = {"prompt": question, "completion": answer}
    masked = tokenise(row, tokenizer, mask_prompt=True)
    whole = tokenise(row, tokenizer, mask_prompt=False)
    assert list(masked.tokens) == list(whole.tokens) and whole.offset == 0
    asked = list(masked.tokens[: masked.offset])
    messages = [{"role": "user", "content": question}]
    assert asked == list(tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False))
    trained = tokenizer.decode(list(masked.tokens[masked.offset :]))
    assert "".join(answer.split()) in "".join(trained.split())


TIMES = st.lists(st.floats(-1e12, 1e12), min_size=1, max_size=40)


@QUICK
@given(times=TIMES, now=st.floats(-1e12, 1e12))
def test_whatever_clocks_say_time_is_never_negative(times: list[float], now: float) -> None:
    view = RunView()
    view.extend([{"t": times[0], "type": "run_started", "steps": 100}, {"t": times[0], "type": "stage", "name": "train",
                 "status": "running"}])  # fmt: skip
    for step, moment in enumerate(times, 1):
        view.extend([{"t": moment, "type": "train", "step": step, "loss": 1.0, "steps_per_second": 2.0}])
    left = view.eta_seconds(now)
    assert view.elapsed >= 0 and view.elapsed_at(now) >= 0
    assert left is None or 0 <= left < float("inf")


@QUICK
@given(data=st.data())
def test_two_logs_shuffled_into_each_other_keep_each_ones_order(data: Any, tmp_path: Path) -> None:
    """Two writers append whole lines; whatever the order between them, each one's own events come back in theirs."""
    sizes = data.draw(st.tuples(st.integers(0, 12), st.integers(0, 12)))
    turns = data.draw(st.permutations([0] * sizes[0] + [1] * sizes[1]))
    path, counts = tmp_path / "events.jsonl", [0, 0]
    lines = []
    for writer in turns:
        lines.append(json.dumps({"t": 1.0, "type": "log", "level": "info", "text": f"{writer}/{counts[writer]}"}))
        counts[writer] += 1
    raw = "".join(line + "\n" for line in lines).encode()
    cut = data.draw(st.integers(0, len(raw)))
    path.write_bytes(raw[:cut])
    found = [event["text"] for event in read_events(path)]
    assert found == [json.loads(line)["text"] for line in raw[:cut].split(b"\n")[:-1]]
    for writer in (0, 1):
        own = [text for text in found if text.startswith(f"{writer}/")]
        assert own == [f"{writer}/{number}" for number in range(len(own))]
