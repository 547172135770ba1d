"""Configurations of other tools: in from mlx-lm, Axolotl, PEFT, Unsloth and LLaMA-Factory, out to mlx-lm.

Everything that a file says is accounted for: what it became here, what was changed on the way, and what was left out
and why. Nothing in a file is ever run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui_tuner.lazy import lazily

if TYPE_CHECKING:
    from tui_tuner.config.interchange.importing import import_file, import_text
    from tui_tuner.config.interchange.report import Entry, Imported
    from tui_tuner.config.interchange.stock_out import StockFile, generate_command, lora_command, stock_file

__all__ = [
    "Entry",
    "Imported",
    "StockFile",
    "generate_command",
    "import_file",
    "import_text",
    "lora_command",
    "stock_file",
]

__getattr__ = lazily(
    __name__,
    {
        "Entry": "report",
        "Imported": "report",
        "StockFile": "stock_out",
        "generate_command": "stock_out",
        "import_file": "importing",
        "import_text": "importing",
        "lora_command": "stock_out",
        "stock_file": "stock_out",
    },
)
