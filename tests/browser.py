"""A Chromium without a window, told what to do through a pipe by its DevTools protocol."""

import base64
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHROMIUM = (
    shutil.which("chromium")
    or shutil.which("chromium-browser")
    or shutil.which("google-chrome")
    or ""
)
_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars",
    "--disable-component-update",
    "--disable-background-networking", "--disable-sync", "--disable-extensions",
    "--disable-dev-shm-usage",
    "--remote-debugging-pipe",
)  # fmt: skip


class Browser:
    """One tab; `heard` holds every event that it told of, in order."""

    def __init__(self, send: int, receive: int) -> None:
        self._send, self._receive, self._left, self._number = send, receive, b"", 0
        self.heard: list[dict[str, Any]] = []
        target = self._ask("Target.createTarget", None, url="about:blank")["targetId"]
        self._session = self._ask("Target.attachToTarget", None, targetId=target, flatten=True)[
            "sessionId"
        ]
        for domain in ("Page", "Network", "Log", "Runtime"):
            self(f"{domain}.enable")

    def __call__(self, method: str, **params: Any) -> dict[str, Any]:
        """Asks the tab for something and waits for the answer."""
        return self._ask(method, self._session, **params)

    def open(self, page: Path, width: int, height: int = 900, look: str = "light") -> None:
        """Shows a page in a window of this width: in the `light`, in the `dark`, or as it is put in
        `print`.
        """
        self.heard.clear()
        self(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        scheme = {"name": "prefers-color-scheme", "value": "light" if look == "print" else look}
        self(
            "Emulation.setEmulatedMedia",
            media="print" if look == "print" else "",
            features=[scheme],
        )
        self("Page.navigate", url=page.absolute().as_uri())
        deadline = time.monotonic() + 30
        while not any(one["method"] == "Page.loadEventFired" for one in self.heard):
            assert time.monotonic() < deadline, "the page was not loaded"
            self("Runtime.evaluate", expression="1")

    def value(self, expression: str) -> Any:
        """What JavaScript says of the page."""
        return self("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get(
            "value"
        )

    def picture(self, file: Path, top: int = 0, height: int | None = None) -> None:
        """A PNG of the page, or of a piece of it."""
        size = self("Page.getLayoutMetrics")["cssContentSize"]
        clip = {
            "x": 0,
            "y": top,
            "width": size["width"],
            "height": height or size["height"] - top,
            "scale": 1,
        }
        shot = self("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
        file.write_bytes(base64.b64decode(shot["data"]))

    def complaints(self) -> list[str]:
        """Errors and warnings of the console."""
        logged = [
            one["params"]["entry"]["text"]
            for one in self.heard
            if one["method"] == "Log.entryAdded"
        ]
        thrown = [
            str(one["params"]) for one in self.heard if one["method"] == "Runtime.exceptionThrown"
        ]
        return logged + thrown

    def requests(self) -> list[str]:
        """The addresses that were asked for."""
        sent = [
            one["params"]["request"]["url"]
            for one in self.heard
            if one["method"] == "Network.requestWillBeSent"
        ]
        return [url for url in sent if not url.startswith("data:")]

    def _ask(self, method: str, session: str | None, **params: Any) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        message |= {"sessionId": session} if session else {}
        os.write(self._send, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                result: dict[str, Any] = answer["result"]
                return result
            if "method" in answer:
                self.heard.append(answer)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._left:
            more = os.read(self._receive, 1 << 20)
            assert more, "Chromium has ended"
            self._left += more
        message, self._left = self._left.split(b"\0", 1)
        answer: dict[str, Any] = json.loads(message)
        return answer


@contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    """A browser with a profile of its own."""
    theirs, send = os.pipe()
    receive, back = os.pipe()
    command = f'exec "$0" "$@" 3<&{theirs} 4>&{back}'
    process = subprocess.Popen(
        ["bash", "-c", command, CHROMIUM, *_FLAGS, f"--user-data-dir={profile}"],
        pass_fds=(theirs, back), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(theirs)
    os.close(back)
    try:
        yield Browser(send, receive)
    finally:
        process.terminate()
        process.wait(20)
        os.close(send)
        os.close(receive)
