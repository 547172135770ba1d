"""Leaving the app: at once when nothing is going, with a question when a run is, and never by hanging.

The choices of the question are a list, so that another one is one more entry.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from tui_tuner.errors import TunerError
from tui_tuner.ui.text import clip_middle, inert
from tui_tuner.ui.widgets.words import Hint

if TYPE_CHECKING:
    from tui_tuner.engine.protocol import JobHandle
    from tui_tuner.ui.app import TunerApp

IDLE_TIMEOUT = 3.0
"""Seconds to wait for an engine that has nothing to save."""


@dataclass(frozen=True)
class Choice:
    """One answer to the question.

    Attributes:
        id: what the dialog returns.
        label: what it does, as an imperative.
        about: what that means.
        act: called with the app when it is chosen.
    """

    id: str
    label: str
    about: str
    act: Callable[[TunerApp], None]


class Question(ModalScreen[str]):
    """Asks one question with a few answers. Returns the id of the answer; escape means the last one.

    Args:
        title: the question's subject.
        text: the question itself; shown as it is.
        choices: id, label and explanation of each answer; the first is highlighted.
    """

    BINDINGS = [("escape", "cancel", "Back")]  # noqa: RUF012

    def __init__(self, title: str, text: str, choices: list[tuple[str, str, str]]) -> None:
        super().__init__()
        self._title = title
        self._text = text
        self._choices = choices

    def compose(self) -> ComposeResult:
        box = Vertical(classes="dialog")
        box.border_title = self._title
        with box:
            yield Static(inert(self._text, lines=True))
            options = [
                Option(
                    Content.assemble((f"{label}\n", "bold"), (f"  {about}", "$text-muted"))
                    if about  # an empty line for each would push the keys off a small screen
                    else Content.styled(label, "bold"),
                    id=name,
                )
                for name, label, about in self._choices
            ]
            yield OptionList(*options, markup=False)
            yield Hint("↑ ↓ choose   enter confirm   esc go back")

    def on_mount(self) -> None:
        self.query_one(OptionList).focus()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.dismiss(event.option_id or self._choices[-1][0])

    def action_cancel(self) -> None:
        self.dismiss(self._choices[-1][0])


def choices(going: int = 1, queued: int = 0) -> list[Choice]:
    """The answers to "a run is going: what now?", given how many, and how many more wait in the queue.

    The last one must be the harmless one. Only a single run can be handed over: two in the background would fight for
    the one accelerator.
    """
    background = Choice(
        "background", "Keep training in the background", "Leaves, and a process of its own goes on exactly.", _hand_over
    )
    work_off = Choice(
        "queue", "Keep training, and the queue after it", "Leaves; this run and those queued go on.", _work_off
    )
    return [
        Choice("stop", "Stop and save", "Ends after the current step; you can resume it exactly.", _stop_and_leave),
        *([background] if going == 1 else []),
        *([work_off] if going == 1 and queued else []),
        Choice("stay", "Stay", "Keeps the app open and the run going.", lambda app: None),
    ]


def leave(app: TunerApp) -> None:
    """What ctrl+q does: leaves, asks, or, when the app is leaving already, offers to wait no longer."""
    if isinstance(app.screen, Question):
        return
    if app.stopping:
        app.push_screen(
            Question(
                "Still saving",
                "The run is being stopped and saved. Leaving now costs at most the steps since its last checkpoint.",
                [("now", "Leave now", "Does not wait for the run."), ("wait", "Wait", "The app closes by itself.")],
            ),
            lambda answer: app.exit(1, return_code=1, message=_UNCLEAN) if answer == "now" else None,
        )
        return
    if app.writer.busy and not app.leaving:
        # Perhaps a run is being made that would be going then; asked again, the app leaves without waiting.
        app.leaving = True
        app.notice("Leaving as soon as what was asked for is written.")
        app.writer.do(lambda: None, lambda _: leave(app) if app.leaving else None)
        return
    app.leaving = False
    going = app.jobs.runs()
    if not going:
        _shut_down(app, IDLE_TIMEOUT)
        return
    if not getattr(app.settings, "confirm_quit", True):
        _stop_and_leave(app)
        return
    answers = choices(len(going), _queued_after(app, going[0]))

    def act(answer: str | None) -> None:
        for choice in answers:
            if choice.id == answer:
                choice.act(app)

    name = clip_middle(going[0].request.folder.name, 50)  # type: ignore[union-attr]
    more = f" and {len(going) - 1} more in the queue" if len(going) > 1 else ""
    app.push_screen(
        Question("A run is going", f"{name}{more}\nhas not finished.", [(c.id, c.label, c.about) for c in answers]), act
    )


def _stop_and_leave(app: TunerApp) -> None:
    _shut_down(app, app.stop_timeout)


def _hand_over(app: TunerApp) -> None:
    """Stops and saves, starts a process that goes on with the run, and leaves."""
    folder = _folder_of_run(app)
    if folder is None:
        _shut_down(app, IDLE_TIMEOUT)
        return

    def start() -> str:
        from tui_tuner.engine.handover import continue_in_background
        from tui_tuner.runs.folder import RunFolder

        number = continue_in_background(RunFolder.open(folder))
        return (
            f"{folder.name} goes on in the background (process {number}).\n"
            f"  tui-tuner attach {folder.name}\n  tui-tuner stop {folder.name}"
        )

    _shut_down(app, app.stop_timeout, afterwards=start)


def _folder_of_run(app: TunerApp) -> Path | None:
    """The folder of the run that is going; None when it has ended while the person was being asked."""
    going = app.jobs.runs()
    return going[0].request.folder if going else None  # type: ignore[union-attr]


def _queued_after(app: TunerApp, handle: JobHandle) -> int:
    """How many runs wait in the queue besides the one that is going."""
    name = handle.request.folder.name  # type: ignore[union-attr]
    return sum(entry.run != name for entry in app.desk.entries)


def _work_off(app: TunerApp) -> None:
    """Stops and saves, starts a process that goes on with the run and then with the queue, and leaves."""
    folder = _folder_of_run(app)

    def start() -> str:
        from tui_tuner.engine.handover import work_off_in_background
        from tui_tuner.runs.folder import RunFolder

        goes_on = "The queue goes on"
        if folder is not None:
            queue = app.desk.queue
            try:
                queue.add(RunFolder.open(folder))
                queue.give(folder.name, None)
                queue.move(folder.name, "top")
                goes_on = f"{folder.name} and the queue go on"
            except TunerError as error:
                if error.code != "run-finished":  # it came to its end while it was asked to stop
                    raise
        app.desk.let_go()
        number = work_off_in_background(app.runs_dir)
        return f"{goes_on} in the background (process {number}).\n  tui-tuner queue"

    _shut_down(app, app.stop_timeout, afterwards=start)


def _shut_down(app: TunerApp, timeout: float, afterwards: Callable[[], str] | None = None) -> None:
    """Stops everything, says so, and leaves as soon as it has ended; after `timeout` seconds in any case.

    Args:
        afterwards: done in a thread once the engine has ended well; gives the message that the terminal shows.
    """
    app.stopping = True
    for handle in app.jobs.engine.handles():
        if not handle.status.ended:
            handle.control.stop("shutdown")
    app.tell("engine")

    async def end() -> None:
        clean = await app.jobs.shut_down(timeout)
        message = None if clean else _UNCLEAN
        if clean and afterwards is not None:
            try:
                message = await asyncio.to_thread(afterwards)
            except TunerError as error:
                clean, message = False, error.sentence()
            except Exception as error:  # whatever it is: the run is saved, and the app must not stay open
                clean, message = False, f"{error}: nothing goes on in the background. tui-tuner resume last goes on."
        app.exit(0 if clean else 1, return_code=0 if clean else 1, message=message)

    app.run_worker(end(), exit_on_error=False, group="leaving", exclusive=True)


def window_lost(app: TunerApp) -> None:
    """What the app does when the browser's window that showed it is gone: a run goes on, in a process of its own.

    A page is loaded anew and a connection breaks far more often than a terminal is closed, so neither ends a run. More
    than one cannot be handed over; then they are stopped and saved, as when a terminal is closed.
    """
    if app.stopping:
        return
    going = app.jobs.runs()
    if len(going) != 1:
        _stop_and_leave(app)
    elif _queued_after(app, going[0]):
        _work_off(app)
    else:
        _hand_over(app)


def obey_signals(app: TunerApp) -> Callable[[], None]:
    """Makes SIGTERM and SIGHUP (a closed terminal) stop and save, as "stop and save" does; returns the way to undo it.

    Where signals cannot be had (another thread than the main one, another system) nothing happens.
    """
    taken: list[int] = []
    loop = asyncio.get_running_loop()
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is None:
            continue
        try:
            loop.add_signal_handler(number, lambda: None if app.stopping else _stop_and_leave(app))
        except (NotImplementedError, RuntimeError, ValueError):
            continue
        taken.append(number)

    def forget() -> None:
        for number in taken:
            loop.remove_signal_handler(number)

    return forget


_UNCLEAN = "The engine did not end in time; the run can be resumed from its last checkpoint: tui-tuner resume last"
