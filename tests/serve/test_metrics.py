"""What is counted, as Prometheus and Grafana read it."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from headrace import serve
from headrace.serve.metrics.exposition import METRICS, render
from headrace.serve.metrics.metrics import Histogram, Metrics, merge_metrics


def meter(seed: int) -> Metrics:
    """One of everything."""
    made = Metrics()
    for name, (kind, _, labels) in METRICS.items():
        key = (name, *(f'{label} "{seed}"\n' for label in labels))
        if kind == "counter":
            made.counts[key] += seed
        elif kind == "gauge":
            made.gauges[key] = seed
        else:
            made.histogram(*key).add(0.003)
    return made


def test_several_processes_count_as_one() -> None:
    whole = merge_metrics([meter(1).encode(), meter(1).encode(), meter(2).encode()])
    key = ("headrace_requests", 'route "1"\n', 'status "1"\n')
    assert whole.counts[key] == 2
    assert whole.gauges["headrace_waiting_rows",] == 4
    histogram = whole.histograms["headrace_stage_seconds", 'stage "1"\n']
    assert sum(histogram.counts) == 2
    assert histogram.sum == pytest.approx(0.006)


def test_a_value_on_an_edge_is_below_it() -> None:
    values = [1.0, 1.5, 2.1, 2.0]
    one_by_one, at_once = Histogram((1.0, 2.0)), Histogram((1.0, 2.0))
    for value in values:
        one_by_one.add(value)
    at_once.add_all(values)
    assert one_by_one.counts == at_once.counts == [1, 2, 1]
    assert one_by_one.sum == at_once.sum


def test_promtool_finds_nothing_to_say() -> None:
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed (Debian: prometheus; `make servers`)")
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=render(meter(1)), capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr, done.stderr


def test_the_dashboard_asks_for_metrics_that_there_are() -> None:
    dashboard = json.loads((Path(serve.__file__).parent / "metrics" / "grafana.json").read_text())
    asked = " ".join(target["expr"] for panel in dashboard["panels"] for target in panel["targets"])
    told = {name for line in render(meter(1)).decode().splitlines() if not line.startswith("#")
            for name in re.findall(r"^\w+", line)}  # fmt: skip
    names = set(re.findall(r"headrace_\w+", asked))
    assert names
    assert names <= told
    families = {re.sub(r"_(total|bucket|sum|count)$", "", name) for name in names}
    assert families == METRICS.keys()  # nothing is counted that nobody sees
    labels = {one for by in re.findall(r"by \(([^)]*)\)", asked) for one in by.split(", ")}
    assert labels <= {label for _, _, some in METRICS.values() for label in some} | {"le"}
