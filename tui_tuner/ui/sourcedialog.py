"""The dialog that opens data: a field for a path or a name on the Hub, the sources opened last, and the folders here.

It returns a source that can be opened, or nothing: what cannot be is told in one sentence, and the dialog stays. It
only looks at a source's beginning, in a thread; reading it is the engine's work.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import DirectoryTree, Input, OptionList, Static
from textual.widgets.option_list import Option

from tui_tuner.errors import TunerError
from tui_tuner.paths import EMBEDDED, find_local, is_repository_name
from tui_tuner.ui.recents import recent_sources
from tui_tuner.ui.text import clip_middle, inert, visible
from tui_tuner.ui.typedpath import dropped
from tui_tuner.ui.widgets.words import Hint

_HUB = "hf:"
_DATA = re.compile(
    r"\.(jsonl?|ndjson|csv|tsv|txt|parquet|arrow)(\.(gz|bz2|xz|zst))?$|\.(gz|bz2|xz|zst)$", re.IGNORECASE
)


def named_source(text: str, base: Path | None) -> str:
    """The source that a typed text means: an absolute path, a name on the Hub, or embedded data.

    Raises:
        TunerError: it means none; says why.
    """
    name = dropped(text)
    if not name:
        raise TunerError("nothing is typed yet", fix="write a path, or hf:owner/name")
    if name.startswith(_HUB):
        if not is_repository_name(name.removeprefix(_HUB).strip("/")):
            raise TunerError("is no name of a set on the Hub", where=name, fix="write it as hf:owner/name")
        return name
    if name.startswith(EMBEDDED):
        return name
    found = find_local(name, base)
    if found is not None:
        return str(found)
    hub = f", or write {_HUB}{name} for the set on the Hub" if is_repository_name(name) else ""
    raise TunerError("there is no such file or folder", where=name, fix=f"check the path{hub}")


def check_source(text: str, base: Path | None) -> str:
    """As `named_source`, and what is on this machine is opened once.

    Raises:
        TunerError: it holds no data, for the reason that is told.
    """
    source = named_source(text, base)
    if not source.isprintable():
        raise TunerError(
            "has a control character in its name, which no configuration can hold",
            where=visible(source),
            fix="rename it",
        )
    if not source.startswith(_HUB):
        from tui_tuner.data.opening import open_source

        open_source(source, base).close()
    return source


class DataTree(DirectoryTree):
    """The folders of this machine, with the files in them that may hold data."""

    ICON_NODE, ICON_NODE_EXPANDED, ICON_FILE = "▸ ", "▾ ", "  "

    def filter_paths(self, paths: Iterable[Path]) -> Iterable[Path]:
        return [path for path in paths if not path.name.startswith(".") and (path.is_dir() or _DATA.search(path.name))]

    def process_label(self, label: str | Text) -> Text:
        # Names of files are text from outside: neither markup nor control characters may act.
        return Text(visible(label.plain if isinstance(label, Text) else label), no_wrap=True, overflow="ellipsis")


class SourceDialog(ModalScreen[str | None]):
    """Asks for data. Returns a source that can be opened, or None.

    Args:
        current: the source that is open.
        base: the folder that relative paths start from.
        text: what was dropped or pasted; it is tried at once.
    """

    BINDINGS = [("escape", "cancel", "Back")]  # noqa: RUF012
    DEFAULT_CSS = """
    SourceDialog Input { border: none; height: 1; padding: 0 1; background: $panel; }
    SourceDialog #source-said { margin: 1 0; height: auto; min-height: 2; }
    SourceDialog #source-choices { height: 1fr; }
    SourceDialog DataTree { width: 3fr; height: 1fr; background: $surface; }
    """

    def __init__(self, current: str, base: Path | None, text: str = "") -> None:
        super().__init__()
        self._current, self._base, self._text = current, base, text

    def compose(self) -> ComposeResult:
        box = Vertical(classes="dialog")
        box.border_title = "Open data"
        recent = [source for source in recent_sources() if source != self._current]
        listed = [*([self._current] if self._current else []), *recent, f"{EMBEDDED}players"]
        options = [Option(clip_middle(source, 34), id=str(at)) for at, source in enumerate(dict.fromkeys(listed))]
        self._listed = list(dict.fromkeys(listed))
        with box:
            yield Input(placeholder="a file, a folder, or hf:owner/name", id="source-path", compact=True)
            yield Static(id="source-said")
            with Horizontal(id="source-choices"):
                yield OptionList(*options, markup=False, id="source-recent")
                tree = DataTree(self._folder())
                tree.root.set_label(tree.process_label(f"{tree.root.label}"))
                yield tree
            yield Hint("tab next: field, last opened, folders   enter opens   esc go back")

    def _folder(self) -> Path:
        """Where to begin looking: beside the data that is open, else the working folder."""
        found = find_local(self._current, self._base) if self._current else None
        folder = found if found is not None and found.is_dir() else found.parent if found is not None else Path.cwd()
        return folder.parent if found is not None and found.is_dir() else folder

    def on_mount(self) -> None:
        tree = self.query_one(DataTree)
        tree.root.set_label(tree.process_label(self._folder().name or "/"))
        field = self.query_one(Input)
        field.focus()
        self._say("Type or paste a path, or choose below.")
        if self._text:
            field.value = dropped(self._text)
            self._try(field.value)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self._try(event.value)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self._take(self._listed[event.option_index])

    def on_directory_tree_file_selected(self, event: DirectoryTree.FileSelected) -> None:
        event.stop()
        self._take(str(event.path))

    def on_directory_tree_directory_selected(self, event: DirectoryTree.DirectorySelected) -> None:
        """A folder may be data too: its path is put into the field, and enter there takes it."""
        event.stop()
        self.query_one(Input).value = str(event.path)

    def _take(self, source: str) -> None:
        self.query_one(Input).value = source
        self._try(source)

    def _try(self, text: str) -> None:
        self._say("◌ looking at it …")
        self.run_worker(lambda: self._look(text), thread=True, exit_on_error=False, exclusive=True, group="source")

    def _look(self, text: str) -> None:
        """In a thread: a slow disk must not hold up the screen."""
        try:
            source = check_source(text, self._base)
        except TunerError as error:
            self.app.call_later(self._refuse, text, error.sentence())
        except Exception as error:
            self.app.call_later(self._refuse, text, f"{visible(text)} cannot be opened: {error}")
        else:
            self.app.call_later(self._open, source)

    def _open(self, source: str) -> None:
        if self.is_current:
            self.dismiss(source)

    def _refuse(self, text: str, sentence: str) -> None:
        if self.is_current and self.query_one(Input).value == text:
            self._say(sentence, wrong=True)
            self.query_one(Input).focus()

    def _say(self, text: str, *, wrong: bool = False) -> None:
        content = inert(text, "$text-muted")
        if wrong:
            content = Content.assemble(("✗ ", "bold $text-error"), inert(text, "$text-error"))
        self.query_one("#source-said", Static).update(content)

    def action_cancel(self) -> None:
        self.dismiss(None)
