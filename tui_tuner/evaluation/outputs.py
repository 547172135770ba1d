"""Predictions that are stored in a file, of anyone's making: which keys hold what, and every row as texts.

Files are read by the readers of data, so any format they know will do. Keys that nobody named are guessed from their
names, and the guess is told. A row without a prediction or a reference is an error that names file, line and key; none
is ever left out in silence.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tui_tuner.data.source import Records, read_records
from tui_tuner.errors import TunerError
from tui_tuner.runs.files import read_failure
from tui_tuner.units import many

# fmt: off
PREDICTIONS: tuple[str, ...] = (
    "prediction", "predictions", "predicted", "pred", "preds", "predictiontext", "predictedtext",
    "predictedanswer", "predictedsummary", "hypothesis", "hypotheses", "hyp", "hyps", "generatedtext",
    "generated", "generation", "generations", "generatedanswer", "generatedsummary", "modeloutput",
    "modelanswer", "modelresponse", "modelprediction", "filteredresps", "resps", "response", "responses",
    "systemoutput", "candidate", "candidates", "decoded", "output", "outputs", "completion", "answer",
    "summary",
)
"""Names of keys that hold what a model said, the surest first, without marks and in lower case."""
REFERENCES: tuple[str, ...] = (
    "reference", "references", "ref", "refs", "referencetext", "referenceanswer", "referencesummary",
    "referenceoutput", "target", "targets", "targettext", "gold", "golds", "golden", "goldanswer",
    "goldsummary", "groundtruth", "gt", "truth", "expected", "expectedoutput", "expectedanswer",
    "correctanswer", "correct", "ideal", "label", "labels", "answer", "answers", "summary", "highlights",
    "completion", "output", "outputs",
)
"""The same of what is right."""
PROMPTS: tuple[str, ...] = (
    "prompt", "question", "input", "instruction", "source", "document", "article", "dialogue", "context",
    "query",
)
IDS: tuple[str, ...] = (
    "id", "ids", "uid", "guid", "qid", "docid", "questionid", "exampleid", "sampleid", "rowid", "bbcid",
    "key", "index", "idx", "row",
)
# fmt: on

_TELLING = {
    "prediction": ("predict", "generat", "hypothes", "output", "response"),
    "reference": ("reference", "target", "gold", "truth", "expected"),
}
_LISTS_AS_TEXT = frozenset({"csv", "tsv"})


@dataclass(frozen=True)
class Outputs:
    """Predictions with what is known of their rows.

    Attributes:
        name: the file, for messages.
        rows: as `score.Record`s: "prediction", "reference" (a text or a list of texts; absent where there is none),
            and what else the file has of "prompt", "id", "split", "tokens", "finish", "nll", "trained_tokens".
        keys: which key of the file each of these was read from.
        guessed: those of "prediction" and "reference" that nobody named.
        notes: what a person should know about how it was read.
        places: where each row stands.
    """

    name: str
    rows: list[dict[str, Any]]
    keys: dict[str, str]
    guessed: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    places: list[str] = field(default_factory=list)

    @property
    def has_references(self) -> bool:
        """Whether the rows bring what is right."""
        return "reference" in self.keys


def read_outputs(
    path: Path, *, prediction_key: str | None = None, reference_key: str | None = None, need_reference: bool = True
) -> Outputs:
    """Reads stored predictions.

    Args:
        path: any file that `data.source` reads.
        prediction_key, reference_key: keys, where they are not to be guessed; `answers.text` looks into an object.
        need_reference: whether a file without references is an error.

    Raises:
        TunerError: it cannot be read, a key is not there, or a row has no text under it.
    """
    records = read_records(str(path))
    columns = list(dict.fromkeys(key for row in records.rows for key in row))
    keys: dict[str, str] = {}
    guessed: list[str] = []
    wanted = {"prediction": prediction_key, "reference": reference_key}
    for role, named in wanted.items():
        if named is not None:
            keys[role] = _named(named, columns, path, role)
    for role, names in (("prediction", PREDICTIONS), ("reference", REFERENCES)):
        if role not in keys:
            other = set(keys.values())
            found = _guess(role, names, [column for column in columns if column not in other])
            if found is not None:
                keys[role], guessed = found, [*guessed, role]
            elif role == "prediction" or need_reference:
                raise _no_key(role, columns, path)
    taken = set(keys.values())
    for role, names in (("prompt", PROMPTS), ("id", IDS)):
        if (found := _first(names, [column for column in columns if column not in taken])) is not None:
            keys[role] = found
            taken.add(found)
    return Outputs(
        str(path),
        [_row(records, number, keys) for number in range(len(records))],
        keys,
        guessed,
        list(records.notes),
        [records.where(number) for number in range(len(records))],
    )


def read_lines(path: Path, references: Sequence[Path]) -> Outputs:
    """Reads plain text with a prediction a line, and files with as many references; several give several a row.

    Lines end with a line feed and nowhere else, and an empty line is an empty text, so that lines stay side by side.

    Raises:
        TunerError: a file cannot be read, is no UTF-8, or has another number of lines.
    """
    said = _lines(path)
    rights = [_lines(one) for one in references]
    for one, lines in zip(references, rights, strict=True):
        if len(lines) != len(said):
            raise TunerError(
                f"has {many(len(lines), 'line')}, and {path} has {len(said):,}",
                code="length-mismatch",
                where=str(one),
                fix="give one reference for each prediction",
            )
    rows: list[dict[str, Any]] = []
    for number, text in enumerate(said):
        texts = [lines[number] for lines in rights]
        rows.append({"prediction": text, "reference": texts[0] if len(texts) == 1 else texts})
    keys = {"prediction": "lines", "reference": "lines"}
    return Outputs(str(path), rows, keys, places=[f"{path}, line {number + 1}" for number in range(len(said))])


def _lines(path: Path) -> list[str]:
    try:
        text = path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
    except OSError as error:
        raise read_failure(error, path) from error
    except UnicodeDecodeError as error:
        raise TunerError(
            f"is not UTF-8 at byte {error.start:,}", code="bad-encoding", where=str(path), fix="save it as UTF-8"
        ) from error
    if not text:
        raise TunerError("has no lines", code="no-rows", where=str(path), fix="give at least one")
    return text.removesuffix("\n").split("\n")


def _plain(key: str) -> str:
    return "".join(letter for letter in key.lower() if letter.isalnum())


def _first(names: Sequence[str], columns: Sequence[str]) -> str | None:
    known: dict[str, str] = {}
    for column in columns:
        known.setdefault(_plain(column), column)
    return next((known[name] for name in names if name in known), None)


def _guess(role: str, names: Sequence[str], columns: Sequence[str]) -> str | None:
    """By its whole name, or where no name is known by a telling part of it, if only one key has such."""
    if (found := _first(names, columns)) is not None:
        return found
    like = [column for column in columns if any(part in _plain(column) for part in _TELLING[role])]
    return like[0] if len(like) == 1 else None


def _named(key: str, columns: Sequence[str], path: Path, role: str) -> str:
    if key in columns or key.split(".", 1)[0] in columns:
        return key
    raise TunerError(
        f'no row has the key "{key}"; there are {_listed(columns)}',
        code="no-such-key",
        where=str(path),
        fix=f"name one of them with --{role}-key",
        usage=True,
    )


def _no_key(role: str, columns: Sequence[str], path: Path) -> TunerError:
    return TunerError(
        f"which key holds the {role} cannot be told from their names: {_listed(columns)}",
        code="no-such-key",
        where=str(path),
        fix=f"name it with --{role}-key",
        usage=True,
    )


def _listed(columns: Sequence[str]) -> str:
    shown = ", ".join(f'"{column}"' for column in columns[:12])
    return f"{shown}{' and others' if len(columns) > 12 else ''}"


def _row(records: Records, number: int, keys: Mapping[str, str]) -> dict[str, Any]:
    record = records[number]
    row: dict[str, Any] = {}
    for role in ("prediction", "reference"):
        if role not in keys:
            continue
        texts = _texts(_value(record, keys[role], role, records, number), records.format)
        if texts is None or not texts or (role == "prediction" and len(texts) > 1):
            raise _unreadable(record, keys[role], role, texts, records, number)
        row[role] = texts[0] if len(texts) == 1 else texts
    for role in ("prompt", "id"):
        value = record.get(keys.get(role, ""))
        if value is not None:
            row[role] = value if isinstance(value, str | int) else json.dumps(value, ensure_ascii=False)
    for key in ("split", "tokens", "finish", "nll", "trained_tokens"):
        if isinstance(value := record.get(key), str | int | float) and value != "":
            row[key] = value
    return row


def _value(record: Mapping[str, Any], key: str, role: str, records: Records, number: int) -> Any:
    value: Any = record
    for part in [key] if key in record else key.split("."):
        if not isinstance(value, Mapping) or part not in value:
            raise TunerError(
                f'the row has no "{key}", which is to hold its {role}',
                code="no-such-key",
                where=records.where(number),
                fix=f"add it, or name another key with --{role}-key",
            )
        value = value[part]
    return value


def _texts(value: Any, form: str) -> list[str] | None:
    """A value as texts, numbers written out; None when it is neither text nor a list of texts."""
    if isinstance(value, str):
        return _listed_texts(value) if form in _LISTS_AS_TEXT else [value]
    if isinstance(value, bool) or value is None:
        return None if value is None else [str(value).lower()]
    if isinstance(value, int | float):
        return [str(value)]
    if isinstance(value, Mapping) and "text" in value:  # SQuAD's answers
        return _texts(value["text"], form)
    if isinstance(value, list | tuple):
        found: list[str] = []
        for item in value:
            if (texts := _texts(item, "")) is None:
                return None
            found += texts
        return found
    return None


def _listed_texts(value: str) -> list[str]:
    """A cell of a table; a JSON list of texts in it is meant as several texts."""
    if value.startswith("["):
        try:
            items = json.loads(value)
        except (ValueError, RecursionError):
            return [value]
        if isinstance(items, list) and items and all(isinstance(item, str) for item in items):
            return items
    return [value]


def _unreadable(
    record: Mapping[str, Any], key: str, role: str, texts: list[str] | None, records: Records, number: int
) -> TunerError:
    if texts is None:
        value = _value(record, key, role, records, number)
        what = "null" if value is None else f"a {type(value).__name__} that holds no text"
        message = f'the {role} under "{key}" is {what}'
    else:
        message = f'the {role} under "{key}" has {many(len(texts), "text")}'
    return TunerError(
        message,
        code="not-text",
        where=records.where(number),
        fix="make it a text" if role == "prediction" else "make it a text or a list of texts",
    )
