"""`serve`, spoken to as a browser does: what is answered and what is refused, windows, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest

from tests.support import chromium
from tests.support.commands import process
from tui_tuner.browser.guard import Guard
from tui_tuner.browser.place import taken
from tui_tuner.browser.server import BrowserServer
from tui_tuner.browser.window import Window, within
from tui_tuner.cli.serving import _command
from tui_tuner.runs import RunFolder, holder, list_runs, read_events

TOKEN = "a-token-of-ones-own"
ECHO = """
import os, sys
out = sys.stdout.buffer
def draw(kind, data): out.write(kind + len(data).to_bytes(4, "big") + data); out.flush()
out.write(b"__GANGLION__\\n"); out.flush()
draw(b"D", " ".join(sys.argv[1:] + [os.environ["COLUMNS"], os.environ["ROWS"]]).encode())
while head := sys.stdin.buffer.read(5):
    draw(b"D", head[:1] + sys.stdin.buffer.read(int.from_bytes(head[1:], "big")))
draw(b"D", b"x" * 200_000)
print("left", file=sys.stderr)
"""
"""In place of the app: draws its arguments, its size and what it is sent; when that ends, more than a pipe holds."""


class Serving:
    def __init__(self, server: BrowserServer, guard: Guard, url: str, session: aiohttp.ClientSession) -> None:
        self.server, self.guard, self.url, self.session = server, guard, url, session
        self.said: list[str] = []

    async def get(self, path: str, **headers: str) -> aiohttp.ClientResponse:
        async with self.session.get(self.url + path, headers=headers, allow_redirects=False) as answer:
            await answer.read()
            return answer

    async def enter(self) -> None:
        assert (await self.get(f"/?token={TOKEN}")).status == 303

    def window(self, **headers: str) -> contextlib.AbstractAsyncContextManager[aiohttp.ClientWebSocketResponse]:
        return self.session.ws_connect(f"{self.url}/ws?width=90&height=33", headers={"Origin": self.url, **headers})


def echo(*words: str) -> list[str]:
    return [sys.executable, "-c", ECHO, *words]


@contextlib.asynccontextmanager
async def serving(first: list[str], others: list[str], token: str | None = TOKEN) -> AsyncIterator[Serving]:
    place = taken("127.0.0.1", 0)
    guard = Guard(token, place.port, place.names)
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        said: list[str] = []
        server = BrowserServer(place, guard, first, others, said.append)
        await server.begin()
        one = Serving(server, guard, place.url, session)
        one.said = said
        try:
            yield one
        finally:
            server.ask_to_end()
            assert await server.until_told()


async def drawn(websocket: aiohttp.ClientWebSocketResponse, what: bytes, timeout: float = 60) -> bytes:
    """All that is drawn until `what` is among it."""
    seen = b""
    async with asyncio.timeout(timeout):
        while what not in seen:
            message = await websocket.receive()
            assert message.type in (aiohttp.WSMsgType.BINARY, aiohttp.WSMsgType.TEXT), (message, seen[-300:])
            seen += message.data if isinstance(message.data, bytes) else message.data.encode()
    return seen


async def test_nothing_is_answered_without_the_token() -> None:
    async with serving(echo(), echo()) as one:
        paths = [
            "/",
            "/ws",
            "/static/js/textual.js",
            "/page/page.js",
            "/download/x",
            "/nothing",
            "/?token=",
            "/?token=x",
        ]
        for path in paths:
            answer = await one.get(path, Origin=one.url)
            assert answer.status == 403, path
            assert "Set-Cookie" not in answer.headers
        forged = await one.get("/", Cookie=f"{one.guard.cookie}={TOKEN}")
        assert forged.status == 403
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            async with one.window():
                pass
        assert refused.value.status == 403
        assert not one.server.windows


async def test_the_token_becomes_a_cookie_and_leaves_the_address() -> None:
    async with serving(echo(), echo()) as one:
        answer = await one.get(f"/?token={TOKEN}&fontsize=20")
        assert (answer.status, answer.headers["Location"]) == (303, "/?fontsize=20")
        cookie = answer.headers["Set-Cookie"]
        assert "HttpOnly" in cookie and "SameSite=Lax" in cookie and TOKEN not in cookie
        page = await one.get("/")
        assert page.status == 200
        assert (await one.get("/?token=old")).headers["Location"] == "/"
        for path in ("/static/js/textual.js", "/static/css/xterm.css", "/page/page.js", "/page/page.css"):
            assert (await one.get(path)).status == 200, path
        for path in (
            "/static/",
            "/static/../server.py",
            "/static/%2e%2e/server.py",
            "/download/x",
            "/page/../guard.py",
        ):
            assert (await one.get(path)).status in (403, 404), path


async def test_the_page_may_ask_nobody_else() -> None:
    async with serving(echo(), echo(), token=None) as one:
        async with one.session.get(one.url) as page:
            text, headers = await page.text(), page.headers
        assert "://" not in text
        policy = headers["Content-Security-Policy"]
        host = one.url.removeprefix("http://")
        assert policy.startswith("default-src 'none'; script-src 'self'; ") and "frame-ancestors 'none'" in policy
        assert {word for word in policy.replace(";", " ").split() if "://" in word} == {f"ws://{host}", f"wss://{host}"}
        assert (headers["Referrer-Policy"], headers["Cache-Control"]) == ("no-referrer", "no-store")
        assert headers["X-Content-Type-Options"] == "nosniff"


async def test_other_names_and_other_pages_are_refused_even_without_a_token() -> None:
    async with serving(echo(), echo(), token=None) as one:
        port = one.url.rpartition(":")[2]
        assert (await one.get("/", Host=f"evil.example:{port}")).status == 421
        assert (await one.get("/", Host=f"localhost:{port}")).status == 200
        assert (await one.get("/", Origin="http://evil.example")).status == 403
        for origin in ("http://evil.example", "null", f"http://evil.example:{port}", "http://127.0.0.1:1"):
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                async with one.window(Origin=origin):
                    pass
            assert refused.value.status == 403
        with pytest.raises(aiohttp.WSServerHandshakeError):
            async with one.session.ws_connect(f"{one.url}/ws"):
                pass
        with pytest.raises(aiohttp.WSServerHandshakeError):
            async with one.window(Host="evil.example", Origin="http://evil.example"):
                pass
        assert not one.server.windows


async def test_two_windows_are_two_apps_and_only_the_first_begins_a_run() -> None:
    async with serving(echo("first", "--start"), echo("other")) as one:
        await one.enter()
        async with one.window() as first, one.window() as second:
            assert await drawn(first, b"33") == b"first --start 90 33"
            assert await drawn(second, b"33") == b"other 90 33"
            await first.send_json(["stdin", "h\u00e9\ud83d"])
            await second.send_json(["resize", {"width": 10**9, "height": -5}])
            assert "hé?".encode() in await drawn(first, b"?")
            assert await drawn(second, b"}") == b'M{"type": "resize", "width": 1000, "height": 1}'
            for nonsense in ('{"a": 1}', "[]", "[1]", "[" * 5000, '["stdin"]', '["stdin", 1]', '["resize", {}]', "x"):
                await second.send_str(nonsense)
            await second.send_bytes(b"\0")
            await second.send_json(["ping", "1"])
            assert await drawn(second, b"pong") == b'["pong", "1"]'
            await second.send_json(["focus"])
            assert await drawn(second, b"}") == b'M{"type": "focus"}'
            assert len(one.server.windows) == 2
        # Both are gone: the apps see the end of their input, nobody waits for what they still draw, and they end.
        async with asyncio.timeout(30):
            while one.server.windows:
                await asyncio.sleep(0.02)
        assert one.said == ["left", "left"]


async def test_an_app_that_cannot_start_says_why_and_its_window_closes() -> None:
    fails = [sys.executable, "-c", "import sys; sys.exit('tui-tuner: it cannot')"]
    async with serving(fails, fails) as one:
        await one.enter()
        async with one.window() as window, asyncio.timeout(30):
            assert (await window.receive()).type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)
        async with asyncio.timeout(30):
            while one.server.windows:
                await asyncio.sleep(0.02)
        assert one.said == ["tui-tuner: it cannot"]


def test_a_window_gets_no_token_and_no_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUI_TUNER_TOKEN", TOKEN)

    async def nothing(*_: object) -> None: ...

    window = Window([], send=nothing, send_text=nothing, close=nothing, say=print, downloads=None)  # type: ignore[arg-type]
    environment = window._build_environment(80, 24)
    assert TOKEN not in environment.values()
    assert environment["TEXTUAL_DRIVER"] == "tui_tuner.ui.browserdriver:BrowserDriver"
    assert (within(0), within(80), within(10**6)) == (1, 80, 1000)
    hostile = "--start; $(touch x) `y` '\" &"
    command = _command(hostile, [hostile], Path("runs"))
    assert command[:4] == [sys.executable, "-P", "-m", "tui_tuner"]
    assert command[4:] == [f"--preset={hostile}", f"--set={hostile}", f"--runs-dir={Path.cwd() / 'runs'}"]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], str, int]]:
    """`serve` in a process of its own: the process, the address with its token, the port."""
    running = process("serve", "--port", "0", "--json", "--runs-dir", tmp_path / "runs")
    try:
        assert running.stdout is not None
        document = json.loads(running.stdout.readline())
        assert (document["host"], document["loopback"]) == ("127.0.0.1", True)
        yield running, document["address"], document["port"]
    finally:
        running.kill()
        running.communicate()


async def test_the_workbench_is_drawn_takes_keys_and_ends_with_the_server(
    here: Path, served: tuple[subprocess.Popen[str], str, int]
) -> None:
    running, address, port = served
    url = f"http://127.0.0.1:{port}"
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        async with session.get(address) as page:
            assert (page.status, str(page.url)) == (200, f"{url}/")
        async with session.ws_connect(f"{url}/ws?width=100&height=30", headers={"Origin": url}) as window:
            home = await drawn(window, b"PRESETS")
            assert b"Models" in home and b"Benchmark" in home
            await window.send_json(["stdin", "7"])
            assert b"RUNS" in (await drawn(window, b"No runs yet")).upper()
            running.send_signal(signal.SIGINT)
            async with asyncio.timeout(30):
                while (await window.receive()).type is aiohttp.WSMsgType.BINARY:
                    pass
    out, err = await asyncio.to_thread(running.communicate, timeout=60)
    assert running.returncode == 0, err
    assert out == "" and "Traceback" not in err and "token" not in err


@pytest.mark.slow
@pytest.mark.mlx
async def test_a_run_outlives_the_window_and_the_server(workshop: Path, here: Path) -> None:
    keys = ("train.iters=400", "train.eval_every=1000", "data.test=2")
    sets = [word for key in keys for word in ("--set", key)]
    running = process("serve", "--port", "0", "--no-token", "--preset", workshop / "tiny.toml", *sets, "--start")
    try:
        assert running.stdout is not None
        url = running.stdout.readline().strip().rstrip("/")
        async with (
            asyncio.timeout(120),
            aiohttp.ClientSession() as session,
            session.ws_connect(f"{url}/ws", headers={"Origin": url}) as window,
        ):
            while trained(here) < 3:
                await window.receive()
            app = owner(here)
            running.kill()
            while (await window.receive()).type is aiohttp.WSMsgType.BINARY:
                pass
        async with asyncio.timeout(120):
            while owner(here) in (app, None):
                await asyncio.sleep(0.05)
            before = trained(here)
            while trained(here) < before + 3:
                await asyncio.sleep(0.05)
    finally:
        running.kill()
        running.communicate()
        stopping = process("stop", "last")
        stopping.communicate()


def trained(here: Path) -> int:
    """The last step that the only run tells of."""
    events = [e for log in (here / "runs").glob("*/events.jsonl") for e in read_events(log)]
    return max((e["step"] for e in events if e["type"] == "train"), default=0)


def owner(here: Path) -> int | None:
    """The process that the only run belongs to now."""
    (run,) = list_runs(here / "runs")
    found = holder(RunFolder.open(run.path))
    return None if found is None else found.pid


@pytest.mark.slow
@pytest.mark.skipif(chromium.program() is None, reason="there is no Chromium on this machine")
async def test_a_real_browser_shows_it_and_asks_nobody_else(
    here: Path, served: tuple[subprocess.Popen[str], str, int]
) -> None:
    _, address, port = served
    async with chromium.opened(here / "profile") as tab, asyncio.timeout(60):
        await tab.call("Page.navigate", url=address)
        while not await tab.evaluate("document.body?.classList.contains('-first-byte')"):
            await asyncio.sleep(0.05)
        assert await tab.evaluate("location.href") == f"http://127.0.0.1:{port}/"
        assert await tab.evaluate("document.fonts.check('16px \"Roboto Mono\"')")
        assert await tab.evaluate("document.activeElement.tagName") == "TEXTAREA"
        home = await settled(tab, here / "home.png", b"")
        await tab.press("2")
        assert await settled(tab, here / "data.png", home) != home
        assert {url.split("/")[2] for url in tab.asked} == {f"127.0.0.1:{port}"}
        assert len(tab.asked) >= 8 and tab.complaints == []


async def settled(tab: chromium.Tab, path: Path, before: bytes) -> bytes:
    """A picture that is another than before, holds a screenful, and stays as it is."""
    last = b""
    while True:
        await tab.picture(path)
        now = path.read_bytes()
        if now == last != before and len(now) > 20_000:
            return now
        last = now
        await asyncio.sleep(0.2)
