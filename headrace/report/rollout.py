"""Describes a rollout for people: as text, and as a page of its own."""

from typing import Any

from headrace.report.words import count_words, format_number


def describe_status(status: Any) -> str:
    """Describe the status of a rollout: verdict first, then arms, metrics and guards."""
    if status.rollout is None:
        return f"{status.name}: {status.verdict.say}"
    lines = [
        status.verdict.say,
        "",
        f"{status.rollout}: {status.stage}, phase {status.phase}, since {status.since[:19]}",
        "",
        f"{'arm':<16}  {'version':>7}  {'share':>6}  {'units':>10}  {'closed':>10}",
    ]
    for arm in status.arms:
        lines.append(
            f"{arm.arm:<16}  {arm.version:>7}  {arm.share:>6.3g}  {arm.units:>10,}  "
            f"{arm.closed:>10,}"
        )
    if status.metrics:
        lines += ["", _METRIC_HEAD]
    for metric in status.metrics:
        shown = "  shown" if metric.shown else ""
        lines.append(
            f"{metric.metric:<16}  {metric.arm:<12}  {metric.role:<5}  "
            f"{_number(metric.value):>9}  {_number(metric.champion):>9}  "
            f"{_describe_interval(metric)}{shown}"
        )
    if status.guards:
        lines += ["", f"{'guard':<16}  {'arm':<12}  {'value':>9}  {'champion':>9}  margin"]
    for guard in status.guards:
        lines.append(
            f"{guard.guard:<16}  {guard.arm:<12}  {_number(guard.value):>9}  "
            f"{_number(guard.champion):>9}  {guard.margin:g}: {guard.judgement}"
        )
    counted = [count_words(count, name) for name, count in status.counts.items() if count]
    if counted:
        lines += ["", "counted: " + ", ".join(counted)]
    return "\n".join(lines)


_METRIC_HEAD = (
    f"{'metric':<16}  {'arm':<12}  {'role':<5}  {'value':>9}  {'champion':>9}  lift or effect"
)


def _describe_interval(metric: Any) -> str:
    """Describe the lift of a metric, or its effect where it has no lift."""
    low, point, high = metric.lift
    if point is not None:
        return f"{_percent(point)} ({_percent(low)} to {_percent(high)})"
    low, point, high = metric.effect
    return f"{_number(point)} ({_number(low)} to {_number(high)})"


def _number(value: float | None) -> str:
    return "-" if value is None else format_number(value)


def _percent(share: float | None) -> str:
    return "unbounded" if share is None else f"{100 * share:+.1f} %"
