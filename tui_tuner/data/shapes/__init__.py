"""What records are: recognising their shape, and turning conversations of other tools into messages."""

from __future__ import annotations

from tui_tuner.data.shapes.guess import LIKELY, SURE, Guess, all_guesses, recognise

__all__ = ["LIKELY", "SURE", "Guess", "all_guesses", "recognise"]
