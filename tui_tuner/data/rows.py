"""What a row is: the three shapes that training takes, and the refusal of everything else.

A row is a dict with `prompt` and `completion`, or with `messages`, or with `text`, and nothing that stock mlx-lm would
read differently. Whatever reaches the trainer has passed `checked_row`, so nothing here may guess, mend or drop text:
it takes a row as it is or says why it can't.
"""

from __future__ import annotations

from typing import Any, Literal

from tui_tuner.errors import TunerError

Row = dict[str, Any]
RowKind = Literal["completion", "chat", "text"]

ROLES = ("system", "developer", "user", "assistant", "tool")
_ROLE_LIST = ", ".join(ROLES)


def kind_of_columns(columns: Any) -> RowKind | None:
    """The shape that these column names make, in the order in which stock mlx-lm looks; None when they make none."""
    if "prompt" in columns and "completion" in columns:
        return "completion"
    if "messages" in columns:
        return "chat"
    if "text" in columns:
        return "text"
    return None


def row_kind(row: Row) -> RowKind:
    """Whether a row is "completion", "chat" or "text".

    Raises:
        TunerError: the row has none of these shapes (code "unknown-shape").
    """
    kind = kind_of_columns(row)
    if kind is None:
        names = ", ".join(map(str, row)) or "none"
        raise TunerError(
            f"the row is neither prompt/completion, messages nor text (its columns: {names})", code="unknown-shape"
        )
    return kind


def messages_of(row: Row) -> list[dict[str, Any]]:
    """The row as a conversation; all but the last message is the prompt, the last one the answer.

    Raises:
        TunerError: a text row, which has no turns (code "no-answer").
    """
    kind = row_kind(row)
    if kind == "completion":
        return [
            {"role": "user", "content": row["prompt"]},
            {"role": "assistant", "content": row["completion"]},
        ]
    if kind == "chat":
        return [dict(message) for message in row["messages"]]
    raise TunerError(
        "a text row has no prompt and no answer, so it can't be asked as a question",
        code="no-answer",
        fix="use prompt/completion or messages rows to benchmark answers",
    )


def reference_of(row: Row) -> str:
    """The answer that a prediction is compared with: the completion, or the last message's content.

    Raises:
        TunerError: a text row, which has no answer (code "no-answer").
    """
    return str(messages_of(row)[-1]["content"])


def checked_row(record: dict[str, Any], kind: RowKind, where: str) -> Row:
    """The record cut down to the columns of its kind, every text proven usable.

    Args:
        record: a row as read or as rendered.
        kind: the shape that all rows of the source share.
        where: file and row, for the error.

    Raises:
        TunerError: a missing key, another kind, a value that is no text, an empty prompt or answer, a conversation that
            can't be trained on (code "bad-row").
    """
    found = kind_of_columns(record)
    if found != kind:
        has = (
            f"a {found} row" if found else f"no row of a known shape (columns: {', '.join(map(str, record)) or 'none'})"
        )
        raise TunerError(
            f"the rows before are {kind} rows, but this one is {has}",
            code="mixed-rows" if found else "bad-row",
            where=where,
            fix="give every row the same keys",
        )
    if kind == "completion":
        return {key: _text(record[key], f'"{key}"', where) for key in ("prompt", "completion")}
    if kind == "text":
        return {"text": _text(record["text"], '"text"', where)}
    row: Row = {"messages": _conversation(record["messages"], where)}
    if record.get("tools"):
        row["tools"] = _tools(record["tools"], where)
    return row


def _refuse(message: str, where: str, fix: str = "") -> TunerError:
    return TunerError(message, code="bad-row", where=where, fix=fix)


def _kind_word(value: Any) -> str:
    words = {
        type(None): "null",
        str: "text",
        bool: "true or false",
        int: "a number",
        float: "a number",
        list: "a list",
        dict: "an object",
    }
    return words.get(type(value), type(value).__name__)


def _text(value: Any, what: str, where: str) -> str:
    if not isinstance(value, str):
        raise _refuse(
            f"{what} is {_kind_word(value)}, not text", where, "put it in quotes, or build the text with a template"
        )
    if not value.strip():
        raise _refuse(f"{what} is empty", where, "fill it in or take the row out")
    at = half_of_a_pair(value)
    if at is not None:
        raise _refuse(
            f"{what} holds half of a surrogate pair at character {at + 1}, which is no text",
            where,
            "repair the escaped character (\\ud800 to \\udfff come in pairs)",
        )
    return value


def half_of_a_pair(text: str) -> int | None:
    """Where a text has its first half of a surrogate pair, which no tokenizer takes; None when it has none."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        return error.start
    return None


def _conversation(messages: Any, where: str) -> list[dict[str, Any]]:
    if isinstance(messages, str):
        raise _refuse('"messages" is text, not a list', where, "write the list itself, not a string that holds one")
    if not isinstance(messages, list):
        raise _refuse(f'"messages" is {_kind_word(messages)}, not a list', where)
    if not messages:
        raise _refuse('"messages" is empty', where, "take the row out")
    turns = [_message(message, number, where) for number, message in enumerate(messages, 1)]
    if turns[-1]["role"] != "assistant":
        raise _refuse(
            f'the conversation ends with role "{turns[-1]["role"]}", so there is no answer to learn',
            where,
            "end it with the assistant's answer",
        )
    if not any(turn["role"] == "user" for turn in turns):
        raise _refuse('the conversation has no message of role "user"', where, "add the question that is answered")
    return turns


def _message(message: Any, number: int, where: str) -> dict[str, Any]:
    """One message with its role and content proven; other keys (`name`, …) stay as they are."""
    what = f"message {number}"
    if not isinstance(message, dict):
        raise _refuse(f"{what} is {_kind_word(message)}, not an object with role and content", where)
    if "role" not in message:
        hint = 'rename "from" to "role" and "value" to "content"' if "from" in message else 'add a "role"'
        raise _refuse(f"{what} has no role (its keys: {', '.join(map(str, message)) or 'none'})", where, hint)
    role = message["role"]
    if role not in ROLES:
        raise _refuse(f'{what} has the role "{role}", which no chat template knows', where, f"use one of {_ROLE_LIST}")
    content = message.get("content")
    if message.get("tool_calls") and not content:
        return {**message, "content": ""}  # templates join it to other texts, which null would break
    if "content" not in message:
        raise _refuse(f"{what} has no content", where)
    if isinstance(content, list):
        raise _refuse(f"the content of {what} is a list of parts", where, "join its texts into one string")
    return {**message, "content": _text(content, f"the content of {what}", where)}


def _tools(tools: Any, where: str) -> list[dict[str, Any]]:
    if isinstance(tools, str):
        raise _refuse('"tools" is text, not a list', where, "write the list itself, not a string that holds one")
    if not isinstance(tools, list) or not all(isinstance(tool, dict) for tool in tools):
        raise _refuse('"tools" is not a list of objects', where)
    return tools
