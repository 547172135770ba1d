"""Which shape records have, how sure that is, and which column plays which role.

Names of columns are one witness, position and content the others; a guess says which of them it rests on. It never
converts anything: what a guess means for a record is `data.recipe`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tui_tuner.data.lookup import look_up
from tui_tuner.data.shapes import names
from tui_tuner.data.shapes.columns import Column, columns_of
from tui_tuner.data.shapes.conversation import from_notation
from tui_tuner.data.shapes.pairs import as_field, instruction, question_answer
from tui_tuner.data.shapes.trees import is_tree, tree_column

SURE, LIKELY = 0.8, 0.5
"""From `SURE` on a guess is taken without a word; below `LIKELY` a person must say what the records are."""
SAMPLE = 1000
TRAINABLE = frozenset(
    {"completion", "text", "messages", "sharegpt", "alpaca", "dolly", "question-answer", "preference", "tree"}
)


@dataclass(frozen=True)
class Guess:
    """What records seem to be.

    Attributes:
        shape: one of the values of `data.shape` but "auto"; "table" for columns of facts that need templates,
            "prompts" for questions without answers.
        confidence: 0..1; 1 when the shape was set by a person.
        mapping: role → template or column: prompt and completion, or messages, or text, or tree; system and tools
            where there are such columns.
        why: what it rests on, as one clause.
    """

    shape: str
    confidence: float
    mapping: Mapping[str, str] = field(default_factory=dict)
    why: str = ""

    @property
    def trainable(self) -> bool:
        """Whether rows can be made without templates."""
        return self.shape in TRAINABLE


def recognise(records: Sequence[Mapping[str, Any]], shape: str = "auto") -> Guess:
    """The most likely shape of a sample of records (the first thousand are enough).

    Args:
        records: at least one.
        shape: what a person says it is; then only the columns' roles are sought.
    """
    guesses = all_guesses(records)
    if shape == "auto":
        return guesses[0]
    named = next((guess for guess in guesses if guess.shape == shape), None)
    if named is None:
        return Guess(shape, 0.0, {}, "no columns play its roles")
    return Guess(shape, 1.0, named.mapping, "as data.shape says")


def all_guesses(records: Sequence[Mapping[str, Any]]) -> list[Guess]:
    """Every shape that the records could have, the likeliest first."""
    sample = records[:SAMPLE]
    columns = columns_of(sample)
    found = [guess for find in _FINDERS if (guess := find(columns, sample)) is not None]
    found.sort(key=lambda guess: -guess.confidence)
    return found or [Guess("table", 0.3, {}, "no column plays a known role")]


Finder = Callable[[list[Column], Sequence[Mapping[str, Any]]], Guess | None]


def _by_name(columns: list[Column], *wanted: str) -> Column | None:
    """The column of one of these names, the first name first."""
    by_plain = {names.plain(column.path): column for column in columns}
    return next((by_plain[name] for name in wanted if name in by_plain), None)


def _extras(columns: list[Column]) -> dict[str, str]:
    """Roles beside the conversation: a system message and the tools."""
    found = {}
    system = next((c for c in columns if c.kind == "text" and names.is_one_of(c.path, names.SYSTEMS)), None)
    if system is not None:
        found["system"] = as_field(system.path)
    tools = _by_name(columns, "tools", "functions")
    if tools is not None:
        found["tools"] = tools.path
    return found


def _conversation(columns: list[Column], sample: Sequence[Mapping[str, Any]]) -> Guess | None:
    turns = [column for column in columns if column.kind == "turns" and column.filled > 0.5]
    if not turns:
        return None
    best = max(turns, key=lambda column: (column.path == "messages", column.filled))
    if any(best.path in pair for pair in names.CHOSEN):
        return None
    keys = _keys_of_turns(sample, best.path)
    shape = "sharegpt" if "from" in keys else "messages"
    sure = 0.99 if best.path in ("messages", "conversations") else 0.93
    why = f'"{best.path}" holds lists of messages with {" and ".join(sorted(keys & _TURN_KEYS))}'
    return Guess(shape, sure * best.filled**0.1, {"messages": best.path, **_extras(columns)}, why)


_TURN_KEYS = frozenset({"role", "from", "speaker", "author", "content", "value", "text", "message"})


def _keys_of_turns(sample: Sequence[Mapping[str, Any]], path: str) -> set[str]:
    for record in sample:
        value = look_up(record, path)
        if isinstance(value, str):
            try:
                value = from_notation(value)
            except ValueError:
                continue
        if isinstance(value, list) and value and isinstance(value[0], Mapping):
            return {str(key).casefold() for key in value[0]}
    return set()


def _preference(columns: list[Column], _sample: Sequence[Mapping[str, Any]]) -> Guess | None:
    for better, worse in names.CHOSEN:
        chosen = next((c for c in columns if better in names.words_of(c.path)), None)
        rejected = next((c for c in columns if worse in names.words_of(c.path)), None)
        if chosen is None or rejected is None or chosen.filled < 0.5:
            continue
        why = f'"{chosen.path}" and "{rejected.path}" are a better and a worse answer; the better one is learned'
        if chosen.kind == "turns":
            mapping = {"messages": chosen.path}
            prompt = _by_name(columns, "prompt")
            if prompt is not None and prompt.kind == "turns":
                mapping["before"] = prompt.path
            return Guess("preference", 0.96, {**mapping, **_extras(columns)}, why)
        ask = next((c for c in columns if c.kind == "text" and names.is_question(c.path)), None)
        if ask is not None:
            roles = {"prompt": as_field(ask.path), "completion": as_field(chosen.path), **_extras(columns)}
            return Guess("preference", 0.96, roles, why)
        return Guess("preference", 0.9, {"dialogue": chosen.path}, why)
    return None


def _completion(columns: list[Column], _sample: Sequence[Mapping[str, Any]]) -> Guess | None:
    prompt, answer = _by_name(columns, "prompt"), _by_name(columns, "completion")
    if prompt is None or answer is None:
        return None
    mapping = {"prompt": as_field(prompt.path), "completion": as_field(answer.path), **_extras(columns)}
    return Guess("completion", 0.99, mapping, "the columns are prompt and completion")


def _alpaca(columns: list[Column], _sample: Sequence[Mapping[str, Any]]) -> Guess | None:
    ask, extra, answer = (_by_name(columns, name) for name in ("instruction", "input", "output"))
    if ask is None or answer is None:
        return None
    mapping = {**instruction(ask, extra, answer), **_extras(columns)}
    sure = 0.98 if extra is not None else 0.95
    return Guess("alpaca", sure, mapping, "the columns are instruction, input and output")


def _dolly(columns: list[Column], _sample: Sequence[Mapping[str, Any]]) -> Guess | None:
    ask, extra, answer = (_by_name(columns, name) for name in ("instruction", "context", "response"))
    if ask is None or answer is None:
        return None
    mapping = {**instruction(ask, extra, answer), **_extras(columns)}
    return Guess(
        "dolly", 0.97 if extra is not None else 0.93, mapping, "the columns are instruction, context and response"
    )


def _tree(columns: list[Column], sample: Sequence[Mapping[str, Any]]) -> Guess | None:
    if not is_tree(sample):
        return None
    return Guess("tree", 0.95, {"tree": tree_column(sample)}, "the records are messages with parents and children")


def _text(columns: list[Column], _sample: Sequence[Mapping[str, Any]]) -> Guess | None:
    text = _by_name(columns, "text")
    prose = [column for column in columns if column.is_prose]
    if text is not None and text.kind == "text" and text.filled > 0.5:
        told = any(names.is_answer(c.path) or names.is_one_of(c.path, names.TARGETS) for c in columns if c is not text)
        sure = 0.98 if len(prose) <= 1 and not told else 0.75
        if any(names.is_one_of(c.path, names.TARGETS) and not c.is_prose and c.filled > 0.5 for c in columns):
            sure = 0.65  # with a label beside it, the text is rather what is judged
        return Guess("text", sure, {"text": as_field(text.path)}, 'there is a column "text"')
    if (
        len(prose) == 1
        and len(columns) <= 2
        and all(column.kind not in ("list", "object") for column in columns)
        and not names.is_question(prose[0].path)
        and not names.is_answer(prose[0].path)
    ):
        only = prose[0]
        return Guess("text", 0.7, {"text": as_field(only.path)}, f'"{only.path}" is the only column with texts')
    return None


def _pair(columns: list[Column], _sample: Sequence[Mapping[str, Any]]) -> Guess | None:
    found = question_answer(columns)
    if found is None:
        return None
    mapping, sure, why = found
    return Guess("question-answer", sure, {**mapping, **_extras(columns)}, why)


def _prompts(columns: list[Column], _sample: Sequence[Mapping[str, Any]]) -> Guess | None:
    """Questions, and nothing that could be an answer."""
    asked = [
        c for c in columns if c.kind == "text" and c.filled > 0.5 and (names.is_question(c.path) or c.asking > 0.8)
    ]
    others = [c for c in columns if c.is_prose and c not in asked and (c.words >= 1.5 or names.is_answer(c.path))]
    labelled = any(names.is_one_of(c.path, names.TARGETS) and c.filled > 0.5 for c in columns if c not in asked)
    if not asked or others or labelled:
        return None
    why = f'"{asked[0].path}" holds questions, and no other column holds texts'
    return Guess("prompts", 0.85, {"prompt": as_field(asked[0].path)}, why)


def _table(columns: list[Column], _sample: Sequence[Mapping[str, Any]]) -> Guess | None:
    """Facts: several columns, most of them numbers or single words."""
    if len(columns) < 3 or any(column.asking > 0.5 or column.words > 4.5 for column in columns):
        return None
    short = sum(column.kind in ("number", "switch", "empty") or column.words < 3 for column in columns)
    if short * 2 < len(columns):
        return None
    return Guess(
        "table",
        0.55 + 0.3 * short / len(columns),
        {},
        f"most of its {len(columns)} columns are numbers or single words",
    )


_FINDERS: tuple[Finder, ...] = (
    _tree, _conversation, _preference, _completion, _alpaca, _dolly, _text, _pair, _prompts, _table,
)  # fmt: skip
