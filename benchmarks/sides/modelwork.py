"""Converts or merges once and tells seconds and peak memory: SIDE WORK MODEL ADAPTER TARGET.

`stock` is mlx-lm's own function, `app` the program's with nothing measured, and `whole` what the command does, with the
comparison on 8 passages. All of them load the model themselves, and have the same BLAS. Imports are not counted.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tui_tuner.models.libraries import ready

Work = Callable[[Path, Path, Path], object]


def stock_convert(model: Path, adapter: Path, target: Path) -> object:
    from mlx_lm.convert import convert

    return convert(str(model), str(target), quantize=True, q_bits=4, q_group_size=64)


def app_convert(model: Path, adapter: Path, target: Path) -> object:
    from mlx_lm.utils import load_config

    from tui_tuner.models.load import skeleton
    from tui_tuner.models.quantize import apply, plan
    from tui_tuner.models.scheme import scheme_of
    from tui_tuner.models.write import write_model

    tree = skeleton(model)
    apply(tree, plan(tree, scheme_of(4, 64)))
    return write_model(target, model, tree, load_config(model))


def whole_convert(model: Path, adapter: Path, target: Path) -> object:
    from tui_tuner.engine.conversion import convert_model
    from tui_tuner.engine.model_requests import ConvertModel
    from tui_tuner.engine.shelf import ModelShelf
    from tui_tuner.runs.control import JobControl

    return convert_model(ConvertModel(str(model), target, 4, 64, rows=8), JobControl(), ModelShelf())


def stock_fuse(model: Path, adapter: Path, target: Path) -> object:
    from mlx_lm.fuse import main

    sys.argv = ["fuse", "--model", str(model), "--adapter-path", str(adapter), "--save-path", str(target)]
    return main()


def app_fuse(model: Path, adapter: Path, target: Path) -> object:
    from tui_tuner.models.adapters import load_adapter
    from tui_tuner.models.fuse import STOCK, fuse
    from tui_tuner.models.load import fresh_tree, load_base
    from tui_tuner.models.write import write_model

    base = load_base(model)
    tree = fuse(base.model, load_adapter(base, adapter), fresh_tree(base), STOCK)
    return write_model(target, model, tree, base.config)


def whole_fuse(model: Path, adapter: Path, target: Path) -> object:
    from tui_tuner.engine.fusing import fuse_adapter
    from tui_tuner.engine.model_requests import FuseAdapter
    from tui_tuner.engine.shelf import ModelShelf
    from tui_tuner.runs.control import JobControl

    asked = FuseAdapter(str(model), target, adapter, rows=8, lossy=True)
    return fuse_adapter(asked, JobControl(), ModelShelf())


WORK: dict[tuple[str, str], Work] = {
    ("stock", "convert"): stock_convert,
    ("app", "convert"): app_convert,
    ("whole", "convert"): whole_convert,
    ("stock", "fuse"): stock_fuse,
    ("app", "fuse"): app_fuse,
    ("whole", "fuse"): whole_fuse,
}


def main() -> int:
    import contextlib

    side, work, model, adapter, target = sys.argv[1:6]
    ready()
    import mlx.core as mx
    import mlx_lm.convert
    import mlx_lm.fuse  # noqa: F401

    mx.reset_peak_memory()
    begun = time.perf_counter()
    with contextlib.redirect_stdout(sys.stderr):
        WORK[side, work](Path(model), Path(adapter), Path(target))
    print(json.dumps({"seconds": time.perf_counter() - begun, "peak": mx.get_peak_memory()}))
    mx.clear_streams()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
