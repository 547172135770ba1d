"""Who answers in the chat: base and adapter of what is being looked at, or columns that somebody chose. No widgets.

It only names voices; whether a model can be had is the engine's to say.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tui_tuner.chat.sampling import MAX_TOKENS, Sampling
from tui_tuner.chat.voices import Voice
from tui_tuner.config.reading import CHAT_TEMPLATES
from tui_tuner.errors import TunerError
from tui_tuner.paths import find_local, resolve_model
from tui_tuner.ui.state import WorkbenchState
from tui_tuner.ui.text import clip_middle
from tui_tuner.ui.widgets.config_subject import Subject

MOST = 4
"""Columns side by side."""
WISHES = ("base", "adapter", "both")


class Speakers:
    """Who is asked, as far as it follows from the workbench's state and what somebody chose.

    Attributes:
        subject: the experiment that the chat is about, or None.
        wish: "base", "adapter" or "both", once somebody has chosen one of them.
        chosen: columns that were chosen one by one; they come before the wish.
    """

    def __init__(self, state: WorkbenchState) -> None:
        self.subject: Subject | None = None
        self.wish = ""
        self.chosen: tuple[Voice, ...] = ()
        self._state = state
        self._of: object = None

    def look(self, subject: Subject) -> bool:
        """Takes up what is being looked at now; whether that is another thing than before."""
        run, target = self._state.run, self._state.chat
        of = target if target is not None else run.path if run is not None else None
        if of != self._of:
            self.chosen, self._of = (target.columns if target is not None else ()), of
        changed, self.subject = subject != self.subject, subject
        return changed

    # -- voices -------------------------------------------------------------------------------------------------

    @property
    def base(self) -> Voice | None:
        """The model alone; None where there is nothing to look at."""
        if self.subject is None:
            return None
        return Voice(self._model(self.subject), None, "base", self._template(self.subject))

    @property
    def adapter(self) -> Voice | None:
        """The adapter that was asked for by name, or that of the run being looked at, if there is one yet."""
        subject, found = self.subject, self._trained
        if subject is None or found is None:
            return None
        name = str(found) if self._state.chat is not None or self._state.run is None else self._state.run.name
        label = f"adapter · {clip_middle(name, 40)}"
        return Voice(self._model(subject), found, label, self._template(subject))

    @property
    def _trained(self) -> Path | None:
        run, subject, target = self._state.run, self.subject, self._state.chat
        if target is not None:
            return target.adapter
        if run is None or subject is None or not subject.is_run:
            return None
        return run.adapters if (run.adapters / "adapters.safetensors").is_file() else None

    @property
    def speaking(self) -> str:
        """Who is asked: one of `WISHES`, or "columns"."""
        if self.chosen:
            return "columns"
        return (self.wish or "adapter") if self.adapter is not None else "base"

    @property
    def voices(self) -> list[Voice]:
        """Who is asked, in their order; none where there is nothing to look at."""
        if self.chosen:
            return list(self.chosen)
        base, adapter = self.base, self.adapter
        if base is None or adapter is None or self.speaking == "base":
            return [base] if base is not None else []
        return [adapter] if self.speaking == "adapter" else [base, adapter]

    @property
    def no_adapter(self) -> str:
        """Why there is no adapter, and how one comes about."""
        if self._state.chat is not None:
            return "There is no adapter: this chat was opened with a model alone."
        if self._state.run is None:
            return "There is no adapter yet: start a run with f5, or open a finished one on Runs (7)."
        return "This run has no adapter yet: it is written with the first checkpoint."

    def choose(self, voices: Sequence[Voice]) -> None:
        """Has these answer.

        Raises:
            TunerError: there are none, too many, or one of them twice.
        """
        if not 1 <= len(voices) <= MOST:
            raise TunerError(
                f"{len(voices)} columns cannot stand side by side", code="too-many-voices", fix=f"choose one to {MOST}"
            )
        double = [voice.label for at, voice in enumerate(voices) if voice in voices[:at]]
        if double:
            raise TunerError(f"{double[0]} is chosen twice", code="too-many-voices", fix="choose each once")
        self.chosen = tuple(voices)

    def wishes(self, wish: str) -> None:
        """Has base, adapter or both answer.

        Raises:
            TunerError: there is no adapter.
        """
        if self.adapter is None and wish != "base":
            raise TunerError(self.no_adapter.rstrip("."), code="no-adapter")
        self.wish, self.chosen = wish, ()

    # -- what comes with the subject ----------------------------------------------------------------------------

    @property
    def sampling(self) -> Sampling:
        """The settings as long as nobody has changed them."""
        target = self._state.chat
        if target is not None:
            return target.sampling
        tokens = self.subject.experiment.evaluation.max_tokens if self.subject is not None else 0
        return Sampling(max_tokens=max(MAX_TOKENS, tokens))

    @property
    def system(self) -> str:
        """The system message as long as nobody has changed it: the target's, or the one that training puts before
        every prompt, where it is the same for all."""
        target = self._state.chat
        if target is not None:
            return target.system
        text = self.subject.experiment.data.system if self.subject is not None else ""
        return "" if "{" in text else text

    def _model(self, subject: Subject) -> str:
        try:
            return resolve_model(subject.experiment.model.path, subject.base)
        except TunerError:
            return subject.experiment.model.path  # The engine says what is wrong with it.

    def _template(self, subject: Subject) -> str:
        """The chat template in which both voices are asked: the one that was trained with, else the chosen one."""
        run, target = self._state.run, self._state.chat
        trained = target.adapter if target is not None else run.adapters if run is not None and subject.is_run else None
        if trained is not None and (trained / "chat_template.jinja").is_file():
            return str(trained / "chat_template.jinja")
        chosen = subject.experiment.model.chat_template
        found = None if chosen in CHAT_TEMPLATES else find_local(chosen, subject.base)
        return str(found or chosen)
