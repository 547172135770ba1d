"""Well-known shapes of training files that need a template or a rename first, and the advice for each.

Advice only: nothing is converted here, because a guess about which column is the answer would train the wrong thing
without a word.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tui_tuner.errors import TunerError

if TYPE_CHECKING:
    from tui_tuner.data.source import Records

_QUESTIONS = ("question", "query", "input", "instruction", "prompt", "user", "title", "source", "document", "article")
_ANSWERS = ("answer", "response", "output", "completion", "assistant", "reply", "target", "summary", "label", "chosen")
_CONVERSATIONS = ("conversations", "conversation", "dialogue", "turns", "chat")


def unusable_shape(records: Records) -> TunerError:
    """The error for rows of no known shape: the columns found, and the templates to write."""
    columns = records.columns()
    shown = ", ".join(columns[:12]) + (", …" if len(columns) > 12 else "")
    return TunerError(
        f"the rows are neither prompt/completion, messages nor text; their columns are {shown or 'none'}",
        code="unknown-shape",
        where=records.where(0),
        fix=_advice(records.rows[0], columns),
    )


def _advice(row: dict[str, Any], columns: list[str]) -> str:
    plain = {column.casefold(): column for column in columns}
    for name in _CONVERSATIONS:
        if name in plain and isinstance(row.get(plain[name]), list):
            turns = row[plain[name]]
            if turns and isinstance(turns[0], dict) and "from" in turns[0]:
                return (
                    f'rename "{plain[name]}" to "messages", "from" to "role" (human is user, gpt is assistant)'
                    ' and "value" to "content"'
                )
            return f'rename "{plain[name]}" to "messages"'
    if "instruction" in plain and "output" in plain:
        ask = "{" + plain["instruction"] + "}"
        for extra in ("input", "context"):
            if extra in plain:
                ask += f"\\n\\n{{{plain[extra]} or ''}}"
        return _write(ask, "{" + plain["output"] + "}")
    question = next((plain[name] for name in _QUESTIONS if name in plain), None)
    answer = next((plain[name] for name in _ANSWERS if name in plain and plain[name] != question), None)
    if question and answer:
        return _write("{" + question + "}", "{" + answer + "}")
    if len(columns) >= 2:
        return _write(f"What is the {columns[1]} of {{{columns[0]}}}?", "{" + columns[1] + "}")
    return 'write templates, such as prompt = "{question}" and completion = "{answer}", under [data]'


def _write(prompt: str, completion: str) -> str:
    return f'write prompt = "{prompt}" and completion = "{completion}" under [data]'
