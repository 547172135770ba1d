"""What Home lists: what was going on, what waits, what can be started. It makes lines; what they do, the screen does.

Nothing here reads a folder: what there is comes in as it was read in a thread.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from textual.content import Content

from tui_tuner.runs.state import RunState
from tui_tuner.ui import format as fmt
from tui_tuner.ui.status import ACTIVE, RUN_STATES
from tui_tuner.ui.text import clip, inert, visible

if TYPE_CHECKING:
    from tui_tuner.chat.library import ChatSummary
    from tui_tuner.config.presets import Preset
    from tui_tuner.models.sizes import Machine
    from tui_tuner.runs.catalogue import RunSummary
    from tui_tuner.ui.drafts import Draft
    from tui_tuner.ui.queueing import QueueDesk
    from tui_tuner.ui.state import WorkbenchState

RECENT = 8
"""How many runs are listed; the runs screen has all of them."""
QUEUED = 4
"""How many runs of the queue are listed."""
RESUMABLE = (RunState.STOPPED, RunState.INTERRUPTED)
"""States that Home offers to go on from; a failed run is looked at first."""
_INTERRUPTED = 3


@dataclass(frozen=True)
class Entry:
    """A line of the list.

    Attributes:
        label: what it is called.
        about: a few words beside it.
        detail: what the panel says while it is highlighted.
        act: what enter does.
        keys: what can be pressed now, in a clause.
        sign: one cell before the label.
        style: colour of the sign.
    """

    label: str
    about: str
    detail: Content
    act: Callable[[], None]
    keys: str
    sign: str = "▸"
    style: str = "$text-primary"


Group = tuple[str, dict[str, Entry]]
"""A heading, and lines by a name that stays the same."""


@dataclass(frozen=True)
class Known:
    """What was read of the folders.

    Attributes:
        presets, runs: all of them, runs the newest first.
        chat: the conversation that went on last.
        draft: the experiment that was edited last.
        machine: what this machine has room for.
        read: whether anything was read yet.
    """

    presets: list[Preset] = field(default_factory=list)
    runs: list[RunSummary] = field(default_factory=list)
    chat: ChatSummary | None = None
    draft: Draft | None = None
    machine: Machine | None = None
    read: bool = False


@dataclass(frozen=True)
class Acts:
    """What lines do."""

    start: Callable[[], None]
    quickstart: Callable[[], None]
    new: Callable[[], None]
    load_preset: Callable[[Preset], None]
    open_run: Callable[[RunSummary], None]
    open_chat: Callable[[ChatSummary], None]
    load_draft: Callable[[Draft], None]


class HomeList:
    """Makes the groups of lines.

    Args:
        known: what there is.
        state: what the workbench looks at.
        desk: the queue.
        acts: what lines do.
    """

    def __init__(self, known: Known, state: WorkbenchState, desk: QueueDesk, acts: Acts) -> None:
        self.known, self._state, self._desk, self._acts = known, state, desk, acts

    def groups(self) -> list[Group]:
        """All lines. What was going on comes first; at a first start, what can be started."""
        known = self.known
        by_name = {run.run: run for run in known.runs}
        queued = self._queued(by_name)
        waiting = {entry.run for entry in self._desk.entries[:QUEUED]}
        ahead = [run for run in _ahead(known.runs) if run.run not in waiting]
        going_on = self._set_up() | {f"run:{run.run}": self._run(run) for run in ahead} | self._chat() | self._draft()
        others = [run for run in known.runs if run.run not in waiting and run not in ahead][:RECENT]
        groups: list[Group] = [
            ("Continue", going_on),
            (f"Queue: {self._desk.told()}", queued),
            ("Start", self._starts()),
            ("Presets", {f"preset:{preset.name}": self._preset(preset) for preset in known.presets}),
            ("Recent runs", {f"run:{run.run}": self._run(run) for run in others}),
        ]
        return [(heading, entries) for heading, entries in groups if entries]

    # -- going on -------------------------------------------------------------------------------------------------

    def _set_up(self) -> dict[str, Entry]:
        experiment = self._state.experiment
        if experiment is None:
            return {}
        name = visible(experiment.run.name)
        detail = Content.assemble(
            (f"{name}\n\n", "bold"),
            f"{visible(experiment.model.path)} on {visible(experiment.data.source)}, "
            f"{experiment.train.iters:,} steps of {experiment.train.batch_size} rows.",
        )
        keys = "enter starts it; 2 its data, 3 settings"
        return {"ready": Entry(f"Start {name}", "the experiment that is set up", detail, self._acts.start, keys)}

    def _chat(self) -> dict[str, Entry]:
        chat = self.known.chat
        if chat is None:
            return {}
        title = clip(chat.title or chat.name, 60)
        many = "1 question" if chat.exchanges == 1 else f"{chat.exchanges:,} questions"
        lines = [inert(title, "bold"), Content(f"A conversation: {many}, {fmt.ago(chat.changed)}.")]
        lines += [Content.assemble("With  ", inert(", ".join(chat.voices)))] if chat.voices else []
        lines += [Content.assemble("Run   ", inert(chat.run))] if chat.run else []
        about = f"conversation · {many} · {fmt.ago(chat.changed)}"
        detail = Content("\n").join(lines)
        return {"chat": Entry(title, about, detail, lambda: self._acts.open_chat(chat), "enter goes on with it", "❝")}

    def _draft(self) -> dict[str, Entry]:
        draft = self.known.draft
        if draft is None or self._state.edited:
            return {}
        name = clip(draft.name, 40)
        detail = Content.assemble(
            (f"{name}\n\n", "bold"),
            f"The configuration that you changed last, {fmt.ago(draft.changed)}, as you left it. No run needs to have "
            "been made of it.",
        )
        about = f"configuration · edited {fmt.ago(draft.changed)}"
        keys = "enter sets it up again; f5 starts it"
        return {"draft": Entry(name, about, detail, lambda: self._acts.load_draft(draft), keys, "✎")}

    def _queued(self, runs: dict[str, RunSummary]) -> dict[str, Entry]:
        """The first runs of the queue: what runs, and what comes next."""
        desk = self._desk
        entries = {}
        for place, entry in enumerate(desk.entries[:QUEUED], 1):
            run = runs.get(entry.run)
            if run is not None:
                going = run.state in ACTIVE[1:]
                word = f"{run.state.value} · {fmt.percent(run.step, run.steps)}" if going else f"waits at place {place}"
                keys = "p goes on with the queue" if desk.paused or desk.asks else "p pauses the queue"
                entries[f"queue:{run.run}"] = replace(self._run(run), about=word, keys=f"{keys}; 7 has the rest")
        return entries

    # -- starting -------------------------------------------------------------------------------------------------

    def _starts(self) -> dict[str, Entry]:
        acts = self._acts
        return {
            "quickstart": Entry(
                "Quickstart", "the whole loop, in two minutes", _QUICKSTART, acts.quickstart, "enter starts it now"
            ),
            "new": Entry("New experiment", "your own model and data", _NEW, acts.new, "enter begins with the model"),
        }

    def _preset(self, preset: Preset) -> Entry:
        parts = [inert(preset.title, "bold"), *described(preset.description), inert(str(preset.path), "$text-muted")]
        detail = Content("\n\n").join(parts)
        keys = "enter loads it; f5 then starts the run"
        act = lambda: self._acts.load_preset(preset)  # noqa: E731
        return Entry(preset.name, preset.title, detail, act, keys, "◆", "$text-secondary")

    def _run(self, run: RunSummary) -> Entry:
        sign, style = RUN_STATES[run.state]
        lines = [
            inert(run.run, "bold"),
            Content.assemble((f"{sign} {run.state.value}", style), f" · step {run.step:,} of {run.steps:,}"),
            Content.assemble("Verdict  ", inert(run.verdict or "none yet")),
            Content(f"Best validation loss  {fmt.number(run.best)}"),
            Content.assemble("Model  ", inert(run.model)),
        ]
        about = f"{run.state.value} · {fmt.percent(run.step, run.steps)} · {fmt.ago(run.created)}"
        keys = _NEXT.get(run.state.value, "enter opens it")
        return Entry(run.run, about, Content("\n").join(lines), lambda: self._acts.open_run(run), keys, sign, style)


def _ahead(runs: list[RunSummary]) -> list[RunSummary]:
    """What one would go on with: runs that are going, the last ones that broke off, and the last of all."""
    shown = [run for run in runs if not run.labels.archived]
    going = [run for run in shown if run.state in ACTIVE[1:]]
    broken = [run for run in shown if run.state in RESUMABLE][:_INTERRUPTED]
    last = [run for run in shown[:1] if run not in going and run not in broken]
    return [*going, *broken, *last]


def machine_line(machine: Machine | None) -> str:
    """What this machine has room for, in one line; empty while it is not known."""
    if machine is None:
        return ""
    memory = f"{fmt.size(machine.memory)} of memory"
    if not machine.usable:
        return f"{memory}; what the graphics card has room for: Models (1)"
    from tui_tuner.models.sizes import billions

    if machine.train is None or machine.run is None:
        return f"{memory}: room for models below 1 B parameters"
    train, run = billions(machine.train), billions(machine.run)
    return f"{memory}: trains models up to ~{train} at 4 bits, chats with ~{run}"


def described(text: str) -> list[Content]:
    """A preset's remarks as paragraphs that wrap well, for a pane of any width.

    Remarks are often set as a table of words and what they say, with what goes on indented under it.
    """
    lines = text.splitlines()
    indents = [len(line) - len(line.lstrip()) for line in lines if line.startswith("  ")]
    if not indents:
        return [inert(text, lines=True)]
    paragraphs: list[tuple[str, list[str]]] = []
    for line in lines:
        if line.startswith("  ") and paragraphs:
            paragraphs[-1][1].append(line.strip())
        elif line.strip():
            word, rest = line[: indents[0]], line[indents[0] :]
            table = len(word) > 3 and word.endswith(" ")
            paragraphs.append((word.strip(), [rest.strip()]) if table and rest else ("", [line.strip()]))
    return [
        Content.assemble(inert(f"{word}  ", "$text-muted"), inert(" ".join(rest))) if word else inert(" ".join(rest))
        for word, rest in paragraphs
    ]


def machine_detail(machine: Machine | None) -> str:
    """More about it, for the help."""
    if machine is None or machine.train is None:
        return ""
    from tui_tuner.models.sizes import billions

    def upto(decoder: object) -> str:
        return billions(decoder) if decoder is not None else "none"  # type: ignore[arg-type]

    memory, usable = fmt.size(machine.memory), fmt.size(machine.usable)
    return (
        f"This machine has {memory} of memory, about {usable} of it for a job. At 4 bits, with adapters of rank 8 and "
        f"one row at a time, that is room to train models of up to {upto(machine.train)} parameters on rows of 512 "
        f"tokens, {upto(machine.anew)} with train.grad_checkpoint, {upto(machine.long)} on rows of 2,048 tokens, and "
        f"to chat with {upto(machine.run)}. Models (1) reckons each model by its own shape."
    )


_QUICKSTART = Content.assemble(
    ("Quickstart", "bold"),
    "\n\nTrains a tiny embedded model on an embedded table of players: check, baseline, training with live curves, "
    "evaluation, verdict. Then you can talk to it. Needs no network, no graphics card and about two minutes.",
)
_NEW = Content.assemble(
    ("New experiment", "bold"),
    "\n\nOne step after the other:\n  1  Models   choose the model\n  2  Data     choose the data and look at it\n"
    "  3  Config   everything else\n  f5          start",
)
_NEXT = {
    "running": "enter watches it",
    "paused": "enter opens it; space goes on",
    "interrupted": "r resumes it exactly; enter opens it",
    "stopped": "r resumes it exactly; enter opens it",
    "failed": "enter shows what went wrong",
    "finished": "enter shows the result; 6 talks to it",
}
