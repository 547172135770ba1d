"""The room of the chat screen for what stays: transcripts, a training row, a probe, a behaviour test, a copy.

What is made of an exchange goes into the experiment that is set up, or to the end of a file of rows; a run's own
configuration and data are never changed.
"""

from __future__ import annotations

from pathlib import Path

from tui_tuner.atomic import write_atomic, write_failure
from tui_tuner.chat.conversation import Answer, Exchange
from tui_tuner.chat.export import as_markdown
from tui_tuner.chat.harvest import append_row, case_of, kind_of_run, rows_file, training_row, with_case, with_probe
from tui_tuner.chat.library import ChatSummary, list_chats, title_of
from tui_tuner.chat.transcript import Kept, read
from tui_tuner.chat.votes import PairVotes, ballots_of, summed
from tui_tuner.config.model import Experiment
from tui_tuner.errors import TunerError
from tui_tuner.ui.screens.chatroom import LETTERS, ChatRoom
from tui_tuner.ui.text import clip
from tui_tuner.ui.transcriptsdialog import Chosen, TranscriptsDialog
from tui_tuner.ui.typedpath import dropped, is_there, typed_path
from tui_tuner.ui.valuedialogs import LongDialog, Written
from tui_tuner.ui.widgets.chat_offers import Offer
from tui_tuner.ui.widgets.helppanel import HelpPanel

_EXPORT = ".md"

REFERENCE = "reference"


class ChatKeep(ChatRoom):
    """Keeps what was said, whole or in part."""

    # -- an exchange ----------------------------------------------------------------------------------------------

    def do_copy(self, rest: str) -> None:
        """Copies an answer to the clipboard, through the terminal."""
        answer = self.answer_of(self.session.exchange(), rest)
        self.app.copy_to_clipboard(answer.text)
        self.say(f"Copied {len(answer.text):,} characters, if the terminal allows it.")

    def after_copy(self, _rest: str) -> list[Offer]:
        return [(LETTERS[at], each.voice.label) for at, each in enumerate(self.session.exchange().answers)]

    after_behaviour = after_mend = after_copy

    def after_keep(self, rest: str) -> list[Offer]:
        reference = self.session.exchange().reference
        return [*self.after_copy(rest), *([(REFERENCE, reference)] if reference else [])]

    def do_keep(self, rest: str) -> None:
        """Adds the exchange to a file of training rows, with an answer or with the row's reference."""
        exchange = self.session.exchange()
        which, name = _first_of(rest, (*LETTERS, REFERENCE))
        if which != REFERENCE:
            self._add_row(exchange, self.answer_of(exchange, which), name)
        elif exchange.reference:
            self._add_row(exchange, exchange.answers[0], name, exchange.reference)
        else:
            raise TunerError("the exchange has no reference", code="no-such-turn", fix="/row asks a row that has one")

    def do_mend(self, rest: str) -> None:
        """Opens an answer; what is made of it is added to a file of training rows."""
        exchange = self.session.exchange()
        which, name = _first_of(rest, tuple(LETTERS))
        answer = self.answer_of(exchange, which)

        def mended(typed: Written | None) -> None:
            if typed is not None:
                self._add_row(exchange, answer, name, typed.text)

        about = "What shall be learned as the answer to this question. The conversation stays as it is."
        dialog = LongDialog("Mend the answer", about, answer.text, "", _not_empty, lambda _typed: None, items=False)
        self.ask_in(dialog, mended)

    def _add_row(self, exchange: Exchange, answer: Answer, name: str, text: str | None = None) -> None:
        """Adds a row of the shape that the run's rows have; where that has no room for what came before, as a chat."""
        run, talk, column = self.tuner.state.run, self.session.conversation, exchange.answers.index(answer)
        kind = kind_of_run(run.data) if run is not None else "chat"
        try:
            row = training_row(talk, exchange, column, kind, text)
        except TunerError as error:
            if error.code != "bad-row" or kind == "chat":
                raise
            kind = "chat"
            row = training_row(talk, exchange, column, kind, text)
        path = typed_path(dropped(name)) if name else rows_file(self.tuner.runs_dir, kind)
        if append_row(path, row):
            self.say(f"Added as a {kind} row to {path}: train on it with data.source, or with l on Data.")
        else:
            self.say(f"The row is in {path} already.")

    def do_probe(self, _rest: str) -> None:
        """Adds the question to the probe prompts of the experiment that is set up, and to those of a run that goes."""
        exchange, state = self.session.exchange(), self.tuner.state
        told = []
        if state.run is not None and state.follower is not None and state.follower.active:
            self.tuner.jobs.steer(state.run, "probe", exchange.question)
            told.append(f"{state.run.name} asks it from its next validation on.")
        if state.experiment is not None or not told:
            experiment = self._set_up()
            changed = with_probe(experiment, exchange)
            if changed is experiment:
                told.append("The question is a probe prompt of the experiment already.")
            else:
                self._change(changed)
                prompts = len(changed.probes.prompts)
                told.append(f"Probe prompt {prompts} of the experiment that is set up; u on Config takes it back.")
        self.say(" ".join(told))

    def do_behaviour(self, rest: str) -> None:
        """Makes the exchange a behaviour test of the experiment that is set up."""
        exchange, experiment = self.session.exchange(), self._set_up()
        column = exchange.answers.index(self.answer_of(exchange, rest))
        case = case_of(experiment, exchange, column)
        self._change(with_case(experiment, case))
        rules = ", ".join(case.must) or ("JSON with " + ", ".join(case.keys) if case.valid_json else "")
        self.say(
            f"Behaviour test “{case.name}” of the experiment: the answer must hold {rules}. Config (3), v edits it."
        )

    def _set_up(self) -> Experiment:
        experiment = self.tuner.state.experiment
        if experiment is None:
            raise TunerError(
                "no experiment is set up that could take it",
                code="no-experiment",
                fix="choose a preset on Home (0), or load the run's configuration with u on Runs (7)",
            )
        return experiment

    def _change(self, experiment: Experiment) -> None:
        state = self.tuner.state
        self.tuner.set_experiment(experiment, preset=state.preset, base=state.base, edited=True)

    # -- transcripts ------------------------------------------------------------------------------------------------

    def do_open(self, rest: str) -> None:
        """Lists the transcripts; with words, where they stand."""

        def taken(chosen: Chosen | None) -> None:
            if chosen is None:
                return
            if chosen.what == "export":
                self._export(read(chosen.chat.path), chosen.chat.path.with_suffix(_EXPORT))
            else:
                self._reopen(chosen.chat, chosen.exchange)

        run = self.tuner.state.run
        name = run.name if run is not None else ""
        dialog = TranscriptsDialog(lambda: list_chats(self.tuner.runs_dir), name, self.tuner.clock(), rest)
        self.ask_in(dialog, taken)

    do_find = do_open

    def go_on_with(self, chat: ChatSummary) -> None:
        """Goes on with a conversation that was chosen elsewhere."""
        self._reopen(chat, 0)

    def _reopen(self, chat: ChatSummary, exchange: int) -> None:
        """Goes on with a conversation, with the voices and in the manner in which it was led last."""
        if self.session.path == chat.path:
            kept_on = exchange or self.session.conversation.at
            if kept_on and kept_on != self.session.conversation.at:
                self.session.go(kept_on)
        else:
            kept = read(chat.path)
            self.session.reopen(kept)
            if exchange:
                self.session.go(exchange)
            if kept.problem:
                self.say(f"{clip(title_of(kept), 60)}: {kept.problem}.", grave=True)
            self._as_it_was(kept)
        self.redraw()
        if self.session.exchanges:
            self.log_widget.find(self.session.exchange().number)
        self.input.focus()

    def _as_it_was(self, kept: Kept) -> None:
        """Takes up voices, system message and sampling of the last exchange."""
        path = kept.conversation.path()
        if not path:
            return
        last = path[-1]
        voices = [answer.voice for answer in last.answers]
        if voices and voices != self.speakers.voices:
            self.speakers.choose(voices)
        self.session.system, self.system_chosen = last.system, True
        self.session.memory, self.memory_chosen = last.memory, True
        self.session.plain = last.plain
        self.sampling = last.sampling

    def do_save(self, rest: str) -> None:
        """Writes the conversation as Markdown, beside its transcript unless a file is named."""
        self.session.exchange()
        self.session.flush()
        path = self.session.path
        if path is None:
            raise TunerError(
                self.session.problem.rstrip(".") or "there is no transcript yet",
                code="write-failed",
                fix="try again when it has been written",
            )
        target = typed_path(dropped(rest)) if rest else path.with_suffix(_EXPORT)
        if rest and is_there(target):
            raise TunerError("is there already", code="exists", where=str(target), fix="give another name")
        self._export(read(path), target)

    def _export(self, kept: Kept, target: Path) -> None:
        try:
            write_atomic(target, as_markdown(kept, title=title_of(kept)))
        except OSError as error:
            raise write_failure(error, target) from error
        self.say(f"Written to {target}.")

    def do_title(self, rest: str) -> None:
        """Gives the conversation a name."""
        self.session.name(rest)
        self.say(f"The conversation is called {rest}.")

    # -- votes --------------------------------------------------------------------------------------------------------

    def do_votes(self, _rest: str) -> None:
        """Shows the votes of the run's conversations, or of those without a run, for every pair."""
        pairs = self._votes()
        if not pairs:
            self.say("There are no votes yet: /vote says which answer is better.")
            return
        groups = {
            f"{pair.names[0]} · {pair.names[1]}": [(f"{pair.whole.n:,}", sentence) for sentence in pair.sentences]
            for pair in pairs
        }
        self.app.push_screen(HelpPanel("Votes", "", groups))

    def tell_votes(self) -> None:
        """Says how the votes between those two stand that were compared most."""
        pairs = self._votes()
        told = sum(len(pair.sentences) for pair in pairs)
        if pairs:
            self.say(pairs[0].sentences[0] + (" /votes tells of all." if told > 1 else ""))

    def _votes(self) -> list[PairVotes]:
        run, here = self.tuner.state.run, self.session.path
        chats = [chat for chat in list_chats(self.tuner.runs_dir, run) if chat.path != here]
        if run is None:
            chats = [chat for chat in chats if not chat.run]
        ballots = [ballot for chat in chats for ballot in chat.ballots]
        return summed([*ballots, *ballots_of(self.session.conversation)])


def _first_of(rest: str, words: tuple[str, ...]) -> tuple[str, str]:
    """The first word where it is one of these, whatever its case, and what follows; else nothing, and all of it."""
    first, _, more = rest.partition(" ")
    found = next((word for word in words if word.casefold() == first.casefold()), "")
    return (found, more.strip()) if found else ("", rest.strip())


def _not_empty(typed: Written) -> str:
    if not typed.text.strip():
        raise TunerError("an empty answer cannot be learned", code="no-question", fix="write it, or go back")
    return f"{len(typed.text.split()):,} words"
