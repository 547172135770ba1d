"""One window of a browser: the app in a process of its own, and the bytes between the two.

The process leads a session of its own, so ctrl+c in the server's terminal is not for it. When its window is gone, its
input ends, and the app sees to its runs (`ui.leaving.window_lost`); what it still draws is read and thrown away, or it
would wait for ever for room in the pipe. It is never killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from asyncio.subprocess import PIPE, Process
from collections.abc import Awaitable, Callable, Sequence

from textual_serve.app_service import AppService
from textual_serve.download_manager import DownloadManager

from tui_tuner.browser import DRIVER
from tui_tuner.paths import checkout_dir

MOST_CELLS = 1000
"""Columns or rows that a window may ask for; a screen of more would take memory and show nothing."""
_READY = b"__GANGLION__\n"
_MOST_SAID = 4096
TOKEN_VARIABLE = "TUI_TUNER_TOKEN"


class Window(AppService):
    """An app and the browser window that shows it.

    Args:
        arguments: the app's command, which no shell reads.
        send: writes to the window.
        send_text: the same for the protocol's JSON.
        close: closes the window's websocket.
        say: takes what the app said on its way out, for the server's terminal.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        send: Callable[[bytes], Awaitable[None]],
        send_text: Callable[[str], Awaitable[None]],
        close: Callable[[], Awaitable[object]],
        say: Callable[[str], None],
        downloads: DownloadManager,
    ) -> None:
        async def closed() -> None:
            await close()

        super().__init__("", write_bytes=send, write_str=send_text, close=closed, download_manager=downloads)
        self._arguments = list(arguments)
        self._say = say
        self._gone = False
        self.ended = asyncio.Event()

    def _build_environment(self, width: int = 80, height: int = 24) -> dict[str, str]:
        environment = super()._build_environment(width, height)
        environment["TEXTUAL_DRIVER"] = DRIVER
        environment["TEXTUAL_FPS"] = "30"
        environment.pop(TOKEN_VARIABLE, None)
        if root := checkout_dir():
            # The folder that one stands in is no place to import from, so the source tree has to be named.
            places = [str(root), *filter(None, [environment.get("PYTHONPATH")])]
            environment["PYTHONPATH"] = os.pathsep.join(places)
        return environment

    async def _open_app_process(self, width: int = 80, height: int = 24) -> Process:
        self._process = await asyncio.create_subprocess_exec(
            *self._arguments,
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            env=self._build_environment(within(width), within(height)),
            start_new_session=True,
        )
        self._stdin = self._process.stdin
        return self._process

    def lose(self) -> None:
        """The window is gone: ends the app's input."""
        self._gone = True
        if self._stdin is not None:
            self._stdin.close()

    def hang_up(self) -> None:
        """The server ends: tells the app what a closed terminal would tell it."""
        self._gone = True
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGHUP)

    async def run(self) -> None:
        """Carries what the app draws to the window until the app has ended; called by `start`."""
        process = self._process
        assert process is not None and process.stdout is not None and process.stderr is not None
        said = asyncio.create_task(_said(process.stderr))
        try:
            await self._carry(process.stdout)
        finally:
            text = await said
            await process.wait()
            if text:
                self._say(text)
            if self._stdin is not None:
                self._stdin.close()
            with contextlib.suppress(Exception):
                await self.remote_close()
            self.ended.set()

    async def _carry(self, stdout: asyncio.StreamReader) -> None:
        if not await _is_ready(stdout):
            return
        kinds = {b"D": self.on_data, b"M": self.on_meta, b"P": self.on_packed}
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                head = await stdout.readexactly(5)
                payload = await stdout.readexactly(int.from_bytes(head[1:], "big"))
                take = kinds.get(head[:1])
                if take is None:
                    break
                if self._gone and head[:1] != b"P":
                    continue
                try:
                    await take(payload)
                except (ConnectionError, RuntimeError):
                    self.lose()
        while await stdout.read(1 << 16):  # what is no protocol any more is read, so that nobody waits for room
            pass

    async def obey(self, message: object) -> str | None:
        """Does what the window's message wants, and gives what is to be answered; passes over what is no message."""
        match message:
            case ["stdin", str(text)]:
                await self.send_bytes(text.encode("utf-8", "replace"))
            case ["resize", {"width": int(width), "height": int(height)}]:
                await self.set_terminal_size(within(width), within(height))
            case ["focus", *_]:
                await self.focus()
            case ["blur", *_]:
                await self.blur()
            case ["ping", str(stamp)]:
                return json.dumps(["pong", stamp])
        return None


def within(cells: int) -> int:
    """A number of columns or rows that a screen can have."""
    return max(1, min(cells, MOST_CELLS))


async def _is_ready(stdout: asyncio.StreamReader) -> bool:
    """Whether the app begins to draw; False when it ends before."""
    with contextlib.suppress(ValueError):  # a line longer than the reader takes is no beginning
        for _ in range(10):
            line = await stdout.readline()
            if not line or line == _READY:
                return bool(line)
    return False


async def _said(stderr: asyncio.StreamReader) -> str:
    """What the app said, the last of it; all is read, so that it never waits."""
    kept = b""
    while piece := await stderr.read(_MOST_SAID):
        kept = (kept + piece)[-_MOST_SAID:]
    return kept.decode("utf-8", "replace").strip()
