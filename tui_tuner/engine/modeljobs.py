"""From a request about a model to the function that does it. Called on the MLX thread."""

from __future__ import annotations

from typing import Any

from tui_tuner.engine.conversion import convert_model, forecast_conversion
from tui_tuner.engine.exporting import export_adapter, import_adapter
from tui_tuner.engine.fusing import fuse_adapter
from tui_tuner.engine.model_requests import ConvertModel, ExportAdapter, FuseAdapter, ModelRequest
from tui_tuner.engine.output import printing_to
from tui_tuner.engine.shelf import ModelShelf
from tui_tuner.paths import cache_dir
from tui_tuner.runs.control import JobControl


def perform_model_job(request: ModelRequest, control: JobControl, shelf: ModelShelf) -> dict[str, Any]:
    """The document of a request. A forecast may be asked for in any lane, the rest in that of mlx only.

    Raises:
        StopRequested: when asked to stop.
        TunerError: as the functions that do it.
    """
    if isinstance(request, ConvertModel) and request.target is None:
        return forecast_conversion(request)
    log = cache_dir() / "models.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with printing_to(log):  # what libraries print is for nobody's screen, nor for a document on stdout
        if isinstance(request, ConvertModel):
            return convert_model(request, control, shelf)
        if isinstance(request, FuseAdapter):
            return fuse_adapter(request, control, shelf)
        if isinstance(request, ExportAdapter):
            return export_adapter(request, control, shelf)
        return import_adapter(request, control, shelf)
