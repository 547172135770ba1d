"""Tells of a run's end when nobody looks at the terminal: by the terminal itself, or by the system.

It must never disturb the screen: sequences go through the app's own driver, whole, and programs get no terminal. What
cannot be told is not told; the run's state says it anyway.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable

from tui_tuner.ui.text import visible

_LONGEST = 200
"""Characters; more than that no notification shows."""


def sequences(title: str, text: str, tmux: bool) -> str:
    """What a terminal is sent: OSC 9 (iTerm2, WezTerm, kitty, Ghostty, Windows Terminal) and 777 (foot, VTE, urxvt).

    Terminals pass over the one that they do not know.

    Args:
        tmux: whether tmux stands between; it passes on only what is wrapped for it.
    """
    title, text = _plain(title), _plain(text)
    out = f"\x1b]9;{title}: {text}\x07\x1b]777;notify;{title};{text}\x07"
    if not tmux:
        return out
    return "".join("\x1bPtmux;" + part.replace("\x1b", "\x1b\x1b") + "\x1b\\" for part in _parts(out))


def system_command(title: str, text: str, platform: str = sys.platform) -> list[str] | None:
    """The program that shows a notification of the system, with its arguments; None where there is none."""
    title, text = _plain(title), _plain(text)
    if platform == "darwin":
        # The texts are arguments of the script and no part of it, so that nothing in them is run.
        script = "on run {theTitle, theText}\ndisplay notification theText with title theTitle\nend run"
        return ["osascript", "-e", script, title, text]
    found = shutil.which("notify-send")
    return [found, "--app-name=tui_tuner", "--", title, text] if found else None


def tell(how: str, title: str, text: str, write: Callable[[str], object]) -> bool:
    """Tells of something; returns whether there was a way.

    Args:
        how: "off", "terminal" or "system", as the settings have it.
        write: sends characters to the terminal.
    """
    if how == "terminal":
        write(sequences(title, text, bool(os.environ.get("TMUX"))))
        return True
    command = system_command(title, text) if how == "system" else None
    if command is None:
        return False
    with contextlib.suppress(OSError):
        subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        return True
    return False


def _plain(text: str) -> str:
    """One line without a character that could end a sequence or begin another field."""
    return visible(text).replace(";", ",")[:_LONGEST]


def _parts(text: str) -> list[str]:
    return [part + "\x07" for part in text.split("\x07") if part]
