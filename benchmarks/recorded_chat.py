"""The app as it is, with a recorder beside its chat: how fast an answer came, and what was drawn for it.

    python benchmarks/recorded_chat.py RECORD [arguments of tui-tuner …]

For every answer that has ended a line of JSON is added to RECORD: `tokens`, `seconds` from the beginning of the request
in the worker to its last token, `updates` of the conversation and `frames` of the screen in it, and `shown`, the
seconds between the first of these updates and the last. It is for benchmarks; the app has no such option.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


class Recorder:
    """Counts, and writes a line for each answer."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._updates, self._frames = 0, 0
        self._first = self._last = 0.0
        self._seen: set[int] = set()

    def frame(self) -> None:
        self._frames += 1

    def update(self, answers: Any) -> None:
        """The conversation is told that these answers have changed."""
        now = time.perf_counter()
        if not self._updates:
            self._first, self._frames = now, 0
        self._updates, self._last = self._updates + 1, now
        for answer in answers:
            if answer.ended and id(answer) not in self._seen:
                self._seen.add(id(answer))
                self._write(answer)

    def _write(self, answer: Any) -> None:
        reply = answer.reply
        line: dict[str, Any] = {"problem": answer.problem}
        if reply is not None:
            following = (reply.tokens - 1) / reply.tokens_per_second if reply.tokens > 1 else 0.0
            line = {"tokens": reply.tokens, "seconds": reply.time_to_first_token + following}
        line.update(updates=self._updates, frames=self._frames, shown=self._last - self._first)
        with self._path.open("a") as file:
            file.write(json.dumps(line) + "\n")
        self._updates = 0


def attach(recorder: Recorder) -> None:
    """Puts the recorder between the app and textual."""
    from textual.screen import Screen

    from tui_tuner.ui.widgets.chat_log import ChatLog

    refresh, draw = Screen._on_timer_update, ChatLog.draw

    def refreshing(self: Any) -> None:
        if self._dirty_widgets or self._layout_required or self._repaint_required:
            recorder.frame()
        refresh(self)

    def drawing(self: Any, answers: Any, *args: Any) -> None:
        draw(self, answers, *args)
        if answers:
            recorder.update(answers)

    Screen._on_timer_update = refreshing  # type: ignore[method-assign]
    ChatLog.draw = drawing  # type: ignore[method-assign]


def main() -> int:
    from tui_tuner.cli.app import run

    attach(Recorder(Path(sys.argv[1])))
    return run(sys.argv[2:])


if __name__ == "__main__":
    raise SystemExit(main())
