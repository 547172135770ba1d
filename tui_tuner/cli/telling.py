"""Tells a run's events as lines, for those who have no screen.

It must never fail on an event: a log of another program has fewer fields than a run of ours.
"""

from __future__ import annotations

from collections.abc import Callable

from tui_tuner import units
from tui_tuner.runs import Event, RunView
from tui_tuner.runs.columns import number


class Teller:
    """Turns events into lines of progress.

    Args:
        say: takes a line.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._view = RunView()

    def tell(self, event: Event) -> None:
        """Says what an event tells, if it is one that is told."""
        if event["type"] == "run_started" and event.get("resumed") is not True:
            self._view = RunView()
        self._view.extend([event])
        line = self._line(event)
        if line:
            self._say(line)

    def _line(self, event: Event) -> str:
        kind = event["type"]
        if kind == "stage":
            # Why it failed is said once, by the error that ends the command.
            text = f" ({event['text']})" if event.get("text") and event.get("status") != "failed" else ""
            took = number(event.get("seconds"))
            after = f" in {took:.1f} s" if took is not None and event.get("status") in ("done", "failed") else ""
            return f"{event.get('name')}: {event.get('status')}{after}{text}"
        if kind == "train":
            return self._train(event)
        if kind == "validation":
            return f"  step {event.get('step')}: validation loss {figure(event.get('loss'))}"
        if kind == "forecast":
            return _forecast(event)
        if kind == "log":
            return f"  {event.get('text')}"
        if kind in ("behaviour", "canaries"):
            return _suite(event)
        if kind == "advice":
            return f"  {event.get('severity')}: {event.get('text')}"
        if kind == "run_finished" and event.get("status") != "failed":
            return f"{event['status']}: {event['reason']}" if event.get("reason") else str(event.get("status"))
        return ""

    def _train(self, event: Event) -> str:
        steps = f"/{self._view.steps}" if self._view.steps else ""
        parts = [f"  step {event.get('step')}{steps}: loss {figure(event.get('loss'))}"]
        if (rate := number(event.get("tokens_per_second"))) is not None:
            parts.append(f"{rate:.0f} tokens/s")
        if (rate := number(event.get("learning_rate"))) is not None:
            parts.append(f"learning rate {rate:.2e}")
        if (left := self._view.eta_seconds()) is not None:
            parts.append(f"about {left:.0f} s left")
        return ", ".join(parts)


def _suite(event: Event) -> str:
    """How behaviour cases or canaries went, and which groups of canaries died."""
    rate, low, high = (number(event.get(name)) for name in ("rate", "low", "high"))
    if rate is None or low is None or high is None:
        return ""
    what = "behaviour cases passed" if event["type"] == "behaviour" else "canaries answered well"
    died = event.get("died")
    lost = f"; died: {', '.join(map(str, died))}" if isinstance(died, list) and died else ""
    return f"  {event.get('label')}: {rate:.0%} of {what} ({low:.0%} to {high:.0%}){lost}"


def _forecast(event: Event) -> str:
    seconds, low, high, memory = (
        number(event.get(name)) for name in ("seconds", "seconds_low", "seconds_high", "peak_memory")
    )
    if seconds is None or low is None or high is None or memory is None:
        return ""
    how = "measured" if event.get("measured") is True else "estimated"
    time = f"{units.duration(seconds)} ({units.duration(low)} to {units.duration(high)})"
    return f"  it will take about {time} and {units.size(memory)} of memory, {how}"


def figure(value: object) -> str:
    """A loss as text; None is what stands in events for a number that was not finite."""
    known = number(value)
    return "not a number" if known is None else f"{known:.4f}"
