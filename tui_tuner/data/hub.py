"""The only door to data sets on the Hub: from a set's name to tables, through the library `datasets`.

What was loaded once is read from the library's cache again, also offline; `HF_HOME`, `HF_HUB_OFFLINE` and a login are
the library's own. Code that comes with a set is never run. It must never print a token or a progress bar, and never
import the library before a name needs it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tui_tuner.data.readers.arrow import BatchTable
from tui_tuner.data.splitnames import SPLITS, split_of, split_within
from tui_tuner.data.table import Table
from tui_tuner.errors import TunerError, brief

_BLOCK = 1000


class HubTable(BatchTable):
    """One split of a set, memory-mapped by the library.

    Attributes:
        fingerprint: the library's own, of the content and all that was done to it.
    """

    def __init__(self, repository: str, split: str, found: Any) -> None:
        """
        Args:
            repository: name of the set.
            split: name of the split, as the set has it.
            found: the library's `Dataset`.
        """
        super().__init__(Path(repository) / split, "hub")
        self._set = found.with_format("arrow")
        self.files = tuple(Path(file["filename"]) for file in found.cache_files)
        self.fingerprint = str(getattr(found, "_fingerprint", ""))
        count = len(found)
        self._ends = [*range(_BLOCK, count, _BLOCK), count] if count else []
        self._name_classes(found.features.arrow_schema.metadata)

    def _load(self, block: int) -> Any:
        return self._set[block * _BLOCK : self._ends[block]]


def open_set(repository: str, subset: str = "", split: str = "") -> tuple[dict[str, Table], list[str]]:
    """The tables of a set on the Hub, and what to know about them.

    Args:
        repository: "owner/name".
        subset: the configuration, where the set has several.
        split: the one split that is wanted, in any of its names; then its table is under "".

    Raises:
        TunerError: there is no such set, subset or split, it is gated, it can't be reached and was never loaded
            before, or it is made by code.
    """
    import datasets
    import huggingface_hub

    # What they have to say would land on the screen.
    datasets.disable_progress_bars()
    datasets.logging.set_verbosity_error()
    huggingface_hub.logging.set_verbosity_error()
    # A folder of that name beside the person must not be taken for the set.
    path = f"hf://datasets/{repository}" if Path(repository).exists() else repository
    try:
        found = datasets.load_dataset(path, subset or None)
    except TunerError:
        raise
    except Exception as error:  # the library raises a dozen kinds, told apart below
        raise _sentence(error, repository, subset) from error
    return _tables(repository, {str(name): part for name, part in found.items()}, split)


def _tables(repository: str, parts: Mapping[str, Any], split: str) -> tuple[dict[str, Table], list[str]]:
    if split:
        name = (
            split if split in parts else next((name for name in parts if split_of(name) == split_of(split) != ""), "")
        )
        if not name:
            raise _no_split(f'there is no split "{split}"', repository, parts)
        return {"": HubTable(repository, name, parts[name])}, []
    chosen: dict[str, str] = {}
    for name in parts:
        if kind := split_of(name):
            chosen.setdefault(kind, name)
    if not chosen:
        for name in parts:
            if kind := split_within(name):
                if kind in chosen:
                    raise _no_split(f"there are several {kind} splits", repository, parts)
                chosen[kind] = name
    if "train" in chosen and len(chosen) > 1:
        return {kind: HubTable(repository, chosen[kind], parts[chosen[kind]]) for kind in SPLITS if kind in chosen}, []
    if len(parts) > 1 and "train" not in chosen:
        raise _no_split("there is no train split", repository, parts)
    name = chosen.get("train", next(iter(parts)))
    notes = [] if split_of(name) == "train" else [f'the set has only the split "{name}"']
    return {"": HubTable(repository, name, parts[name])}, notes


def _no_split(message: str, repository: str, parts: Mapping[str, Any]) -> TunerError:
    names = ", ".join(parts)
    return TunerError(
        f"{message} (the set has {names})",
        code="no-such-split",
        where=repository,
        fix=f'name one as data.slice, such as "{next(iter(parts))}"',
        usage=True,
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__ or cause.__context__


def _sentence(error: Exception, repository: str, subset: str) -> TunerError:
    """What the library's error means to a person."""
    kinds = {kind.__name__ for cause in _causes(error) for kind in type(cause).__mro__}
    text = str(error)
    if "GatedRepoError" in kinds or "is a gated dataset" in text:
        return TunerError(
            "the set is gated: its owner asks you to accept terms first",
            code="data-gated",
            where=repository,
            fix="accept them on the set's page and log in with `hf auth login`",
        )
    if "scripts are no longer supported" in text:
        return TunerError(
            "the set is made by code of its own, which is never run",
            code="data-script",
            where=repository,
            fix="take a version of it that holds Parquet, JSON or CSV files",
        )
    if "BuilderConfig" in text or "Config name is missing" in text or "multiple" in text:
        return _no_subset(text, repository, subset)
    if kinds & {"RepositoryNotFoundError", "DatasetNotFoundError", "RevisionNotFoundError"}:
        return TunerError(
            "there is no such data set on the Hub that you can see, and no file or folder of that name here",
            code="data-not-found",
            where=repository,
            fix="check the spelling, or log in with `hf auth login` if it is private",
            usage=True,
        )
    if kinds & {"EmptyDatasetError", "DataFilesNotFoundError"}:
        return TunerError(
            "the set on the Hub has no files that hold records",
            code="no-rows",
            where=repository,
            fix="look at its files, and at data.subset",
        )
    if kinds & {"DatasetGenerationError", "DatasetBuildError"}:
        reason = brief(list(_causes(error))[-1], 120)
        return TunerError(
            f"the library `datasets` can't make one table of the set's files ({reason})",
            code="bad-table",
            where=repository,
            fix="download the files (`hf download --repo-type dataset`) and name the folder as data.source",
        )
    return TunerError(
        "the data set was never loaded before, and the Hub could not be reached",
        code="data-unreachable",
        where=repository,
        fix="check the network, and HF_HOME and HF_HUB_OFFLINE if you set them",
    )


def _no_subset(text: str, repository: str, subset: str) -> TunerError:
    """The error for a set of several configurations, of which none or a wrong one was named."""
    listed = re.search(r"\[([^\]]*)\]", text) or re.search(r"in the cache: (.*)", text)
    names = re.findall(r"[\w.-]+", listed[1]) if listed else []
    shown = ", ".join(names[:12]) + (", …" if len(names) > 12 else "")
    message = f'the set has no subset "{subset}"' if subset else "the set has several subsets"
    return TunerError(
        message + (f" (it has {shown})" if shown else ""),
        code="no-such-subset",
        where=repository,
        fix=f'name one, such as data.subset = "{names[0]}"' if names else "name one as data.subset",
        usage=True,
    )
