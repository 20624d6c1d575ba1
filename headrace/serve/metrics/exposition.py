"""The Prometheus page: what every process of the service has counted.

Processes leave what they counted beside each other (`Ledger`), every second; the one that is asked
adds it up. What a process that is no more has left stays counted; one that was killed takes the
counts of its last second with it.
"""

import os
import shutil
from contextlib import suppress
from pathlib import Path

from headrace.serve.metrics.metrics import Metrics, merge_metrics

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
METRICS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "headrace_requests": ("counter", "Requests by route and status.", ("route", "status")),
    "headrace_request_seconds": (
        "histogram",
        "From the head of a request to its reply, by route.",
        ("route",),
    ),
    "headrace_stage_seconds": (
        "histogram",
        "A batch in the store (features) and in the graph (model).",
        ("stage",),
    ),
    "headrace_batch_rows": ("histogram", "Rows that went through the graph together.", ("model",)),
    "headrace_waiting_rows": ("gauge", "The most rows that waited at once in the last second.", ()),
    "headrace_predictions": ("counter", "Predictions made.", ("model", "version", "arm")),
    "headrace_errors": ("counter", "Requests that were refused or failed, by kind.", ("kind",)),
    "headrace_imputed": (
        "counter",
        "Values that rows did not bring, by column.",
        ("model", "column"),
    ),
    "headrace_unseen": (
        "counter",
        "Values that were in no training row, by column.",
        ("model", "column"),
    ),
    "headrace_store_failures": (
        "counter",
        "Batches whose window features the store did not tell.",
        ("model",),
    ),
    "headrace_default_rows": (
        "counter",
        "Rows answered without their window features.",
        ("model",),
    ),
    "headrace_score": ("histogram", "Predictions by value.", ("model", "version")),
    "headrace_labels": ("counter", "Predictions by label.", ("model", "version", "label")),
    "headrace_swaps": (
        "counter",
        "New versions that were taken into service or refused.",
        ("model", "outcome"),
    ),
    "headrace_served_version": (
        "gauge",
        "Processes that serve a version by an alias.",
        ("model", "alias", "version"),
    ),
    "headrace_logged": ("counter", "Predictions appended to the log.", ()),
    "headrace_log_lost": ("counter", "Predictions that the log refused.", ()),
}
"""Every metric: its type, what it tells, and its labels."""


class Ledger:
    """Where the processes of a service leave what they counted: a folder, one file each."""

    def __init__(self, folder: Path | None, metrics: Metrics) -> None:
        self._metrics, self._folder = metrics, folder
        self._path = None if folder is None else folder / f"{os.getpid()}-{os.urandom(3).hex()}"

    def write(self) -> None:
        """Leaves what this process has counted."""
        if self._path is not None:
            with suppress(OSError):
                beside = self._path.with_name(f".{self._path.name}")
                beside.write_bytes(self._metrics.encode())
                beside.replace(self._path)

    def close(self) -> None:
        """Leaves what stays counted after this process: all but how things stand."""
        self._metrics.gauges.clear()
        self.write()

    def remove(self) -> None:
        """Removes the folder, where nobody is left who would."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def page(self) -> bytes:
        """The page of all processes."""
        self.write()
        told = [self._metrics.encode()]
        if self._folder is not None and self._folder.is_dir():
            for path in self._folder.iterdir():
                if path != self._path and not path.name.startswith("."):
                    with suppress(OSError):
                        told.append(path.read_bytes())
        return render(merge_metrics(told))


def render(metrics: Metrics) -> bytes:
    """What was counted, as Prometheus reads it."""
    from prometheus_client import generate_latest
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
    from prometheus_client.registry import Collector

    class All(Collector):  # type: ignore[misc]
        def collect(self):  # type: ignore[no-untyped-def]
            for name, (kind, help_, labels) in METRICS.items():
                if kind == "histogram":
                    family = HistogramMetricFamily(name, help_, labels=labels)
                    for key, one in metrics.histograms.items():
                        if key[0] == name:
                            family.add_metric(key[1:], _buckets(one.edges, one.counts), one.sum)
                else:
                    made = CounterMetricFamily if kind == "counter" else GaugeMetricFamily
                    family = made(name, help_, labels=labels)
                    values = metrics.counts if kind == "counter" else metrics.gauges
                    for key, value in values.items():
                        if key[0] == name:
                            family.add_metric(key[1:], value)
                yield family

    page: bytes = generate_latest(All())
    return page


def _buckets(edges: tuple[float, ...], counts: list[int]) -> list[tuple[str, int]]:
    told, seen = [], 0
    for edge, count in zip((*map(str, map(float, edges)), "+Inf"), counts, strict=True):
        seen += count
        told.append((edge, seen))
    return told
