"""What a terminal shows of a run, of runs, and of a look at the data."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.report.page import promotion, verdicts
from headrace.report.words import number
from headrace.tasks import task_of

if TYPE_CHECKING:
    from headrace.registry.compare import ComparisonDocument
    from headrace.run.document import RunDocument
    from headrace.run.exploration import ExplorationDocument

_STANDS = {True: "", False: "  refused", None: "  not decided"}


def describe_exploration(document: "ExplorationDocument", path: Path) -> str:
    """What the data is like, for a terminal; columns by what they say of the target."""
    relations, rows = document.relations, document.rows
    width = max(len(column.name) for column in document.columns)
    shares = list(document.balance.items())
    is_class = document.goal.task is not None and task_of(document.goal.task).HAS_CLASSES
    text = ", ".join(
        f"{name} {share:.1%}" if is_class else f"{name} {number(share)}"
        for name, share in shares[:8]
    )
    more = f" and {len(shares) - 8} more" if len(shares) > 8 else ""
    lines = [
        f"{document.goal.target}: {document.goal.task}, {text}{more}",
        f"rows: {rows.train:,} train, {rows.validation:,} validation, {rows.test:,} test",
        "",
        f"{'column':<{width}}  {'kind':<11}  missing  different  explains  why",
    ]
    for column in sorted(document.columns, key=lambda column: -relations.get(column.name, -1.0)):
        share = relations.get(column.name)
        explains = "" if share is None else f"{share:.1%}"
        lines.append(
            f"{column.name:<{width}}  {column.kind:<11}  {column.missing:>7.1%}  {column.distinct:>9,}  "
            f"{explains:>8}  {column.why}"
        )
    lines += ["", *(f"{one.severity}: {one.check}: {one.message}" for one in document.findings)]
    return "\n".join([*lines, f"\nWrote {path}"])


def describe_runs(runs: Any) -> str:
    """Runs, a line each."""
    lines = [
        f"{'model':<20}  {'created (UTC)':<19}  {'spec':<12}  {'test':>9}  {'baseline':>9}  family"
    ]
    for one in runs:
        stands = f"  {', '.join(one.aliases)}" if one.aliases else _STANDS[one.promoted]
        lines.append(
            f"{one.model:<20}  {one.created[:19]:<19}  {one.spec_hash:<12}  {number(one.test):>9}  "
            f"{number(one.baseline):>9}  {one.family}{stands}"
        )
    return "\n".join(lines) if runs else "no runs yet; the next one is `headrace run`"


def describe_features(features: Any) -> str:
    """Features, each with what it is, whose it is, how it is distributed and who uses it."""
    lines = []
    for one in features:
        lines.append(f"{one.name}  {one.definition}")
        if one.description or one.owner:
            lines.append(
                "    "
                + "  ".join([*filter(None, [one.description, one.owner and f"owner: {one.owner}"])])
            )
        lines.append(f"    of {'; '.join(one.inputs)}  {_distributed(one.distribution)}".rstrip())
        lines.append(
            f"    used by {', '.join(one.used_by)}" if one.used_by else "    used by no model yet"
        )
    return "\n".join(lines) if lines else "no features yet: no windows in the spec, and no run"


def _distributed(found: dict[str, Any] | None) -> str:
    if found is None:
        return ""
    missing = f"{found['missing']:.1%} missing"
    if found.get("at"):
        low, middle, high = (
            found["at"][round(q * (len(found["at"]) - 1))] for q in (0.05, 0.5, 0.95)
        )
        return f"5 %, 50 %, 95 %: {number(low)}, {number(middle)}, {number(high)}; {missing}"
    shares = list(found.get("shares", {}).items())[:3]
    return "; ".join([*(f"{value} {share:.0%}" for value, share in shares), missing])


def describe_comparison(found: "ComparisonDocument", page: Path) -> str:
    """How models compare on the same rows."""
    lines = [*verdicts(found), "", f"on {found.rows:,} test rows that all have", ""]
    lines.append(f"{'':<22}" + "".join(f"{model:>18}" for model in found.models))
    for name, values in found.metrics.items():
        lines.append(f"{name:<22}" + "".join(f"{number(value):>18}" for value in values))
    lines += ["", "asked differently:" if found.spec else "the specs are the same"]
    lines += [f"  {one.field}: " + " | ".join(map(str, one.values)) for one in found.spec]
    return "\n".join([*lines, "", f"Wrote {page}"])


def describe_run(run: "RunDocument") -> str:
    """What a run did, for a terminal."""
    metric = run.metric
    low, high = run.intervals[metric.name]
    lines = [f"{stage.name:<9} {stage.seconds:6.2f} s  {stage.what}" for stage in run.flow]
    if run.cached:
        lines = ["Nothing has changed since this run; --fresh does it again.", *lines]
        if run.promoted and run.alias is None:
            lines.insert(
                1, f"Its model is not the champion any more: that is version {run.champion} now."
            )
    lines += [f"{one.severity}: {one.message}" for one in run.findings]
    lines += [
        f"{'passed' if one.passed else 'FAILED'}: {one.gate} ({one.why})" for one in run.gates
    ]
    lines += [
        "",
        f"{run.model}: {run.winner.family} predicts {run.target}",
        "  " + promotion(run),
        f"  {metric.name}  validation {number(metric.validation)}  test {number(metric.test)}"
        f" ({number(low)} to {number(high)})  baseline {number(metric.baseline)}  {run.rows.test:,} test rows",
        "",
        f"  bundle  {run.bundle}",
        f"  report  {run.report}",
        f"  next    headrace verify {os.path.relpath(run.bundle)}",
    ]
    return "\n".join(lines)
