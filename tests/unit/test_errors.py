"""What people read when something goes wrong is one sentence, whatever a library said."""

from __future__ import annotations

import pytest

from tui_tuner.errors import TunerError, brief


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("Model type x not supported."), "Model type x not supported"),
        (RuntimeError("[matmul] bad shapes\n  at line 3\n"), "[matmul] bad shapes"),
        (KeyError("rank"), "there is no 'rank'"),
        (KeyError("the config has no scale."), "the config has no scale"),
        (KeyError(), "there is no such key"),
        (MemoryError(), "MemoryError"),
        (ValueError(" \n "), "ValueError"),
    ],
)
def test_a_library_s_words_fit_into_a_sentence(error: Exception, text: str) -> None:
    assert brief(error) == text


def test_long_words_are_cut() -> None:
    assert brief(ValueError("x" * 500)) == "x" * 198 + " …"
    assert brief(ValueError("x" * 200)) == "x" * 200


def test_a_sentence_names_what_where_and_what_to_do() -> None:
    error = TunerError("the file is empty.", code="empty", where="rows.jsonl", fix="bring rows")
    assert error.sentence() == str(error) == "rows.jsonl: the file is empty; bring rows."
    assert TunerError("no such key", fix="did you mean rank?").sentence() == "no such key; did you mean rank?"
    assert error.as_json() == {
        "error": {"code": "empty", "message": "the file is empty.", "where": "rows.jsonl", "fix": "bring rows"}
    }
