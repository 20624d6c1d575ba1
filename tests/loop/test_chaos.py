"""Whatever is killed, no acknowledged outcome is lost, no unit changes its arm, and it goes on."""

import json
import os
import random
import signal
import subprocess
import threading
import time
from collections import defaultdict
from pathlib import Path

import httpx
import pytest

import headrace
from headrace.log import Log
from headrace.loop.by_hand import start_rollout
from headrace.registry import read_rollout
from headrace.spec import System
from tests.rollout_system import NAME, body_of, copy_system, make_row
from tests.serve.running import Running

STAGES = {"test": {"least": "1h", "most": "1d"}}


@pytest.fixture
def system(ads_template: Path, tmp_path: Path) -> System:
    folder = copy_system(ads_template, tmp_path, stages=STAGES, within="1s", guards={})
    return headrace.load(folder)


class Client:
    """Users who come again and again; remembers what was acknowledged, and who got which arm."""

    def __init__(self, seed: int) -> None:
        self.url = ""
        self.acknowledged: list[str] = []
        self.arms: defaultdict[int, set[str]] = defaultdict(set)
        self._chance = random.Random(seed)
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._done.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._done.is_set():
            try:
                with httpx.Client(base_url=self.url, timeout=5) as client:
                    while not self._done.is_set():
                        self._visit(client)
            except (httpx.HTTPError, json.JSONDecodeError):
                time.sleep(0.05)  # a process was killed under this request

    def _visit(self, client: httpx.Client) -> None:
        user = self._chance.randrange(40)
        reply = client.post("/predict", content=body_of(make_row(user)))
        if reply.status_code != 200:
            return
        self.arms[user].add(reply.headers["x-headrace-arm"])
        id_ = reply.json()["predictions"][0]["prediction_id"]
        sent = {"prediction_id": id_, "outcome": 1, "outcome_id": str(len(self.acknowledged))}
        if client.post("/feedback", json=sent).status_code == 200:
            self.acknowledged.append(id_)


def find_children(process: int) -> list[int]:
    """The processes that a process has started."""
    found = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(process)], capture_output=True, text=True, check=False
    )
    return [int(line) for line in found.stdout.split()]


def find_controllers(folder: Path) -> list[int]:
    """The controllers of a system that run now."""
    found = subprocess.run(
        ["pgrep", "-f", f"headrace rollout run {folder}"],
        capture_output=True,
        text=True,
        check=False,
    )
    return [int(line) for line in found.stdout.split()]


@pytest.mark.parametrize("kills", [5, pytest.param(50, marks=pytest.mark.slow)])
def test_kills_at_random_moments(system: System, kills: int) -> None:
    start_rollout(f"{NAME}@2", system.root)
    folder = system.root.resolve()
    chance = random.Random(kills)
    client = Client(kills)
    service = Running(folder, options=("--workers", "2"))
    client.url = service.url
    with service:
        service.wait(lambda: bool(find_controllers(folder)))
        client.start()
        for _ in range(kills):
            time.sleep(chance.uniform(0.05, 0.5))
            victim = chance.choice(["worker", "controller", "service"])
            if victim == "controller":
                for process in find_controllers(folder):
                    os.kill(process, signal.SIGKILL)
                service.wait(lambda: bool(find_controllers(folder)), 10)
            elif victim == "worker":
                workers = [
                    one
                    for one in find_children(service.process.pid)
                    if one not in find_controllers(folder)
                ]
                if workers:
                    os.kill(chance.choice(workers), signal.SIGKILL)
            else:
                for process in (service.process.pid, *find_children(service.process.pid)):
                    try:
                        os.kill(process, signal.SIGKILL)
                    except ProcessLookupError:
                        continue
                service.stop()
                again = Running(folder, options=("--workers", "2"))
                service.process, service.url = again.process, again.url
                client.url = again.url
                service.wait(lambda: httpx.get(service.url + "/health/ready").status_code == 200)
        time.sleep(0.5)
        client.stop()

    logged = Log(system.workspace.outcomes).read("outcomes")["id"].to_list()
    assert len(client.acknowledged) > 20
    for id_ in set(client.acknowledged):
        assert logged.count(id_) >= client.acknowledged.count(id_)
    assert {user for user, arms in client.arms.items() if len(arms) > 1} == set()
    rollout = read_rollout(system).rollout
    assert rollout is not None
    assert rollout.paused is None
