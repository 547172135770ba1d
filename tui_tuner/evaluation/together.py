"""Any number of runs seen together: their curves, what differs in their configurations, metrics, verdicts and answers.

It reads what the runs' folders hold and measures nothing. A run that lacks something, or whose files are damaged, says
so in a clause, and everything else of it is shown all the same. It must never fail because of one of the runs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tui_tuner.config import Experiment
from tui_tuner.config.difference import Across, across
from tui_tuner.config.toml import load_experiment
from tui_tuner.errors import TunerError
from tui_tuner.evaluation import stored
from tui_tuner.evaluation.against import Against, SharedRow, judge_all
from tui_tuner.evaluation.board import Board, read_board
from tui_tuner.evaluation.comparing import read_result
from tui_tuner.evaluation.curves import FINE, training_curves
from tui_tuner.evaluation.metrics import METRICS
from tui_tuner.evaluation.outputs import Outputs
from tui_tuner.evaluation.stored import AFTER
from tui_tuner.evaluation.sweeps import OTHER_ROWS
from tui_tuner.runs import EventTail, RunState, RunView
from tui_tuner.runs.folder import RunFolder, stem_of
from tui_tuner.runs.lock import holder

_NAME = "run.name"
"""It differs between most runs and changes nothing."""


class Member:
    """One of the runs that are seen together.

    Attributes:
        folder: the run.
        label: its name in short, different from that of the others.
        view: what its events tell so far.
        experiment: its configuration; None where it cannot be read.
        board: what was measured of it.
        result: the label of the result that is compared; empty where it has none.
        problems: what is wrong with it, each a clause.
    """

    def __init__(self, folder: RunFolder, label: str = "") -> None:
        self.folder, self.label = folder, label or folder.name
        self.experiment: Experiment | None = None
        self.board = Board()
        self.result = ""
        self.problems: list[str] = []
        self._begin()
        self._read_configuration()
        self.poll()
        self._look_at_results()

    @property
    def name(self) -> str:
        """The folder's own name."""
        return self.folder.name

    @property
    def state(self) -> RunState:
        """The run's state now."""
        try:
            return self.view.state(holder(self.folder) is not None)
        except TunerError:
            return self.view.state(False)

    @property
    def told(self) -> list[str]:
        """What is wrong with it or missing of it, each a clause."""
        found = list(self.problems)
        if self._unread:
            found.append(self._unread)
        if damaged := self._tail.damaged:
            found.append(f"{damaged:,} damaged {'line' if damaged == 1 else 'lines'} in its event log")
        if not len(self.view.train) and not len(self.view.validation):
            found.append("it has not trained, so it has no curves")
        if not self.result:
            found.append("it has no answers to test rows")
        return found

    def poll(self) -> bool:
        """Takes in what the run's log has got since; returns whether that was anything."""
        generation = self._tail.generation
        try:
            events = self._tail.poll()
        except TunerError as error:
            self._unread = f"its events cannot be read: {error.message}"
            return False
        self._unread = ""
        if self._tail.generation != generation:
            self.view = RunView()
        return self.view.extend(events)

    def _begin(self) -> None:
        self._tail, self.view = EventTail(self.folder.events), RunView()
        self._unread = ""

    def _read_configuration(self) -> None:
        try:
            self.experiment = load_experiment(self.folder.config)
        except TunerError as error:
            self.problems.append(f"its configuration cannot be read: {error.message}")

    def _look_at_results(self) -> None:
        folder = self.folder.evaluation
        self.board = read_board(folder, self.view)
        whole = [name for name in stored.labels(folder) if not stored.grows(stored.rows_file(folder, name))]
        if AFTER in whole or len(whole) == 1:
            self.result = AFTER if AFTER in whole else whole[0]

    def answers(self) -> Outputs | None:
        """Its answers to the test rows, or None; why it has none is added to its problems."""
        if not self.result:
            return None
        try:
            return read_result(stored.rows_file(self.folder.evaluation, self.result), need_reference=False)
        except TunerError as error:
            self.problems.append(f"its answers cannot be read: {error.message}")
            self.result = ""
            return None


@dataclass(frozen=True)
class Sample:
    """What runs said to a probe, last: (step, text) of each run, None where it was not asked."""

    prompt: str
    said: tuple[tuple[int, str] | None, ...]


@dataclass(frozen=True)
class Together:
    """Runs side by side.

    Attributes:
        members: the runs.
        reference: which of them the others are judged against.
        differences: the keys that differ; `run.name` is none of them.
        against: of each run what came of judging it; None for the reference and for who has no answers.
        rows: the test rows of the reference with all answers.
        samples: the probes with what each run said to them last.
        notes: what a person should know of the whole.
    """

    members: Sequence[Member]
    reference: int = 0
    differences: list[Across] = field(default_factory=list)
    against: list[Against | None] = field(default_factory=list)
    rows: list[SharedRow] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def metrics(self) -> list[str]:
        """The metrics that any of the compared results has, in their order; those that only describe come last."""
        seen: dict[str, bool] = {}
        for member in self.members:
            for name, figures in figures_of(member).items():
                seen.setdefault(name, figures.get("judged") is not False)
        return sorted(seen, key=lambda name: not seen[name])


def read_members(folders: Sequence[RunFolder]) -> list[Member]:
    """The runs, each once, with names as short as tells them apart. This may take long, where logs are large."""
    single = list({folder.path: folder for folder in folders}.values())
    return [Member(folder, label) for folder, label in zip(single, short_names(single), strict=True)]


def short_names(folders: Sequence[RunFolder]) -> list[str]:
    """What runs were called, with the moment behind it where several were called the same."""
    stems = Counter(stem_of(folder.name) for folder in folders)
    names = [stem if stems[stem := stem_of(folder.name)] == 1 else folder.name for folder in folders]
    # Runs of several folders may share even their full name.
    seen: Counter[str] = Counter()
    for at, name in enumerate(names):
        seen[name] += 1
        names[at] = name if seen[name] == 1 else f"{name} ({seen[name]})"
    return names


def bring_together(members: Sequence[Member], reference: int = 0, *, seed: int = 0, judged: bool = True) -> Together:
    """Everything of the runs but their curves, which `curves.curve` gives.

    Args:
        members: as `read_members` gives them.
        reference: which of them the others are judged against.
        seed: of intervals and tests.
        judged: whether verdicts and rows are wanted, which take seconds.
    """
    differences = [one for one in across([member.experiment for member in members]) if one.key != _NAME]
    notes = _doubts(differences)
    against: list[Against | None] = [None] * len(members)
    rows: list[SharedRow] = []
    if judged:
        results = [member.answers() for member in members]
        if any(results) and results[reference] is None:
            notes.append(f"{members[reference].label} has no answers to test rows, so nothing is judged against it")
            base = next(at for at, one in enumerate(results) if one is not None)
            _, rows = judge_all(results, base, seed=seed)
        elif results[reference] is not None:
            against, rows = judge_all(results, reference, seed=seed)
        if sum(one is not None and one.verdict is not None for one in against) > 1:
            notes.append("p-values are corrected for judging several runs on several metrics at once")
    return Together(members, reference, differences, against, rows, _samples(members), notes)


def figures_of(member: Member) -> Mapping[str, Mapping[str, Any]]:
    """The metrics of the result that is compared, with their intervals; empty where there is none."""
    found = member.board.results.get(member.result or AFTER)
    return found.metrics if found is not None else {}


def metric_label(together: Together, name: str) -> str:
    """What a metric is called."""
    labels = (figures_of(member).get(name, {}).get("label") for member in together.members)
    own = METRICS[name].label if name in METRICS else name
    return next((label for label in labels if isinstance(label, str) and label), own)


def together_document(together: Together) -> dict[str, Any]:
    """What `report RUN RUN … --json` prints."""
    return {
        "runs": [_run(member) for member in together.members],
        "reference": together.members[together.reference].name,
        "differences": [{"key": one.key, "values": list(one.values)} for one in together.differences],
        "metrics": {
            name: {
                "label": metric_label(together, name),
                "values": [dict(figures_of(member).get(name, {})) or None for member in together.members],
                "against": [_verdict(one, name) for one in together.against],
            }
            for name in together.metrics
        },
        "verdicts": [_overall(one) for one in together.against],
        "samples": [
            {"prompt": one.prompt, "said": [_last_said(said) for said in one.said]}
            for one in together.samples
        ],
        "rows": [
            {
                "prompt": row.prompt, "reference": row.reference, "split": row.split,
                "said": [None if one is None else {"text": one.text, "scores": dict(one.scores)} for one in row.said],
            }
            for row in together.rows
        ],
        "notes": together.notes,
    }  # fmt: skip


def _run(member: Member) -> dict[str, Any]:
    view, experiment = member.view, member.experiment
    result = member.board.results.get(member.result)
    return {
        "run": member.name,
        "label": member.label,
        "state": member.state.value,
        "model": experiment.model.path if experiment is not None else view.model,
        "data": experiment.data.source if experiment is not None else "",
        "step": view.step,
        "steps": view.steps,
        "seconds": view.elapsed,
        "best_validation": view.best_validation,
        "result": member.result or None,
        "n": result.n if result is not None else 0,
        "curves": training_curves(view, FINE),
        "problems": member.told,
    }


def _verdict(against: Against | None, name: str) -> dict[str, Any] | None:
    found = against.verdict.get(name) if against is not None and against.verdict is not None else None
    return None if found is None else found.as_json()


def _last_said(said: tuple[int, str] | None) -> dict[str, Any] | None:
    return None if said is None else {"step": said[0], "text": said[1]}


def _overall(against: Against | None) -> dict[str, Any] | None:
    if against is None:
        return None
    sentence = against.verdict.sentence if against.verdict is not None else ""
    return {"n": against.n, "sentence": sentence, "notes": list(against.notes)}


def _samples(members: Sequence[Member]) -> list[Sample]:
    last: list[dict[str, tuple[int, str]]] = []
    for member in members:
        told = [(str(one["prompt"]), int(one["step"]), str(one["text"])) for one in member.view.samples]
        last.append({prompt: (step, text) for prompt, step, text in told})
    prompts = dict.fromkeys(prompt for found in last for prompt in found)
    return [Sample(prompt, tuple(found.get(prompt) for found in last)) for prompt in prompts]


def _doubts(differences: Sequence[Across]) -> list[str]:
    """What the curves do not show by themselves."""
    unlike = [one.key for one in differences if one.key.startswith(OTHER_ROWS)]
    if not unlike:
        return []
    return [f"losses may be of different rows or tokens, because {', '.join(unlike)} {_differ(len(unlike))}"]


def _differ(count: int) -> str:
    return "differs" if count == 1 else "differ"
