"""Makes sure that all ranks train the same model on the same rows, and names their number."""

from __future__ import annotations

from pathlib import Path

from tui_tuner.engine.new_run import fingerprints
from tui_tuner.errors import TunerError
from tui_tuner.runs import RunFolder
from tui_tuner.training.ranks import Ranks


def check_alike(ranks: Ranks, folder: RunFolder, model: Path) -> None:
    """Compares this rank's model and prepared rows with rank 0's; every rank must call it.

    Raises:
        TunerError: `rank-differs`.
    """
    for name, value in fingerprints(model, folder.data).items():
        what = name.removesuffix("_fingerprint")
        check_same(ranks, what, value, model if what == "model" else folder.data)


def check_same(ranks: Ranks, what: str, value: str, where: Path) -> None:
    """Compares a figure of this rank with rank 0's; every rank must call it.

    Args:
        what: what the figure identifies, in a word.

    Raises:
        TunerError: `rank-differs`.
    """
    if ranks.lead(lambda: value) != value:
        raise TunerError(
            f"the {what} of rank {ranks.rank} is not that of rank 0",
            code="rank-differs",
            where=str(where),
            fix=f"give all machines the same {what}, then resume the run",
        )


def ranks_text(count: int) -> str:
    """A number of ranks in words."""
    return "one rank" if count == 1 else f"{count} ranks"
