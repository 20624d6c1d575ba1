"""Under load: versions are swapped, workers are killed, bodies are nonsense."""

import asyncio
import os
import re
import shutil
import signal
import socket
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

import headrace
from headrace.log import Log
from headrace.registry.journal import write_aliases
from headrace.serve.service import LEDGER_S, Service
from headrace.tables import exclusive_lock
from headrace.workspace import Workspace
from tests.conftest import Runs, write_system
from tests.serve.running import Running, within
from tests.serve.test_service import bodied, folder_of, rows


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A system with three versions, of which the third has a changed byte."""
    folder = write_system(tmp_path_factory.mktemp("versions"), "binary", "linear", rows=600)
    spec = folder / "system.yaml"
    headrace.run(headrace.load(folder))
    spec.write_text(spec.read_text() + "seed: 11\n")
    headrace.run(headrace.load(folder))
    bundles = folder / ".headrace" / "bundles"
    made = shutil.copytree(bundles / "binary-000002", bundles / "binary-000003")
    (made / "model.onnx").write_bytes((made / "model.onnx").read_bytes()[:-1] + b"!")
    return folder


def point(folder: Path, version: int) -> None:
    write_aliases(Workspace(folder), "binary", {"champion": version})


def test_versions_are_swapped_under_load_without_a_failed_or_mixed_answer(versions: Path) -> None:
    point(versions, 1)
    given = rows(40)
    expected = {at: headrace.open(f"binary@{at}", versions).predict(given) for at in (1, 2)}
    done = threading.Event()
    wrong: list[Any] = []
    answered = [0, 0, 0]

    def load(url: str, number: int) -> None:
        with httpx.Client() as client:
            at = number
            while not done.is_set():
                at = (at + 1) % len(given)
                answer = client.post(url + "/predict", content=bodied([given[at]]))
                found = answer.json()
                version = found.get("version")
                if answer.status_code != 200 or answer.headers["x-headrace-version"] != str(
                    version
                ):
                    wrong.append(answer.text)
                elif found["predictions"][0]["prediction"] != pytest.approx(
                    expected[version][at]["prediction"]
                ):
                    wrong.append((version, at, found))
                else:
                    answered[version] += 1

    with Running(versions) as service:
        threads = [threading.Thread(target=load, args=(service.url, number)) for number in range(4)]
        for thread in threads:
            thread.start()
        try:
            for turn in range(20):
                version = 2 - turn % 2
                point(versions, version)
                service.wait(lambda: version_of(service) == version)  # noqa: B023
        finally:
            done.set()
            for thread in threads:
                thread.join()
        assert not wrong
        assert answered[1] > 20
        assert answered[2] > 20
        metrics = httpx.get(service.url + "/metrics").text
        assert 'headrace_swaps_total{model="binary",outcome="taken"} 20.0' in metrics
        point(versions, 3)  # a byte of it has changed
        service.wait(lambda: 'outcome="refused"} 1.0' in httpx.get(service.url + "/metrics").text)
        assert version_of(service) == 1
        assert (
            httpx.post(service.url + "/predict/binary@3", content=b'{"rows": []}').status_code
            == 503
        )
        point(versions, 1)
        service.stop()
    assert "swap_refused" in service.rest
    assert "has been changed" in service.rest


def version_of(service: Running) -> int:
    answer = httpx.post(service.url + "/predict", content=b'{"rows": []}')
    return int(answer.headers["x-headrace-version"])


def test_a_worker_that_is_killed_is_missed_by_nobody_for_long(runs: Runs) -> None:
    folder = folder_of(runs("binary", "gbdt"))
    body = bodied(rows(1))

    def predicted(service: Running) -> float:
        page = httpx.get(service.url + "/metrics").text
        return sum(
            float(line.split()[-1])
            for line in page.splitlines()
            if line.startswith("headrace_predictions_total")
        )

    with Running(folder, options=("--workers", "2")) as service:
        for _ in range(20):
            assert httpx.post(service.url + "/predict", content=body).status_code == 200
        service.wait(lambda: predicted(service) == 20)
        time.sleep(2 * LEDGER_S)  # what both have counted is written
        workers = children(service.process.pid)
        os.kill(workers[0], signal.SIGKILL)
        answered = 0
        for _ in range(50):
            with suppress(httpx.TransportError):  # it had been taken by the one that died
                answered += httpx.post(service.url + "/predict", content=body).status_code == 200
        assert answered >= 45
        service.wait(lambda: len(set(children(service.process.pid)) - {workers[0]}) == 2)
        service.wait(lambda: predicted(service) == 20 + answered)
        assert httpx.post(service.url + "/predict", content=body).status_code == 200


@pytest.mark.parametrize(
    "number", [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]
)
def test_workers_end_with_the_process_that_started_them(runs: Runs, number: int) -> None:
    with Running(folder_of(runs("binary", "gbdt")), options=("--workers", "2")) as service:
        workers = children(service.process.pid)
        assert len(workers) >= 2
        os.kill(service.process.pid, number)
        service.process.wait(30)
        end = time.monotonic() + 30
        while any(alive(worker) for worker in workers) and time.monotonic() < end:
            time.sleep(0.1)
        assert not any(alive(worker) for worker in workers)
        with socket.socket() as free:
            free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            free.bind(("127.0.0.1", int(service.url.rsplit(":", 1)[1])))


def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_worker_that_cannot_start_ends_nobody_else(runs: Runs, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(folder_of(runs("binary", "gbdt")), tmp_path / "system"))
    (model,) = (folder / ".headrace" / "bundles").glob("*/model.onnx")
    whole, body = model.read_bytes(), bodied(rows(1))
    with Running(folder, options=("--workers", "2")) as service:
        assert service.process.stderr is not None
        assert all('"ready"' in service.process.stderr.readline() for _ in range(2))
        model.write_bytes(whole[:-1] + b"x")
        workers = children(service.process.pid)
        os.kill(workers[0], signal.SIGKILL)
        end = time.monotonic() + 6
        answered = 0
        while time.monotonic() < end:
            with suppress(httpx.TransportError):
                answered += httpx.post(service.url + "/predict", content=body).status_code == 200
            time.sleep(0.05)
        assert answered > 20
        assert service.process.poll() is None
        model.write_bytes(whole)
        service.wait(lambda: len(set(children(service.process.pid)) - {workers[0]}) == 2)
    assert service.rest.count("worker_not_started") in (1, 2, 3, 4)


def test_whoever_holds_the_log_holds_up_no_request(runs: Runs, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(folder_of(runs("binary", "gbdt")), tmp_path / "system"))
    body = bodied(rows(1))
    shutil.rmtree(folder / ".headrace" / "log", ignore_errors=True)
    with Running(folder) as service:
        assert httpx.post(service.url + "/predict", content=body).status_code == 200
        lock = folder / ".headrace" / "log" / "predictions" / "writer.lock"
        service.wait(lock.exists)
        with exclusive_lock(lock):
            slowest = 0.0
            for _ in range(60):
                begin = time.monotonic()
                assert (
                    httpx.post(service.url + "/predict", content=body, timeout=5).status_code == 200
                )
                assert httpx.get(service.url + "/health/live", timeout=5).status_code == 200
                slowest = max(slowest, time.monotonic() - begin)
                time.sleep(0.02)
        assert slowest < 2
        service.wait(
            lambda: "headrace_logged_total 61.0" in httpx.get(service.url + "/metrics").text
        )
    assert Log(lock.parent).read().height == 61


@pytest.mark.parametrize("options", [(), pytest.param(("--workers", "2"), marks=pytest.mark.slow)])
def test_a_service_that_is_told_to_end_answers_on_for_a_while(
    runs: Runs, options: tuple[str, ...]
) -> None:
    body = bodied(rows(1))
    with Running(folder_of(runs("binary", "gbdt")), options=options) as service:
        with httpx.Client(base_url=service.url, timeout=10) as client:
            assert client.post("/predict", content=body).status_code == 200
            service.process.send_signal(signal.SIGTERM)
            end = time.monotonic() + 3  # more than a signal leaves to any other command
            while time.monotonic() < end:  # on the connection that is open, as a load balancer does
                assert client.post("/predict", content=body).status_code == 200
                time.sleep(0.05)
            assert client.get("/health/ready").status_code == 503
            begin = time.monotonic()
        assert service.process.wait(20) in (0, 143, -15)
        assert time.monotonic() - begin < 4  # nobody is connected any more


def children(parent: int) -> list[int]:
    """The processes of a service's workers."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            told = path.read_text().rpartition(")")[2].split()
            command = (path.parent / "cmdline").read_bytes()
        except OSError:
            continue
        if int(told[1]) == parent and b"spawn_main" in command and told[0] != "Z":
            found.append(int(path.parent.name))
    return found


def fuzzed(seed: int, count: int) -> Any:
    """Bodies that are bytes, JSON that was cut or changed, rows of odd values."""
    chance = np.random.default_rng(seed)
    good = bodied(rows(2))
    odd: list[Any] = [
        None,
        True,
        -1,
        1e308,
        10**40,
        "",
        "\u0000",
        "x" * 300,
        [],
        {},
        [[1]],
        {"a": 1},
        "NaN",
        "2020-02-30",
    ]
    names = [*rows(1)[0], "other"]
    for _ in range(count):
        kind = int(chance.integers(0, 4))
        if kind == 0:
            yield chance.bytes(int(chance.integers(0, 200)))
        elif kind == 1:
            yield good[: int(chance.integers(0, len(good)))]
        elif kind == 2:
            changed = bytearray(good)
            for at in chance.integers(0, len(good), int(chance.integers(1, 6))):
                changed[at] = int(chance.integers(0, 256))
            yield bytes(changed)
        else:
            row = rows(1)[0]
            for _ in range(int(chance.integers(1, 4))):
                row[names[int(chance.integers(0, len(names)))]] = odd[
                    int(chance.integers(0, len(odd)))
                ]
            yield bodied([row])


@pytest.mark.parametrize("count", [1_500, pytest.param(100_000, marks=pytest.mark.slow)])
def test_no_body_is_a_fault_of_ours(runs: Runs, count: int) -> None:
    paths = ["/predict", "/predict", "/v2/models/binary/infer", "/invocations", "/events"]

    async def all_of_them(
        service: Service, client: httpx.AsyncClient
    ) -> tuple[set[int], list[int]]:
        statuses: set[int] = set()
        resident: list[int] = []
        for at, body in enumerate(fuzzed(7, count)):
            answer = await client.post(paths[at % len(paths)], content=body)
            statuses.add(answer.status_code)
            assert answer.status_code < 500, (paths[at % len(paths)], body, answer.text)
            if at % (count // 10) == 0:
                resident.append(int(Path("/proc/self/statm").read_text().split()[1]) * 4096)
        return statuses, resident

    statuses, resident = within([str(folder_of(runs("binary", "gbdt")))], all_of_them)
    assert {200, 400, 422} <= statuses
    assert resident[-1] - resident[len(resident) // 2] < 30 << 20


def test_a_request_that_is_under_way_is_answered_before_the_end(runs: Runs) -> None:
    with Running(runs("binary", "gbdt").bundle) as service:
        host, port = service.url.removeprefix("http://").split(":")
        body = bodied(rows(1))
        with socket.create_connection((host, int(port)), 30) as wire:
            wire.sendall(
                b"POST /predict HTTP/1.1\r\nhost: localhost\r\ncontent-length: %d\r\n\r\n"
                % len(body)
                + body[:50]
            )
            service.wait(lambda: httpx.get(service.url + "/health/ready").status_code == 200)
            service.process.send_signal(signal.SIGTERM)
            time.sleep(0.5)
            assert service.process.poll() is None
            wire.sendall(body[50:])
            heard = b""
            while more := wire.recv(4000):
                heard += more
        assert heard.startswith(b"HTTP/1.1 200")
        assert b"prediction_id" in heard
        service.process.wait(60)


def test_connections_that_say_nonsense_leave_the_service_as_it_was(runs: Runs) -> None:
    async def speak(host: str, port: int, said: bytes) -> bytes:
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(said)
        await writer.drain()
        heard = b""
        with suppress(TimeoutError):
            while more := await asyncio.wait_for(reader.read(2000), 1):
                heard += more
        writer.close()
        return heard

    with Running(runs("binary", "gbdt").bundle) as service:
        host, port = service.url.removeprefix("http://").split(":")
        body = bodied(rows(1))
        head = b"POST /predict HTTP/1.1\r\nhost: localhost\r\ncontent-length: %d\r\n\r\n" % len(
            body
        )
        answers = [
            asyncio.run(speak(host, int(port), said))
            for said in (
                b"\x00\x01\x02\r\n\r\n",
                b"GET / HTTP/9.9\r\n\r\n",
                head + body[:10],
                (head + body) * 3,  # three requests at once
                b"POST /predict HTTP/1.1\r\nhost: localhost\r\n"
                b"transfer-encoding: chunked\r\n\r\nzz\r\n",
            )
        ]
        assert answers[3].count(b"HTTP/1.1 200") == 3
        assert httpx.post(service.url + "/predict", content=body).status_code == 200


def test_more_load_than_can_be_served_makes_no_longer_queue(runs: Runs, tmp_path: Path) -> None:
    """Sixty connections that never pause, twenty rows each, where forty rows may wait."""
    folder = tmp_path / "system"
    shutil.copytree(folder_of(runs("binary", "gbdt")), folder)
    with (folder / "system.yaml").open("a") as spec:
        spec.write("\nserve: {max_waiting: 40}\n")
    given = rows(20)
    expected = [one["prediction"] for one in headrace.open("binary@1", folder).predict(given)]
    body = bodied(given)

    async def load(url: str) -> list[httpx.Response]:
        limits = httpx.Limits(max_connections=60, max_keepalive_connections=60)
        async with httpx.AsyncClient(limits=limits, timeout=60) as client:
            return await asyncio.gather(
                *(client.post(url + "/predict", content=body) for _ in range(600))
            )

    with Running(folder) as service:
        answers = asyncio.run(load(service.url))
        page = httpx.get(service.url + "/metrics").text
    accepted = [answer for answer in answers if answer.status_code == 200]
    refused = [answer for answer in answers if answer.status_code == 503]
    assert accepted
    assert len(accepted) + len(refused) == 600
    assert all(answer.headers["retry-after"] == "1" for answer in refused)
    for answer in accepted:
        assert [one["prediction"] for one in answer.json()["predictions"]] == pytest.approx(
            expected
        )
    counts = dict(re.findall(r'headrace_batch_rows_(bucket\{le="64.0"|count\{)[^}]*\} (\S+)', page))
    assert (
        counts['bucket{le="64.0"'] == counts["count{"]
    )  # no batch of more than may wait and one request besides
