"""A benchmark keeps every row it has paid for, and its file and figures are those of its rows."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.support.models import make_rows
from tui_tuner.config import Experiment
from tui_tuner.data.examples import prompt_tokens
from tui_tuner.errors import TunerError
from tui_tuner.evaluation import benchmark as module
from tui_tuner.evaluation.benchmark import Asked, BenchmarkResult, benchmark, read_result
from tui_tuner.evaluation.report import write_report
from tui_tuner.evaluation.score import (
    intervals,
    record_scores,
    row_scores,
    summary,
    verdict,
    verdict_by_split,
    verdict_document,
)
from tui_tuner.models.load import Base
from tui_tuner.runs.control import JobControl, StopRequested
from tui_tuner.runs.files import write_json
from tui_tuner.runs.folder import RunFolder

pytestmark = pytest.mark.mlx

METRICS = ("exact_match", "rouge1", "rouge2", "rougeL")
ROWS = make_rows(9, seed=2)


def run(
    base: Base, folder: Path, control: JobControl | None = None, rows: Sequence[dict[str, Any]] = ROWS
) -> BenchmarkResult:
    return benchmark(
        base.model,
        base.tokenizer,
        rows,
        Asked("before", METRICS, max_tokens=7, batch_size=2),
        folder=folder,
        control=control or JobControl(),
        emit=lambda type, **fields: {},
        stage="baseline",
    )


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many prompts each benchmark had answered; the first one is stopped after its fourth answer."""
    counts: list[int] = []
    answer = module.greedy_answers

    def watched(*args: Any, control: JobControl, **options: Any) -> Iterator[Any]:
        counts.append(len(args[2]))
        for number, found in enumerate(answer(*args, control=control, **options), 1):
            yield found
            if len(counts) == 1 and number == 4:
                control.stop("test")

    monkeypatch.setattr(module, "greedy_answers", watched)
    return counts


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def test_rows_that_were_answered_are_not_answered_again(base: Base, asked: list[int], tmp_path: Path) -> None:
    with pytest.raises(StopRequested):
        run(base, tmp_path / "broken")
    partial = tmp_path / "broken" / "before.partial.jsonl"
    kept = len(lines(partial))
    assert kept >= 4
    assert not (tmp_path / "broken" / "before.jsonl").exists()
    with partial.open("ab") as handle:  # as a kill, or somebody's editor, may leave it
        handle.write(b'[]\n{"index": 1}\n{"index": 99, "prediction": "x", "tokens": 1, "finish": "stop"}\nno json\n')
        handle.write(b'{"index": true, "prediction": 3, "tokens": 1, "finish": "stop"}\n{"index": 8, "predic')
    run(base, tmp_path / "broken")
    run(base, tmp_path / "whole")
    assert asked == [9, 9 - kept, 9]
    assert not partial.exists()
    assert (tmp_path / "broken" / "before.jsonl").read_bytes() == (tmp_path / "whole" / "before.jsonl").read_bytes()


def test_the_file_is_complete_and_in_order_and_the_figures_are_its_rows(base: Base, tmp_path: Path) -> None:
    said = lines(run(base, tmp_path / "first").path)[0]["prediction"]
    rows = [{**ROWS[0], "completion": said}, *ROWS[1:]]  # so that there is something to score
    result = run(base, tmp_path, rows=rows)
    records = lines(result.path)
    assert result.path == tmp_path / "before.jsonl"
    assert [record["index"] for record in records] == list(range(9))
    for record, row in zip(records, rows, strict=True):
        own = {"index", "prompt", "reference", "prediction", "scores", "tokens", "finish", "nll", "trained_tokens"}
        assert record.keys() == own
        assert record["reference"] == row["completion"]
        assert record["prompt"] == base.tokenizer.decode(prompt_tokens(row, base.tokenizer))
        assert record["finish"] in ("stop", "length")
        assert 0 < record["tokens"] <= 7
        assert record["scores"] == {name: one[record["index"]] for name, one in result.scores.items()}
    expected = intervals(row_scores([r["prediction"] for r in records], [r["completion"] for r in rows], METRICS))
    figures = {name: {"value": i.value, "low": i.low, "high": i.high} for name, i in expected.items()}
    assert {name: result.metrics[name] for name in METRICS} == figures
    assert set(result.metrics) == {*METRICS, "loss", "perplexity", "length", "truncated", "empty", "repetition"}
    assert result.metrics["exact_match"]["value"] == 1 / 9
    again = read_result(tmp_path, "before", METRICS)
    assert again is not None
    assert again.metrics == result.metrics
    assert read_result(tmp_path, "after", METRICS) is None


@pytest.mark.parametrize("content", ["", "{", "[1]\n", '{"prediction": "x"}\n'])
def test_a_damaged_result_counts_as_none(content: str, tmp_path: Path) -> None:
    (tmp_path / "before.jsonl").write_text(content)
    assert read_result(tmp_path, "before", METRICS) is None


def test_a_folder_that_cannot_be_made_is_one_sentence(base: Base, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(TunerError) as caught:
        run(base, tmp_path / "file" / "evaluation")
    assert caught.value.where.startswith(str(tmp_path / "file"))


def test_texts_have_no_prompt_to_answer(base: Base, tmp_path: Path) -> None:
    with pytest.raises(TunerError) as caught:
        run(base, tmp_path / "evaluation", rows=[{"text": "a fox"}])
    assert caught.value.code == "no-prompt"
    assert not (tmp_path / "evaluation" / "before.jsonl").exists()


def test_the_report_holds_the_figures_and_no_text_breaks_out_of_it(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, "report")
    experiment = Experiment.model_validate(
        {"run": {"name": "a | b"}, "model": {"path": "models/a|b"}, "data": {"source": "d|e"}}
    )
    evil = "```\n# heading\n<script>\n| a | b |"
    sides = []
    for label, predictions in (("before", [evil, "one"]), ("after", ["x", "two"])):
        rows = [
            {"index": i, "prompt": evil, "reference": "two", "prediction": text, "split": split}
            for i, (text, split) in enumerate(zip(predictions, ("recall", "unseen"), strict=True))
        ]
        found = record_scores(rows, ["exact_match", "bleu"])
        lines = [{**row, "scores": {name: one[row["index"]] for name, one in found.items()}} for row in rows]
        (folder.evaluation / f"{label}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in lines))
        write_json(folder.evaluation / f"{label}.json", summary(rows, found, label=label))
        sides.append((rows, found))
    judged = verdict(sides[0][1], sides[1][1])
    apart = verdict_by_split(sides[0][0], sides[0][1], sides[1][1])
    write_json(folder.evaluation / "verdict.json", verdict_document("before", "after", 2, judged, apart))
    write_report(folder, experiment)
    text = folder.report.read_text(encoding="utf-8")
    assert text.startswith("# a \\| b\n") and judged.sentence in text
    assert "| exact_match | 0.000 (" in text
    assert "| recall | 1 | exact_match | 0.000 (" in text
    assert "- **bleu**: Corpus BLEU, 0 to 100" in text and "version sacrebleu 2" in text
    assert "| model | a\\|b |" in text, "the name, not the place on this machine"
    assert "| data | d\\|e |" in text
    assert text.endswith("    tui-tuner run config.toml\n")
    for line in ("```", "# heading", "<script>", "| a | b |"):
        assert line not in text.split("\n")
        assert f"    {line}" in text.split("\n")
