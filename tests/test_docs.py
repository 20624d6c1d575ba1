"""The documentation is true: its commands run, and its reference is that of the code."""

import os
import re
import runpy
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
REFERENCE = runpy.run_path(str(ROOT / "scripts" / "reference.py"))
PAGES: dict[str, str] = REFERENCE["render_pages"]()
BIN = Path(sys.executable).parent


@pytest.mark.parametrize("name", list(PAGES))
def test_a_reference_page_is_that_of_the_code(name: str) -> None:
    """`make reference` writes it anew."""
    assert (ROOT / "docs" / "reference" / name).read_text() == PAGES[name]


def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    """A link that leads nowhere is a warning."""
    done = subprocess.run(
        [BIN / "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
    )
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "site" / "reference" / "python.html").read_text()
    assert "Run the flow on a Polars, pandas or Arrow table" in page
    assert "fonts.googleapis.com" not in page


def test_the_readme_is_short_and_its_links_lead_somewhere() -> None:
    text = (ROOT / "README.md").read_text()
    assert text.count("\n") <= 150
    for link in re.findall(r"\]\(([^)#]+)\)", text):
        assert (ROOT / link).exists(), link


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def blocks(page: Path, language: str) -> list[str]:
    """The blocks of code of a page in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with the examples, as a checkout has them."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    return tmp_path


def run_script(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs lines as bash does, with the commands of this environment on the path.

    Ports are free ones, and searches are short.
    """
    for port in ("8123", "8124"):
        script = script.replace(port, str(free_port()))
    script = re.sub(r"--seconds \d+", "--seconds 2", script)
    script = re.sub(r"trials=\d+, seconds=\d+", "trials=1, seconds=5", script)
    environment = os.environ | {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_the_tutorial_runs_as_it_is_written(place: Path) -> None:
    page = ROOT / "docs" / "tutorial.md"
    done = run_script("\n".join(blocks(page, "bash")), place)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "bikes@1: " in done.stdout
    assert "verify.version" in done.stdout
    assert "bikes@1 answered at http://127.0.0.1:" in done.stdout
    assert '"name":"train"' in done.stdout  # of `up`
    (python,) = blocks(page, "python")
    done = run_script(f"python - <<'E'\n{python}\nE", place)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("[{'prediction': ")


def test_the_guide_to_notebooks_runs_as_it_is_written(place: Path) -> None:
    script = "\n".join(blocks(ROOT / "docs" / "guides" / "notebook.md", "python"))
    done = run_script(f"python - <<'E'\n{script}\nE", place)
    assert done.returncode == 0, done.stderr
    assert "probability_>50K" in done.stdout


def test_the_commands_of_the_readme_run(place: Path) -> None:
    """Those of "Your own table", on a table of the bikes."""
    text = (ROOT / "README.md").read_text()
    part = text[text.index("## Your own table") : text.index("In a notebook:")]
    commands = re.findall(r"^    (headrace .*?)(?:  +#.*)?$", part, re.MULTILINE)
    assert [command.split()[1] for command in commands] == ["up", "init", "run", "predict", "serve"]
    wait = "until curl -sf http://127.0.0.1:{port}/ping; do sleep 1; done; kill %1; wait || true"
    extra = {
        "up": "--seconds 2 --yes --port 8123 &\n" + wait.format(port=8123),
        "init": "--seconds 2 --yes",
        "serve": "--port 8124 &\n" + wait.format(port=8124),
    }
    lines = ["gunzip < examples/bikes/hour.csv.gz > my-table.csv", "cp my-table.csv rows.csv"]
    for command in commands:
        lines.append(f"{command} {extra.get(command.split()[1], '')}")
    script = "\n".join(lines)
    done = run_script(script, place)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (place / "out.csv").stat().st_size > 100_000


def test_the_notebook_runs(place: Path) -> None:
    import nbformat
    from nbclient import NotebookClient

    folder = place / "examples" / "notebook"
    notebook: Any = nbformat.read(folder / "first.ipynb", as_version=4)  # type: ignore[no-untyped-call]
    client = NotebookClient(notebook, timeout=240, resources={"metadata": {"path": str(folder)}})
    client.execute()
    shown = "".join(text_of(cell) for cell in notebook.cells if cell.cell_type == "code")
    assert "Promoted to champion." in shown
    assert "explains alone" in shown
    assert "probability_&gt;50K" in shown
    assert notebook.cells[-2].outputs[0]["data"]["text/plain"] == "True"


def text_of(cell: Any) -> str:
    """What a cell shows, as HTML or else as text."""
    shown = ""
    for output in cell.outputs:
        data = output.get("data", {})
        shown += data.get("text/html", data.get("text/plain", ""))
    return shown
