"""All that a folder of results says besides its rows: figures of each result, verdict, tests, canaries, checkpoints.

Files that are missing, half written or of another form cost what they would have told, nothing else: readers must
show an old run as well as a new one. Nothing is measured here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tui_tuner.evaluation import stored
from tui_tuner.evaluation.stored import AFTER, BEFORE
from tui_tuner.runs.files import read_object

if TYPE_CHECKING:
    from tui_tuner.runs.view import RunView

Figures = dict[str, dict[str, Any]]
"""Metric → {"value", "low", "high", …}."""


@dataclass(frozen=True)
class Result:
    """What one model, or one adapter, was measured to be.

    Attributes:
        label: `before`, `after`, or any other name.
        model, adapter: as the result names them; empty when untold.
        n: rows; 0 when untold.
        metrics: with 95 % intervals, and what each means where the result tells.
        splits: part → {"n", "metrics"}.
        settings: what it was measured with.
    """

    label: str
    model: str = ""
    adapter: str = ""
    n: int = 0
    metrics: Figures = field(default_factory=dict)
    splits: dict[str, dict[str, Any]] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Board:
    """A folder of results.

    Attributes:
        results: by label, before and after first.
        verdict: as `verdict.json` has it: {"metrics", "sentence", "splits", …}; empty when nothing was judged.
        behaviour, canaries: label → what `behaviour-<label>.json` and `canaries-<label>.json` hold.
        checkpoints: as `checkpoints.json`; empty when none were scored.
    """

    results: dict[str, Result] = field(default_factory=dict)
    verdict: dict[str, Any] = field(default_factory=dict)
    behaviour: dict[str, dict[str, Any]] = field(default_factory=dict)
    canaries: dict[str, dict[str, Any]] = field(default_factory=dict)
    checkpoints: dict[str, Any] = field(default_factory=dict)

    @property
    def metrics(self) -> list[str]:
        """The metrics that any result has, in their order."""
        seen: dict[str, None] = {}
        for result in self.results.values():
            seen.update(dict.fromkeys(result.metrics))
        return list(seen)

    @property
    def empty(self) -> bool:
        """Whether there is nothing to look at."""
        return not (self.results or self.behaviour or self.canaries or self.checkpoints)


def board_files(folder: Path) -> list[Path]:
    """The files that `read_board` looks at, in a fixed order."""
    try:
        return sorted(path for path in folder.iterdir() if path.suffix == ".json")
    except OSError:
        return []


def read_board(folder: Path, view: RunView | None = None) -> Board:
    """What a run's evaluation folder says; where its files are silent, what the run's events tell.

    Args:
        folder: the evaluation folder; it may be missing.
        view: the run's events, which have the figures of runs that kept no file of them.
    """
    told = dict(view.evaluations) if view is not None else {}
    found = stored.labels(folder)
    names = list(dict.fromkeys([*[label for label in (BEFORE, AFTER) if label in found or label in told], *found]))
    names += [label for label in told if label not in names]
    results = {label: _result(folder, label, told.get(label)) for label in names}
    verdict = read_object(folder / "verdict.json")
    if not isinstance(verdict.get("metrics"), dict):
        verdict = dict(view.verdict) if view is not None and view.verdict else {}
    checkpoints = read_object(folder / "checkpoints.json")
    return Board(
        results=results,
        verdict=verdict,
        behaviour=_labelled(folder, "behaviour", "cases"),
        canaries=_labelled(folder, "canaries", "groups"),
        checkpoints=checkpoints if _dicts(checkpoints.get("points")) else {},
    )


def _result(folder: Path, label: str, told: Mapping[str, Any] | None) -> Result:
    made = read_object(folder / f"{label}.json")
    metrics = _figures(made.get("metrics")) or _figures(told)
    splits = made.get("splits")
    return Result(
        label=label,
        model=str(made.get("model") or ""),
        adapter=str(made.get("adapter") or ""),
        n=made["n"] if isinstance(made.get("n"), int) else 0,
        metrics=metrics,
        splits={
            str(name): {"n": part.get("n"), "metrics": _figures(part.get("metrics"))}
            for name, part in (splits if isinstance(splits, dict) else {}).items()
            if isinstance(part, dict)
        },
        settings=made["settings"] if isinstance(made.get("settings"), dict) else {},
    )


def _figures(metrics: object) -> Figures:
    if not isinstance(metrics, Mapping):
        return {}
    return {str(name): dict(figures) for name, figures in metrics.items() if isinstance(figures, Mapping)}


def _labelled(folder: Path, kind: str, key: str) -> dict[str, dict[str, Any]]:
    found = {}
    for path in board_files(folder):
        if path.name.startswith(f"{kind}-"):
            document = read_object(path)
            if isinstance(document.get(key), list):
                parts = _dicts(document[key])
                found[path.stem.removeprefix(f"{kind}-")] = {**document, key: parts}
    first = [label for label in (BEFORE, AFTER) if label in found]
    return {label: found[label] for label in [*first, *(label for label in found if label not in first)]}


def _dicts(values: object) -> list[dict[str, Any]]:
    return [value for value in values if isinstance(value, dict)] if isinstance(values, list) else []
