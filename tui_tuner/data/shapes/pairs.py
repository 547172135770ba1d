"""Which two columns are question and answer, by their names where these tell, else by position and content."""

from __future__ import annotations

from collections.abc import Sequence

from tui_tuner.data.shapes import names
from tui_tuner.data.shapes.columns import Column


def as_field(path: str) -> str:
    """A path as a template writes it."""
    return "{" + path + "}"


def instruction(ask: Column, extra: Column | None, answer: Column) -> dict[str, str]:
    """Templates of an instruction with something to work on beside it, which may be empty."""
    prompt = as_field(ask.path)
    if extra is not None:
        quoted = _in_condition(extra.path)
        prompt += f"{{if {quoted}}}\n\n{as_field(extra.path)}{{end}}"
    return {"prompt": prompt, "completion": as_field(answer.path)}


def _in_condition(path: str) -> str:
    return path if path.replace(".", "_").isidentifier() else f"`{path}`"


def question_answer(columns: Sequence[Column]) -> tuple[dict[str, str], float, str] | None:
    """The templates of the likeliest question and answer, how sure they are, and what that rests on; None for none."""
    texts = [column for column in columns if column.kind in ("text", "number", "switch") and column.filled > 0.3]
    best: tuple[float, Column, Column] | None = None
    for ask in texts:
        for answer in texts:
            if ask is answer or ask.kind != "text":
                continue
            score = _score(ask, answer, texts)
            if best is None or score > best[0]:
                best = (score, ask, answer)
    if best is None:
        return None
    _, ask, answer = best
    sure, why = _confidence(ask, answer, texts)
    if sure <= 0:
        return None
    context = _context(ask, answer, texts)
    mapping = {"prompt": as_field(ask.path), "completion": as_field(answer.path)}
    if context is not None:
        quoted = _in_condition(context.path)
        mapping["prompt"] = f"{{if {quoted}}}{as_field(context.path)}\n\n{{end}}{as_field(ask.path)}"
        why += f'; "{context.path}" goes before the question'
    return mapping, sure, why


def _asks(column: Column) -> float:
    """How much a column looks like the question, 0..1, names and question marks together."""
    return 0.7 * names.is_question(column.path) + 0.3 * column.asking


def _score(ask: Column, answer: Column, texts: Sequence[Column]) -> float:
    score = _asks(ask) + 0.7 * names.is_answer(answer.path) - 0.5 * _asks(answer) - 0.5 * names.is_answer(ask.path)
    if names.is_one_of(ask.path, names.SOURCES) and names.is_one_of(answer.path, names.TARGETS):
        score += 0.5
    score += 0.1 * (texts.index(ask) < texts.index(answer))
    score -= 0.3 * (ask.is_identifier + answer.is_identifier)
    # Of several possible answers the one that says most; a label is short, but then it is the only one.
    return score + 0.05 * min(answer.words, 40) / 40 + 0.05 * answer.filled - 0.05 * (answer.kind != "text")


def _confidence(ask: Column, answer: Column, texts: Sequence[Column]) -> tuple[float, str]:
    asked, answered = names.is_question(ask.path), names.is_answer(answer.path)
    both = f'"{ask.path}" and "{answer.path}"'
    marks = f"{ask.asking:.0%} of its texts end with a question mark"
    if asked and answered:
        return 0.95, f"{both} are named question and answer"
    if asked and not answered and len(texts) == 2 and ask.asking > 0.5:
        return 0.8, f'"{ask.path}" is named question, and "{answer.path}" is the only other column'
    if asked and not answered and not (answer.is_prose and answer.words >= 1.5):
        label = names.is_one_of(answer.path, names.TARGETS)
        return (0.6, f'"{ask.path}" is named question, "{answer.path}" a label') if label else (0.0, "")
    if asked or answered:
        named = ask.path if asked else answer.path
        alone = len([column for column in texts if column.is_prose]) <= 2
        role = "question" if asked else "answer"
        return (0.85 if alone or ask.asking > 0.5 else 0.65), f'"{named}" is named {role}; the other follows from it'
    if names.is_one_of(ask.path, names.SOURCES) and names.is_one_of(answer.path, names.TARGETS):
        return 0.7, f"{both} are named as a text and what is made of it"
    prose = [column for column in texts if column.is_prose]
    if ask.asking > 0.5 and answer.asking < 0.3 and answer.is_prose:
        return (0.82 if len(prose) == 2 else 0.6), f'{both} by content: of "{ask.path}" {marks}'
    if len(texts) == 2 and len(prose) == 2 and answer.words >= 2 and ask.words >= 2:
        return 0.6, f"{both} are the only two columns with texts, taken in their order"
    return 0.0, ""


def _context(ask: Column, answer: Column, texts: Sequence[Column]) -> Column | None:
    """A passage that the question is about; its texts are longer than the question's."""
    for column in texts:
        if column in (ask, answer) or not column.is_prose or column.length <= ask.length:
            continue
        if names.is_one_of(column.path, names.CONTEXTS):
            return column
    return None
