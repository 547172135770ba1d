"""What to do with records that no row can be made of: the templates to write, or what the file lacks.

Advice only: nothing is converted here, because a guess about which column is the answer would train the wrong thing
without a word.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tui_tuner.data.lookup import look_up
from tui_tuner.data.shapes.guess import Guess
from tui_tuner.data.shapes.pairs import as_field
from tui_tuner.errors import TunerError

_TEMPLATES = 'write templates, such as prompt = "{question}" and completion = "{answer}", under [data]'


def unusable(guess: Guess, columns: Sequence[str], record: Mapping[str, Any]) -> TunerError:
    """The error for records that cannot be trained on as they are: what they are, and what to write."""
    shown = ", ".join(columns[:12]) + (", …" if len(columns) > 12 else "")
    if guess.shape == "prompts":
        return TunerError(
            f"the records hold prompts but no answers, so there is nothing to learn from (their columns: {shown})",
            code="no-answers",
            fix="bring a file with the answers too, or name their column in data.completion",
        )
    if guess.confidence == 0.0:
        return TunerError(
            f'data.shape says "{guess.shape}", but no columns play its roles (the columns are {shown or "none"})',
            code="unknown-shape",
            fix='set data.shape to "auto", or write templates under [data]',
        )
    if (speechless := _without_speakers(record)) is not None:
        return speechless
    return TunerError(
        f"it is not clear what is asked and what is answered; the columns are {shown or 'none'}",
        code="unknown-shape",
        fix=_advice(columns, record),
    )


_CONVERSATIONS = ("messages", "conversations", "conversation", "dialog", "dialogue", "turns", "chat")


def _without_speakers(record: Mapping[str, Any]) -> TunerError | None:
    """The error for conversations in which nobody is named, or nobody says anything."""
    for name, value in record.items():
        if str(name).casefold() not in _CONVERSATIONS or not isinstance(value, list):
            continue
        if not value:
            return TunerError(f'"{name}" is an empty list', code="unknown-shape", fix="fill it in or take the row out")
        if isinstance(value[0], Mapping):
            keys = ", ".join(map(str, value[0])) or "none"
            return TunerError(
                f'the messages in "{name}" do not say who speaks and what (their keys: {keys})',
                code="unknown-shape",
                fix='give each a "role" and a "content"',
            )
        if isinstance(value[0], str):
            return TunerError(
                f'"{name}" is a list of texts that does not say who speaks',
                code="unknown-shape",
                fix='write each as {"role": "user", "content": "…"}',
            )
    return None


def _advice(columns: Sequence[str], record: Mapping[str, Any]) -> str:
    """The templates for a table of facts, with columns that hold something."""
    filled = [path for path in columns if isinstance(look_up(record, path), str | int | float)]
    if len(filled) < 2:
        return _TEMPLATES
    name = filled[0]
    numbers = [path for path in filled[1:] if _is_number(look_up(record, path)) and "id" not in path.casefold()]
    fact = (numbers or filled[1:])[0]
    return (
        f'write prompt = "What is the {fact} of {as_field(name)}?" and completion = "{as_field(fact)}" under [data], '
        "or set data.shape"
    )


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    except OverflowError:  # a whole number of hundreds of digits
        return True
    return True
