"""A monkey at the keyboard: presses, clicks, scrolls, pastes and resizes at random, on every screen.

What it does follows from its seed alone, as far as an event loop can be repeated; what it did last is told when
something breaks. It must never touch anything outside the folders of its test: handing over to processes of their own
is left to a double.
"""

from __future__ import annotations

import random
import traceback
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from textual import events
from textual.pilot import OutOfBounds, Pilot

from tests.ui.fakes import FakeEngine, RunBuilder, train_fields
from tests.ui.workshop import HOSTILE
from tui_tuner.engine.protocol import JobStatus
from tui_tuner.errors import TunerError
from tui_tuner.runs.vocabulary import EVENT_FIELDS
from tui_tuner.ui.actions import ACTIONS, MODES
from tui_tuner.ui.app import TunerApp

SIZES = [(20, 5), (21, 6), (30, 8), (40, 12), (60, 20), (80, 24), (120, 40), (160, 50), (200, 60), (250, 70)]
TEXTS = [
    "", "0", "-1", "1e-4", "nan", "phi", "state:failed lr>=1e-4", "name ~ '['", HOSTILE, "[b]", "\x1b]0;x\x07",
    "é" * 300,
    "{name}", "{if", "/no/such/place", "..", "embedded:players", "owner/name", "a=b", "\n\n", "\U0001f600" * 9,
]  # fmt: skip
_PLAIN = [
    *"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", "up", "down", "left", "right", "enter", "tab",
    "shift+tab", "escape", "space", "pageup", "pagedown", "home", "end", "backspace", "delete", "slash", "colon",
    "plus", "minus", "full_stop", "comma", "question_mark",
    "ctrl+a", "ctrl+e", "ctrl+k", "ctrl+z", "ctrl+y", "ctrl+home",
    "ctrl+end", "ctrl+d", "ctrl+u", "ctrl+w", "ctrl+left", "ctrl+right", "shift+left", "shift+right", "shift+up",
    "shift+down", "ctrl+c", "ctrl+v", "ctrl+x", "left_square_bracket", "right_square_bracket", "less_than_sign",
    "greater_than_sign", "equals_sign", "f1", "f2", "f3", "f4", "f6", "f7", "f8", "f9", "f10", "f12",
]  # fmt: skip
KEYS = sorted({*_PLAIN, *(key for action in ACTIONS for key in action.keys.split(","))} - {"ctrl+q"})


@dataclass
class Monkey:
    """Plays with an app.

    Args:
        pilot: of the driven app.
        seed: of all it does.
        engine: whose jobs it ends; None leaves jobs to the engine.
        runs: run folders whose logs grow under its hands.
    """

    pilot: Pilot[Any]
    seed: int
    engine: FakeEngine | None = None
    runs: list[RunBuilder] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.app: TunerApp = self.pilot.app  # type: ignore[assignment]
        self.did: deque[str] = deque(maxlen=40)
        self.seen: set[str] = set()
        self.turns = 0

    async def play(self, turns: int, mode: str | None = None) -> bool:
        """Does so many things; False when the app was left on the way.

        Raises:
            AssertionError: something went wrong, with what was done before.
        """
        if mode is not None:
            self.app.go(mode)
            await self.pilot.pause()
            self.seen.add(f"{self.app.current_mode}/{type(self.app.screen).__name__}")
        acts: list[tuple[int, Callable[[], Coroutine[Any, Any, str]]]] = [
            (60, self._press), (14, self._click), (6, self._scroll), (6, self._write), (4, self._resize),
            (5, self._job), (4, self._grow), (2, self._hover), (2, self._drag), (2, self._go), (1, self._focus),
        ]  # fmt: skip
        for _ in range(turns):
            act = self.chance.choices([act for _, act in acts], [weight for weight, _ in acts])[0]
            self.turns += 1
            try:
                self.did.append(await act())
            except OutOfBounds:
                continue
            self.seen.add(f"{self.app.current_mode}/{type(self.app.screen).__name__}")
            if not self.app.is_running or self.app._exit:
                return False
            assert self.app._exception is None and not self.app.mishaps, self._story()
        await self.pilot.pause()
        assert self.app._exception is None and not self.app.mishaps, self._story()
        return True

    def _story(self) -> str:
        wrong = [*self.app.mishaps, *([self.app._exception] if self.app._exception is not None else [])]
        told = "\n".join("".join(traceback.format_exception(error)) for error in wrong)
        return f"seed {self.seed}, turn {self.turns}; last: {'; '.join(self.did)}\n{told}"

    def _spot(self) -> tuple[int, int]:
        width, height = self.app.size
        return self.chance.randrange(max(1, width)), self.chance.randrange(max(1, height))

    async def _press(self) -> str:
        keys = [self.chance.choice(KEYS) for _ in range(self.chance.choice((1, 1, 1, 2, 4)))]
        for key in keys:
            await self.pilot._app._press_keys([key])
        return f"press {' '.join(keys)}"

    async def _click(self) -> str:
        spot, times = self._spot(), self.chance.choice((1, 1, 1, 2, 3))
        await self.pilot.click(offset=spot, times=times, control=self.chance.random() < 0.1)
        return f"click {spot} ×{times}"

    async def _hover(self) -> str:
        spot = self._spot()
        await self.pilot.hover(offset=spot)
        return f"hover {spot}"

    async def _drag(self) -> str:
        start, end = self._spot(), self._spot()
        await self.pilot.mouse_down(offset=start)
        await self.pilot.hover(offset=end)
        await self.pilot.mouse_up(offset=end)
        return f"drag {start} {end}"

    async def _scroll(self) -> str:
        spot = self._spot()
        kind = self.chance.choice(
            (events.MouseScrollDown, events.MouseScrollUp, events.MouseScrollRight, events.MouseScrollLeft)
        )
        for _ in range(self.chance.choice((1, 3, 10))):
            await self.pilot._post_mouse_events([kind], None, offset=spot, button=0)
        return f"{kind.__name__} {spot}"

    async def _write(self) -> str:
        text = self.chance.choice(TEXTS)
        self.app.post_message(events.Paste(text))
        await self.pilot.pause()
        return f"paste {text!r:.30}"

    async def _resize(self) -> str:
        size = (
            self.chance.choice(SIZES)
            if self.chance.random() < 0.5
            else (self.chance.randint(20, 250), self.chance.randint(5, 70))
        )
        await self.pilot.resize_terminal(*size)
        return f"resize {size}"

    async def _go(self) -> str:
        mode = self.chance.choice(list(MODES))
        self.app.go(mode)
        await self.pilot.pause()
        return f"go {mode}"

    async def _focus(self) -> str:
        where = list(self.app.screen.focus_chain)
        if where:
            self.chance.choice(where).focus()
        await self.pilot.pause()
        return "focus"

    async def _job(self) -> str:
        """Ends one of the jobs that go on, in one of the ways in which jobs end."""
        if self.engine is None:
            await self.pilot.pause()
            return "wait"
        open_jobs = [handle for handle in self.engine.handles() if not handle.status.ended]
        if not open_jobs:
            return "no job"
        handle = self.chance.choice(open_jobs)
        if self.chance.random() < 0.4:
            self.engine.end(handle, status=JobStatus.STOPPED)
            how = "stopped"
        else:
            error = TunerError(f"it failed {HOSTILE}", code="failed", where=HOSTILE, fix="do [b]nothing[/]")
            self.engine.end(handle, error=error)
            how = "failed"
        await self.pilot.pause()
        return f"{type(handle.request).__name__} {how}"

    async def _grow(self) -> str:
        """Has a run write what it would, or what it never would."""
        if not self.runs:
            return "no run"
        run = self.chance.choice(self.runs)
        if not run.folder.events.exists():
            return "no folder"  # it was deleted on the Runs screen
        step = self.chance.randint(0, 10 ** self.chance.randint(0, 9))
        odd: Any = self.chance.choice((None, float("1e308"), -1, "x", [], {}, True, HOSTILE))
        kind = self.chance.randrange(7)
        if kind == 0:
            run.add("train", 0.4, step=step, **train_fields(step, 120))
        elif kind == 1:
            run.add("validation", 0.4, step=step, loss=self.chance.random() * 4, tokens=200, seconds=0.1)
        elif kind == 2:
            run.add("log", level=self.chance.choice(("info", "warning", "error")), text=HOSTILE)
        elif kind == 3:
            fields = ("step", "loss", "text", "metrics", "status", "name", "label", "done", "total", "steps", "code")
            run.add(self.chance.choice([*EVENT_FIELDS, "no_such_event"]), **dict.fromkeys(fields, odd))
        elif kind == 4:
            with run.folder.events.open("ab") as file:
                file.write(self.chance.choice((b"\xff\xfe\n", b"{\n", b"null\n", b"\n", b"[1]\n", b"\0" * 40 + b"\n")))
        elif kind == 5:
            run.begin(resumed=True, from_step=step % 120)
        else:
            run.finish(self.chance.choice(("finished", "stopped", "failed")), HOSTILE)
        await self.pilot.pause()
        return f"event {kind}"
