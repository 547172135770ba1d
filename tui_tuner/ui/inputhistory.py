"""What was sent in the chat before, also in other sessions: kept in a file beside the person's settings.

It is a convenience: a file that cannot be read or written costs nothing but the memory of it. Long texts are remembered
only as long as the app lives.
"""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

from tui_tuner.errors import TunerError
from tui_tuner.paths import config_dir

MOST = 200
"""Texts that are remembered."""
LONGEST = 4_000
"""Characters of a text that goes into the file."""
_LARGEST_FILE = 4 << 20


class InputHistory:
    """Texts that were sent, oldest first; read when they are asked for first."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path or config_dir() / "chat-history.jsonl"
        self._texts: list[str] | None = None

    @property
    def texts(self) -> list[str]:
        if self._texts is None:
            self._texts = self._read()
        return self._texts

    def add(self, text: str) -> None:
        """Remembers a text as the newest; one that was sent before moves there."""
        texts = self.texts
        again = bool(texts) and texts[-1] == text
        if text in texts:
            texts.remove(text)
        texts.append(text)
        del texts[:-MOST]
        if not again and len(text) <= LONGEST:
            self._append(text)

    def _append(self, text: str) -> None:
        with contextlib.suppress(OSError, TunerError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            # What somebody asked a model is nobody else's matter.
            there = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            with os.fdopen(there, "w", encoding="utf-8") as file:
                file.write(json.dumps(text) + "\n")

    def _read(self) -> list[str]:
        try:
            if self._path.stat().st_size > _LARGEST_FILE:
                self._path.unlink()  # thousands of texts; the newest two hundred are not worth reading them all
                return []
            lines = self._path.read_text(encoding="utf-8").splitlines()
        except (OSError, ValueError, TunerError):
            return []
        out: dict[str, None] = {}
        for line in lines:
            with contextlib.suppress(ValueError, RecursionError):
                text = json.loads(line)
                if isinstance(text, str) and text.strip() and len(text) <= LONGEST:
                    out.pop(text, None)
                    out[text] = None
        texts = list(out)[-MOST:]
        if len(lines) > 4 * MOST:
            self._write(texts)
        return texts

    def _write(self, texts: list[str]) -> None:
        from tui_tuner.atomic import write_atomic

        with contextlib.suppress(OSError, TunerError):
            write_atomic(self._path, "".join(json.dumps(text) + "\n" for text in texts))
