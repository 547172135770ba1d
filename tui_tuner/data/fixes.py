"""Mendings of rows that the program can make: each by name, recorded in `data.fixes`, undone by taking it out.

A fix changes what is trained, never the file. What it did is counted and said. Those that look at single rows are
functions from a row to rows; those that look at the whole set say which training rows go.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tui_tuner.data.lint import patterns
from tui_tuner.data.rows import Row, row_kind
from tui_tuner.data.shapes.conversation import bad_row

OfRow = Callable[[Row], list[Row]]
DROP_UNUSABLE, DROP_DUPLICATES, DROP_LEAKS = "drop-unusable", "drop-duplicates", "drop-leaks"


@dataclass(frozen=True)
class Fix:
    """A mending.

    Attributes:
        name: as `data.fixes` has it.
        label: what it does, as an imperative.
        of_row: the rows that come out of one; None for a fix that looks at the whole set.
    """

    name: str
    label: str
    of_row: OfRow | None = None


def _texts(row: Row, change: Callable[[str], str]) -> Row:
    """The row with every text changed."""
    if "messages" in row:
        turns = [{**turn, "content": change(turn["content"])} for turn in row["messages"]]
        return {**row, "messages": turns}
    return {key: change(value) if isinstance(value, str) else value for key, value in row.items()}


def _every_text(change: Callable[[str], str]) -> OfRow:
    return lambda row: [_texts(row, change)]


def _without(found: Callable[[str], Any]) -> OfRow:
    """Leaves a row out when something is found in one of its texts."""

    def keep(row: Row) -> list[Row]:
        hits: list[Any] = []
        _texts(row, lambda text: hits.append(found(text)) or text)  # type: ignore[func-returns-value]
        return [] if any(hits) else [row]

    return keep


def _stripped(text: str) -> str:
    return patterns.FOREIGN_TOKENS.sub(lambda match: match.group() if match.group()[0] == "#" else "", text).strip()


def _split_turns(row: Row) -> list[Row]:
    """A row for every answer of a conversation, each with what came before it."""
    if "messages" not in row:
        return [row]
    messages = row["messages"]
    ends = [at for at, turn in enumerate(messages) if turn["role"] == "assistant"]
    asked = [at for at in ends if any(turn["role"] == "user" for turn in messages[:at])]
    return [{**row, "messages": messages[: at + 1]} for at in asked] or [row]


def _fold_system(row: Row) -> list[Row]:
    """Every system message put before the question that follows it, for templates without a place for one.

    Raises:
        TunerError: no question follows it (code "bad-row").
    """
    if "messages" not in row:
        return [row]
    turns: list[dict[str, Any]] = []
    waiting: list[str] = []
    for turn in row["messages"]:
        if turn["role"] in ("system", "developer"):
            waiting.append(turn["content"])
        elif waiting and turn["role"] == "user":
            turns.append({**turn, "content": "\n\n".join([*waiting, turn["content"]])})
            waiting = []
        else:
            turns.append(turn)
    if waiting:
        raise bad_row("no question follows a system message that was to be put before it", "take the row out")
    return [{**row, "messages": turns}]


def _merge_turns(row: Row) -> list[Row]:
    """What one speaker says in several messages after one another, as one; what the assistant opens with is left out.

    Raises:
        TunerError: nothing is asked before the last answer (code "bad-row").
    """
    if "messages" not in row:
        return [row]
    turns: list[dict[str, Any]] = []
    for turn in row["messages"]:
        last = turns[-1] if turns else None
        same = last is not None and last["role"] == turn["role"] and turn["role"] in ("user", "assistant", "system")
        if last is not None and same and not last.get("tool_calls") and not turn.get("tool_calls"):
            turns[-1] = {**last, "content": f"{last['content']}\n\n{turn['content']}"}
            continue
        if turn["role"] == "assistant" and not any(one["role"] == "user" for one in turns):
            continue
        turns.append(turn)
    if not turns or turns[-1]["role"] != "assistant":
        raise bad_row("nothing is asked before the last answer", "take the row out")
    return [{**row, "messages": turns}]


_ROLES = {"user": "user", "human": "user", "assistant": "assistant", "model": "assistant", "system": "system"}
_FORMS = (
    re.compile(r"<\|im_start\|>\s*(\w+)\s*\n(.*?)(?:<\|im_end\|>|$(?![\s\S]))", re.DOTALL),
    re.compile(
        r"<\|start_header_id\|>(\w+)<\|end_header_id\|>\s*(.*?)(?:<\|eot_id\|>|<\|end_of_text\|>|\Z)", re.DOTALL
    ),
    re.compile(r"<start_of_turn>(\w+)\n(.*?)(?:<end_of_turn>|\Z)", re.DOTALL),
    re.compile(
        r"<\|(user|assistant|system)\|>\s*(.*?)(?=<\|(?:user|assistant|system|end|endoftext)\|>|</s>|\Z)", re.DOTALL
    ),
)
_LLAMA_2 = re.compile(r"\[INST\]\s*(?:<<SYS>>(.*?)<</SYS>>)?(.*?)\[/INST\](.*?)(?=</s>|<s>|\[INST\]|\Z)", re.DOTALL)
_HEADINGS = re.compile(r"### (Instruction|Input|Response|Human|Assistant):\s*(.*?)(?=\n### |\Z)", re.DOTALL)


def _messages_from_tokens(row: Row) -> list[Row]:
    """Messages out of a text that was rendered for another model's family.

    Raises:
        TunerError: the text has such tokens, but no turns that end with the assistant (code "bad-row").
    """
    if row_kind(row) != "text":
        return [_texts(row, _stripped)]
    text = row["text"]
    turns = next((found for form in _FORMS if (found := _turns(form, text))), None) or _llama(text) or _headed(text)
    if not turns or turns[-1]["role"] != "assistant" or not any(turn["role"] == "user" for turn in turns):
        raise bad_row("the text has no turns of user and assistant that could be told apart", "take the row out")
    return [{"messages": turns}]


def _turns(form: re.Pattern[str], text: str) -> list[dict[str, str]]:
    found = [(_ROLES.get(role), said.strip()) for role, said in form.findall(text)]
    return [{"role": role, "content": said} for role, said in found if role and said]


def _llama(text: str) -> list[dict[str, str]]:
    turns = []
    for system, asked, answered in _LLAMA_2.findall(text):
        if system.strip():
            turns.append({"role": "system", "content": system.strip()})
        turns.append({"role": "user", "content": asked.strip()})
        if answered.strip():
            turns.append({"role": "assistant", "content": answered.strip()})
    return turns


def _headed(text: str) -> list[dict[str, str]]:
    turns: list[dict[str, str]] = []
    for heading, said in _HEADINGS.findall(text):
        role = "assistant" if heading in ("Response", "Assistant") else "user"
        if turns and turns[-1]["role"] == role == "user":
            turns[-1]["content"] += f"\n\n{said.strip()}"
        elif said.strip():
            turns.append({"role": role, "content": said.strip()})
    return turns


FIXES: dict[str, Fix] = {
    fix.name: fix
    for fix in (
        Fix(DROP_UNUSABLE, "leave out records that no row can be made of"),
        Fix("unescape-newlines", 'write line breaks for "\\n"', _every_text(patterns.unbroken)),
        Fix("fix-mojibake", "read wrongly decoded letters again", _every_text(patterns.recoded)),
        Fix("strip-special-tokens", "take special tokens out of the texts", _every_text(_stripped)),
        Fix("messages-from-tokens", "turn texts with turn tokens into messages", _messages_from_tokens),
        Fix("fold-system", "put system messages before the first question", _fold_system),
        Fix("merge-turns", "join turns of one speaker, and let the user begin", _merge_turns),
        Fix("split-turns", "make a row of every answer of a conversation", _split_turns),
        Fix("drop-replaced", "leave out rows with lost characters", _without(lambda text: patterns.REPLACED in text)),
        Fix("drop-secrets", "leave out rows with keys or passwords", _without(patterns.key_in)),
        Fix(DROP_DUPLICATES, "keep one of each copy in training"),
        Fix(DROP_LEAKS, "take held-out rows out of training"),
    )
}
"""Every mending by its name, in the order in which they are best applied."""


def mended(rows: Sequence[Row], names: Sequence[str]) -> list[Row]:
    """The rows of one record after the fixes that look at single rows.

    Raises:
        TunerError: a row that a fix cannot be applied to.
    """
    found = list(rows)
    for name in names:
        fix = FIXES[name].of_row
        if fix is not None:
            found = [changed for row in found for changed in fix(row)]
    return found
