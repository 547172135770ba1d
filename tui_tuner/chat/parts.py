"""What an answer is made of: plain text, reasoning, and calls of tools, told apart by the marks that models write.

A reader takes the text as it streams, in pieces of any size, and comes to the same parts as for the whole; each piece
is looked at once. No character is lost: what is not a mark stands in a part. Reasoning counts only where it begins a
line, so that an answer that speaks of `<think>` is not folded away.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

Kind = Literal["text", "reasoning", "call"]


@dataclass(frozen=True)
class Marks:
    """The marks of a model.

    Attributes:
        reasoning: opening → closing mark.
        calls: opening → closing mark of a tool call; an empty one where a call ends with the answer.
    """

    reasoning: Mapping[str, str]
    calls: Mapping[str, str]


USUAL: Final = Marks(
    reasoning={
        "<think>": "</think>",
        "<longcat_think>": "</longcat_think>",
        "<|think:start|>": "<|think:end|>",
        "<|channel>thought": "<channel|>",
        "<|open|>think<|sep|>": "<|close|>think<|sep|>",
        "[THINK]": "[/THINK]",
    },
    calls={
        "<tool_call>": "</tool_call>",
        "<|tool_call>": "<tool_call|>",
        "<|tool_call_start|>": "<|tool_call_end|>",
        "<|tool_calls_section_begin|>": "<|tool_calls_section_end|>",
        "<|open|>tools<|sep|>": "<|close|>tools<|sep|>",
        "<longcat_tool_call>": "</longcat_tool_call>",
        "<minimax:tool_call>": "</minimax:tool_call>",
        "<start_function_call>": "<end_function_call>",
        "<atem:function_calls>": "</atem:function_calls>",
        "<function name=": "</function>",
        "[TOOL_CALLS]": "",
        "<|python_tag|>": "",
    },
)
"""Those of the models that mlx-lm knows, of Llama and of Magistral."""


def marks_of(tokenizer: Any) -> Marks:
    """The usual marks, and those that mlx-lm found in a tokenizer (its `TokenizerWrapper`)."""

    def pair(start: str, end: str) -> dict[str, str]:
        first, last = getattr(tokenizer, start, None), getattr(tokenizer, end, None)
        return {first: last or ""} if isinstance(first, str) and first else {}

    thinking = {**USUAL.reasoning, **pair("think_start", "think_end")}
    return Marks(thinking, {**USUAL.calls, **pair("tool_call_start", "tool_call_end")})


@dataclass
class Part:
    """A piece of an answer.

    Attributes:
        kind: what it is.
        closed: whether its end has come; the last part of an answer in the making is open.
        mark: what it began with; empty for plain text, and for reasoning that began with the answer.
    """

    kind: Kind
    closed: bool = False
    mark: str = ""
    _pieces: list[str] = field(default_factory=list, repr=False)

    @property
    def text(self) -> str:
        """What stands between its marks."""
        if len(self._pieces) > 1:
            self._pieces = ["".join(self._pieces)]
        return self._pieces[0] if self._pieces else ""

    def add(self, text: str) -> None:
        """Adds to its end."""
        if text:
            self._pieces.append(text)

    @property
    def calls(self) -> list[Call]:
        """The calls that a part of calls holds, as far as they can be read."""
        return calls_in(self.text, self.mark) if self.kind == "call" else []


@dataclass(frozen=True)
class Call:
    """A call of a tool: its name, and its arguments by name, or as the model wrote them where they are no object."""

    name: str
    arguments: dict[str, Any] | str


class PartReader:
    """Takes an answer apart as it comes.

    Attributes:
        parts: what there is so far. A beginning of a mark at the very end stands in none before it is known what it is,
            or `finish` was called.
    """

    def __init__(self, marks: Marks = USUAL) -> None:
        self.parts: list[Part] = []
        self._marks = marks
        self._opening: dict[str, Kind] = dict.fromkeys(marks.calls, "call")
        self._opening.update(dict.fromkeys(marks.reasoning, "reasoning"))
        # Where an answer's template has opened the reasoning already, only its end is in the answer.
        self._at_first = _search([*self._opening, *marks.reasoning.values()])
        self._later = _search(list(self._opening))
        ends = {**marks.calls, **marks.reasoning}
        self._ends = {mark: _search([end or mark]) for mark, end in ends.items()}
        self._tail = ""
        self._line_is_blank = True

    def feed(self, text: str) -> list[Part]:
        """Takes the next piece; returns all parts."""
        self._take(self._tail + text, last=False)
        return self.parts

    def finish(self) -> list[Part]:
        """The answer has ended: what looked like the beginning of a mark was none."""
        self._take(self._tail, last=True)
        return self.parts

    def _take(self, text: str, last: bool) -> None:
        at = 0
        while True:
            seeking = self._seeking()
            found = seeking.mark.search(text, at)
            if found is None:
                break
            self._add(text[at : found.start()])
            self._meet(found.group())
            at = found.end()
        kept = len(text) if last else seeking.tail(text, at)
        self._add(text[at:kept])
        self._tail = text[kept:]

    def _seeking(self) -> _Search:
        now = self.parts[-1] if self.parts else None
        if now is not None and not now.closed and now.kind != "text":
            return self._ends[now.mark]
        first = not self.parts or (len(self.parts) == 1 and now is not None and now.kind == "text")
        return self._at_first if first else self._later

    def _meet(self, mark: str) -> None:
        """A mark: it opens a part, closes the present one, or is mere text."""
        now = self.parts[-1] if self.parts and not self.parts[-1].closed else None
        if now is not None and now.kind != "text":
            now.closed = True
            self._line_is_blank = True
            if mark == now.mark:  # of a kind without an end: the next one begins
                self.parts.append(Part("call", mark=mark))
            return
        kind = self._opening.get(mark)
        if kind == "reasoning" and self._line_is_blank:
            self._open("reasoning", mark)
        elif kind == "call":
            self._open("call", mark)
        elif kind is None and (now is None or now is self.parts[0]):
            if now is None:
                now = Part("reasoning")
                self.parts.append(now)
            now.kind, now.closed = "reasoning", True
            self._line_is_blank = True
        else:
            self._add(mark)

    def _open(self, kind: Kind, mark: str) -> None:
        if self.parts:
            self.parts[-1].closed = True
        self.parts.append(Part(kind, mark=mark))

    def _add(self, text: str) -> None:
        if not text:
            return
        if not self.parts or self.parts[-1].closed:
            self.parts.append(Part("text"))
        self.parts[-1].add(text)
        end = text.rpartition("\n")
        self._line_is_blank = (bool(end[1]) or self._line_is_blank) and not end[2].strip()


def parts_of(text: str, marks: Marks = USUAL) -> list[Part]:
    """The parts of a whole answer."""
    reader = PartReader(marks)
    reader.feed(text)
    return reader.finish()


@dataclass(frozen=True)
class _Search:
    """Finds marks, and what may become one at the end of a text."""

    mark: re.Pattern[str]
    beginnings: frozenset[str]
    longest: int

    def tail(self, text: str, start: int) -> int:
        """Where the longest beginning of a mark that ends the text begins; the text's length when there is none."""
        for at in range(max(start, len(text) - self.longest), len(text)):
            if text[at:] in self.beginnings:
                return at
        return len(text)


def _search(marks: list[str]) -> _Search:
    # A mark that holds another one could not be told from it before it is whole.
    ordered = sorted({mark for mark in marks if mark and not any(other in mark for other in marks if other != mark)})
    beginnings = frozenset(mark[:cut] for mark in ordered for cut in range(1, len(mark)))
    pattern = "|".join(map(re.escape, ordered)) or r"(?!)"
    return _Search(re.compile(pattern), beginnings, max(map(len, ordered), default=1) - 1)


_ARGUMENTS = ("arguments", "parameters", "args")
_NAMED_ARGUMENTS = re.compile(r"\s*([\w.-]+)\s*\[ARGS\]\s*")
_FUNCTION = re.compile(r"<function=([^>\s]+)>(.*?)(?:</function>|\Z)", re.DOTALL)
_PARAMETER = re.compile(r"<parameter=([^>\s]+)>\n?(.*?)\n?</parameter>", re.DOTALL)


def calls_in(text: str, mark: str = "") -> list[Call]:
    """The calls that a text between marks holds: JSON of a call or a list of them, `name[ARGS]{…}`, or `<function=…>`.

    Returns:
        None of those that cannot be read: a call in the making, a form of another model, or plain code.
    """
    stripped = text.strip()
    if named := _NAMED_ARGUMENTS.match(stripped):
        return [Call(named[1], _arguments(stripped[named.end() :]))]
    if functions := _FUNCTION.findall(stripped):
        return [Call(name, dict(_PARAMETER.findall(body))) for name, body in functions]
    found = _json(stripped.removeprefix("function").lstrip() if mark == "<|python_tag|>" else stripped)
    told = found if isinstance(found, list) else [found]
    return [call for each in told if (call := _call(each)) is not None]


def _call(found: Any) -> Call | None:
    if not isinstance(found, dict):
        return None
    inner = found.get("function")
    found = inner if isinstance(inner, dict) else found
    name = found.get("name")
    if not isinstance(name, str) or not name:
        return None
    given: Any = next((found[key] for key in _ARGUMENTS if key in found), {})
    if isinstance(given, str):
        return Call(name, _arguments(given))
    return Call(name, given if isinstance(given, dict) else json.dumps(given, ensure_ascii=False))


def _arguments(text: str) -> dict[str, Any] | str:
    found = _json(text)
    return found if isinstance(found, dict) else text.strip()


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
