"""What the Benchmark screen says where figures are missing: what is missing, and what brings it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content

from tui_tuner.evaluation.stored import AFTER, BEFORE
from tui_tuner.runs.state import RunState
from tui_tuner.ui.status import ACTIVE
from tui_tuner.ui.widgets.data_pane import lines, notice, wrap

if TYPE_CHECKING:
    from tui_tuner.runs.view import RunView
    from tui_tuner.ui.follower import Follower
    from tui_tuner.ui.state import WorkbenchState
    from tui_tuner.ui.widgets.benchmark_store import BenchmarkStore

NO_RUN = (
    "There is nothing to compare yet.\n\nA run answers its test rows before and after training.\n"
    "Open a finished one on Runs (7);\nor press 0, then q: the quickstart makes one."
)
_MISSING = {
    "behaviour": (
        "Behaviour tests are named cases with what an answer must have and must not have, each asked several times, "
        "before training and after. The section [behaviour] of the configuration holds them; b asks them now."
    ),
    "canaries": (
        "Canaries ask what any model should still know after training: general questions, a format to keep, JSON, "
        "refusals, other languages. They show what training made it forget. b asks them now."
    ),
    "checkpoints": (
        "Every saved checkpoint can be scored on the task, to find the one that is best at it, and not only the one "
        "with the lowest loss. b lets them answer the validation rows."
    ),
}


def why_empty(state: WorkbenchState, view: RunView | None, resumes: bool) -> str:
    """What is missing and what brings it, for the run at hand."""
    follower = state.follower
    if follower is None:
        return NO_RUN
    if view is None:
        return "◌ reading the run …"
    if state.run is None:
        return "A log of another program has no benchmark.\n\nOpen a run of this workbench on Runs (7)."
    if follower.state in (RunState.RUNNING, RunState.QUEUED, RunState.PAUSED):
        return "◌ The first benchmark is not done yet.\n\nThe Train screen (4) shows how far the run is."
    if resumes:
        return (
            "This run has no benchmark.\n\nIt ended before it was measured.\n\nb resumes it; it is measured at its end."
        )
    return (
        "This run has no benchmark.\n\nIts evaluation was switched off, or it had no test rows.\n\n"
        "b measures it now: its test rows are answered by the model as it was, and with its adapter."
    )


def remark(store: BenchmarkStore, follower: Follower | None, width: int) -> Content | None:
    """What to say while there is no verdict; None where the pane below says it."""
    if not store.usual:
        return notice("◌", "Reading the answers …", "$text-accent", 80) if store.waiting else None
    results = store.board.results
    active = follower is not None and follower.state in ACTIVE
    if active and set(store.whole) < {BEFORE, AFTER} & set(results):
        text = "The test rows are being answered; rows appear as they finish."
    elif BEFORE in results and AFTER in results:
        text = "Both sides are measured; the verdict is " + ("being worked out." if active else "missing.")
    elif active:
        text = "Measured before training; the other side follows when training is done."
    else:
        text = "Only one side was measured: the run ended before the other. b goes on with it, for a verdict."
    return notice("◌", text, "$text-accent", max(width - 4, 40))


def nothing(what: str, width: int) -> Content:
    """What a tab is for that has nothing to show yet."""
    return lines(Content(line) for line in wrap(_MISSING[what], width))
