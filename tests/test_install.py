"""The wheel: what it is called, what it brings, and that it works where nothing else of ours is."""

import json
import os
import re
import subprocess
import sys
import venv
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
EXTRAS = {"mlflow", "tracking", "duckdb", "s3", "gcs", "azure", "http", "redis", "postgresql"}
"""The extras that users may ask for."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    return path


def test_the_wheel_says_what_it_is(wheel: Path) -> None:
    assert wheel.name == "headrace-0.1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = Parser().parsestr(archive.read("headrace-0.1.0.dist-info/METADATA").decode())
        commands = archive.read("headrace-0.1.0.dist-info/entry_points.txt").decode()
    assert metadata["Name"] == "headrace"
    assert "headrace = headrace.__main__:main" in commands
    assert {name.split("/")[0] for name in names} == {"headrace", "headrace-0.1.0.dist-info"}
    assert {
        "headrace/py.typed",
        "headrace/serve/metrics/grafana.json",
        "headrace/report/templates/report.html",
    } <= {*names}
    assert set(metadata.get_all("Provides-Extra", [])) == EXTRAS | {"dev"}


def test_every_extra_that_is_advised_exists() -> None:
    """In errors, in the README, in the changelog."""
    texts = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *(ROOT / "headrace").rglob("*.py")]
    advised = {
        extra
        for path in texts
        for extras in re.findall(r"headrace\[([\w,]+)\]", path.read_text())
        for extra in extras.split(",")
    }
    assert {"s3", "redis"} <= advised <= EXTRAS


def test_the_wheel_works_in_an_environment_of_its_own(wheel: Path, tmp_path: Path) -> None:
    """The libraries that it needs are lent to it; nothing of this checkout is."""
    environment = tmp_path / "environment"
    venv.create(environment, with_pip=False)
    python, command = environment / "bin" / "python", environment / "bin" / "headrace"
    pip = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        str(python),
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        str(wheel),
    ]
    subprocess.run(pip, check=True)
    lent = {**os.environ, "PYTHONNOUSERSITE": "1"}
    lent["PYTHONPATH"] = next(path for path in sys.path if path.endswith("site-packages"))

    where = "import headrace; print(headrace.__file__)"
    found = subprocess.run(
        [python, "-c", where], check=True, capture_output=True, text=True, env=lent, cwd=tmp_path
    )
    assert str(environment) in found.stdout
    subprocess.run(
        [command, "demo", "bikes", "--help"],
        check=True,
        capture_output=True,
        env=lent,
        cwd=tmp_path,
    )
    unknown = subprocess.run(
        [command, "demo", "nothing"],
        check=False,
        capture_output=True,
        text=True,
        env=lent,
        cwd=tmp_path,
    )
    assert unknown.returncode == 2
    assert "bikes, flights, income, intents" in unknown.stderr


@pytest.mark.slow
def test_the_wheel_brings_all_that_it_needs(wheel: Path, tmp_path: Path) -> None:
    """Installed with an extra from the package registries, it runs the demo."""
    environment = tmp_path / "environment"
    venv.create(environment, with_pip=True)
    subprocess.run(
        [environment / "bin" / "pip", "install", "--quiet", f"{wheel}[redis]"], check=True
    )
    done = subprocess.run(
        [
            environment / "bin" / "headrace",
            "demo",
            "income",
            "--dir",
            str(tmp_path / "income"),
            "--json",
        ],
        check=True,
        capture_output=True,
        cwd=tmp_path,
    )
    assert json.loads(done.stdout)["promoted"]
    subprocess.run([environment / "bin" / "python", "-c", "import redis"], check=True)
