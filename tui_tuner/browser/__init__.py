"""The workbench in a browser: a server on this machine, and the app in a process of its own for each window.

It knows the app only as a command that it starts. It must never import the interface, touch a run, or answer anybody
who has not shown that they may ask.
"""

from __future__ import annotations

import os

DRIVER = "tui_tuner.ui.browserdriver:BrowserDriver"
"""What the app draws through when a browser shows it, for textual's variable `TEXTUAL_DRIVER`."""


def in_browser() -> bool:
    """Whether this process was started by the server, to be shown in a browser."""
    return os.environ.get("TEXTUAL_DRIVER") == DRIVER
