"""What mlx-lm prints while it trains, line by line: two formats, older sentences and the table of 0.32.

Sentences, before 0.32 (`...` is `Peak mem 6.2 GB`; the last figures are missing in early versions)::

    Starting training..., iters: 600
    Iter 1: Val loss 2.861, Val took 4.204s
    Iter 10: Train loss 2.503, Learning Rate 1.000e-05, It/sec 0.9, Tokens/sec 350.1, Trained Tokens 3890, ...
    Iter 100: Saved adapter weights to adapters/adapters.safetensors and adapters/0000100_adapters.safetensors.
    Saved final weights to adapters/adapters.safetensors.

The table, from 0.32 on, below a box with the settings and above a bar that is drawn over and over in a terminal::

    iter   train_loss     tok/s     tokens
       1    val 6.015    0.22s
      10    5.262 ▼      511      0.6k
    save  0000020_adapters.safetensors
    train ██████████████████████████████ 100% ·    60/60

`parse` knows single lines; `LineAssembler` puts together what was wrapped. Nothing here knows of runs, or reads a file.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Final, Literal

Kind = Literal[
    "loading", "setting", "trainable", "begin", "train", "validation", "checkpoint", "bar", "final",
    "testing", "test", "warning", "traceback", "death",
]  # fmt: skip

_NUMBER: Final = r"[-+]?(?:nan|inf|\d[\d,]*(?:\.\d*)?(?:e[-+]?\d+)?)"
_STYLE: Final = re.compile(
    r"\x1b\[[0-?]*[ -/]*[mhl]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[()][0-9A-Z]|[\x00\x07\x0e\x0f]"
)
_MOVE: Final = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[78DEHM=>]|\r|\n|\x0b|\x0c")

_SENTENCE: Final = re.compile(rf"\bIter\s+(\d+):\s*(Train|Val)\s+loss\s+({_NUMBER})", re.IGNORECASE)
_FIGURES: Final = {
    name: re.compile(rf"{words}\s+({_NUMBER})(?=[\s,s]|$)", re.IGNORECASE)
    for name, words in {
        "learning_rate": r"Learning\s+Rate",
        "steps_per_second": "It/sec",
        "tokens_per_second": "Tokens/sec",
        "trained_tokens": r"Trained\s+Tokens",
        "peak_memory": r"Peak\s+mem",
        "seconds": r"Val\s+took",
    }.items()
}
_TRAIN_ROW: Final = re.compile(rf"(?:^|\s)(\d+)\s+({_NUMBER})\s*[▲▼](?:\s+({_NUMBER})(?:\s+({_NUMBER})k)?)?")
_VALIDATION_ROW: Final = re.compile(rf"(?:^|\s)(\d+)\s+val\s+({_NUMBER})(?:\s+({_NUMBER})s\b)?\s*$")
_SAVED: Final = re.compile(r"\bIter\s+(\d+):\s*Saved\s+adapter\s+weights\s+to\s+(\S.*?)\.?\s*$", re.IGNORECASE)
_SAVE_ROW: Final = re.compile(r"(?:^|\s)save\s+((\d+)_adapters\.safetensors)\s*$")
_BAR: Final = re.compile(r"train\s.*\d%\s*·\s*(\d[\d,]*)\s*/\s*(\d[\d,]*)\s*$")
_SETTING: Final = re.compile(r"^\s*│\s*(model|type|dataset|optimizer|batch · iters)\s+(\S.*?)\s*│?\s*$")
_OTHERS: Final[tuple[tuple[Kind, re.Pattern[str]], ...]] = (
    ("loading", re.compile(r"^\s*(Loading pretrained model)\s*$")),
    ("begin", re.compile(r"Starting training\b.*?iters:\s*([\d,]+)")),
    ("begin", re.compile(r"(?:^|\s)iter\s+train_loss\s+tok/s\s+tokens(\s*)$")),
    ("trainable", re.compile(r"^\s*(Trainable parameters: \S.*?)\s*$")),
    ("final", re.compile(r"Saved final weights to\s+(\S.*?)\.?\s*$", re.IGNORECASE)),
    ("testing", re.compile(r"^\s*(Testing)\s*$")),
    ("test", re.compile(r"(Test loss\s+\S+, Test ppl\s+\S+?)\.?\s*$")),
    ("warning", re.compile(r"\[WARNING\]\s*(\S.*?)\s*$")),
    ("traceback", re.compile(r"^\s*[│╭─ ]*(Traceback \(most recent call last\))")),
    ("death", re.compile(r"(libc\+\+abi: terminating.*|terminate called after.*|.*Command buffer execution failed.*)")),
    ("death", re.compile(r"^\s*((?:zsh: )?(?:killed|Killed|abort|Aborted|Abort trap|Segmentation fault)\b.*?)\s*$")),
)
_ROW_START: Final = re.compile(rf"\s*\d+\s+(?:val\s*)?(?:{_NUMBER}\s*)?")
_HINT: Final = re.compile(
    r"[▲▼│]|\bval\b|iter|loading pretrained|sav|trainable|test|warning|traceback|terminat|command|kill|abort|segm",
    re.IGNORECASE,
)  # one of these is in every line of the kinds above; bars apart
_PATH_BREAK: Final = re.compile(r"[/\\]")


@dataclass(frozen=True)
class Found:
    """What a line says.

    Attributes:
        kind: what sort of line it is.
        step: the iteration as printed, 0 where the line names none.
        numbers: its figures in the units of events; NaN or infinite where mlx-lm printed that.
        text: its words: a path, a setting's value, the cause of an end.
        name: which setting.
        whole: whether nothing more can follow; a line that was wrapped goes on in the next.
        old: whether it is of the older format.
    """

    kind: Kind
    step: int = 0
    numbers: dict[str, float] = field(default_factory=dict)
    text: str = ""
    name: str = ""
    whole: bool = True
    old: bool = False


def split_lines(text: str) -> list[str]:
    """Lines as a reader would see them one after another, without colours: what is drawn over counts as a line."""
    return [line for line in _MOVE.split(_STYLE.sub("", text)) if line.strip()]


def parse(line: str) -> Found | None:
    """What a line says, or None when it is not one of mlx-lm's."""
    # Nearly all of a log that was recorded from a terminal is bars, so they are settled first.
    if line.startswith("train "):
        return _bar(line)
    if line.startswith("val  ") or _HINT.search(line) is None:
        return None
    return _sentence(line) or _row(line) or _saved(line) or _setting(line) or _other(line)


class LineAssembler:
    """Puts reports together that a narrow terminal wrapped, and finds the error that a traceback ends with.

    A report that lacks its last figures is held back until the next line shows whether it goes on there.
    """

    def __init__(self) -> None:
        self._held = ""
        self._found: Found | None = None
        self._in_traceback = False

    def add(self, line: str) -> list[Found]:
        """Take in a line; returns what is now known to have been said, in order."""
        if self._in_traceback:
            if line[0].isspace():
                return []
            self._in_traceback = False
            return [Found("death", text=line.strip()[:500])]
        found = parse(line)
        if self._held and found is None:
            joined = self._join(line)
            if joined is not None:
                return joined
        said = self.flush()
        if found is None:
            if _ROW_START.fullmatch(line):
                self._held = line
        elif found.kind == "traceback":
            self._in_traceback = True
        elif found.whole:
            said.append(found)
        else:
            self._held, self._found = line, found
        return said

    def flush(self) -> list[Found]:
        """The report that is held back, as far as it goes; nothing is held back then."""
        found, self._held, self._found = self._found, "", None
        return [] if found is None else [found]

    def _join(self, line: str) -> list[Found] | None:
        """What the held report says with `line` as its continuation; None when it is none.

        A terminal breaks within words, a library between them, so both are tried.
        """
        known = len(self._found.numbers) if self._found is not None else 0
        for joined in (self._held + line, f"{self._held.rstrip()} {line.lstrip()}"):
            found = parse(joined)
            if found is not None and found.kind in ("train", "validation") and len(found.numbers) > known:
                self._held, self._found = ("", None) if found.whole else (joined, found)
                return [found] if found.whole else []
        return None


def _sentence(line: str) -> Found | None:
    match = _SENTENCE.search(line)
    if match is None:
        return None
    train = match[2].lower() == "train"
    numbers = {"loss": _float(match[3])}
    for name, pattern in _FIGURES.items():
        figure = pattern.search(line, match.end())
        if figure is not None:
            numbers[name] = _float(figure[1])
    if "peak_memory" in numbers:
        numbers["peak_memory"] *= 1e9
    whole = bool(re.search(r"\bGB\b", line)) if train else "seconds" in numbers
    return Found("train" if train else "validation", int(match[1]), numbers, whole=whole, old=True)


def _row(line: str) -> Found | None:
    if "▲" in line or "▼" in line:
        match = _TRAIN_ROW.search(line)
        if match is None:
            return None
        numbers = {"loss": _float(match[2])}
        if match[3] is not None:
            numbers["tokens_per_second"] = _float(match[3])
        if match[4] is not None:
            numbers["trained_tokens"] = round(_float(match[4]) * 1000)
        return Found("train", int(match[1]), numbers, whole=match[4] is not None)
    match = _VALIDATION_ROW.search(line)
    if match is None:
        return None
    numbers = {"loss": _float(match[2])}
    if match[3] is not None:
        numbers["seconds"] = _float(match[3])
    return Found("validation", int(match[1]), numbers, whole=match[3] is not None)


def _saved(line: str) -> Found | None:
    match = _SAVED.search(line)
    if match is not None:
        # The last path named is the one with the iteration in its name.
        path = _PATH_BREAK.split(match[2].split(" and ")[-1].strip())[-1]
        return Found("checkpoint", int(match[1]), text=path, old=True)
    match = _SAVE_ROW.search(line)
    return None if match is None else Found("checkpoint", int(match[2]), text=match[1])


def _setting(line: str) -> Found | None:
    match = _SETTING.match(line)
    return None if match is None else Found("setting", name=match[1], text=match[2])


def _bar(line: str) -> Found | None:
    match = _BAR.match(line)
    return None if match is None else Found("bar", int(_float(match[1])), {"total": _float(match[2])})


def _other(line: str) -> Found | None:
    for kind, pattern in _OTHERS:
        match = pattern.search(line)
        if match is not None:
            return Found(kind, text=match[1].strip())
    return None


def _float(text: str) -> float:
    try:
        return float(text.replace(",", ""))
    except ValueError:
        return math.nan
