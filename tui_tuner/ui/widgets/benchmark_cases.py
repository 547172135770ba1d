"""Behaviour tests and canaries of two results: what passes, what no longer does, and what was answered.

Drawing is done by functions to text; the pane shows them. What passed is told by sign and word, never by colour alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from tui_tuner.ui.format import count
from tui_tuner.ui.text import clip, visible
from tui_tuner.ui.widgets.benchmark_detail import part
from tui_tuner.ui.widgets.benchmark_table import rate
from tui_tuner.ui.widgets.data_list import RowList, cell
from tui_tuner.ui.widgets.data_pane import TextPane, lines, notice

Kind = Literal["behaviour", "canaries"]
Documents = tuple[Mapping[str, Any] | None, Mapping[str, Any] | None]
"""What was measured on the first and on the second side."""

KEYS: dict[Kind, str] = {"behaviour": "cases", "canaries": "groups"}
_STATUS = {
    "held": ("✓", "$text-success"),
    "weaker": ("▼", "bold $text-warning"),
    "died": ("✗", "bold $text-error"),
    "not known before": ("·", "$text-muted"),
}
_NAME, _RATE = 20, 18


@dataclass(frozen=True)
class Entry:
    """A case or a group of canaries, on both sides as far as it was measured there."""

    name: str
    first: Mapping[str, Any] | None
    second: Mapping[str, Any] | None

    @property
    def latest(self) -> Mapping[str, Any]:
        """The second side's, or the first's where there is no other."""
        return self.second or self.first or {}


def entries(kind: Kind, documents: Documents) -> list[Entry]:
    """The cases or groups of both sides by their names, in the second's order."""
    sides: list[dict[str, Mapping[str, Any]]] = []
    for document in documents:
        listed = (document or {}).get(KEYS[kind]) or []
        sides.append({str(one.get("name") or ""): one for one in listed if isinstance(one, Mapping)})
    first, second = sides
    return [Entry(name, first.get(name), second.get(name)) for name in dict.fromkeys([*second, *first])]


def passed(figures: Mapping[str, Any] | None) -> int:
    """How many samples or cases passed."""
    value = (figures or {}).get("passed")
    return value if isinstance(value, int) else 0


def status(entry: Entry) -> str:
    """What became of a group of canaries: as the result tells it, else by what passed before."""
    told = str(entry.latest.get("status") or "")
    if told in _STATUS:
        return told
    if entry.first is None or entry.second is None:
        return "not known before"
    before, after = passed(entry.first), passed(entry.second)
    return "held" if after >= before else "weaker" if after else "died"


def dead(documents: Documents) -> list[str]:
    """The groups of canaries that died."""
    return [entry.name for entry in entries("canaries", documents) if status(entry) == "died"]


def _behaves(entry: Entry) -> tuple[str, str, str]:
    """Sign, word and style of a behaviour test."""
    total = entry.latest.get("samples")
    right, total = passed(entry.latest), total if isinstance(total, int) else 0
    if total and right == total:
        return "✓", "passes", "$text-success"
    if right:
        return "◐", f"{count(right)} of {count(total)}", "bold $text-warning"
    return "✗", "fails", "bold $text-error"


def _verdict(kind: Kind, entry: Entry) -> tuple[str, str, str]:
    if kind == "behaviour":
        return _behaves(entry)
    word = status(entry)
    sign, style = _STATUS[word]
    return sign, word, style


def header(kind: Kind, names: tuple[str, str], width: int) -> Content:
    """The heading of the list."""
    a, b = (clip(name, _RATE - 1) for name in names)
    name = "case" if kind == "behaviour" else "group"
    return Content.assemble(cell(name, _name_width(width)), cell(a, _RATE), cell(b, _RATE))


def line(kind: Kind, entry: Entry, width: int) -> Content:
    """One case or group: how much passed on both sides, and what that means."""
    sign, word, style = _verdict(kind, entry)
    room = _name_width(width)
    return Content.assemble(
        cell(clip(entry.name, room - 1), room, style="bold"),
        rate(entry.first, _RATE), rate(entry.second, _RATE), (f"{sign} {word}", style),
    )  # fmt: skip


def _name_width(width: int) -> int:
    return min(max(width - 2 * _RATE - 18, 10), 44) if width > 2 * _RATE + 28 else _NAME


def headline(kind: Kind, documents: Documents, names: tuple[str, str], width: int) -> Content:
    """All cases in a sentence; canaries that died come first, and loud."""
    parts = []
    if kind == "canaries":
        gone = dead(documents)
        if gone:
            several = f"{count(len(gone))} canaries died" if len(gone) > 1 else "A canary died"
            text = f"{several}: {', '.join(gone)}. What the model could do before, it can no longer."
            parts.append(notice("✗", text, "bold $text-error", width).stylize("bold $text-error"))
        else:
            parts.append(notice("✓", "No canary died: what was known before is still known.", "$text-success", width))
    rates = [(name, document) for name, document in zip(names, documents, strict=True) if document]
    figures = [Content.assemble((f"{clip(name, 20)} ", "$text-muted"), rate(one, _RATE)) for name, one in rates]
    what = "Passed" if kind == "behaviour" else "Right"
    parts.append(Content.assemble((f"{what}:  ", "bold"), Content("  ").join(figures)))
    return lines(parts)


def detail(kind: Kind, entry: Entry, names: tuple[str, str], width: int) -> Content:
    """What was asked and what was answered, with what was wrong about it."""
    shown = _samples if kind == "behaviour" else _group
    return shown(entry, names, width)


def _samples(entry: Entry, names: tuple[str, str], width: int) -> Content:
    parts = [part("Prompt", Content(visible(entry.latest.get("prompt"), lines=True)), width)]
    for name, side in zip(names, (entry.first, entry.second), strict=True):
        if side is None:
            continue
        answers = side.get("answers")
        parts.append(_side(name, passed(side), len(answers) if isinstance(answers, list) else 0))
        for answer in answers if isinstance(answers, list) else []:
            if isinstance(answer, Mapping):
                parts.append(_said(answer.get("text"), bool(answer.get("passed")), answer.get("why"), width))
    return Content("\n\n").join(parts)


def _group(entry: Entry, names: tuple[str, str], width: int) -> Content:
    sides = [_cases(side) for side in (entry.first, entry.second)]
    parts = []
    named = dict.fromkeys([*sides[1], *sides[0]])
    # What went wrong comes first.
    for name in sorted(named, key=lambda name: bool((sides[1].get(name) or sides[0].get(name) or {}).get("passed"))):
        asked = (sides[1].get(name) or sides[0].get(name) or {}).get("prompt")
        found = [part(clip(name, 40) + " ", Content(""), width), part("Prompt", Content(visible(asked)), width)]
        for label, side in zip(names, sides, strict=True):
            case = side.get(name)
            if case is not None:
                said = _said(case.get("answer"), bool(case.get("passed")), case.get("why"), width - 11)
                found.append(part(clip(label, 10).capitalize(), said, width))
        parts.append(lines(found))
    return Content("\n\n").join(parts)


def _cases(side: Mapping[str, Any] | None) -> dict[str, Mapping[str, Any]]:
    cases = (side or {}).get("cases")
    listed = [case for case in cases if isinstance(case, Mapping)] if isinstance(cases, list) else []
    return {str(case.get("name") or at): case for at, case in enumerate(listed)}


def _side(name: str, right: int, total: int) -> Content:
    return Content.assemble(
        (clip(name, 40).capitalize(), "bold $text-primary"), (f"  {right} of {total} passed", "$text-muted")
    )


def _said(text: object, right: bool, why: object, width: int) -> Content:
    sign, style = ("✓", "$text-success") if right else ("✗", "bold $text-error")
    said = visible(text or "", lines=True) or "∅ (an empty answer)"
    rows = [row for line in Content(said).split("\n", allow_blank=True) for row in line.wrap(max(width - 2, 12))]
    out = [Content.assemble((f"{sign} " if not at else "  ", style), row) for at, row in enumerate(rows)]
    reasons: Sequence[object] = why if isinstance(why, list) else [why] if why else []
    out += [notice(" ", str(reason), style, width).stylize("italic $text-muted") for reason in reasons]
    return lines(out)


class CasesPane(Vertical):
    """The list of cases or groups, and the selected one in full."""

    def __init__(self, kind: Kind, *, id: str | None = None) -> None:
        super().__init__(id=id, classes="cases")
        self.kind: Kind = kind
        self.entries: list[Entry] = []
        self._names = ("before", "after")

    def compose(self) -> ComposeResult:
        yield Static("", classes="cases-head", markup=False)
        yield RowList("Behaviour tests" if self.kind == "behaviour" else "Canaries", classes="cases-list")
        yield TextPane("In full", classes="cases-detail")

    @property
    def listed(self) -> RowList:
        return self.query_one(RowList)

    @property
    def pane(self) -> TextPane:
        return self.query_one(TextPane)

    @property
    def main(self) -> Widget:
        """What has the focus while the tab is shown."""
        return self.listed if self.entries else self.pane

    def show(self, documents: Documents, names: tuple[str, str], nothing: Callable[[int], Content]) -> None:
        """Takes over what was measured; `nothing` is drawn where there is none."""
        self.entries, self._names = entries(self.kind, documents), names
        self.set_class(not self.entries, "-none")
        width = max(self.app.size.width - 4, 40)
        head = self.query_one(".cases-head", Static)
        if not self.entries:
            head.update("")
            self.pane.border_title = Content("Nothing was measured yet")
            self.pane.draw(nothing)
            return
        head.update(headline(self.kind, documents, names, width))
        self.listed.show(
            len(self.entries), lambda at, width: line(self.kind, self.entries[at], width),
            header=lambda width: header(self.kind, names, width),
        )  # fmt: skip
        self.listed.styles.height = len(self.entries) + 3
        self.show_entry()

    def show_entry(self) -> None:
        """The selected case or group in full."""
        at = self.listed.cursor
        if at < len(self.entries):
            entry = self.entries[at]
            self.pane.border_title = Content(clip(entry.name, 40))
            self.pane.draw(lambda width: detail(self.kind, entry, self._names, width))
