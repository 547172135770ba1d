"""What jobs hand back: plain data that any thread may hold. Nothing here may carry an mlx array."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

from tui_tuner.chat.inside import Inside
from tui_tuner.chat.reply import ChatReply
from tui_tuner.data.preview import DataPreview, PreviewRow
from tui_tuner.models.facts import ListedModel, ModelFacts, Offers
from tui_tuner.models.inspect import Inspection

__all__ = [
    "ChatReply",
    "ContextUse",
    "DataPreview",
    "Inside",
    "Inspection",
    "ListedModel",
    "ModelDetails",
    "ModelFacts",
    "Offers",
    "PreviewRow",
    "RowLosses",
    "TokenSink",
]


@dataclass(frozen=True)
class ModelDetails:
    """All that a screen shows of a model.

    Attributes:
        inspection: what it is.
        variants: what was made of it, as `convert --json` lists it.
        offers: which conversions its shapes allow.
    """

    inspection: Inspection
    variants: list[dict[str, Any]]
    offers: Offers


@dataclass(frozen=True)
class ContextUse:
    """What a conversation takes of a model's context.

    Attributes:
        tokens: of the rendered conversation, ready to be answered.
        context: how many the model's context holds; 0 where the model does not say.
        plain: whether it was rendered without a chat template.
    """

    tokens: int
    context: int
    plain: bool = False


@dataclass(frozen=True)
class RowLosses:
    """One row's answer under two models.

    Attributes:
        index: the row.
        pieces: the text of each token of the answer, its end included.
        base, adapter: as many negative log-likelihoods, in nats.
    """

    index: int
    pieces: list[str]
    base: list[float]
    adapter: list[float]

    def as_json(self) -> dict[str, Any]:
        """The document that a command prints."""
        tokens = zip(self.pieces, self.base, self.adapter, strict=True)
        return {
            "index": self.index,
            "tokens": [{"text": text, "base": first, "adapter": second} for text, first, second in tokens],
            "mean": {"base": _mean(self.base), "adapter": _mean(self.adapter)},
        }


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None


@dataclass
class TokenSink:
    """Text on its way from the worker to a reader that looks in when it likes; a screen does so ten times a second.

    `write` and `finish` are called by one worker thread; `take` by one reader.
    """

    _parts: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _done: threading.Event = field(default_factory=threading.Event)

    def write(self, text: str) -> None:
        """Adds text for the reader."""
        if text:
            with self._lock:
                self._parts.append(text)

    def take(self) -> str:
        """All text since the last call, possibly empty."""
        with self._lock:
            text = "".join(self._parts)
            self._parts.clear()
        return text

    def finish(self) -> None:
        """Says that nothing more will come."""
        self._done.set()

    @property
    def done(self) -> bool:
        """Whether nothing more will come (a last `take` may still give text)."""
        return self._done.is_set()
