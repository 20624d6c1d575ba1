"""A real Redis of a test's own, on a free port of 127.0.0.1."""

import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest


class RedisServer:
    """Started in a folder, where it keeps its data; it may be killed and started again."""

    def __init__(self, folder: Path, appendfsync: str = "always") -> None:
        found = shutil.which("redis-server")
        if found is None:
            pytest.skip("redis-server is not installed (Debian: redis-server; `make servers`)")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        kept = [
            "--dir",
            str(folder),
            "--appendonly",
            "yes",
            "--appendfsync",
            appendfsync,
            "--save",
            "",
        ]
        self._command = [found, "--port", str(self.port), "--bind", "127.0.0.1", *kept]
        self.start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        self._process = subprocess.Popen(
            self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        until = time.monotonic() + 30
        while True:
            try:
                with socket.create_connection(("127.0.0.1", self.port), 1) as wire:
                    wire.sendall(b"PING\r\n")
                    if wire.recv(100).startswith(b"+PONG"):
                        return
            except OSError:
                pass
            assert time.monotonic() < until, "redis-server did not start"
            time.sleep(0.02)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
