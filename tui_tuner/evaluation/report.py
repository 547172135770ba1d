"""The report of a run as Markdown: what was done, what came out, how sure that is, and rows to look at.

It is what `tui-tuner report` hands on, with the settings before and the command that repeats the run behind; nothing is
measured for it, and nothing stands in it that the run's folder does not hold.
"""

from __future__ import annotations

from tui_tuner.config import Experiment
from tui_tuner.evaluation.export import report_document, settings_of
from tui_tuner.evaluation.markdown import as_markdown
from tui_tuner.runs.files import write_atomic
from tui_tuner.runs.folder import RunFolder


def write_report(folder: RunFolder, experiment: Experiment) -> None:
    """Writes `report.md` of a run whose results and verdict are in its folder.

    Raises:
        TunerError: there are none, or the folder cannot be written.
    """
    document = report_document(folder)
    text = as_markdown(
        document, title=experiment.run.name, settings=settings_of(experiment), again="tui-tuner run config.toml"
    )
    write_atomic(folder.report, text)
