"""What can be typed after a slash in the chat: the one table of commands, and what a text means by it.

Pure: no widgets. A text is a command only where it begins with a slash and a word; paths such as `/usr/bin` are text,
and two slashes send one. Nothing may be taken for a command that the table does not have.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from tui_tuner.errors import TunerError

_FORM = re.compile(r"/([A-Za-z][A-Za-z_-]*)(?:\s+(.*))?\s*", re.DOTALL)
_BEGUN = re.compile(r"/[A-Za-z_-]*")


@dataclass(frozen=True)
class Command:
    """A slash command.

    Attributes:
        name: what is typed after the slash.
        about: one sentence.
        takes: what may follow, as the list shows it; empty when nothing may.
        needs: whether something must follow.
        action: the id of the action that does the same, whose key is shown; empty when there is none.
        group: its heading in the help.
        other: further names for it.
    """

    name: str
    about: str
    takes: str = ""
    needs: bool = False
    action: str = ""
    group: str = "Talk"
    other: tuple[str, ...] = ()

    @property
    def usage(self) -> str:
        return f"/{self.name} {self.takes}".rstrip()


COMMANDS: tuple[Command, ...] = (
    Command("adapter", "Chooses who answers: base, adapter, best, last, a step, another run or model; up to four.",
            "[WHO, …]", action="chat.columns", group="Who answers", other=("columns", "model", "who")),
    Command("system", "Sets the system message; `none` takes it away.", "[TEXT]", group="Who answers"),
    Command("set", "Changes one setting of the sampling, takes a set by its name, keeps one (`save NAME`), drops one.",
            "[NAME VALUE]",
            action="chat.sampling", group="Who answers"),
    Command("sampling", "Shows all settings of the sampling, to change them.", action="chat.sampling",
            group="Who answers"),
    Command("memory", "Whether voices are told the conversation so far.", action="chat.memory", group="Who answers"),
    Command("plain", "Sends the bare text, without the chat template, or with it again.", group="Who answers"),
    Command("together", "Has the columns answer together, or one after the other again.", group="Who answers"),
    Command("edit", "Takes a question back into the input, to send it anew from there.", "[NUMBER]",
            action="chat.edit"),
    Command("again", "Asks again with another seed (or the one given); the former answer stays on its branch.",
            "[SEED]", action="chat.again"),
    Command("undo", "Takes the last question and its answers back.", action="chat.undo"),
    Command("redo", "Brings back what was undone.", action="chat.redo"),
    Command("branch", "Goes to the next branch, or on from the exchange with a number.", "[NUMBER]",
            action="chat.branch"),
    Command("clear", "Begins a new conversation; the old one stays among the transcripts.", action="chat.clear",
            other=("new",)),
    Command("stop", "Stops the answer and keeps what was said.", action="chat.stop"),
    Command("row", "Takes a row of the data set as the question, with its reference beside the answers.",
            "[SPLIT] [NUMBER]", action="chat.row"),
    Command("vote", "Says which answer is better: its letter, or `same`.", "[A|B|same]", action="chat.vote",
            group="Judge"),
    Command("votes", "Sums up the votes of this run, with their intervals.", group="Judge"),
    Command("blind", "Hides who answers until you have voted.", action="chat.blind", group="Judge"),
    Command("diff", "Marks the words that differ between the answers.", action="chat.diff", group="Judge"),
    Command("inside", "Colours the answer's tokens by their probability; on a token, what else was likely.",
            action="chat.inside", group="Judge"),
    Command("reasoning", "Shows reasoning in full, or only how long it is.", group="Judge"),
    Command("markdown", "Shows answers letter by letter, or as Markdown again.", group="Judge"),
    Command("keep", "Adds the exchange to a file of training rows, with an answer or the row's reference.",
            "[A|B|reference] [FILE]", action="chat.keep", group="Keep"),
    Command("mend", "Opens an answer to mend it, and adds it as a training row.", "[A|B] [FILE]", group="Keep"),
    Command("probe", "Adds the question to the experiment's probe prompts.", action="chat.keep_probe", group="Keep"),
    Command("behaviour", "Makes the exchange a behaviour test of the experiment.", "[A|B]", action="chat.behaviour",
            group="Keep"),
    Command("copy", "Copies an answer.", "[A|B]", action="chat.copy", group="Keep"),
    Command("open", "Lists the transcripts, to go on with one, export it or delete it.", "[WORDS]",
            action="chat.transcripts", group="Keep"),
    Command("find", "Looks for words in all transcripts.", "WORDS", needs=True, group="Keep"),
    Command("save", "Writes the conversation as Markdown.", "[FILE]", group="Keep", other=("export",)),
    Command("title", "Gives the conversation a name.", "TEXT", needs=True, group="Keep"),
    Command("help", "Shows all keys and commands.", other=("commands",)),
)  # fmt: skip

_BY_NAME = {name: command for command in COMMANDS for name in (command.name, *command.other)}


@dataclass(frozen=True)
class Wish:
    """A command and what was typed after it."""

    command: Command
    rest: str = ""


def parse(text: str) -> Wish | str:
    """What a text that was sent means: a wish, or else what is to be said.

    Raises:
        TunerError: it looks like a command and there is none of that name, or words are missing after it.
    """
    if text.startswith("//"):
        return text[1:]
    match = _FORM.fullmatch(text.strip())
    if match is None:
        return text
    name, rest = match[1].lower(), (match[2] or "").strip()
    command = _BY_NAME.get(name)
    if command is None:
        near = difflib.get_close_matches(name, _BY_NAME, 1)
        raise TunerError(
            f"there is no command /{name}",
            code="unknown-command",
            fix=(f"did you mean /{near[0]}? " if near else "/help lists them; ") + "two slashes send the text as it is",
            usage=True,
        )
    if command.needs and not rest:
        raise TunerError(f"/{name} needs {command.takes}", code="unknown-command", fix=command.usage, usage=True)
    if rest and not command.takes:
        raise TunerError(
            f"nothing can follow /{name}", code="unknown-command", fix="two slashes send the text as it is", usage=True
        )
    return Wish(command, rest)


def begun(text: str) -> list[Command]:
    """The commands that a text may become, those that begin with it first; none where it is no command's name."""
    if _BEGUN.fullmatch(text) is None:
        return []
    typed = text[1:].lower()
    first = [each for each in COMMANDS if each.name.startswith(typed)]
    second = [each for each in COMMANDS if each not in first and any(name.startswith(typed) for name in each.other)]
    third = [each for each in COMMANDS if each not in first + second and len(typed) > 1 and typed in each.name]
    return first + second + third


def following(text: str) -> Wish | None:
    """The command whose words are being typed, for offering what may follow; None where a text is no such thing."""
    match = re.match(r"/([A-Za-z][A-Za-z_-]*)[ ]([^\n]*)$", text)
    command = _BY_NAME.get(match[1].lower()) if match else None
    return Wish(command, match[2]) if match and command is not None and command.takes else None


def completed(text: str, choice: str) -> str:
    """The text with its last word, which may be unfinished, replaced by a choice."""
    head = re.match(r"(.*[\s,])?", text, re.DOTALL)
    return (head[0] if head else "") + choice


def groups() -> dict[str, Sequence[Command]]:
    """The commands by heading, in the order of the table."""
    out: dict[str, list[Command]] = {}
    for command in COMMANDS:
        out.setdefault(command.group, []).append(command)
    return {name: tuple(each) for name, each in out.items()}
