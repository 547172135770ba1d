"""Actions of the models, data, config, benchmark and chat screens."""

from __future__ import annotations

from tui_tuner.ui.actions.model import Action

WORKSHOP_ACTIONS: list[Action] = []
