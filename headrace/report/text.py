"""Formats results for a terminal: a run, a list of runs, a comparison, features, the data."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.report.page import describe_promotion, describe_verdicts
from headrace.report.words import format_number
from headrace.tasks import find_task

if TYPE_CHECKING:
    from headrace.registry.compare import ComparisonDocument
    from headrace.run.document import RunDocument
    from headrace.run.exploration import ExplorationDocument

_PROMOTED = {True: "", False: "  refused", None: "  not decided"}
_MOST_SHARES = 8


def describe_exploration(document: "ExplorationDocument", path: Path) -> str:
    """Describe the data; the columns that explain most of the target come first."""
    relations = document.relations
    rows = document.rows
    width = max(len(column.name) for column in document.columns)
    lines = [
        f"{document.goal.target}: {document.goal.task}, {_describe_balance(document)}",
        f"rows: {rows.train:,} train, {rows.validation:,} validation, {rows.test:,} test",
        "",
        f"{'column':<{width}}  {'kind':<11}  missing  different  explains  why",
    ]

    # columns that are no feature explain nothing, and come last
    for column in sorted(document.columns, key=lambda column: -relations.get(column.name, -1.0)):
        share = relations.get(column.name)
        explains = "" if share is None else f"{share:.1%}"
        lines.append(
            f"{column.name:<{width}}  {column.kind:<11}  {column.missing:>7.1%}  "
            f"{column.distinct:>9,}  {explains:>8}  {column.why}"
        )
    lines.append("")
    lines += _list_findings(document.findings)
    return "\n".join([*lines, f"\nWrote {path}"])


def _describe_balance(document: "ExplorationDocument") -> str:
    """List the shares of the classes, or the quantiles of the target, the first eight of them."""
    task = document.goal.task
    is_share = task is not None and find_task(task).HAS_CLASSES
    items = list(document.balance.items())
    texts = []
    for name, value in items[:_MOST_SHARES]:
        texts.append(f"{name} {value:.1%}" if is_share else f"{name} {format_number(value)}")
    more = f" and {len(items) - _MOST_SHARES} more" if len(items) > _MOST_SHARES else ""
    return ", ".join(texts) + more


def _list_findings(findings: Any) -> list[str]:
    return [f"{finding.severity}: {finding.check}: {finding.message}" for finding in findings]


def describe_runs(runs: Any) -> str:
    """Describe runs, one line each.

    model     created (UTC)        spec          test    baseline  family
    ads@2     2026-11-25T03:18:59  1f2e3d4c5b6a  0.9284       0.5  gbdt  champion
    ads@3     2026-11-26T08:00:12  0a9b8c7d6e5f  0.9101       0.5  linear  refused
    """
    if not runs:
        return "no runs yet; the next one is `headrace run`"
    lines = [
        f"{'model':<20}  {'created (UTC)':<19}  {'spec':<12}  {'test':>9}  {'baseline':>9}  family"
    ]
    for run in runs:
        state = f"  {', '.join(run.aliases)}" if run.aliases else _PROMOTED[run.promoted]
        lines.append(
            f"{run.model:<20}  {run.created[:19]:<19}  {run.spec_hash:<12}  "
            f"{format_number(run.test):>9}  {format_number(run.baseline):>9}  {run.family}{state}"
        )
    return "\n".join(lines)


def describe_features(features: Any) -> str:
    """Describe features: definition, owner, inputs, distribution, and the models that use them."""
    if not features:
        return "no features yet: no windows in the spec, and no run"
    lines = []
    for feature in features:
        lines.append(f"{feature.name}  {feature.definition}")
        owner = f"owner: {feature.owner}" if feature.owner else ""
        if feature.description or owner:
            lines.append("    " + "  ".join(filter(None, [feature.description, owner])))
        distribution = _describe_distribution(feature.distribution)
        lines.append(f"    of {'; '.join(feature.inputs)}  {distribution}".rstrip())
        lines.append(f"    used by {', '.join(feature.used_by) or 'no model yet'}")
    return "\n".join(lines)


def _describe_distribution(distribution: dict[str, Any] | None) -> str:
    """Describe quantiles of numbers or shares of values, and the share that is missing.

    >>> _describe_distribution({"missing": 0.1, "shares": {"de": 0.5, "fr": 0.25}})
    'de 50%; fr 25%; 10.0% missing'
    >>> _describe_distribution({"missing": 0.0, "at": [1.0, 2.0, 3.0, 4.0, 5.0]})
    '5 %, 50 %, 95 %: 1.00, 3.00, 5.00; 0.0% missing'
    """
    if distribution is None:
        return ""
    missing = f"{distribution['missing']:.1%} missing"
    quantiles = distribution.get("at")
    if quantiles:
        last = len(quantiles) - 1
        levels = [format_number(quantiles[round(level * last)]) for level in (0.05, 0.5, 0.95)]
        return f"5 %, 50 %, 95 %: {', '.join(levels)}; {missing}"
    shares = list(distribution.get("shares", {}).items())[:3]
    return "; ".join([*(f"{value} {share:.0%}" for value, share in shares), missing])


def describe_comparison(document: "ComparisonDocument", page: Path) -> str:
    """Describe how models compare on the same rows."""
    lines = describe_verdicts(document)
    lines += ["", f"on the {document.rows:,} test rows that all of them have", ""]
    lines.append(f"{'':<22}" + "".join(f"{model:>18}" for model in document.models))
    for name, values in document.metrics.items():
        lines.append(f"{name:<22}" + "".join(f"{format_number(value):>18}" for value in values))
    lines += ["", "fields that differ:" if document.spec else "the specs are the same"]
    for change in document.spec:
        lines.append(f"  {change.field}: " + " | ".join(map(str, change.values)))
    return "\n".join([*lines, "", f"Wrote {page}"])


def describe_run(run: "RunDocument") -> str:
    """Describe a run: its stages, findings, gates and metric, and where its files are."""
    lines = []
    if run.cached:
        lines.append("Nothing has changed since this run; --fresh runs everything again.")
        if run.promoted and run.alias is None:
            champion = f"version {run.champion} is now."
            lines.append(f"Its model is no longer the champion: {champion}")
    lines += [f"{stage.name:<9} {stage.seconds:6.2f} s  {stage.what}" for stage in run.flow]
    lines += [f"{finding.severity}: {finding.message}" for finding in run.findings]
    for gate in run.gates:
        lines.append(f"{'passed' if gate.passed else 'FAILED'}: {gate.gate} ({gate.why})")

    metric = run.metric
    low, high = map(format_number, run.intervals[metric.name])
    validation, test, baseline = map(
        format_number, (metric.validation, metric.test, metric.baseline)
    )
    lines += [
        "",
        f"{run.model}: {run.winner.family} predicts {run.target}",
        "  " + describe_promotion(run),
        f"  {metric.name}  validation {validation}  test {test} ({low} to {high})"
        f"  baseline {baseline}"
        f"  {run.rows.test:,} test rows",
        "",
        f"  bundle  {run.bundle}",
        f"  report  {run.report}",
    ]
    return "\n".join(lines)
