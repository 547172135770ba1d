"""The source and what is made of it, as a list of settings: what it was taken for, templates, sieve, division, columns.

Pure: from an experiment and the facts of its source to lines. A line that can be changed names its key; changing is the
screen's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual.content import Content

from tui_tuner.ui.format import count, share
from tui_tuner.ui.text import clip, clip_middle, visible
from tui_tuner.ui.widgets.data_list import cell
from tui_tuner.ui.widgets.data_pane import wrap

if TYPE_CHECKING:
    from tui_tuner.config.data_section import DataSection
    from tui_tuner.config.model import Experiment
    from tui_tuner.data.sourcefacts import SourceFacts

_LABEL = 11
WORDING, NEW_WORDING = "wording:", "wording:new"
"""Beginning of the keys of wordings, which are prompt and completion together."""
_DELIMITED = ("csv", "tsv")
_TEXTS = ("json", "lines", *_DELIMITED)
"""What the formats of text files begin with."""
_HEADERS = {"auto": "found out", "yes": "names the columns", "no": "is none"}
_BRANCHES = {"best": "the best-ranked replies", "longest": "the longest", "all": "every one"}
_MODES = {"records": "single records", "grouped": "groups", "facts": "facts in words"}


@dataclass(frozen=True)
class Line:
    """A line of the list.

    Attributes:
        label: what it is.
        value: how it stands.
        key: the key that enter changes; empty for a line that only tells.
        style: of the value, or of all of a heading.
    """

    label: str
    value: str = ""
    key: str = ""
    style: str = ""

    def draw(self, width: int) -> Content:
        """The line in so many cells."""
        if not self.value and not self.key:
            return cell(self.label, width, style=self.style)
        room = max(width - _LABEL, 4)
        label = cell(self.label, _LABEL - 1, style="$text-muted")
        return Content.assemble(label, " ", cell(clip(self.value, room), room, style=self.style))


def lines_of(
    experiment: Experiment, facts: SourceFacts | None, problem: str, width: int, records: int = 0
) -> list[Line]:
    """Everything about source and mapping.

    Args:
        facts: what is known of the source, or None while nothing is.
        problem: why nothing will be known; empty when that is not so.
        width: cells of the list, for what is wrapped.
        records: how many the whole source has, where that was found out since; else 0.
    """
    data = experiment.data
    out = [_heading("Source"), Line("source", clip_middle(_short(data.source), max(width - _LABEL, 8)), "data.source",
                                    "bold")]  # fmt: skip
    if facts is None:
        text = problem or "◌ looking at its first records …"
        return [*out, *_told(("✗ " if problem else "") + text, width, "$text-error" if problem else "$text-muted")]
    out += [*_source(data, facts, records), _blank(), *_taken(data, facts, width), _blank()]
    out += [*_templates(data, facts), _blank()]
    out += [*_sieve(experiment), _blank(), *_division(data, facts, width), _blank(), _heading("Columns")]
    return [*out, *(Line(visible(path), _value(value)) for path, value in facts.columns.items())]


def _heading(text: str) -> Line:
    return Line(text, style="bold $text-primary")


def _blank() -> Line:
    return Line("")


def _told(text: str, width: int, style: str = "$text-muted") -> Iterator[Line]:
    return (Line(part, style=style) for part in wrap(visible(text), max(width, 12)))


def _short(source: str) -> str:
    """A path under the home folder begins with a tilde."""
    home = str(Path.home())
    return f"~{source[len(home) :]}" if source.startswith(f"{home}/") else source


def _value(value: Any) -> str:
    return "–" if value is None else visible(value if isinstance(value, str) else str(value))


def _source(data: DataSection, facts: SourceFacts, records: int) -> Iterator[Line]:
    # A source with splits of its own counts the records that are trained on, which a count of all does not tell.
    counted = facts.complete or (records > 0 and not facts.splits)
    found = facts.rows if facts.complete or not counted else records
    yield Line("read as", f"{facts.format}, {count(found)}{'' if counted else ' and more'} records")
    if facts.splits:
        yield Line("brings", ", ".join(facts.splits))
    if facts.format.startswith(_TEXTS) or data.encoding:
        yield _found_out("encoding", data.encoding)
    if facts.format in _DELIMITED or data.delimiter:
        yield _found_out("delimiter", "tab" if data.delimiter == "\t" else data.delimiter)
        yield Line("header", _HEADERS[data.header], "data.header")


def _found_out(name: str, value: str) -> Line:
    """A property of the file that is found out unless it is named."""
    return Line(name, visible(value) or "found out", f"data.{name}", "" if value else "$text-muted")


def _taken(data: DataSection, facts: SourceFacts, width: int) -> Iterator[Line]:
    guess = facts.guess
    yield _heading("Taken as")
    if data.prompt:
        yield Line("shape", "by templates", "data.shape", "bold")
        return
    sure = "set" if data.shape != "auto" else f"{share(guess.confidence)} sure"
    doubt = "" if guess.trainable and guess.confidence >= 0.5 else "▲ "
    yield Line("shape", f"{doubt}{guess.shape}, {sure}", "data.shape", "bold $text-warning" if doubt else "bold")
    if guess.why:
        yield from _told(guess.why, width)
    others = [other.shape for other in facts.guesses if other.shape != guess.shape]
    if others:
        yield from _told(f"or {', '.join(others)}", width)
    if guess.shape == "tree":
        yield Line("branches", _BRANCHES[data.tree], "data.tree")


def _templates(data: DataSection, facts: SourceFacts) -> Iterator[Line]:
    yield _heading("Templates")
    if not data.prompt:
        mapping = facts.guess.mapping
        for role, text in mapping.items():
            yield Line(role, text.replace("\n", "↵"), f"{WORDING}0" if role in ("prompt", "completion") else "",
                       "$text-muted")  # fmt: skip
    for at, text in enumerate(data.prompt):
        name = "prompt" if len(data.prompt) == 1 else f"prompt {at + 1}"
        yield Line(name, text.replace("\n", "↵"), f"{WORDING}{at}")
    for at, text in enumerate(data.completion):
        yield Line("answer" if len(data.completion) == 1 else f"answer {at + 1}", text.replace("\n", "↵"),
                   f"{WORDING}{at}")  # fmt: skip
    yield Line("+", "another wording" if data.prompt else "write templates", NEW_WORDING, "$text-primary")
    yield Line("system", data.system.replace("\n", "↵") or "none", "data.system", "" if data.system else "$text-muted")


def _sieve(experiment: Experiment) -> Iterator[Line]:
    data = experiment.data
    yield _heading("Taken of it")
    yield Line("filter", " and ".join(data.filter) or "none", "data.filter", "" if data.filter else "$text-muted")
    yield Line("sample", count(data.sample) if data.sample else "all", "data.sample")
    yield Line("slice", data.slice or "all", "data.slice")
    yield Line("seed", str(experiment.run.seed), "run.seed")
    yield Line("learnt", "the answers only" if data.mask_prompt else "prompts and answers", "data.mask_prompt")


def _division(data: DataSection, facts: SourceFacts, width: int) -> Iterator[Line]:
    yield _heading("Held back")
    advice = facts.advice
    if not facts.splits:
        yield Line("by", _MODES[data.split], "data.split")
        if data.split != "records" or data.group:
            yield Line("group", ", ".join(data.group) or "none", "data.group")
        yield Line("validation", _part(data.valid, data.valid_share), "data.valid")
        yield Line("test", _part(data.test, data.test_share), "data.test")
        if data.split == "facts":
            yield Line("unseen", count(data.unseen), "data.unseen")
    fits = advice.mode in ("", data.split)
    # Groups that straddle are a leak; which of the others fits is a matter of what shall be measured.
    leaks = advice.mode == "grouped" and not fits
    sign = "✓" if fits else "▲" if leaks else "·"
    yield from _told(f"{sign} {advice.why}", width, "$text-warning" if leaks else "$text-muted")
    if not fits:
        yield from _told(f"→ {_MODES[advice.mode]} would fit; enter on “by”.", width, "$text-primary")


def _part(rows: int, part: float) -> str:
    return count(rows) if rows else share(part) if part else "10 %"
