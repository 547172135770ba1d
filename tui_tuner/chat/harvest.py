"""What a good exchange becomes: a row to train on, a probe prompt, or a behaviour test.

All but `append_row` only compute. A file of rows is the person's: a row is added to its end whole or not at all, never
twice, and never to a file of another shape; nothing that stands in it is touched.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tui_tuner.atomic import read_failure, sync_to_disk, write_all, write_failure
from tui_tuner.chat.conversation import Conversation, Exchange
from tui_tuner.chat.parts import parts_of
from tui_tuner.config.behaviour_section import NUMBER, PATTERN, BehaviourCase
from tui_tuner.config.model import Experiment
from tui_tuner.config.overrides import validated
from tui_tuner.config.problems import Origin
from tui_tuner.data.rows import Row, RowKind, checked_row, kind_of_columns, messages_of
from tui_tuner.errors import TunerError
from tui_tuner.paths import chats_dir
from tui_tuner.runs.files import encode_json, strict_json

_FEW_WORDS = 6
"""Up to so many words an answer is held to as a whole."""
_MOST_RULES = 3
_LOOKED_AT = 5_000
"""Characters of an answer in which rules are looked for."""
_WORD = re.compile(r"(?<!\w)(?:\d+(?:[.,]\d+)*|[^\W\d_]+)(?!\w)")


# -- a row to train on ------------------------------------------------------------------------------------------------
def training_row(
    talk: Conversation, exchange: Exchange, column: int, kind: RowKind = "chat", answer: str | None = None
) -> Row:
    """An exchange as a row of the shape that an experiment's rows have.

    Args:
        column: whose answer it is.
        kind: "chat" takes the conversation up to here as the voice was told it, with the system message; "completion"
            a single question and its answer; "text" both in one.
        answer: what shall be learned instead of what was said: a reference, or an answer that was mended.

    Raises:
        TunerError: there is no answer, or a question that rests on others does not fit the shape (`bad-row`).
    """
    voice = exchange.answers[column].voice
    said = exchange.answers[column].text if answer is None else answer
    messages = talk.messages(
        voice, exchange.question, system=exchange.system, memory=exchange.memory, after=exchange.parent
    )
    where = f"exchange {exchange.number}"
    if kind == "chat":
        return checked_row({"messages": [*messages, {"role": "assistant", "content": said}]}, kind, where)
    if len(messages) > 1:
        raise TunerError(
            f"a {kind} row has room for one question, and this one was asked after others or with a system message",
            code="bad-row",
            where=where,
            fix="keep it as a chat row, or ask it again with memory off and no system message",
            usage=True,
        )
    if kind == "completion":
        return checked_row({"prompt": exchange.question, "completion": said}, kind, where)
    return checked_row({"text": exchange.question + said}, kind, where)


def kind_of_run(folder: Path) -> RowKind:
    """The shape of a run's prepared rows (its `data` folder); "chat" where there are none yet."""
    with suppress(OSError, ValueError, RecursionError), (folder / "train.jsonl").open("rb") as file:
        first = json.loads(file.readline())
        return (kind_of_columns(first) if isinstance(first, dict) else None) or "chat"
    return "chat"


def rows_file(runs_dir: Path | None, kind: RowKind) -> Path:
    """Where rows go unless a person names a file: `chats/rows/<kind>.jsonl` in the folder of runs."""
    return chats_dir(runs_dir) / "rows" / f"{kind}.jsonl"


def append_row(path: Path, row: Row) -> bool:
    """Adds a row to the end of a JSONL file, which is made, with its folder, when it is not there.

    Returns:
        False when the same row is in it already; then nothing is written.

    Raises:
        TunerError: the file is none of JSON lines or of another shape (`bad-rows-file`), or cannot be written.
    """
    path = path.expanduser().absolute()
    if path.suffix.lower() not in (".jsonl", ".ndjson"):
        raise _unfit(path, "is not called .jsonl", "name a file that ends in .jsonl")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise write_failure(error, path) from error
    try:
        with suppress(OSError):  # a file system that cannot lock: as good as alone
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        try:
            there, ends = _looked_through(path, row)
        except OSError as error:
            raise read_failure(error, path) from error
        if there:
            return False
        _append(descriptor, (b"" if ends else b"\n") + encode_json(row) + b"\n", path)
        return True
    finally:
        os.close(descriptor)


def _looked_through(path: Path, row: Row) -> tuple[bool, bool]:
    """Whether a row is in a file, and whether the file's last line has its end."""
    kind, line = kind_of_columns(row), b"\n"
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                found = json.loads(line.decode("utf-8-sig"))
            except (ValueError, RecursionError) as error:
                raise _unfit(path, "is no JSON", "mend the line, or name another file", number) from error
            if not isinstance(found, dict) or kind_of_columns(found) != kind:
                raise _unfit(path, f"is no {kind} row as this one", "name another file for rows of this shape", number)
            if _same(found, row):
                return True, True
    return False, line.endswith(b"\n")


def _same(found: dict[str, Any], row: Row) -> bool:
    """Whether two rows teach the same: what else stands beside question and answer does not count."""
    with suppress(TunerError, KeyError, TypeError):
        if "text" in row and "messages" not in row:
            return bool(found["text"] == row["text"])
        return messages_of(found) == messages_of(row)
    return False


def _append(descriptor: int, line: bytes, path: Path) -> None:
    before = os.fstat(descriptor).st_size
    try:
        write_all(descriptor, line)
        sync_to_disk(descriptor)
    except OSError as error:
        with suppress(OSError):
            os.ftruncate(descriptor, before)
        raise write_failure(error, path) from error


def _unfit(path: Path, message: str, fix: str, line: int = 0) -> TunerError:
    where = f"{path}:{line}" if line else str(path)
    return TunerError(message, code="bad-rows-file", where=where, fix=fix, usage=True)


# -- a probe, a behaviour test ----------------------------------------------------------------------------------------
def with_probe(experiment: Experiment, exchange: Exchange) -> Experiment:
    """The experiment with an exchange's question among its probe prompts; itself when it is there already.

    Raises:
        TunerError: the question cannot be one.
    """
    prompts = experiment.probes.prompts
    if exchange.question in prompts:
        return experiment
    return _changed(experiment, "probes", {"prompts": [*prompts, exchange.question]})


def with_case(experiment: Experiment, case: BehaviourCase) -> Experiment:
    """The experiment with one behaviour test more; itself when it has the same already.

    Raises:
        TunerError: it has another one of this name.
    """
    cases = experiment.behaviour.cases
    if case in cases:
        return experiment
    return _changed(experiment, "behaviour", {"cases": [each.model_dump() for each in (*cases, case)]})


def _changed(experiment: Experiment, section: str, change: dict[str, Any]) -> Experiment:
    tables = experiment.model_dump()
    tables[section].update(change)
    return validated(tables, Origin())


def case_of(experiment: Experiment, exchange: Exchange, column: int, answer: str | None = None) -> BehaviourCase:
    """A behaviour test that asks what was asked, with rules that a good answer suggests; the person edits them.

    The rules: JSON with the answer's keys; else a short answer's words; else the numbers and names that stand in the
    answer and not in the question, or its longest words. The answer itself keeps to all of them.

    Args:
        experiment: the case gets a name that it has not.
        column: whose answer is the good one.
        answer: a good answer instead, such as a reference.

    Raises:
        TunerError: the answer has nothing that another one could be held to (`no-rule`).
    """
    good = exchange.answers[column].text if answer is None else answer
    rules = suggested_rules(exchange.question, good)
    if not rules:
        raise TunerError(
            "the answer has no words that another one could be held to",
            code="no-rule",
            where=f"exchange {exchange.number}",
            fix="write the case into [[behaviour.cases]]",
            usage=True,
        )
    taken = {case.name for case in experiment.behaviour.cases}
    case = {"name": _case_name(exchange.question, taken), "prompt": exchange.question, "system": exchange.system}
    try:
        return BehaviourCase.model_validate({**case, **rules})
    except ValidationError as error:
        raise TunerError(
            "the question holds what is no text", code="bad-config", where=f"exchange {exchange.number}"
        ) from error


def suggested_rules(question: str, answer: str) -> dict[str, Any]:
    """Keys of a behaviour case that an answer keeps to; none when there is nothing to hold on to."""
    parts = parts_of(answer)
    text = "".join(part.text for part in parts if part.kind == "text")[:_LOOKED_AT]
    if len(parts) == 1 and (keys := _json_keys(answer)) is not None:
        return {"valid_json": True, "keys": keys}
    words = _WORD.findall(text)
    if not words:
        return {}
    core = text.strip().strip(".,;:!?\"'“”„«»()[]*`_ ")
    if len(text.split()) <= _FEW_WORDS and _plain(core) and _stands_in(core, answer):
        return {"must": [core]}
    asked = {word.lower() for word in _WORD.findall(question)}
    new = [word for word in dict.fromkeys(words) if word.lower() not in asked and len(word) < 40]
    numbers = [word for word in new if word[0].isdigit()]
    names = [word for word in new if word[0].isupper() and not _begins_a_sentence(word, text)]
    chosen = [*numbers, *names] or sorted(new, key=len, reverse=True) or words
    return {"must": chosen[:_MOST_RULES]}


def _json_keys(answer: str) -> list[str] | None:
    """The keys of an answer that is a JSON object and nothing else, as far as they can be named in a case."""
    try:
        found = strict_json(answer)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or len(answer) > _LOOKED_AT:
        return None
    return [key for key in found if key.strip() and key.isprintable()]


def _plain(words: str) -> bool:
    """Whether words mean just themselves in a rule, and can be found as whole words."""
    marked = words.startswith((PATTERN, NUMBER))
    return words.isprintable() and words[:1].isalnum() and words[-1:].isalnum() and not marked


def _stands_in(words: str, text: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(words)}(?!\w)", text) is not None


def _begins_a_sentence(word: str, text: str) -> bool:
    return re.search(rf"(?:^|[.!?\n][\"'“)\s]*)\s*{re.escape(word)}(?!\w)", text) is not None


def _case_name(question: str, taken: Iterable[str]) -> str:
    words = [word for word in _WORD.findall(question[:500]) if word.isprintable()][:6]
    name = " ".join(words)[:60].strip() or "case"
    number, taken = 1, set(taken)
    while (f"{name} {number}" if number > 1 else name) in taken:
        number += 1
    return f"{name} {number}" if number > 1 else name
