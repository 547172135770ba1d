"""The room of the chat screen for who answers, and in which manner: columns, system message, sampling, memory."""

from __future__ import annotations

import time

from tui_tuner.chat.sampling import Own, Sampling, dropped_set, kept_set, named_set, set_names
from tui_tuner.chat.voices import Voice
from tui_tuner.engine.voices import voice_of, voices_there
from tui_tuner.errors import TunerError
from tui_tuner.ui.chatvoices import WISHES
from tui_tuner.ui.columnsdialog import ColumnsDialog
from tui_tuner.ui.samplingdialog import ABOUT, SamplingDialog, about_set, written
from tui_tuner.ui.screens.chatroom import ChatRoom
from tui_tuner.ui.valuedialogs import LongDialog, Written
from tui_tuner.ui.widgets.chat_offers import Offer

_FRESH = 5.0
"""Seconds for which the list of those at hand is taken as it was while one types."""


class ChatWho(ChatRoom):
    """Chooses who answers, and how."""

    def __init__(self) -> None:
        super().__init__()
        self._listed: tuple[float, list[Voice]] = (-_FRESH, [])  # who is at hand, and when that was looked up

    # -- columns --------------------------------------------------------------------------------------------------

    def do_voice(self, _rest: str) -> None:
        """Base or adapter; says what to do when there is no adapter."""
        self._wishes("base" if self.speakers.speaking == "adapter" else "adapter")

    def do_both(self, _rest: str) -> None:
        self._wishes("adapter" if self.speakers.speaking == "both" else "both")

    def _wishes(self, wish: str) -> None:
        if self.speakers.adapter is None and wish != "base":
            self.say(self.speakers.no_adapter, grave=True)
            return
        self.speakers.wishes(wish)
        self.draw_head()

    def do_adapter(self, rest: str) -> None:
        """Chooses who answers: by a list, or by what was typed, parted by commas or blanks."""
        if not rest:
            dialog = ColumnsDialog(self.at_hand(), self.speakers.voices, self.voice_called)
            self.ask_in(dialog, self._take_columns)
        elif rest.lower() in WISHES:
            self._wishes(rest.lower())
        else:
            self._take_columns([self.voice_called(each) for each in _specs(rest)])

    def _take_columns(self, voices: list[Voice] | None) -> None:
        if voices:
            self.speakers.choose(voices)
            self.draw_head()

    def at_hand(self) -> list[Voice]:
        """Who can be chosen from a list: of what is looked at first, then of all runs."""
        speakers, run = self.speakers, self.tuner.state.run
        own = [voice for voice in (speakers.base, speakers.adapter) if voice is not None]
        of_runs = voices_there(self.tuner.runs_dir, run if self.tuner.state.chat is None else None)
        return [*own, *(voice for voice in of_runs if voice not in own)]

    def voice_called(self, spec: str) -> Voice:
        """The voice of a name that was typed."""
        speakers = self.speakers
        own = {"base": speakers.base, "adapter": speakers.adapter}.get(spec.lower())
        return own or voice_of(spec, self.tuner.runs_dir, speakers.adapter or speakers.base)

    def after_adapter(self, _rest: str) -> list[Offer]:
        own = [voice for voice in (self.speakers.base, self.speakers.adapter) if voice is not None]
        both = [("both", "base and adapter, side by side")] if self.speakers.adapter is not None else []
        if time.monotonic() - self._listed[0] > _FRESH:
            self._listed = time.monotonic(), self.at_hand()
        there = [(voice.label, str(voice.adapter or voice.model)) for voice in self._listed[1] if voice not in own]
        return [*((voice.name, voice.label) for voice in own), *both, *there]

    # -- system message -------------------------------------------------------------------------------------------

    def do_system(self, rest: str) -> None:
        """Sets the system message; without words, opens it."""
        if rest:
            self._take_system("" if rest.lower() == "none" else rest)
            return

        def taken(typed: Written | None) -> None:
            if typed is not None:
                self._take_system(typed.text.strip())

        about = "Stands before what every voice is sent, from the next question on. Empty is none."
        dialog = LongDialog(
            "System message", about, self.session.system, "", _of_words, lambda _typed: None, items=False
        )
        self.ask_in(dialog, taken)

    def _take_system(self, text: str) -> None:
        self.session.system, self.system_chosen = text, True
        self.draw_head()

    # -- sampling and manner --------------------------------------------------------------------------------------

    def do_set(self, rest: str) -> None:
        """Changes one setting, or takes a set by its name."""
        if not rest:
            self.do_sampling("")
            return
        name, _, value = rest.replace("=", " ", 1).partition(" ")
        if name.lower() in ("save", "drop") and value.strip():
            self._change_sets(name.lower(), value.strip())
            return
        if name.lower() in set_names(self._own_sets) and not value.strip():
            self.sampling = named_set(name, self.sampling, self._own_sets)
        elif not value.strip() and name.lower().replace("-", "_") in ABOUT and name.lower() != "stop":
            now = written(self.sampling, name.lower().replace("-", "_"))
            self.say(f"{name.lower()} is {now}. {ABOUT[name.lower().replace('-', '_')].capitalize()}.")
            return
        else:
            self.sampling = self.sampling.changed(name, value.strip())
        self.say(" · ".join(self.sampling.told()) or "Greedy: always the likeliest token.")

    def do_sampling(self, _rest: str) -> None:
        def taken(sampling: Sampling | None) -> None:
            if sampling is not None:
                self.sampling = sampling

        self.ask_in(SamplingDialog(self.sampling, self._own_sets), taken)

    @property
    def _own_sets(self) -> Own:
        settings = self.tuner.settings
        return {} if settings is None else settings.sampling

    def _change_sets(self, what: str, name: str) -> None:
        """Keeps the present settings as a set of the person's own, or takes one away."""
        from tui_tuner.settings import change_settings

        own, settings = self._own_sets, self.tuner.settings
        if settings is None:
            raise TunerError("this app was started without settings", code="not-writable", fix="use /set NAME VALUE")
        sets = kept_set(name, self.sampling, own) if what == "save" else dropped_set(name, own)
        change_settings(settings, sampling=sets)
        name = name.lower()
        self.say(f"Kept: /set {name} takes these settings." if what == "save" else f"The set {name} is gone.")

    def after_set(self, rest: str) -> list[Offer]:
        own = self._own_sets
        if " " in rest:
            return [(name, about_set(name, own)) for name in own] if rest.lower().startswith("drop ") else []
        settings = [(name, f"{written(self.sampling, name)} · {about}") for name, about in ABOUT.items()]
        sets = [(name, about_set(name, own)) for name in set_names(own)]
        return [*settings, *sets, ("save", "keeps the present settings as a set with a name")]

    def do_memory(self, _rest: str) -> None:
        """Whether voices are told what came before."""
        self.session.memory, self.memory_chosen = not self.session.memory, True
        self.draw_head()

    def do_plain(self, _rest: str) -> None:
        """Bare text, or the chat template."""
        self.session.plain = not self.session.plain
        self.say(
            "Plain completion: the model is sent your bare text and goes on with it."
            if self.session.plain
            else "The chat template is used again."
        )
        self.draw_head()

    def do_together(self, _rest: str) -> None:
        """Columns token by token, or one after the other."""
        self.session.together = not self.session.together
        self.say(
            "Columns on the same base answer together, token by token."
            if self.session.together
            else "Columns answer one after the other."
        )
        self.draw_head()


def _specs(rest: str) -> list[str]:
    """The names that were typed; commas part them where there are some, else blanks."""
    parts = rest.split(",") if "," in rest else rest.split()
    return [part.strip() for part in parts if part.strip()]


def _of_words(typed: Written) -> str:
    return f"{len(typed.text.split())} words" if typed.text.strip() else "no system message"
