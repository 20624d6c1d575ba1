"""The pages that a person reads: one self-contained file each, made from the plain document of a run."""

from functools import cache
from pathlib import Path
from typing import Any

from headrace.report.drawings import drawings, overlaid, worst_confusions
from headrace.report.words import label, number

_CANDIDATES_LISTED = 6
_THRESHOLDS_LISTED = 12


def report_page(run: dict[str, Any]) -> str:
    """The report of a run (the document of `run.json` with its curves): verdict first, then how it came about."""
    page: str = template("report.html").render(run=run, charts=drawings(run), **_words(run))
    return page


def card_page(run: dict[str, Any]) -> str:
    """The model card: what the model is for, what it was trained on, how good it is and what it takes."""
    page: str = template("card.html").render(run=run, **_words(run))
    return page


def compare_page(found: dict[str, Any]) -> str:
    """Models side by side: which is better for certain, metrics, curves, and what was asked differently."""
    page: str = template("compare.html").render(
        found=found,
        verdicts=verdicts(found),
        charts=overlaid(found),
        label=label,
        number=number,
    )
    return page


def verdicts(found: dict[str, Any]) -> list[str]:
    """One sentence for each model beside the first."""
    metric, (first, *others) = found["metric"], found["models"]
    lines = []
    for other, (low, high) in zip(others, found["gains"][metric], strict=True):
        word = "better" if low > 0 else "worse" if high < 0 else "neither better nor worse for certain"
        how = f"by {number(low)} to {number(high)} of {label(metric)} (95 %)"
        lines.append(f"{other} is {word} than {first}: {how}.")
    return lines


def _words(run: dict[str, Any]) -> dict[str, Any]:
    metric = run["metric"]["name"]
    table = run.get("thresholds") or []
    return {
        "label": label,
        "number": number,
        "metric": metric,
        "verdict": _verdict(run),
        "promotion": promotion(run) if run.get("promoted") is not None else "",
        "beside": _beside(run),
        "confused": worst_confusions(run),
        "best": _best(run),
        "thresholds": table[:: max(1, len(table) // _THRESHOLDS_LISTED)],
    }


def _best(run: dict[str, Any]) -> list[dict[str, Any]]:
    """The baseline, what ships and the best of the rest, each with the settings that its family varies."""
    sign = -1 if run["metric"]["higher_is_better"] else 1
    baseline, *others = run["candidates"]
    ranked = sorted(others, key=lambda one: (not one["weight"], sign * one["value"]))
    shown = [*ranked[:_CANDIDATES_LISTED], baseline]
    families = {one["family"]: [other for other in shown if other["family"] == one["family"]] for one in shown}
    return [one | {"settings": _settings(one, families[one["family"]])} for one in shown]


def _settings(one: dict[str, Any], family: list[dict[str, Any]]) -> str:
    """The settings of a candidate that are not the same in all of its family."""
    told = [
        f"{name.replace('_', ' ')} {value if isinstance(value, str | bool) else number(value)}"
        for name, value in (one["params"] or {}).items()
        if value is not None and any(other["params"][name] != value for other in family)
    ]
    return ", ".join([*told, *(f"{kind} as {' + '.join(encode)}" for kind, encode in one["encode"].items())])


def _verdict(run: dict[str, Any]) -> str:
    metric, family = run["metric"], run["winner"]["family"]
    name, value, base = label(metric["name"]), metric["test"], metric["baseline"]
    better = value > base if metric["higher_is_better"] else value < base
    if better:
        model = f"A {family} model" if len(run["winner"]["members"]) == 1 else f"An {family}"
        low, high = run["intervals"][metric["name"]]
        certain = f" (95 % interval {number(low)} to {number(high)})"
        return f"{model} reaches a test {name} of {number(value)}{certain}; the baseline stands at {number(base)}."
    short = f"the model's test {name} of {number(value)} does not beat the baseline's {number(base)}"
    return f"Nothing learned: {short}."


def _beside(run: dict[str, Any]) -> str:
    """How the model stands beside the champion of its time."""
    found = run.get("beside")
    if found is None:
        return ""
    champion = f"the champion of then, version {found['version']},"
    if "why" in found:
        return f"It could not be compared with {champion} since {found['why']}."
    low, high = found["gain"]
    how = "better" if low > 0 else "worse" if high < 0 else "neither better nor worse for certain"
    own, rival = map(number, found["values"])
    return (
        f"Beside {champion} it is {how}: {own} to {rival}, a gain of {number(low)} to {number(high)} (95 %) on the "
        f"{found['rows']:,} test rows that neither was fitted on."
    )


def promotion(run: dict[str, Any]) -> str:
    """Whether the model went live, and why or why not."""
    failed = [f"{one['gate']} ({one['why']})" for one in run["gates"] if not one["passed"]]
    if failed:
        return "Refused: " + "; ".join(failed) + "."
    before = run.get("before")
    return "Promoted to champion" + ("." if before is None else f" in the place of version {before}.")


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
