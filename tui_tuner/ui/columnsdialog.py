"""Who answers, side by side: any model, adapter, run or checkpoint, up to four of them in an order.

It only asks. What is typed and stands in no list is looked up by the one who opened the dialog; whether a model can be
had is the engine's to say.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from tui_tuner.chat.voices import Voice
from tui_tuner.errors import TunerError
from tui_tuner.ui.chatvoices import MOST
from tui_tuner.ui.text import clip_middle, inert
from tui_tuner.ui.typedpath import dropped
from tui_tuner.ui.widgets.words import Hint


class _Line(Input):
    """What is typed; a blank on the empty line is the dialog's."""

    async def _on_key(self, event: events.Key) -> None:
        if event.key == "space" and not self.value:
            event.prevent_default()


class ColumnsDialog(ModalScreen[list[Voice] | None]):
    """Asks who shall answer. Returns one voice or several, in their order, or None.

    Args:
        offered: who is at hand.
        chosen: who answers now.
        find: names a voice that was typed; raises TunerError where there is none.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "cancel", "Back")]
    DEFAULT_CSS = """
    ColumnsDialog Input { border: none; height: 1; padding: 0 1; background: $panel; }
    ColumnsDialog #columns-said { height: auto; min-height: 1; max-height: 3; }
    """

    def __init__(self, offered: Sequence[Voice], chosen: Sequence[Voice], find: Callable[[str], Voice]) -> None:
        super().__init__()
        self._offered = [*(voice for voice in chosen if voice not in offered), *offered]
        self._chosen = [next(each for each in self._offered if each == voice) for voice in chosen]
        self._marked = len(chosen) > 1
        self._find = find
        self._listed: list[Voice] = []

    def compose(self) -> ComposeResult:
        box = Vertical(classes="dialog")
        box.border_title = "Who answers"
        with box:
            yield Static(inert(f"One, or up to {MOST} side by side in the order they are marked in.", "$text-muted"))
            yield _Line(placeholder="part of a name, or RUN:STEP, a folder, a model", id="columns-line", compact=True)
            choices = OptionList(id="columns-list", markup=False)
            choices.can_focus = False  # the line keeps the focus; up and down choose
            yield choices
            yield Static(id="columns-said", markup=False)
            yield Hint("↑ ↓ choose   space or tab marks   enter takes   esc go back")

    def on_mount(self) -> None:
        self.query_one(Input).focus()
        self._fill("")
        if self._chosen:
            self.query_one(OptionList).highlighted = self._listed.index(self._chosen[0])

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self._fill(event.value)

    def _fill(self, typed: str, at: int = 0) -> None:
        words = typed.casefold().split()
        self._listed = [
            voice
            for voice in self._offered
            if all(word in f"{voice.label} {voice.model} {voice.adapter or ''}".casefold() for word in words)
        ]
        listed = self.query_one(OptionList)
        listed.clear_options().add_options([Option(self._line(voice)) for voice in self._listed])
        if self._listed:
            listed.highlighted = min(at, len(self._listed) - 1)
        self._say()

    def _line(self, voice: Voice) -> Content:
        letter = "ABCD"[self._chosen.index(voice)] if self._marked and voice in self._chosen else " "
        mark = "●" if voice.adapter is not None else "○"
        where = str(voice.adapter or voice.model)
        return Content.assemble(
            (f" {letter} ", "bold reverse $text-primary" if letter != " " else ""),
            f" {mark} {clip_middle(voice.label, 40):<40} ",
            (clip_middle(where, 40), "$text-muted"),
        )

    def on_resize(self) -> None:
        self._fill(self.query_one(Input).value, self.query_one(OptionList).highlighted or 0)

    def _say(self, error: TunerError | None = None) -> None:
        said, typed = self.query_one("#columns-said", Static), self.query_one(Input).value.strip()
        if error is not None:
            said.update(Content.assemble(("✗ ", "bold $text-error"), inert(error.sentence(), "$text-error")))
        elif typed and not self._listed:
            said.update(
                Content.styled("None of these; enter looks for it as a run, a folder or a model.", "$text-muted")
            )
        elif self._marked:
            each = zip("ABCD", self._chosen, strict=False)
            names = " · ".join(f"{letter} {clip_middle(voice.label, 20)}" for letter, voice in each)
            said.update(inert(names or "Nobody is marked.", "$text-muted"))
        else:
            said.update(Content(""))

    def on_key(self, event: events.Key) -> None:
        """Up and down move, and space and tab mark, while the line has the focus."""
        listed = self.query_one(OptionList)
        if event.key in ("up", "down"):
            (listed.action_cursor_up if event.key == "up" else listed.action_cursor_down)()
        elif event.key == "tab" or (event.key == "space" and not self.query_one(Input).value):
            self._mark()
        else:
            return
        event.stop()
        event.prevent_default()

    def _mark(self) -> None:
        at = self.query_one(OptionList).highlighted
        if at is None or not self._listed:
            self._look_up(mark=True)
            return
        if not self._marked:
            self._marked, self._chosen = True, []
        voice = self._listed[at]
        if voice in self._chosen:
            self._chosen.remove(voice)
        elif len(self._chosen) < MOST:
            self._chosen.append(voice)
        else:
            self._say(TunerError(f"{MOST} are marked already", code="too-many-voices", fix="unmark one first"))
            return
        self._fill(self.query_one(Input).value, at)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        at = self.query_one(OptionList).highlighted
        if event.value.strip() and not self._listed:
            self._look_up(mark=self._marked)
        elif self._marked and self._chosen:
            self.dismiss(self._chosen)
        elif at is not None and self._listed:
            self.dismiss([self._listed[at]])

    def _look_up(self, *, mark: bool) -> None:
        """Takes what was typed for a voice: as one more column, or as the only one."""
        typed = dropped(self.query_one(Input).value.strip())
        if not typed:
            return
        try:
            voice = self._find(typed)
        except TunerError as error:
            self._say(error)
            return
        if not mark:
            self.dismiss([voice])
            return
        if voice not in self._offered:
            self._offered.insert(0, voice)
        self.query_one(Input).value = ""
        self._fill("", self._offered.index(voice))
        if voice not in self._chosen or not self._marked:
            self._mark()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """A click marks."""
        event.stop()
        self._mark()

    def action_cancel(self) -> None:
        self.dismiss(None)
