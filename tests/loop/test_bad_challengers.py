"""Five challengers that no gate refuses: all are stopped, and no client sees one fail."""

import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest

import headrace
from headrace.clock import from_text
from headrace.log import Log
from headrace.loop.by_hand import start_rollout
from headrace.registry import read_rollout
from headrace.spec import System
from tests.rollout_system import NAME, body_of, copy_system, make_row
from tests.serve.running import Running
from tests.tampered import LIMIT, Edit, add_version, be_slow, raise_beyond_limit

CANARY: dict[str, Any] = {
    "stages": {"canary": {"shares": [0.2], "least": "1h"}},
    "guards": {"errors": 0.001, "unread": 0.001, "slow": 0.1},
}
MOST_S = 60.0
BAD = 9


@pytest.fixture
def system(ads_template: Path, tmp_path: Path) -> System:
    return headrace.load(copy_system(ads_template, tmp_path, **CANARY))


def send_until_over(system: System, beyond: float) -> tuple[Any, Counter[int]]:
    """Send rows, a share of which has a number beyond the limit, until the rollout is over."""
    replies: Counter[int] = Counter()
    done = threading.Event()

    def come(url: str) -> None:
        user = 0
        with httpx.Client(base_url=url, timeout=10) as client:
            while not done.is_set():
                user += 1
                row = make_row(f"u{user}")
                if user % 1_000 < 1_000 * beyond:
                    row["x"] = 2 * LIMIT
                replies[client.post("/predict", content=body_of(row)).status_code] += 1

    with Running(system.root.resolve()) as service:
        thread = threading.Thread(target=come, args=(service.url,))
        thread.start()
        try:
            end = time.monotonic() + MOST_S
            while read_rollout(system).rollout is not None and time.monotonic() < end:
                time.sleep(0.1)
        finally:
            done.set()
            thread.join()
    return headrace.history(NAME, system.root)[-1], replies


def seconds_after(system: System, row: int, decision: Any) -> float:
    """The seconds from the challenger's row of a number to the decision."""
    logged = Log(system.workspace.predictions).read()
    own = logged.filter(logged["payload"].str.contains('"arm":"challenger"'))
    times = own["time"].to_physical().sort()
    return (from_text(decision.at) - int(times[row - 1])) / 1e6


@pytest.mark.parametrize(
    ("edit", "beyond", "guard"),
    [
        (raise_beyond_limit, 1.0, "errors"),
        (raise_beyond_limit, 0.02, "errors"),
        (be_slow, 0.0, "slow"),
        (None, 0.0, "unread"),
    ],
    ids=["raises", "raises on 2 %", "slow", "wants a column"],
)
def test_a_bad_challenger_is_stopped(
    system: System, edit: Edit | None, beyond: float, guard: str
) -> None:
    version = 3
    if edit is not None:
        add_version(system, 2, BAD, edit)
        version = BAD
    start_rollout(f"{NAME}@{version}", system.root)
    decision, replies = send_until_over(system, beyond)
    assert (decision.action, decision.version) == ("stop", version)
    assert f"harm in {guard}" in decision.why
    assert set(replies) == {200}
    assert system.workspace.read_aliases(NAME) == {"champion": 1}
    # Twice what is asked for: other tests run beside this one.
    if beyond == 1.0 or guard == "unread":
        assert seconds_after(system, 20, decision) < 4.0
