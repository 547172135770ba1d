"""The dialog that converts a model: how, with a forecast of what comes out, into which folder, measured on which rows.

It offers what the model's shapes allow and nothing else. The forecast is the engine's own, from the same request
without a folder; the dialog only shows it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.screen import ModalScreen
from textual.timer import Timer
from textual.widgets import Input, Static

from tui_tuner.engine.model_requests import ConvertModel
from tui_tuner.engine.results import Offers
from tui_tuner.paths import EMBEDDED
from tui_tuner.ui.format import number, size
from tui_tuner.ui.text import visible
from tui_tuner.ui.typedpath import dropped, is_there, typed_path
from tui_tuner.ui.widgets.data_list import RowList
from tui_tuner.ui.widgets.data_lookup import Lookup
from tui_tuner.ui.widgets.data_pane import lines, notice
from tui_tuner.ui.widgets.models_list import SIGNS
from tui_tuner.ui.widgets.models_wish import Wish
from tui_tuner.ui.widgets.words import Hint

if TYPE_CHECKING:
    from tui_tuner.engine.protocol import Engine

_LOOK = 0.2
"""Seconds between looks at the forecast."""


class Settings(RowList):
    """The list of settings; left and right step through the values of the selected one."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "step(-1)", "Value before", show=False),
        Binding("right,space", "step(1)", "Next value", show=False),
    ]

    class Stepped(Message):
        """Another value of the selected setting is wished."""

        def __init__(self, by: int) -> None:
            super().__init__()
            self.by = by

    def action_step(self, by: int) -> None:
        self.post_message(self.Stepped(by))


class ConvertDialog(ModalScreen[ConvertModel | None]):
    """Asks how to convert. Returns the request, or None.

    Args:
        engine: forecasts.
        model: as the request names it.
        name: for a person, and for the folder's name.
        offers: what the model's shapes allow.
        folder: where models go.
        data: source of the rows to measure on; empty for a few passages.
        usable: bytes that a job can have on this machine, 0 when that is not known.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "cancel", "Back")]
    DEFAULT_CSS = """
    ConvertDialog Input { width: 1fr; border: none; height: 1; padding: 0 1; background: $panel; }
    ConvertDialog .label { color: $text-muted; }
    ConvertDialog #convert-forecast { height: auto; min-height: 4; max-height: 7; margin-top: 1; }
    """

    def __init__(
        self, engine: Engine, model: str, name: str, offers: Offers, folder: Path, *, data: str = "", usable: int = 0
    ) -> None:
        super().__init__()
        self._engine, self._model, self._called, self._folder = engine, model, name, folder
        self._data, self._usable = data, usable
        self._wish = Wish(offers)
        self._forecast = Lookup()
        self._refused = ""
        """The folder that was typed and is taken; entering it once more replaces what is there."""
        self._warned = False
        """Whether a warning stands in the forecast's place; it goes with the next change."""
        self._own_name = True
        """Whether the folder follows the settings, because nobody typed another."""
        self._soon: Timer | None = None
        self._told: object = None

    def compose(self) -> ComposeResult:
        box = Vertical(classes="dialog")
        box.border_title = Content(f"Convert {visible(self._called)}")
        with box:
            settings = Settings(id="convert-settings")
            settings.remove_class("pane")
            settings.styles.height = self._wish.most
            yield settings
            yield Static(id="convert-forecast")
            yield Static("Into the folder", classes="label")
            yield Input(id="convert-target", compact=True)
            yield Static(id="convert-rows", classes="label")
            yield Input(
                self._data, placeholder="a few passages of plain text; best your own data", id="convert-data",
                compact=True,
            )  # fmt: skip
            yield Hint("↑ ↓ setting   ← → value   tab next field   enter converts   esc back")

    def on_mount(self) -> None:
        listed = self.query_one(Settings)
        self._show()
        listed.focus()
        self._ask()
        self.set_interval(_LOOK, self._look)

    def on_unmount(self) -> None:
        self._forecast.forget()

    # -- choosing -----------------------------------------------------------------------------------------------

    def on_settings_stepped(self, event: Settings.Stepped) -> None:
        self._warned = False
        names = list(self._wish.settings)
        self._wish.step(names[self.query_one(Settings).cursor], event.by)
        self._show()
        if self._soon is not None:
            self._soon.stop()
        self._soon = self.set_timer(0.15, self._ask)

    def _show(self) -> None:
        self.query_one(Settings).show(len(self._wish.settings), self._setting)
        rows = "Learns from rows, and is measured on others, of" if self._wish.learns else "Measured on the rows of"
        self.query_one("#convert-rows", Static).update(rows)
        if self._own_name:
            field = self.query_one("#convert-target", Input)
            with self.prevent(Input.Changed):
                field.value = str(self._folder / self._folder_name)
            field.cursor_position = len(field.value)

    @property
    def _folder_name(self) -> str:
        return f"{self._called.rpartition('/')[2]}-{self._wish.suffix}"

    def _setting(self, at: int, width: int) -> Content:
        name = list(self._wish.settings)[at]
        about = self._wish.about(name)
        value = (f"‹ {self._wish.value(name)} ›", "bold")
        return Content.assemble((name.ljust(8), "$text-muted"), value, (f"   {about}" if about else "", "$text-muted"))

    def on_input_changed(self, event: Input.Changed) -> None:
        self._warned = False
        if event.input.id == "convert-target":
            self._own_name = event.value.strip() == str(self._folder / self._folder_name)
            if event.value.strip() != self._refused:
                self._refused = ""

    # -- the forecast -------------------------------------------------------------------------------------------

    def _ask(self) -> None:
        request = self._wish.request(self._model, None)
        key = (request.bits, request.group_size, request.mode, request.recipe, request.dtype, request.dequantize,
               request.learned)  # fmt: skip
        self._forecast.ask(self._engine, key, request)
        self._look()

    def _look(self) -> None:
        """Shows the forecast when it has come; a taken folder is told of until the wish changes."""
        width = self.query_one("#convert-forecast").size.width
        told: object = (width, self._forecast.result or self._forecast.problem, self._before)
        if not self._warned and not self._refused and told != self._told:
            self._told = told
            self.query_one("#convert-forecast", Static).update(self._drawn())

    @property
    def _before(self) -> str:
        """What has to end before a conversion can begin; empty when nothing has to."""
        active = self._engine.active("mlx")
        return active.title if active is not None else ""

    def _drawn(self) -> Content:
        width = max(self.query_one("#convert-forecast").size.width, 40)
        if self._forecast.problem:
            return notice("✗", self._forecast.problem, "bold $text-error", width)
        found = self._forecast.result
        if not isinstance(found, dict):
            return Content.styled("◌ looking at what would come out …", "$text-muted")
        told = [forecast(found, self._usable, width)]
        if self._before:
            told.append(notice("◌", f"It will begin when {self._before} has ended.", "$text-accent", width))
        return lines(told)

    # -- the end ------------------------------------------------------------------------------------------------

    def on_row_list_chosen(self, event: RowList.Chosen) -> None:
        event.stop()
        self._convert()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self._convert()

    def _convert(self) -> None:
        text = self.query_one("#convert-target", Input).value.strip()
        target = typed_path(text, self._folder)
        data = dropped(self.query_one("#convert-data", Input).value.strip())
        if self._wish.learns and not data and not self._model.startswith(EMBEDDED):
            self.query_one("#convert-data", Input).focus()
            self._warn("This way learns from rows of yours: type their source, such as my.jsonl or hf:owner/name.")
        elif not text:
            self._warn("Type the folder that the model shall go into.")
        elif is_there(target) and self._refused != text:
            self._refused = text
            self._warn("There is something in that folder already. Enter once more replaces a model there.")
        else:
            self.dismiss(self._wish.request(self._model, target, data, force=self._refused == text))

    def _warn(self, text: str) -> None:
        self._told, self._warned = None, True
        box = self.query_one("#convert-forecast", Static)
        box.update(notice("▲", text, "bold $text-warning", max(box.size.width, 40)))

    def action_cancel(self) -> None:
        self.dismiss(None)


def forecast(found: dict[str, Any], usable: int, width: int) -> Content:
    """A forecast in words: sizes, bits, whether it fits, and what stays as it is."""
    from tui_tuner.models.facts import fit

    sign, word, style = SIGNS[fit(found["bytes"], usable)]
    head = Content.assemble(
        (f"{size(found['bytes_before'])} → {size(found['bytes'])}", "bold"),
        f" on disk and in memory, {number(found['bits_per_weight'], 3)} bits a weight",
        *((("   " + sign, style), f"{word} here") if usable else ()),
    )
    making = found.get("memory_to_make") or 0
    if making and fit(making, usable) == "too large":
        text = f"Making it takes about {size(making)}, and a job can have {size(usable)} here."
        return lines([head, notice("✗", text, "bold $text-error", width)])
    return lines([head, *(notice("·", note, "$text-muted", width) for note in found["notes"])])
