"""What can be done with the values of an experiment from a screen: edit, step, reset, take back.

Every change is checked by the model as a whole before it counts, and becomes a step of the app's history. A value that
is not right is told in one sentence and changes nothing.
"""

from __future__ import annotations

from typing import Any

from tui_tuner.config.describe import FieldInfo, field, fields, value_of
from tui_tuner.config.model import Experiment
from tui_tuner.config.overrides import with_overrides
from tui_tuner.errors import TunerError
from tui_tuner.ui.leaving import Question
from tui_tuner.ui.screens.base import WorkbenchScreen
from tui_tuner.ui.valuedialogs import LongDialog, WordsDialog, Written
from tui_tuner.ui.widgets import config_edit as edit
from tui_tuner.ui.widgets.config_entry import Entry
from tui_tuner.ui.widgets.config_facts import Facts
from tui_tuner.ui.widgets.config_means import means
from tui_tuner.ui.widgets.config_rows import Setting
from tui_tuner.ui.widgets.config_subject import Subject


class FormWorkScreen(WorkbenchScreen):
    """A screen on which the values of an experiment are changed."""

    @property
    def subject(self) -> Subject | None:
        """What is shown."""
        raise NotImplementedError

    @property
    def selected(self) -> Setting | None:
        """The selected line."""
        raise NotImplementedError

    @property
    def facts(self) -> Facts:
        """What is known of model and data."""
        raise NotImplementedError

    @property
    def text_is_wrong(self) -> bool:
        """Whether the text beside the form says no experiment just now."""
        raise NotImplementedError

    def go_to_text(self, key: str) -> None:
        """Puts the cursor into the text, where a key is written."""
        raise NotImplementedError

    def to_list(self) -> None:
        """Puts the focus on the list."""
        raise NotImplementedError

    # -- a change -----------------------------------------------------------------------------------------------

    def change(self, experiment: Experiment, merge: str = "") -> bool:
        """Makes it the experiment that is set up; False when the text beside it has to be mended first."""
        subject, state = self.subject, self.tuner.state
        if subject is None or subject.is_run:
            return False
        if self.text_is_wrong:
            self.tuner.notice(
                "The text is not right yet: mend it (v), or take it back (u). Nothing was changed.", "warning"
            )
            return False
        if experiment != subject.experiment:
            self.tuner.set_experiment(experiment, preset=state.preset, base=state.base, edited=True, merge=merge)
        return True

    def _editable(self) -> tuple[Experiment, FieldInfo] | None:
        """The experiment and the selected key, where it can be changed; a run's asks whether to go on from it."""
        subject, row = self.subject, self.selected
        if subject is None or row is None or row.info is None:
            return None
        if subject.is_run:
            self._offer_copy(subject)
            return None
        return subject.experiment, row.info

    def _offer_copy(self, subject: Subject) -> None:
        choices = [
            ("copy", "Load it as the next experiment", "A copy to change and start; the run keeps its own."),
            ("no", "Leave it", "Changes nothing."),
        ]

        def answered(answer: str | None) -> None:
            if answer == "copy":
                self.tuner.set_experiment(subject.experiment, base=subject.base)

        text = "This is what a run was started with, and does not change any more."
        self.tuner.push_screen(Question("A run's configuration", text, choices), answered)

    # -- editing ------------------------------------------------------------------------------------------------

    def action_edit(self) -> None:
        """Opens what fits the selected key: a line, a list of words, several lines, or the text."""
        found = self._editable()
        if found is None:
            return
        experiment, info = found
        value = value_of(experiment, info)
        if info.kind == "switch":
            self.action_step(1)
        elif info.kind == "choice":
            self._choose(experiment, info)
        elif info.kind == "choices":
            self._tick(experiment, info)
        elif info.kind == "tables":
            self.go_to_text(info.key)
        elif info.kind in edit.LISTS or (isinstance(value, str) and not value.isprintable()):
            self._write(experiment, info)
        else:
            entry = self.query_one(Entry)
            wanted = f"{info.wanted}{f' ({info.unit})' if info.unit else ''}"
            self.add_class("-typing")
            entry.ask(info.key, wanted, edit.typed(info, value), lambda text: self._typed_means(info, text))

    def action_edit_long(self) -> None:
        """Opens several lines for a text or a list."""
        found = self._editable()
        if found is None:
            return
        if found[1].kind in ("text", *edit.LISTS):
            self._write(*found)
        else:
            self.action_edit()

    def _now(self) -> Experiment:
        subject = self.subject
        assert subject is not None
        return subject.experiment

    def _typed_means(self, info: FieldInfo, text: str) -> str:
        """What a typed value works out to, or fails with why it is not right."""
        made = edit.with_typed(self._now(), info, text)
        return means(info.key, made, self.facts)

    def on_entry_given(self, event: Entry.Given) -> None:
        info = field(event.key)
        if info is not None:
            self.change(edit.with_typed(self._now(), info, event.text))
        self.to_list()

    def _choose(self, experiment: Experiment, info: FieldInfo) -> None:
        now = value_of(experiment, info)
        words = sorted(info.choices, key=lambda word: word != now)
        choices = []
        for word in words:
            try:
                made = edit.with_value(experiment, info, word)
                says = means(info.key, made, self.facts)
            except TunerError as error:
                says = f"✗ {edit.refusal(error)}"
            marks = [mark for mark, holds in (("now", word == now), ("the default", word == info.default)) if holds]
            choices.append((f"={word}", f"{word}  ({', '.join(marks)})" if marks else word, says))

        def answered(answer: str | None) -> None:
            if answer and answer.startswith("="):
                self._set(info, answer[1:])

        self.tuner.push_screen(
            Question(info.key, info.help, [*choices, ("", "Leave it as it is", "")]), answered
        )  # fmt: skip

    def _tick(self, experiment: Experiment, info: FieldInfo) -> None:
        def check(words: list[str]) -> str:
            return means(info.key, edit.with_value(self._now(), info, words), self.facts)

        def answered(words: list[str] | None) -> None:
            if words is not None:
                self._set(info, words)

        dialog = WordsDialog(info.key, info.help, info.choices, value_of(experiment, info), check)
        self.tuner.push_screen(dialog, answered)

    def _write(self, experiment: Experiment, info: FieldInfo) -> None:
        value = value_of(experiment, info)
        lines = edit.as_lines(info, value) if edit.can_be_lines(info, value) or info.kind == "wholes" else None

        def made(written: Written) -> Experiment:
            take = edit.from_toml if written.toml else edit.from_lines
            return take(self._now(), info, written.text)

        def check(written: Written) -> str:
            return means(info.key, made(written), self.facts)

        def switch(written: Written) -> Written | None:
            try:
                found = value_of(made(written), info)
            except TunerError:
                return None
            if not written.toml:
                return Written(edit.as_toml(info, found), True)
            if not edit.can_be_lines(info, found) and info.kind != "wholes":
                return None
            return Written(edit.as_lines(info, found), False)

        def answered(written: Written | None) -> None:
            if written is not None:
                self.change(made(written))

        dialog = LongDialog(
            info.key, info.help, lines, edit.as_toml(info, value), check, switch, items=info.kind != "text"
        )
        self.tuner.push_screen(dialog, answered)

    def _set(self, info: FieldInfo, value: Any) -> None:
        try:
            self.change(edit.with_value(self._now(), info, value))
        except TunerError as error:
            self.tuner.notice(edit.refusal(error), "error")

    def action_step(self, by: int) -> None:
        """The next value of a choice, a switch or a number, or the one before."""
        found = self._editable()
        if found is None:
            return
        experiment, info = found
        made = edit.stepped(experiment, info, by)
        if made is not None:
            self.change(made, merge=f"step {info.key}")
        elif info.kind in ("whole", "number"):
            self.tuner.notice(f"{info.key} goes no further: it takes {info.wanted}.")

    # -- back ---------------------------------------------------------------------------------------------------

    def action_reset(self) -> None:
        """The selected key as the preset has it; as the default, where it is that already."""
        found = self._editable()
        if found is None:
            return
        experiment, info = found
        origin = self.tuner.state.origin
        now = value_of(experiment, info)
        wanted = [value_of(origin, info)] if origin is not None else []
        wanted += [] if info.required else [info.default]
        other = next((value for value in wanted if value != now), None)
        if other is None:
            self.tuner.notice(f"{info.key} is as the preset and the default have it.")
        else:
            self._set(info, other)

    def action_reset_more(self) -> None:
        """Asks how much to reset: the key's group, or all, to the preset or to the defaults."""
        found = self._editable()
        if found is None:
            return
        section = found[1].section
        origin = self.tuner.state.origin
        choices = []
        if origin is not None:
            choices += [
                ("group preset", f"[{section}] as it came", "Every key of this group as preset or run have it."),
                ("all preset", "Everything as it came", "Every key as preset or run have it."),
            ]
        choices += [
            ("group default", f"[{section}] to the defaults", "Every key of this group that has a default."),
            ("all default", "Everything to the defaults", "Every key but those that must be given: model and data."),
            ("", "Leave it as it is", ""),
        ]

        def answered(answer: str | None) -> None:
            if answer:
                where, what = answer.split(" ")
                self._reset(section if where == "group" else "", origin if what == "preset" else None)

        self.tuner.push_screen(Question("Reset", "u takes it back.", choices), answered)

    def _reset(self, section: str, origin: Experiment | None) -> None:
        tables = self._now().model_dump()
        for info in fields():
            if section and info.section != section:
                continue
            if origin is not None:
                tables[info.section][info.name] = origin.model_dump()[info.section][info.name]
            elif not info.required:
                tables[info.section][info.name] = info.default
        from tui_tuner.config.overrides import validated
        from tui_tuner.config.problems import Origin

        try:
            self.change(validated(tables, Origin()))
        except TunerError as error:
            self.tuner.notice(edit.refusal(error), "error")

    def follow(self, overrides: list[str], merge: str = "") -> None:
        """Makes changes that were offered."""
        try:
            self.change(with_overrides(self._now(), overrides), merge)
        except TunerError as error:
            self.tuner.notice(edit.refusal(error), "error")
