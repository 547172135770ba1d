"""Answers what is asked about data: the engine's lanes share what was read, and each has a tokenizer of its own.

What transformers does around encoding changes a tokenizer, so two lanes must not share one, while a draft may be
shared. (A scan encodes in two threads: it calls the library underneath, which only reads.) Importing this is cheap;
what reads data or models is imported by the question that needs it.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tui_tuner.engine.consent import allow_code
from tui_tuner.engine.requests import (
    CountTokens,
    DescribeSource,
    FindRows,
    LoadLibraries,
    PreviewData,
    Request,
    ScanData,
)

if TYPE_CHECKING:
    from tui_tuner.config import DataSection
    from tui_tuner.data.desk import Desk
    from tui_tuner.data.draft import Draft

Identity = tuple[Path, tuple[tuple[str, int, int], ...]]
Form = tuple[Identity, str]
"""A model's files, and the chat template in the place of its own."""


class DataDesk:
    """The drafts that all lanes share, made when the first is asked for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._desk: Desk | None = None

    def draft(
        self, data: DataSection, seed: int, base: Path | None = None, check: Callable[[], None] = lambda: None
    ) -> Draft:
        """As `data.desk.Desk.draft`."""
        from tui_tuner.data.desk import Desk

        with self._lock:
            if self._desk is None:
                self._desk = Desk()
            desk = self._desk
        return desk.draft(data, seed, base, check)


class DataClerk:
    """Answers questions in one lane, which must be the only one to ask it.

    Args:
        desk: the drafts that are shared.
    """

    def __init__(self, desk: DataDesk) -> None:
        self._desk = desk
        self._held: tuple[Form, Any] | None = None

    def answer(self, request: Request, check: Callable[[], None]) -> Any:
        """The result of a request about data.

        Args:
            check: called now and then; it raises to end the work.

        Raises:
            TunerError: what the request raises.
            TypeError: the request is none about data.
        """
        if isinstance(request, PreviewData):
            return self._preview(request, check)
        if isinstance(request, FindRows):
            from tui_tuner.data.find import find_rows

            experiment = request.experiment
            made = self._desk.draft(experiment.data, experiment.run.seed, request.base, check)
            return find_rows(made, request.text, check)
        if isinstance(request, DescribeSource):
            from tui_tuner.data.sourcefacts import source_facts

            return source_facts(request.experiment.data, request.base)
        if isinstance(request, CountTokens):
            from tui_tuner.engine.chatting import count_tokens

            return count_tokens(request, self._tokenizer)
        if isinstance(request, LoadLibraries):
            from tui_tuner.models.libraries import ready

            return ready()
        if isinstance(request, ScanData):
            from tui_tuner.engine.dataset import data_facts

            tell = request.progress
            return data_facts(request.experiment, request.base, tell=tell, check=check, make=self._desk.draft)
        raise TypeError(f"{type(request).__name__} asks nothing about data")

    def _preview(self, request: PreviewData, check: Callable[[], None]) -> Any:
        from tui_tuner.data.chatforms import template_text
        from tui_tuner.data.inspect import preview_data, preview_head
        from tui_tuner.models.folder import check_folder, locate

        experiment, base = request.experiment, request.base
        allow_code(experiment)
        folder = locate(experiment.model.path, base)
        template = template_text(experiment.model.chat_template, base)
        if request.first:
            check_folder(folder)
            # The libraries behind a tokenizer take seconds to import, and nobody waits that long for the first rows.
            form = _identity(folder), template
            held = self._held[1] if self._held is not None and self._held[0] == form else None
            return preview_head(experiment, held, base, request.limit)
        make = partial(self._desk.draft, check=check)
        return preview_data(
            experiment, self._tokenizer(folder, template), base, request.limit, only=request.only, make=make
        )

    def _tokenizer(self, folder: Path, template: str) -> Any:
        """The tokenizer of a model folder, read again when a file of the folder or the template changed."""
        from tui_tuner.models.load import load_tokenizer

        form = _identity(folder), template
        if self._held is None or self._held[0] != form:
            self._held = form, load_tokenizer(folder, template)
        return self._held[1]


def _identity(folder: Path) -> Identity:
    """What tells whether a tokenizer is still the one that was read: size and time of change of the folder's files."""
    found = []
    with contextlib.suppress(OSError):  # where it cannot be listed, reading the tokenizer says why
        for path in folder.iterdir():
            with contextlib.suppress(OSError):
                state = path.stat()
                found.append((path.name, state.st_size, state.st_mtime_ns))
    return folder, tuple(sorted(found))
