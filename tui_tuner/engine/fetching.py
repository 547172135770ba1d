"""Downloads as jobs, and the ears of every other job that needs a model which is not on this machine.

A training, a conversion or an inspection that names a repository fetches it on its way: then it tells of bytes,
too, and hears a stop while they come.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tui_tuner.engine.hub_requests import Code, HubRequest, ReadCode, UploadModel
from tui_tuner.engine.protocol import JobHandle
from tui_tuner.engine.work import Work
from tui_tuner.models.folder import locate, read_model_config
from tui_tuner.models.hub import Plan, Watch, fetch, plan_download, watching
from tui_tuner.models.hub.download import check_room
from tui_tuner.models.trust import remote_code
from tui_tuner.runs.control import JobControl

_DOWNLOADED = "downloaded"


@contextmanager
def heard(handle: JobHandle) -> Iterator[None]:
    """While open, downloads of this thread go into the job's progress and hear its stop."""
    work = getattr(handle.request, "progress", None)
    with watching(watch_of(work if isinstance(work, Work) else Work(), handle.control.check)):
        yield


def watch_of(work: Work, check: Callable[[], None]) -> Watch:
    """A watcher that writes into a job's progress."""

    def begin(plan: Plan) -> None:
        if plan.missing:
            work.notes.append(plan.sentence())

    return Watch(begin, lambda done, total: work.moved(_DOWNLOADED, done, total), check)


def logged(emit: Callable[..., object], check: Callable[[], None]) -> Watch:
    """A watcher that writes into a run's log: what will be fetched, and every tenth of it."""
    said = [0]

    def begin(plan: Plan) -> None:
        said[0] = 0
        if plan.missing:
            emit("log", level="info", text=plan.sentence())

    def tell(done: int, total: int) -> None:
        tenth = 10 * done // total if total else 0
        if tenth > said[0]:
            said[0] = tenth
            emit("log", level="info", text=f"{10 * tenth} % of the model is downloaded")

    return Watch(begin, tell, check)


def answer_about_hub(request: HubRequest, control: JobControl) -> Any:
    """The document of a request, or the code of a model.

    Raises:
        StopRequested: when asked to stop; what has come stays, and the next attempt goes on from there.
        TunerError: the model cannot be had or sent, or finds no room.
    """
    if isinstance(request, UploadModel):
        from tui_tuner.engine.uploading import upload_model

        return upload_model(request, control)
    if isinstance(request, ReadCode):
        folder = locate(request.model)
        code = remote_code(folder, read_model_config(folder))
        return None if code is None else Code(code.name, code.meaning(), code.consent)
    if request.only_plan:
        plan = plan_download(request.name, request.revision or None)
        check_room(plan)
        return {**plan.as_json(), "path": None}
    plans: list[Plan] = []
    inner = watch_of(request.progress, control.check)

    def begin(plan: Plan) -> None:
        plans.append(plan)
        inner.begin(plan)

    with watching(Watch(begin, inner.tell, inner.check)):
        folder = fetch(request.name, request.revision or None, newest=True)
    return {**plans[0].as_json(), "path": str(folder)}
