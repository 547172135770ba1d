"""Which chat template a run or a chat renders with, so that nothing is trained in one form and asked in another.

A run keeps the template that it chose beside its adapter, before a step is trained; from then on the file holds,
whatever becomes of the preset, of a file it named, or of the program's own templates. No mlx in here.
"""

from __future__ import annotations

from pathlib import Path

from tui_tuner.config import Experiment
from tui_tuner.config.reading import AUTO_TEMPLATE
from tui_tuner.data.chatforms import RECORDED, read_template, template_text
from tui_tuner.engine.new_run import read_base
from tui_tuner.runs import RunFolder
from tui_tuner.runs.files import write_atomic


def form_of_run(folder: RunFolder, experiment: Experiment) -> str:
    """The text of the template that a run renders with: the recorded one, else what its configuration chooses.

    Empty for the model's own.

    Raises:
        TunerError: there is no such template, or it cannot be read.
    """
    kept = folder.adapters / RECORDED
    if experiment.model.chat_template != AUTO_TEMPLATE and kept.is_file():
        return read_template(kept)
    return template_text(experiment.model.chat_template, read_base(folder))


def record_form(folder: RunFolder, text: str) -> None:
    """Keeps a chosen template beside the run's adapter; nothing for the model's own.

    Raises:
        TunerError: it cannot be written.
    """
    path = folder.adapters / RECORDED
    if text and not path.is_file():
        write_atomic(path, text)


def form_of_chat(choice: str, adapter: Path | None) -> str:
    """The text of the template that a chat renders with: the adapter's own where it has one, else what is chosen.

    Args:
        adapter: its folder, or the weights file of a checkpoint in it.

    Raises:
        TunerError: there is no such template, or it cannot be read.
    """
    if adapter is not None:
        kept = (adapter.parent if adapter.is_file() else adapter) / RECORDED
        if kept.is_file():
            return read_template(kept)
    return template_text(choice)
