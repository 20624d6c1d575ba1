"""Find good members within one budget of trials and seconds.

The order of the trials, with `trials: 8` and two families:

    1   linear   as stated in the spec           always tried, however little time there is
    2   gbdt     as stated in the spec
    3   gbdt     1st of `_OFTEN_GOOD`            settings that do well on many tables
    4   linear   2nd of `_OFTEN_GOOD`
    …
    8   gbdt     from Optuna's study of gbdt     the family that is best so far, and now and then
                                                 another in turn

Each family has an Optuna study of its own. A study suggests settings, learns what they cost,
and prunes trials that fall behind others at the same point.
"""

from collections.abc import Callable
from typing import Any

from msgspec import structs

from headrace.clock import SYSTEM
from headrace.features import ALTERNATIVES, NUMBERS
from headrace.models import FAMILIES, TrialPruned
from headrace.models.gbdt import share_of_columns
from headrace.spec import Encode, Family, GbdtParams, Kind, LinearParams, Member, split_metric
from headrace.train.rows import TrainingData
from headrace.train.trial import Candidate, ShouldPrune, Trials

_STARTUP_TRIALS = 6
_OTHER_FAMILY_EVERY = 4
"""One of so many searched trials goes to a family that is not the best so far."""
_PERCENT_WITHIN_A_FIT = 75.0
"""Percent of the trials that go on. Within a fit only the worst are pruned: deep trees learn faster
at first than those that end better."""
_SAFE_STEPS = 5
"""Reports of a fit before which no trial is pruned."""
_PERCENT_BETWEEN_FOLDS = 34.0
"""All trials predict the same rows of a fold, so that their order after it is nearly that of the
end (a race, as in Maron and Moore, 1994)."""
_TIME_SLACK = 0.7
"""A trial may begin where this share of its family's shortest trial is left."""

_BEYOND_CUT = 3
"""LambdaMART looks at some more rows than the metric: those could come up (LightGBM's manual)."""
_WHOLE_LIST = 100

_OFTEN_GOOD: list[dict[str, Any]] = [
    {
        "family": "forest",
        "categorical": "ordinal+target+number",
        "leaves": 2000,
        "min_rows_per_leaf": 1,
        "column_fraction": 0.6,
    },
    {
        "family": "gbdt",
        "objective": "pointwise",
        "categorical": "ordinal+target+number",
        "learning_rate": 0.03,
        "leaves": 63,
        "l2": 1.0,
        "bins": 255,
        "column_fraction": 0.6,
        "row_fraction": 0.8,
        "extra_random": False,
    },
    {
        "family": "linear",
        "objective": "pointwise",
        "numeric": "quantile",
        "categorical": "onehot",
        "vector": "normalize",
        "l2": 1e-3,
    },
    {
        "family": "gbdt",
        "objective": "xendcg",
        "categorical": "ordinal+number",
        "learning_rate": 0.03,
        "leaves": 24,
        "l2": 5.0,
        "bins": 255,
        "column_fraction": 0.5,
        "row_fraction": 0.7,
        "extra_random": False,
        "categories": "sets",
        "category_smoothing": 10.0,
        "category_l2": 10.0,
    },
    {
        "family": "gbdt",
        "objective": "lambdarank",
        "categorical": "ordinal+target+number",
        "learning_rate": 0.08,
        "leaves": 255,
        "l2": 1.0,
        "bins": 1023,
        "column_fraction": 0.8,
        "row_fraction": 0.8,
        "extra_random": False,
    },
    {
        "family": "linear",
        "objective": "pairs",
        "numeric": "standardize+quantile",
        "categorical": "onehot+target",
        "vector": "normalize",
        "l2": 1e-5,
    },
]
"""Settings that do well on many tables, in the order in which they are tried; the objective is that
of a ranking."""


def stated_members(rows: TrainingData) -> list[Member]:
    """Return one member of each family of the spec, with its stated or default settings."""
    models = rows.system.models
    members = {
        "baseline": Member(family="baseline"),
        "linear": Member(family="linear", linear=_set_order(models.linear, rows)),
        "gbdt": Member(family="gbdt", gbdt=_set_objective(models.gbdt, rows)),
        "forest": Member(family="forest", forest=models.forest),
    }
    return [members[family] for family in models.candidates]


def _set_objective(params: GbdtParams, rows: TrainingData) -> GbdtParams:
    """Set LightGBM's objective for the goal's metric, where it is not the task's usual one."""
    metric = rows.system.goal.metric or ""
    if rows.target.kind.HAS_QUERIES and params.truncation is None:
        _, cut = split_metric(metric)
        params = structs.replace(params, truncation=(cut or _WHOLE_LIST) + _BEYOND_CUT)
    if params.objective is not None:
        return params
    if rows.target.kind.HAS_QUERIES:
        return structs.replace(params, objective="lambdarank")
    if metric in ("pinball_10", "pinball_90"):
        return structs.replace(params, objective="quantile", quantile=int(metric[-2:]) / 100)
    if metric == "mae":
        return structs.replace(params, objective="regression_l1")
    if metric == "mape":
        return structs.replace(params, objective="mape")
    return params


def _set_order(params: LinearParams, rows: TrainingData) -> LinearParams:
    """Let a linear model of a ranking learn from pairs, where no objective is stated."""
    if not rows.target.kind.HAS_QUERIES or params.objective is not None:
        return params
    return structs.replace(params, objective="pairs")


def _list_encoders(family: Family, rows: TrainingData) -> dict[Kind, list[str]]:
    """List the encoders that may replace a family's defaults, by kind of column.

    Several encoders of one column are joined by a plus, such as "ordinal+target".
    """
    kinds = {column.kind for column in rows.columns}
    has_codes = any(
        column.kind == "categorical" and column.dtype in ("integer", "number")
        for column in rows.columns
    )
    choices: dict[Kind, list[str]] = {}
    for kind, alternatives in ALTERNATIVES[FAMILIES[family].REPRESENTATION].items():
        if kind in kinds:
            # A category can be read as a number only where some category is one.
            usable = [names for names in alternatives if has_codes or not set(names) & set(NUMBERS)]
            choices[kind] = ["+".join(names) for names in usable]
    return choices


def _list_objectives(family: Family, rows: TrainingData) -> list[str]:
    """List the objectives of a ranking that a family is tried with; none where one is stated."""
    models = rows.system.models
    stated = {"linear": models.linear.objective, "gbdt": models.gbdt.objective}
    known = {"linear": ["pairs", "pointwise"], "gbdt": ["lambdarank", "xendcg", "pointwise"]}
    if not rows.target.kind.HAS_QUERIES or stated.get(family) is not None:
        return []
    return known.get(family, [])


def suggest(trial: Any, family: Family, rows: TrainingData) -> Member:
    """Return a member of a family with the settings that Optuna's trial suggests."""
    encode: dict[Kind, list[Encode]] = {}
    for kind, choices in _list_encoders(family, rows).items():
        encode[kind] = trial.suggest_categorical(kind, choices).split("+")
    if family == "linear":
        l2 = trial.suggest_float("l2", 1e-7, 0.1, log=True)
        linear = structs.replace(rows.system.models.linear, l2=l2)
        if choices := _list_objectives(family, rows):
            objective = trial.suggest_categorical("objective", choices)
            linear = structs.replace(linear, objective=objective)
        return Member(family=family, encode=encode, linear=linear)

    if family == "forest":
        forest = structs.replace(
            rows.system.models.forest,
            leaves=trial.suggest_int("leaves", 50, 4000, log=True),
            min_rows_per_leaf=trial.suggest_int("min_rows_per_leaf", 1, 30, log=True),
            column_fraction=trial.suggest_float("column_fraction", 0.1, 1.0),
        )
        return Member(family=family, encode=encode, forest=forest)

    # Wide tables need smaller shares of their columns for the same variety.
    width = sum(column.width or 1 for column in rows.columns if column.kind != "ignored")
    most = max(4, min(200, len(rows.parts.train) // 20))
    params = structs.replace(
        rows.system.models.gbdt,
        learning_rate=trial.suggest_float("learning_rate", 0.015, 0.2, log=True),
        leaves=trial.suggest_int("leaves", 6, 511, log=True),
        bins=trial.suggest_categorical("bins", [255, 1023]),
        min_rows_per_leaf=trial.suggest_int("min_rows_per_leaf", 2, most, log=True),
        l2=trial.suggest_float("l2", 1e-3, 30.0, log=True),
        column_fraction=trial.suggest_float("column_fraction", 0.3, 1.0) * share_of_columns(width),
        row_fraction=trial.suggest_float("row_fraction", 0.5, 1.0),
        extra_random=trial.suggest_categorical("extra_random", [False, True]),
        rounds=None,
    )
    if choices := _list_objectives(family, rows):
        objective = trial.suggest_categorical("objective", choices)
        params = structs.replace(params, objective=objective)
    if "categorical" in encode:
        params = structs.replace(
            params,
            categories=trial.suggest_categorical("categories", ["ordered", "sets"]),
            category_smoothing=trial.suggest_float("category_smoothing", 1.0, 100.0, log=True),
            category_l2=trial.suggest_float("category_l2", 1.0, 100.0, log=True),
        )
    return Member(family=family, encode=encode, gbdt=_set_objective(params, rows))


class _Search:
    """The candidates found so far, and the time that is left.

    `seconds` has the shortest trial of each family.
    """

    def __init__(self, trials: Trials, deadline: float, watch: Callable[[str], None]) -> None:
        self.candidates: list[Candidate] = []
        self._begun = 0
        self._seconds: dict[str, float] = {}
        self._trials = trials
        self._deadline = deadline
        self._watch = watch

    def _report(self, family: Family, left: float) -> None:
        """Report a trial that begins: `trial 3 of 20 (gbdt), best 0.928, 41 s left`."""
        self._begun += 1
        # the stated members run even where the budget has fewer trials
        most = max(self._trials.rows.system.models.search.trials, self._begun)
        best = ""
        if self.candidates:
            best = f", best {min(self.candidates, key=lambda each: each.cost).value:.3g}"
        self._watch(f"trial {self._begun} of {most} ({family}){best}, {max(left, 0):.0f} s left")

    def is_over(self) -> bool:
        """Say whether no family has a trial that fits into the time that is left."""
        now = SYSTEM.monotonic_s()
        if now >= self._deadline:
            return True
        return all(now + _TIME_SLACK * least > self._deadline for least in self._seconds.values())

    def attempt(
        self, member: Member, origin: str, should_prune: ShouldPrune | None = None
    ) -> Candidate | None:
        """Try a member; return None where its family has never been fast enough for what is left.

        The very first trial always runs.
        """
        family = member.family
        now = SYSTEM.monotonic_s()
        left = self._deadline - now
        if self.candidates and left <= _TIME_SLACK * self._seconds.get(family, 0.0):
            return None

        self._report(family, left)
        until = now + left * _share_of_time(family, origin)
        candidate = self._trials(member, origin, until, should_prune)
        least = self._seconds.get(family, candidate.seconds)
        self._seconds[family] = min(candidate.seconds, least)
        self.candidates.append(candidate)
        return candidate


def _share_of_time(family: Family, origin: str) -> float:
    """Return the share of the time left that a trial may take.

    A searched trial gets half: trees that would grow on for minutes stop. A linear model gets a
    third, even the stated one: on wide text other settings gain more than further iterations do.
    """
    if family == "linear":
        return 1 / 3
    return 1.0 if origin == "stated" else 0.5


def search(
    trials: Trials, rows: TrainingData, deadline: float, watch: Callable[[str], None]
) -> list[Candidate]:
    """Try members until the budget's trials are done or the time is up; the first always runs.

    A trial does not begin where its family has never been fast enough for the time that is left,
    and is pruned where it is behind others at the same point.
    """
    budget = rows.system.models.search.trials
    run = _Search(trials, deadline, watch)
    for member in stated_members(rows):
        run.attempt(member, "stated")

    # The baseline has no settings to search.
    families: list[Family] = [
        family for family in rows.system.models.candidates if family != "baseline"
    ]
    if not families or not budget:
        return run.candidates

    has_one_fold = len(trials.plan.folds) == 1
    studies = {family: _open_study(family, rows, has_one_fold) for family in families}
    good = [point["family"] for point in _OFTEN_GOOD if point["family"] in families]
    for number in range(budget - len(run.candidates)):
        if run.is_over():
            break
        if number < len(good):
            family = good[number]
        else:
            family = _next_family(families, run.candidates, number)
        _try_suggestion(run, studies[family], family, rows)
    return run.candidates


def _try_suggestion(run: _Search, study: Any, family: Family, rows: TrainingData) -> None:
    """Try what a study suggests, and report to the study what became of it."""
    from optuna.trial import TrialState

    trial = study.ask()

    def should_prune(step: int, cost: float) -> bool:
        trial.report(cost, step)
        return bool(trial.should_prune())

    try:
        candidate = run.attempt(suggest(trial, family, rows), "searched", should_prune)
    except TrialPruned:
        study.tell(trial, state=TrialState.PRUNED)
        return
    if candidate is None:
        # There was no time left to try it: it says nothing about its settings.
        study.tell(trial, None, TrialState.FAIL)
    else:
        study.tell(trial, candidate.cost)


def _next_family(families: list[Family], candidates: list[Candidate], number: int) -> Family:
    """Return the family of the best candidate so far, and now and then another in turn."""

    def least_cost(family: Family) -> float:
        costs = [each.cost for each in candidates if each.member.family == family]
        return min(costs, default=float("inf"))

    best = min(families, key=least_cost)
    # The best one now may only have had the luckier settings.
    others = [family for family in families if family != best]
    turn, remainder = divmod(number, _OTHER_FAMILY_EVERY)
    if others and remainder == 0:
        return others[turn % len(others)]
    return best


def _open_study(family: Family, rows: TrainingData, has_one_fold: bool) -> Any:
    """Open a study of one family, with the settings queued that are often good.

    Families do not share one: pruned trials of one family would speak against its settings in
    comparison with another. With one fold trials are compared while they fit, else after each fold.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = optuna.samplers.TPESampler(seed=rows.system.seed, n_startup_trials=_STARTUP_TRIALS)
    if has_one_fold:
        pruner = optuna.pruners.PercentilePruner(
            _PERCENT_WITHIN_A_FIT, n_startup_trials=4, n_warmup_steps=_SAFE_STEPS
        )
    else:
        pruner = optuna.pruners.PercentilePruner(
            _PERCENT_BETWEEN_FOLDS, n_startup_trials=2, n_warmup_steps=0
        )
    study = optuna.create_study(sampler=sampler, pruner=pruner)

    encoders = _list_encoders(family, rows)
    for point in _OFTEN_GOOD:
        if point["family"] == family:
            settings = _settings_of(point, encoders, len(rows.parts.train))
            if not _list_objectives(family, rows):
                settings.pop("objective", None)
            study.enqueue_trial(settings)
    return study


def _settings_of(
    point: dict[str, Any], encoders: dict[Kind, list[str]], train_rows: int
) -> dict[str, Any]:
    """Return a point of `_OFTEN_GOOD` as settings that this table allows."""
    settings = {name: value for name, value in point.items() if name != "family"}
    for kind, choices in encoders.items():
        # Without codes among the categories none is read as a number.
        if settings[kind] not in choices:
            settings[kind] = settings[kind].removesuffix("+number")
    if point["family"] == "gbdt":
        settings["min_rows_per_leaf"] = max(2, min(20, train_rows // 100))
    return settings
