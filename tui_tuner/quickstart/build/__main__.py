"""Rebuilds everything that is embedded, in one command: tokenizer, table, model, exam, model card.

`python -m tui_tuner.quickstart.build --to DIR` writes `DIR/model/` and `DIR/players.json`. It must never write
anywhere else, and it fails when the base model answers too few of its exam's questions.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from .canaries import write_canaries
from .card import model_card
from .exam import examine
from .pretrain import Recipe, pretrain, save_model
from .tokenizer import build_tokenizer, save_tokenizer
from .world import players_table

PLAYERS = 480
PASS_MARK = 0.95


def write_players(path: Path, seed: int) -> None:
    """The table as a JSON array, one record a line."""
    rows = (json.dumps(row) for row in players_table(seed, PLAYERS))
    path.write_text("[\n  " + ",\n  ".join(rows) + "\n]\n", encoding="utf-8")


def _load_openblas() -> None:
    """Lets the system's OpenBLAS, where there is one, serve mlx's products on Linux: before mlx is imported."""
    if sys.platform == "linux" and "mlx.core" not in sys.modules:
        with suppress(OSError):
            ctypes.CDLL("libopenblas.so.0", mode=ctypes.RTLD_GLOBAL)


def _say(text: str) -> None:
    print(text, flush=True)


def build(to: Path, recipe: Recipe) -> bool:
    """Everything, below `to`; whether the exam was passed."""
    from mlx.utils import tree_flatten
    from mlx_lm import load

    folder = to / "model"
    folder.mkdir(parents=True, exist_ok=True)
    write_players(to / "players.json", recipe.seed)
    write_canaries(folder / "canaries.json", recipe.seed)
    tokenizer = build_tokenizer(recipe.seed)
    save_tokenizer(tokenizer, folder, recipe.context)
    vocabulary = tokenizer.get_vocab_size()
    _say(f"tokenizer: {vocabulary} tokens; table: {PLAYERS} players")
    save_model(pretrain(recipe, tokenizer, _say), recipe, vocabulary, folder)
    model, wrapped = load(str(folder))[:2]
    figures = examine(model, wrapped, recipe.seed)
    for figure in figures:
        _say(f"{figure.skill:>14}  {figure.right}/{figure.asked}  {figure.mistake or ''}")
    parameters = sum(value.size for _, value in tree_flatten(model.parameters()))
    size = (folder / "model.safetensors").stat().st_size
    (folder / "README.md").write_text(model_card(recipe, figures, parameters, size, vocabulary), encoding="utf-8")
    share = sum(f.right for f in figures) / sum(f.asked for f in figures)
    _say(f"exam: {share:.1%} right; {parameters:,} parameters, {size:,} bytes")
    return share >= PASS_MARK


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tui_tuner.quickstart.build", description="Rebuild what is embedded."
    )
    parser.add_argument("--to", type=Path, required=True, help="folder that gets model/ and players.json")
    parser.add_argument("--steps", type=int, default=Recipe.steps, help="steps of pre-training (fewer: only to try)")
    options = parser.parse_args(arguments)
    _load_openblas()
    begun = time.perf_counter()
    passed = build(options.to, replace(Recipe(), steps=options.steps))
    _say(f"built in {time.perf_counter() - begun:.0f} s")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
