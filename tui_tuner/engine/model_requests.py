"""What one can ask of the engine about models themselves: what there is, and to convert, merge and hand on."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from tui_tuner.engine.lanes import Lane
from tui_tuner.engine.work import Work
from tui_tuner.models.learned.methods import Learned


@dataclass(frozen=True)
class ConvertModel:
    """Stores a model in another way. Result: the document that `tui-tuner convert --json` prints.

    Attributes:
        model: a model folder, "embedded:NAME" or a repository.
        target: the folder to be made; None only plans.
        bits, group_size: None for the mode's usual ones.
        mode: "affine", "mxfp4", "nvfp4" or "mxfp8".
        recipe: one of mlx-lm's mixtures; empty for the same bits everywhere.
        dtype: of what is not quantized; empty keeps the model's.
        dequantize: takes quantization off.
        data: source of the rows that the result is measured on; empty takes a few passages of plain text.
        rows: at most so many of them; 0 measures nothing.
        force: whether a model that is there is replaced.
        learned: a method that looks at rows of `data` first; None rounds without.
    """

    model: str
    target: Path | None = None
    bits: int | None = None
    group_size: int | None = None
    mode: str = "affine"
    recipe: str = ""
    dtype: str = ""
    dequantize: bool = False
    data: str = ""
    rows: int = 40
    force: bool = False
    learned: Learned | None = None
    progress: Work = field(default_factory=Work)

    @property
    def lane(self) -> Lane:
        """A forecast looks at shapes only: it needs no turn, and nobody waits for a run with it."""
        return "side" if self.target is None else "mlx"

    @property
    def title(self) -> str:
        return f"convert {self.model}"


@dataclass(frozen=True)
class FuseAdapter:
    """Merges an adapter into its base, with proof. Result: the document that `tui-tuner fuse --json` prints.

    Attributes:
        run: a run, "RUN:STEP", "RUN:best" or "RUN:last"; or a model, with `adapter`.
        target: the folder to be made; None only measures.
        adapter: an adapter folder, for a model.
        way: one of the ways of `models.fuse`; empty takes the smallest that keeps the fine-tune.
        data: source of the held-out rows; empty takes those of the run, or a few passages of plain text.
        rows: at most so many of them.
        runs_dir: where runs live, None for the usual place.
        force: whether a model that is there is replaced.
        lossy: whether a way that does not keep the fine-tune is written all the same.
    """

    run: str
    target: Path | None = None
    adapter: Path | None = None
    way: str = ""
    data: str = ""
    rows: int = 40
    runs_dir: Path | None = None
    force: bool = False
    lossy: bool = False
    progress: Work = field(default_factory=Work)
    lane: ClassVar[Lane] = "mlx"

    @property
    def title(self) -> str:
        return f"fuse {self.run}"


@dataclass(frozen=True)
class ExportAdapter:
    """Writes an adapter in the form of another tool. Result: the document that `tui-tuner export --json` prints.

    Attributes:
        run: a run, "RUN:STEP", "RUN:best" or "RUN:last"; or a model, with `adapter`.
        target: the folder to be made; for GGUF the file.
        format: "mlx", "peft" or "gguf".
        adapter: an adapter folder, for a model.
        runs_dir: where runs live, None for the usual place.
    """

    run: str
    target: Path
    format: str
    adapter: Path | None = None
    runs_dir: Path | None = None
    progress: Work = field(default_factory=Work)
    lane: ClassVar[Lane] = "mlx"

    @property
    def title(self) -> str:
        return f"export {self.run}"


@dataclass(frozen=True)
class ImportAdapter:
    """Takes in an adapter of PEFT. Result: the document that `tui-tuner import --json` prints.

    Attributes:
        source: the folder that PEFT wrote.
        model: the base it is for.
        target: the folder to be made.
    """

    source: Path
    model: str
    target: Path
    progress: Work = field(default_factory=Work)
    lane: ClassVar[Lane] = "mlx"

    @property
    def title(self) -> str:
        return f"import {self.source.name}"


ModelRequest = ConvertModel | FuseAdapter | ExportAdapter | ImportAdapter


@dataclass(frozen=True)
class ListModels:
    """Which models there are. Result: a list of `ListedModel`.

    Attributes:
        runs_dir: where runs live, None for the usual place.
        named: (who, model, folder that its path starts from) of further models that somebody names.
    """

    runs_dir: Path | None = None
    named: tuple[tuple[str, str, Path | None], ...] = ()
    lane: ClassVar[Lane] = "side"

    @property
    def title(self) -> str:
        return "list models"


@dataclass(frozen=True)
class InspectModel:
    """What a model is, without loading its weights; what was made of it; what can be. Result: `ModelDetails`."""

    path: str
    lane: ClassVar[Lane] = "side"

    @property
    def title(self) -> str:
        return f"inspect {self.path}"


@dataclass(frozen=True)
class DescribeModel:
    """A model's sizes, from its configuration and the headers of its weights alone. Result: `ModelFacts`.

    Attributes:
        path: as `model.path` has it.
        base: the folder that a relative path starts from, None for the working folder.
    """

    path: str
    base: Path | None = None
    lane: ClassVar[Lane] = "side"

    @property
    def title(self) -> str:
        return f"look at {self.path}"


@dataclass(frozen=True)
class AskDevice:
    """How much memory a job can have on this machine. Result: bytes."""

    lane: ClassVar[Lane] = "side"

    @property
    def title(self) -> str:
        return "ask the device for its memory"


@dataclass(frozen=True)
class DeleteCached:
    """Deletes a model from the Hub's cache. Result: the bytes that this freed."""

    name: str
    lane: ClassVar[Lane] = "side"

    @property
    def title(self) -> str:
        return f"delete {self.name} from the cache"


ModelQuestion = ListModels | InspectModel | DescribeModel | AskDevice | DeleteCached
