"""The experiment as rows of a list: every key with its value, what it differs from, and what is wrong with it.

Pure functions from an experiment to text. Help, ranges and defaults come from `config.describe`, what a value works out
to from `config_means`; nothing about a key may be written here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from textual.content import Content

from tui_tuner.config.describe import FieldInfo, fields, in_toml, sections, value_of
from tui_tuner.config.model import Experiment
from tui_tuner.ui.text import clip, visible
from tui_tuner.ui.widgets.config_facts import Facts
from tui_tuner.ui.widgets.config_means import means
from tui_tuner.ui.widgets.data_list import cell
from tui_tuner.ui.widgets.data_pane import lines, notice, wrap

Shown = Literal["basic", "all", "changed", "compared"]
"""Which keys are listed: those for a first run (and what was changed), all, what differs from the default, or what
differs from the experiment that it is compared with."""
_NAME = 20


@dataclass(frozen=True)
class Setting:
    """One line of the list: a heading (`info` is None) or a key with its value.

    Attributes:
        other: the value in the experiment that it is compared with; the value itself where there is none.
        problem: why the value will not do, as a sentence; empty when it will.
    """

    section: str
    help: str
    info: FieldInfo | None = None
    value: Any = None
    other: Any = None
    problem: str = ""

    @property
    def key(self) -> str:
        """The dotted key; empty for a heading."""
        return self.info.key if self.info is not None else ""

    @property
    def changed(self) -> bool:
        """Whether the value is another than the default; a key that must be given always counts as given."""
        return self.info is not None and (self.info.required or self.value != self.info.default)

    @property
    def differs(self) -> bool:
        """Whether the value is another than in the experiment that it is compared with."""
        return self.info is not None and self.value != self.other

    @property
    def text(self) -> str:
        """The value as TOML writes it."""
        return "" if self.info is None else in_toml(self.value)


def settings(
    experiment: Experiment,
    *,
    search: str = "",
    show: Shown = "all",
    other: Experiment | None = None,
    problems: Mapping[str, str] | None = None,
) -> list[Setting]:
    """Headings and keys in the order of the file.

    Args:
        search: words that must all occur in a key, its value or its help, in any case; looks among all keys.
        show: which keys.
        other: what it is compared with, such as the preset.
        problems: sentences by key.
    """
    words = search.casefold().split()
    by_section: dict[str, list[Setting]] = {}
    for info in fields():
        value = value_of(experiment, info)
        against = value_of(other, info) if other is not None else value
        setting = Setting(info.section, info.help, info, value, against, (problems or {}).get(info.key, ""))
        if words:
            within = f"{info.key} {setting.text} {info.help}".casefold()
            listed = all(word in within for word in words) and (show != "changed" or setting.changed)
        else:
            listed = _listed(setting, show)
        if listed:
            by_section.setdefault(info.section, []).append(setting)
    out: list[Setting] = []
    for section in sections():
        if section.name in by_section:
            out += [Setting(section.name, section.help), *by_section[section.name]]
    return out


def _listed(setting: Setting, show: Shown) -> bool:
    if show == "compared":
        return setting.differs
    if show == "changed":
        return setting.changed
    basic = setting.info is not None and setting.info.basic
    return show == "all" or basic or setting.changed or setting.differs or bool(setting.problem)


def headings(rows: Sequence[Setting]) -> frozenset[int]:
    """The positions of the headings."""
    return frozenset(at for at, row in enumerate(rows) if row.info is None)


def next_row(rows: Sequence[Setting], at: int, wanted: Literal["differs", "problem"]) -> int | None:
    """The next row after `at`, round and round, that differs (from the compared or the default) or has a problem."""
    compared = any(row.differs for row in rows)

    def is_wanted(row: Setting) -> bool:
        if wanted == "problem":
            return bool(row.problem)
        return row.differs if compared else row.changed

    order = [*range(at + 1, len(rows)), *range(at + 1)]
    return next((place for place in order if is_wanted(rows[place])), None)


def line(row: Setting, width: int, *, compare: bool = False) -> Content:
    """One line of the list.

    Args:
        compare: whether the other value stands beside one that differs.
    """
    if row.info is None:
        return Content.assemble((row.section, "bold $text-primary"), "  ", (clip(row.help, width - 14), "$text-muted"))
    if row.problem:
        mark = ("✗ ", "bold $text-error")
    elif row.differs:
        mark = ("◆ ", "$text-warning")
    else:
        mark = ("● ", "$text-accent") if row.changed else ("  ", "")
    room = max(width - _NAME - 2, 6)
    style = "bold" if row.changed or row.differs else "$text-muted"
    name = cell(row.info.name, _NAME)
    unit = f" {row.info.unit}" if row.info.unit and isinstance(row.value, int | float) else ""
    if row.differs and compare:
        half = room // 2
        now = cell(visible(row.text), half - 1, style=style)
        was = cell(visible(f"← {in_toml(row.other)}"), room - half, style="$text-muted")
        return Content.assemble(mark, name, now, " ", was)
    shown = Content.assemble((visible(row.text), style), (unit, "$text-muted"))
    return Content.assemble(mark, name, cell(shown, room))


def about(
    row: Setting, experiment: Experiment, facts: Facts, width: int, *, against: str = "", editable: bool = True
) -> Content:
    """All there is to say of one key.

    Args:
        facts: what is known of model and data.
        against: what it is compared with, such as "preset quickstart"; empty for nothing.
        editable: whether it can be changed here.
    """
    if row.info is None:
        return Content.styled(row.help, "$text-muted")
    info = row.info
    out: list[Content] = [Content.styled(info.key, "bold $text-primary")]
    out += [Content.styled(part, "bold") for part in _value(row, width)]
    if row.problem:
        out.append(notice("✗", row.problem, "bold $text-error", width))
    meaning = means(info.key, experiment, facts)
    if meaning and not row.problem:
        out.append(notice("→", meaning, "bold $text-accent", width))
    out.append(Content(""))
    out += [Content(part) for part in wrap(info.help, width)]
    out.append(Content(""))
    muted = [f"Takes {info.wanted}{f' ({info.unit})' if info.unit else ''}."]
    state = "  ● not the default" if row.changed and not info.required else ""
    muted.append(("It must be given." if info.required else f"Default: {info.default_text}") + state)
    if against:
        muted.append(f"◆ {against} has {in_toml(row.other)}" if row.differs else f"The same in {against}.")
    muted.append(_how(info) if editable else f"--set {info.key}={_example(info)}")
    for text in muted:
        out += [Content.styled(part, "$text-muted") for part in wrap(visible(text), width)]
    return lines(out)


def _how(info: FieldInfo) -> str:
    """Which keys change it."""
    how = {
        "choice": "← → steps, enter lists.",
        "switch": "space switches.",
        "whole": "← → steps, enter types.",
        "number": "← → steps, enter types.",
        "tables": "enter goes to it in the file.",
    }
    return f"{how.get(info.kind, 'enter edits.')} x resets. Or start with --set {info.key}={_example(info)}"


def _value(row: Setting, width: int) -> list[str]:
    if isinstance(row.value, list) and row.value and len(row.text) > width:
        return [part for item in row.value for part in wrap(visible(f"• {in_toml(item)}"), width)]
    return wrap(visible(row.text), width)


def _example(info: FieldInfo) -> str:
    if info.kind == "switch":
        return "false" if info.default else "true"
    if info.kind in ("whole", "number"):
        return "NUMBER"
    return "WORD" if info.kind == "choice" else "TEXT" if info.kind == "text" else "'[…]'"


def count_of(rows: Sequence[Setting]) -> int:
    """How many keys are listed."""
    return sum(row.info is not None for row in rows)
