"""What can be measured of a run from a screen: benchmark, behaviour, canaries, checkpoints, other models beside it.

The engine is asked and does it; here is only what is asked for, how far it is, and how it is stopped. A run that is
going measures itself, and nothing is asked of it meanwhile.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from textual.content import Content
from textual.widgets import Static

from tui_tuner.engine.protocol import JobStatus
from tui_tuner.engine.requests import Benchmark, Evaluating, PickCheckpoint, RunBehaviour, RunCanaries
from tui_tuner.errors import TunerError
from tui_tuner.evaluation.stored import AFTER, BEFORE, PAIR
from tui_tuner.ui.leaving import Question
from tui_tuner.ui.reading import RESUMABLE
from tui_tuner.ui.screens.base import WorkbenchScreen
from tui_tuner.ui.text import inert
from tui_tuner.ui.typedpath import typed_path
from tui_tuner.ui.widgets.benchmark_jobs import Measuring, sentence_of
from tui_tuner.ui.widgets.config_subject import Subjects

if TYPE_CHECKING:
    from tui_tuner.ui.adddialog import Subject

_LOOK = 0.5
"""Seconds between looks at a measurement that goes on."""


class MeasuringScreen(WorkbenchScreen):
    """A screen from which the run being looked at is measured."""

    def __init__(self) -> None:
        super().__init__()
        self._measuring = Measuring()
        self._configurations = Subjects()

    def on_mount(self) -> None:
        self.set_interval(_LOOK, self._look_at_measuring)

    @property
    def tab(self) -> str:
        """Which of its tabs the screen shows."""
        raise NotImplementedError

    @property
    def checkpoint(self) -> int | None:
        """The step of the checkpoint that is selected."""
        raise NotImplementedError

    @property
    def results(self) -> list[str]:
        """Labels of the results that are whole."""
        raise NotImplementedError

    @property
    def complete(self) -> bool:
        """Whether the run has a benchmark of both sides."""
        have = set(self.results)
        return {BEFORE, AFTER} <= have or set(PAIR) <= have

    @property
    def resumes(self) -> bool:
        """Whether the run has yet to measure itself, and does so when it is resumed."""
        follower, subject = self.tuner.state.follower, self._configurations.of_run(self.tuner.state)
        stopped = follower is not None and follower.ready and follower.state in RESUMABLE
        return stopped and (subject is None or subject.experiment.evaluation.enabled)

    @property
    def measured_run(self) -> Path | None:
        """The run being looked at."""
        run = self.tuner.state.run
        return run.path if run is not None else None

    # -- what is going on ---------------------------------------------------------------------------------------

    def _look_at_measuring(self) -> None:
        """Tells how far a measurement is, and shows the rows that came meanwhile."""
        if self.is_current and self._measuring.open(self.measured_run):
            self.call_hook("run")
            self.draw_measuring()

    def draw_measuring(self) -> None:
        """The line that says what is being measured, or else why that failed: a notice is gone before it is read."""
        told, trouble = self._measuring.told(self.measured_run), self._measuring.trouble(self.measured_run)
        self.set_class(bool(told or trouble), "-measuring")
        line = Content("")
        if told:
            line = Content.assemble(("◌ ", "bold $text-accent"), told, ("   s", "bold $text-primary"), " stops it")
        elif trouble:
            line = Content.assemble(("✗ ", "bold $text-error"), inert(trouble))
        self.query_one("#benchmark-doing", Static).update(line)

    def on_engine_changed(self) -> None:
        over = self._measuring.ended()
        for handle in over:
            if handle.error is not None:
                self.tuner.report(handle.error)
            elif handle.status is JobStatus.STOPPED:
                self.tuner.notice(f"{sentence_of(handle)}: stopped. What was answered is kept; it goes on from there.")
            else:
                self.tuner.notice(f"{sentence_of(handle)}: done.")
        self.draw_measuring()
        if over:
            self.call_hook("run")
            self.refresh_bars()

    # -- actions ------------------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action not in ("measure", "add", "halt", "use"):
            return super().check_action(action, parameters)
        if not self.is_mounted or self.measured_run is None:
            return False
        if action == "halt":
            return bool(self._measuring.open(self.measured_run))
        if self._busy:
            return False
        if action == "measure" and self.tab in ("verdict", "results", "rows"):
            return not self.complete
        return action != "use" or (self.tab == "checkpoints" and self.checkpoint is not None)

    @property
    def _busy(self) -> bool:
        """Whether the run is going, or is being measured."""
        follower = self.tuner.state.follower
        return follower is None or follower.active or bool(self._measuring.open(self.measured_run))

    def action_measure(self) -> None:
        """Measures what the present tab shows; a run that was interrupted goes on with its own benchmark."""
        run = self.tuner.state.run
        if run is None:
            return
        wanted = self._wanted(run.path)
        if wanted:
            self._ask(*wanted)
        elif self.resumes:
            self.tuner.resume_run(run)
            self.tuner.go("benchmark")
        else:
            self._ask(
                self._benchmark(f"{run.path}:base", None, PAIR[0], run.path),
                self._benchmark(str(run.path), None, PAIR[1], run.path),
            )

    def _wanted(self, run: Path) -> list[Evaluating]:
        """What the present tab measures; nothing where it is the benchmark itself."""
        if self.tab == "behaviour":
            return [RunBehaviour(run, label) for label in ("before", "after")]
        if self.tab == "canaries":
            return [RunCanaries(run, label) for label in ("before", "after")]
        if self.tab == "checkpoints":
            return [PickCheckpoint(run)]
        return []

    def action_add(self) -> None:
        from tui_tuner.ui.adddialog import AddDialog

        run = self.tuner.state.run
        if run is None:
            return
        steps = sorted({int(path.name.partition("_")[0]) for path in run.adapters.glob("[0-9]*_adapters.safetensors")})
        offered = [(f"{run.name}:{step}", f"step-{step}") for step in steps]
        subject = self._configurations.of_run(self.tuner.state)
        if subject is not None:
            offered.append((f"{run.name}:base", "base"))

        def answered(found: Subject | None) -> None:
            if found is not None:
                adapter = typed_path(found.adapter) if found.adapter else None
                self._ask(self._benchmark(found.target, adapter, found.label, run.path))

        self.app.push_screen(AddDialog(offered[-8:], self.results), answered)

    def action_halt(self) -> None:
        self._measuring.stop(self.measured_run)
        self.draw_measuring()

    def action_use(self) -> None:
        """Asks first: the run's adapter becomes another one."""
        run, step = self.measured_run, self.checkpoint
        if run is None or step is None:
            return

        def answered(answer: str | None) -> None:
            if answer == "use":
                self._ask(PickCheckpoint(run, use=str(step)))

        self.app.push_screen(
            Question(
                f"Use the checkpoint of step {step:,}?",
                "It becomes the run's adapter. The present one and its results are kept, and the test rows are "
                "answered anew, because the verdict is about the adapter.",
                [("use", f"Use step {step:,}", "Then see Verdict."), ("no", "Leave it as it is", "")],
            ),
            answered,
        )

    def _benchmark(self, target: str, adapter: Path | None, label: str, run: Path) -> Benchmark:
        """The run's test rows, as many as the run itself was measured on, answered by another model."""
        subject = self._configurations.of_run(self.tuner.state)
        limit = subject.experiment.evaluation.rows if subject is not None else 0
        return Benchmark(target, adapter, run=run, label=label, limit=limit, runs_dir=self.tuner.runs_dir)

    def _ask(self, *requests: Evaluating) -> None:
        try:
            self._measuring.submit(self.tuner.engine, *requests)
        except TunerError as error:
            self.tuner.report(error)
        self.draw_measuring()
        self.refresh_bars()
