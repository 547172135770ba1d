"""The experiment as rows of a list: every key with its value, whether it is the default, and what it means here.

Pure functions from an experiment to text. Help, ranges and defaults come from `config.describe`; nothing about a key
may be written here but what its value works out to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from textual.content import Content

from tui_tuner.config.describe import FieldInfo, fields, in_toml, sections
from tui_tuner.config.model import Experiment
from tui_tuner.ui.format import count
from tui_tuner.ui.text import clip, visible
from tui_tuner.ui.widgets.data_list import cell
from tui_tuner.ui.widgets.data_pane import lines, notice, wrap


@dataclass(frozen=True)
class Setting:
    """One line of the list: a heading (`info` is None) or a key with its value."""

    section: str
    help: str
    info: FieldInfo | None = None
    value: Any = None

    @property
    def changed(self) -> bool:
        """Whether the value is another than the default; a key that must be given always counts as given."""
        return self.info is not None and (self.info.required or self.value != self.info.default)

    @property
    def text(self) -> str:
        """The value as TOML writes it."""
        return "" if self.info is None else in_toml(self.value)


def settings(experiment: Experiment, *, search: str = "", changed_only: bool = False) -> list[Setting]:
    """Headings and keys in the order of the file.

    Args:
        search: words that must all occur in a key, its value or its help, in any case.
        changed_only: leave out what is as the default says.
    """
    words = search.casefold().split()
    by_section: dict[str, list[Setting]] = {}
    for info in fields():
        setting = Setting(info.section, info.help, info, getattr(getattr(experiment, info.section), info.name))
        within = f"{info.key} {setting.text} {info.help}".casefold()
        if all(word in within for word in words) and (setting.changed or not changed_only):
            by_section.setdefault(info.section, []).append(setting)
    out: list[Setting] = []
    for section in sections():
        if section.name in by_section:
            out += [Setting(section.name, section.help), *by_section[section.name]]
    return out


def headings(rows: Sequence[Setting]) -> frozenset[int]:
    """The positions of the headings."""
    return frozenset(at for at, row in enumerate(rows) if row.info is None)


def line(row: Setting, width: int) -> Content:
    """One line of the list."""
    if row.info is None:
        return Content.assemble((row.section, "bold $text-primary"), "  ", (clip(row.help, width - 14), "$text-muted"))
    mark = ("● ", "$text-accent") if row.changed else ("  ", "")
    room = max(width - 22, 6)
    return Content.assemble(
        mark, cell(row.info.name, 20), cell(visible(row.text), room, style="bold" if row.changed else "$text-muted")
    )


def about(row: Setting, experiment: Experiment, rows: int | None, width: int) -> Content:
    """All there is to say of one key.

    Args:
        rows: training rows as far as they are known, for what depends on them.
    """
    if row.info is None:
        return Content.styled(row.help, "$text-muted")
    info = row.info
    out: list[Content] = [Content.styled(info.key, "bold $text-primary")]
    out += [Content.styled(part, "bold") for part in _value(row, width)]
    out.append(Content(""))
    out += [Content(part) for part in wrap(info.help, width)]
    out.append(Content(""))
    meaning = means(info.key, experiment, rows)
    if meaning:
        out += [notice("→", meaning, "bold $text-accent", width), Content("")]
    out += [Content.styled(part, "$text-muted") for part in wrap(f"Takes {info.wanted}.", width)]
    default = "It must be given." if info.required else f"Default: {info.default_text}"
    state = "● not the default" if row.changed and not info.required else ""
    out += [Content.styled(part, "$text-muted") for part in wrap(visible(f"{default}  {state}".rstrip()), width)]
    out.append(Content(""))
    out.append(Content.styled("To change it, edit the preset or start with", "$text-muted"))
    out.append(Content(f"  --set {info.key}={_example(info)}"))
    return lines(out)


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


def means(key: str, experiment: Experiment, rows: int | None) -> str:
    """What a value works out to in this experiment, as a sentence; empty when there is nothing to work out."""
    train, adapter = experiment.train, experiment.adapter
    batch = train.batch_size
    if key in ("train.iters", "train.batch_size"):
        seen = train.iters * batch
        epochs = f", {seen / rows:.1f} times the {count(rows)} training rows" if rows else ""
        return f"{count(train.iters)} iterations of {batch} rows see {count(seen)} rows{epochs}."
    if key == "train.grad_accumulation":
        updates = count(train.iters // train.grad_accumulation)
        return f"The weights are updated {updates} times, from {batch * train.grad_accumulation} rows each."
    if key == "adapter.scale" and adapter.method != "full":
        return f"Elsewhere this is alpha {adapter.scale * adapter.rank:g} at rank {adapter.rank}."
    if key == "adapter.layers":
        return "All layers are trained." if adapter.layers == 0 else f"The last {adapter.layers} layers are trained."
    if key == "adapter.targets" and not adapter.targets:
        return "Every linear module of those layers gets an adapter."
    if adapter.method == "full" and key in ("adapter.rank", "adapter.scale", "adapter.dropout", "adapter.targets"):
        return 'Not used: the method is "full".'
    if key == "train.save_every":
        saves = train.iters // train.save_every
        along = f"{count(saves)} checkpoint{'s' if saves != 1 else ''} along the way, and one at the end."
        return along if saves else "One checkpoint, at the end."
    if key == "train.eval_every":
        between = count((train.iters - 1) // train.eval_every)
        return f"Measured at the start, {between} times in between, and at the end."
    if key == "train.warmup" and train.warmup:
        return f"{100 * train.warmup * train.grad_accumulation / train.iters:.0f} % of the run."
    if key == "data.prompt" and experiment.data.prompt:
        wordings = len(experiment.data.prompt)
        return "Each record makes one example." if wordings == 1 else f"Each record makes {wordings} examples."
    return ""


def toml(text: str, selected: str = "") -> tuple[Content, int]:
    """TOML text without its comments, and the line of the selected key (-1 when it is not there).

    Args:
        selected: the dotted key to mark.
    """
    out: list[Content] = []
    found = -1
    section = ""
    for raw in text.split("\n"):
        shown = visible(raw)
        if shown.startswith("#") or (not shown and (not out or not out[-1])):
            continue
        if shown.startswith("["):
            section = shown.strip("[] ")
            out.append(Content.styled(shown, "bold $text-primary"))
            continue
        name, equals, value = shown.partition(" = ")
        if not equals or name.startswith((" ", '"')):
            out.append(Content(shown))
            continue
        line = Content.assemble((name, "$text-accent"), (equals, "$text-muted"), value)
        if f"{section}.{name}" == selected:
            found = len(out)
            line = line.stylize("bold underline")
        out.append(line)
    return lines(out), found
