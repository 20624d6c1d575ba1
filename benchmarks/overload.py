"""Twice the capacity of the service: what is accepted stays quick, the rest is refused at once.

    python benchmarks/overload.py

The server on one core, an open loop of 20-row requests on the other: they are sent at their times,
whatever became of those before them. Capacity is what 64 connections get that never pause.
Latencies are those of accepted requests; the most that one should wait is that `max_waiting` rows
are predicted before it, and its own batch.
"""

import asyncio
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from serving import Server, rows_body
from table import system, table

import headrace
from headrace import spec
from headrace.spec import ServeSpec

ROWS, CONNECTIONS, SECONDS, PORT = 20, 512, 5.0, 9100


class Client:
    """A connection that says one thing, and hears when and how it was answered."""

    async def open(self, said: bytes) -> "Client":
        self._said = said
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", PORT)
        return self

    async def ask(self) -> tuple[int, float]:
        """The status, and the seconds it took."""
        begin = time.perf_counter()
        self._writer.write(self._said)
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
        await self._reader.readexactly(length)
        return int(head[9:12]), time.perf_counter() - begin

    def close(self) -> None:
        self._writer.close()


async def capacity(clients: list[Client]) -> float:
    """Requests a second."""
    end = time.perf_counter() + SECONDS
    done = 0

    async def loop(client: Client) -> None:
        nonlocal done
        while time.perf_counter() < end:
            status, _ = await client.ask()
            done += status == 200

    await asyncio.gather(*(loop(client) for client in clients))
    return done / SECONDS


async def offered(clients: list[Client], rate: float) -> dict[str, Any]:
    """Requests at their times."""
    free, found, unsent = list(clients), [], 0
    tasks: set[asyncio.Task[None]] = set()

    async def once(client: Client) -> None:
        found.append(await client.ask())
        free.append(client)

    begin = time.perf_counter()
    for at in range(int(rate * SECONDS)):
        if (early := begin + at / rate - time.perf_counter()) > 0:
            await asyncio.sleep(early)
        if not free:
            unsent += 1
            await asyncio.sleep(0)
            continue
        task = asyncio.create_task(once(free.pop()))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    await asyncio.gather(*tasks)
    seconds = time.perf_counter() - begin
    taken = np.array([took for status, took in found if status == 200]) * 1e3
    refused = np.array([took for status, took in found if status == 503]) * 1e3
    return {
        "offered/s": round((len(found) + unsent) / seconds),
        "accepted/s": round(len(taken) / seconds),
        "refused/s": round(len(refused) / seconds),
        "other": len(found) - len(taken) - len(refused),
        "not sent": unsent,
        "accepted ms": {
            "p50": round(float(np.median(taken)), 1),
            "p99": round(float(np.quantile(taken, 0.99)), 1),
        },
        "refused ms, p50": round(float(np.median(refused)), 1) if len(refused) else None,
    }


async def measured(said: bytes) -> dict[str, Any]:
    clients = [await Client().open(said) for _ in range(CONNECTIONS)]
    told: dict[str, Any] = {}
    try:
        rate = await capacity(clients[:64])
        told["capacity/s"] = round(rate)
        for times in (0.5, 2.0):
            told[f"{times:g} times the capacity"] = await offered(clients, rate * times)
    finally:
        for client in clients:
            client.close()
    return told


def main() -> None:
    rows = table(ROWS, seed=99, missing=False).drop("target").to_dicts()
    body = json.dumps(rows_body(rows)).encode()
    said = b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(body) + body
    os.sched_setaffinity(0, {1})
    told: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "system.yaml").write_bytes(spec.dump(system(folder, 100_000)))
        headrace.run(headrace.load(folder))
        for waiting in (ServeSpec().max_waiting, 200):
            with (folder / "system.yaml").open("a") as file:
                file.write(
                    f"\nserve: {{max_waiting: {waiting}}}\n"
                    if waiting != ServeSpec().max_waiting
                    else ""
                )
            command = [sys.executable, "-m", "headrace", "serve", name, "--port", str(PORT)]
            server = Server(command, PORT, "/predict", rows_body)
            server.start(rows[0])
            try:
                found = asyncio.run(measured(said))
            finally:
                server.stop()
            longest = (waiting + 2 * ROWS) / (found["capacity/s"] * ROWS) * 1e3
            told[f"max_waiting {waiting}"] = {
                **found,
                "ms that max_waiting rows take": round(longest, 1),
            }
    print(json.dumps(told, indent=2))


if __name__ == "__main__":
    main()
