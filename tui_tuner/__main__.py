"""The program's entry: hands over to the command line."""

from __future__ import annotations

import sys


def main() -> None:
    """Runs the command line and exits with its status."""
    from tui_tuner.cli.app import run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
