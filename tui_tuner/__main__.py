"""The program's entry: hands over to the command line.

From the first moment a termination is an interrupt, so that whatever is at work can put away what it has half done.
"""

from __future__ import annotations

import signal
import sys
from collections import namedtuple


def main() -> None:
    """Runs the command line and exits with its status."""
    _hear()
    try:
        from tui_tuner.cli.app import run

        status = run(sys.argv[1:])
    except KeyboardInterrupt:  # while the program was loading, or on its way out
        sys.stderr.write("tui-tuner: stopped.\n")
        status = 1
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)  # there is nothing left to put away
    # After an interrupt inside evaluated text Python ends by its signal, until other text is evaluated, as here.
    namedtuple("Text", "")
    sys.exit(status)


def _hear() -> None:
    """Has a termination and the terminal's end interrupt, as ctrl+c does; `nohup` goes on keeping the latter off."""
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)


if __name__ == "__main__":
    main()
