"""Nothing is sent anywhere: no library of ours tells its maker what a user does."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

LOOPBACK = ("0100007F", "00000000000000000000000001000000", "0000000000000000FFFF00000100007F")
NOWHERE = ("00000000", "0" * 32)


@pytest.mark.parametrize(
    "entry",
    [
        "import headrace",
        "from headrace.predict import open",
        "import headrace.cli",
        "import headrace.__main__",
        "from headrace.serve import make_service",
        "import headrace.predict.pyfunc",
    ],
)
def test_telemetry_is_off_before_onnx_runtime_is_loaded(entry: str) -> None:
    ask = f"{entry}; import os; assert os.environ['ORT_DISABLE_TELEMETRY'] == '1'"
    environment = {
        name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"
    }
    subprocess.run([sys.executable, "-c", ask], check=True, env=environment)


def connected(processes: set[int]) -> set[str]:
    """The addresses beyond this machine that some processes are connected to, or try to be."""
    inodes = set()
    for process in processes:
        try:
            links = [str(link.readlink()) for link in Path(f"/proc/{process}/fd").iterdir()]
        except OSError:
            continue
        inodes |= {link[8:-1] for link in links if link.startswith("socket:[")}
    found = set()
    for table in ("tcp", "tcp6", "udp", "udp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            host = fields[2].split(":")[0]
            if fields[9] in inodes and host not in (*LOOPBACK, *NOWHERE):
                found.add(fields[2])
    return found


def family(parent: int) -> set[int]:
    """A process and all below it."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found = {parent}
    while more := {child for child, above in parents.items() if above in found} - found:
        found |= more
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", ["income", "flights"])
def test_a_demo_speaks_to_nobody(name: str, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "headrace", "demo", name], cwd=tmp_path, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    found: set[str] = set()
    while process.poll() is None:
        found |= connected(family(process.pid))
        time.sleep(0.005)
    assert process.returncode == 0
    assert not found
