"""Trackio as far as it is used: what is called is written to $FAKE_TRACKER_LOG, a JSON object a line.

A test compares its signatures with the library's, where that is installed.
"""

from __future__ import annotations

import json
import os
from enum import Enum
from typing import Any


class AlertLevel(Enum):
    INFO = "info"


def note(what: str, **fields: Any) -> None:
    with open(os.environ["FAKE_TRACKER_LOG"], "a") as log:  # noqa: PTH123
        log.write(json.dumps({"what": what, **fields}) + "\n")


class Table:
    def __init__(self, columns: Any = None, data: Any = None) -> None:
        self.rows = [columns, *data]


class Run:
    def log(self, metrics: dict[str, Any], step: int | None = None) -> None:
        values = {key: value.rows if isinstance(value, Table) else value for key, value in metrics.items()}
        note("log", values=values, step=step)

    def alert(self, title: str, text: str | None = None, level: AlertLevel = AlertLevel.INFO,
              step: int | None = None) -> None:  # fmt: skip
        note("alert", title=title, text=text, step=step)


def finish() -> None:
    note("finish")


def init(
    project: str,
    name: str | None = None,
    group: str | None = None,
    space_id: str | None = None,
    config: dict[str, Any] | None = None,
    resume: str = "never",
    private: bool | None = None,
    embed: bool = True,
    auto_log_gpu: bool | None = None,
    auto_log_cpu: bool | None = None,
) -> Run:
    note("init", project=project, name=name, group=group, space_id=space_id, config=config, resume=resume, embed=embed,
         private=private, watches=[auto_log_gpu, auto_log_cpu], offline=os.environ.get("HF_HUB_OFFLINE"))  # fmt: skip
    return Run()
