"""Workers that die of a challenger, and of nothing else, stop its rollout."""

import os
import signal
from pathlib import Path

import pytest

import headrace
from headrace.loop.by_hand import start_rollout
from headrace.loop.crashes import find_crashed
from headrace.loop.rollout import RolloutJob
from headrace.registry import read_rollout
from headrace.serve.models.taken import bury, mark_taken, remove_marks
from tests.rollout_system import NAME, copy_system


@pytest.mark.parametrize(
    ("status", "crashed"),
    [
        (-signal.SIGSEGV, True),
        (1, True),
        (-signal.SIGKILL, False),
        (-signal.SIGTERM, False),
        (0, False),
    ],
)
def test_two_crashes_stop_and_kills_do_not(
    ads_template: Path, tmp_path: Path, status: int, crashed: bool
) -> None:
    system = headrace.load(copy_system(ads_template, tmp_path))
    start_rollout(f"{NAME}@2", system.root)
    rollout = read_rollout(system).rollout
    assert rollout is not None
    job = RolloutJob(system)
    for process in (1, 2):
        assert find_crashed(system.workspace, rollout) is None
        mark_taken(system.workspace, 2)
        own = system.workspace.taken / f"{os.getpid()}-2.json"
        own.rename(system.workspace.taken / f"{process}-2.json")
        bury(system.workspace, process, status)
    assert (find_crashed(system.workspace, rollout) == "challenger") is crashed
    assert job.run().moved is crashed
    if crashed:
        last = headrace.history(NAME, system.root)[-1]
        assert (last.action, "workers died" in last.why) == ("stop", True)


def test_a_process_that_ends_in_order_leaves_no_mark(ads_template: Path, tmp_path: Path) -> None:
    system = headrace.load(copy_system(ads_template, tmp_path))
    mark_taken(system.workspace, 2)
    remove_marks(system.workspace)
    assert list(system.workspace.taken.iterdir()) == []
