"""The server: a page, what it loads, and a websocket for each window; every request is looked at by the guard first.

All that the page loads comes from here: xterm.js and the font from textual-serve's package, the rest from ours. The
page forbids the browser to ask anybody else.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import signal
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from urllib.parse import urlencode

import textual_serve
from aiohttp import WSMsgType, web
from textual_serve.server import Server

from tui_tuner.browser.guard import Guard
from tui_tuner.browser.place import Place
from tui_tuner.browser.window import Window

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

PATIENCE = 90.0
"""Seconds that an ending server waits for its apps, which stop and save runs meanwhile."""
_LARGEST_MESSAGE = 16 << 20
_PAGE = Path(__file__).parent / "page"
_THEIRS = Path(textual_serve.__file__).parent / "static"
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self' ws://{host} wss://{host}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_CLOSED = "Open the whole address that `tui-tuner serve` printed, with its token.\n"


class BrowserServer(Server):
    """Serves the app to whom the guard lets in.

    Args:
        place: the socket it listens on.
        guard: who may ask.
        first: the command of the first window, which may begin a run.
        others: the command of every other.
        say: takes lines for the server's terminal.
    """

    def __init__(
        self,
        place: Place,
        guard: Guard,
        first: Sequence[str],
        others: Sequence[str],
        say: Callable[[str], None],
    ) -> None:
        super().__init__("", place.host, place.port, "tui-tuner", place.url)
        self._place = place
        self._guard = guard
        self._commands = [list(first), list(others)]
        self._say = say
        self._ending = asyncio.Event()
        self._impatient = asyncio.Event()
        self._runner: web.AppRunner | None = None
        self.windows: set[Window] = set()

    async def begin(self) -> None:
        """Obeys signals, and starts to answer."""
        loop = asyncio.get_running_loop()
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            loop.add_signal_handler(getattr(signal, name), self.ask_to_end)
        self._runner = web.AppRunner(await self._make_app(), access_log=None, handle_signals=False)
        await self._runner.setup()
        await web.SockSite(self._runner, self._place.listener).start()

    async def until_told(self) -> bool:
        """Answers until a signal ends it, and waits for the apps; False when some had not ended."""
        await self._ending.wait()
        return await self._end()

    def ask_to_end(self) -> None:
        """Ends the server once its apps have ended; asked a second time, at once."""
        (self._impatient if self._ending.is_set() else self._ending).set()

    async def _end(self) -> bool:
        """Lets nobody in any more, hangs up on every app, and waits until all have ended or a second signal comes."""
        windows = list(self.windows)
        for window in windows:
            window.hang_up()
        if windows:
            self._say(f"waiting for {len(windows)} window(s) to stop and save; ctrl+c again leaves at once")
        given_up = asyncio.create_task(self._impatient.wait())
        ended = asyncio.create_task(_all_ended(windows))
        await asyncio.wait([given_up, ended], timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
        clean = ended.done()
        given_up.cancel()
        if clean and self._runner is not None:
            await self._runner.cleanup()
        return clean

    async def _make_app(self) -> web.Application:
        @web.middleware
        async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
            refusal = self._refusal(request)
            return refusal if refusal is not None else await handler(request)

        app = web.Application(middlewares=[guarded], logger=logging.getLogger("tui_tuner.browser"))
        app.add_routes(
            [
                web.get("/", self._page),
                web.get("/ws", self._websocket),
                web.get("/download/{key}", self.handle_download),
                web.static("/page", _PAGE),
                web.static("/static", _THEIRS),
            ]
        )
        app.on_response_prepare.append(self._sign)
        return app

    # -- who may ask ------------------------------------------------------------------------------------------------

    def _refusal(self, request: web.Request) -> web.Response | None:
        """What somebody gets who may not ask, or who is to be sent on without the token in the address."""
        guard = self._guard
        host, origin = request.headers.get("Host"), request.headers.get("Origin")
        if not guard.host_fits(host):
            return web.Response(status=421, text="This server does not go by that name.\n")
        asks = request.path == "/ws" or origin is not None
        if asks and not guard.origin_fits(origin, host or ""):
            return web.Response(status=403, text="A page of another server asks.\n")
        given = request.query.get("token")
        if request.path == "/" and given is not None:
            if not guard.knows(request.cookies.get(guard.cookie)) and not guard.token_fits(given):
                return web.Response(status=403, text=_CLOSED)
            rest = urlencode([(key, value) for key, value in request.query.items() if key != "token"])
            onward = web.Response(status=303, headers={"Location": f"/?{rest}" if rest else "/"})
            onward.set_cookie(guard.cookie, guard.session, httponly=True, samesite="Lax", path="/")
            return onward
        if not guard.knows(request.cookies.get(guard.cookie)):
            return web.Response(status=403, text=_CLOSED)
        return None

    async def _sign(self, request: web.Request, response: web.StreamResponse) -> None:
        """What every answer tells the browser: ask nobody else, show it in no frame, hand the address on to nobody."""
        host = request.headers.get("Host")
        host = host if host and self._guard.host_fits(host) else "localhost"
        response.headers["Content-Security-Policy"] = _POLICY.format(host=host)
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
        response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
        if not request.path.startswith("/static/"):
            response.headers["Cache-Control"] = "no-store"

    # -- answers ------------------------------------------------------------------------------------------------------

    async def _page(self, request: web.Request) -> web.StreamResponse:
        return web.FileResponse(_PAGE / "index.html")

    async def _websocket(self, request: web.Request) -> web.WebSocketResponse:
        """One window: starts an app for it, and carries messages until one of the two goes."""
        websocket = web.WebSocketResponse(heartbeat=15, max_msg_size=_LARGEST_MESSAGE)
        await websocket.prepare(request)
        if self._ending.is_set():
            await websocket.close()
            return websocket
        window = Window(
            self._next_command(),
            send=websocket.send_bytes,
            send_text=websocket.send_str,
            close=websocket.close,
            say=self._say,
            downloads=self.download_manager,
        )
        await window.start(_cells(request, "width", 80), _cells(request, "height", 24))
        self.windows.add(window)
        leaving = asyncio.create_task(self._forget(window))
        try:
            await self._listen(websocket, window)
        finally:
            window.lose()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.shield(leaving)
        return websocket

    def _next_command(self) -> list[str]:
        return self._commands.pop(0) if len(self._commands) > 1 else self._commands[0]

    async def _forget(self, window: Window) -> None:
        await window.ended.wait()
        self.windows.discard(window)

    async def _listen(self, websocket: web.WebSocketResponse, window: Window) -> None:
        async for message in websocket:
            if message.type is not WSMsgType.TEXT:
                continue
            try:
                wish = json.loads(message.data)
            except (ValueError, RecursionError):
                continue
            answer = await window.obey(wish)
            if answer is not None:
                with contextlib.suppress(ConnectionError):
                    await websocket.send_str(answer)


def _cells(request: web.Request, name: str, otherwise: int) -> int:
    text = request.query.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 6 else otherwise


async def _all_ended(windows: Sequence[Window]) -> None:
    for window in windows:
        await window.ended.wait()
