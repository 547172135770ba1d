"""Weights & Biases as far as it is used: what is called is written to $FAKE_TRACKER_LOG, a JSON object a line.

$FAKE_TRACKER says how it behaves: "refuses" at the beginning; "breaks", "hangs" or "dies" at the third figure.
A test compares its signatures with the library's, where that is installed.
"""

from __future__ import annotations

import json
import os
import time
from typing import Any

_told = 0


class UsageError(Exception):
    pass


def note(what: str, **fields: Any) -> None:
    with open(os.environ["FAKE_TRACKER_LOG"], "a") as log:  # noqa: PTH123
        log.write(json.dumps({"what": what, **fields}) + "\n")


def behave() -> None:
    global _told
    _told += 1
    how = os.environ.get("FAKE_TRACKER", "")
    if _told == 3 and how == "breaks":
        raise RuntimeError("connection reset\nby the other side")
    if _told == 3 and how == "hangs":
        time.sleep(3600)
    if _told == 3 and how == "dies":
        os._exit(9)


class Settings:
    def __init__(self, **kwargs: Any) -> None:
        self.values = kwargs


class Table:
    def __init__(self, columns: Any = None, data: Any = None) -> None:
        self.rows = [columns, *data]


class Summary(dict[str, Any]):
    def __setitem__(self, key: str, value: Any) -> None:
        note("summary", key=key, value=value)


class Run:
    url = "https://tracker.example/me/run"

    def __init__(self) -> None:
        self.summary = Summary()

    def log(self, data: dict[str, Any]) -> None:
        behave()
        note("log", values={key: value.rows if isinstance(value, Table) else value for key, value in data.items()})

    def define_metric(self, name: str, step_metric: str | None = None) -> None:
        pass

    def finish(self, exit_code: int | None = None) -> None:
        note("finish", exit_code=exit_code)


def init(
    entity: str | None = None,
    project: str | None = None,
    dir: str | None = None,
    id: str | None = None,
    name: str | None = None,
    tags: Any = None,
    config: Any = None,
    group: str | None = None,
    mode: str | None = None,
    resume: Any = None,
    settings: Any = None,
) -> Run:
    global _told
    _told = 0
    if os.environ.get("FAKE_TRACKER") == "refuses":
        raise UsageError("No API key configured. Use `wandb login` to log in.")
    note("init", entity=entity, project=project, id=id, name=name, tags=tags, config=config, group=group, mode=mode,
         resume=resume, settings=settings.values)  # fmt: skip
    return Run()
