"""Records in the forms that people have them in, as whole files, with what must come of each: rows, or a true reason.

Damage inside the formats (broken JSON, encodings, ragged tables, archives) has its table in `oddfiles.py`.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

COUNT = 24
ASKED = [f"Where is town number {n}?" for n in range(COUNT)]
SAID = [f"It lies {n} miles north of the river." for n in range(COUNT)]
PAIRS = list(zip(ASKED, SAID, strict=True))


def lines(make: Callable[[int, str, str], Any]) -> str:
    return "".join(json.dumps(make(n, q, a), ensure_ascii=False) + "\n" for n, (q, a) in enumerate(PAIRS))


def array(make: Callable[[int, str, str], Any]) -> str:
    return json.dumps([make(n, q, a) for n, (q, a) in enumerate(PAIRS)])


def table(*header: str, make: Callable[[int, str, str], list[Any]], delimiter: str = ",") -> str:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, lineterminator="\n")
    if header:
        writer.writerow(header)
    writer.writerows(make(n, q, a) for n, (q, a) in enumerate(PAIRS))
    return out.getvalue()


def turns(*said: str, who: str = "role", what: str = "content", names: tuple[str, str] = ("user", "assistant")) -> Any:
    return [{who: names[n % 2], what: text} for n, text in enumerate(said)]


CALL = {"type": "function", "function": {"name": "find", "arguments": '{"n": 1}'}}


@dataclass
class Case:
    """A file, and what must be found.

    Attributes:
        name: of the file; its ending is part of the case.
        content: of the file.
        shape: what the records are taken for.
        rows: how many rows come out for all splits together.
        errors: (code, how many it hits).
        warnings: codes that must be there.
        said: what some message or note says.
    """

    name: str
    content: str | bytes
    shape: str
    rows: int = COUNT
    errors: list[tuple[str, int]] = field(default_factory=list)
    warnings: tuple[str, ...] = ()
    said: str = ""


CASES = [
    # shapes
    Case(
        "alpaca_text.jsonl",
        lines(lambda n, q, a: {"instruction": q, "input": "", "output": a, "text": q + a}),
        "alpaca",
    ),
    Case(
        "dolly.jsonl", lines(lambda n, q, a: {"instruction": q, "context": "", "response": a, "category": "x"}), "dolly"
    ),
    Case("capitals.jsonl", lines(lambda n, q, a: {"Prompt": q, "Completion": a}), "completion"),
    Case("spanish.jsonl", lines(lambda n, q, a: {"pregunta": q, "respuesta": a}), "question-answer"),
    Case("nested.jsonl", lines(lambda n, q, a: {"input": {"question": q}, "output": {"answer": a}}), "question-answer"),
    Case(
        "squad.jsonl",
        lines(lambda n, q, a: {"context": f"In {n}: {a} {a}", "question": q, "answers": {"text": [a], "at": [1]}}),
        "question-answer",
        said="goes before the question",
    ),
    Case(
        "lists.json",
        json.dumps({"intents": [{"patterns": [q, q + "!"], "responses": [a]} for q, a in PAIRS]}),
        "question-answer",
        said="only the first of each list is used: patterns, responses",
    ),
    Case(
        "labels.csv",
        table("Category", "Message", make=lambda n, q, a: [("spam", "ham", "news")[n % 3], a]),
        "question-answer",
        warnings=("unsure-shape",),
    ),
    Case(
        "sentiment.jsonl",
        lines(lambda n, q, a: {"text": a, "label": n % 3}),
        "question-answer",
        warnings=("unsure-shape",),
    ),
    Case("numbers.jsonl", lines(lambda n, q, a: {"prompt": q, "completion": n}), "completion"),
    Case(
        "plain.json",
        array(lambda n, q, a: f"{q} {a}"),
        "text",
        errors=[("mask-text", COUNT)],
        warnings=("template-mismatch",),
    ),
    # conversations
    Case(
        "parts.jsonl",
        lines(
            lambda n, q, a: {
                "messages": [
                    {"role": "user", "content": [{"type": "text", "text": q}]},
                    {"role": "assistant", "content": [{"type": "text", "text": a}]},
                ]
            }
        ),
        "messages",
    ),
    Case(
        "fromvalue.jsonl",
        lines(lambda n, q, a: {"messages": turns(q, a, who="from", what="value", names=("human", "gpt"))}),
        "sharegpt",
    ),
    Case("astext.jsonl", lines(lambda n, q, a: {"messages": json.dumps(turns(q, a))}), "messages"),
    Case("pandas.csv", table("id", "messages", make=lambda n, q, a: [n, str(turns(q, a))]), "messages"),
    Case(
        "tools.jsonl",
        lines(
            lambda n, q, a: {
                "messages": [
                    {"role": "user", "content": q},
                    {"role": "assistant", "content": None, "tool_calls": [CALL]},
                    {"role": "tool", "content": "42", "tool_call_id": "c"},
                    {"role": "assistant", "content": a},
                ],
                "tools": json.dumps([CALL]),
            }
        ),
        "messages",
        errors=[("lost-words", COUNT)],
        said="leaves out calls of tools",
    ),
    Case(
        "sharegpt_tools.json",
        array(
            lambda n, q, a: {
                "conversations": [
                    {"from": "human", "value": q},
                    {"from": "function_call", "value": json.dumps({"name": "find", "arguments": {}})},
                    {"from": "observation", "value": "42"},
                    {"from": "gpt", "value": a},
                ],
                "tools": "[]",
            }
        ),
        "sharegpt",
        errors=[("lost-words", COUNT)],
    ),
    Case(
        "assistantbegins.jsonl",
        lines(lambda n, q, a: {"messages": [{"role": "assistant", "content": "Hi"}, *turns(q, a)]}),
        "messages",
        warnings=("role-order",),
    ),
    Case(
        "export.json",
        array(
            lambda n, q, a: {
                "title": "t",
                "mapping": {
                    "r": {"id": "r", "message": None, "parent": None, "children": ["a"]},
                    "a": {
                        "id": "a",
                        "parent": "r",
                        "children": ["b"],
                        "message": {"author": {"role": "user"}, "content": {"parts": [q]}},
                    },
                    "b": {
                        "id": "b",
                        "parent": "a",
                        "children": [],
                        "message": {"author": {"role": "assistant"}, "content": {"parts": [a]}},
                    },
                },
            }
        ),
        "messages",
        said="made of trees",
    ),
    Case(
        "oasst.jsonl",
        "".join(
            json.dumps(row) + "\n"
            for n, (q, a) in enumerate(PAIRS)
            for row in (
                {"message_id": f"q{n}", "parent_id": None, "text": q, "role": "prompter"},
                {"message_id": f"a{n}", "parent_id": f"q{n}", "text": a, "role": "assistant", "rank": 0},
            )
        ),
        "messages",
        said="made of trees",
    ),
    # preferences
    Case("dpo.jsonl", lines(lambda n, q, a: {"prompt": q, "chosen": a, "rejected": "No idea."}), "preference"),
    Case(
        "hh.jsonl",
        lines(
            lambda n, q, a: {
                "chosen": f"\n\nHuman: {q}\n\nAssistant: {a}",
                "rejected": f"\n\nHuman: {q}\n\nAssistant: no",
            }
        ),
        "preference",
    ),
    Case(
        "feedback.jsonl",
        lines(lambda n, q, a: {"prompt": q, "chosen": turns(q, a), "rejected": turns(q, "no")}),
        "preference",
    ),
    # tables
    Case("headless.csv", table(make=lambda n, q, a: [q, a]), "question-answer", said="looks like values"),
    Case("pipes.csv", table("question", "answer", make=lambda n, q, a: [q, a], delimiter="|"), "question-answer"),
    Case("tabs.csv", table("question", "answer", make=lambda n, q, a: [q, a], delimiter="\t"), "question-answer"),
    Case("breaks.csv", table("question", "answer", make=lambda n, q, a: [q + "\nReally?", a]), "question-answer"),
    Case(
        "hollow.csv",
        table("", "question", "answer", "", "", make=lambda n, q, a: [n, q, a, "", ""]),
        "question-answer",
        said="left out",
    ),
    Case(
        "latin.csv",
        table("question", "réponse", make=lambda n, q, a: [f"Où est Zoé {n} ?", f"à Nîmes, cet été {n}"]).encode(
            "cp1252"
        ),
        "question-answer",
        said="Windows-1252",
    ),
    # single records that cannot be used
    Case(
        "onenull.jsonl",
        lines(lambda n, q, a: {"prompt": q, "completion": None if n == 3 else a}),
        "completion",
        COUNT - 1,
        errors=[("bad-row", 1)],
        said='"completion" is empty',
    ),
    Case(
        "missing.jsonl",
        lines(lambda n, q, a: {"prompt": q} if n == 9 else {"prompt": q, "completion": a}),
        "completion",
        COUNT - 1,
        errors=[("bad-row", 1)],
        said='has no "completion"',
    ),
    Case(
        "mixed.jsonl",
        lines(lambda n, q, a: {"messages": turns(q, a)} if n % 2 else {"prompt": q, "completion": a}),
        "completion",
        COUNT // 2,
        errors=[("mixed-rows", COUNT // 2)],
    ),
    Case(
        "surrogate.jsonl",
        lines(lambda n, q, a: {"prompt": q, "completion": a}).replace("It lies 2 ", "\\ud83d "),
        "completion",
        COUNT - 1,
        errors=[("bad-row", 1)],
        said="surrogate",
    ),
    Case(
        "huge.jsonl",
        lines(lambda n, q, a: {"prompt": q * (20_000 if n == 5 else 1), "completion": a}),
        "completion",
        errors=[("no-trainable-tokens", 1)],
    ),
    Case(
        "images.jsonl",
        lines(
            lambda n, q, a: {
                "messages": [
                    {"role": "user", "content": [{"type": "image_url", "image_url": "x"}]},
                    {"role": "assistant", "content": a},
                ]
            }
        ),
        "messages",
        0,
        errors=[("bad-row", COUNT)],
        said="image_url",
    ),
    Case(
        "userends.jsonl",
        lines(lambda n, q, a: {"messages": turns(q, a, "Thanks.")}),
        "messages",
        0,
        errors=[("bad-row", COUNT)],
        said='ends with role "user"',
    ),
    Case(
        "narrator.jsonl",
        lines(lambda n, q, a: {"messages": turns(q, a, names=("narrator", "assistant"))}),
        "messages",
        0,
        errors=[("bad-row", COUNT)],
        said="narrator",
    ),
    # nothing to learn from
    Case(
        "prompts.jsonl",
        lines(lambda n, q, a: {"id": n, "prompt": q}),
        "prompts",
        0,
        errors=[("no-answers", COUNT)],
        said="no answers",
    ),
    Case(
        "emptyanswers.jsonl",
        lines(lambda n, q, a: {"prompt": q, "completion": ""}),
        "completion",
        0,
        errors=[("bad-row", COUNT)],
    ),
    Case(
        "speechless.jsonl",
        lines(lambda n, q, a: {"messages": [{"content": q}, {"content": a}]}),
        "table",
        0,
        errors=[("unknown-shape", COUNT)],
        said="do not say who speaks",
    ),
    Case(
        "nomessages.jsonl",
        lines(lambda n, q, a: {"messages": []}),
        "table",
        0,
        errors=[("unknown-shape", COUNT)],
        said="is an empty list",
    ),
    Case(
        "paragraphs.json",
        json.dumps({"data": [{"title": "Towns", "paragraphs": [{"context": a, "qas": []}]} for _, a in PAIRS]}),
        "table",
        0,
        errors=[("unknown-shape", COUNT)],
        said="title, paragraphs",
    ),
]
