"""Looking at a driven app: waiting for a condition, and reading what is on the screen."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from textual.pilot import Pilot
from textual.widget import Widget

from tui_tuner.ui.app import TunerApp


async def until(pilot: Pilot[Any], condition: Callable[[], object], what: str = "", seconds: float = 10.0) -> None:
    """Lets the app work until `condition` holds; fails with `what` when it does not within `seconds`."""
    deadline = asyncio.get_running_loop().time() + seconds
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, f"never happened: {what or condition}"
        await pilot.pause(0.01)
    await pilot.pause()


async def at_rest(pilot: Pilot[Any], looks: int = 3, most: int = 100) -> None:
    """Lets the app work until the screen was the same, colours too, `looks` times in a row (of `most`)."""
    last, alike = None, 0
    for _ in range(most):
        await pilot.pause(0.01)
        now = pilot.app.screen._compositor.render_strips()
        last, alike = now, alike + 1 if now == last else 1
        if alike == looks:
            return


def shown(app: TunerApp) -> str:
    """All text on the screen, line by line, as the terminal shows it."""
    strips = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip) for strip in strips)


def notices(app: TunerApp) -> list[str]:
    """The notices that are up."""
    return [notification.message for notification in app._notifications]


def shown_in(app: TunerApp, widget: Widget) -> str:
    """What stands inside a widget on the screen, its lines joined to one."""
    region = widget.content_region
    lines = shown(app).splitlines()[region.y : region.bottom]
    return " ".join(" ".join(line[region.x : region.right].split()) for line in lines)
