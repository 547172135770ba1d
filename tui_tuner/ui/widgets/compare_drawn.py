"""Draws runs that are compared: a line per run, what differs, metrics with verdicts, one row's answers. Pure functions.

Every run has a mark of its own, a sign in a colour, and keeps it everywhere; the sign alone tells it. Nothing is
computed here but what a column holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from textual.content import Content
from textual.style import Style

from tui_tuner.config.difference import Across
from tui_tuner.evaluation.against import Against, Said
from tui_tuner.evaluation.together import Together, figures_of, metric_label
from tui_tuner.runs.state import RunState
from tui_tuner.ui.charts.units import Unit, format_value
from tui_tuner.ui.status import ACTIVE, RUN_STATES
from tui_tuner.ui.text import clip, clip_middle, visible
from tui_tuner.ui.widgets.benchmark_detail import part
from tui_tuner.ui.widgets.benchmark_table import interval, label, p_value, score, signed, verdict_of
from tui_tuner.ui.widgets.data_list import cell
from tui_tuner.ui.widgets.data_pane import lines, notice
from tui_tuner.ui.worddiff import word_diff

_VALUE, _BEST, _NARROW_NAME, _WIDE_NAME = 16, 9, 18, 36
_COLUMN = 14
"""Cells from which a column of values is worth having."""


@dataclass(frozen=True)
class Mark:
    """How a run is told from the others: its sign, and the colour of it."""

    sign: str
    style: Style


@dataclass(frozen=True)
class RunLine:
    """A run in the list.

    Attributes:
        mark: its sign.
        label: its name in short.
        state: what it is doing.
        shown: whether its curve is drawn.
        reference: whether the others are judged against it.
        value, at: the figure at the crosshair, or the last one, and where it was reported; None where there is none.
        exact: whether that is where the crosshair stands.
        lowest: the best value of the curve; None where there is none.
        told: what came of judging it, or what is wrong with it.
    """

    mark: Mark
    label: str
    state: RunState
    shown: bool
    reference: bool
    value: float | None
    at: float | None
    exact: bool
    lowest: float | None
    told: str


def run_header(title: str, best: str, width: int) -> Content:
    """The heading of the list of runs.

    Args:
        title: what the values are, as `at step 60`.
        best: what the best of a curve is called.
    """
    name = _name_width(width)
    parts = [cell("run", name + 2), cell(title, _VALUE), cell(best, _BEST), Content("against the reference")]
    return Content.assemble(*parts).truncate(width, ellipsis=True)


def run_line(run: RunLine, unit: Unit, x_unit: Unit, width: int) -> Content:
    """One run: its mark and name, its value, the best one, and what it is against the reference."""
    name = _name_width(width)
    value = "–" if run.value is None else format_value(run.value, unit)
    where = "" if run.at is None or run.exact else f" @{format_value(run.at, x_unit)}"
    best = "–" if run.lowest is None else format_value(run.lowest, unit)
    head = (run.mark.sign if run.shown else "–", run.mark.style if run.shown else "$text-muted")
    sign, style = RUN_STATES[run.state]
    doing = Content.styled(f"{sign} ", style) if run.state in ACTIVE else Content("")
    told = Content.styled("the reference", "bold") if run.reference else Content(visible(run.told))
    if not run.shown:
        told = Content.assemble(("hidden · ", "$text-muted"), told)
    return Content.assemble(
        head, " ", cell(clip_middle(run.label, name - 1), name, style="bold" if run.reference else ""),
        cell(Content.assemble((value, "bold"), (where, "$text-muted")), _VALUE), cell(best, _BEST), doing, told,
    ).truncate(width, ellipsis=True)  # fmt: skip


def _name_width(width: int) -> int:
    return _WIDE_NAME if width >= 110 else _NARROW_NAME


def in_brief(against: Against | None) -> str:
    """What came of judging a run, in a clause; empty where nothing was judged."""
    if against is None:
        return ""
    if against.verdict is None:
        return against.notes[0] if against.notes else ""
    found = {word: [name for name, one in against.verdict.items() if one.verdict == word] for word in _WORDS}
    told = [
        f"{_WORDS[word]} {word} on {', '.join(label(name) for name in names)}" for word, names in found.items() if names
    ]
    return "; ".join(told) or "≈ no measurable change"


_WORDS = {"better": "▲", "worse": "▼"}


def differences(found: Sequence[Across], together: Together, marks: Sequence[Mark], width: int) -> Content:
    """The keys that differ, each with the value of every run: a table where it fits, else a block per key."""
    members = together.members
    unread = [member.label for member in members if member.experiment is None]
    foot = [notice("▲", f"not read: {', '.join(unread)}", "$text-warning", width)] if unread else []
    if not found:
        alike = "The configurations that could be read are the same." if unread else "The configurations are the same."
        return lines([Content.styled(alike, "$text-muted"), *foot])
    name = min(max(len(one.key) for one in found) + 2, 34)
    room = (width - name) // max(len(members), 1)
    if room < _COLUMN:
        return lines([*(block for one in found for block in _grouped(one, members_of(together), marks, width)), *foot])
    head = [
        _marked(mark, clip_middle(member.label, room - 3), room) for mark, member in zip(marks, members, strict=True)
    ]
    out = [Content.assemble(cell("key", name, style="$text-muted"), *head)]
    for one in found:
        usual = one.values[together.reference]
        cells = [
            cell(clip(value or "–", room - 1), room, style="" if value == usual else "bold underline")
            for value in one.values
        ]
        out.append(Content.assemble(cell(clip_middle(one.key, name - 1), name), *cells))
    return lines([*out, Content(""), Content.styled("Underlined: other than the reference.", "$text-muted"), *foot])


def members_of(together: Together) -> list[str]:
    """The runs' names in short."""
    return [member.label for member in together.members]


def _grouped(one: Across, names: Sequence[str], marks: Sequence[Mark], width: int) -> list[Content]:
    """A key, and below it each value with the runs that have it."""
    runs: dict[str, list[int]] = {}
    for at, value in enumerate(one.values):
        runs.setdefault(value or "–", []).append(at)
    out = [Content.styled(visible(one.key), "bold")]
    for value, having in runs.items():
        who = Content("  ").join(
            [Content.assemble((marks[at].sign, marks[at].style), f" {visible(names[at])}") for at in having]
        )
        out.append(
            Content.assemble("  ", clip(value, max(width // 2, 12)).ljust(14), "  ", who).truncate(width, ellipsis=True)
        )
    return out


def _marked(mark: Mark, text: str, width: int) -> Content:
    return cell(Content.assemble((mark.sign, mark.style), " ", (visible(text), "bold")), width)


def metrics(together: Together, marks: Sequence[Mark], waiting: bool, width: int) -> Content:
    """Every metric with the value of each run, its 95 % interval, and what it is against the reference."""
    out: list[Content] = []
    if waiting:
        out += [Content.styled("◌ judging the runs against the reference …", "$text-muted"), Content("")]
    names = together.metrics
    if not names:
        out.append(
            Content.styled("No run was benchmarked: evaluation.enabled, or tui-tuner evaluate RUN.", "$text-muted")
        )
    name = _name_width(width)
    for metric in names:
        out.append(Content.styled(visible(metric_label(together, metric)), "bold $text-primary"))
        for at, member in enumerate(together.members):
            figures = figures_of(member).get(metric)
            head = Content.assemble("  ", _marked(marks[at], clip_middle(member.label, name - 1), name + 2))
            line = Content.assemble(
                head, interval(dict(figures) if figures else None, 20), _change(together, at, metric)
            )
            out.append(line.truncate(width, ellipsis=True))
        out.append(Content(""))
    for at, one in enumerate(together.against):
        sentence = "" if one is None or one.verdict is None else one.verdict.sentence
        for text in ([sentence] if sentence else []) + list(one.notes if one is not None else ()):
            said = notice(marks[at].sign, f"{together.members[at].label}: {text}", "", width)
            out.append(said)
    out += [notice("·", text, "$text-muted", width) for text in together.notes]
    return lines(out)


def _change(together: Together, at: int, metric: str) -> Content:
    if at == together.reference:
        return Content.styled("the reference", "$text-muted")
    one = together.against[at]
    judged = one.verdict.get(metric) if one is not None and one.verdict is not None else None
    if judged is None:
        return Content("")
    told = judged.as_json()
    sign, word, style = verdict_of(told)
    counts = f"{judged.wins}/{judged.ties}/{judged.losses}"
    between = f" {signed(judged.low)}…{signed(judged.high)}"
    return Content.assemble(
        cell(Content.assemble((signed(judged.difference), style), (between, "$text-muted")), 22),
        (f"{sign} {word}", style), (f"  p {p_value(judged.p)}  {counts}", "$text-muted"),
    )  # fmt: skip


def row_line(together: Together, at: int, marks: Sequence[Mark], width: int) -> Content:
    """One row in the list: its number, who said something else than the reference, and what was asked."""
    row = together.rows[at]
    base = row.said[together.reference]
    signs = []
    for mark, said in zip(marks, row.said, strict=True):
        other = said is not None and base is not None and said.text != base.text
        signs.append((mark.sign if other else "·" if said is not None else " ", mark.style if other else "$text-muted"))
    prompt = " ".join(row.prompt.split())
    number = cell(f"{at}", 5, right=True, style="$text-muted")
    return Content.assemble(number, " ", *signs, " ", clip(prompt, max(width - len(signs) - 7, 4)))


def answers(together: Together, at: int, marks: Sequence[Mark], width: int) -> Content:
    """One row in full: what was asked, what is right, and what every run said, with the words that the reference
    run did not say bold and underlined."""
    row = together.rows[at]
    base = row.said[together.reference]
    out = [
        part("Prompt", Content(visible(row.prompt, lines=True)), width),
        part("Right", Content.styled(visible(row.reference, lines=True), "italic"), width),
    ]
    if row.split:
        out.append(part("Part", Content(visible(row.split)), width))
    for place, (member, said) in enumerate(zip(together.members, row.said, strict=True)):
        head = Content.assemble((marks[place].sign, marks[place].style), " ", (visible(member.label), "bold"))
        out += [Content(""), head + _scores(said, place == together.reference)]
        if said is None:
            out.append(Content.styled("  was not asked this row", "$text-muted"))
            continue
        body = _against(said.text, None if base is None or place == together.reference else base.text)
        out += [
            Content.assemble("  ", piece)
            for line in body.split("\n", allow_blank=True)
            for piece in line.wrap(max(width - 2, 12))
        ]
    return lines(out)


def _scores(said: Said | None, reference: bool) -> Content:
    told = [f"{label(name)} {score(value)}" for name, value in said.scores.items()] if said is not None else []
    told = (["the reference"] if reference else []) + told
    return Content.styled("  " + "  ".join(told), "$text-muted")


def _against(text: str, base: str | None) -> Content:
    """An answer with the words that the reference's lacks in bold and underlined."""
    shown = visible(text, lines=True)
    if base is None:
        return Content(shown)
    if base == text:
        return Content.styled("= the same answer", "$text-muted")
    pieces = word_diff(visible(base, lines=True), shown)
    if pieces is None:
        return Content(shown)
    return Content.assemble(*((piece, "" if same else "bold underline") for piece, same in pieces[1]))


def samples(together: Together, marks: Sequence[Mark], width: int) -> Content:
    """What each run said to the probes, last."""
    out: list[Content] = []
    for one in together.samples:
        out.append(part("Probe", Content(visible(one.prompt, lines=True)), width))
        for place, said in enumerate(one.said):
            who = Content.assemble(
                (marks[place].sign, marks[place].style), f" {visible(together.members[place].label)}"
            )
            if said is None:
                out.append(who + Content.styled("  was not asked", "$text-muted"))
                continue
            out.append(who + Content.styled(f"  at step {said[0]:,}", "$text-muted"))
            text = Content(visible(said[1], lines=True))
            out += [
                Content.assemble("  ", piece)
                for line in text.split("\n", allow_blank=True)
                for piece in line.wrap(max(width - 2, 12))
            ]
        out.append(Content(""))
    return lines(out or [Content.styled("No run has probes: probes.prompts gives it some.", "$text-muted")])
