"""The pages that a person reads: one self-contained file each, made from the plain document of a run."""

import math
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.report.drawings import drawings, overlaid, worst_confusions
from headrace.report.words import label, number

if TYPE_CHECKING:
    from headrace.registry.compare import ComparisonDocument
    from headrace.run.document import CandidateReport, RunDocument

_CANDIDATES_LISTED = 6
_THRESHOLDS_LISTED = 12


def report_page(run: "RunDocument") -> str:
    """The report of a run (the document of `run.json` with its curves): verdict first, then how it came about."""
    page: str = template("report.html").render(run=run, charts=drawings(run), **_words(run))
    return page


def card_page(run: "RunDocument") -> str:
    """The model card: what the model is for, what it was trained on, how good it is and what it takes."""
    page: str = template("card.html").render(run=run, **_words(run))
    return page


def compare_page(found: "ComparisonDocument") -> str:
    """Models side by side: which is better for certain, metrics, curves, and what was asked differently."""
    page: str = template("compare.html").render(
        found=found,
        verdicts=verdicts(found),
        charts=overlaid(found),
        label=label,
        number=number,
    )
    return page


def verdicts(found: "ComparisonDocument") -> list[str]:
    """One sentence for each model beside the first."""
    metric, (first, *others) = found.metric, found.models
    lines = []
    for other, (low, high) in zip(others, found.gains[metric], strict=True):
        word = (
            "better" if low > 0 else "worse" if high < 0 else "neither better nor worse for certain"
        )
        how = f"by {number(low)} to {number(high)} of {label(metric)} (95 %)"
        lines.append(f"{other} is {word} than {first}: {how}.")
    return lines


def _words(run: "RunDocument") -> dict[str, Any]:
    """What the templates of a run say beside its document."""
    table = run.thresholds or []
    return {
        "label": label,
        "number": number,
        "metric": run.metric.name,
        "verdict": _verdict(run),
        "promotion": promotion(run) if run.promoted is not None else "",
        "comparison": _compare(run),
        "confused": worst_confusions(run),
        "best": _best(run),
        "thresholds": table[:: max(1, len(table) // _THRESHOLDS_LISTED)],
    }


def _best(run: "RunDocument") -> list[dict[str, Any]]:
    """The baseline, what ships and the best of the rest, each with the settings that its family varies."""
    sign = -1 if run.metric.higher_is_better else 1
    baseline, *others = run.candidates
    ranked = sorted(
        others,
        key=lambda one: (not one.weight, sign * one.value if one.value is not None else math.inf),
    )
    shown = [*ranked[:_CANDIDATES_LISTED], baseline]
    listed = []
    for one in shown:
        family = [other for other in shown if other.family == one.family]
        row = {
            "family": one.family,
            "value": one.value,
            "weight": one.weight,
            "seconds": one.seconds,
        }
        listed.append(row | {"settings": _settings(one, family)})
    return listed


def _settings(one: "CandidateReport", family: list["CandidateReport"]) -> str:
    """The settings of a candidate that are not the same in all of its family."""
    varied = []
    for name, value in (one.params or {}).items():
        if value is not None and any((other.params or {})[name] != value for other in family):
            text = value if isinstance(value, str | bool) else number(value)
            varied.append(f"{name.replace('_', ' ')} {text}")
    encodings = [f"{kind} as {' + '.join(encode)}" for kind, encode in one.encode.items()]
    return ", ".join([*varied, *encodings])


def _verdict(run: "RunDocument") -> str:
    metric, family = run.metric, run.winner.family
    name, value, base = label(metric.name), metric.test, metric.baseline
    if (
        value is not None
        and base is not None
        and (value > base if metric.higher_is_better else value < base)
    ):
        model = f"A {family} model" if len(run.winner.members) == 1 else f"An {family}"
        low, high = run.intervals[metric.name]
        certain = f" (95 % interval {number(low)} to {number(high)})"
        return f"{model} reaches a test {name} of {number(value)}{certain}; the baseline stands at {number(base)}."
    short = (
        f"the model's test {name} of {number(value)} does not beat the baseline's {number(base)}"
    )
    return f"Nothing learned: {short}."


def _compare(run: "RunDocument") -> str:
    """How the model compares with the champion of its time."""
    found = run.comparison
    if found is None:
        return ""
    champion = f"the champion of then, version {found.version},"
    if found.gain is None or found.values is None:
        return f"It could not be compared with {champion} since {found.why}."
    low, high = found.gain
    how = "better" if low > 0 else "worse" if high < 0 else "neither better nor worse for certain"
    own, other = map(number, found.values)
    return (
        f"Beside {champion} it is {how}: {own} to {other}, a gain of {number(low)} to {number(high)} (95 %) on the "
        f"{found.rows:,} test rows that neither was fitted on."
    )


def promotion(run: "RunDocument") -> str:
    """Whether the model went live, and why or why not."""
    failed = [f"{one.gate} ({one.why})" for one in run.gates if not one.passed]
    if failed:
        return "Refused: " + "; ".join(failed) + "."
    return "Promoted to champion" + (
        "." if run.before is None else f" in the place of version {run.before}."
    )


@cache
def template(name: str) -> Any:
    """A page's template; what it is given is escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    folder = Path(__file__).parent / "templates"
    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)
