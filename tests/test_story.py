"""The story of the rollouts, as `headrace demo rollout` plays it."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow  # 45 s, and a service on a stated port
def test_the_story_ends_well(tmp_path: Path) -> None:
    folder = tmp_path / "story"
    command = [sys.executable, "-m", "headrace", "demo", "rollout", "--dir", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    told = [line.split()[0] for line in lines if line.startswith(("    promote", "    stop"))]
    assert told == ["promote:", "stop:", "stop:"]
    assert lines[-1].endswith("0 failed; version 2 is live")
    for version in (2, 3, 4):
        assert "Journal" in (folder / f"version-{version}.html").read_text()
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert again.returncode == 1
    assert "give another --dir" in again.stderr
