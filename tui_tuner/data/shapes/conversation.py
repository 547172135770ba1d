"""Conversations as other tools write them, turned into messages with role and content.

Nothing is dropped: a speaker that nobody knows, or a part that is no text, makes the row unusable and is named.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping
from typing import Any

from tui_tuner.errors import TunerError

_SPEAKERS = {
    "human": "user", "user": "user", "prompter": "user", "customer": "user", "instruction": "user",
    "gpt": "assistant", "assistant": "assistant", "bot": "assistant", "chatgpt": "assistant", "model": "assistant",
    "ai": "assistant", "bing": "assistant", "bard": "assistant", "agent": "assistant",
    "system": "system", "developer": "developer",
    "tool": "tool", "function": "tool", "observation": "tool", "tool_response": "tool", "function_response": "tool",
    "function_call": "call", "tool_call": "call",
}  # fmt: skip
_LONGEST_NOTATION = 1 << 20
_WHO = ("role", "from", "speaker", "author")
_WHAT = ("content", "value", "text", "message")


def bad_row(message: str, fix: str = "") -> TunerError:
    """The error for a record that no row can be made of; who knows the place adds it."""
    return TunerError(message, code="bad-row", fix=fix)


def messages_from(value: Any) -> list[dict[str, Any]]:
    """Messages with role and content, from a list of turns in any common form, or the JSON text of one.

    Raises:
        TunerError: it is no list of turns, or a turn has an unknown speaker or no text (code "bad-row").
    """
    if isinstance(value, str):
        value = _from_json(value, "the conversation")
    if not isinstance(value, list):
        raise bad_row("the conversation is not a list of messages")
    if not value:
        raise bad_row("the conversation is empty", "take the row out")
    return [_message(turn, number) for number, turn in enumerate(value, 1)]


def tools_from(value: Any) -> list[dict[str, Any]]:
    """Descriptions of tools, from a list or the JSON text of one; empty for none.

    Raises:
        TunerError: it is neither (code "bad-row").
    """
    if isinstance(value, str):
        if not value.strip():
            return []
        value = _from_json(value, "tools")
    if not value:
        return []
    if not isinstance(value, list) or not all(isinstance(tool, dict) for tool in value):
        raise bad_row('"tools" is not a list of objects')
    return value


def from_notation(text: str) -> Any:
    """What a text of JSON says, or of Python's notation of lists, as pandas writes them into a CSV file.

    Raises:
        ValueError: it is neither.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        if len(text) > _LONGEST_NOTATION or text.lstrip()[:1] not in ("[", "{"):
            raise
        try:
            return ast.literal_eval(text.strip())  # reads literals only, and runs nothing
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            raise error from None


def _from_json(text: str, what: str) -> Any:
    try:
        return from_notation(text)
    except ValueError as error:
        raise bad_row(f"{what} is text that is not the JSON of a list ({error})", "write the list itself") from None


def _message(turn: Any, number: int) -> dict[str, Any]:
    what = f"message {number}"
    if not isinstance(turn, Mapping):
        raise bad_row(f"{what} is not an object with role and content")
    who = next((key for key in _WHO if key in turn), None)
    if who is None:
        raise bad_row(f"{what} has no role (its keys: {', '.join(map(str, turn)) or 'none'})", 'add a "role"')
    speaker = turn[who]
    if isinstance(speaker, Mapping):  # ChatGPT's export: {"author": {"role": "user"}}
        speaker = speaker.get("role")
    role = _SPEAKERS.get(str(speaker).strip().casefold())
    if role is None:
        raise bad_row(
            f'{what} has the role "{speaker}", which no chat template knows',
            "use one of system, developer, user, assistant, tool",
        )
    said = next((key for key in _WHAT if key in turn), None)
    content = turn[said] if said is not None else None
    if role == "call":
        return {"role": "assistant", "content": "", "tool_calls": [_call(content, what)]}
    kept = {str(key): value for key, value in turn.items() if key not in (who, said) and value is not None}
    kept = {key: value for key, value in kept.items() if key in ("name", "tool_calls", "tool_call_id")}
    if content is None and not kept.get("tool_calls"):
        raise bad_row(f"{what} has no content", "fill it in or take the row out")
    return {"role": role, "content": _content(content, what), **kept}


def _content(content: Any, what: str) -> str:
    """A message's text: parts are joined, null beside a tool call is nothing."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if isinstance(content, Mapping) and isinstance(content.get("parts"), list):
        content = content["parts"]
    if isinstance(content, list):
        return "\n".join(_part(part, what) for part in content)
    raise bad_row(f"the content of {what} is neither text nor a list of texts")


def _part(part: Any, what: str) -> str:
    if isinstance(part, str):
        return part
    if isinstance(part, Mapping) and isinstance(part.get("text"), str):
        return str(part["text"])
    kind = part.get("type", "object") if isinstance(part, Mapping) else type(part).__name__
    raise bad_row(
        f"the content of {what} has a part that is no text ({kind})", "train on texts only, or take the row out"
    )


def _call(content: Any, what: str) -> dict[str, Any]:
    """A call of a tool that stands as JSON in the place of a message."""
    call = _from_json(content, f"the tool call in {what}") if isinstance(content, str) else content
    if not isinstance(call, Mapping) or "name" not in call:
        raise bad_row(f"the tool call in {what} names no tool")
    arguments = call.get("arguments", {})
    return {"type": "function", "function": {"name": call["name"], "arguments": arguments}}


def dialogue_from(text: Any) -> list[dict[str, Any]]:
    """Messages from a transcript with `Human:` and `Assistant:` before what each says (Anthropic's HH form).

    Raises:
        TunerError: it is no such transcript (code "bad-row").
    """
    if not isinstance(text, str):
        raise bad_row("the dialogue is not text")
    pieces = re.split(r"(?:^|\n\n)(Human|Assistant|User|System):[ \t]?", text)
    if len(pieces) < 3 or pieces[0].strip():
        raise bad_row("the dialogue has no turns that begin with Human: or Assistant:")
    roles = {"Human": "user", "User": "user", "Assistant": "assistant", "System": "system"}
    turns = zip(pieces[1::2], pieces[2::2], strict=True)
    return [{"role": roles[who], "content": said.strip()} for who, said in turns]
