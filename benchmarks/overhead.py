"""What Headrace adds to the library calls that a run cannot avoid, and what starting it costs.

    python benchmarks/overhead.py

The run is timed as a whole on an already imported package (a service or notebook runs many); the
calls it cannot avoid are the families' `fit` and `predict` (scikit-learn, LightGBM), timed inside
that same run. Once with the search of a spec that says nothing else (20 trials, 60 s), and, harder,
without a search: each family once. Imports are timed in fresh interpreters.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from msgspec import structs
from table import system

import headrace
import headrace.spec
from headrace.models import FAMILIES

REPEATS = 3


def timed_calls(seconds: list[float]) -> None:
    """Wraps what each family asks of its library, so that the seconds are added up."""

    def timed(inner: Any) -> Any:
        def call(*given: Any) -> Any:
            begin = time.perf_counter()
            try:
                return inner(*given)
            finally:
                seconds.append(time.perf_counter() - begin)

        return call

    for family in FAMILIES.values():
        for name in ("fit", "predict"):
            setattr(family, name, timed(getattr(family, name)))


def overhead(rows: int, trials: int, repeats: int) -> dict[str, Any]:
    """A run on the common table with every family, early stopping included."""
    shares, totals = [], []
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as name:
            spec = system(Path(name), rows, rounds=None)
            models = structs.replace(
                spec.models,
                candidates=["linear", "gbdt"],
                search=headrace.spec.Search(trials=trials),
            )
            spec = headrace.spec.with_changes(spec, models=models)
            seconds.clear()
            begin = time.perf_counter()
            run = headrace.run(spec)
            totals.append(time.perf_counter() - begin)
            shares.append((totals[-1] - sum(seconds)) / sum(seconds))
            stages = run.document.seconds
    return {
        "run_s": round(statistics.median(totals), 2),
        "above_the_library": f"{statistics.median(shares):.1%}",
        "stages_s": {name: round(value, 2) for name, value in stages.items()},
    }


def starts() -> dict[str, str]:
    """Fresh interpreters, minus a bare one."""
    commands = {
        "python": [sys.executable, "-c", "pass"],
        "import headrace": [sys.executable, "-c", "import headrace"],
        "headrace --help": [str(Path(sys.executable).with_name("headrace")), "--help"],
    }
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(11):
        for name, command in commands.items():
            begin = time.perf_counter()
            subprocess.run(command, capture_output=True, check=True)
            times[name].append((time.perf_counter() - begin) * 1e3)
    return {name: f"{statistics.median(found):.0f} ms" for name, found in times.items()}


seconds: list[float] = []

if __name__ == "__main__":
    timed_calls(seconds)
    overhead(20_000, 0, 1)  # imports and caches
    found = {
        "with a search": overhead(100_000, 20, 1),
        "without": overhead(100_000, 0, REPEATS),
        "starting": starts(),
    }
    print(json.dumps(found, indent=2))
