"""How the timeline of probes is drawn: the line of steps, and one answer against another. Pure: text in, content out.

What a model said is inert: shown, never obeyed. Lost words are struck through and gained ones underlined, so that no
difference hangs on a colour.
"""

from __future__ import annotations

from typing import Literal

from rich.cells import cell_len
from textual.content import Content

from tui_tuner.runs.probes import Timeline
from tui_tuner.ui import format as fmt
from tui_tuner.ui.text import visible
from tui_tuner.ui.widgets.data_pane import lines
from tui_tuner.ui.worddiff import MOST_WORDS, changes, much

Against = Literal["untrained", "before", "nothing"]
AGAINST: tuple[Against, ...] = ("untrained", "before", "nothing")
_GAP = 2  # cells of line between two steps
_LOST, _GAINED = "strike $text-error", "bold underline $text-success"


def name_of(step: int) -> str:
    """What a step is called."""
    return "untrained" if step == 0 else f"step {step:,}"


def track(found: Timeline, prompt: str, step: int, width: int) -> Content:
    """The steps as points on a line, the chosen one large; only those around it when there is no room for all."""
    room = max((width - 4) // (_GAP + 1), 1)
    at = found.steps.index(step) if step in found.steps else 0
    first = min(max(at - room // 2, 0), max(len(found.steps) - room, 0))
    shown = found.steps[first : first + room]
    parts: list[tuple[str, str]] = [("◂ " if first else "  ", "$text-muted")]
    for number, one in enumerate(shown):
        if number:
            parts.append(("─" * _GAP, "$text-disabled"))
        parts.append(_point(found, prompt, one, chosen=one == step))
    parts.append((" ▸" if first + room < len(found.steps) else "", "$text-muted"))
    return Content.assemble(*parts)


def _point(found: Timeline, prompt: str, step: int, *, chosen: bool) -> tuple[str, str]:
    if chosen:
        return ("◉", "bold $text-primary")
    if (prompt, step) not in found.answers:
        return ("·", "$text-disabled")
    return ("★", "$text-success") if step == found.best else ("○" if step == 0 else "●", "$foreground")


def where(found: Timeline, step: int, steps: int) -> Content:
    """The chosen step in words: which it is, its validation loss, and whether it is the best."""
    at = found.steps.index(step) + 1 if step in found.steps else 0
    of = f" of {steps:,}" if steps and step else ""
    parts: list[tuple[str, str]] = [
        (f"  {name_of(step)}{of}", "bold"),
        (f"   look {at} of {len(found.steps)}", "$text-muted"),
    ]
    if step in found.losses:
        parts.append((f"   validation loss {fmt.number(found.losses[step])}", "$foreground"))
    if step == found.best:
        parts.append(("   ★ best checkpoint", "$text-success"))
    return Content.assemble(*parts)


def compared_step(found: Timeline, prompt: str, step: int, against: Against) -> int | None:
    """The step whose answer the chosen one is held against, or None."""
    if against == "nothing":
        return None
    if against == "before":
        return found.before(prompt, step)
    return 0 if step and (prompt, 0) in found.answers else None


def merged(first: str | None, second: str) -> tuple[Content, str]:
    """An answer with what it lost and gained against another in it, and how much that is in words."""
    new = visible(second, lines=True)
    if first is None:
        return _whole(new), ""
    pieces = changes(visible(first, lines=True), new)
    if pieces is None:
        return _whole(new), f"more than {MOST_WORDS:,} words are not compared"
    styles = {"same": "", "lost": _LOST, "gained": _GAINED}
    return Content.assemble(*((text, styles[kind]) for text, kind in pieces)) if pieces else _whole(new), much(pieces)


def sides(first: str, second: str) -> tuple[Content, Content, str]:
    """Both answers, each with what the other does not have, and how much changed in words."""
    old, new = visible(first, lines=True), visible(second, lines=True)
    pieces = changes(old, new)
    if pieces is None:
        return _whole(old), _whole(new), f"more than {MOST_WORDS:,} words are not compared"
    left = [(text, _LOST if kind == "lost" else "") for text, kind in pieces if kind != "gained"]
    right = [(text, _GAINED if kind == "gained" else "") for text, kind in pieces if kind != "lost"]
    return (
        Content.assemble(*left) if left else _whole(old),
        Content.assemble(*right) if right else _whole(new),
        much(pieces),
    )


def _whole(text: str) -> Content:
    return Content(text) if text else Content.styled("(an empty answer)", "italic $text-muted")


def waiting(asked: bool) -> Content:
    """What stands where an answer is still missing."""
    text = "Not answered yet." if asked else "Not asked at this step: the prompt came later."
    return Content.styled(text, "$text-muted")


def prompt_line(found: Timeline, at: int, step: int, width: int) -> Content:
    """One prompt in the list, with whether it has an answer at the chosen step."""
    prompt = found.prompts[at]
    sign = "●" if (prompt, step) in found.answers else "·"
    text = " ".join(visible(prompt).replace("␊", " ").split())
    if cell_len(text) > width - 2:
        text = Content(text).truncate(max(width - 2, 1), ellipsis=True).plain
    return Content.assemble((f"{sign} ", "$text-muted"), text)


def nothing(configured: bool) -> Content:
    """What the timeline says when there is no prompt at all."""
    return lines([
        Content.styled("No probes yet.", "bold"),
        "",
        "A probe is a fixed prompt that is answered by the untrained model, and again at every validation: you read "
        "what training changes.",
        "",
        Content.styled(
            "n adds one to this run." if configured else "probes.prompts of the next run names some.", "$text-muted"
        ),
    ])  # fmt: skip
