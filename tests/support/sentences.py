"""What an error that people read has to be like."""

from __future__ import annotations

from tui_tuner.errors import TunerError


def one_sentence(error: TunerError) -> None:
    """Asserts that the error is one whole sentence that says what to do."""
    text = error.sentence()
    assert "\n" not in text
    assert "Traceback" not in text
    assert text.endswith((".", "?"))
    assert error.fix
