"""Many rollouts: the champion against itself is left in peace, and moves tear no answer."""

import threading
from collections import Counter
from pathlib import Path

import httpx
import pytest

import headrace
from headrace.clock import ManualClock
from headrace.loop.by_hand import start_rollout, steer_rollout
from headrace.loop.rollout import RolloutJob
from headrace.registry import read_rollout
from tests.loop.test_rollout import Traffic
from tests.rollout_system import NAME, body_of, copy_system, make_row
from tests.serve.running import Running

CANARY = {
    "stages": {"canary": {"shares": [0.2], "least": "1h"}},
    "metrics": [{"name": "clicks", "of": "clicked", "per": "2s", "effect": 0.2}],
    "within": "3s",
}


@pytest.mark.slow  # a minute
def test_forty_canaries_of_the_champion_against_itself(ads_template: Path, tmp_path: Path) -> None:
    stopped = 0
    for seed in range(40):
        folder = copy_system(ads_template, tmp_path / str(seed), **CANARY)
        system = headrace.load(folder)
        start_rollout(folder=folder, aa=True)
        rollout = read_rollout(system).rollout
        assert rollout is not None
        clock = ManualClock(rollout.since_us)
        job = RolloutJob(system, clock)
        traffic = Traffic(system, rollout, clock, seed)
        for _ in range(30):
            traffic.pass_second({"champion": 0.2, "challenger": 0.2}, count=200)
            if job.run().moved:
                stopped += 1
                break
    assert stopped <= 2


@pytest.mark.slow  # half a minute
def test_promotions_and_rollbacks_under_load_tear_no_answer(
    ads_template: Path, tmp_path: Path
) -> None:
    folder = copy_system(ads_template, tmp_path)
    models = {version: headrace.open(f"{NAME}@{version}", folder) for version in (1, 2)}
    replies: Counter[int] = Counter()
    torn = []
    done = threading.Event()

    def come(url: str) -> None:
        user = 0
        with httpx.Client(base_url=url, timeout=10) as client:
            while not done.is_set():
                user += 1
                row = make_row(f"u{user}")
                reply = client.post("/predict", content=body_of(row))
                replies[reply.status_code] += 1
                version = int(reply.headers["x-headrace-version"])
                own = models[version].predict([row])[0]["prediction"]
                if reply.json()["predictions"][0]["prediction"] != own:
                    torn.append(row)

    with Running(folder.resolve()) as service:
        thread = threading.Thread(target=come, args=(service.url,))
        thread.start()
        for _ in range(10):
            start_rollout(f"{NAME}@2", folder)
            steer_rollout("promote", folder)
            headrace.rollback(NAME, folder=folder)
        done.set()
        thread.join()
    assert set(replies) == {200}
    assert torn == []
