"""A conversation kept as it happens: one JSON object a line, only ever added to, and read back whatever became of it.

A kill at any moment leaves all up to the last finished sentence, and all but the last second of a text without any. The
lines are written by a `Scribe`, which never holds up the conversation. What a reader cannot use it passes over and
counts; it must never fail on a line, whatever is in it, and never change the file.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from tui_tuner.atomic import read_failure
from tui_tuner.chat import lines
from tui_tuner.chat.conversation import AnswerState, Conversation, Exchange
from tui_tuner.chat.scribe import Entry, Scribe
from tui_tuner.errors import TunerError
from tui_tuner.runs.events import parse_line

LONGEST_TITLE = 200


@dataclass
class Kept:
    """A transcript as it was read.

    Attributes:
        path: the file.
        conversation: what was said; an answer that had not ended is stopped, with what there is of it.
        title: as a person called it; empty when nobody did.
        model: the model that was talked to first.
        created: seconds since the epoch.
        changed: when the last line was written.
        skipped: complete lines that could not be used.
        torn: whether the last line is a beginning only.
        foreign: whether no line of it is a transcript's.
    """

    path: Path
    conversation: Conversation = field(default_factory=Conversation)
    title: str = ""
    model: str = ""
    created: float = 0.0
    changed: float = 0.0
    skipped: int = 0
    torn: bool = False
    foreign: bool = True

    @property
    def problem(self) -> str:
        """What is wrong with the file, in a clause; empty when nothing is."""
        if self.foreign and self.skipped:
            return "is no transcript"
        if not self.skipped:
            return ""
        return f"{self.skipped:,} {'line' if self.skipped == 1 else 'lines'} of it could not be read"


class Transcript:
    """The conversation that is going on, as its file gets it. No method waits for the disk or fails because of it.

    Nothing is made before the first question.
    """

    def __init__(self, scribe: Scribe, home: Path, model: str) -> None:
        self._scribe, self._home, self._model = scribe, home, model
        self._begun = False
        self._said: dict[tuple[int, int], str] = {}
        self._ended: set[tuple[int, int]] = set()

    @classmethod
    def create(
        cls, folder: Path, *, model: str = "", clock: Callable[[], float] = time.time, now: datetime | None = None
    ) -> Transcript:
        """A new one, `<yyyymmdd-hhmmss>.jsonl` in a folder of chats.

        Args:
            folder: a run's `chats`, or `paths.chats_dir()`.
            model: what is talked to.
            now: the moment in its name; the local time when not given.
        """
        folder = folder.absolute()
        stem = f"{now or datetime.now():%Y%m%d-%H%M%S}"
        return cls(Scribe(folder, stem, clock=clock), folder.parent, model)

    @classmethod
    def resume(cls, kept: Kept, *, clock: Callable[[], float] = time.time) -> Transcript:
        """Goes on in a file that was read; a torn last line is mended.

        Raises:
            TunerError: the file is no transcript (`transcript-damaged`), cannot be written, or is being written
                elsewhere (`transcript-busy`).
        """
        if kept.foreign and kept.problem:
            raise TunerError(kept.problem, code="transcript-damaged", where=kept.path.name, usage=True)
        path = kept.path.absolute()
        home = path.parent.parent
        told = list(entries_of(kept.conversation, home, model=kept.model, title=kept.title, created=kept.created))
        transcript = cls(Scribe(path.parent, path.stem, clock=clock, told=told, path=path), home, kept.model)
        transcript._begun = not kept.foreign
        for exchange in kept.conversation.exchanges.values():
            for column, answer in enumerate(exchange.answers):
                transcript._said[exchange.number, column] = answer.text
                transcript._ended.add((exchange.number, column))
        return transcript

    @property
    def path(self) -> Path | None:
        """The file; None before there is one."""
        return self._scribe.path

    @property
    def problem(self) -> str:
        """Why lines are waiting to be written, in a sentence; empty when none is. They are, as soon as they can be."""
        if not self._scribe.problem:
            return ""
        return f"The transcript is not being written at present ({self._scribe.problem}); what is missing is kept."

    def asked(self, exchange: Exchange) -> None:
        """A question went out. What its answers hold already is noted with it."""
        self._begin(exchange)
        self._scribe.put("asked", lines.asked_fields(exchange, self._home), exchange.asked)
        for column in range(len(exchange.answers)):
            self._said[exchange.number, column] = ""
        self.said(exchange)
        if exchange.vote is not None:
            self.voted(exchange)

    def said(self, exchange: Exchange) -> None:
        """Notes whatever is new in its answers: text as it comes, and their ends. Cheap; call it at every look."""
        for column, answer in enumerate(exchange.answers):
            place = exchange.number, column
            if place in self._ended or place not in self._said:
                continue
            before = self._said[place]
            # Looking at the whole text each time would take longer and longer; an end looks once.
            same = not answer.ended or answer.text.startswith(before)
            if same and len(answer.text) > len(before):
                fields = {"exchange": exchange.number, "answer": column}
                self._scribe.grow(place, "said", fields, answer.text[len(before) :])
            if same:
                self._said[place] = answer.text
            if answer.ended:
                self._scribe.put("ended", lines.ended_fields(exchange, column, replace=not same))
                self._ended.add(place)

    def ended(self, exchange: Exchange) -> None:
        """The same as `said`, which notes ends too."""
        self.said(exchange)

    def voted(self, exchange: Exchange) -> None:
        """Somebody said which answer is better, or took that back."""
        self._scribe.put("vote", {"exchange": exchange.number, "vote": exchange.vote, "blind": exchange.blind})

    def moved(self, at: int) -> None:
        """Somebody went to another exchange of the tree; 0 is the beginning."""
        if self._begun:
            self._scribe.put("moved", {"at": at})

    def titled(self, title: str) -> None:
        """Somebody gave it a name; an empty one takes it back."""
        self._begin()
        self._scribe.put("title", {"title": title.strip()[:LONGEST_TITLE]})

    def take(self, conversation: Conversation, title: str = "") -> None:
        """Notes a conversation that was led elsewhere, as a whole."""
        for exchange in conversation.exchanges.values():
            self.asked(exchange)
        self.moved(conversation.at)
        if title:
            self.titled(title)

    def flush(self, timeout: float = 5.0) -> bool:
        """Has all of it in the file when this returns; False when it cannot be written, or not in time."""
        return self._scribe.flush(timeout)

    def close(self, timeout: float = 2.0) -> bool:
        """Writes the rest and lets go of the file; False when something could not be written."""
        return self._scribe.close(timeout)

    def _begin(self, exchange: Exchange | None = None) -> None:
        if self._begun:
            return
        self._begun = True
        model = self._model or (exchange.answers[0].voice.model if exchange is not None and exchange.answers else "")
        self._scribe.put("chat", {"version": lines.VERSION, "model": model}, exchange.asked if exchange else 0.0)


def entries_of(
    conversation: Conversation, home: Path, *, model: str = "", title: str = "", created: float = 0.0
) -> Iterator[Entry]:
    """A whole conversation as the lines that would have been written of it."""
    yield Entry(created, "chat", {"version": lines.VERSION, "model": model})
    last = created
    for exchange in conversation.exchanges.values():
        last = exchange.asked or last
        yield Entry(last, "asked", lines.asked_fields(exchange, home))
        for column, answer in enumerate(exchange.answers):
            if answer.text:
                said = {"exchange": exchange.number, "answer": column, "text": answer.text}
                yield Entry(last, "said", said)
            if answer.ended:
                yield Entry(last, "ended", lines.ended_fields(exchange, column, replace=False))
        if exchange.vote is not None:
            vote = {"exchange": exchange.number, "vote": exchange.vote, "blind": exchange.blind}
            yield Entry(last, "vote", vote)
    yield Entry(last, "moved", {"at": conversation.at})
    if title:
        yield Entry(last, "title", {"title": title})


def read(path: Path) -> Kept:
    """A transcript as far as it can be read.

    Raises:
        TunerError: it is not there or may not be read (`not-found`, `not-readable`).
    """
    path = path.absolute()
    kept = Kept(path)
    reading = _Reading(kept)
    try:
        with path.open("rb") as file:
            for line in file:
                reading.take(line)
    except OSError as error:
        raise read_failure(error, path) from error
    reading.end()
    return kept


class _Reading:
    """Folds lines into what they tell."""

    def __init__(self, kept: Kept) -> None:
        self._kept = kept
        self._home = kept.path.parent.parent
        self._texts: dict[tuple[int, int], list[str]] = {}
        self._take = {
            "chat": self._head,
            "asked": self._asked,
            "said": self._said,
            "ended": self._ended,
            "vote": self._vote,
            "moved": self._moved,
            "title": self._title,
        }

    def take(self, line: bytes) -> None:
        event = parse_line(line)
        if event is None:
            if line.endswith(b"\n"):
                self._kept.skipped += bool(line.strip())
            else:
                self._kept.torn = True
            return
        take = self._take.get(event["type"])
        if take is None:  # of a later version
            return
        try:
            take(event)
        except (LookupError, TypeError, ValueError, AttributeError, TunerError):
            self._kept.skipped += 1
            return
        self._kept.foreign = False
        self._kept.created = self._kept.created or float(event["t"])
        self._kept.changed = max(self._kept.changed, float(event["t"]))

    def end(self) -> None:
        """What had not ended when the last line was written was stopped there."""
        for exchange in self._kept.conversation.exchanges.values():
            for column, answer in enumerate(exchange.answers):
                if not answer.ended:
                    answer.text = "".join(self._texts.get((exchange.number, column), ()))
                    answer.state = AnswerState.STOPPED

    def _head(self, line: dict[str, Any]) -> None:
        self._kept.model = self._kept.model or lines.text_in(line, "model")

    def _asked(self, line: dict[str, Any]) -> None:
        exchange = self._kept.conversation.add(lines.exchange_of_fields(line, self._home))
        for column in range(len(exchange.answers)):
            self._texts[exchange.number, column] = []

    def _said(self, line: dict[str, Any]) -> None:
        text = lines.text_in(line, "text")
        place = lines.number_in(line, "exchange"), lines.number_in(line, "answer")
        self._texts[place].append(text)

    def _ended(self, line: dict[str, Any]) -> None:
        place = lines.number_in(line, "exchange"), lines.number_in(line, "answer")
        answer = self._kept.conversation.exchanges[place[0]].answers[place[1]]
        if answer.ended:
            raise ValueError("an answer that ends twice")
        answer.text = "".join(self._texts[place])
        lines.end_answer(answer, line)

    def _vote(self, line: dict[str, Any]) -> None:
        exchange = self._kept.conversation.exchanges[lines.number_in(line, "exchange")]
        exchange.vote, exchange.blind = lines.vote_of(line, exchange)

    def _moved(self, line: dict[str, Any]) -> None:
        self._kept.conversation.go(lines.number_in(line, "at"))

    def _title(self, line: dict[str, Any]) -> None:
        self._kept.title = lines.text_in(line, "title")[:LONGEST_TITLE]
