"""What the Models screen has asked to be done: conversions, merges, exports, deletions. It only remembers and tells."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tui_tuner.engine.hub_requests import DownloadModel, ReadCode, UploadModel
from tui_tuner.engine.model_requests import ConvertModel, DeleteCached, ExportAdapter, FuseAdapter
from tui_tuner.engine.protocol import JobStatus
from tui_tuner.ui.text import clip

if TYPE_CHECKING:
    from tui_tuner.engine.protocol import Engine, JobHandle

Job = ConvertModel | FuseAdapter | ExportAdapter | DeleteCached | DownloadModel | UploadModel | ReadCode


class ModelWork:
    """The jobs that were asked for; those that have ended are handed out once.

    Attributes:
        fused: what merging was found to do, by run.
    """

    def __init__(self) -> None:
        self._handles: list[JobHandle] = []
        self.fused: dict[str, dict[str, object]] = {}

    def submit(self, engine: Engine, *requests: Job) -> None:
        """Queues jobs, one after the other.

        Raises:
            TunerError: the program is shutting down.
        """
        for request in requests:
            self._handles.append(engine.submit(request))

    @property
    def going(self) -> list[JobHandle]:
        """Those that are at work or wait."""
        return [handle for handle in self._handles if not handle.status.ended]

    def ended(self) -> list[JobHandle]:
        """Those that have ended since the last call."""
        over = [handle for handle in self._handles if handle.status.ended]
        self._handles = self.going
        return over

    def stop(self) -> None:
        """Asks all of them to stop; a model is written whole or not at all."""
        for handle in self.going:
            handle.control.stop()

    def told(self, before: JobHandle | None = None) -> str:
        """What is going on, in words; empty when nothing is.

        Args:
            before: the job that has the turn, for which others wait.
        """
        going = self.going
        if not going:
            return ""
        handle = next((one for one in going if one.status is JobStatus.RUNNING), going[0])
        if handle.control.stop_requested:
            return "Stopping …"
        name = sentence_of(handle)
        if isinstance(handle.request, DownloadModel):  # the owner has no room in a line of 80 cells
            name = f"Downloading {clip(handle.request.name.rpartition('/')[2], 24)}"
        if handle.status is not JobStatus.RUNNING:
            return f"{name}: waits until {before.title} has ended" if before is not None else f"{name}: waits"
        work = getattr(handle.request, "progress", None)
        what = "" if work is None or work.what == "downloaded" else f"{work.what} "
        done = f"{what}{work.told()}" if work is not None and work.total else "loading"
        more = f", {len(going) - 1} more to come" if len(going) > 1 else ""
        return f"{name}: {done}{more}"


def sentence_of(handle: JobHandle) -> str:
    """What a job does, in words."""
    request = handle.request
    if isinstance(request, ConvertModel):
        return f"Converting into {request.target.name}" if request.target is not None else "Forecast"
    if isinstance(request, FuseAdapter):
        if request.target is None:
            return f"Trying ways to merge ({Path(request.run).name})"
        same = Path(request.run).name == request.target.name
        return f"Merging {Path(request.run).name}" + ("" if same else f" into {request.target.name}")
    if isinstance(request, ExportAdapter):
        return f"Exporting {request.target.name}"
    if isinstance(request, DeleteCached):
        return f"Deleting {request.name}"
    if isinstance(request, DownloadModel):
        return f"Downloading {request.name}"
    if isinstance(request, UploadModel):
        return f"Looking at {request.repository}" if request.only_plan else f"Uploading into {request.repository}"
    if isinstance(request, ReadCode):
        return "Reading the model's code"
    return handle.title


def is_question(handle: JobHandle) -> bool:
    """Whether a job only found something out, which a dialog tells."""
    request = handle.request
    return isinstance(request, ReadCode) or (isinstance(request, UploadModel) and request.only_plan)


def stopped_of(handle: JobHandle) -> str:
    """What a stop has left, as a sentence."""
    if isinstance(handle.request, DownloadModel):
        return f"{sentence_of(handle)}: stopped. What has come is kept, and the next attempt goes on from there."
    if isinstance(handle.request, UploadModel):
        return f"{sentence_of(handle)}: stopped. The repository is as it was."
    return f"{sentence_of(handle)}: stopped. Nothing was written."


def done_of(handle: JobHandle) -> str:
    """What has been done, as a sentence."""
    request, result = handle.request, handle.result
    if isinstance(request, DeleteCached):
        from tui_tuner.ui.format import size

        return f"{request.name} is deleted; that freed {size(result)}."
    if isinstance(request, FuseAdapter) and request.target is None:
        return "All ways to merge were tried."
    if isinstance(request, UploadModel) and isinstance(result, dict):
        return f"{sentence_of(handle)}: done. It is at {result['url']}"
    path = result.get("path", "") if isinstance(result, dict) else ""
    return f"{sentence_of(handle)}: done. It is {path}"
