"""What sizes of model a machine has room for, said before any model was chosen."""

from __future__ import annotations

from pathlib import Path

import pytest

from tui_tuner.models import sizes
from tui_tuner.models.memory import usual_memory
from tui_tuner.models.sizes import DECODERS, billions, room, this_machine

GIB = 1 << 30


def test_the_decoders_have_the_sizes_of_their_model_cards() -> None:
    """Parameters as the model cards tell them, in billions: meta-llama/Llama-3.2-1B 1.23, -3B 3.21, Llama-3.1-8B 8.03,
    Qwen/Qwen2.5-14B 14.7, -32B 32.5, Llama-3.1-70B 70.6."""
    told = [1.23, 3.21, 8.03, 14.7, 32.5, 70.6]
    found = [decoder.shape().parameters / 1e9 for decoder in DECODERS]
    assert found == pytest.approx(told, rel=0.01)
    assert [billions(decoder) for decoder in DECODERS] == ["1 B", "3 B", "8 B", "15 B", "33 B", "71 B"]


def test_more_memory_never_allows_less_and_shorter_rows_never_take_more() -> None:
    before = (-1, -1, -1, -1)
    for gigabytes in (2, 4, 8, 16, 24, 32, 64, 128, 192, 512):
        found = room(gigabytes * GIB, gigabytes * GIB)
        order = tuple(DECODERS.index(each) if each else -1 for each in (found.train, found.anew, found.long, found.run))
        assert all(now >= then for now, then in zip(order, before, strict=True))
        assert order[1] >= order[0] >= order[2]
        before = order
    assert room(GIB // 2, GIB // 2).run is None
    assert before == (5, 5, 5, 5)


def test_what_is_said_to_fit_does_by_the_reckoning_of_the_models_screen() -> None:
    found = room(64 * GIB, 64 * GIB)
    assert found.long is not None and usual_memory(found.long.shape())["train"] <= 0.9 * 64 * GIB


def test_metal_lends_a_part_and_a_graphics_card_is_not_guessed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sizes, "system_memory", lambda: 48 * GIB)
    monkeypatch.setattr(sizes.platform, "system", lambda: "Darwin")
    assert this_machine().usable == 32 * GIB
    monkeypatch.setattr(sizes.platform, "system", lambda: "Linux")
    monkeypatch.setattr(sizes, "_NVIDIA", tmp_path / "none")
    assert this_machine().usable == 48 * GIB
    (tmp_path / "none").touch()
    assert (this_machine().usable, this_machine().train) == (0, None)
