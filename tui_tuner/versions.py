"""The versions of installed libraries, each looked up once: what a library says of itself is a long text to read.

Another version that is installed meanwhile is not told: this process goes on with the one that it has loaded.
"""

from __future__ import annotations

import functools
from importlib import metadata


@functools.cache
def installed(name: str) -> str | None:
    """The version of a library by the name of its distribution; None when it is not installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
