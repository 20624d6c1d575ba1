"""What is loaded when: asked of a fresh interpreter."""

import subprocess
import sys

import pytest

HEAVY = {
    "polars", "numpy", "onnx", "onnxruntime", "sklearn", "lightgbm", "scipy", "uvicorn", "jinja2",
    "vl_convert",
    "mlflow", "pandas", "prometheus_client", "redis",
}  # fmt: skip


@pytest.mark.parametrize(
    ("statement", "allowed"),
    [
        ("import headrace", set()),
        ("import headrace.cli", set()),
        ("import headrace.predict", {"polars", "numpy"}),
        ("import headrace.serve", {"polars", "numpy"}),
        ("import headrace.flow", {"polars", "numpy", "scipy"}),
    ],
)
def test_heavy_libraries_wait_until_they_are_needed(statement: str, allowed: set[str]) -> None:
    loaded = f"[name for name in {sorted(HEAVY)} if name in sys.modules]"
    code = f"import sys; {statement}; print(*{loaded})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) <= allowed
