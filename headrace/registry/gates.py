"""Whether a model may go live: each gate with its value, its bound and the evidence."""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from headrace.evaluate import LEAST_ROWS, ModelPair, Treated
from headrace.spec import Gate, Metric, Treatment

_MOST_NAMED = 6
CHANCE = 0.025
"""A model that is as good as chance passes no more often."""
LEAST_EVENTS = {"baseline": 5, "champion": 10}
"""Rows of the rarer class that a comparison needs. Chance is told exactly whatever their number, but a model that goes
live on four events has shown little; the intervals beside a champion are resampled, and too narrow with fewer: of two
models of noise one was better for certain in 3 to 42 % of trials with 1 to 5 positives."""


class Result(Struct, frozen=True):
    """What became of one gate: `value` and `bound` are numbers that were compared; `interval` is
    that of the gain over a rival on the same rows.
    """

    gate: str
    value: float | None
    bound: float | None
    passed: bool
    why: str
    interval: list[float] | None = None


def judge(
    gates: list[Gate],
    metrics: Mapping[str, Mapping[str, float]],
    others: Mapping[str, ModelPair | str | None],
) -> list[Result]:
    """The result of every gate.

    Parameters: `metrics`, the model's by split; `others`, the model beside the champion and the
    baseline: none where there is no such one yet (its gates pass), a reason where it cannot be
    compared (they fail).
    """
    return [_judge(gate, metrics[gate.split][gate.metric], others) for gate in gates]


def _judge(gate: Gate, value: float, others: Mapping[str, ModelPair | str | None]) -> Result:
    if isinstance(gate.bound, float):
        holds = {
            ">=": value >= gate.bound,
            ">": value > gate.bound,
            "<=": value <= gate.bound,
            "<": value < gate.bound,
        }
        return Result(
            gate.text,
            value,
            gate.bound,
            holds[gate.op],
            f"{gate.split} {gate.metric} is {value:.4g}",
        )
    pair = others[gate.bound]
    if pair is None:
        return Result(gate.text, value, None, True, f"there is no {gate.bound} yet")
    if isinstance(pair, str):
        return Result(gate.text, value, None, False, f"the {gate.bound} cannot be compared: {pair}")
    return _compare(gate, pair)


def _compare(gate: Gate, pair: ModelPair) -> Result:
    """By the paired interval, not by the point: the model must be no worse than the other for
    certain, but for the margin. Against the baseline it must beat chance too, which is told
    exactly.
    """
    assert not isinstance(gate.bound, float)
    is_baseline = gate.bound == "baseline"
    value, bound, (low, high) = (
        pair.gain_over_baseline(gate.metric) if is_baseline else pair.gain(gate.metric)
    )
    least, rarer = LEAST_EVENTS[gate.bound], pair.rarer_rows()
    if rarer is not None and rarer < least:
        why = (
            f"too few rows of the rarer class to tell: {rarer} of {len(pair):,}, {least} are needed"
        )
        return Result(gate.text, value, bound, False, why, [low, high])

    passed = low > -gate.margin if gate.op in ("<", ">") else low >= -gate.margin
    margin = f", a margin of {gate.margin:g} allowed" if gate.margin else ""
    why = f"better by {low:.3g} to {high:.3g} (95 %) on {len(pair):,} rows{margin}"
    if is_baseline and passed and not gate.margin:
        chance = pair.chance(gate.metric)
        passed = chance <= CHANCE
        why += f"; by chance in {chance:.1%} of trials" + (
            "" if passed else f", {CHANCE:.1%} are allowed"
        )
    return Result(gate.text, value, bound, bool(passed), why, [low, high])


def not_worse(metric: Metric, pair: ModelPair | str | None) -> list[Result]:
    """The gate of whoever states none beside the champion: a model that is worse for certain does
    not go live.

    None where there is no champion, or it cannot be compared.
    """
    if not isinstance(pair, ModelPair):
        return []
    value, bound, (low, high) = pair.gain(metric)
    rarer = pair.rarer_rows()
    worse = high < 0 and (rarer is None or rarer >= LEAST_EVENTS["champion"])
    why = f"better by {low:.3g} to {high:.3g} (95 %) on {len(pair):,} rows"
    why += "; a gate beside the champion with a margin would allow it" if worse else ""
    return [
        Result(f"test.{metric} not worse than champion", value, bound, not worse, why, [low, high])
    ]


def parity(largest: float, allowed: float) -> Result:
    """The gate that every model meets: its graph predicts what its trainer does."""
    why = "largest difference between the graph and its trainer"
    return Result(f"parity <= {allowed:g}", largest, allowed, largest <= allowed, why)


def latency(p99_ms: float, allowed_ms: float) -> Result:
    """The gate of `requirements.latency_p99_ms`."""
    why = "99th percentile of single rows"
    return Result(
        f"latency_p99_ms <= {allowed_ms:g}", p99_ms, allowed_ms, p99_ms <= allowed_ms, why
    )


def throughput(rows_per_s: float, required: float, how: str) -> Result:
    """The gate of `requirements.throughput_rps`; `how` says what was measured."""
    return Result(
        f"throughput_rps >= {required:g}", rows_per_s, required, rows_per_s >= required, how
    )


def fairness(treated: list[Treated], max_gap: Mapping[Treatment, float]) -> list[Result]:
    """The gates of `evaluate.fairness.max_gap` for each attribute."""
    results = []
    for column in treated:
        for measure, bound in max_gap.items():
            gap = column.gaps[measure]
            groups = [group for group in column.groups if measure in group.compared]
            groups.sort(key=lambda group: group.mean(measure))
            shown = (
                groups if len(groups) <= _MOST_NAMED else [*groups[: _MOST_NAMED - 1], groups[-1]]
            )
            why = ", ".join(f"{group.group} {group.mean(measure):.3g}" for group in shown)
            why += "" if shown == groups else f" and {len(groups) - len(shown)} between"
            if gap is None:
                why = f"fewer than two groups have {LEAST_ROWS} test rows that count for it, so nothing is shown"
            name = f"{measure} by {column.attribute} within {bound:g}"
            results.append(Result(name, gap, bound, gap is not None and gap <= bound, why))
    return results


def as_dicts(results: list[Result]) -> list[dict[str, Any]]:
    """Results as plain values, for documents and the journal."""
    plain: list[dict[str, Any]] = msgspec.to_builtins(results)
    return plain
