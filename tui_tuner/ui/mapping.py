"""Changes a person makes to source and mapping: asks for them by a dialog, and puts them into the experiment.

Every change is a change of the configuration's keys, checked as a whole; the source itself is never touched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tui_tuner.config.describe import field, in_toml
from tui_tuner.config.overrides import with_overrides
from tui_tuner.errors import TunerError
from tui_tuner.ui.format import count, share
from tui_tuner.ui.leaving import Question
from tui_tuner.ui.mappingdialogs import ValueDialog, Wording, WordingDialog
from tui_tuner.ui.widgets.data_mapping import NEW_WORDING, WORDING

if TYPE_CHECKING:
    from tui_tuner.config.data_section import DataSection
    from tui_tuner.config.model import Experiment
    from tui_tuner.data.sourcefacts import SourceFacts
    from tui_tuner.ui.app import TunerApp

_LEAVE = ("", "Leave it as it is", "")


def change(app: TunerApp, experiment: Experiment, changes: Mapping[str, object]) -> str:
    """Puts changed keys into the experiment that is set up; returns them as `--set` would have them.

    Raises:
        TunerError: they do not go together.
    """
    told = [f"{key}={in_toml(value)}" for key, value in changes.items()]
    state = app.state
    app.set_experiment(with_overrides(experiment, told), preset=state.preset, base=state.base, edited=True)
    return ", ".join(told)


class MappingEditor:
    """Asks for a change of one line of the mapping.

    Args:
        app: where dialogs are shown, and the experiment is.
        experiment: what is changed.
        facts: what is known of its source.
        record: the record to try templates on first; empty for the source's first.
    """

    def __init__(self, app: TunerApp, experiment: Experiment, facts: SourceFacts, record: Mapping[str, Any]) -> None:
        self._app, self._experiment, self._facts = app, experiment, facts
        self._records = [record, *facts.records] if record else list(facts.records)

    def edit(self, key: str) -> None:
        """Opens the dialog of a line by its key."""
        if key.startswith(WORDING):
            self._wording(len(self._experiment.data.prompt) if key == NEW_WORDING else int(key.removeprefix(WORDING)))
        elif key == "data.shape":
            self._shape()
        elif key == "data.split":
            self._split()
        else:
            self._value(key)

    def _change(self, changes: Mapping[str, object]) -> None:
        try:
            self._app.notice(f"{change(self._app, self._experiment, changes)}: the rows are read again.")
        except TunerError as error:
            self._app.report(error)

    # -- one key --------------------------------------------------------------------------------------------------

    def _value(self, key: str) -> None:
        info = field(key)
        if info is None:
            return
        section, name = key.split(".")
        value = getattr(getattr(self._experiment, section), name)

        def answered(text: str | None) -> None:
            if text is not None:
                self._change({key: self._parsed(key, text)})

        self._app.push_screen(ValueDialog(key, info.help, _typed(value), lambda text: self._check(key, text)), answered)

    def _parsed(self, key: str, text: str) -> object:
        """The value of a key as typed; nothing is the default."""
        info = field(key)
        told = f"{key}={text}" if text.strip() else f"{key}={info.default_text if info is not None else ''}"
        section, name = key.split(".")
        return getattr(getattr(with_overrides(self._experiment, [told]), section), name)

    def _check(self, key: str, text: str) -> str:
        value = self._parsed(key, text)
        if key == "data.filter" and isinstance(value, list):
            return kept(value, self._records)
        return ""

    # -- what records are -----------------------------------------------------------------------------------------

    def _shape(self) -> None:
        guesses = self._facts.guesses
        listed = [guess for guess in guesses if guess.trainable]
        choices = [("auto", "Recognise it", f"taken as {guesses[0].shape}, {share(guesses[0].confidence)} sure")]
        choices += [(guess.shape, guess.shape, f"{share(guess.confidence)}: {guess.why}") for guess in listed]

        def answered(shape: str | None) -> None:
            if shape:
                # Templates come before any shape: choosing one takes them out.
                templates: dict[str, object] = (
                    {"data.prompt": [], "data.completion": []} if self._experiment.data.prompt else {}
                )
                self._change({"data.shape": shape, **templates})

        text = "What are the records? Templates, where there are some, are taken out."
        self._app.push_screen(Question("data.shape", text, [*choices, _LEAVE]), answered)

    def _split(self) -> None:
        data, advice = self._experiment.data, self._facts.advice
        fits = {advice.mode: " (fits)"}
        group = list(data.group) or list(advice.group)
        by = f"by {', '.join(group)}" if group else "by columns you name"
        choices = [
            ("records", f"Single records{fits.get('records', '')}", "each record is about something else"),
            ("grouped", f"Groups{fits.get('grouped', '')}", f"{by}: records about the same never straddle"),
            ("facts", f"Facts in words{fits.get('facts', '')}", "trains every fact, holds back wordings of the prompt"),
        ]

        def answered(mode: str | None) -> None:
            if mode == "grouped" and not group:
                self._ask_group()
            elif mode:
                self._change({"data.split": mode, **({"data.group": group} if mode == "grouped" else {})})

        self._app.push_screen(Question("data.split", advice.why, [*choices, _LEAVE]), answered)

    def _ask_group(self) -> None:
        info = field("data.group")

        def answered(text: str | None) -> None:
            if text:
                self._change({"data.split": "grouped", "data.group": self._parsed("data.group", text)})

        about = f"{info.help if info else ''} There are: {', '.join(self._facts.columns)}"
        check = self._check
        self._app.push_screen(ValueDialog("data.group", about, "", lambda text: check("data.group", text)), answered)

    # -- wordings -------------------------------------------------------------------------------------------------

    def _wording(self, at: int) -> None:
        data = self._experiment.data

        def answered(wording: Wording | None) -> None:
            if wording is not None:
                self._change(with_wording(data, at, wording))

        title = f"Wording {at + 1}" if data.prompt else "Templates"
        mapping = self._facts.guess.mapping
        before = wording_of(data, at, mapping.get("prompt", ""), mapping.get("completion", ""))
        self._app.push_screen(WordingDialog(title, before, self._records, list(self._facts.columns)), answered)


def wording_of(data: DataSection, at: int, prompt: str, answer: str) -> Wording:
    """A wording by its number; for a new one the answer of the last, or what the shape's mapping has."""
    if at < len(data.prompt):
        return Wording(data.prompt[at], data.completion[at if len(data.completion) > 1 else 0])
    return Wording("", data.completion[-1]) if data.completion else Wording(prompt, answer)


def with_wording(data: DataSection, at: int, wording: Wording) -> dict[str, object]:
    """The templates with one wording set, added, or (where it is empty) taken out; equal answers are written once."""
    prompts = list(data.prompt)
    answers = list(data.completion) if len(data.completion) > 1 else list(data.completion) * len(prompts)
    if not wording.prompt.strip():
        prompts[at : at + 1], answers[at : at + 1] = [], []
    else:
        prompts[at : at + 1], answers[at : at + 1] = [wording.prompt], [wording.answer]
    if len(set(answers)) == 1:
        answers = answers[:1]
    return {"data.prompt": prompts, "data.completion": answers}


def kept(conditions: Sequence[str], records: Sequence[Mapping[str, Any]]) -> str:
    """How many of the first records meet all conditions.

    Raises:
        TunerError: a condition is malformed.
    """
    from tui_tuner.data.conditions import Condition

    parsed = [Condition.parse(text) for text in conditions]
    if not parsed or not records:
        return ""
    met = sum(all(condition.holds(record) for condition in parsed) for record in records)
    return f"keeps {count(met)} of the first {count(len(records))} records"


def _typed(value: object) -> str:
    """A value as one would type it; a single text of a list without its brackets."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "" if not value else str(value[0]) if len(value) == 1 else in_toml(value)
    return in_toml(value)
