"""A service in a process of its own, as people start it; and one in this process, which a test may
look into.
"""

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import httpx

from headrace.serve import make_service
from headrace.serve.http.connection import Connection
from headrace.serve.run import make_plan
from headrace.serve.service import Service

T = TypeVar("T")


class Running:
    """`headrace serve MODELS` on a free port; `first` is the first line that it tells, `rest` those
    until its end.
    """

    def __init__(
        self,
        *models: Any,
        folder: Path | None = None,
        options: tuple[str, ...] = (),
        before: tuple[str, ...] = (),
    ) -> None:
        command = [
            *before,
            sys.executable,
            "-m",
            "headrace",
            "serve",
            *map(str, models),
            "--port",
            "0",
            *options,
        ]
        self.process = subprocess.Popen(
            [*command, *(("--dir", str(folder)) if folder else ())],
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stderr is not None
        self.first = self.process.stderr.readline()
        self.url = json.loads(self.first)["url"] if self.first.startswith("{") else ""

    def __enter__(self) -> "Running":
        self.wait(lambda: httpx.get(self.url + "/health/ready").status_code == 200)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.stop()

    def wait(self, until: Callable[[], bool], seconds: float = 60) -> None:
        """Waits until something is so; fails where it does not come."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                if until():
                    return
            except httpx.TransportError:
                assert self.process.poll() is None, self.first
            time.sleep(0.05)
        raise AssertionError("it did not happen")

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        assert self.process.stderr is not None
        if not self.process.stderr.closed:
            self.rest = self.process.stderr.read()
            self.process.stderr.close()
        return self.process.wait(60)


def within(
    models: list[str], do: Callable[[Service, httpx.AsyncClient], Awaitable[T]], **settings: Any
) -> T:
    """Does something with a service that lives in this process for as long."""

    async def live() -> T:
        plan = make_plan(models, Path(), **settings)
        service = make_service(plan)
        service.start()
        loop = asyncio.get_running_loop()
        async with await loop.create_server(
            lambda: Connection(service.connections), "127.0.0.1", 0
        ) as server:
            host, port = server.sockets[0].getsockname()
            async with httpx.AsyncClient(base_url=f"http://{host}:{port}", timeout=60) as client:
                try:
                    return await do(service, client)
                finally:
                    await service.stop()

    return asyncio.run(live())


def ask(
    models: list[str],
    method: str,
    path: str,
    content: bytes = b"",
    headers: Any = None,
    **settings: Any,
) -> httpx.Response:
    """One request of such a service."""

    async def once(service: Service, client: httpx.AsyncClient) -> httpx.Response:
        return await client.request(method, path, content=content, headers=headers)

    return within(models, once, **settings)
