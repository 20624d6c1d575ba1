"""Prepare rows for training: read tables, join windows, infer kinds and roles, split, check."""

import polars as pl
from msgspec import Struct

from headrace import design, features, spec, split, tables, train
from headrace.arrays import Floats
from headrace.errors import Finding
from headrace.report import Steps
from headrace.run.leaks import find_leaks
from headrace.spec import Goal, System
from headrace.store import add_window_features
from headrace.windows import check_keys_match, list_columns


class Prepared(Struct, frozen=True):
    """Rows that are ready for training.

    `fingerprints` are those of the tables by name; `reasons` say, by path, why a field of the spec
    was resolved as it is.
    """

    data: train.TrainingData
    fingerprints: dict[str, str]
    reasons: dict[str, str]
    findings: list[Finding]


def prepare(system: System, position: int, step: Steps) -> Prepared:
    """Read the tables of a system and its log up to a position, and prepare its rows."""
    with step("tables"):
        sources = tables.read_sources(system)
    with step("events"):
        frame = add_window_features(system, sources.frame, sources, position)
        findings = check_keys_match(frame, system.features.windows, sources.events, position == 0)
    with step("spec"):
        system, reasons = _resolve(system, frame)
        target = features.make_target(system.goal, frame[system.goal.target])
        _, left_out = design.infer_candidates(system.models, target.task, len(target.classes))
        y = features.encode_target(target, frame[target.name])
    with step("split"):
        strata = split.Strata(classes=y.astype(int) if target.classes else None)
        if target.kind.HAS_QUERIES:
            queries = split.number_queries(frame, system.data)
            findings += split.check_queries(queries, y, system.data)
            strata = split.Strata(queries=queries)
        parts = split.split_rows(
            frame, system.split, system.data, strata, sources.holdout_rows, system.seed
        )
        if strata.queries is not None:
            split.check_parts(strata.queries, y, parts, _find_least(system.goal, y))
    with step("features"):
        windows = [name for window in system.features.windows for name in list_columns(window)]
        roles = special_columns(system)
        trained = frame[parts.train]
        columns = features.plan_columns(trained, system.features, roles, windows, sources.forms)
        weight = tables.read_weights(frame, system.data.weight)
        data = train.TrainingData(frame, columns, target, y, system, parts, weight)
    with step("explore"):
        leaks = find_leaks(data, special_columns(system))

    fingerprints = sources.fingerprints | ({"log": str(position)} if position else {})
    findings = [*sources.findings, *findings, *left_out, *parts.findings, *leaks]
    return Prepared(data, fingerprints, reasons, findings)


def _resolve(system: System, frame: pl.DataFrame) -> tuple[System, dict[str, str]]:
    """Fill in the goal and the split of a spec; return it and the reason of each field."""
    goal, reasons = design.infer_goal(system.goal, frame[system.goal.target])
    by, split_reasons = design.infer_split(system.split, system.data, goal)
    return spec.with_changes(system, goal=goal, split=by), reasons | split_reasons


def _find_least(goal: Goal, grades: Floats) -> float:
    """Return the least grade that the metric of a ranking looks for."""
    formula, _ = spec.split_metric(goal.metric or "")
    if formula != "ndcg" or not (grades > 0).any():
        return goal.relevant
    return float(grades[grades > 0].min())


def special_columns(system: System) -> dict[str, str]:
    """Return the columns that are no features, each with the reason."""
    data = system.data
    roles = {
        system.goal.target: "the target",
        data.id: "the id",
        data.group: "the group",
        data.weight: "the weight of rows",
    }
    if isinstance(data.time, list):
        roles |= {
            data.time_column: "the time",
            data.time[0]: "the year of the time: absolute time is not a feature",
        }
    return {name: role for name, role in roles.items() if name is not None}
