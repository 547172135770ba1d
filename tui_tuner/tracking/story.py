"""What of a run's events is told to a tracker, and under which names.

Pure: events in, figures and words out, always the same ones for the same log. Only numbers that are finite are told,
and nothing that comes from the data unless samples are wanted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tui_tuner.runs import Event
from tui_tuner.runs.columns import number

_TRAIN: Final = (
    *("loss", "learning_rate", "tokens_per_second", "steps_per_second", "trained_tokens", "grad_norm"),
    *("peak_memory", "padding_fraction"),
)
_REMEMBERED: Final = 200_000  # steps whose losses are known again when a later session repeats them


@dataclass(frozen=True)
class Figures:
    """Numbers that belong to a step.

    Attributes:
        step: after how many steps.
        values: by name, such as "train/loss" (nats per token) or "train/peak_memory" (bytes); all finite.
        often: whether they are one of many alike, which may be thinned when a tracker is slow.
    """

    step: int
    values: Mapping[str, float]
    often: bool = False


@dataclass(frozen=True)
class Word:
    """Something that is no number: the verdict in words."""

    step: int
    name: str
    text: str


@dataclass(frozen=True)
class Answer:
    """What the model said to a probe; only where samples are wanted. `number` counts the prompts from 1."""

    step: int
    number: int
    prompt: str
    text: str


Told = Figures | Word | Answer


class Story:
    """Turns a run's events, in their order, into what a tracker is told.

    A resumed run repeats the steps after its last checkpoint. Where it reports the same loss again, as an exact
    resumption does, nothing is told twice.

    Args:
        samples: whether what the model said to the probes is told.
    """

    def __init__(self, samples: bool = False) -> None:
        self.status = "interrupted"
        """How the last session ended, as far as the events go: interrupted until one says otherwise."""
        self.step = 0
        """The last step that was reported."""
        self._samples = samples
        self._prompts: dict[str, int] = {}
        self._known: dict[tuple[object, ...], object] = {}
        self._tellers: dict[str, Callable[[Event], list[Told]]] = {
            "run_started": self._started,
            "train": self._train,
            "validation": self._validation,
            "sample": self._sample,
            "evaluation": self._evaluation,
            "behaviour": self._rate,
            "canaries": self._rate,
            "verdict": self._verdict,
            "run_finished": self._finished,
        }

    def fold(self, event: Event) -> list[Told]:
        """What is told of one event; nothing of most."""
        teller = self._tellers.get(event["type"])
        return [] if teller is None else teller(event)

    def _started(self, event: Event) -> list[Told]:
        self.status = "interrupted"
        return []

    def _finished(self, event: Event) -> list[Told]:
        self.status = str(event.get("status"))
        return []

    def _train(self, event: Event) -> list[Told]:
        values = {f"train/{name}": value for name in _TRAIN if (value := number(event.get(name))) is not None}
        return self._at(event, "train", values, often=True)

    def _validation(self, event: Event) -> list[Told]:
        loss = number(event.get("loss"))
        return self._at(event, "validation", {} if loss is None else {"validation/loss": loss})

    def _sample(self, event: Event) -> list[Told]:
        step, prompt, text = _step(event), event.get("prompt"), event.get("text")
        if not self._samples or step is None or not isinstance(prompt, str) or not isinstance(text, str):
            return []
        number = self._prompts.setdefault(prompt, len(self._prompts) + 1)
        return [Answer(step, number, prompt, text)] if self._is_news(("sample", step, prompt), text) else []

    def _evaluation(self, event: Event) -> list[Told]:
        metrics, label = event.get("metrics"), str(event.get("label"))
        if not isinstance(metrics, dict):
            return []
        values: dict[str, float] = {}
        for metric, found in metrics.items():
            if isinstance(found, dict):
                values.update(_interval(f"{label}/{metric}", found))
        return self._once(label, ("evaluation", label), values)

    def _rate(self, event: Event) -> list[Told]:
        kind, label = event["type"], str(event.get("label"))
        named = {"value": event.get("rate"), "low": event.get("low"), "high": event.get("high")}
        return self._once(label, (kind, label), _interval(f"{label}/{kind}", named))

    def _verdict(self, event: Event) -> list[Told]:
        values: dict[str, float] = {}
        metrics = event.get("metrics")
        for metric, found in (metrics if isinstance(metrics, dict) else {}).items():
            if isinstance(found, dict):
                values.update(_interval(f"verdict/{metric}", {**found, "value": found.get("difference")}))
                if (p := number(found.get("p"))) is not None:
                    values[f"verdict/{metric}_p"] = p
        told = self._once("after", ("verdict",), values)
        sentence = event.get("sentence")
        if isinstance(sentence, str) and sentence and self._is_news(("sentence",), sentence):
            told.append(Word(self.step, "verdict", sentence))
        return told

    def _at(self, event: Event, kind: str, values: dict[str, float], often: bool = False) -> list[Told]:
        step = _step(event)
        if step is None or not values:
            return []
        self.step = step
        if not self._is_news((kind, step), values.get(f"{kind}/loss")):
            return []
        return [Figures(step, values, often)]

    def _once(self, label: str, key: tuple[object, ...], values: dict[str, float]) -> list[Told]:
        """Figures of the untrained model stand at step 0, all others where training is."""
        if not values or not self._is_news(key, tuple(values.items())):
            return []
        return [Figures(0 if label == "before" else self.step, values)]

    def _is_news(self, key: tuple[object, ...], value: object) -> bool:
        if key in self._known and self._known[key] == value:
            return False
        self._known.pop(key, None)
        self._known[key] = value
        if len(self._known) > _REMEMBERED:
            del self._known[next(iter(self._known))]
        return True


def _interval(name: str, found: Mapping[str, Any]) -> dict[str, float]:
    """A figure and the ends of its interval, as far as they are numbers."""
    named = {name: found.get("value"), f"{name}_low": found.get("low"), f"{name}_high": found.get("high")}
    return {key: known for key, value in named.items() if (known := number(value)) is not None}


def _step(event: Event) -> int | None:
    step = event.get("step")
    return step if isinstance(step, int) and not isinstance(step, bool) and 0 <= step < 1 << 62 else None
