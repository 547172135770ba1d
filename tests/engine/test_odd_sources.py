"""Files as people have them, the whole way from bytes to tokens: what comes out, or the true reason why nothing does.

Each case is a file that the test writes, looked at with the embedded model's tokenizer as `tui-tuner data` does.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.oddfiles import DAMAGED, REFUSED, Odd
from tests.support.oddrecords import CASES, Case, lines
from tui_tuner.config import Experiment
from tui_tuner.engine.dataset import DataFacts, data_facts
from tui_tuner.errors import TunerError

pytestmark = pytest.mark.mlx


def look(path: Path, **data: Any) -> DataFacts:
    sections = {"model": {"path": "embedded:phi3-tiny"}, "data": {"source": str(path), **data}}
    return data_facts(Experiment.model_validate(sections))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_comes_out_of_a_file(case: Case, tmp_path: Path) -> None:
    path = tmp_path / case.name
    path.write_bytes(case.content.encode() if isinstance(case.content, str) else case.content)
    found = look(path).as_json()
    assert found["format"] == case.shape
    errors = [(problem["code"], problem["count"]) for problem in found["problems"] if problem["severity"] == "error"]
    assert errors == case.errors
    assert sum(found["splits"].values()) == case.rows
    if case.rows and not case.errors:
        assert found["tokens"]["rows"] == case.rows and found["tokens"]["min"] > 3
    assert set(case.warnings) <= {problem["code"] for problem in found["problems"] if problem["severity"] == "warning"}
    texts = [problem["message"] for problem in found["problems"]] + found["notes"]
    assert not case.said or any(case.said in text for text in texts), texts


def test_damaged_records_are_problems_with_their_lines(tmp_path: Path) -> None:
    text = lines(lambda n, q, a: {"prompt": q, "completion": a}).splitlines()
    text[4], text[11] = text[4][:-8], '{"prompt": "x", "completion": "y",}'
    (tmp_path / "rows.jsonl").write_text("\n".join(text) + "\n")
    problems = [problem for problem in look(tmp_path / "rows.jsonl").report.problems if problem.severity == "error"]
    assert sorted(line for problem in problems for line in problem.lines) == [5, 12]
    assert all(problem.step == "drop-unusable" for problem in problems)
    assert not look(tmp_path / "rows.jsonl", fixes=["drop-unusable"]).report.errors
    told = {problem.code for problem in look(tmp_path / "rows.jsonl", allow=[problems[0].code]).report.problems}
    assert "not-allowable" in told


@pytest.mark.parametrize("odd", [odd for odd in DAMAGED if odd.faults and odd.rows], ids=lambda odd: odd.name)
def test_every_kind_of_damage_reaches_the_list_of_problems(odd: Odd, tmp_path: Path) -> None:
    options: dict[str, Any] = {"prompt": "{a or 1}", "completion": "{a or 1}"}
    if odd.name in ("hole.parquet", "pretty.json"):  # these have other columns
        options = {"mask_prompt": False}
    found = look(odd.make(tmp_path), **options, **odd.options)
    told = {problem.code: problem for problem in found.report.errors}
    for code in {code for _, _, code in odd.faults}:
        expected = [line for _, line, its in odd.faults if its == code]
        assert told[code].count >= len(expected)
        assert set(told[code].lines) >= {line for line in expected if line}


@pytest.mark.parametrize("odd", REFUSED, ids=lambda odd: odd.name)
def test_what_is_no_data_is_refused_by_the_command_too(odd: Odd, tmp_path: Path) -> None:
    with pytest.raises(TunerError) as caught:
        look(odd.make(tmp_path), **odd.options)
    assert caught.value.code == odd.refusal and caught.value.fix


def test_files_of_a_folder_that_are_not_used_are_named(tmp_path: Path) -> None:
    for name in ("TRAIN.jsonl", "Validation.JSONL", "more_rows.jsonl"):
        (tmp_path / name).write_text(lines(lambda n, q, a, name=name: {"prompt": f"{name} {q}", "completion": a}))  # type: ignore[misc]
    assert "files that are not used: more_rows.jsonl" in look(tmp_path).report.notes
