"""Gates as they are written: `test.roc_auc >= 0.75`, `test.log_loss <= champion ± 0.001`."""

import re
from typing import Literal, get_args

import msgspec
from msgspec import Struct

from headrace.errors import SpecError, nearest
from headrace.spec.metrics import Metric, is_lower_better

Reference = Literal["champion", "baseline"]
_NUMBER = r"\d+(?:\.\d+)?(?:[eE][+-]?\d+)?"
_GATE = re.compile(
    rf"(validation|test)\.(\w+)\s*(>=|>|<=|<)\s*(-?{_NUMBER}|champion|baseline)(?:\s*(?:±|\+/?-)\s*({_NUMBER}))?"
)


class Gate(Struct, frozen=True):
    """What must hold before a model goes live: a metric of a split against a number, or against a
    rival on the same rows within a margin.
    """

    text: str
    split: Literal["validation", "test"]
    metric: Metric
    op: Literal[">=", ">", "<=", "<"]
    bound: float | Reference
    margin: float = 0.0


def parse_gate(text: str, where: str = "gates") -> Gate:
    """Reads a gate; raises `SpecError` where it is not one.

    >>> parse_gate("test.log_loss <= champion ± 0.001").margin
    0.001
    >>> parse_gate("test.roc_auc < baseline")
    Traceback (most recent call last):
    headrace.errors.SpecError: gates: 'test.roc_auc < baseline' asks to be worse; expected >= or > for roc_auc
    """
    found = _GATE.fullmatch(text.strip())
    if found is None:
        shape = "SPLIT.METRIC OP NUMBER|champion|baseline [± margin]"
        raise SpecError(where, f"{text!r}", shape, "such as test.roc_auc >= 0.75")
    split, metric, op, bound, margin = found.groups()
    metrics = list(get_args(Metric))
    if metric not in metrics:
        raise SpecError(where, f"{text!r} names no metric {metric!r}", "one of: " + ", ".join(metrics),
                        nearest(metric, metrics))  # fmt: skip
    read = {"text": text, "split": split, "metric": metric, "op": op}
    if bound not in get_args(Reference):
        if margin:
            raise SpecError(
                where,
                f"{text!r} has a margin beside a number",
                "a margin beside champion or baseline",
            )
        return msgspec.convert(read | {"bound": float(bound)}, Gate)
    if split != "test":
        raise SpecError(
            where,
            f"{text!r} compares on rows that choose the model",
            "the test split beside a rival",
        )
    if (op[0] == "<") != (is_lower_better(metric)):
        better = "<= or <" if is_lower_better(metric) else ">= or >"
        raise SpecError(where, f"{text!r} asks to be worse", f"{better} for {metric}")
    return msgspec.convert(read | {"bound": bound, "margin": float(margin or 0)}, Gate)
