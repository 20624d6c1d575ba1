"""Describes a rollout for people: as text, and as a page of its own."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from headrace.report.charts import plot_sequence, render_svg
from headrace.report.page import load_template
from headrace.report.words import count_words, format_number

if TYPE_CHECKING:
    from headrace.loop.page import RolloutPage

_MOST_OF_PLAN = 5.0
"""An axis reaches so many times the planned effect at most, on either side."""


def render_rollout(page: "RolloutPage") -> str:
    """Render the page of a rollout: the verdict first."""
    text: str = load_template("rollout.html").render(
        page=page,
        status=page.status,
        sequences=_draw_sequences(page),
        percent=_percent,
        number=_number,
        interval=_describe_interval,
        is_bad=page.status.verdict.action in ("stop", "pause"),
    )
    return text


def _draw_sequences(page: "RolloutPage") -> list[tuple[str, str]]:
    """Draw how the interval of each metric of each arm narrowed."""
    drawings = []
    arms = dict.fromkeys(one.arm for one in page.status.metrics)
    for metric in page.metrics:
        for arm in arms:
            moments = _list_moments(page, metric.name, arm)
            if len(moments) < 2:
                continue
            title = f"{metric.name} of {arm}"
            chart = plot_sequence(
                moments, "lift", _find_bounds(metric, moments), _list_rules(metric)
            )
            drawings.append((title, render_svg(chart, title)))
    return drawings


def _list_moments(page: "RolloutPage", metric: str, arm: str) -> list[dict[str, Any]]:
    """List the interval of a metric at each time; the lift, or the effect where it has none."""
    moments = []
    for moment in page.moments:
        for one in moment.metrics:
            if (one.metric, one.arm) != (metric, arm):
                continue
            interval = one.lift if one.lift.point is not None else one.effect
            if interval.point is not None:
                moments.append(
                    {
                        "at": datetime.fromtimestamp(moment.at_us / 1e6, UTC).isoformat(),
                        "low": -1e9 if interval.low is None else interval.low,
                        "point": interval.point,
                        "high": 1e9 if interval.high is None else interval.high,
                    }
                )
    return moments


def _find_bounds(metric: Any, moments: list[dict[str, Any]]) -> tuple[float, float]:
    """Choose the bounds of an axis: the last interval and the plan fit, early ones need not."""
    last = moments[-1]
    plan = metric.effect if metric.tolerance == 0.0 else metric.margin
    most = max(
        _MOST_OF_PLAN * plan,
        *(abs(last[end]) for end in ("low", "high", "point") if abs(last[end]) < 1e6),
    )
    return -1.2 * min(most, 1.0), 1.2 * most


def _list_rules(metric: Any) -> dict[str, float]:
    """List the lines that matter: no difference, the planned effect, the margin."""
    sign = -1.0 if metric.wants_less else 1.0
    rules = {"no difference": 0.0}
    if metric.role == "watch":
        return rules
    if metric.tolerance == 0.0:
        return rules | {"planned": sign * metric.effect}
    return rules | {"margin": -sign * metric.margin}


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
        if metric.asymptotic is not None:
            low, point, high = metric.asymptotic
            ends = f"{_percent(low)} to {_percent(high)}"
            lines.append(f"{'':<16}  as a ratio of sums, asymptotic: {_percent(point)} ({ends})")
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
    for finding in status.findings:
        lines.append(f"{finding.severity}: {finding.message}")
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
    if point is None:
        return "nothing is known yet"
    return f"{_number(point)} ({_number(low)} to {_number(high)})"


def _number(value: float | None) -> str:
    return "-" if value is None else format_number(value)


def _percent(share: float | None) -> str:
    return "unbounded" if share is None else f"{100 * share:+.1f} %"
