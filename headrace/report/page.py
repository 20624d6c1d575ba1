"""Renders the pages that a person reads, each as one self-contained file.

run.json + curves ──► sentences (here)  ──┐
                 └──► charts (drawings) ──┴──► templates/*.html ──► report.html, card.html
"""

import math
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.report.drawings import (
    draw_comparison,
    draw_run,
    find_worst_confusions,
    list_classes,
    list_importances,
)
from headrace.report.words import describe_gain, describe_split, format_number, label

if TYPE_CHECKING:
    from headrace.registry.compare import ComparisonDocument
    from headrace.run.document import CandidateReport, RunDocument

_CANDIDATES_LISTED = 6
_THRESHOLDS_LISTED = 12


def render_report(run: "RunDocument") -> str:
    """Render the report of a run: the verdict first, then how the model was built.

    `run` is the document of `run.json` with its curves.
    """
    template = load_template("report.html")
    page: str = template.render(run=run, charts=draw_run(run), **_describe(run))
    return page


def render_card(run: "RunDocument") -> str:
    """Render the model card: purpose, training data, quality, and the columns that it needs."""
    page: str = load_template("card.html").render(run=run, **_describe(run))
    return page


def render_comparison(document: "ComparisonDocument") -> str:
    """Render a comparison of models: which is better for certain, metrics, curves, specs."""
    page: str = load_template("compare.html").render(
        document=document,
        verdicts=describe_verdicts(document),
        charts=draw_comparison(document),
    )
    return page


def describe_verdicts(document: "ComparisonDocument") -> list[str]:
    """Compare each model with the first in one sentence."""
    first, *others = document.models
    sentences = []
    for model, (low, high) in zip(others, document.gains[document.metric], strict=True):
        gain = f"{label(document.metric)} {describe_gain(low, high)} (95 %)"
        sentences.append(f"{model} is {_compare_words(low, high)} than {first}: {gain}.")
    return sentences


def _compare_words(low: float, high: float) -> str:
    """Say how a model compares, by the interval of its gain.

    >>> _compare_words(0.01, 0.02), _compare_words(-0.01, 0.02)
    ('better', 'not clearly better or worse')
    """
    if low > 0:
        return "better"
    return "worse" if high < 0 else "not clearly better or worse"


def _describe(run: "RunDocument") -> dict[str, Any]:
    """Collect the values that the templates of a run need besides its document."""
    thresholds = run.thresholds or []
    return {
        "metric": run.metric.name,
        "verdict": describe_verdict(run),
        "promotion": describe_promotion(run) if run.promoted is not None else "",
        "comparison": _describe_comparison(run),
        "confused": find_worst_confusions(run),
        "importances": list_importances(run),
        "by_class": list_classes(run),
        "best": _list_best(run),
        "thresholds": thresholds[:: max(1, len(thresholds) // _THRESHOLDS_LISTED)],
    }


def _list_best(run: "RunDocument") -> list[dict[str, Any]]:
    """List the candidates that ship, the best of the others, and last the baseline.

    Each has the settings that are not the same in all listed candidates of its family.
    """
    sign = -1 if run.metric.higher_is_better else 1
    baseline, *others = run.candidates

    # what ships comes first, then the best; a candidate without a value comes last
    def rank(candidate: "CandidateReport") -> tuple[bool, float]:
        value = math.inf if candidate.value is None else sign * candidate.value
        return not candidate.weight, value

    listed = [*sorted(others, key=rank)[:_CANDIDATES_LISTED], baseline]
    rows = []
    for candidate in listed:
        family = [peer for peer in listed if peer.family == candidate.family]
        rows.append(
            {
                "family": candidate.family,
                "value": candidate.value,
                "weight": candidate.weight,
                "seconds": candidate.seconds,
                "settings": _describe_settings(candidate, family),
            }
        )
    return rows


def _describe_settings(candidate: "CandidateReport", family: list["CandidateReport"]) -> str:
    """Describe the settings of a candidate that are not the same in all of its family."""
    words = []
    for name, value in (candidate.params or {}).items():
        if value is not None and any((peer.params or {})[name] != value for peer in family):
            text = f"{value:.3g}" if isinstance(value, float) else str(value)
            words.append(f"{name.replace('_', ' ')} {text}")
    for kind, encode in candidate.encode.items():
        words.append(f"{kind} as {' + '.join(encode)}")
    return ", ".join(words)


def describe_verdict(run: "RunDocument") -> str:
    """Say whether the model beats the baseline."""
    metric = run.metric
    family = run.winner.family
    name = label(metric.name)
    if not _beats_baseline(run):
        return (
            f"Nothing learned: the model's test {name} of {format_number(metric.test)} "
            f"does not beat the baseline's {format_number(metric.baseline)}."
        )
    model = f"A {family} model" if len(run.winner.members) == 1 else f"An {family}"
    low, high = run.intervals[metric.name]
    return (
        f"{model} reaches a test {name} of {format_number(metric.test)} "
        f"(95 % interval {format_number(low)} to {format_number(high)}); "
        f"the baseline reaches {format_number(metric.baseline)}."
    )


def _beats_baseline(run: "RunDocument") -> bool:
    value = run.metric.test
    base = run.metric.baseline
    if value is None or base is None:
        return False
    return value > base if run.metric.higher_is_better else value < base


def _describe_comparison(run: "RunDocument") -> str:
    """Say how the model compares with the champion at the time of the run."""
    comparison = run.comparison
    if comparison is None:
        return ""
    champion = f"the champion at that time, version {comparison.version}"
    if comparison.gain is None or comparison.values is None:
        return f"It could not be compared with {champion}: {comparison.why}."
    own, other = map(format_number, comparison.values)
    gain = describe_gain(*comparison.gain)
    return (
        f"It is {_compare_words(*comparison.gain)} than {champion}: "
        f"{label(run.metric.name)} {own} against {other}, {gain} (95 %), on the "
        f"{comparison.rows:,} test rows that neither was fitted on."
    )


def describe_promotion(run: "RunDocument") -> str:
    """Say whether the model went live, and if not, why."""
    failed = [f"{gate.gate} ({gate.why})" for gate in run.gates if not gate.passed]
    if failed:
        return "Refused: " + "; ".join(failed) + "."
    if run.alias in ("challenger", "shadow"):
        follow = "a service starts its rollout, and `headrace status` shows it"
        return f"Promoted to {run.alias}: {follow}."
    if run.alias is None and not run.cached:
        return "Its gates passed; it waits for the rollout of another version to end."
    if run.before is None:
        return "Promoted to champion."
    return f"Promoted to champion in place of version {run.before}."


@cache
def load_template(name: str) -> Any:
    """Load a page's template, which escapes the values that it is given."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    # names and values come from strangers' tables, so they are escaped; a misspelt field of a
    # document is an error, not an empty place
    folder = Path(__file__).parent / "templates"
    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for function in (label, format_number, describe_gain, describe_split):
        environment.globals[function.__name__] = function
    return environment.get_template(name)
