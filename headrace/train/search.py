"""Finding good members within one budget of trials and seconds: stated and known settings first, then Optuna's."""

from collections.abc import Callable
from typing import Any

from msgspec import structs

from headrace.clock import SYSTEM
from headrace.features import ALTERNATIVES, NUMBERS
from headrace.models import FAMILIES, TrialPruned
from headrace.models.gbdt import share_of_columns
from headrace.spec import Encode, Family, GbdtParams, Kind, LinearParams, Member
from headrace.train.rows import TrainingData
from headrace.train.trial import Candidate, Trials

_STARTUP_TRIALS = 6
_OTHER_FAMILY_EVERY = 4
"""Of so many searched trials one goes to a family that is not the best so far."""
_KEPT_WITHIN_A_FIT, _SAFE_STEPS = 75.0, 5
"""Percent of the trials that go on. Within a fit only the worst are given up, and not early: deep trees learn faster at
first than those that end better."""
_KEPT_BETWEEN_FOLDS = 34.0
"""All trials predict the same rows of a fold, so that their order after it is nearly that of the end (a race, as in
Maron and Moore, 1994)."""
_OFTEN_GOOD: list[dict[str, Any]] = [
    {"family": "gbdt", "categorical": "ordinal+target+number", "learning_rate": 0.03, "leaves": 63, "l2": 1.0,
     "bins": 255, "column_fraction": 0.6, "row_fraction": 0.8, "extra_random": False},
    {"family": "linear", "numeric": "quantile", "categorical": "onehot", "vector": "normalize", "l2": 1e-3},
    {"family": "gbdt", "categorical": "ordinal+number", "learning_rate": 0.03, "leaves": 24, "l2": 5.0,
     "bins": 255, "column_fraction": 0.5, "row_fraction": 0.7, "extra_random": False, "categories": "sets",
     "category_smoothing": 10.0, "category_l2": 10.0},
    {"family": "gbdt", "categorical": "ordinal+target+number", "learning_rate": 0.08, "leaves": 255, "l2": 1.0,
     "bins": 1023, "column_fraction": 0.8, "row_fraction": 0.8, "extra_random": False},
    {"family": "linear", "numeric": "standardize+quantile", "categorical": "onehot+target", "vector": "normalize",
     "l2": 1e-5},
]  # fmt: skip
"""Points of the space that do well on many tables, in the order in which they are tried."""


def stated_members(rows: TrainingData) -> list[Member]:
    """One member of each family of the spec, with the settings and the encoders that are its defaults or stated."""
    models = rows.system.models
    members = {
        "baseline": Member(family="baseline"),
        "linear": Member(family="linear", linear=models.linear),
        "gbdt": Member(family="gbdt", gbdt=_with_objective(models.gbdt, rows)),
    }
    return [members[family] for family in models.candidates]


def _with_objective(params: GbdtParams, rows: TrainingData) -> GbdtParams:
    """LightGBM's objective for the goal's metric, where it is another than the task's usual one."""
    metric = rows.system.goal.metric or ""
    if params.objective is not None:
        return params
    if metric in ("pinball_10", "pinball_90"):
        return structs.replace(params, objective="quantile", quantile=int(metric[-2:]) / 100)
    if metric in ("mae", "mape"):
        return structs.replace(params, objective="regression_l1" if metric == "mae" else "mape")
    return params


def _ways(family: Family, rows: TrainingData) -> dict[Kind, list[str]]:
    """The encoders that may stand in the place of a family's defaults, by kind, several joined by a plus."""
    kinds = {column.kind for column in rows.columns}
    has_codes = any(
        column.kind == "categorical" and column.dtype in ("integer", "number")
        for column in rows.columns
    )
    return {
        kind: ["+".join(way) for way in ways if has_codes or not set(way) & set(NUMBERS)]
        for kind, ways in ALTERNATIVES[FAMILIES[family].REPRESENTATION].items()
        if kind in kinds
    }


def suggest(asked: Any, family: Family, rows: TrainingData) -> Member:
    """A member of a family from a point of Optuna's."""
    models = rows.system.models
    encode: dict[Kind, list[Encode]] = {
        kind: asked.suggest_categorical(kind, ways).split("+")
        for kind, ways in _ways(family, rows).items()
    }
    if family == "linear":
        return Member(
            family=family,
            encode=encode,
            linear=LinearParams(l2=asked.suggest_float("l2", 1e-7, 0.1, log=True)),
        )
    width = sum(column.width or 1 for column in rows.columns if column.kind != "ignored")
    most = max(4, min(200, len(rows.parts.train) // 20))
    params = structs.replace(
        models.gbdt,
        learning_rate=asked.suggest_float("learning_rate", 0.015, 0.2, log=True),
        leaves=asked.suggest_int("leaves", 6, 511, log=True),
        bins=asked.suggest_categorical("bins", [255, 1023]),
        min_rows_per_leaf=asked.suggest_int("min_rows_per_leaf", 2, most, log=True),
        l2=asked.suggest_float("l2", 1e-3, 30.0, log=True),
        column_fraction=asked.suggest_float("column_fraction", 0.3, 1.0) * share_of_columns(width),
        row_fraction=asked.suggest_float("row_fraction", 0.5, 1.0),
        extra_random=asked.suggest_categorical("extra_random", [False, True]),
        rounds=None,
    )
    if "categorical" in encode:
        params = structs.replace(
            params,
            categories=asked.suggest_categorical("categories", ["ordered", "sets"]),
            category_smoothing=asked.suggest_float("category_smoothing", 1.0, 100.0, log=True),
            category_l2=asked.suggest_float("category_l2", 1.0, 100.0, log=True),
        )
    return Member(family=family, encode=encode, gbdt=_with_objective(params, rows))


def _searched(rows: TrainingData) -> list[Family]:
    return [family for family in rows.system.models.candidates if family != "baseline"]


def search(
    trials: Trials, rows: TrainingData, deadline: float, watch: Callable[[str], None]
) -> list[Candidate]:
    """Tries members until the budget's trials are made or the time is up; the first always runs.

    A trial whose family has never been fast enough for the time that is left is not begun, and one
    that is behind others at the same point is given up.
    """
    budget = rows.system.models.search.trials
    found: list[Candidate] = []
    seconds: dict[str, float] = {}

    def attempt(member: Member, origin: str, should_prune: Any = None) -> Candidate | None:
        left = deadline - SYSTEM.monotonic_s()
        if found and left <= 0.7 * seconds.get(member.family, 0.0):
            return None
        watch(f"trial {len(found) + 1}: {member.family}")
        # A searched trial gets half of what is left: trees that would grow on for minutes are kept
        # as they are then.
        until = deadline if origin == "stated" else SYSTEM.monotonic_s() + left / 2
        candidate = trials(member, origin, until, should_prune)
        seconds[member.family] = min(
            candidate.seconds, seconds.get(member.family, candidate.seconds)
        )
        found.append(candidate)
        return candidate

    for member in stated_members(rows):
        attempt(member, "stated")
    families = _searched(rows)
    single = len(trials.plan.folds) == 1
    studies = {family: _study(family, rows, single) for family in families} if budget else {}
    known = [family for point in _OFTEN_GOOD for family in families if family == point["family"]]
    for number in range(budget - len(found) if families else 0):
        now = SYSTEM.monotonic_s()
        if now >= deadline or all(now + 0.7 * least > deadline for least in seconds.values()):
            break
        family = known[number] if number < len(known) else _next_family(families, found, number)
        asked = studies[family].ask()
        try:
            tried = attempt(suggest(asked, family, rows), "searched", _pruner(asked))
        except TrialPruned:
            studies[family].tell(asked, state=_state("PRUNED"))
            continue
        studies[family].tell(
            asked, tried.cost if tried else None, None if tried else _state("FAIL")
        )
    return found


def _next_family(families: list[Family], found: list[Candidate], number: int) -> Family:
    """The family of the best candidate so far, and now and then another in turn."""
    best = min(
        families,
        key=lambda family: min(
            (one.cost for one in found if one.member.family == family), default=float("inf")
        ),
    )
    others = [family for family in families if family != best]
    turn, rest = divmod(number, _OTHER_FAMILY_EVERY)
    return others[turn % len(others)] if others and rest == 0 else best


def _study(family: Family, rows: TrainingData, single: bool) -> Any:
    """One study for each family: given up trials of one family must not speak against it beside
    another.

    With a `single` fold trials are compared while they fit, else after each fold.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = optuna.samplers.TPESampler(seed=rows.system.seed, n_startup_trials=_STARTUP_TRIALS)
    pruner = (
        optuna.pruners.PercentilePruner(
            _KEPT_WITHIN_A_FIT, n_startup_trials=4, n_warmup_steps=_SAFE_STEPS
        )
        if single
        else optuna.pruners.PercentilePruner(
            _KEPT_BETWEEN_FOLDS, n_startup_trials=2, n_warmup_steps=0
        )
    )
    study = optuna.create_study(sampler=sampler, pruner=pruner)
    leaf = max(2, min(20, len(rows.parts.train) // 100))
    for point in _OFTEN_GOOD:
        if point["family"] == family:
            settings = {name: value for name, value in point.items() if name != "family"}
            for kind, ways in _ways(family, rows).items():
                if settings[kind] not in ways:  # no code is a number
                    settings[kind] = settings[kind].removesuffix("+number")
            study.enqueue_trial(
                settings | ({"min_rows_per_leaf": leaf} if family == "gbdt" else {})
            )
    return study


def _pruner(asked: Any) -> Callable[[int, float], bool]:
    def should_prune(step: int, cost: float) -> bool:
        asked.report(cost, step)
        return bool(asked.should_prune())

    return should_prune


def _state(name: str) -> Any:
    import optuna

    return optuna.trial.TrialState[name]
