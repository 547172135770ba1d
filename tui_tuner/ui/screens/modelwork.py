"""What can be done with models from a screen: convert, merge, export, delete. The engine does it; this asks and tells.

Only one table or dialog lies over the screen at a time: what ends meanwhile is told as a notice, and its table is a key
away.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual.content import Content
from textual.widgets import Static

from tui_tuner.engine.model_requests import ConvertModel, DeleteCached, ExportAdapter, FuseAdapter
from tui_tuner.engine.protocol import JobHandle, JobStatus
from tui_tuner.engine.results import ListedModel, ModelDetails
from tui_tuner.errors import TunerError
from tui_tuner.paths import models_dir
from tui_tuner.ui.format import size
from tui_tuner.ui.leaving import Question
from tui_tuner.ui.screens.base import WorkbenchScreen
from tui_tuner.ui.text import visible
from tui_tuner.ui.widgets.models_jobs import Job, ModelWork, done_of, is_question, stopped_of

if TYPE_CHECKING:
    from tui_tuner.runs.folder import RunFolder
    from tui_tuner.ui.fusedialog import Merge
    from tui_tuner.ui.handondialog import HandOn

_LOOK = 0.5
"""Seconds between looks at a job that goes on."""
_NEEDS_MODEL = ("convert", "four_eight")
_NEEDS_RUN = ("fuse", "hand_on")


class ModelWorkScreen(WorkbenchScreen):
    """A screen from which models are made of others."""

    def __init__(self) -> None:
        super().__init__()
        self._work = ModelWork()

    def on_mount(self) -> None:
        self.set_interval(_LOOK, self.draw_work)

    @property
    def selected(self) -> ListedModel | None:
        """The model that is selected."""
        raise NotImplementedError

    @property
    def details(self) -> ModelDetails | None:
        """What is known of it, or None as long as nothing is."""
        raise NotImplementedError

    @property
    def usable(self) -> int:
        """Bytes that a job can have on this machine; 0 while that is not known."""
        raise NotImplementedError

    def data_for(self, model: ListedModel) -> str:
        """The person's own rows for a model, as a source; empty where there are none."""
        raise NotImplementedError

    def name_of(self, path: str) -> str:
        """What to call the model that a request calls so."""
        raise NotImplementedError

    def listed_anew(self, select: str = "") -> None:
        """Models were made or deleted.

        Args:
            select: the path of one to select; empty keeps the selection.
        """
        raise NotImplementedError

    # -- what is going on ---------------------------------------------------------------------------------------

    def draw_work(self) -> None:
        """The line that says what is being done."""
        told = self._work.told(self.tuner.engine.active())
        self.set_class(bool(told), "-working")
        waits = all(handle.status is JobStatus.QUEUED for handle in self._work.going)
        key, does = ("   x", "bold $text-primary"), " takes it back" if waits else " stops it"
        line = Content.assemble(("◌ ", "bold $text-accent"), visible(told), key, does)
        self.query_one("#models-doing", Static).update(line if told else "")

    def on_engine_changed(self) -> None:
        over = self._work.ended()
        for handle in over:
            if handle.error is not None:
                self.tuner.report(handle.error)
            elif handle.status is JobStatus.STOPPED:
                self.tuner.notice(stopped_of(handle))
            elif not is_question(handle):
                self.tuner.notice(done_of(handle))
        self.draw_work()
        good = [handle for handle in over if handle.status is JobStatus.DONE]
        if any(not is_question(handle) for handle in good):
            self.listed_anew()
        if good:
            self._show_results(good)
        if over:
            self.refresh_bars()

    def _show_results(self, done: list[JobHandle]) -> None:
        """Opens the table of what has just been measured, unless something lies over the screen or more is to come."""
        last = done[-1]
        if isinstance(last.request, FuseAdapter) and last.request.target is None and isinstance(last.result, dict):
            self._work.fused[last.request.run] = last.result
            run = self.tuner.state.run
            if self.is_current and run is not None and str(run.path) == last.request.run:
                self._show_ways(run)
        elif isinstance(last.request, ConvertModel) and self.is_current and not self._work.going:
            self._show_variants(self.name_of(last.request.model), last.result["variants"])

    # -- actions ------------------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if not self.is_mounted:
            return super().check_action(action, parameters)
        if action == "halt":
            return bool(self._work.going)
        if action in _NEEDS_MODEL:
            return self.details is not None and bool(self.details.offers.modes or self.details.offers.dequantize)
        if action == "variants":
            return self.details is not None and bool(self.details.variants)
        if action in _NEEDS_RUN:
            return self._run_with_adapter is not None
        if action == "delete":
            return self.selected is not None and self.selected.source == "cache"
        return super().check_action(action, parameters)

    @property
    def _run_with_adapter(self) -> RunFolder | None:
        """The run being looked at, when it has an adapter and is not going."""
        run, follower = self.tuner.state.run, self.tuner.state.follower
        if run is None or follower is None or follower.active:
            return None
        return run if (run.adapters / "adapters.safetensors").is_file() else None

    def action_halt(self) -> None:
        self._work.stop()
        self.draw_work()

    def action_convert(self) -> None:
        from tui_tuner.ui.convertdialog import ConvertDialog

        model, details = self.selected, self.details
        if model is None or details is None:
            return

        def answered(request: ConvertModel | None) -> None:
            if request is not None:
                self._ask(request)

        self.app.push_screen(
            ConvertDialog(
                self.tuner.engine,
                callable_by(model),
                model.name,
                details.offers,
                models_dir(),
                data=self.data_for(model),
                usable=self.usable,
            ),
            answered,
        )

    def action_four_eight(self) -> None:
        """Converts into 4 and into 8 bits and lays both side by side; what lies in their places stays."""
        model, details = self.selected, self.details
        if model is None or details is None or "affine" not in details.offers.modes:
            return
        groups = details.offers.modes["affine"][1]
        group = 64 if 64 in groups else groups[0]
        name, data = model.name.rpartition("/")[2], self.data_for(model)
        wishes = [
            ConvertModel(callable_by(model), free(models_dir() / f"{name}-{bits}bit"), bits, group, data=data)
            for bits in (4, 8)
        ]
        told = f"{visible(wishes[0].target.name)} and {visible(wishes[1].target.name)}"  # type: ignore[union-attr]

        def answered(answer: str | None) -> None:
            if answer == "try":
                self._ask(*wishes)

        self.app.push_screen(
            Question(
                "Try 4 against 8 bits?",
                f"Both are made, measured on {'your rows' if data else 'plain text'}, and kept beside each other in "
                f"{models_dir()}, as {told}.",
                [("try", "Convert into both", "The table of variants opens at the end."), ("no", "Leave it", "")],
            ),
            answered,
        )

    def action_variants(self) -> None:
        if self.selected is not None and self.details is not None:
            self._show_variants(self.selected.name, self.details.variants)

    def _show_variants(self, name: str, variants: list[dict[str, Any]]) -> None:
        from tui_tuner.ui.variantsview import VariantsView

        def answered(path: str | None) -> None:
            if path:
                self.listed_anew(path)

        self.app.push_screen(VariantsView(name, variants), answered)

    def action_fuse(self) -> None:
        """Shows the ways to merge the run's adapter; measures them first."""
        run = self._run_with_adapter
        if run is None:
            return
        if str(run.path) in self._work.fused:
            self._show_ways(run)
        else:
            self._ask(FuseAdapter(str(run.path), runs_dir=self.tuner.runs_dir))

    def _show_ways(self, run: RunFolder) -> None:
        from tui_tuner.ui.fusedialog import FuseDialog

        def answered(wish: Merge | None) -> None:
            if wish is None:
                return
            measure = FuseAdapter(str(run.path), runs_dir=self.tuner.runs_dir)
            if wish.again:
                self._work.fused.pop(str(run.path), None)
                self._ask(measure)
            else:
                self._ask(replace(measure, target=wish.target, way=wish.way, force=wish.force, lossy=wish.lossy))

        self.app.push_screen(FuseDialog(run.name, self._work.fused[str(run.path)], models_dir()), answered)

    def action_hand_on(self) -> None:
        from tui_tuner.ui.handondialog import HandOnDialog

        run = self._run_with_adapter
        if run is None:
            return

        def answered(wish: HandOn | None) -> None:
            if wish is not None:
                self._ask(ExportAdapter(str(run.path), wish.target, wish.form, runs_dir=self.tuner.runs_dir))

        self.app.push_screen(HandOnDialog(run.name, models_dir()), answered)

    def action_delete(self) -> None:
        """Asks first: what was downloaded would have to be downloaded again."""
        model = self.selected
        if model is None:
            return

        def answered(answer: str | None) -> None:
            if answer == "delete":
                self._ask(DeleteCached(model.path))

        named = f"\n\nNamed by {', '.join(model.named_by)}." if model.named_by else ""
        self.app.push_screen(
            Question(
                "Delete from the Hub's cache?",
                f"{model.path}, {size(model.on_disk)} with all its versions. Who needs it downloads it again.{named}",
                [("delete", "Delete it", "Other programs that use the cache lose it, too."), ("no", "Keep it", "")],
            ),
            answered,
        )

    def _ask(self, *requests: Job) -> None:
        try:
            self._work.submit(self.tuner.engine, *requests)
        except TunerError as error:
            self.tuner.report(error)
        self.draw_work()
        self.refresh_bars()


def callable_by(model: ListedModel) -> str:
    """What a request calls a model: an embedded one by name, else the folder, so that nobody asks the network."""
    return model.path if model.source == "embedded" else model.folder or model.path


def free(place: Path, taken: Callable[[Path], bool] = Path.exists) -> Path:
    """The place, or with a number behind it where something lies there."""
    number, found = 2, place
    while taken(found):
        found, number = place.with_name(f"{place.name}-{number}"), number + 1
    return found
