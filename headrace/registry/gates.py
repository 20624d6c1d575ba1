"""Judge whether a model may go live: each gate with its value, its bound and the evidence.

A comparison decides by the paired 95 % interval of the gain, not by the point:

    worse ────────────0──────────── better
             [──────]                  worse for certain: fails, and stays out without a gate, too
                 [──────]              not shown to be better: fails `>`, passes within a margin
                       [──────]        better for certain: passes
"""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from headrace.evaluate import LEAST_ROWS, ModelPair, Treated
from headrace.report import describe_gain
from headrace.spec import Gate, Metric, Treatment

_MOST_NAMED = 6
CHANCE = 0.025
"""A model that is as good as chance passes no more often."""
LEAST_EVENTS = {"baseline": 5, "champion": 10}
"""The rows of the rarer class that a comparison needs.

The test against chance is exact for any number, but a model that goes live on four events has
shown little. The intervals against a champion are resampled, and too narrow with fewer rows: of two
models of noise, one was better for certain in 3 to 42 % of trials with 1 to 5 positives."""


class Result(Struct, frozen=True):
    """The result of one gate.

    `value` and `bound` are the numbers that were compared; `interval` is the 95 % interval of the
    gain over the other model on the same rows.
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
    """Judge every gate.

    Parameters: `metrics`, the model's by split; `others`, the pairs of the model with the champion
    and with the baseline. In the place of a pair, None means that there is no such model yet (its
    gates pass), and a text why the two cannot be compared (they fail).
    """
    return [_judge_gate(gate, metrics[gate.split][gate.metric], others) for gate in gates]


def _judge_gate(gate: Gate, value: float, others: Mapping[str, ModelPair | str | None]) -> Result:
    if isinstance(gate.bound, float):
        holds = {
            ">=": value >= gate.bound,
            ">": value > gate.bound,
            "<=": value <= gate.bound,
            "<": value < gate.bound,
        }
        why = f"{gate.split} {gate.metric} is {value:.4g}"
        return Result(gate.text, value, gate.bound, holds[gate.op], why)

    pair = others[gate.bound]
    if pair is None:
        return Result(gate.text, value, None, True, f"there is no {gate.bound} yet")
    if isinstance(pair, str):
        return Result(gate.text, value, None, False, f"the {gate.bound} cannot be compared: {pair}")
    return _compare(gate, pair)


def _compare(gate: Gate, pair: ModelPair) -> Result:
    """Judge by the paired interval: the model must be certainly no worse, a margin aside.

    Against the baseline it must beat chance as well, by an exact test.
    """
    assert not isinstance(gate.bound, float)
    is_baseline = gate.bound == "baseline"
    gain = pair.gain_over_baseline(gate.metric) if is_baseline else pair.gain(gate.metric)
    value, bound, (low, high) = gain
    least = LEAST_EVENTS[gate.bound]
    rarer = pair.rarer_rows()
    if rarer is not None and rarer < least:
        counts = f"{rarer} of {len(pair):,}, {least} are needed"
        why = f"too few rows of the rarer class to tell: {counts}"
        return Result(gate.text, value, bound, False, why, [low, high])

    passed = low > -gate.margin if gate.op in ("<", ">") else low >= -gate.margin
    margin = f", with a margin of {gate.margin:g} allowed" if gate.margin else ""
    why = f"{describe_gain(low, high)} (95 %) on {pair.describe()}{margin}"
    if is_baseline and passed and not gate.margin:
        chance = pair.chance(gate.metric)
        passed = chance <= CHANCE
        why += f"; chance does as well in {chance:.1%} of trials"
        why += "" if passed else f", at most {CHANCE:.1%} is allowed"
    return Result(gate.text, value, bound, bool(passed), why, [low, high])


def not_worse(metric: Metric, pair: ModelPair | str | None) -> list[Result]:
    """Refuse a model that is worse than the champion for certain, where no gate names the champion.

    Return no result where there is no champion, or where the two cannot be compared.
    """
    if not isinstance(pair, ModelPair):
        return []
    value, bound, (low, high) = pair.gain(metric)
    rarer = pair.rarer_rows()
    worse = high < 0 and (rarer is None or rarer >= LEAST_EVENTS["champion"])
    why = f"{describe_gain(low, high)} (95 %) on {pair.describe()}"
    why += "; a gate against the champion with a margin could allow it" if worse else ""
    name = f"test.{metric} not worse than champion"
    return [Result(name, value, bound, not worse, why, [low, high])]


def parity(largest: float, allowed: float) -> Result:
    """Judge that the graph of a model predicts what its trainer predicts; every model must."""
    why = "largest difference between the graph and its trainer"
    return Result(f"parity <= {allowed:g}", largest, allowed, largest <= allowed, why)


def latency(p99_ms: float, allowed_ms: float) -> Result:
    """Judge `requirements.latency_p99_ms`."""
    name = f"latency_p99_ms <= {allowed_ms:g}"
    why = "99th percentile of single rows"
    return Result(name, p99_ms, allowed_ms, p99_ms <= allowed_ms, why)


def throughput(rows_per_s: float, required: float, how: str) -> Result:
    """Judge `requirements.throughput_rps`; `how` says in words what was measured."""
    name = f"throughput_rps >= {required:g}"
    return Result(name, rows_per_s, required, rows_per_s >= required, how)


def fairness(treated: list[Treated], max_gap: Mapping[Treatment, float]) -> list[Result]:
    """Judge `evaluate.fairness.max_gap` for each attribute."""
    results = []
    for column in treated:
        for measure, bound in max_gap.items():
            name = f"{measure} by {column.attribute} within {bound:g}"
            gap = column.gaps[measure]
            passed = gap is not None and gap <= bound
            results.append(Result(name, gap, bound, passed, _list_groups(column, measure)))
    return results


def _list_groups(column: Treated, measure: Treatment) -> str:
    """List the groups of an attribute with their values, the lowest first."""
    if column.gaps[measure] is None:
        few = f"fewer than two groups have {LEAST_ROWS} test rows that count for it"
        return f"{few}, so there is no gap to judge"
    groups = [group for group in column.groups if measure in group.compared]
    groups.sort(key=lambda group: group.mean(measure))
    shown = groups
    if len(groups) > _MOST_NAMED:
        shown = [*groups[: _MOST_NAMED - 1], groups[-1]]
    values = ", ".join(f"{group.group} {group.mean(measure):.3g}" for group in shown)
    if len(shown) == len(groups):
        return values
    return f"{values}, and {len(groups) - len(shown)} more in between"


def as_dicts(results: list[Result]) -> list[dict[str, Any]]:
    """Return results as plain values, for documents and the journal."""
    plain: list[dict[str, Any]] = msgspec.to_builtins(results)
    return plain
