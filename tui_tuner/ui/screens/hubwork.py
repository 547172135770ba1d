"""What a screen does with the Hub: download, upload, and ask whether a model's own code may run."""

from __future__ import annotations

from dataclasses import replace

from tui_tuner.engine.hub_requests import Code, DownloadModel, ReadCode, UploadModel
from tui_tuner.engine.protocol import JobHandle, JobStatus
from tui_tuner.ui.screens.modelwork import ModelWorkScreen, callable_by
from tui_tuner.ui.text import visible

_ASKS_FOR_CODE = "--trust-remote-code"
"""What stands in the sentence of a model that is refused for its code."""


class HubWorkScreen(ModelWorkScreen):
    """A screen from which models are downloaded and uploaded."""

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if self.is_mounted and action == "upload":
            return self._outgoing is not None
        if self.is_mounted and action == "trust":
            return self._asks_for_code
        return super().check_action(action, parameters)

    @property
    def _asks_for_code(self) -> bool:
        problems = self.details.inspection.facts.problems if self.details is not None else []
        listed = self.selected.problem if self.selected is not None else ""
        return any(_ASKS_FOR_CODE in problem for problem in [*problems, listed])

    @property
    def _outgoing(self) -> tuple[str, str] | None:
        """What would be uploaded: the selected folder, else the run's adapter; as a request and a person call it."""
        model = self.selected
        if model is not None and model.source == "local" and not model.problem:
            return model.folder, model.name
        run = self._run_with_adapter
        return (str(run.path), f"the adapter of {run.name}") if run is not None else None

    def action_download(self) -> None:
        from tui_tuner.ui.hubdialogs import DownloadDialog

        model = self.selected
        name = model.path if model is not None and model.source == "absent" and not model.problem else ""

        def answered(request: DownloadModel | None) -> None:
            if request is not None:
                self._ask(request)

        self.app.push_screen(DownloadDialog(self.tuner.engine, name), answered)

    def action_upload(self) -> None:
        from tui_tuner.ui.hubdialogs import UploadDialog

        found = self._outgoing
        if found is None:
            return

        def answered(request: UploadModel | None) -> None:
            if request is not None:
                self._ask(replace(request, only_plan=True, runs_dir=self.tuner.runs_dir))

        self.app.push_screen(UploadDialog(*found), answered)

    def action_trust(self) -> None:
        model = self.selected
        if model is not None:
            self._ask(ReadCode(callable_by(model)))

    def _show_results(self, done: list[JobHandle]) -> None:
        super()._show_results(done)
        last = done[-1]
        if last.status is not JobStatus.DONE or not self.is_current:
            return
        if isinstance(last.request, UploadModel) and last.request.only_plan:
            self._confirm_upload(last.request, last.result)
        elif isinstance(last.request, ReadCode) and isinstance(last.result, Code):
            self._confirm_code(last.result, last.request.model)

    def _confirm_upload(self, request: UploadModel, found: dict[str, object]) -> None:
        from tui_tuner.ui.hubdialogs import UploadConfirm

        def answered(yes: bool | None) -> None:
            if yes:  # what would be replaced was shown
                self._ask(replace(request, only_plan=False, force=True))

        self.app.push_screen(UploadConfirm(found), answered)

    def _confirm_code(self, code: Code, folder: str) -> None:
        from tui_tuner.models.trust import allow
        from tui_tuner.ui.hubdialogs import TrustDialog

        def answered(yes: bool | None) -> None:
            if not yes:
                return
            allow(code.consent)
            self.listed_anew()
            self.tuner.notice(
                f"The code of {visible(code.name)} may run until the program ends. In a preset: "
                f'model.trust_remote_code = "{visible(code.consent)}"'
            )

        self.app.push_screen(TrustDialog(code, folder), answered)
