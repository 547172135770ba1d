"""What a scan found, kept: the same rows under the same settings are not looked at twice, not even by another process.

An entry's name is a hash of everything that a report depends on: the content of the source, the settings, the files of
the tokenizer, and the code that looks at the rows. So nothing ever has to be declared stale, and the cache may be
deleted at any time. It must never fail a scan, nor return anything but what the scan would.
"""

from __future__ import annotations

import functools
import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tui_tuner.data.cachefiles import Arrays, read_arrays, write_arrays
from tui_tuner.data.findings import Problem
from tui_tuner.data.fingerprints import fingerprint
from tui_tuner.data.opening import open_source
from tui_tuner.data.scan import Report
from tui_tuner.data.shapes import Guess
from tui_tuner.data.tokencache import date_of, library_versions, tokenizer_files
from tui_tuner.paths import cache_dir

if TYPE_CHECKING:
    from tui_tuner.config import Experiment

LIMIT = 256 << 20
"""Bytes that all entries together may take; the longest unused are removed first."""

_COLUMNS = ("split", "number", "lengths", "offsets", "lines")


def scan_key(experiment: Experiment, model: Path, base: Path | None = None, template: str = "") -> str:
    """A hash of everything that the report on an experiment's data depends on.

    Args:
        model: the folder of the tokenizer.
        base: folder that a relative source is looked for in first.
        template: text of the chat template in the place of the model's own.

    Raises:
        TunerError: the source is not there, or cannot be read.
    """
    source = open_source(experiment.data, base)
    try:
        content = fingerprint(source)
    finally:
        source.close()
    train = experiment.train
    files = list(tokenizer_files(model, "generation_config.json"))
    parts = {
        "code": _code(),
        "content": content,
        "path": str(source.path),
        "data": experiment.data.model_dump(mode="json"),
        "seed": experiment.run.seed,
        "model": experiment.model.path,
        "tokenizer": {name: hashlib.sha256(data).hexdigest() for name, data in files},
        "template": [experiment.model.chat_template, template],
        "date": date_of(
            template + "".join(data.decode("utf-8", "replace") for name, data in files if _may_be_template(name))
        ),
        "versions": library_versions(),
        "train": [train.max_seq_length, train.batch_size, train.mode],
        "benchmark": [experiment.evaluation.enabled, "numeric_accuracy" in experiment.evaluation.metrics],
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def kept_report(key: str) -> Report | None:
    """The report that was kept under a key; None when there is none, or it is damaged."""
    stored = read_arrays(_path(key))
    if stored is None:
        return None
    try:
        told: dict[str, Any] = json.loads(stored["told"].tobytes())
        problems = [_problem(found) for found in told.pop("problems")]
        guess, hits = Guess(**told.pop("guess")), told.pop("hits")
        columns: dict[str, Any] = {name: stored[name] for name in _COLUMNS}
        if len({len(column) for column in columns.values()}) != 1:
            return None
        found = {code: stored[f"hits-{number}"] for number, code in enumerate(hits)}
        return Report(**told, guess=guess, problems=problems, hits=found, **columns)
    except (KeyError, TypeError, ValueError, RecursionError):
        return None


def keep_report(key: str, report: Report) -> None:
    """Keeps a report under a key, where that can be."""
    told = {
        "source": report.source,
        "format": report.format,
        "records": report.records,
        "counts": report.counts,
        "guess": {**vars(report.guess), "mapping": dict(report.guess.mapping)},
        "columns": report.columns,
        "notes": report.notes,
        "problems": [asdict(problem) for problem in report.problems],
        "answers": report.answers,
        "hits": list(report.hits),
    }
    try:
        text = json.dumps(told).encode()
    except (TypeError, ValueError):
        return
    arrays: Arrays = {
        "told": np.frombuffer(text, np.uint8),
        **{name: getattr(report, name) for name in _COLUMNS},
        **{f"hits-{number}": found for number, found in enumerate(report.hits.values())},
    }
    write_arrays(_path(key), arrays, LIMIT)


def _problem(told: dict[str, Any]) -> Problem:
    rows = tuple((split, number) for split, number in told.pop("rows"))
    change = tuple((key, value) for key, value in told.pop("change"))
    return Problem(rows=rows, lines=tuple(told.pop("lines")), change=change, **told)


def _path(key: str) -> Path:
    return cache_dir() / "scans" / f"{key}.npz"


def _may_be_template(name: str) -> bool:
    return "template" in name or name == "tokenizer_config.json"


@functools.cache
def _code() -> str:
    """A hash of this package's own source: another linter finds other problems."""
    digest = hashlib.sha256()
    folder = Path(__file__).parent
    for path in sorted(folder.rglob("*.py")):
        digest.update(f"{path.relative_to(folder)}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()
