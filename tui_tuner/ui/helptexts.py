"""What each widget that can have the focus is for: the first words of the help while it has it.

By the screen's mode and the widget's id, or its class where it has none. A test compares the table with the screens: no
widget without words, no words without a widget.
"""

from __future__ import annotations

from textual.widget import Widget

_HELP: dict[str, dict[str, str]] = {
    "home": {
        "choices": "What there is to do, what you did last first. The arrows choose, enter does what the line says; "
        "the pane About tells what that is. r goes on with the highlighted run that broke off, or with the last one.",
        "detail-box": "What the highlighted line is and, on the frame, which keys do something with it. The arrows "
        "scroll it.",
    },
    "models": {
        "models-list": "The models there are. The arrows choose one, and the panes beside the list tell what it is; u "
        "makes it the experiment's, c converts it, g downloads another one.",
        "models-sizes": "What the selected model is: first what stands in the way, then memory, sizes, licence and "
        "special tokens. The arrows scroll, z gives it all the room.",
        "models-modules": "The linear modules of a layer, those that the experiment trains with a filled circle, and a "
        "conversation as the template writes it. The arrows scroll.",
    },
    "data": {
        "data-go": "Type and press enter: words that rows shall have, or the number of a row, `valid 3` for one of "
        "another split. Escape leads back to all rows.",
        "data-source": "What the source was taken for, and how rows are made of it. Enter on a line changes it, and "
        "tries the change on the selected record first; the file stays as it is.",
        "data-rows": "All rows, or the problems that were found (o switches). The arrows choose one, and the row "
        "stands beside it; / finds rows with a text, b orders them by length, g goes to one.",
        "data-row": "The selected row as record, as conversation or as tokens (v steps). Underlined tokens are those "
        "that the loss counts; what max_seq_length cuts off is named.",
        "data-figures": "Figures of all rows: lengths in tokens, what is cut off, padding, answers that repeat. The "
        "arrows scroll; f shows the rows again.",
    },
    "config": {
        "config-search": "Type part of a key or of its help; the list narrows while you type. Enter goes into the "
        "list, escape shows all keys again.",
        "config-rows": "Every key with its value: ● differs from the default, ◆ from the preset, ✗ cannot be. Enter "
        "edits, ← and → take the next handy value, u takes a change back, b lists all keys.",
        "entry-value": "The new value. It is checked while you type, and changes nothing before it is right; enter "
        "takes it, escape leaves it as it was.",
        "config-about": "What the selected key is, what is allowed, and what its value works out to in this model and "
        "on these rows. The arrows scroll.",
        "config-forecast": "What a run would take: memory by part, time and disk. m measures it with real steps, g "
        "looks for the least changes that make it fit.",
        "config-file": "The experiment as TOML. What you type counts as soon as it is right; while it is not, the line "
        "is underlined and a sentence says why. Escape leaves the text, and then u takes changes back.",
        "config-said": "What is wrong with the text, or what was said of the experiment. The arrows scroll.",
    },
    "train": {
        "loss": "The loss over steps. + and - zoom, ← and → move, `.` and `,` put a crosshair on a point and tell "
        "every figure there; home shows all of it again, l has a logarithmic axis.",
        "result": "What came of the run: the verdict's sentence, and each metric before and after with its interval. "
        "5 shows the rows behind it.",
        "story": "What happened: the log, or answers to the probe prompts; v steps through the panes. The arrows "
        "scroll.",
        "story-advice": "What the run doctor found in the curves, gravest first. Enter or a offers a new run that "
        "follows the selected advice; x marks several.",
    },
    "benchmark": {
        "benchmark-search": "Type words that a question, a reference or an answer shall have; escape shows all rows "
        "again.",
        "benchmark-metrics": "The metrics, each before and after with its 95 % interval and the verdict of the paired "
        "test. The arrows choose the one that the pane below explains, and that rows are ordered by.",
        "benchmark-metric": "The selected metric: what it measures, its figures, and how many rows would settle what "
        "is not yet sure. The arrows scroll.",
        "benchmark-results": "All figures that there are to compare: before, after, and what was measured since. The "
        "arrows choose, enter compares the selected one; a adds another model.",
        "benchmark-rows": "The rows, those that lost most first with o. The arrows choose one, and its answers stand "
        "beside it; f steps to those that changed, gained, lost; / finds words.",
        "benchmark-row": "The selected row: question, reference, and the answers before and after, with what changed "
        "marked; w marks what agrees with the reference instead.",
        "cases-list": "Behaviour tests or canaries: what was asked, and whether the answer kept the rules before and "
        "after. The arrows choose one, and the pane tells the rest.",
        "cases-detail": "The selected case: its rules, and the answers before and after. The arrows scroll.",
        "checkpoint-list": "The checkpoints of the run, each with what it reaches on validation rows. The arrows "
        "choose, u makes the selected one the run's adapter.",
        "checkpoint-none": "Nothing was measured of the checkpoints yet; b does it. The arrows scroll.",
    },
    "chat": {
        "chat-log": "What was said. The arrows scroll, and single letters are keys here: y copies the answer, a asks "
        "again, e edits the question, n goes to the next branch. i or enter goes back to the field.",
    },
    "runs": {
        "find": "Type words, states and figures: state:finished lr>=1e-4 model:phi sort:best. The list narrows while "
        "you type; enter goes into it, escape shows all runs again.",
        "runs": "Every run, newest first. The arrows choose one, enter opens it, r resumes one that broke off, space "
        "marks several and v compares them.",
    },
    "compare": {
        "compare-text": "What the runs' configurations or figures have that differs. The arrows scroll; v goes to the "
        "next tab.",
        "compare-rows": "Rows or probe prompts that the runs answered. The arrows choose one, d lists only those whose "
        "answers differ.",
        "compare-row": "The answers of all runs to the selected row, with what differs marked. The arrows scroll.",
        "compare-runs": "The runs that are compared. r judges all against the one under the cursor, space hides its "
        "curve, u takes its configuration.",
    },
}


def help_for(mode: str, widget: Widget) -> str:
    """What a widget of a mode's screen is for; empty where nothing is said."""
    own = getattr(widget, "help_text", None)
    if callable(own):
        return str(own())
    words = _HELP.get(mode, {})
    return next((words[name] for name in (widget.id or "", *sorted(widget.classes)) if name in words), "")


def named(mode: str) -> frozenset[str]:
    """The ids and classes that a mode's screen has words for."""
    return frozenset(_HELP.get(mode, {}))
