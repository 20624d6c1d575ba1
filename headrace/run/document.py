"""The document of a run: the sum of the results of its stages, and the schema of `run.json`."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import polars as pl
from msgspec import Struct

from headrace import registry, spec, split, train
from headrace._version import __version__
from headrace.clock import SYSTEM, to_text
from headrace.errors import Finding
from headrace.evaluate import Curves, QueryReport, Treated, WeakSlice
from headrace.report import count_words, describe_split, format_number, label
from headrace.run.evaluation import Evaluation
from headrace.run.judge import ChampionComparison, Verdict
from headrace.run.prepare import Prepared
from headrace.spec import Encode, Kind, Member, System, Task
from headrace.tables import Column
from headrace.train import TrainingData

Number = float | None
"""A number, or null where it is not defined: JSON has no NaN."""


class MetricReport(Struct, frozen=True):
    """The deciding metric on each split, and the baseline's value on the test rows."""

    name: str
    higher_is_better: bool
    validation: Number
    test: Number
    baseline: Number


class CandidateReport(Struct, frozen=True):
    """One candidate of the search.

    `value` is the metric on the rows that chose between candidates, `origin` where its settings
    came from, `weight` its share in the model that ships.
    """

    family: str
    value: Number
    seconds: float
    origin: str
    weight: float
    params: dict[str, Any] | None
    encode: dict[Kind, list[Encode]]


class Shipped(Struct, frozen=True):
    """The model that ships: its family in words, and its members."""

    family: str
    members: list[Member]


class RowCounts(Struct, frozen=True):
    """The numbers of rows: of each part, purged, and fitted on in the end."""

    train: int
    validation: int
    test: int
    purged: int
    fitted: int


class FieldReport(Struct, frozen=True):
    """A field that the spec left open: its value, and why."""

    field: str
    value: str
    why: str


class StageReport(Struct, frozen=True):
    """A stage of the run: what it did, in words, and its seconds."""

    name: str
    what: str
    seconds: float


class BundleDocument(Struct, frozen=True, kw_only=True):
    """The document of a bundle: the schema of `evaluation.json`."""

    task: Task
    metric: MetricReport
    metrics: Mapping[str, Mapping[str, Number]]
    intervals: Mapping[str, Sequence[Number]]
    curves: Curves
    threshold: Number
    candidates: list[CandidateReport]
    winner: Shipped
    parity: float
    rows: RowCounts
    features: list[str]
    findings: list[Finding]
    gates: list[registry.Result]
    importances: Mapping[str, Number]
    slices: list[WeakSlice]
    fairness: list[Treated]
    seconds: dict[str, float]
    who: str

    def as_bundle(self) -> "BundleDocument":
        """Return the part of a run's document that goes into its bundle."""
        fields = {name: getattr(self, name) for name in BundleDocument.__struct_fields__}
        return BundleDocument(**fields)


class RunDocument(BundleDocument, frozen=True, kw_only=True):
    """All facts about a run. A field is None until it is decided, and where it does not apply."""

    name: str
    created: str
    target: str
    classes: list[Any]
    source: str
    fingerprints: dict[str, str]
    spec_hash: str
    code_version: str
    decisions: list[FieldReport]
    split: str | None
    borders: list[str]
    timeline: list[dict[str, Any]]
    method: str
    columns: list[Column]
    resolved: str
    bands: Mapping[str, list[list[float]]]
    thresholds: list[dict[str, float]] | None
    comparison: ChampionComparison | None
    queries: QueryReport | None = None
    run: str = ""
    model: str = ""
    bundle: str = ""
    report: str = ""
    promoted: bool | None = None
    alias: str | None = None
    before: int | None = None
    champion: int | None = None
    cached: bool = False
    flow: list[StageReport] = []


class StageResults(Struct, frozen=True):
    """The results of the stages of a run, up to the verdict."""

    prepared: Prepared
    data: TrainingData
    choice: train.Choice
    model: train.Model
    resolved: System
    evaluation: Evaluation
    verdict: Verdict
    seconds: dict[str, float]


def describe(results: StageResults) -> RunDocument:
    """Describe a run whose bundle is not written yet."""
    data = results.data
    choice = results.choice
    model = results.model
    system = data.system
    parts = data.parts
    assessment = results.evaluation.assessment
    shipped = Shipped(_family(model.members), model.members)
    return RunDocument(
        name=system.name,
        created=to_text(SYSTEM.now_us(), "seconds", " "),
        task=data.target.task,
        target=data.target.name,
        classes=data.target.classes,
        who=registry.current_user(),
        source=system.data.source,
        fingerprints=results.prepared.fingerprints,
        spec_hash=spec.spec_hash(system),
        code_version=__version__,
        decisions=_list_decisions(results, shipped.family),
        split=system.split.by,
        borders=parts.borders,
        timeline=_count_over_time(data),
        method=choice.method,
        candidates=[_describe_candidate(one, choice.weight_of(one)) for one in choice.candidates],
        winner=shipped,
        parity=model.parity,
        rows=RowCounts(
            len(parts.train), len(parts.validation), len(parts.test), parts.purged, model.rows
        ),
        columns=data.columns,
        features=model.features.names,
        resolved=spec.dump(results.resolved).decode(),
        metric=msgspec.convert(assessment.metric, MetricReport, from_attributes=True),
        metrics=assessment.metrics,
        intervals=assessment.intervals,
        curves=assessment.curves,
        bands=assessment.bands,
        threshold=assessment.threshold,
        thresholds=assessment.thresholds,
        fairness=results.evaluation.fairness,
        importances=results.evaluation.importances,
        slices=results.evaluation.slices,
        findings=[*results.prepared.findings, *choice.findings, *results.evaluation.findings],
        gates=results.verdict.results,
        comparison=results.verdict.comparison,
        queries=results.evaluation.queries,
        seconds=dict(results.seconds),
    )


def _family(members: list[Member]) -> str:
    """Name the family of a model, or the families that it averages."""
    families = sorted({member.family for member in members})
    if len(members) == 1:
        return families[0]
    return f"average of {len(members)} ({', '.join(families)})"


def _describe_candidate(one: train.TrialRecord, weight: float) -> CandidateReport:
    return CandidateReport(
        family=one.member.family,
        value=one.value,
        seconds=one.seconds,
        origin=one.origin,
        weight=weight,
        params=msgspec.to_builtins(one.member.params),
        encode=one.member.encode,
    )


def _list_decisions(results: StageResults, shipped: str) -> list[FieldReport]:
    """List the fields that the spec left open, with the value of each and why."""
    system = results.data.system
    choice = results.choice
    goal = system.goal
    decision = results.resolved.goal.decision
    resolved = {"goal.task": goal.task, "goal.positive": goal.positive, "goal.metric": goal.metric}
    if goal.gain is not None:
        resolved["goal.gain"] = goal.gain
    resolved["split.by"] = system.split.by
    if system.split.gap != "0s":
        resolved["split.gap"] = system.split.gap

    found = [
        FieldReport(field, str(value), results.prepared.reasons.get(field, "as stated"))
        for field, value in resolved.items()
        if value is not None
    ]
    found.append(FieldReport("models", shipped, f"{choice.why['models']} on {choice.method}"))
    if "models.calibration" in choice.why:
        method = choice.calibration.method if choice.calibration else "none"
        found.append(FieldReport("models.calibration", method, choice.why["models.calibration"]))
    if goal.decision is not None and decision is not None:
        best = f"best by {goal.decision.by or 'f1'} on {choice.method}"
        why = best if goal.decision.threshold is None else "as stated"
        found.append(FieldReport("goal.decision.threshold", f"{decision.threshold:.4g}", why))
    return found


def _count_over_time(data: TrainingData) -> list[dict[str, Any]]:
    """Count the rows of each part over time; nothing where rows have no time."""
    name = data.system.data.time_column
    times = None if name is None else data.frame[name]
    if times is None or not (times.dtype in (pl.Date, pl.Datetime) or times.dtype.is_integer()):
        return []
    return split.timeline(data.parts, times)


def describe_flow(document: RunDocument) -> list[StageReport]:
    """Describe the flow of a run as the report draws it: an entry for each stage."""
    rows = document.rows
    findings = Counter(one.check.partition(".")[0] for one in document.findings)
    warnings = findings["leak"] + findings["split"]
    used = sum(column.kind != "ignored" for column in document.columns)
    total = rows.train + rows.validation + rows.test + rows.purged
    passed = sum(gate.passed for gate in document.gates)
    tried = sum(one.family != "baseline" for one in document.candidates)
    columns = count_words(len(document.columns), "column")
    parts = f"{rows.train:,} / {rows.validation:,} / {rows.test:,}"
    what = {"tables": f"{count_words(total, 'row')} × {columns}"}
    if any(column.window for column in document.columns):
        what["events"] = "window features joined"
    what |= {
        "split": f"{describe_split(document.split)}: {parts}",
        "features": count_words(used, "input column"),
        "explore": count_words(warnings, "finding"),
        "train": f"{count_words(tried, 'candidate')} and the baseline",
        "refit": f"{document.winner.family} on {rows.fitted:,} rows",
        "evaluate": f"test {label(document.metric.name)} {format_number(document.metric.test)}",
        "gates": f"{passed} of {len(document.gates)} passed",
        "bundle": "checked: the graph predicts the same as its trainer",
    }
    if document.promoted is not None:
        what["registry"] = f"promoted to {document.alias}" if document.promoted else "refused"
        if document.promoted and document.alias is None:
            what["registry"] = "waits for the rollout of another version"
    return [StageReport(name, text, document.seconds.get(name, 0.0)) for name, text in what.items()]
