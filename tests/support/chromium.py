"""A headless Chromium, steered by its DevTools protocol over a websocket; for the tests that need a real browser."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
MAC = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"


def program() -> str | None:
    """A browser of this machine that can be steered, if there is one."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    return found or (MAC if Path(MAC).exists() else None)


class Tab:
    """One page; what it asks for and what it complains of is kept."""

    def __init__(self, websocket: aiohttp.ClientWebSocketResponse) -> None:
        self._websocket = websocket
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._numbers = itertools.count(1)
        self.asked: list[str] = []
        self.complaints: list[str] = []
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for message in self._websocket:
            said = message.json()
            if future := self._answers.pop(said.get("id"), None):
                future.set_result(said)
            elif said.get("method") == "Network.requestWillBeSent":
                self.asked.append(said["params"]["request"]["url"])
            elif said.get("method") in ("Log.entryAdded", "Runtime.exceptionThrown"):
                self.complaints.append(str(said["params"]))

    async def call(self, method: str, **parameters: Any) -> Any:
        number = next(self._numbers)
        future = self._answers[number] = asyncio.get_running_loop().create_future()
        await self._websocket.send_json({"id": number, "method": method, "params": parameters})
        answer = await asyncio.wait_for(future, 30)
        assert "error" not in answer, answer
        return answer["result"]

    async def evaluate(self, expression: str) -> Any:
        answer = await self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    async def press(self, key: str) -> None:
        """Presses a key that makes a character."""
        await self.call("Input.dispatchKeyEvent", type="keyDown", text=key, key=key)
        await self.call("Input.dispatchKeyEvent", type="keyUp", key=key)

    async def picture(self, path: Path) -> None:
        answer = await self.call("Page.captureScreenshot", format="png")
        path.write_bytes(base64.b64decode(answer["data"]))


@contextlib.asynccontextmanager
async def opened(profile: Path, size: tuple[int, int] = (1280, 800)) -> AsyncIterator[Tab]:
    """A browser with one empty page, ended with the block.

    Args:
        profile: a folder of its own.
    """
    browser = program()
    assert browser is not None
    switches = [
        "--headless",
        "--disable-gpu",
        "--enable-unsafe-swiftshader",
        "--no-first-run",
        "--remote-debugging-port=0",
    ]
    switches += [f"--user-data-dir={profile}", f"--window-size={size[0]},{size[1]}"]
    if os.geteuid() == 0:
        switches.append("--no-sandbox")
    process = subprocess.Popen(
        [browser, *switches, "about:blank"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        note = profile / "DevToolsActivePort"
        async with asyncio.timeout(30):
            while not (note.exists() and note.read_text().count("\n")):
                assert process.poll() is None, "the browser ended"
                await asyncio.sleep(0.05)
        port = int(note.read_text().split()[0])
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{port}/json/list") as answer:
                (page,) = [one for one in await answer.json() if one["type"] == "page"]
            async with session.ws_connect(page["webSocketDebuggerUrl"], max_msg_size=0) as websocket:
                tab = Tab(websocket)
                for domain in ("Page", "Network", "Runtime", "Log"):
                    await tab.call(f"{domain}.enable")
                yield tab
    finally:
        process.terminate()
        process.wait(10)
