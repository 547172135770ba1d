"""The room of the chat screen that takes questions from the data set: a row's prompt, with its reference beside it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tui_tuner.data.rows import messages_of
from tui_tuner.engine.protocol import JobHandle
from tui_tuner.engine.requests import PreviewData
from tui_tuner.engine.results import DataPreview, PreviewRow
from tui_tuner.errors import TunerError
from tui_tuner.ui.pickdialog import Item, PickDialog
from tui_tuner.ui.screens.chatroom import ChatRoom
from tui_tuner.ui.widgets.chat_offers import Offer
from tui_tuner.ui.widgets.config_subject import Subject
from tui_tuner.ui.widgets.data_listing import Place, sought
from tui_tuner.ui.widgets.data_row import prompt_start

LISTED = 100
"""Rows of each split that the list offers; any other is taken by its number."""
_ORDER = ("test", "valid", "unseen", "train", "")
"""Rows that were not trained on first: they are what one wants to ask."""


class ChatRows(ChatRoom):
    """Takes rows as questions."""

    def __init__(self) -> None:
        super().__init__()
        self._preview: tuple[Subject, DataPreview] | None = None
        self._job: tuple[JobHandle, Callable[[DataPreview], None]] | None = None

    def do_row(self, rest: str) -> None:
        """Lists rows, or takes the one of a split and a number."""
        subject = self.speakers.subject
        if subject is None or self.tuner.state.chat is not None:
            raise TunerError(
                "this chat has no data set", code="no-rows", fix="choose a preset on Home (0), or open a run (7)"
            )
        known = self._preview[1] if self._preview is not None and self._preview[0] == subject else None
        if known is not None:
            self._choose(subject, known, rest)
            return

        def came(preview: DataPreview) -> None:
            self._preview = subject, preview
            self._choose(subject, preview, rest)

        self.say("Reading the rows …")
        self._submit(PreviewData(subject.experiment, subject.base, limit=LISTED), came)

    def look_at_rows(self) -> None:
        """The engine has news: perhaps the rows that were asked for."""
        if self._job is None or not self._job[0].status.ended:
            return
        handle, came = self._job
        self._job = None
        if isinstance(handle.result, DataPreview):
            came(handle.result)
        elif handle.error is not None:
            self.say(handle.error.sentence(), grave=True)

    def _submit(self, request: PreviewData, came: Callable[[DataPreview], None]) -> None:
        if self._job is not None and not self._job[0].status.ended:
            self._job[0].control.stop()
        self._job = self.tuner.engine.submit(request), came
        self.look_at_rows()

    def _choose(self, subject: Subject, preview: DataPreview, rest: str) -> None:
        if rest:
            self._fetch(subject, preview, self._place(rest, preview))
            return
        rows = sorted(preview.rows, key=lambda row: (_ORDER.index(row.split) if row.split in _ORDER else 9, row.index))
        items = [
            Item(f"{row.split} {row.index}", f"{row.split} {row.index}", prompt_start(row.row), row.split or "rows")
            for row in rows
        ]

        def taken(chosen: str | None) -> None:
            if chosen:
                self._fetch(subject, preview, self._place(chosen, preview))

        about = "Its question is put into the input, its reference stands beside the answers. Held-out rows come first."
        self.ask_in(PickDialog("A row of the data set", about, items), taken)

    @staticmethod
    def _place(text: str, preview: DataPreview) -> Place:
        there = {name: preview.counts.get(name, 0) for name in (*_ORDER, *preview.counts)}
        try:
            return sought(text, None, there)
        except ValueError as error:
            raise TunerError(str(error).rstrip("."), code="no-rows", fix="/row lists them", usage=True) from error

    def _fetch(self, subject: Subject, preview: DataPreview, place: Place) -> None:
        row = next((row for row in preview.rows if (row.split, row.index) == place), None)
        if row is not None:
            self._take(row)
            return

        def came(found: DataPreview) -> None:
            if not found.rows:
                raise TunerError(f"the row {place[0]} {place[1]} cannot be read", code="no-rows", fix="/row lists them")
            self._take(found.rows[0])

        self._submit(PreviewData(subject.experiment, subject.base, only=(place,)), came)

    def _take(self, row: PreviewRow) -> None:
        """Puts a row's question into the input."""
        question, reference, system, left_out = asked_of(row.row)
        self.input.put(question)
        self.input.focus()
        self.row_asked = (question, reference, f"{row.split} {row.index}".strip())
        if system and system != self.session.system:
            self.session.system = system
            self.draw_head()
        more = f" {left_out} earlier messages of it are left out." if left_out else ""
        how = "enter asks it; its reference will stand beside the answers." if reference else "enter asks it."
        self.say(f"Row {self.row_asked[2]}: {how}{more}")

    def after_row(self, rest: str) -> list[Offer]:
        if " " in rest:
            return []
        counts = self._preview[1].counts if self._preview is not None else {"test": 0, "valid": 0, "train": 0}
        return [(name, f"{count:,} rows" if count else "") for name, count in counts.items()]


def asked_of(row: dict[str, Any]) -> tuple[str, str, str, int]:
    """What a row asks: the last question, its answer, the system message, and how many messages lie between.

    A row of plain text is a question without an answer.
    """
    if "messages" not in row and "prompt" not in row:
        return str(row.get("text", "")), "", "", 0
    messages = messages_of(row)
    system = "".join(str(each["content"]) for each in messages[:1] if each["role"] == "system")
    rest = messages[1:] if system else messages
    last = next((at for at in reversed(range(len(rest))) if rest[at]["role"] == "user"), 0)
    answer = rest[last + 1] if last + 1 < len(rest) else {}
    return str(rest[last]["content"] or ""), str(answer.get("content") or ""), system, last
