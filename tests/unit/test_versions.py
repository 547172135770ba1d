"""What is installed is looked up once, and what is not is None."""

from __future__ import annotations

from importlib import metadata

import pytest

from tui_tuner.versions import installed


def test_a_version_is_what_the_library_says_and_is_asked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    installed.cache_clear()
    asked, version = list[str](), metadata.version
    monkeypatch.setattr(metadata, "version", lambda name: asked.append(name) or version(name))
    assert [installed("pytest"), installed("pytest")] == [pytest.__version__] * 2
    assert installed("no-such-library") is installed("no-such-library") is None
    assert asked == ["pytest", "no-such-library"]
