"""Serving over HTTP beside FastAPI and MLServer: the same model and rows, one core for the server,
wrk on the other.

    python benchmarks/serving.py

The peers serve the scikit-learn pipeline that their users would, and the very same ONNX graph, so
that the server's own part is seen. The bare echo is an ASGI function that answers with the body.
CPU a request is that of all processes of a server. What the log costs is less than what one process
differs from the next: it is seen in one that serves the model twice, once from its workspace and
once from a bundle beside it, which has no log. The peers go into build/peers/serving, made by the
first run; one that does not start is said so. Needs wrk.
"""

import json
import mmap
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
import venv
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from embedded import p50_us
from table import NUMERIC, TEXT, system, table

import headrace
from headrace import spec
from headrace.features import open_session
from headrace.predict import Predictor

SECONDS, REPEATS, TOUCHED = 4, 3, 512 << 20
LOG_STARTS, LOG_TURNS = 8, 8
PEERS = [
    "fastapi", "uvicorn[standard]", "mlserver", "uvloop<0.22", "scikit-learn<1.8",
    "lightgbm==4.6.0", "pandas<3", "pyarrow", "joblib", "onnxruntime",
]  # fmt: skip
LUA = """
local requests, at = {}, 0
function init(args)
  for line in io.lines(args[1]) do
    local headers = {["content-type"] = "application/json"}
    requests[#requests + 1] = wrk.format("POST", args[2], headers, line)
  end
end
function request()
  at = at % #requests + 1
  return requests[at]
end
function done(summary, latency)
  local e = summary.errors
  local form = 'RESULT {"rps": %f, "p50_ms": %f, "p99_ms": %f, "requests": %d, "bad": %d}\\n'
  io.write(string.format(form, summary.requests / summary.duration * 1e6,
    latency:percentile(50) / 1000, latency:percentile(99) / 1000,
    summary.requests, e.status + e.connect + e.read + e.write + e.timeout))
end
"""
Rows = list[dict[str, Any]]


def rows_body(rows: Rows) -> Any:
    return {"rows": rows}


def tensors_body(rows: Rows) -> Any:
    inputs = [
        {
            "name": name,
            "shape": [len(rows), 1],
            "datatype": "BYTES" if name in TEXT else "FP64",
            "data": [row[name] for row in rows],
            "parameters": {"content_type": "str" if name in TEXT else "np"},
        }
        for name in NUMERIC + TEXT
    ]
    return {"parameters": {"content_type": "pd"}, "inputs": inputs}


class Server:
    """A server on core 0."""

    def __init__(
        self, command: list[str], port: int, path: str, body: Callable[[Rows], Any], **more: str
    ) -> None:
        self._command, self.port, self.path, self.body, self._more = command, port, path, body, more

    def start(self, row: dict[str, Any]) -> float:
        """Seconds to the first answer."""
        begin = time.perf_counter()
        here = str(Path(__file__).parent)
        environment = {**os.environ, "PYTHONPATH": here, "PYTHONWARNINGS": "ignore", **self._more}
        self.process = subprocess.Popen(
            ["taskset", "1", *self._command],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        while True:
            try:
                self.post([row])
                return round(time.perf_counter() - begin, 2)
            except OSError:
                if self.process.poll() is not None or time.perf_counter() - begin > 90:
                    self.stop()
                    raise RuntimeError("did not start") from None
                time.sleep(0.02)

    def post(self, rows: Rows) -> Any:
        url, headers = (
            f"http://127.0.0.1:{self.port}{self.path}",
            {"content-type": "application/json"},
        )
        with urllib.request.urlopen(
            urllib.request.Request(url, json.dumps(self.body(rows)).encode(), headers), timeout=30
        ) as answer:
            return json.loads(answer.read())

    def processes(self) -> list[int]:
        found = []
        for path in Path("/proc").glob("[0-9]*/stat"):
            try:
                state, _, _, session = path.read_text().rpartition(")")[2].split()[:4]
                if int(session) == self.process.pid and state != "Z":
                    found.append(int(path.parent.name))
            except OSError:
                continue
        return found

    def cpu_s(self) -> float:
        total = 0
        for pid in self.processes():
            told = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += int(told[11]) + int(told[12])
        return total / os.sysconf("SC_CLK_TCK")

    def stop(self) -> None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            for pid in self.processes():
                with suppress(ProcessLookupError):
                    os.kill(pid, number)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(10)


def touch_memory() -> None:
    """A virtual machine may have given its free memory back to its host: who writes to it first
    waits for that, 2 ms a megabyte where this was seen. Touched here, what the log writes costs
    what it does on a machine with its own memory.
    """
    with mmap.mmap(-1, TOUCHED) as memory:
        for at in range(0, TOUCHED, mmap.PAGESIZE):
            memory[at] = 1


def wrk(
    server: Server, folder: Path, bodies: Path, connections: int, seconds: int = SECONDS
) -> dict[str, float]:
    touch_memory()
    command = [
        "taskset",
        "2",
        "wrk",
        "-t1",
        f"-c{connections}",
        f"-d{seconds}s",
        "--timeout",
        "20s",
    ]
    url = f"http://127.0.0.1:{server.port}"
    done = subprocess.run(
        [*command, "-s", str(folder / "post.lua"), url, "--", str(bodies), server.path],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    found: dict[str, float] = json.loads(done.stdout.split("RESULT ")[1])
    return found


def once(server: Server, folder: Path, name: str, rows: Rows) -> dict[str, float]:
    """One round of a server that runs."""
    single, many = folder / f"{name}-1.txt", folder / f"{name}-1000.txt"
    single.write_text("\n".join(json.dumps(server.body([row])) for row in rows[:64]))
    many.write_text(json.dumps(server.body(rows)))
    before = server.cpu_s()
    sixteen = wrk(server, folder, single, 16)
    cpu_us = (server.cpu_s() - before) / sixteen["requests"] * 1e6
    one = wrk(server, folder, single, 1)
    told = {
        "requests/s, 16 connections": sixteen["rps"],
        "CPU us a request": cpu_us,
        "p50 ms, 1 connection": one["p50_ms"],
        "p99 ms, 1 connection": one["p99_ms"],
        "failed": sixteen["bad"] + one["bad"],
    }
    if name != "echo":
        thousand = wrk(server, folder, many, 1)
        told |= {
            "ms for 1,000 rows": thousand["p50_ms"],
            "failed": told["failed"] + thousand["bad"],
        }
    return told


def cost_of_log(servers: list[Server], folder: Path, rows: Rows) -> dict[str, Any]:
    """By turns in one process, each start of it by itself: requests/s and CPU with the log by those
    without. The servers hold the same two models and take turns at starting, so that being opened
    first favours neither. Sealing is waited for between turns: only what begins within one is in
    the figures.
    """
    bodies = folder / "log-1.txt"
    bodies.write_text("\n".join(json.dumps(rows_body([row])) for row in rows[:64]))
    told: dict[str, Any] = {"requests/s": [], "CPU us a request": []}
    for start in range(LOG_STARTS):
        server = servers[start % len(servers)]
        server.start(rows[0])
        found: dict[str, list[dict[str, float]]] = {"/predict/bench": [], "/predict/unlogged": []}
        try:
            for turn in range(LOG_TURNS + 1):
                for path in list(found)[:: 1 if turn % 2 else -1]:
                    until = time.monotonic() + 60
                    while len(server.processes()) > 1 and time.monotonic() < until:  # it seals
                        time.sleep(0.1)
                    server.path, before = path, server.cpu_s()
                    one = wrk(server, folder, bodies, 16, 1)
                    found[path].append(one | {"cpu": (server.cpu_s() - before) / one["requests"]})
        finally:
            server.stop()
        pairs = list(
            zip(*(some[1:] for some in found.values()), strict=True)
        )  # the first turn warms up
        for name, key in zip(told, ("rps", "cpu"), strict=True):
            told[name].append(
                round(statistics.median(logged[key] / bare[key] for logged, bare in pairs), 3)
            )
    return told


def peer_python() -> str:
    home = Path(__file__).parent.parent / "build" / "peers" / "serving"
    python = home / "bin" / "python"
    if not python.exists():
        venv.create(home, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PEERS], check=True)
    return str(python)


def in_process(predictor: Predictor, model: bytes, rows: Rows) -> dict[str, float]:
    """One row from a dict; and a thousand rows, by the graph alone on arrays, and from dicts."""
    graph = open_session(model)  # as it stands in the bundle: text goes in
    arrays = graph.feeds(pl.DataFrame(rows))

    def median_ms(call: Callable[[], Any]) -> float:
        taken = []
        for _ in range(30):
            begin = time.perf_counter()
            call()
            taken.append(time.perf_counter() - begin)
        return round(statistics.median(taken) * 1e3, 2)

    return {
        "p50 us of a row": round(p50_us(lambda row: predictor.predict([row]), rows)[0], 1),
        "ms for 1,000 rows, the graph alone": median_ms(lambda: graph.run(["prediction"], arrays)),
        "ms for 1,000 rows from dicts": median_ms(lambda: predictor.predict(rows)),
    }


def main() -> None:
    if shutil.which("wrk") is None:
        sys.exit("wrk is not installed (Debian: wrk)")
    rows = table(1000, seed=99, missing=False).drop("target").to_dicts()
    told: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        stated = system(folder, 100_000)
        (folder / "system.yaml").write_bytes(spec.dump(stated))
        run = headrace.run(headrace.load(folder))
        (folder / "post.lua").write_text(LUA)
        shutil.copy(run.bundle / "model.onnx", folder / "model.onnx")
        python = peer_python()
        subprocess.run(
            [python, str(Path(__file__).with_name("serving_peer.py")), str(folder)], check=True
        )
        quiet = shutil.copytree(folder, folder / "quiet", ignore=shutil.ignore_patterns("quiet"))
        with (quiet / "system.yaml").open("a") as file:
            file.write("\nserve: {log: false}\n")
        apart = folder / "apart"
        apart.mkdir()
        beside = headrace.run(system(apart, 100_000, name="unlogged")).bundle
        unlogged = shutil.copytree(beside, folder / "unlogged")
        ours = [sys.executable, "-m", "headrace", "serve"]
        uvicorn = [
            python,
            "-m",
            "uvicorn",
            "--no-access-log",
            "--http",
            "httptools",
            "--loop",
            "uvloop",
        ]
        fastapi = [*uvicorn, "--port", "9102", "serving_peer:app"]
        mlserver = [str(Path(python).with_name("mlserver")), "start"]
        at = {"FOLDER": name}
        servers = {
            "echo": Server([*uvicorn, "--port", "9101", "serving_peer:echo"], 9101, "/", rows_body),
            "headrace": Server([*ours, name, "--port", "9100"], 9100, "/predict", rows_body),
            "headrace, without the log": Server(
                [*ours, str(quiet), "--port", "9104"], 9104, "/predict", rows_body
            ),
        }
        for kind in ("pipeline", "graph"):
            servers[f"fastapi, {kind}"] = Server(
                fastapi, 9102, "/predict", rows_body, KIND=kind, **at
            )
            home = folder / f"mlserver-{kind}"
            servers[f"mlserver, {kind}"] = Server(
                [*mlserver, str(home)], 9103, "/v2/models/scorer/infer", tensors_body, **at
            )
        rounds: dict[str, list[dict[str, float]]] = {}
        for _ in range(
            REPEATS
        ):  # all of them take turns, so that a machine that slows down slows all
            for server_name, server in servers.items():
                try:
                    start_s = server.start(rows[0])
                except RuntimeError as error:
                    told[server_name] = str(error)
                    continue
                try:
                    rounds.setdefault(server_name, []).append(
                        {
                            "start s": start_s,
                            **once(server, folder, server_name.replace(", ", "-"), rows),
                        }
                    )
                finally:
                    server.stop()
        for server_name, found in rounds.items():
            told[server_name] = {
                key: round(float(np.median([one[key] for one in found])), 3) for key in found[0]
            }
        orders = ([name, str(unlogged)], [str(unlogged), name])
        both = [
            Server([*ours, *models, "--port", "9105"], 9105, "/predict", rows_body)
            for models in orders
        ]
        told["with the log, by without"] = cost_of_log(both, folder, rows)
        told["in process"] = in_process(
            headrace.open(run.bundle), (run.bundle / "model.onnx").read_bytes(), rows
        )
    print(json.dumps(told, indent=2))


if __name__ == "__main__":
    main()
