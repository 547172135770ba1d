"""What the Benchmark screen looks at: a run's results, the two of them that are compared, and their rows.

It reads files and has two results judged; the screen decides when, and long reading is done in a thread that it is
given. A reading that another one has overtaken is thrown away. Widgets only look at what is held here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tui_tuner.evaluation import stored
from tui_tuner.evaluation.board import Board, board_files, read_board
from tui_tuner.evaluation.stored import AFTER, BEFORE, PAIR, Pairs
from tui_tuner.ui.widgets import benchmark_rows

if TYPE_CHECKING:
    from tui_tuner.runs.folder import RunFolder
    from tui_tuner.runs.view import RunView


class Side(NamedTuple):
    """One side of a comparison: a result of a run."""

    run: Path
    label: str

    @property
    def file(self) -> Path:
        return stored.rows_file(self.run / "evaluation", self.label)


@dataclass(frozen=True)
class Reading:
    """What was read for two sides.

    Attributes:
        verdict: in the form of `verdict.json`, where the run itself does not tell it.
        boards: the results of runs that were not known before.
        problem: why something could not be read or judged.
    """

    pairs: Pairs = field(default_factory=Pairs)
    verdict: Mapping[str, Any] = field(default_factory=dict)
    boards: Mapping[Path, Board] = field(default_factory=dict)
    problem: str = ""


class BenchmarkStore:
    """The results of one run, and a comparison of two results of this or any other run."""

    def __init__(self) -> None:
        self.board = Board()
        self.boards: dict[Path, Board] = {}
        self.reading = Reading()
        self.waiting = False
        """Whether rows are being read."""
        self._run: Path | None = None
        self._view: RunView | None = None
        self._wanted: tuple[Side | None, Side | None] | None = None
        self._seen: object = None
        self._read: object = None

    # -- what there is ------------------------------------------------------------------------------------------

    @property
    def sides(self) -> tuple[Side | None, Side | None]:
        """The two results that are compared: those chosen, else before and after, else the first two there are."""
        if self._wanted is not None:
            return self._wanted
        if self._run is None:
            return None, None
        found = [label for label in self.board.results if label not in (BEFORE, AFTER)]
        if tuple(found) == PAIR[:1]:
            found = list(PAIR)  # the other one is being measured
        has = self.board.results
        first = BEFORE if BEFORE in has or not found else found.pop(0)
        second = AFTER if AFTER in has or first == BEFORE else (found[0] if found else AFTER)
        return Side(self._run, first), Side(self._run, second)

    @property
    def whole(self) -> list[str]:
        """Labels of the results that are finished."""
        if self._run is None:
            return []
        folder = self._run / "evaluation"
        return [label for label in self.board.results if not stored.grows(stored.rows_file(folder, label))]

    @property
    def usual(self) -> bool:
        """Whether before and after of the run are compared, which the run itself has judged."""
        return self.sides == (Side(self._run, BEFORE), Side(self._run, AFTER)) if self._run is not None else False

    @property
    def names(self) -> tuple[str, str]:
        """What to call the sides: their labels, with the run's name where they are of different runs."""
        sides = [side for side in self.sides if side is not None]
        apart = len({side.run for side in sides}) > 1
        names = [f"{side.label} · {side.run.name}" if apart else side.label for side in sides]
        return (names[0] if names else BEFORE, names[1] if len(names) > 1 else AFTER)

    @property
    def labels(self) -> tuple[str, str]:
        """The labels of the sides that are results of this run; empty for others."""
        first, second = (side.label if side is not None and side.run == self._run else "" for side in self.sides)
        return first, second

    @property
    def metrics(self) -> list[str]:
        """Metrics of the two results, then those that only their rows have, in order."""
        seen: dict[str, None] = {}
        for figures in self.figures:
            seen.update(dict.fromkeys(figures))
        seen.update(dict.fromkeys(self.reading.pairs.metrics))
        return list(seen)

    @property
    def figures(self) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        """Metric → value and interval, of both sides."""
        first, second = (self._figures(side) for side in self.sides)
        return first, second

    def _figures(self, side: Side | None) -> Mapping[str, Any]:
        board = None if side is None else self.boards.get(side.run)
        result = board.results.get(side.label) if board is not None and side is not None else None
        return result.metrics if result is not None else {}

    @property
    def verdict(self) -> Mapping[str, Any]:
        """The verdict on the two results, in the form of `verdict.json`; empty when there is none."""
        return self.board.verdict if self.usual else self.reading.verdict

    @property
    def told(self) -> Mapping[str, Any]:
        """Metric → verdict on it."""
        metrics = self.verdict.get("metrics")
        return metrics if isinstance(metrics, Mapping) else {}

    @property
    def sentence(self) -> str:
        """The verdict on all metrics in words; empty when there is none."""
        return str(self.verdict.get("sentence") or "")

    def meant(self, metric: str) -> dict[str, Any]:
        """What a metric is: definition, options, version and direction, as the results tell it."""
        from tui_tuner.evaluation.metrics import METRICS

        known = METRICS.get(metric)
        found: dict[str, Any] = {}
        if known is not None:
            found = {key: getattr(known, key) for key in ("definition", "options", "higher_is_better")}
        for figures in self.figures:
            found.update({key: value for key, value in (figures.get(metric) or {}).items() if key not in _VALUES})
        return found

    def higher_is_better(self, metric: str) -> bool:
        """The direction of improvement."""
        return bool(self.meant(metric).get("higher_is_better", True))

    def splits(self, metric: str) -> list[tuple[str, dict[str, Any]]]:
        """The parts of the test rows on one metric, where there are several: {"n", "a", "b", "told"} of each."""
        sides = self.sides
        boards = [self.boards.get(side.run) if side is not None else None for side in sides]
        parts = []
        for side, board in zip(sides, boards, strict=True):
            result = board.results.get(side.label) if board is not None and side is not None else None
            parts.append(result.splits if result is not None else {})
        judged = self.verdict.get("splits")
        judged = judged if isinstance(judged, dict) else {}
        names = list(dict.fromkeys([*parts[0], *parts[1], *judged]))
        if len(names) < 2:
            return []
        found = []
        for name in names:
            first, second = (part.get(name) or {} for part in parts)
            told = judged.get(name) if isinstance(judged.get(name), dict) else {}
            told_metrics = told.get("metrics") if isinstance(told, dict) else None
            found.append((name, {
                "n": second.get("n") or first.get("n"),
                "a": (first.get("metrics") or {}).get(metric), "b": (second.get("metrics") or {}).get(metric),
                "told": told_metrics.get(metric) if isinstance(told_metrics, dict) else None,
            }))  # fmt: skip
        return found

    # -- reading ------------------------------------------------------------------------------------------------

    def look(self, run: RunFolder | None, view: RunView | None) -> bool:
        """Takes up a run's results; whether anything of them is new."""
        path = run.path if run is not None else None
        if path != self._run:
            self._run, self._wanted, self._seen, self._read = path, None, None, None
            self.board, self.boards, self.reading = Board(), {}, Reading()
        self._view = view
        if run is None:
            return False
        told = (tuple(view.evaluations), view.verdict is not None) if view is not None else ()
        names = tuple(stored.labels(run.evaluation))
        seen = (names, stored.fingerprint(board_files(run.evaluation)), told)
        if seen == self._seen:
            return False
        self._seen = seen
        self.board = self.boards[run.path] = read_board(run.evaluation, view)
        return True

    def compare(self, first: Side, second: Side) -> None:
        """Chooses two results, of any runs."""
        self._wanted = (first, second)
        self._read = None

    def compare_usual(self) -> None:
        """Back to before and after of the run."""
        self._wanted, self._read = None, None

    def document(self) -> dict[str, Any]:
        """All that is held, as it is handed on."""
        from tui_tuner.evaluation.export import document_of

        results = dict(self.board.results)
        for name, side in zip(self.names, self.sides, strict=True):
            other = self.boards.get(side.run) if side is not None else None
            if side is not None and other is not None and name not in results and side.label in other.results:
                results[name] = other.results[side.label]
        run = self._run.name if self._run is not None else ""
        return document_of(
            run, replace(self.board, results=results), self.reading.pairs, self.names, self.verdict, self._view
        )

    def due(self) -> Callable[[], Reading] | None:
        """The reading that is to be done now, as a function for any thread; None when all was read."""
        first, second = self.sides
        files = [side.file for side in (first, second) if side is not None]
        wanted = (first, second, stored.fingerprint(files), self.usual)
        if wanted == self._read:
            return None
        self._read = wanted
        self.waiting = True
        judge = not self.usual
        unknown = {side.run for side in (first, second) if side is not None and side.run not in self.boards}
        return lambda: read(first, second, judge, unknown)

    @property
    def ticket(self) -> object:
        """Names the reading that is due; what another ticket brings is overtaken."""
        return self._read

    @property
    def large(self) -> bool:
        """Whether reading takes long, or two results are to be judged."""
        files = [side.file for side in self.sides if side is not None]
        return not self.usual or sum(size for size, _ in stored.fingerprint(files)) > benchmark_rows.LARGE

    def take(self, ticket: object, reading: Reading) -> bool:
        """Takes over what was read; False when something else is wanted by now."""
        if ticket != self._read:
            return False
        self.reading, self.waiting = reading, False
        self.boards.update(reading.boards)
        return True


_VALUES = ("value", "low", "high")


def _view(run: Path) -> RunView | None:
    """The events of a run, for runs that tell their figures nowhere else."""
    from tui_tuner.errors import TunerError
    from tui_tuner.runs.events import read_events
    from tui_tuner.runs.view import RunView

    view = RunView()
    try:
        view.extend(read_events(run / "events.jsonl"))
    except TunerError:
        return None
    return view


def read(first: Side | None, second: Side | None, judge: bool, unknown: Collection[Path] = ()) -> Reading:
    """The rows of two results, and with `judge` the verdict on the second against the first.

    Args:
        unknown: runs whose results were not read yet.
    """
    boards = {run: read_board(run / "evaluation", _view(run)) for run in unknown}
    files = [side.file if side is not None else None for side in (first, second)]
    try:
        pairs = stored.read_pairs(files[0], files[1])
        for side in (first, second):
            if side is not None and stored.grows(side.file):
                stored.fill_in(pairs, side.run / "data" / "test.jsonl")
    except OSError as error:
        why = f"The answers in {error.filename} cannot be read ({error.strerror or error})."
        return Reading(boards=boards, problem=why)
    if not judge or first is None or second is None:
        return Reading(pairs, boards=boards)
    from tui_tuner.errors import TunerError
    from tui_tuner.evaluation.pairing import judge_pairs

    if any(not side.file.exists() or stored.grows(side.file) for side in (first, second)):
        return Reading(pairs, boards=boards)
    try:
        return Reading(pairs, judge_pairs(pairs), boards)
    except TunerError as error:
        return Reading(pairs, boards=boards, problem=f"They cannot be judged: {error.sentence()}")
