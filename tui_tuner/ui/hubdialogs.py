"""The dialogs about the Hub and about trust: what to download, what an upload sends, whether a model's code may run.

Each shows what would happen before it asks, and returns a wish; the engine does it. What comes from the Hub or from a
model is shown as text.
"""

from __future__ import annotations

from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from tui_tuner.engine.hub_requests import Code, DownloadModel, UploadModel
from tui_tuner.engine.protocol import Engine
from tui_tuner.paths import is_repository_name
from tui_tuner.ui.format import size
from tui_tuner.ui.text import clip_middle, visible
from tui_tuner.ui.widgets.data_lookup import Lookup
from tui_tuner.ui.widgets.words import Hint

_LOOK = 0.25
_ESCAPE: list[BindingType] = [Binding("escape", "cancel", "Back")]


class _Dialog(ModalScreen[Any]):
    """A field, and a line that says what stands in the way or what would happen."""

    BINDINGS: ClassVar[list[BindingType]] = _ESCAPE
    DEFAULT_CSS = """
    _Dialog Input { width: 1fr; border: none; height: 1; padding: 0 1; background: $panel; margin-top: 1; }
    _Dialog #hub-said { margin-top: 1; height: auto; min-height: 3; max-height: 8; }
    _Dialog VerticalScroll { height: auto; max-height: 14; }
    """

    def say(self, text: str, sign: str = "") -> None:
        """Shows a sentence, with a sign before it."""
        style = {"✗": "bold $text-error", "▲": "bold $text-warning", "✓": "bold $text-success"}.get(sign, "$text-muted")
        mark = (f"{sign} ", style) if sign else ""
        self.query_one("#hub-said", Static).update(Content.assemble(mark, Content(visible(text, lines=True))))

    def action_cancel(self) -> None:
        self.dismiss(None)


class DownloadDialog(_Dialog):
    """Asks for a repository and shows what would be fetched. Returns the download, or None.

    Args:
        engine: finds out what would be fetched.
        name: a repository to begin with; empty for none.
    """

    def __init__(self, engine: Engine, name: str = "") -> None:
        super().__init__()
        self._engine, self._name = engine, name
        self._plan = Lookup()
        self._told: object = None

    def compose(self) -> ComposeResult:
        box = Vertical(classes="dialog")
        box.border_title = "Download from the Hub"
        with box:
            yield Static("A repository: owner/name, or owner/name@version", classes="label")
            yield Input(self._name, placeholder="mlx-community/…", id="hub-name", compact=True)
            yield Static(id="hub-said")
            yield Hint("enter shows what would be fetched, once more fetches it   esc back")

    def on_mount(self) -> None:
        self.query_one(Input).focus()
        self.set_interval(_LOOK, self._look)
        if self._name:
            self._ask()
        else:
            self.say("Only safetensors and text are fetched, into the Hub's cache.")

    def on_unmount(self) -> None:
        self._plan.forget()

    @property
    def _wish(self) -> DownloadModel | None:
        name, _, revision = self.query_one(Input).value.strip().partition("@")
        return DownloadModel(name, revision) if is_repository_name(name) else None

    def on_input_changed(self) -> None:
        self._told = None
        wish = self._wish
        if wish is None or not self._plan.asked((wish.name, wish.revision)):
            self._plan.forget()
            self.say("")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        wish = self._wish
        if wish is None:
            self.say("Write it as owner/name.", "▲")
        elif self._plan.asked((wish.name, wish.revision)) and isinstance(self._plan.result, dict):
            self.dismiss(wish)
        else:
            self._ask()

    def _ask(self) -> None:
        wish = self._wish
        if wish is not None:
            request = DownloadModel(wish.name, wish.revision, only_plan=True)
            self._plan.ask(self._engine, (wish.name, wish.revision), request, again=bool(self._plan.problem))
            self._told = None
            self._look()

    def _look(self) -> None:
        told = (self._plan.handle, self._plan.waiting)
        if self._plan.handle is None or told == self._told:
            return
        self._told = told
        found = self._plan.result
        if self._plan.problem:
            self.say(self._plan.problem, "✗")
        elif not isinstance(found, dict):
            self.say("asking the Hub …", "◌")
        elif not found["missing_files"]:
            self.say(f"It is whole in the Hub's cache: {found['files']} files, {size(found['bytes'])}.", "✓")
        else:
            self.say(plan_sentence(found) + "\nEnter downloads it.", "✓")


def plan_sentence(found: dict[str, Any]) -> str:
    """What a download would fetch, and that there is room for it."""
    rest = "" if found["missing_bytes"] == found["bytes"] else f" of {size(found['bytes'])}; the rest is in the cache"
    return f"{found['missing_files']} files, {size(found['missing_bytes'])} to download{rest}. There is room for it."


class UploadDialog(_Dialog):
    """Asks where to, and whether others may see it. Returns the upload, or None.

    Args:
        what: as the request names it.
        called: for a person.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        *_ESCAPE,
        Binding("down", "choose(1)", "Next"),
        Binding("up", "choose(-1)", "Before"),
    ]

    def __init__(self, what: str, called: str) -> None:
        super().__init__()
        self._what, self._called = what, called

    def compose(self) -> ComposeResult:
        box = Vertical(classes="dialog")
        box.border_title = Content(f"Upload {visible(self._called)}")
        with box:
            choices = OptionList(
                Option("private   only you see it"), Option("public    everybody sees it"), markup=False
            )
            choices.can_focus = False  # the field keeps the focus; up and down choose
            yield choices
            yield Input(placeholder="owner/name", id="hub-name", compact=True)
            yield Static(id="hub-said")
            yield Hint("↑ ↓ who sees it   enter shows what would be sent   esc back")

    def on_mount(self) -> None:
        self.query_one(OptionList).highlighted = 0
        self.query_one(Input).focus()
        self.say("Weights, configuration, tokenizer and a card are sent; no rows, no logs, no places on this machine.")

    def action_choose(self, step: int) -> None:
        listed = self.query_one(OptionList)
        listed.highlighted = ((listed.highlighted or 0) + step) % 2

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        name = event.value.strip()
        if not is_repository_name(name):
            self.say("Write it as owner/name.", "▲")
            return
        self.dismiss(UploadModel(self._what, name, private=self.query_one(OptionList).highlighted == 0))


class UploadConfirm(_Dialog):
    """Shows what an upload sends, and waits for a typed yes. Returns whether it came.

    Args:
        found: the plan, as `tui-tuner upload --plan --json` prints it.
    """

    def __init__(self, found: dict[str, Any]) -> None:
        super().__init__()
        self._found = found

    def compose(self) -> ComposeResult:
        box = Vertical(classes="dialog")
        box.border_title = Content(f"Upload into {visible(str(self._found['repository']))}?")
        with box:
            yield Static(self._head())
            with VerticalScroll():
                yield Static(self._files())
            yield Input(placeholder="type yes to send it", id="hub-name", compact=True)
            yield Static(id="hub-said")
            yield Hint("enter with yes sends it   tab and ↑ ↓ scroll   esc back")

    def on_mount(self) -> None:
        self.query_one(Input).focus()
        if self._found["replaces"]:
            self.say(f"What is marked with ▲ will be replaced: {len(self._found['replaces'])} in all.", "▲")

    def _head(self) -> Content:
        found = self._found
        seen = "private: only you see it" if found["private"] else "public: everybody sees it"
        there = "It is there already" if found["exists"] else "It will be made"
        return Content.assemble((f"{len(found['files'])} files, {size(found['bytes'])}. ", "bold"), f"{there}, {seen}.")

    def _files(self) -> Content:
        found = self._found
        rows = []
        for one in found["files"]:
            mark = "▲" if one["path"] in found["replaces"] else " "
            rows.append(f"{mark} {size(one['bytes']):>9}  {visible(one['path'])}")
        card = [f"│ {visible(line)}" for line in str(found["card"]).splitlines()]
        return Content("\n".join([*rows, "", "The card, README.md:", *card]))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        if event.value.strip().lower() == "yes":
            self.dismiss(True)
        else:
            self.say("Nothing is sent until yes is typed.", "▲")


class TrustDialog(_Dialog):
    """Says what a model's code could do, and wants the model's name typed. Returns whether it was.

    Args:
        code: what the model brings.
        folder: where its files can be read.
    """

    def __init__(self, code: Code, folder: str) -> None:
        super().__init__()
        self._code, self._folder = code, folder

    def compose(self) -> ComposeResult:
        box = Vertical(classes="dialog")
        box.border_title = Content(f"Run the code of {visible(self._code.name)}?")
        with box:
            yield Static(Content(visible(self._code.meaning)))
            yield Static(Content(f"\nRead the files first, in {visible(clip_middle(self._folder, 100))}"))
            yield Static(
                Content("A consent holds for exactly these files, until the program ends; a changed file asks anew.")
            )
            yield Input(placeholder=f"type {visible(self._code.name)} to allow it", id="hub-name", compact=True)
            yield Static(id="hub-said")
            yield Hint("enter with the name allows it   esc leaves it refused")

    def on_mount(self) -> None:
        self.query_one(Input).focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        if event.value.strip() == self._code.name:
            self.dismiss(True)
        else:
            self.say(f"Type {self._code.name}, or leave with esc.", "▲")
