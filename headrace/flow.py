"""The build spine: from a spec to a bundle, one call a stage, top to bottom."""

from pathlib import Path
from typing import Any

from headrace import design, spec, train
from headrace.evaluate import make_objective
from headrace.report import Steps, Watch, quiet, show_line
from headrace.run.cache import Cache
from headrace.run.document import StageResults, describe
from headrace.run.evaluation import check_fairness, evaluate_model, pick_threshold, test_model
from headrace.run.exploration import Exploration, write_exploration
from headrace.run.judge import check_gates, judge
from headrace.run.prepare import Prepared, prepare
from headrace.run.record import Run, bundle_of, finish_run, write_bundle, write_run
from headrace.run.release import release
from headrace.run.resume import cache_keys, find_run, trial_memo, with_current_spec
from headrace.spec import System

STAGES = (
    "tables", "events", "spec", "split", "features", "explore", "train", "refit", "evaluate",
    "gates", "bundle", "registry", "report",
)  # fmt: skip
"""The stages of a run, in the order in which they begin."""


def run(system: System | str | Path, watch: Watch = quiet, fresh: bool = False) -> Run:
    """Train, test and bundle the model of a system (or of its folder), and promote or refuse it.

    A run reuses the results of earlier runs on the same spec, tables and code; with `fresh` it
    does all work again. The document of a run that had nothing to do says `cached`. It calls
    `watch(stage, detail)` as it goes on. Raises `SpecError`, `InputError` or `WorkError`, and
    leaves nothing half-written then.
    """
    system = spec.with_safe_names(spec.as_system(system))
    step = Steps(watch)
    cache = Cache(system.workspace.cache)
    with step("tables"):
        keys = cache_keys(system)
        known = None if fresh else find_run(system, cache, keys.run)
    if known is not None:
        return known

    prepared = cache.make(
        Prepared, keys.prepared, lambda: prepare(system, keys.position, step), fresh
    )
    data = with_current_spec(prepared.data, system)
    check_gates(data.system)
    check_fairness(data.system, data.frame)
    with step("train"):
        objective, memo = make_objective(data.system.goal), trial_memo(cache, keys.prepared, fresh)
        make = lambda: train.select_model(data, objective, step.detail, memo)  # noqa: E731
        choice = cache.make(train.Choice, keys.choice, make, fresh)
    with step("refit"):
        threshold = pick_threshold(data, choice)
        model = train.refit(data, choice, threshold)
        resolved = train.resolve_spec(data, model, choice, threshold)
    with step("evaluate"):
        tested = test_model(data, model, threshold)
        evaluation = evaluate_model(data, choice, model, tested)
    with step("gates"):
        verdict = judge(data, model, tested, evaluation)
    with step("bundle"):
        results = StageResults(
            prepared, data, choice, model, resolved, evaluation, verdict, step.seconds
        )
        document = write_bundle(describe(results), results, tested)
        cache.put(write_run(document), keys.run)
    with step("registry"):
        judge_again = lambda: judge(data, model, tested, evaluation)  # noqa: E731
        decision, verdict = release(data, bundle_of(document), verdict, judge_again)
    with step("report"):
        return finish_run(document, decision, verdict.comparison, step.seconds)


def fit(
    table: Any, target: str, folder: str | Path = ".", watch: Watch = show_line, **answers: Any
) -> Run:
    """Run the flow on a Polars, pandas or Arrow table; it and a `system.yaml` go into `folder`.

    `answers` are those of `headrace init`, such as `time="shown_at"`, `trials=10`, `holdout=test`.
    Raises as `run` does, and `InputError` where a person wrote the folder's spec.
    """
    return run(design.hand_over(table, target, Path(folder), answers), watch)


def explore(system: System | str | Path) -> Exploration:
    """Describe a system's tables: columns, their relation to the target, leaks, the split.

    Nothing is trained. Writes `explore.json` into the workspace. Raises as `run` does for tables
    and specs that cannot be used.
    """
    system = spec.with_safe_names(spec.as_system(system))
    cache = Cache(system.workspace.cache)
    keys = cache_keys(system)
    step = Steps(quiet)
    prepared = cache.make(
        Prepared, keys.prepared, lambda: prepare(system, keys.position, step), False
    )
    return write_exploration(prepared, system.workspace)
