"""The probes of a run as its events tell them: which prompts there are, and who said what after how many steps.

Like the view it reads, it must never fail on an event, whatever is in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ..errors import TunerError
from .events import Event

if TYPE_CHECKING:
    from .view import RunView

PROMPT_LIMIT: Final = 20_000
"""The longest prompt that can be added to a run, in characters."""


def prompt_of(value: Any) -> str:
    """A text that somebody wants to be asked, as a prompt.

    Raises:
        TunerError: `bad-probe` when it is no text, empty, or too long.
    """
    if not isinstance(value, str) or not value.strip():
        raise _bad("a probe is a text, and this is none", "write the prompt that shall be answered")
    if len(value) > PROMPT_LIMIT:
        raise _bad(f"the probe has {len(value):,} characters", f"keep it to {PROMPT_LIMIT:,} or fewer")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise _bad("the probe holds what is no UTF-8 text", "write it as UTF-8") from error
    return value


def _bad(message: str, fix: str) -> TunerError:
    return TunerError(message, code="bad-probe", fix=fix, usage=True)


def added_prompts(events: Iterable[Event]) -> list[str]:
    """The prompts that were added to a run while it went on, in the order in which they came."""
    found: dict[str, None] = {}
    for event in events:
        value = event.get("value")
        if event.get("type") == "control" and event.get("what") == "probe" and isinstance(value, str):
            found[value] = None
    return list(found)


@dataclass(frozen=True)
class Timeline:
    """What was said to each probe after how many steps.

    Attributes:
        prompts: in the order in which they were given, the configured ones first.
        steps: at which any was answered, ascending; 0 is the untrained model.
        answers: (prompt, step) → the answer.
        losses: step → validation loss in nats per token, where one was measured at that very step.
        best: the step of the best checkpoint, or None.
    """

    prompts: list[str]
    steps: list[int]
    answers: dict[tuple[str, int], str]
    losses: dict[int, float]
    best: int | None = None

    def before(self, prompt: str, step: int) -> int | None:
        """The last step before `step` at which a prompt was answered."""
        return max((known for known in self.steps if known < step and (prompt, known) in self.answers), default=None)


def timeline(view: RunView, configured: Sequence[str] = ()) -> Timeline:
    """The timeline of a run.

    Args:
        configured: the prompts of its configuration, also those that were not answered yet.
    """
    prompts = dict.fromkeys([*configured, *added_prompts(view.controls)])
    answers = {}
    for sample in view.samples:
        prompt, step = str(sample["prompt"]), int(sample["step"])
        prompts.setdefault(prompt)
        answers[prompt, step] = str(sample.get("text", ""))
    steps = sorted({step for _, step in answers})
    columns = (view.validation.column(name).tolist() for name in ("step", "loss"))
    losses = {int(step): float(loss) for step, loss in zip(*columns, strict=True) if loss == loss}
    best = [int(event["step"]) for event in view.checkpoints if event.get("best") is True]
    return Timeline(list(prompts), steps, answers, losses, best[-1] if best else None)
