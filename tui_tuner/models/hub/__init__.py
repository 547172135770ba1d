"""The only door to the model hub: from a model's name to a local folder, and from a folder to a repository.

It must never print or log a token, never run what it fetched, and never import the hub library before a name needs it.
"""

from __future__ import annotations

from tui_tuner.models.hub.cache import Cached, cached_models, delete_cached
from tui_tuner.models.hub.download import fetch, in_cache, plan_download
from tui_tuner.models.hub.watch import Plan, Watch, watching

__all__ = [
    "Cached",
    "Plan",
    "Watch",
    "cached_models",
    "delete_cached",
    "fetch",
    "in_cache",
    "plan_download",
    "watching",
]
