"""Hands a run's adapter on in the form of another tool, and takes one of another tool in. Called on the MLX thread.

Folders are made all or nothing, beside their place and then renamed; nothing that is there is written over.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tui_tuner.engine.model_requests import ExportAdapter, ImportAdapter
from tui_tuner.engine.new_run import read_base
from tui_tuner.engine.proofrows import passages
from tui_tuner.engine.shelf import ModelShelf
from tui_tuner.engine.subject import Target, adapted_target, subject_of
from tui_tuner.errors import TunerError
from tui_tuner.evaluation.proof import proof
from tui_tuner.models.adapters import CONFIG, WEIGHTS, load_adapter
from tui_tuner.models.device import working_memory
from tui_tuner.models.folder import locate, read_model_config
from tui_tuner.models.fuse import WHOLE, fuse, size_of
from tui_tuner.models.gguf import check_gguf, write_gguf
from tui_tuner.models.libraries import ready
from tui_tuner.models.load import fresh_tree
from tui_tuner.models.peft import from_peft, to_peft
from tui_tuner.models.staging import beside, claimed, take_place
from tui_tuner.models.write import check_space, check_target, not_written
from tui_tuner.paths import runs_dir
from tui_tuner.runs.control import JobControl
from tui_tuner.runs.files import write_failure

FORMATS = ("mlx", "peft", "gguf")


def export_adapter(request: ExportAdapter, control: JobControl, shelf: ModelShelf) -> dict[str, Any]:
    """Writes the adapter of a run in one of `FORMATS`.

    Raises:
        TunerError: there is no adapter, the format has no form for it, or the place is taken.
    """
    if request.format not in FORMATS:
        raise TunerError(
            f'there is no format "{request.format}"', code="usage", fix=f"choose {', '.join(FORMATS)}", usage=True
        )
    ready()
    control.check()
    target, adapter = adapted_target(request.run, request.adapter, runs_dir(request.runs_dir), "hand on")
    folder = adapter if adapter.is_dir() else adapter.parent
    weights = WEIGHTS if adapter.is_dir() else adapter.name
    if request.format == "gguf":
        return _gguf(request, target, control, shelf)
    place = _free(request.target)
    with _made(place, control.check) as new:
        if request.format == "peft":
            to_peft(folder, new, weights)
        else:
            shutil.copyfile(folder / CONFIG, new / CONFIG)
            shutil.copyfile(folder / weights, new / WEIGHTS)
    return {"path": str(place), "format": request.format, "files": sorted(file.name for file in place.iterdir())}


def import_adapter(request: ImportAdapter, control: JobControl, shelf: ModelShelf) -> dict[str, Any]:
    """Writes an adapter of PEFT as one of mlx-lm, and tries it on the model.

    Raises:
        TunerError: it is no adapter that mlx-lm can load, it does not fit the model, or the place is taken.
    """
    ready()
    place = _free(request.target)
    with working_memory():
        base = shelf.base(request.model)
        with _made(place, control.check) as new:
            from_peft(request.source, new, request.model)
            tree = load_adapter(base, new)
            rows = passages(base.tokenizer, 2)
            found = proof(base.model, tree, tree, rows.examples, check=control.check)
    return {"path": str(place), "changes": found.base_kl, "files": [CONFIG, WEIGHTS]}


def _gguf(request: ExportAdapter, target: Target, control: JobControl, shelf: ModelShelf) -> dict[str, Any]:
    """One file with the merged model in float16.

    Raises:
        TunerError: mlx-lm cannot write this architecture or this tokenizer.
    """
    from mlx.utils import tree_flatten

    place = request.target.expanduser().absolute()
    if place.suffix != ".gguf":
        raise TunerError("a GGUF file ends in .gguf", code="usage", where=str(place), fix="name it so", usage=True)
    place = _free(place)
    home = read_base(target.run) if target.run is not None else None
    folder = locate(target.model, home)
    check_gguf(read_model_config(folder), folder)
    with working_memory(), claimed(place):
        subject = subject_of(target, shelf)
        base = subject.base
        control.check()
        tree = fuse(base.model, subject.model, fresh_tree(base), WHOLE)
        check_space(place, size_of(tree))
        with beside(place) as hidden:
            made = hidden / place.name
            try:
                write_gguf(made, dict(tree_flatten(tree.parameters())), base.config, folder)
            except OSError as error:
                raise write_failure(error, place) from error
            except RuntimeError as error:
                raise not_written(error, hidden, place) from error
            control.check()
            take_place(made, _free(place))
    return {"path": str(place), "format": "gguf", "files": [place.name], "bytes": place.stat().st_size}


def _free(target: Path) -> Path:
    return check_target(target)


@contextmanager
def _made(place: Path, check: Callable[[], None]) -> Iterator[Path]:
    """A folder that gets its name when the block ends well, unless a stop was asked for meanwhile."""
    with beside(place) as folder:
        try:
            yield folder
        except OSError as error:
            raise write_failure(error, place) from error
        except RuntimeError as error:
            raise not_written(error, folder, place) from error
        check()
        take_place(folder, _free(place))
