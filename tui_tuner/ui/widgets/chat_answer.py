"""One answer as a column of rows: who says it, what was said so far, and how it stands.

It grows at its end: what an update costs depends on what is new. A text that comes all at once is taken in portions, so
that a megabyte keeps no key waiting. It draws what an answer holds and decides nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain, islice, takewhile

from tui_tuner.chat.conversation import Answer, AnswerState, Exchange
from tui_tuner.chat.reply import ChatReply
from tui_tuner.chat.voices import Voice
from tui_tuner.ui.format import count
from tui_tuner.ui.text import clip_middle, visible
from tui_tuner.ui.widgets.chat_diff import marked
from tui_tuner.ui.widgets.chat_inside import LEGEND, Tokens, told
from tui_tuner.ui.widgets.chat_parts import Body
from tui_tuner.ui.widgets.chat_rows import BOLD, ITALIC, Ink, Row, Run, Tone, set_runs
from tui_tuner.ui.widgets.chat_view import LogView

PORTION = 8_000
"""Characters that are set in one update."""
MOST_COMPARED = 24_000
"""Characters of answers that are compared word by word."""

_ADAPTERS: tuple[tuple[str, Tone], ...] = (("●", "second"), ("◆", "third"), ("■", "fourth"), ("▲", "first"))
_LETTERS = "ABCDEFGH"


def figures(reply: ChatReply) -> str:
    """A reply's numbers in one line."""
    prompt = f"prompt {count(reply.prompt_tokens)}"
    if reply.reused:
        prompt += f", {count(reply.reused)} of it kept"
    return " · ".join(
        [
            f"{count(reply.tokens)} tokens at {reply.tokens_per_second:.1f}/s",
            f"first after {reply.time_to_first_token:.2f} s",
            prompt,
        ]
    )


def _cut_off(reply: ChatReply) -> str:
    """Where an answer ended that had not come to its end."""
    if reply.context and reply.prompt_tokens + reply.tokens >= reply.context:
        return f"cut off at the end of the model's context of {count(reply.context)} tokens"
    return "cut off at the token limit"


@dataclass(frozen=True)
class Face:
    """How a column is told from the others: by a sign, a colour and a name.

    Attributes:
        letter: of a column in a blind comparison, empty else.
        hidden: whether the name must not be told yet.
    """

    mark: str
    tone: Tone
    name: str
    letter: str = ""
    hidden: bool = False


def faces(exchange: Exchange, view: LogView) -> list[Face]:
    """One for each answer of an exchange."""
    hidden = view.blind and exchange.vote is None and len(exchange.answers) > 1
    lettered = hidden or (exchange.blind and len(exchange.answers) > 1)
    out: list[Face] = []
    adapters = 0
    base: tuple[str, Tone] = ("○", "first")
    for number, answer in enumerate(exchange.answers):
        letter = _LETTERS[number % len(_LETTERS)] if lettered else ""
        if hidden:
            out.append(Face("", "muted", "", letter, True))
            continue
        mark, tone = base if answer.voice.adapter is None else _ADAPTERS[adapters % len(_ADAPTERS)]
        adapters += answer.voice.adapter is not None
        out.append(Face(mark, tone, visible(answer.voice.label or answer.voice.name), letter))
    return out


class Column:
    """The rows of one answer.

    Attributes:
        answer: what is drawn.
        behind: whether there is text that was not set yet.
        waiting: why it has not begun, as a sentence.
        tokens: what one sees inside, where that is looked at.
    """

    def __init__(self, answer: Answer, ink: Ink) -> None:
        self.answer = answer
        self.behind = False
        self.waiting = ""
        self._ink = ink
        self._width = 1
        self._face = Face("", "text", "")
        self._view = LogView()
        self._chosen = False
        self._against: str | None = None
        self._leads = False
        self._foot: list[Row] = []
        self._drawn: tuple[object, ...] = ()  # what was drawn last, in short
        self._begin()

    def lay(
        self,
        width: int,
        face: Face,
        view: LogView,
        *,
        chosen: bool = False,
        against: str | None = None,
        leads: bool = False,
    ) -> None:
        """Sets everything anew.

        Args:
            chosen: whether it was found the better one.
            against: the text whose words it is compared with; None for none.
            leads: whether it is the one that the other is held against.
        """
        self._width, self._face, self._view, self._chosen = max(width, 8), face, view, chosen
        self._against, self._leads = against, leads
        self._begin()
        self.grow()

    @property
    def tone(self) -> Tone:
        return self._face.tone

    @property
    def height(self) -> int:
        return 1 + len(self.rows) + len(self._tail) + len(self._foot)

    @property
    def rows(self) -> list[Row]:
        """Those of its rows, below its head, that what is still to come does not change."""
        if self.tokens is not None:
            return self.tokens.rows
        return self._body.rows if self._marked is None else self._marked

    def row(self, at: int) -> Row:
        """One of its rows, from 0; empty below its end."""
        if at == 0:
            return self._head
        at -= 1
        for rows in (self.rows, self._tail, self._foot):
            if at < len(rows):
                return rows[at]
            at -= len(rows)
        return ()

    def grow(self) -> int | None:
        """Takes in what is new of the answer.

        Returns:
            The first row that may look otherwise than before; None when there is nothing new.
        """
        answer = self.answer
        drawn = (len(answer.text), answer.state, answer.problem, self.waiting, answer.reply is None)
        if drawn == self._drawn and not self.behind:
            return None
        self._drawn = drawn
        rows, settled, before = self.rows, len(self.rows), [*self._tail, *self._foot]
        self._take_in()
        self._foot = self._make_foot()
        if self.rows is not rows:
            return 0
        after = chain(islice(rows, settled, None), self._tail, self._foot)
        # A paragraph is set anew with every word; the lines of it that came out as they were cost nothing more.
        same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(before, after, strict=False)))
        return 1 + settled + same

    # -- what it does --------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        view, answer = self._view, self.answer
        inside = view.inside.get(answer) if answer.ended and not self._face.hidden else None
        self.tokens = None if inside is None else Tokens(inside, self._width, self._ink)
        self._marked: list[Row] | None = None
        self._note = ""
        if inside is None and self._against is not None and answer.ended:
            self._compare(self._against)
        self._body = Body(self._width, self._ink, raw=view.raw, unfold=view.unfold)
        self._foot = []
        self._tail: list[Row] = []
        self._seen = ""  # the answer's text, as far as it was set
        self._over = False
        self._drawn = ()
        self._head = self._make_head()

    def _compare(self, other: str) -> None:
        """Marks what another text has not; a long one is left as it is."""
        if max(len(self.answer.text), len(other)) > MOST_COMPARED:
            self._note = "too long to be compared word by word"
            return
        self._marked, self._note = marked(self.answer.text, other, self._width, self._ink, first=self._leads)

    def _take_in(self) -> None:
        answer, body = self.answer, self._body
        if self.tokens is not None or self._marked is not None:
            return
        text = answer.text
        if not text.startswith(self._seen) or (self._over and len(text) > len(self._seen)):
            self._begin()
            body = self._body
        upto = min(len(text), len(self._seen) + PORTION)
        self.behind = upto < len(text)
        if upto > len(self._seen):
            body.write(text[len(self._seen) : upto])
            self._seen = text[:upto]
        if answer.ended and not self.behind and not self._over:
            self._over = True
            body.end()
        tail = body.tail
        if answer.state is AnswerState.RUNNING and text:
            sign = self._ink.segment("▍", self._face.tone)
            tail = [*tail[:-1], (*tail[-1], sign)] if tail else [(sign,)]
        self._tail = tail

    def _make_head(self) -> Row:
        face, ink = self._face, self._ink
        star: list[Run] = [("★ ", "good", BOLD)] if self._chosen else []
        if face.hidden:
            return ink.row(*star, (face.letter, "strong", BOLD))
        letter = f"{face.letter} · " if face.letter else ""
        room = max(self._width - 2 - len(letter) - 2 * len(star), 4)
        return ink.row(*star, (f"{letter}{face.mark} {clip_middle(face.name, room)}", face.tone, BOLD))

    def _make_foot(self) -> list[Row]:
        answer = self.answer
        runs: list[Run] = []
        if answer.state is AnswerState.WAITING:
            runs.append((f"◌ {visible(self.waiting or 'waits for its turn …')}", "warning", 0))
        elif answer.state is AnswerState.RUNNING:
            if not answer.text:
                runs.append(("◌ reading the prompt …", "muted", 0))
        elif answer.state is AnswerState.FAILED:
            runs.append((f"✗ {visible(answer.problem)}", "error", BOLD))
        else:
            if not answer.text:
                runs.append(("(an empty answer)  ", "muted", ITALIC))
            if answer.state is AnswerState.STOPPED:
                runs.append(("■ stopped  ", "warning", BOLD))
            elif answer.reply is not None and answer.reply.finish == "length":
                runs.append((f"▲ {_cut_off(answer.reply)}  ", "warning", BOLD))
            if answer.reply is not None and not self._face.hidden:
                runs.append((figures(answer.reply), "muted", 0))
        rows: list[Row] = []
        if self.tokens is not None:
            rows += set_runs([*LEGEND, (f" · {told(self.tokens.inside)}", "muted", 0)], self._width, self._ink)
        if self._note and not self._leads:
            rows += set_runs([(self._note, "head", 0)], self._width, self._ink)
        return [*rows, *(set_runs(runs, self._width, self._ink) if runs else [])]


class ReferenceColumn(Column):
    """What a row of the data set has as its answer, and how probable it is to those who answered."""

    def __init__(self, exchange: Exchange, ink: Ink) -> None:
        self._exchange = exchange
        super().__init__(Answer(Voice("", None, "reference"), exchange.reference, AnswerState.DONE), ink)

    def _make_foot(self) -> list[Row]:
        rows: list[Row] = []
        found = faces(self._exchange, self._view)
        for answer, face in zip(self._exchange.answers, found, strict=True):
            inside = self._view.references.get(answer)
            if inside is not None and not face.hidden:
                line: list[Run] = [(f"{face.mark} ", face.tone, 0), (told(inside), "muted", 0)]
                rows += set_runs(line, self._width, self._ink)
        if not rows and self._exchange.source:
            rows = set_runs([(f"row {visible(self._exchange.source)}", "muted", 0)], self._width, self._ink)
        return rows
