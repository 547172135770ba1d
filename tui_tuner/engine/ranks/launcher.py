"""`python -m tui_tuner.engine.ranks.launcher`: mlx's own launcher, which ends when the process that started it ends.

mlx's launcher never notices that: it would go on for ever, and its ranks with it. When it ends, the ranks see the end
of their standard input, stop and save.
"""

from __future__ import annotations

import os
import sys
import threading
import time

_LOOK = 1.0


def main() -> None:
    """Runs `mlx.launch` with this process's arguments."""
    parent = os.getppid()
    threading.Thread(target=_watch, args=(parent,), name="tui-tuner-parent", daemon=True).start()
    from mlx._distributed_utils.launch import main as launch

    sys.argv[0] = "mlx.launch"
    launch()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_LOOK)
    os._exit(1)


if __name__ == "__main__":
    main()
