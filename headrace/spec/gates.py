"""Gates as a spec states them: `test.roc_auc >= 0.75`, `test.log_loss <= champion ± 0.001`."""

import re
from typing import Literal, get_args

import msgspec
from msgspec import Struct

from headrace.errors import SpecError, nearest
from headrace.spec.metrics import (
    METRICS,
    Metric,
    describe_metrics,
    find_metric,
    is_lower_better,
)

Reference = Literal["champion", "baseline"]
_NUMBER = r"\d+(?:\.\d+)?(?:[eE][+-]?\d+)?"
_GATE = re.compile(
    rf"(validation|test)\.(\w+)\s*"
    rf"(>=|>|<=|<)\s*(-?{_NUMBER}|champion|baseline)"
    rf"(?:\s*(?:±|\+/?-)\s*({_NUMBER}))?"
)


class Gate(Struct, frozen=True):
    """A condition that a model must meet before it goes live.

    It compares a metric of a split with a number, or with the metric of the champion or the
    baseline on the same rows, within a margin:

        test.log_loss <= champion ± 0.001
        │    │        │  │          └ margin
        │    │        │  └ bound
        │    │        └ op
        │    └ metric
        └ split
    """

    text: str
    split: Literal["validation", "test"]
    metric: Metric
    op: Literal[">=", ">", "<=", "<"]
    bound: float | Reference
    margin: float = 0.0


def parse_gate(text: str, where: str = "gates") -> Gate:
    """Parse a gate; raise `SpecError` at `where` for a text that is not one.

    >>> parse_gate("test.log_loss <= champion ± 0.001").margin
    0.001
    >>> parse_gate("test.roc_auc < baseline")
    Traceback (most recent call last):
    headrace.errors.SpecError: gates: 'test.roc_auc < baseline' asks to be worse; \
expected >= or > for roc_auc
    """
    match = _GATE.fullmatch(text.strip())
    if match is None:
        shape = "SPLIT.METRIC OP NUMBER|champion|baseline [± margin]"
        raise SpecError(where, f"{text!r}", shape, "such as test.roc_auc >= 0.75")
    split, metric, op, bound, margin = match.groups()

    if find_metric(metric) is None:
        hint = nearest(metric, list(METRICS))
        found = f"{text!r} names no metric {metric!r}"
        raise SpecError(where, found, describe_metrics(), hint)
    fields = {"text": text, "split": split, "metric": metric, "op": op}

    if bound not in get_args(Reference):
        if margin:
            found = f"{text!r} has a margin with a number"
            raise SpecError(where, found, "a margin only with champion or baseline")
        return msgspec.convert(fields | {"bound": float(bound)}, Gate)

    if split != "test":
        found = f"{text!r} compares on the rows that choose the model"
        raise SpecError(where, found, "the test split with champion or baseline")
    if (op[0] == "<") != (is_lower_better(metric)):
        better = "<= or <" if is_lower_better(metric) else ">= or >"
        raise SpecError(where, f"{text!r} asks to be worse", f"{better} for {metric}")
    return msgspec.convert(fields | {"bound": bound, "margin": float(margin or 0)}, Gate)
