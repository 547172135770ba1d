"""Draws one row of the data in its three forms: the record, the conversation as the template writes it, the tokens.

Functions from a preview row to text. What is trained on is never told by colour alone: trained tokens are bold and
underlined, the others dim; tokens are parted by a bar; special tokens stand in reverse. With their ids, tokens stand
below one another, each with its place and a sign for what it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, Literal

from textual.content import Content, Span

from tui_tuner.engine.results import PreviewRow
from tui_tuner.ui.format import count
from tui_tuner.ui.text import clip, visible
from tui_tuner.ui.widgets.data_pane import lines, wrap

Form = Literal["record", "conversation", "tokens"]
FORMS: tuple[Form, ...] = ("record", "conversation", "tokens")
_NAMES: dict[Form, str] = {"record": "Record", "conversation": "Conversation", "tokens": "Tokens"}

MOST_TOKENS = 3000
"""Tokens of one row that are drawn; more would make the screen wait and nobody reads them."""

TRAINED = "bold underline $text-success"
CONTEXT = "$text-muted"
SPECIAL = "reverse"
BOUNDARY = ("│", "$foreground 30%")

_SPECIAL = re.compile(r"<\|[^|<>\s]{1,60}\|>|</?(?:s|bos|eos|pad|unk|start_of_turn|end_of_turn)>|\[/?INST\]|<</?SYS>>")


def is_special(row: PreviewRow, token: int, piece: str) -> bool:
    """Whether a token is a special one: the tokenizer says, and where it was not asked, the spelling does."""
    return token in row.special if row.special is not None else _SPECIAL.fullmatch(piece.strip()) is not None


def trained_count(row: PreviewRow) -> int:
    """Tokens of the row that the loss counts; the first token of a row is never predicted."""
    return max(len(row.tokens) - max(row.offset, 1), 0)


def summary(row: PreviewRow) -> str:
    """The row's numbers in one line."""
    if not row.tokens:
        return "its tokens are not counted yet"
    parts = [f"{count(len(row.tokens))} tokens", f"{count(trained_count(row))} trained"]
    if row.truncated:
        parts.append(f"▲ {count(row.truncated)} cut off")
    return " · ".join(parts)


def prompt_start(row: dict[str, Any]) -> str:
    """The beginning of what the model is asked, for a list; for plain text, of the text."""
    if isinstance(row.get("prompt"), str):
        return str(row["prompt"])
    if isinstance(row.get("messages"), list):
        asked = [message for message in row["messages"] if isinstance(message, dict) and message.get("role") == "user"]
        return str(asked[0].get("content", "")) if asked else str(row["messages"])
    return str(row.get("text", row))


class View:
    """How a row is looked at.

    Attributes:
        form: which of its forms is shown.
        ids: whether tokens are shown with their ids.
    """

    def __init__(self) -> None:
        self.form: Form = "tokens"
        self.ids = False

    def step(self, by: int) -> None:
        """Another form."""
        self.form = FORMS[(FORMS.index(self.form) + by) % len(FORMS)]

    def toggle_ids(self) -> None:
        """With ids or without; from another form, the tokens with their ids."""
        self.ids = self.form != "tokens" or not self.ids
        self.form = "tokens"

    @property
    def titles(self) -> list[tuple[str, str]]:
        """The names of all forms, the present one in reverse."""
        return [(f" {name} ", "reverse" if form == self.form else "") for form, name in _NAMES.items()]

    @property
    def legend(self) -> Content:
        """What the signs of the form mean."""
        if self.form != "tokens":
            return Content("")
        return _ID_LEGEND if self.ids else legend()

    def draw(self, row: PreviewRow, width: int, problems: Sequence[str] = ()) -> Content:
        """The row's numbers, its problems by their codes, and the row in its form."""
        head = [Content.styled(line, "$text-muted") for line in wrap(summary(row), width)]
        if problems:
            found = wrap("▲ " + ", ".join(map(visible, problems)), width)
            head += [Content.styled(line, "$text-warning") for line in found]
        return lines([*head, Content(""), self._form_of(row, width)])

    def _form_of(self, row: PreviewRow, width: int) -> Content:
        if self.form == "record":
            return _both(row, width)
        if self.form == "conversation":
            return conversation(row)
        return token_table(row, width) if self.ids else tokens(row, width)


def _both(row: PreviewRow, width: int) -> Content:
    """The record as it was read, and the row that was made of it; one of them where they are the same."""
    if not row.record or row.record == row.row:
        return record(row.row, width)
    where = f"line {count(row.line)} of the file" if row.line else "the record"
    heads = [Content.styled(f"── {text}", "$text-muted") for text in (f"{where}, as read", "the row made of it")]
    return lines([heads[0], record(row.record, width), Content(""), heads[1], record(row.row, width)])


def record(row: dict[str, Any], width: int) -> Content:
    """A record or a prepared row, key by key, with its values as they are (long texts wrapped under their key)."""
    out: list[Content] = []
    for key, value in row.items():
        if out:
            out.append(Content(""))
        out.append(Content.styled(visible(key), "bold $text-primary"))
        if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
            for item in value:
                out.extend(_fields(item, width))
        elif isinstance(value, str):
            out.extend(_block(value, width, "  "))
        else:
            out.extend(_block(json.dumps(value, ensure_ascii=False, indent=2), width, "  "))
    return lines(out)


def _fields(item: dict[str, Any], width: int) -> list[Content]:
    out: list[Content] = []
    if "role" in item:
        out.append(Content.styled(f"  {visible(item['role'])}", "bold $text-accent"))
    for key, value in item.items():
        if key == "role":
            continue
        if key != "content":
            out.append(Content.styled(f"    {visible(key)}", "$text-muted"))
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)
        out.extend(_block(text, width, "    "))
    return out


def _block(text: str, width: int, indent: str) -> list[Content]:
    shown = visible(text, lines=True)
    return [
        Content(f"{indent}{line}") for part in shown.split("\n") for line in wrap(part, max(width - len(indent), 8))
    ]


def conversation(row: PreviewRow) -> Content:
    """The rendered text, with special tokens marked."""
    shown = visible(row.rendered, lines=True)
    content = Content(shown)
    return content.add_spans([Span(match.start(), match.end(), SPECIAL) for match in _SPECIAL.finditer(shown)])


def legend() -> Content:
    """What the token view's signs mean."""
    return Content.assemble(
        ("trained", TRAINED), ("  context only", CONTEXT), "  ", ("special", SPECIAL), "  ", BOUNDARY, " boundary"
    )


_ID_LEGEND = Content.assemble(("● trained", TRAINED), ("  · context only", CONTEXT), "  ◆ special")


def token_table(row: PreviewRow, width: int) -> Content:
    """A line for every token: its place, its id, whether it is trained on or special, and its text."""
    out = [Content.styled(f"{'at':>5} {'id':>8}", "bold $text-muted")]
    for at, (number, piece) in enumerate(row.tokens[:MOST_TOKENS]):
        trained = at >= max(row.offset, 1)
        style = TRAINED if trained else CONTEXT
        special = is_special(row, number, piece)
        text = clip(piece.replace("\n", "↵"), max(width - 20, 4)) or "∅"
        out.append(
            Content.assemble(
                (f"{at:>5} {number:>8}  ", "$text-muted"),
                ("●" if trained else "·", "bold $text-success" if trained else CONTEXT),
                " ◆ " if special else "   ",
                (text, f"{style} {SPECIAL}" if special else style),
            )
        )
    return lines([*out, *_end(row, width)])


def tokens(row: PreviewRow, width: int) -> Content:
    """Every token, with its boundaries, and the loss mask in colour and in weight."""
    parts: list[tuple[str, str]] = []
    for at, (number, piece) in enumerate(row.tokens[:MOST_TOKENS]):
        trained = at >= max(row.offset, 1)
        style = TRAINED if trained else CONTEXT
        if is_special(row, number, piece):
            style = f"{style} {SPECIAL}"
        if at and parts[-1][0] != "\n":  # A broken line parts tokens well enough.
            parts.append(BOUNDARY)
        shown = visible(piece, lines=True)
        if not shown:
            parts.append(("∅", style))
            continue
        *whole, last = shown.split("\n")
        for text in whole:
            # The line break itself is (part of) a token: its sign is shown, then the line is broken.
            parts.append((f"{text}↵", style))
            parts.append(("\n", ""))
        if last:
            parts.append((last, style))
    if not parts:
        return conversation(row)
    return lines([Content.assemble(*parts), *_end(row, width)])


def _end(row: PreviewRow, width: int) -> list[Content]:
    """What follows the tokens that are shown: those left out here, those cut off, an end that is missing."""
    out: list[Content] = []
    if len(row.tokens) > MOST_TOKENS:
        out.append(Content.styled(f"… and {count(len(row.tokens) - MOST_TOKENS)} tokens more", "italic $text-muted"))
    if row.truncated:
        cut = f"▲ {count(row.truncated)} tokens at the end are cut off: the row is longer than train.max_seq_length."
        out.extend([Content(""), *(Content.styled(line, "bold $text-warning") for line in wrap(cut, width))])
    return out
