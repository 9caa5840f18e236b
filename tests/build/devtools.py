"""A page in a headless Chromium, driven over the DevTools protocol; tornado brings the socket."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import time
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from tornado.websocket import WebSocketClientConnection, websocket_connect

KEYS = {"ArrowRight": 39, "ArrowLeft": 37}


class Page:
    """One tab; a context manager that closes the browser."""

    def __init__(self, browser: str, folder: Path, address: str) -> None:
        """Starts `browser` with its profile in `folder` and opens `address`."""
        folder.mkdir(parents=True)
        self._log = (folder / "log").open("w+b")
        self._process = subprocess.Popen(
            [
                browser,
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--no-first-run",
                "--disable-dev-shm-usage",
                "--disable-background-networking",
                "--disable-sync",
                "--disable-component-update",
                "--remote-debugging-port=0",
                "--remote-allow-origins=*",
                "--window-size=1200,1000",
                f"--user-data-dir={folder / 'profile'}",
                "about:blank",
            ],
            stdout=subprocess.DEVNULL,
            stderr=self._log,
        )
        self._loop = asyncio.new_event_loop()
        self._count = 0
        self._socket: WebSocketClientConnection | None = None
        try:
            self._socket = self._loop.run_until_complete(self._connect(self._target()))
            self.call("Emulation.setFocusEmulationEnabled", enabled=True)  # as if in front
            self.call("Page.navigate", url=address)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Page:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._loop.run_until_complete(asyncio.sleep(0.1))
        self._loop.close()
        self._process.terminate()
        self._process.wait(30)
        self._log.close()

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """The result of one command of the protocol."""
        assert self._socket is not None
        self._count += 1
        order = {"id": self._count, "method": method, "params": parameters}
        return self._loop.run_until_complete(asyncio.wait_for(self._answer(order), 60))

    def evaluate(self, expression: str) -> Any:
        """The value of JavaScript in the page, of a promise what it gives."""
        answer = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def wait(self, expression: str, seconds: float) -> Any:
        """The value as soon as it is true; None when it never was."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if value := self.evaluate(expression):
                return value
            time.sleep(0.2)
        return None

    def press(self, key: str) -> None:
        """One key, down and up, for what has the focus."""
        for kind in ("keyDown", "keyUp"):
            code = KEYS[key]
            self.call(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                code=key,
                windowsVirtualKeyCode=code,
                nativeVirtualKeyCode=code,
            )

    async def _connect(self, target: str) -> WebSocketClientConnection:
        return await websocket_connect(target)  # tornado wants a loop that runs

    async def _answer(self, order: dict[str, Any]) -> dict[str, Any]:
        assert self._socket is not None
        await self._socket.write_message(json.dumps(order))
        while True:
            text = await self._socket.read_message()
            if text is None:
                raise RuntimeError("the browser closed the connection")
            message = json.loads(text)
            if message.get("id") == order["id"]:
                if "error" in message:
                    raise RuntimeError(f"{order['method']}: {message['error']}")
                result: dict[str, Any] = message["result"]
                return result

    def _target(self) -> str:
        """The socket of the tab that is open at the start."""
        end = time.monotonic() + 60
        while time.monotonic() < end and self._process.poll() is None:
            said = Path(self._log.name).read_text(encoding="utf-8", errors="replace")
            if found := re.search(r"ws://(127\.0\.0\.1:\d+)/", said):
                with urlopen(f"http://{found[1]}/json/list", timeout=30) as answer:
                    tabs = [tab for tab in json.load(answer) if tab["type"] == "page"]
                if tabs:
                    return str(tabs[0]["webSocketDebuggerUrl"])
            time.sleep(0.2)
        raise RuntimeError(f"no tab to drive: {Path(self._log.name).read_text(errors='replace')}")
