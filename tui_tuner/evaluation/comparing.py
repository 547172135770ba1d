"""The documents of `score` and `compare`: stored predictions scored, and two of them judged against each other.

Both take files of anyone's making and results of runs alike, score them anew from their texts, and say by which keys
they were read and which rows were held to belong together.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tui_tuner.errors import TunerError
from tui_tuner.evaluation.matching import Matched, joined, match
from tui_tuner.evaluation.metrics import METRICS, TEXT_METRICS, Scored, specs_of
from tui_tuner.evaluation.metrics.numbers import answer_number
from tui_tuner.evaluation.outputs import Outputs, read_lines, read_outputs
from tui_tuner.evaluation.score import (
    Comparison,
    asked_for,
    described,
    record_scores,
    splits_of,
    summary,
    verdict,
    verdict_by_split,
)
from tui_tuner.evaluation.stored import UNSEEN, labels, rows_file
from tui_tuner.runs.files import read_object
from tui_tuner.units import many

COMPARED = ("exact_match", "token_f1", "rouge1", "rouge2", "rougeL", "bleu", "chrf")
"""What is judged unless somebody says otherwise: fewer than is scored, for each one more asks more of the rest."""
_NUMERIC_FROM = 0.9
_LATIN = re.compile("[a-z0-9]")


def find_result(name: str, runs_dir: Path, default: str | None = None) -> Path:
    """The file of predictions that a person means: a path, a run, or `run:label` for one of a run's results.

    Args:
        name: as it was typed.
        runs_dir: where names of runs are looked up.
        default: the label of a run that is named without one; None takes `after`, or the only one there is.

    Raises:
        TunerError: there is no such file, run or result.
    """
    from tui_tuner.runs.catalogue import find_run

    path = Path(name).expanduser()
    if path.is_file():
        return path
    run, colon, label = name.rpartition(":")
    if not colon or (":" in name and path.is_dir()):
        run, label = name, ""
    if not Path(run).expanduser().exists() and (path.suffix or "/" in name) and not _is_run(run, runs_dir):
        raise TunerError("there is no such file", code="not-found", where=name, fix="check the path", usage=True)
    folder = find_run(run, runs_dir).evaluation
    there = [one for one in labels(folder) if rows_file(folder, one) == folder / f"{one}.jsonl"]
    if not label:
        label = default or ("after" if "after" in there or len(there) != 1 else there[0])
    if label in there:
        return folder / f"{label}.jsonl"
    raise TunerError(
        f'the run has no result "{label}"' + (f"; it has {', '.join(there)}" if there else ", or any other"),
        code="no-such-result",
        where=name,
        fix="name one of them as RUN:LABEL" if there else "finish the run with evaluation.enabled",
        usage=True,
    )


def _is_run(name: str, runs_dir: Path) -> bool:
    from tui_tuner.runs.catalogue import find_run

    try:
        find_run(name, runs_dir)
    except TunerError:
        return False
    return True


def score_document(
    outputs: Outputs,
    metrics: Sequence[str] | None = None,
    options: Mapping[str, Any] | None = None,
    *,
    seed: int = 0,
) -> dict[str, Any]:
    """What `score --json` prints.

    Args:
        outputs: predictions with references.
        metrics: which; None takes all that fit.
        options: given to every metric that knows them.
        seed: of the intervals.

    Raises:
        TunerError: unknown metric, or one that has no value for any row.
    """
    chosen = list(metrics) if metrics else _fitting(TEXT_METRICS, outputs.rows)
    scores = record_scores(outputs.rows, chosen, options)
    _must_be_known(scores, metrics)
    document = summary(outputs.rows, scores, label=Path(outputs.name).stem, seed=seed)
    about = asked_for([str(row.get("split") or "") for row in outputs.rows])
    notes = [*outputs.notes, *_unseen(about), *_doubts(outputs.rows)]
    kept = {key: document[key] for key in ("n", "metrics", "splits")}
    return {"file": outputs.name, **kept, "keys": outputs.keys, "guessed": outputs.guessed, "notes": notes}


@dataclass(frozen=True)
class Judged:
    """Two results over the rows that both have.

    Attributes:
        matched: which rows belong together.
        first, second: the rows of both sides, partner by partner.
        sides: the scores of all these rows, of either side.
        about: which of them the figures of the whole are about, (rows,).
        whole: the verdict on the second side against the first.
    """

    matched: Matched
    first: list[dict[str, Any]]
    second: list[dict[str, Any]]
    sides: tuple[dict[str, Scored], dict[str, Scored]]
    about: NDArray[np.bool_]
    whole: Comparison

    @property
    def main(self) -> tuple[dict[str, Scored], ...]:
        """The scores of the rows that the figures are about."""
        return tuple({name: one.part(self.about) for name, one in side.items()} for side in self.sides)


def judge(
    a: Outputs,
    b: Outputs,
    metrics: Sequence[str] | None = None,
    options: Mapping[str, Any] | None = None,
    *,
    seed: int = 0,
) -> Judged:
    """Scores two results over the rows that both have, and judges b against a; arguments as for `compare_document`.

    Raises:
        TunerError: no rows in common, no references, unknown metric.
    """
    matched = match(a, b)
    first, second = joined(a, b, matched.pairs)
    chosen = list(metrics) if metrics else _scored_by(a, b) or _fitting(COMPARED, first)
    sides = record_scores(first, chosen, options), record_scores(second, chosen, options)
    _must_be_known(sides[0], metrics)
    about = asked_for([str(row.get("split") or "") for row in first])
    main = [{name: one.part(about) for name, one in side.items()} for side in sides]
    return Judged(matched, first, second, sides, about, verdict(main[0], main[1], seed=seed))


def compare_document(
    a: Outputs,
    b: Outputs,
    metrics: Sequence[str] | None = None,
    options: Mapping[str, Any] | None = None,
    *,
    seed: int = 0,
) -> dict[str, Any]:
    """What `compare --json` prints: b judged against a on the rows that both have.

    Args:
        a, b: two sets of predictions; references may be in one of them only.
        metrics: which to judge; None takes what both results were scored by, or of other files the usual ones.
        options: given to every metric that knows them.
        seed: of intervals and tests.

    Raises:
        TunerError: no rows in common, no references, unknown metric.
    """
    judged = judge(a, b, metrics, options, seed=seed)
    matched, first, second = judged.matched, judged.first, judged.second
    sides, about, main, whole = judged.sides, judged.about, judged.main, judged.whole
    parts = verdict_by_split(first, sides[0], sides[1], seed=seed)
    sizes = {split: len(numbers) for split, numbers in splits_of(first).items()}
    told = [described(side, seed=seed) for side in main]
    return {
        "a": a.name,
        "b": b.name,
        "n": int(about.sum()),
        "metrics": whole.as_json(),
        "sentence": whole.sentence,
        "splits": {
            split: {"n": sizes[split], "metrics": one.as_json(), "sentence": one.sentence}
            for split, one in parts.items()
        },
        "answers": {
            side: {name: one for name, one in found.items() if not one["judged"]}
            for side, found in zip("ab", told, strict=True)
        },
        "described": {name: _without_value(one) for name, one in told[0].items() if name in whole},
        "matched": matched.as_json(),
        "keys": {"a": a.keys, "b": b.keys},
        "guessed": {"a": a.guessed, "b": b.guessed},
        "notes": [
            *matched.notes,
            *a.notes,
            *b.notes,
            *settings_differ(a, b),
            *_same(first, second),
            *_unseen(about),
            *_doubts(first),
        ],
    }


def _without_value(told: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in told.items() if key not in ("value", "low", "high")}


def _fitting(names: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The metrics that make sense for these references: numeric accuracy where nearly all of them have a number."""
    rights = [row["reference"] for row in rows]
    texts = [one if isinstance(one, str) else " ".join(one) for one in rights]
    numeric = sum(answer_number(text) is not None for text in texts) >= _NUMERIC_FROM * len(texts)
    plain = [name for name in names if name != "numeric_accuracy"]
    return [*plain, "numeric_accuracy"] if numeric else plain


def _must_be_known(scores: Mapping[str, Scored], asked: Sequence[str] | None) -> None:
    """A metric that somebody asked for by name has a value, or it is said why not."""
    for spec in specs_of(asked or ()):
        if spec.name not in scores:
            missing = '"nll" and "trained_tokens"' if spec.name in ("loss", "perplexity") else '"finish"'
            raise TunerError(
                f"{spec.name} cannot be computed from texts: the rows have no {missing}",
                code="no-such-key",
                fix="leave it out, or score the result of a run",
                usage=True,
            )
        if not scores[spec.name].kept.size:
            raise TunerError(
                f"{spec.name} has no value: no reference holds a number",
                code="no-numbers",
                fix="leave it out",
                usage=True,
            )


def _same(first: Sequence[Mapping[str, Any]], second: Sequence[Mapping[str, Any]]) -> list[str]:
    alike = sum(one["prediction"] == other["prediction"] for one, other in zip(first, second, strict=True))
    return [f"all {alike:,} answers are the same on both sides"] if alike == len(first) else []


def _unseen(about: NDArray[np.bool_]) -> list[str]:
    left = int((~about).sum())
    are = "is" if left == 1 else "are"
    told = f"{many(left, 'row')} of the split {UNSEEN} {are} told apart, and not part of the whole"
    return [told] if left else []


def _doubts(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """What the figures do not show by themselves."""
    texts = [one if isinstance(one, str) else " ".join(one) for one in (row["reference"] for row in rows)]
    blind = sum(bool(text.strip()) and not _LATIN.search(text.lower()) for text in texts)
    if not blind:
        return []
    return [f"ROUGE sees only a–z and digits, and {blind:,} of {len(texts):,} references have none; chrF sees all"]


def _result(outputs: Outputs) -> dict[str, Any]:
    """What stands beside the rows of a run's result; empty for any other file."""
    path = Path(outputs.name)
    return read_object(path.with_suffix(".json")) if path.suffix == ".jsonl" else {}


def _scored_by(a: Outputs, b: Outputs) -> list[str]:
    """The metrics that compare texts, of those that both results of runs were scored by."""
    first, second = (_result(one).get("metrics") for one in (a, b))
    if not isinstance(first, dict) or not isinstance(second, dict):
        return []
    return [name for name in first if name in second and (name in TEXT_METRICS or name not in METRICS)]


def settings_differ(a: Outputs, b: Outputs) -> list[str]:
    """A note where the answers of two runs were made with different settings."""
    first, second = (_result(one).get("settings") for one in (a, b))
    if not isinstance(first, dict) or not isinstance(second, dict):
        return []
    apart = [key for key in first if key in second and first[key] != second[key] and key != "batch_size"]
    if not apart:
        return []
    shown = "; ".join(f"{key} {first[key]!r} and {second[key]!r}" for key in apart)
    return [f"the answers were made with different settings: {shown}"]


def read_result(path: Path, references: Sequence[Path] = (), **keys: Any) -> Outputs:
    """`read_outputs`; the keys of a run's own result are not guessed, and not to be named. With files of references
    both they and the predictions are plain lines."""
    if references:
        return read_lines(path, references)
    found = read_outputs(path, **keys)
    if {"index", "prompt", "reference", "prediction"} <= set(found.keys.values()):
        found.guessed.clear()
    return found
