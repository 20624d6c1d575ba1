"""Finding good members within one budget of trials and seconds: stated and known settings first, then Optuna's."""

import time
from collections.abc import Callable
from typing import Any

from msgspec import structs

from millrace.features import ALTERNATIVES
from millrace.models import FAMILIES, Pruned
from millrace.spec import Encode, GbdtParams, Kind, LinearParams, Member
from millrace.train.rows import Rows
from millrace.train.trial import Candidate, Trials

_STARTUP_TRIALS = 6
_OFTEN_GOOD: list[dict[str, Any]] = [
    {"family": "gbdt", "gbdt.categorical": 2, "learning_rate": 0.03, "leaves": 63, "gbdt.l2": 1.0,
     "column_fraction": 0.6, "row_fraction": 0.8, "extra_random": False},
    {"family": "linear", "linear.numeric": 1, "linear.categorical": 0, "linear.vector": 0, "l2": 1e-3},
    {"family": "gbdt", "gbdt.categorical": 0, "learning_rate": 0.03, "leaves": 24, "gbdt.l2": 5.0,
     "column_fraction": 0.5, "row_fraction": 0.7, "extra_random": False},
    {"family": "gbdt", "gbdt.categorical": 2, "learning_rate": 0.03, "leaves": 160, "gbdt.l2": 3.0,
     "column_fraction": 0.5, "row_fraction": 0.8, "extra_random": False},
    {"family": "linear", "linear.numeric": 2, "linear.categorical": 2, "linear.vector": 0, "l2": 1e-5},
]  # fmt: skip
"""Points of the space that do well on many tables, in the order in which they are tried."""


def stated_members(rows: Rows) -> list[Member]:
    """One member of each family of the spec, with the settings and the encoders that are its defaults or stated."""
    models = rows.system.models
    members = {
        "baseline": Member(family="baseline"),
        "linear": Member(family="linear", linear=models.linear),
        "gbdt": Member(family="gbdt", gbdt=_with_objective(models.gbdt, rows)),
    }
    return [members[family] for family in models.candidates]


def _with_objective(params: GbdtParams, rows: Rows) -> GbdtParams:
    """LightGBM's objective for the goal's metric, where it is another than the task's usual one."""
    metric = rows.system.goal.metric or ""
    if params.objective is not None:
        return params
    if metric in ("pinball_10", "pinball_90"):
        return structs.replace(params, objective="quantile", quantile=int(metric[-2:]) / 100)
    if metric in ("mae", "mape"):
        return structs.replace(params, objective="regression_l1" if metric == "mae" else "mape")
    return params


def suggest(asked: Any, rows: Rows) -> Member:
    """A member from a point of Optuna's."""
    models = rows.system.models
    family = asked.suggest_categorical("family", _searched(rows))
    kinds = {column.kind for column in rows.columns}
    encode: dict[Kind, list[Encode]] = {}
    for kind, ways in ALTERNATIVES[FAMILIES[family].REPRESENTATION].items():
        if kind in kinds:
            encode[kind] = ways[asked.suggest_categorical(f"{family}.{kind}", list(range(len(ways))))]
    if family == "linear":
        return Member(
            family=family, encode=encode, linear=LinearParams(l2=asked.suggest_float("l2", 1e-7, 0.1, log=True))
        )
    most = max(4, min(200, len(rows.parts.train) // 20))
    params = structs.replace(
        models.gbdt,
        learning_rate=asked.suggest_float("learning_rate", 0.015, 0.2, log=True),
        leaves=asked.suggest_int("leaves", 6, 255, log=True),
        min_rows_per_leaf=asked.suggest_int("min_rows_per_leaf", 2, most, log=True),
        l2=asked.suggest_float("gbdt.l2", 1e-3, 30.0, log=True),
        column_fraction=asked.suggest_float("column_fraction", 0.3, 1.0),
        row_fraction=asked.suggest_float("row_fraction", 0.5, 1.0),
        extra_random=asked.suggest_categorical("extra_random", [False, True]),
        rounds=None,
    )
    return Member(family=family, encode=encode, gbdt=_with_objective(params, rows))


def _searched(rows: Rows) -> list[str]:
    return [family for family in rows.system.models.candidates if family != "baseline"]


def search(trials: Trials, rows: Rows, deadline: float, watch: Callable[[str], None]) -> list[Candidate]:
    """Tries members until the budget's trials are made or the time is up; the first always runs.

    A trial whose family has never been fast enough for the time that is left is not begun, and one that is worse than
    the median of the others at the same point is given up.
    """
    budget = rows.system.models.search.trials
    found: list[Candidate] = []
    seconds: dict[str, float] = {}

    def attempt(member: Member, origin: str, give_up: Any = None) -> Candidate | None:
        left = deadline - time.perf_counter()
        if found and left <= 0.7 * seconds.get(member.family, 0.0):
            return None
        watch(f"trial {len(found) + 1}: {member.family}")
        candidate = trials(member, origin, deadline, give_up)
        seconds[member.family] = min(candidate.seconds, seconds.get(member.family, candidate.seconds))
        found.append(candidate)
        return candidate

    for member in stated_members(rows):
        attempt(member, "stated")
    if budget and _searched(rows):
        study = _study(rows)
        for _ in range(budget - len(found)):
            if time.perf_counter() >= deadline or all(
                time.perf_counter() + 0.7 * least > deadline for least in seconds.values()
            ):
                break
            asked = study.ask()
            member = suggest(asked, rows)
            try:
                tried = attempt(member, "searched", _pruner(asked))
            except Pruned:
                study.tell(asked, state=_state("PRUNED"))
                continue
            study.tell(asked, tried.cost if tried else None, None if tried else _state("FAIL"))
    return found


def _study(rows: Rows) -> Any:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = optuna.samplers.TPESampler(seed=rows.system.seed, n_startup_trials=_STARTUP_TRIALS)
    pruner = optuna.pruners.MedianPruner(n_startup_trials=3, n_warmup_steps=1)
    study = optuna.create_study(sampler=sampler, pruner=pruner)
    leaf = max(2, min(20, len(rows.parts.train) // 100))
    for point in _OFTEN_GOOD:
        if point["family"] in rows.system.models.candidates:
            study.enqueue_trial(point | ({"min_rows_per_leaf": leaf} if point["family"] == "gbdt" else {}))
    return study


def _pruner(asked: Any) -> Callable[[int, float], bool]:
    def give_up(step: int, cost: float) -> bool:
        asked.report(cost, step)
        return bool(asked.should_prune())

    return give_up


def _state(name: str) -> Any:
    import optuna

    return optuna.trial.TrialState[name]
