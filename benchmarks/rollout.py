"""Rollouts: what a split, a shadow and feedback cost the service, and what judging a log costs.

    python benchmarks/rollout.py             # some ten minutes on two cores
    python benchmarks/rollout.py --quick     # some four, with shorter turns and 1 M predictions

A table with the budget of each figure. The service has one core, wrk the other. What a split costs
is less than what one process differs from the next, so one process serves the model twice: alone,
and in a rollout of the champion against itself, with half of the users in each arm. They take turns
of a second, and each ratio is one of neighbours; a start's figure is the median of its turns. As
where the cost of the log is measured, sealing is waited for between turns; the controller is kept
away, and then let in to see what it adds on the same core. A shadow is stopped and goes on in
turns, on the core of the service.

The log to be judged is written here: one segment goes through the log and is sealed by it, and the
others are it with ids, times, units, arms and predictions of their own. It is judged in a process
of its own, beside DuckDB in another one. A live log is followed, a look a second, while another
process appends to it as the service does. Needs wrk.
"""

import argparse
import functools
import json
import os
import shutil
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import duckdb
import msgspec
import numpy as np
import polars as pl
from table import system, table

import headrace
from headrace import outcomes, spec
from headrace.bundle import open_bundle
from headrace.clock import SYSTEM, US_PER_S, ManualClock
from headrace.log import Log, Record, RecordBatch
from headrace.log.format import write_format
from headrace.log.segment import SEALED, _compute_sums, sums_path
from headrace.loop.by_hand import start_rollout
from headrace.loop.judge import Judge
from headrace.loop.rollout import RolloutJob
from headrace.outcomes import Parsed
from headrace.registry import read_rollout
from headrace.rollout import Plan, Rollout
from headrace.rollout import begin as begin_rollout
from headrace.rollout.assign import find_arm, locate
from headrace.rollout.policies.linucb import LinUcb, LinUcbChooser
from headrace.rollout.policies.policy import Feedback
from headrace.serve.metrics.metrics import Metrics
from headrace.serve.models.arms import Split, build_route
from headrace.serve.models.rollouts import Live, build_split
from headrace.serve.models.served import ServedModel
from headrace.serve.models.system import ServedSystem
from headrace.spec import System
from headrace.tables import exclusive_lock

if TYPE_CHECKING:
    from serving import Server

ROWS = 100_000
BODIES = 4_096
CONNECTIONS = 16
BULK = (1_000, 10_000)
UNIT = "user_id"
SEGMENT = 100_000
SPAN_S = 10_000
"""How long the traffic lasted whose log is judged, in seconds."""
SINCE_US = 1_790_000_000 * US_PER_S
RATE = 0.05
PAYLOAD = b'{"by":"prediction","name":"target","outcome_id":"","outcome":1}'
LIVE_RATES = (5_000, 20_000)
"""Predictions a second of a live log: some, and what a core of the service answers."""
PASS_S, FLUSH_S = 1.0, 0.05
WARM_S = 8
"""Until the first units have closed, and all that looks at them is loaded."""
MIB = 1 << 20
ROLLOUT = """
rollout:
  unit: user_id
  stages:
    shadow: {least: 1d}
    test: {least: 7d, most: 28d}
  metrics:
    - {name: clicks, of: target, per: SPAN, effect: 0.05}
  within: WITHIN
"""
LUA = """
local requests, at = {}, 0
function init(args)
  for line in io.lines(args[1]) do
    local headers = {["content-type"] = "application/json"}
    local unit, body = line:match("^([^\\t]*)\\t(.*)$")
    if unit ~= "" then headers["x-headrace-unit"] = unit end
    requests[#requests + 1] = wrk.format("POST", args[2], headers, body)
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


class Sizes(NamedTuple):
    """How much is measured."""

    starts: int = 4
    turns: int = 8
    seconds: int = 3
    predictions: int = 10_000_000
    units: int = 1_000_000
    outcomes: int = 200_000
    live_s: int = 20


QUICK = Sizes(
    starts=2,
    turns=5,
    seconds=2,
    predictions=1_000_000,
    units=100_000,
    outcomes=20_000,
    live_s=8,
)


class Line(NamedTuple):
    """A line of the table; `budget` is a bound, or None where there is none."""

    what: str
    found: str
    value: float = 0.0
    budget: float | None = None
    unit: str = ""
    at_least: bool = False

    def write(self) -> str:
        """Write the line."""
        if self.budget is None:
            return f"| {self.what} | {self.found} | | |"
        is_met = self.value >= self.budget if self.at_least else self.value <= self.budget
        sign = "≥" if self.at_least else "≤"
        verdict = "held" if is_met else "**missed**"
        return f"| {self.what} | {self.found} | {sign} {self.budget:,g}{self.unit} | {verdict} |"


class Kind(NamedTuple):
    """A kind of request that takes turns: its path, and a file with a unit and a body a line."""

    path: str
    bodies: Path


# Systems and requests


def make_system(folder: Path, name: str) -> System:
    """Train the model of the other benchmarks under a name."""
    folder.mkdir(parents=True)
    stated = system(folder, ROWS, name=name)
    (folder / "system.yaml").write_bytes(spec.dump(stated))
    headrace.run(headrace.load(folder))
    return headrace.load(folder)


def add_rollout(template: Path, folder: Path, span: str = "1d", within: str = "1h") -> Path:
    """Copy a system, and give it a rollout whose units close after a span."""
    shutil.copytree(template, folder)
    with (folder / "system.yaml").open("a") as file:
        file.write(ROLLOUT.replace("SPAN", span).replace("WITHIN", within))
    return folder


def write_bodies(path: Path, bodies: list[Any], units: list[str] | None = None) -> Path:
    """Write a unit, which may be empty, and the body of each request."""
    given = units or [""] * len(bodies)
    lines = (f"{unit}\t{json.dumps(one)}" for unit, one in zip(given, bodies, strict=True))
    path.write_text("\n".join(lines))
    return path


def make_rows(count: int) -> Rows:
    """Make rows that lack nothing."""
    return table(count, seed=99, missing=False).drop("target").to_dicts()


# The service


def serve(folders: list[Path]) -> "Server":
    """Describe a service of some systems on one core."""
    # Imported here: with it come libraries that are not to be in the memory of other processes.
    from serving import Server, rows_body

    command = [sys.executable, "-m", "headrace", "serve", *map(str, folders)]
    port = find_port()
    return Server([*command, "--port", str(port)], port, "/predict", rows_body)


def find_port() -> int:
    """Find a port that is free on this machine."""
    import socket

    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
    return port


@contextmanager
def running(server: "Server", row: dict[str, Any]) -> Iterator[None]:
    """Run a service for the length of a block."""
    server.start(row)
    try:
        yield
    finally:
        server.stop()


def run_wrk(server: "Server", kind: Kind, connections: int, seconds: int = 1) -> dict[str, float]:
    """Send requests of a kind; raises `RuntimeError` if any of them fails."""
    from serving import wrk

    server.path = kind.path
    found = wrk(server, kind.bodies.parent, kind.bodies, connections, seconds)
    if found["bad"]:
        raise RuntimeError(f"{kind.path}: {found['bad']:.0f} requests failed")
    return found


def rest(server: "Server") -> None:
    """Wait until nothing is sealed."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if not any(b"headrace.log.sealer" in one for one in read_commands(server).values()):
            return
        time.sleep(0.1)


def read_commands(server: "Server") -> dict[int, bytes]:
    """Read the command of each process of a service."""
    commands = {}
    for process in server.processes():
        with suppress(OSError):
            commands[process] = Path(f"/proc/{process}/cmdline").read_bytes()
    return commands


def find_process(server: "Server", words: bytes) -> int:
    """Find the process of a service whose command has some words."""
    for process, command in read_commands(server).items():
        if words in command:
            return process
    raise RuntimeError(f"{words.decode()} does not run")


def take_turns(server: "Server", kinds: Mapping[str, Kind], turns: int) -> dict[str, float]:
    """Let kinds of requests take turns; return the medians of their ratios to the first kind."""
    base = next(iter(kinds))
    found: dict[str, list[float]] = {name: [] for name in kinds}
    by_cpu: dict[str, list[float]] = {name: [] for name in kinds}
    for turn in range(turns + 1):
        for name in list(kinds)[:: 1 if turn % 2 else -1]:
            rest(server)
            before = cpu_s(server)
            one = run_wrk(server, kinds[name], CONNECTIONS)
            found[name].append(one["rps"])
            by_cpu[name].append(one["requests"] / (cpu_s(server) - before))
    ratios = {"requests/s": statistics.median(found[base][1:])}
    for name in list(kinds)[1:]:
        ratios[name] = pair(found[name], found[base])
        ratios[f"{name}, CPU"] = pair(by_cpu[name], by_cpu[base])
    return ratios


def pair(own: list[float], base: list[float]) -> float:
    """Return the median of ratios of neighbours; the first turn warms up."""
    pairs = zip(own[1:], base[1:], strict=True)
    return statistics.median(one / other for one, other in pairs)


def cpu_s(server: "Server") -> float:
    """Return the CPU that the service itself has taken, without its helpers."""
    threads = Path(f"/proc/{server.process.pid}/task").glob("*/schedstat")
    return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9


def check_arms(server: "Server", rows: Rows, name: str) -> None:
    """Make sure that both arms answer."""
    server.path = f"/predict/{name}"
    ids = [server.post([row])["predictions"][0]["prediction_id"] for row in rows[:64]]
    if {one[20:22] for one in ids} != {"01", "02"}:
        raise RuntimeError("the rollout is not live")


def measure_split(
    alone: Path, split: Path, kinds: Mapping[str, Kind], rows: Rows, sizes: Sizes
) -> list[Line]:
    """Measure the champion against itself beside the champion alone, and its latency."""
    folders = [alone, split]
    lock = headrace.load(split).workspace.rollouts / "service.lock"
    ratios: list[dict[str, float]] = []
    p99: list[float] = []
    p99_alone: list[float] = []
    # Who holds this lock keeps the controller; here nobody does.
    with exclusive_lock(lock):
        for start in range(sizes.starts):
            # Who is opened first is not favoured.
            server = serve(folders[:: 1 if start % 2 else -1])
            with running(server, rows[0]):
                check_arms(server, kinds_rows(kinds["by a column"]), "split")
                ratios.append(take_turns(server, kinds, sizes.turns))
                for name, latencies in (("alone", p99_alone), ("by a column", p99)):
                    rest(server)
                    found = run_wrk(server, kinds[name], 1, sizes.seconds)
                    latencies.append(found["p99_ms"])

    server = serve(folders)
    with running(server, rows[0]):
        check_arms(server, kinds_rows(kinds["by a column"]), "split")
        controlled = take_turns(server, kinds, sizes.turns)
        rest(server)
        p99_controlled = run_wrk(server, kinds["by a column"], 1, sizes.seconds)["p99_ms"]

    lines = []
    for name, budget in (("by a column", 0.92), ("by header", 0.93)):
        every = [one[name] for one in ratios]
        value = statistics.median(every)
        each = ", ".join(f"{one:.3f}" for one in every)
        what = f"champion against itself, {name}, by the champion alone"
        lines.append(Line(what, f"{value:.3f} × ({each})", value, budget, " ×", at_least=True))
        every = [one[f"{name}, CPU"] for one in ratios]
        each = ", ".join(f"{one:.3f}" for one in every)
        what = f"the same, {name}, requests a second of CPU"
        lines.append(Line(what, f"{statistics.median(every):.3f} × ({each})"))
    rate = statistics.median(one["requests/s"] for one in ratios)
    lines += [
        Line("the champion alone, requests/s", f"{rate:,.0f}"),
        Line(
            "by a column, by header, while the controller has the same core",
            f"{controlled['by a column']:.3f} ×, {controlled['by header']:.3f} ×",
        ),
        Line(
            "p99 with one connection and a live split",
            f"{statistics.median(p99):.2f} ms ({', '.join(f'{one:.2f}' for one in p99)})",
            statistics.median(p99),
            1.0,
            " ms",
        ),
        Line("the same, the champion alone", f"{statistics.median(p99_alone):.2f} ms"),
        Line("the same, while the controller has the same core", f"{p99_controlled:.2f} ms"),
    ]
    return lines


def kinds_rows(kind: Kind) -> Rows:
    """Return the first rows of a kind of requests."""
    lines = kind.bodies.read_text().split("\n")[:64]
    return [json.loads(line.partition("\t")[2])["rows"][0] for line in lines]


def measure_shadow(folder: Path, kind: Kind, rows: Rows, sizes: Sizes) -> list[Line]:
    """Measure the service while a shadow scores all rows on its core, beside one that is stopped.

    A shadow that was stopped has a minute of predictions to score: it always wants the core. The
    service starts it, by the controller: Linux may divide a core among groups of processes first,
    and idle priority counts within the group of the service. The controller is stopped then.
    """
    workspace = headrace.load(folder).workspace
    ratios: list[tuple[float, float]] = []
    logged = scored = 0
    p99: list[float] = []
    for _ in range(max(2, sizes.starts // 2)):
        server = serve([folder])
        before = count_records(workspace.shadow)
        with running(server, rows[0]):
            wait_for_shadow(server, kind, workspace.shadow, before)
            os.kill(find_process(server, b"rollout\0run"), signal.SIGSTOP)
            shadow = find_process(server, b"rollout\0shadow")
            before, of = count_records(workspace.shadow), count_ids(workspace.predictions)
            ratios.append(shadow_turns(server, kind, shadow, sizes.turns))
            scored += count_records(workspace.shadow) - before
            logged += count_ids(workspace.predictions) - of
            rest(server)
            p99.append(run_wrk(server, kind, 1, sizes.seconds)["p99_ms"])
            find_process(server, b"rollout\0shadow")  # it has not ended meanwhile
    value = statistics.median(by_s for by_s, _ in ratios)
    each = ", ".join(f"{by_s:.3f}" for by_s, _ in ratios)
    by_cpu = statistics.median(one for _, one in ratios)
    what = "shadow of all rows on the core of the service, by none"
    return [
        Line(what, f"{value:.3f} × ({each})", value, 0.97, " ×", at_least=True),
        Line("the same, requests a second of the service's CPU", f"{by_cpu:.3f} ×"),
        Line(
            "rows that it scored on the saturated core, and in the pauses between turns",
            f"{scored:,} of {logged:,}",
        ),
        Line("p99 with one connection beside a shadow", f"{statistics.median(p99):.2f} ms"),
    ]


def shadow_turns(server: "Server", kind: Kind, shadow: int, turns: int) -> tuple[float, float]:
    """Stop a shadow and let it go on in turns; return the median ratios of neighbours.

    They are of requests a second, and of requests a second of the service's CPU.
    """
    found: dict[int, list[float]] = {signal.SIGSTOP: [], signal.SIGCONT: []}
    by_cpu: dict[int, list[float]] = {number: [] for number in found}
    for turn in range(turns + 1):
        for number in list(found)[:: 1 if turn % 2 else -1]:
            rest(server)
            os.kill(shadow, number)
            before = cpu_s(server)
            one = run_wrk(server, kind, CONNECTIONS)
            found[number].append(one["rps"])
            by_cpu[number].append(one["requests"] / (cpu_s(server) - before))
    os.kill(shadow, signal.SIGCONT)
    return (
        pair(found[signal.SIGCONT], found[signal.SIGSTOP]),
        pair(by_cpu[signal.SIGCONT], by_cpu[signal.SIGSTOP]),
    )


def wait_for_shadow(server: "Server", kind: Kind, folder: Path, before: int) -> None:
    """Wait until a shadow scores."""
    until = time.monotonic() + 60
    while count_records(folder) <= before:
        if time.monotonic() > until:
            raise RuntimeError("the shadow does not score")
        server.path = kind.path
        server.post(kinds_rows(kind)[:8])
        time.sleep(0.2)


def count_records(folder: Path) -> int:
    """Count the scores in a log."""
    if not folder.exists():
        return 0
    return Log(folder).read("shadow").height


def count_ids(folder: Path) -> int:
    """Count the records of a log, whether it is being sealed or not."""
    log = Log(folder)
    with log.append_lock():
        return log.end


def measure_feedback(folder: Path, predict: Kind, rows: Rows, sizes: Sizes) -> list[Line]:
    """Measure feedback to a service with one core: one outcome a request, and many."""
    server = serve([folder])
    singles: list[float] = []
    bulks: dict[int, list[float]] = {size: [] for size in BULK}
    with running(server, rows[0]):
        server.path = predict.path
        ids = []
        for start in range(0, BODIES, 512):
            answers = server.post(rows[start : start + 512])["predictions"]
            ids += [one["prediction_id"] for one in answers]
        sent = [{"prediction_id": one, "outcome": at % 2} for at, one in enumerate(ids)]
        at = predict.bodies.parent
        kinds = {1: Kind("/feedback", write_bodies(at / "feedback-1.txt", sent))}
        for size in BULK:
            many = [[sent[(at + more) % len(sent)] for more in range(size)] for at in range(4)]
            bodies = [{"outcomes": one} for one in many]
            kinds[size] = Kind("/feedback", write_bodies(at / f"feedback-{size}.txt", bodies))
        for turn in range(sizes.turns // 2 + 1):
            rest(server)
            rate = run_wrk(server, kinds[1], CONNECTIONS)["rps"]
            if turn:
                singles.append(rate)
            for size in BULK:
                rest(server)
                many_s = run_wrk(server, kinds[size], 4, sizes.seconds)["rps"] * size
                if turn:
                    bulks[size].append(many_s)
    rate = statistics.median(singles)
    lines = [
        Line(
            "/feedback, one outcome a request, 16 connections",
            f"{rate:,.0f} requests/s",
            rate,
            15_000,
            at_least=True,
        )
    ]
    for size in BULK:
        rate = statistics.median(bulks[size])
        what = f"/feedback, {size:,} outcomes a request, 4 connections"
        lines.append(Line(what, f"{rate:,.0f} outcomes/s", rate, 100_000, at_least=True))
    return lines


# Decisions


def measure_decisions(folder: Path, rows: Rows, users: list[str]) -> list[Line]:
    """Measure one decision, in this process."""
    stated = headrace.load(folder)
    rollout = read_rollout(stated).rollout
    assert rollout is not None
    bundle = open_bundle(stated.workspace.bundle(stated.name, rollout.champion))
    served = ServedModel(bundle, ServedSystem(stated), Metrics())
    plain = build_route(served, "champion", {}, None)
    split = build_split(plain, Live(rollout), lambda _: served, None)
    assert split is not None
    assert served.fast_rows is not None
    known = [{**row, UNIT: user} for row, user in zip(rows, users, strict=True)]
    body = json.dumps({"rows": known}).encode()
    typed = served.fast_rows.decode(body)
    assert typed is not None
    chance = np.random.default_rng(0)
    columns = [f"x{at}" for at in range(16)]
    contexts = chance.normal(size=(2_000, 16))
    feedback = Feedback(
        arm=chance.integers(0, 3, 2_000),
        value=chance.random(2_000),
        context=contexts,
    )
    policy = LinUcb()
    chooser = LinUcbChooser(columns, policy.update(policy.start(3, 16), feedback), 0.02)
    calls: dict[str, tuple[Callable[[Any], Any], list[Any], float]] = {
        "a decision, unit in a typed row": (
            functools.partial(assign, split, typed=True),
            typed,
            1.5,
        ),
        "a decision, unit in a dict": (functools.partial(assign, split, typed=False), known, 1.5),
        "a decision, unit in the header": (
            lambda user: split.assign(typed[:1], user, typed=True),
            users,
            1.5,
        ),
        "a decision by `linucb`, 16 columns, 3 arms": (chooser.choose, contexts.tolist(), 15.0),
    }
    lines = []
    for name, (call, given, budget) in calls.items():
        taken = statistics.median(time_us(call, given) for _ in range(15))
        lines.append(Line(name, f"{taken:.2f} µs", taken, budget, " µs"))
    return lines


def assign(split: Split, row: Any, typed: bool) -> Any:
    """Assign an arm to one row."""
    return split.assign([row], None, typed)


def time_us(call: Callable[[Any], Any], given: list[Any]) -> float:
    """Time calls one after the other; return the mean in microseconds."""
    begin = time.perf_counter()
    for one in given:
        call(one)
    return (time.perf_counter() - begin) / len(given) * 1e6


# The log that is judged


def plan_rollout(stated: System, since_us: int) -> Rollout:
    """Return a rollout of the champion against itself that began at a time."""
    assert stated.rollout is not None
    plan = Plan(stated.name, stated.rollout, stated.outcome_delay_us)
    return begin_rollout(plan, (1, 1), since_us, "test")


def make_template(folder: Path, rollout: Rollout, rows: Rows) -> pl.DataFrame:
    """Log and seal one segment of predictions, and read it."""
    log = Log(folder, segment=2 * SEGMENT)
    with log.append_lock():
        for start in range(0, SEGMENT, 1_000):
            places = range(start, start + 1_000)
            given = [rows[at % len(rows)] for at in places]
            ids = [name_id(SINCE_US + at * 100, 1) for at in places]
            units = [f"user-{at * 7919 % SEGMENT}" for at in places]
            log.append([make_batch(rollout, 0, given, units, ids)])
        log.seal()
    return pl.read_parquet(next(folder.glob(f"*{SEALED}")))


def name_id(time_us: int, arm: int) -> str:
    """Return the id of a prediction of version 1."""
    return f"{time_us:014x}000001{arm:02x}a1b2c3"


def make_batch(
    rollout: Rollout, arm: int, rows: Rows, units: list[str], ids: list[str]
) -> RecordBatch:
    """Make the records of single rows in one arm, as the service logs them."""
    phase = rollout.phase
    own = phase.arms[arm]
    head = {
        "model": rollout.name,
        "version": own.version,
        "arm": own.name,
        "phase": phase.number,
        "propensity": own.share,
    }
    encode = msgspec.json.encode
    values = []
    for row, unit, id_ in zip(rows, units, ids, strict=True):
        answer = {"prediction": 0.25 + len(unit) / 100, "prediction_id": id_}
        values += [encode({"rows": [{**row, UNIT: unit}]}), encode([unit]), encode([answer])]
    return RecordBatch(
        len(ids),
        "predictions",
        encode(head)[:-1],
        ["row", "unit", "answer"],
        "prediction_id",
        memoryview(b",".join(values)),
    )


def write_log(folder: Path, sizes: Sizes) -> None:
    """Write sealed segments of predictions, their outcomes, and what the service counted.

    Each prediction is of any of the units. Some have an outcome within a minute.
    """
    stated = headrace.load(folder)
    rollout = plan_rollout(stated, SINCE_US)
    phase = rollout.phase
    chance = np.random.default_rng(1)
    template = make_template(folder / "template", rollout, make_rows(5_000))
    names = np.array([f"user-{at}" for at in range(sizes.units)], dtype=object)
    salt = phase.salt.encode()
    numbers = {arm.name: number for number, arm in enumerate(phase.arms)}
    arms = np.array([numbers[find_arm(phase.division, locate(salt, one))] for one in names])
    arm_names = np.array([arm.name for arm in phase.arms], dtype=object)

    target = stated.workspace.predictions
    target.mkdir(parents=True)
    write_format(target)
    step_us = SPAN_S * US_PER_S // sizes.predictions
    rated: list[tuple[int, str]] = []
    for first in range(0, sizes.predictions, SEGMENT):
        unit = chance.integers(0, sizes.units, SEGMENT)
        times = SINCE_US + (first + np.arange(SEGMENT)) * step_us
        ids = [name_id(*one) for one in zip(times.tolist(), (arms[unit] + 1).tolist(), strict=True)]
        moments = pl.Series("time", times).cast(pl.Datetime("us"))
        part = template.with_columns(
            pl.Series("position", np.arange(first, first + SEGMENT)),
            pl.Series("id", ids),
            moments,
            moments.alias("available"),
            pl.Series("arm", arm_names[arms[unit]].tolist()),
            pl.lit(phase.number, pl.Int64).alias("phase"),
            pl.Series("unit", names[unit].tolist()),
            pl.Series("prediction", chance.random(SEGMENT)),
        ).select(template.columns)
        path = target / f"{first:020d}{SEALED}"
        part.write_parquet(path, compression_level=1, row_group_size=4_096)
        sums_path(path).write_bytes(msgspec.json.encode(_compute_sums(path)))
        count = sizes.outcomes * SEGMENT // sizes.predictions
        for at in np.sort(chance.choice(SEGMENT, count, replace=False)).tolist():
            rated.append((int(times[at]), ids[at]))

    log = Log(stated.workspace.outcomes)
    for start in range(0, len(rated), 1_000):
        records = [
            Record(id_, at, rated[min(start + 999, len(rated) - 1)][0] + 60 * US_PER_S, "outcomes",
                   PAYLOAD)
            for at, id_ in rated[start : start + 1_000]
        ]  # fmt: skip
        with log.append_lock():
            log.append(records)
    write_counts(stated, rollout, sizes)


def write_counts(stated: System, rollout: Rollout, sizes: Sizes) -> None:
    """Write what the service counted, a second at a time."""
    rows = sizes.predictions // SPAN_S // 2
    arms = [arm.name for arm in rollout.phase.arms]
    records = []
    for second in range(SPAN_S):
        at_us = SINCE_US + second * US_PER_S
        content = {
            "phase": rollout.phase.number,
            "at_us": at_us,
            "arms": {arm: {"rows": rows} for arm in arms},
            "calls": dict.fromkeys(arms, (rows, second % 3)),
        }
        records.append(Record("", at_us, at_us, "counts", msgspec.json.encode(content)))
    log = Log(stated.workspace.counts)
    with log.append_lock():
        log.append(records)


def peak_bytes() -> int:
    """Return the most memory that this process ever had."""
    # What `getrusage` says includes the memory of the process that started this one.
    for line in Path("/proc/self/status").read_text().split("\n"):
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024
    return 0


def judge_log(folder: str, covariate: str, looks: int) -> dict[str, float]:
    """Judge a log from its first record on, and look again as predictions come."""
    stated = headrace.load(folder)
    rollout = plan_rollout(stated, SINCE_US)
    rollout = msgspec.structs.replace(
        rollout, spec=msgspec.structs.replace(rollout.spec, covariate=covariate)
    )
    clock = ManualClock(SINCE_US + (SPAN_S + 70) * US_PER_S)
    at_first = peak_bytes()
    begin = time.perf_counter()
    begin_cpu = time.process_time()
    judge = Judge(stated, rollout, "binary", clock)
    judge.read()
    judge.gather(1, None, clock.now_us())
    found = {
        "s": time.perf_counter() - begin,
        "cpu_s": time.process_time() - begin_cpu,
        "peak": float(peak_bytes()),
        "at_first": float(at_first),
        "closed": float(sum(one.count_closed(at) for one in judge.reader.units.values()
                            for at in (0, 1))),
    }  # fmt: skip
    rows = make_rows(1_000)
    log = Log(stated.workspace.predictions)
    taken = []
    for look in range(looks):
        now_us = clock.now_us()
        units = [f"new-{look}-{at}" for at in range(1_000)]
        ids = [name_id(now_us + at, 1) for at in range(1_000)]
        with log.append_lock():
            log.append([make_batch(rollout, 0, rows, units, ids)])
        clock.advance(1.0)
        begin = time.perf_counter()
        judge.read()
        judge.gather(1, None, clock.now_us())
        taken.append(time.perf_counter() - begin)
    return found | ({"look_s": statistics.median(taken), "worst_s": max(taken)} if taken else {})


def join_plainly(folder: str) -> dict[str, float]:
    """Join the same segments with the outcomes in DuckDB, and sum by arm."""
    log = headrace.load(folder).workspace.log
    query = f"""
        select p.arm, count(*), sum(cast(o.payload->>'outcome' as double))
        from read_parquet('{log}/predictions/*.parquet') p
        left join read_parquet('{log}/outcomes/*.parquet') o using (id)
        group by p.arm
    """
    begin = time.perf_counter()
    duckdb.sql(query).fetchall()
    return {"s": time.perf_counter() - begin, "peak": float(peak_bytes())}


def apart(call: Callable[..., dict[str, float]], *given: Any) -> dict[str, float]:
    """Call a function in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(call, *given).result()


def measure_judging(template: Path, folder: Path, sizes: Sizes) -> list[Line]:
    """Measure how long a log takes to be judged, and in how much memory."""
    target = add_rollout(template, folder, span="1h", within="10min")
    write_log(target, sizes)
    outcomes_log = Log(headrace.load(target).workspace.outcomes)
    with outcomes_log.append_lock():
        outcomes_log.seal()  # what is left: DuckDB reads sealed files alone

    tenth = copy_part(target, folder.with_name("tenth"), sizes.predictions // SEGMENT // 10)
    small = apart(judge_log, str(tenth), "history", 0)
    plain = apart(join_plainly, str(target))
    without = apart(judge_log, str(target), "none", 0)
    judged = apart(judge_log, str(target), "history", 5)

    what = f"{sizes.predictions:,} predictions, {sizes.outcomes:,} outcomes joined and judged"
    found = f"{judged['s']:.1f} s, {judged['cpu_s']:.1f} s of CPU"
    mib = judged["peak"] / MIB
    return [
        Line(what, found, judged["s"], 10.0, " s"),
        Line("the same, peak memory", f"{mib:,.0f} MiB", mib, 1024.0, " MiB"),
        Line(
            "the same with `covariate: none`",
            f"{without['s']:.1f} s, {without['peak'] / MIB:,.0f} MiB",
        ),
        Line(
            "a tenth of the predictions, peak memory",
            f"{small['peak'] / MIB:,.0f} MiB ({small['at_first'] / MIB:,.0f} of them imports)",
        ),
        Line("units that have closed", f"{judged['closed']:,.0f}"),
        Line(
            "DuckDB's plain join of the same segments, by arm",
            f"{plain['s']:.1f} s, {plain['peak'] / MIB:,.0f} MiB",
        ),
        Line(
            "a further look, with 1,000 new predictions",
            f"{judged['look_s']:.3f} s (worst of 5: {judged['worst_s']:.3f})",
            judged["look_s"],
            0.2,
            " s",
        ),
    ]


def copy_part(folder: Path, target: Path, segments: int) -> Path:
    """Copy a system whose log has only its first segments."""
    shutil.copytree(
        folder, target, ignore=shutil.ignore_patterns("template", "predictions"), symlinks=True
    )
    source = headrace.load(folder).workspace.predictions
    own = headrace.load(target).workspace.predictions
    own.mkdir(parents=True)
    for path in sorted(source.iterdir()):
        if not path.stem.isdigit() or int(path.stem) < segments * SEGMENT:
            shutil.copy(path, own / path.name)
    return target


# The live log


def follow_live(folder: str, seconds: int) -> dict[str, float]:
    """Follow a live log as the controller does; return what that took, and what was logged."""
    stated = headrace.load(folder)
    log = Log(stated.workspace.predictions)
    job = RolloutJob(stated)
    run_for(job, WARM_S)
    first = count_ids(log.folder)
    begin_cpu = time.process_time()
    run_for(job, seconds)
    cpu_s = time.process_time() - begin_cpu
    return {
        "cpu_s": cpu_s,
        "predictions": float(count_ids(log.folder) - first),
        "peak": float(peak_bytes()),
    }


def run_for(job: RolloutJob, seconds: int) -> None:
    """Run the job pass after pass, for some seconds."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(PASS_S)
        job.run()


def append_live(folder: str, rate: int, seconds: int) -> None:
    """Append predictions and outcomes to a log for some seconds, as a service does."""
    stated = headrace.load(folder)
    rollout = read_rollout(stated).rollout
    assert rollout is not None
    phase = rollout.phase
    salt = phase.salt.encode()
    chance = np.random.default_rng(3)
    rows = make_rows(1_000)
    # Another process would seal what is full.
    predictions = Log(stated.workspace.predictions, full=lambda: None)
    rated = Log(stated.workspace.outcomes, full=lambda: None)
    counts = Log(stated.workspace.counts, full=lambda: None)
    each = round(rate * FLUSH_S)
    appended = 0
    begin = time.monotonic()
    while time.monotonic() < begin + seconds:
        now_us = SYSTEM.now_us()
        by_arm: list[list[tuple[str, str]]] = [[] for _ in phase.arms]
        names = [arm.name for arm in phase.arms]
        for at in range(each):
            unit = f"user-{chance.integers(0, 200_000)}"
            arm = names.index(find_arm(phase.division, locate(salt, unit)))
            by_arm[arm].append((unit, name_id(now_us + at, arm + 1)))
        batches = [
            make_batch(rollout, arm, rows[: len(own)], [u for u, _ in own], [i for _, i in own])
            for arm, own in enumerate(by_arm)
        ]
        with predictions.append_lock():
            predictions.append(batches)
        clicked = [id_ for own in by_arm for _, id_ in own if chance.random() < RATE]
        outcomes.append(rated, [Parsed(id_, now_us, PAYLOAD) for id_ in clicked])
        if appended // each % 5 == 0:
            content = {
                "phase": phase.number,
                "at_us": now_us,
                "arms": {name: {"rows": 625} for name in names},
                "calls": dict.fromkeys(names, (625, 1)),
            }
            record = Record("", now_us, now_us, "counts", msgspec.json.encode(content))
            with counts.append_lock():
                counts.append([record])
        appended += each
        time.sleep(max(0.0, begin + appended / rate - time.monotonic()))


def measure_controller(template: Path, folder: Path, sizes: Sizes) -> list[Line]:
    """Measure the CPU and the memory that it takes to follow a live log."""
    lines = []
    peaks = []
    context = get_context("spawn")
    for rate in LIVE_RATES:
        target = add_rollout(template, folder / f"live-{rate}", span="3s", within="2s")
        start_rollout(folder=target, stage="test", aa=True)
        with (
            ProcessPoolExecutor(1, mp_context=context) as writer,
            ProcessPoolExecutor(1, mp_context=context) as reader,
        ):
            appending = writer.submit(append_live, str(target), rate, sizes.live_s + WARM_S + 6)
            time.sleep(4)
            one = reader.submit(follow_live, str(target), sizes.live_s).result()
            appending.result()
        us = one["cpu_s"] / one["predictions"] * 1e6
        title = (
            f"the controller, CPU a logged prediction, {one['predictions'] / sizes.live_s:,.0f}/s"
        )
        lines.append(Line(title, f"{us:.2f} µs", us, 5.0, " µs"))
        peaks.append(one["peak"])
    mib = max(peaks) / MIB
    lines.append(Line("the controller, peak memory", f"{mib:,.0f} MiB", mib, 400.0, " MiB"))
    return lines


# All of it


def measure_service(folder: Path, template: Path, sizes: Sizes) -> Iterator[list[Line]]:
    """Measure all that has to do with a service."""
    alone = folder / "alone"
    make_system(alone, "alone")
    split = add_rollout(template, folder / "split")
    start_rollout(folder=split, stage="test", aa=True)
    shadow = add_rollout(template, folder / "shadow")
    start_rollout(folder=shadow, stage="shadow", aa=True)

    rows = make_rows(BODIES)
    users = [f"user-{at * 7919 % 1_000_003}" for at in range(BODIES)]
    (folder / "post.lua").write_text(LUA)
    bare = [{"rows": [row]} for row in rows]
    with_unit = [{"rows": [{**row, UNIT: user}]} for row, user in zip(rows, users, strict=True)]
    plain = write_bodies(folder / "bare.txt", bare)
    column = write_bodies(folder / "column.txt", with_unit)
    header = write_bodies(folder / "header.txt", bare, users)

    yield measure_decisions(split, rows, users)
    kinds = {
        "alone": Kind("/predict/alone", plain),
        "by a column": Kind("/predict/split", column),
        "by header": Kind("/predict/split", header),
    }
    yield measure_split(alone, split, kinds, rows, sizes)
    yield measure_shadow(shadow, Kind("/predict/split", column), rows, sizes)
    yield measure_feedback(alone, Kind("/predict/alone", plain), rows, sizes)


def main() -> None:
    """Print the table."""
    if shutil.which("wrk") is None:
        sys.exit("wrk is not installed (Debian: wrk)")
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="less of everything")
    sizes = QUICK if parser.parse_args().quick else Sizes()
    begin = time.perf_counter()
    load = os.getloadavg()
    print("| | found | budget | |\n| --- | --- | --- | --- |")

    def show(lines: list[Line]) -> None:
        for line in lines:
            print(line.write(), flush=True)

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        template = make_system(folder / "template", "split").root
        for lines in measure_service(folder, template, sizes):
            show(lines)
        show(measure_controller(template, folder, sizes))
        show(measure_judging(template, folder / "judged", sizes))
    cores = os.cpu_count()
    print(f"\n{cores} cores; load {load[0]:.1f} before, {os.getloadavg()[0]:.1f} after")
    print(f"{time.perf_counter() - begin:.0f} s")


if __name__ == "__main__":
    main()
