"""The one exception that people get to read.

Every failure a person can cause or mend is raised as a `TunerError`: what is wrong, where, and what to do. The command
line prints it as one sentence (or as a JSON document), the app shows it as a notice. It must never carry a traceback,
a secret, or text of a library that says nothing to the reader.
"""

from __future__ import annotations

import os
import re
from typing import Any

_TOKENS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
_LOOKS_SECRET = re.compile(r"hf_[A-Za-z0-9]{16,}|(?<=Bearer )[^\s'\"]+|(?<=\?)(?:[\w.~-]+=[^\s'\"]*)")
_BREAK = re.compile(r"\s*[\r\n\v\f\x1c-\x1e\x85\u2028\u2029]+\s*")


class TunerError(Exception):
    """A failure with an answer.

    Args:
        message: what is wrong, as a clause that can start a sentence.
        code: a short stable identifier in kebab-case, for scripts.
        where: the file, line, key or row that the failure is about; empty when there is none.
        fix: what to do about it, as an imperative clause; empty when nothing is known to help.
        usage: whether the caller's words are at fault (exit status 2) rather than the job (1).
    """

    def __init__(
        self, message: str, *, code: str = "failed", where: str = "", fix: str = "", usage: bool = False
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.where = where
        self.fix = fix
        self.usage = usage

    def sentence(self) -> str:
        """The error as one line, whatever it quotes: `where: message; fix.`"""
        text = f"{self.where}: {self.message}" if self.where else self.message
        if self.fix:
            text = f"{text.rstrip('.')}; {self.fix}"
        text = _BREAK.sub(" ", text)
        return text if text.endswith((".", "!", "?")) else f"{text}."

    def as_json(self) -> dict[str, Any]:
        """The error as the `--json` document that every command prints on failure."""
        return {"error": {"code": self.code, "message": self.message, "where": self.where, "fix": self.fix}}

    def __str__(self) -> str:
        return self.sentence()


def without_secrets(text: str) -> str:
    """A library's text or a traceback, with tokens and what addresses carry behind their question mark blotted out."""
    for name in _TOKENS:
        token = os.environ.get(name, "").strip()
        if len(token) > 4:
            text = text.replace(token, "***")
    return _LOOKS_SECRET.sub("***", text)


def brief(error: BaseException, limit: int = 200) -> str:
    """What a library's exception says, fit to stand inside a sentence: its first line, cut, without a full stop."""
    lines = str(error).strip().splitlines()
    text = lines[0].strip() if lines else ""
    if isinstance(error, KeyError):  # whose text is the bare key in quotes
        text = str(error.args[0]) if error.args and " " in str(error.args[0]) else f"there is no {text or 'such key'}"
    text = without_secrets(text)
    return (text if len(text) <= limit else text[: limit - 2] + " …").rstrip(".") or type(error).__name__
