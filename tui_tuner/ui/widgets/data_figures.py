"""Draws the figures of a whole data set: lengths and what is cut, shares, padding, epochs, copies, answers. Pure.

Everything comes from the figures that `tui-tuner data --json` prints, and from the linter's problems. Nothing is told
by colour alone: what is cut stands right of a mark, and shares have textures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from textual.content import Content

from tui_tuner.ui.format import count, number, share
from tui_tuner.ui.text import clip
from tui_tuner.ui.widgets.data_list import cell
from tui_tuner.ui.widgets.data_pane import lines, notice, pairs

if TYPE_CHECKING:
    from tui_tuner.config.model import Experiment
    from tui_tuner.engine.dataset import DataFacts

_HEIGHT = 6
_BLOCKS = " ▁▂▃▄▅▆▇█"
_WIDEST = 4
"""Cells of a bar of the histogram at most."""


def draw(facts: DataFacts, experiment: Experiment, width: int) -> Content:
    """All figures below one another."""
    figures = facts.tokens
    if not figures:
        return Content.styled("No row could be turned into tokens; o tells why.", "$text-muted")
    parts = [
        *histogram(figures["histogram"], figures["max_seq_length"], width), Content(""),
        percentiles(figures, width), Content(""),
        *cut(figures, width), Content(""),
        *shares(figures, width), Content(""),
        *batches(figures, experiment, width), Content(""),
        *copies(facts, width),
        *labels(figures.get("labels") or {}, facts.report.counts.get("train", 0), width),
    ]  # fmt: skip
    return lines(parts)


def _heading(text: str) -> Content:
    return Content.styled(text, "bold $text-primary")


def histogram(bars: Mapping[str, Sequence[int]], limit: int, width: int) -> list[Content]:
    """Rows by length as bars, with the place where rows are cut.

    Args:
        bars: `edges` (one more than bars) and `counts`.
        limit: tokens that a row is cut at.
    """
    edges, counts = bars["edges"], bars["counts"]
    if not counts:
        return []
    cells = max(min(width // len(counts), _WIDEST), 1)
    most = max(counts)
    columns = [_column(value, most) for value in counts]
    over = [edge >= limit for edge in edges[:-1]]
    out = [_heading("Rows by length in tokens")]
    for level in range(_HEIGHT - 1, -1, -1):
        out.append(
            Content.assemble(
                *((column[level] * cells, "$text-warning" if cut_off else "$text-primary")
                  for column, cut_off in zip(columns, over, strict=True))
            )
        )  # fmt: skip
    room = cells * len(counts)
    if limit >= edges[-1]:
        out.append(Content.styled("─" * room, "$text-muted"))
        first, last = "0", count(edges[-1])
        out.append(Content.styled(first + last.rjust(room - len(first)), "$text-muted"))
        return out
    at = min(round(limit / edges[-1] * room), room - 1)
    out.append(Content.assemble(
        ("─" * at, "$text-muted"), ("▲", "bold $text-warning"), ("╌" * (room - at - 1), "$text-warning")
    ))  # fmt: skip
    out.append(_axis(f"cut at {count(limit)}", at, count(edges[-1]), room))
    return out


def _axis(mark: str, at: int, last: str, room: int) -> Content:
    """The figures below the axis: 0, the mark under its place, and the end where there is room for it."""
    start = min(max(at - len(mark) // 2, 2), max(room - len(mark), 0))
    text = ("0" if start >= 2 else "").ljust(start) + mark
    if len(text) + len(last) + 1 <= room:
        text += last.rjust(room - len(text))
    head = text.index(mark)
    return Content.assemble(
        (text[:head], "$text-muted"), (mark, "bold $text-warning"), (text[head + len(mark) :], "$text-muted")
    )


def _column(value: int, most: int) -> list[str]:
    """A bar from its foot upwards, one sign a line; what is not nothing is to be seen."""
    eighths = max(round(value / most * _HEIGHT * 8), 1) if value else 0
    return [_BLOCKS[min(max(eighths - level * 8, 0), 8)] for level in range(_HEIGHT)]


def percentiles(figures: Mapping[str, Any], width: int) -> Content:
    """How long rows are, from the middle to the longest."""
    known = figures.get("percentiles") or {
        "50": figures["median"], "90": figures["p90"], "95": figures["p95"], "99": figures["p99"], "100": figures["max"]
    }  # fmt: skip
    names = {"50": "half the rows", "100": "the longest"}
    wide = width >= 36
    rows = [
        (f"{names.get(key, f'{key} % of them')} {'up to' if wide and key != '100' else ''}".rstrip(), count(value))
        for key, value in known.items()
    ]
    mean = ("on average", f"{figures['mean']:,.1f}")
    return pairs([*rows, mean], width)


def cut(figures: Mapping[str, Any], width: int) -> list[Content]:
    """What `train.max_seq_length` takes away."""
    rows, limit = figures["truncated"], count(figures["max_seq_length"])
    if not rows:
        return [notice("✓", f"No row is cut at {limit} tokens.", "$text-success", width)]
    some = "1 row is" if rows == 1 else f"{count(rows)} rows are"
    lost = f"{count(figures['lost'])} tokens ({share(figures['lost'] / figures['total'])}) are lost"
    advice = f"train.max_seq_length = {count(figures['max']).replace(',', '')} would keep all of them"
    return [notice("▲", f"{some} cut at {limit} tokens: {lost}. {advice}.", "bold $text-warning", width)]


def shares(figures: Mapping[str, Any], width: int) -> list[Content]:
    """Prompt against answer, and what an epoch trains on."""
    prompt = figures["prompt_share"]
    room = min(width, 48)
    cells = round(prompt * room)
    bar = Content.assemble(("░" * cells, "$text-muted"), ("█" * (room - cells), "$text-success"))
    text = f"░ prompt {share(prompt)}   █ answer {share(1 - prompt)}"
    trained = f"{count(figures['trainable'])} tokens trained on in an epoch"
    return [_heading("Prompt and answer"), bar, Content(clip(text, width)), Content.styled(trained, "$text-muted")]


def batches(figures: Mapping[str, Any], experiment: Experiment, width: int) -> list[Content]:
    """Padding in both modes, and how many steps an epoch has."""
    padding, steps = figures.get("padding"), figures.get("steps_per_epoch")
    if not padding or not steps:
        return []
    train = experiment.train
    rows = [(f"{mode} mode", f"{share(padding[mode])} padding{'  ← chosen' if train.mode == mode else ''}")
            for mode in ("fast", "stock")]  # fmt: skip
    epochs = train.iters / steps if train.iters else 0.0
    run = [("this run", f"{count(train.iters)} steps, {number(epochs, 3)} epochs")] if epochs else []
    speed = padding["speedup"]
    saved = [("", f"fast computes {number(speed, 3)} times less")] if speed > 1.05 else []
    table = [*rows, *saved, ("an epoch", f"{count(steps)} steps"), *run]
    return [_heading(f"Batches of {padding['batch_size']}"), pairs(table, width)]


def copies(facts: DataFacts, width: int) -> list[Content]:
    """Rows that are there more than once."""
    found = [problem for problem in facts.report.problems if problem.code in ("duplicates", "near-duplicates")]
    if not found:
        return [notice("✓", "No training row repeats another.", "$text-success", width)]
    return [notice("▲", f"{problem.message[:1].upper()}{problem.message[1:]}.", "$text-warning", width)
            for problem in found]  # fmt: skip


def labels(found: Mapping[str, Any], rows: int, width: int) -> list[Content]:
    """How often the commonest answers occur; for long answers only how many differ."""
    if not found or not found.get("top") or not rows:
        return []
    distinct = found["distinct"]
    title = [Content(""), _heading("Answers")]
    if not found["short"]:
        return [*title, Content(f"{count(distinct)} different of {count(rows)}")]
    answer, times = found["top"][0]
    much = times / rows >= 0.4 and distinct > 1
    said = f"{count(times)} of {count(rows)} answers are the same" if times > 1 else "no answer occurs twice"
    out = [*title, notice("▲" if much else "·", f"{said}; {count(distinct)} differ.", "bold $text-warning", width)]
    if times == 1:
        return out
    room = max(min(width - 18, 40), 8)
    for answer, times in found["top"]:
        part = times / rows
        bar = "█" * max(round(part * 8), 1)
        shown = cell(clip(answer, room), room)
        out.append(Content.assemble(shown, f"{count(times):>7} ", (bar, "$text-primary")))
    return out
