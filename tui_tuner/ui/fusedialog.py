"""The table of ways to merge a run's adapter into its base, with what each keeps, and the wish to write one of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from tui_tuner.ui.text import visible
from tui_tuner.ui.typedpath import is_there, typed_path
from tui_tuner.ui.widgets.data_list import RowList
from tui_tuner.ui.widgets.models_tables import way_line, ways_header
from tui_tuner.ui.widgets.words import Hint

APART = "apart"
_ADVICE = "None of them keeps the fine-tune: leave the adapter beside its base, and hand it on with Export."


class Merge(NamedTuple):
    """What is wished: a way and a folder; `lossy` when it is known not to keep the fine-tune; or to measure anew."""

    way: str
    target: Path
    force: bool = False
    lossy: bool = False
    again: bool = False


class FuseDialog(ModalScreen[Merge | None]):
    """Shows the ways and asks which to write. Returns a wish, or None.

    Args:
        run: the run's name.
        found: as `fuse --json` prints it.
        folder: where models go.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "Back"),
        Binding("down", "choose(1)", "Next"),
        Binding("up", "choose(-1)", "Before"),
        Binding("ctrl+r", "again", "Measure again"),
    ]
    DEFAULT_CSS = """
    FuseDialog Input { margin-top: 1; width: 1fr; border: none; height: 1; padding: 0 1; background: $panel; }
    FuseDialog #fuse-said { height: auto; min-height: 2; margin-top: 1; }
    """

    def __init__(self, run: str, found: Mapping[str, Any], folder: Path) -> None:
        super().__init__()
        self._run, self._found, self._folder = run, found, folder
        self._ways: list[dict[str, Any]] = list(found["ways"])
        self._warned = ""
        """The wish that was warned of; entering it once more has it done."""

    def compose(self) -> ComposeResult:
        box = Vertical(classes="dialog")
        box.border_title = Content(f"Merge {visible(self._run)} into its base")
        with box:
            listed = RowList(id="ways")
            listed.can_focus = False  # the field keeps the focus; up and down choose
            listed.remove_class("pane")
            listed.styles.height = len(self._ways) + 1
            yield listed
            yield Static(id="fuse-way")
            yield Input(id="fuse-target", compact=True)
            yield Static(id="fuse-said")
            yield Hint("↑ ↓ way   enter writes it   ctrl+r measure again   esc back")

    def on_mount(self) -> None:
        best = self._found["recommended"]
        at = next((at for at, one in enumerate(self._ways) if one["way"] == best), 0)
        listed = self.query_one(RowList)
        listed.show(
            len(self._ways),
            lambda at, width: way_line(self._ways[at], str(best), width),
            header=ways_header,
            cursor=at,
        )
        field = self.query_one(Input)
        field.value = str(self._folder / self._run)
        field.cursor_position = len(field.value)
        field.focus()
        if best == APART:
            self._say(_ADVICE, wrong=True)
        else:
            self._say(f"Measured on {self._found['measured_on']}.")
        self._tell_way()

    def action_choose(self, step: int) -> None:
        self.query_one(RowList).cursor += step

    def on_row_list_highlighted(self, event: RowList.Highlighted) -> None:
        self._warned = ""
        self._tell_way()

    def _tell_way(self) -> None:
        one = self._ways[self.query_one(RowList).cursor]
        self.query_one("#fuse-way", Static).update(
            Content.styled(visible(f"{one['way']}: {one['text']}"), "$text-muted")
        )

    def on_input_changed(self) -> None:
        self._warned = ""

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        text = event.value.strip()
        if not text:
            self._say("Type the folder that the model shall go into.", wrong=True)
            return
        one, target = self._ways[self.query_one(RowList).cursor], typed_path(text, self._folder)
        taken = is_there(target)
        told = []
        if not one["holds"]:
            told.append("This way does not keep the fine-tune.")
        if taken:
            told.append("There is something in that place, and a model there is replaced.")
        if told and self._warned != text:
            self._warned = text
            self._say(" ".join([*told, "Enter once more does it all the same."]), wrong=True)
            return
        self.dismiss(Merge(str(one["way"]), target, taken, not one["holds"]))

    def _say(self, text: str, *, wrong: bool = False) -> None:
        sign = ("▲ ", "bold $text-warning") if wrong else ""
        self.query_one("#fuse-said", Static).update(Content.assemble(sign, Content(visible(text))))

    def action_again(self) -> None:
        self.dismiss(Merge("", self._folder, again=True))

    def action_cancel(self) -> None:
        self.dismiss(None)
