"""The Prometheus page: the counts of all processes of the service.

    process 1 ──> FOLDER/4711-a1b2c3 ──┐
    process 2 ──> FOLDER/4712-d4e5f6 ──┼──> merge_metrics ──> the page of the process that is asked
    process 3 ──> FOLDER/4713-f7a8b9 ──┘

Each process writes its file every second (`Ledger`). The counts of a process that has ended stay;
one that was killed takes the counts of its last second with it.
"""

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from headrace.serve.metrics.metrics import Labels, Metrics, merge_metrics

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
        "Values that were missing in rows, by column.",
        ("model", "column"),
    ),
    "headrace_unseen": (
        "counter",
        "Values that were in no training row, by column.",
        ("model", "column"),
    ),
    "headrace_store_failures": (
        "counter",
        "Batches whose window features could not be read from the store.",
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
        "New versions that were put into service or refused.",
        ("model", "outcome"),
    ),
    "headrace_served_version": (
        "gauge",
        "Processes that serve a version by an alias.",
        ("model", "alias", "version"),
    ),
    "headrace_logged": ("counter", "Predictions appended to the log.", ()),
    "headrace_log_lost": ("counter", "Predictions that the log refused.", ()),
    "headrace_outcomes": (
        "counter",
        "Outcomes: taken, and then late, orphaned or clipped.",
        ("model", "kind"),
    ),
    "headrace_arm_failures": (
        "counter",
        "Rows on which an arm of a rollout failed: errors, or unread.",
        ("model", "arm", "kind"),
    ),
    "headrace_unassigned": (
        "counter",
        "Rows of a rollout that brought no unit; the champion answered them.",
        ("model",),
    ),
    "headrace_shadow_rows": (
        "counter",
        "Logged rows that a shadow scored, or could not score.",
        ("model", "outcome"),
    ),
    "headrace_rollout_stage": ("gauge", "The stage of the live rollout.", ("model", "stage")),
    "headrace_rollout_share": (
        "gauge",
        "The share of an arm of the live rollout.",
        ("model", "arm", "version"),
    ),
    "headrace_rollout_effect": (
        "gauge",
        "The effect of an arm beside the champion: the ends and the middle of its interval.",
        ("model", "metric", "arm", "end"),
    ),
    "headrace_rollout_mismatch": (
        "gauge",
        "The p-value of the shares of the arms; below 0.001 the rollout pauses.",
        ("model",),
    ),
}
"""Each metric by its name: its type, its help text and its labels."""


class Ledger:
    """A folder in which the processes of a service leave their counts, a file each.

    Without a folder there is one process, which writes nothing.
    """

    def __init__(self, folder: Path | None, metrics: Metrics) -> None:
        self._metrics = metrics
        self._folder = folder
        self._path = None if folder is None else folder / f"{os.getpid()}-{os.urandom(3).hex()}"

    def write(self) -> None:
        """Write the counts of this process; a disk that refuses stops no service."""
        if self._path is None:
            return
        with suppress(OSError):
            draft = self._path.with_name(f".{self._path.name}")
            draft.write_bytes(self._metrics.encode())
            draft.replace(self._path)

    def close(self) -> None:
        """Write the counts that stay after this process; gauges say how things are, and end."""
        self._metrics.gauges.clear()
        self.write()

    def remove(self) -> None:
        """Remove the folder, for a parent that is gone and cannot."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def page(self) -> bytes:
        """Render the page of all processes."""
        self.write()
        contents = [self._metrics.encode()]
        if self._folder is not None and self._folder.is_dir():
            for path in self._folder.iterdir():
                if path != self._path and not path.name.startswith("."):
                    with suppress(OSError):
                        contents.append(path.read_bytes())
        return render(merge_metrics(contents))


def render(metrics: Metrics) -> bytes:
    """Render counts in the text format of Prometheus."""
    from prometheus_client import generate_latest
    from prometheus_client.registry import Collector

    class AllMetrics(Collector):  # type: ignore[misc]
        def collect(self) -> Iterator[Any]:
            return _build_families(metrics)

    page: bytes = generate_latest(AllMetrics())
    return page


def _build_families(metrics: Metrics) -> Iterator[Any]:
    """Yield the families of prometheus_client, one for each metric of `METRICS`."""
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

    for name, (kind, help_text, labels) in METRICS.items():
        if kind == "histogram":
            family = HistogramMetricFamily(name, help_text, labels=labels)
            for key, histogram in metrics.histograms.items():
                if key[0] == name:
                    buckets = _sum_up(histogram.edges, histogram.counts)
                    family.add_metric(key[1:], buckets, histogram.sum)
        elif kind == "counter":
            family = CounterMetricFamily(name, help_text, labels=labels)
            _add_values(family, name, metrics.counts)
        else:
            family = GaugeMetricFamily(name, help_text, labels=labels)
            _add_values(family, name, metrics.gauges)
        yield family


def _add_values(family: Any, name: str, values: Mapping[Labels, float]) -> None:
    """Add the values of the metric `name` to its family."""
    for key, value in values.items():
        if key[0] == name:
            family.add_metric(key[1:], value)


def _sum_up(edges: tuple[float, ...], counts: list[int]) -> list[tuple[str, int]]:
    """Return the buckets as Prometheus wants them: how many values are at most each edge.

    >>> _sum_up((1.0, 2.0), [5, 0, 2])
    [('1.0', 5), ('2.0', 5), ('+Inf', 7)]
    """
    buckets = []
    total = 0
    for edge, count in zip((*map(str, map(float, edges)), "+Inf"), counts, strict=True):
        total += count
        buckets.append((edge, total))
    return buckets
