"""Gradient-boosted trees by LightGBM: how they are fitted, and their node in the graph."""

import os
from collections.abc import Callable
from typing import Any

import numpy as np
from msgspec import Struct, structs

from headrace import openmp
from headrace.arrays import Floats
from headrace.clock import SYSTEM
from headrace.features import Graph, ModelInputs, Representation, Target
from headrace.models.fitted import Fitted, Matrix, Sample, TrialPruned, ValidationSet
from headrace.models.tree_ensemble import translate_trees
from headrace.spec import GbdtParams
from headrace.tasks import Grading

REPRESENTATION: Representation = "tree"
_WIDE = 100
"""A matrix with more columns is wide."""

_LEAST_WORK = 10.0
"""Trees are worth their while after about so many rounds times learning rate."""
_FASTEST = 0.3
"""A larger learning rate costs more than it brings."""
_TIMED_ROUNDS = 3
"""The time of so many rounds tells how many there will be until the deadline."""
_CLOSE = 1.1
"""A learning rate within this factor of the one that would do is not worth beginning anew."""

_NAMES_OF_LIGHTGBM = {"xendcg": "rank_xendcg", "pointwise": "regression"}
_MOST_GRADES = {"lambdarank": 1_000, "rank_xendcg": 32}
"""The objectives of lists, and how many different grades each takes: XE-NDCG raises 2 to them."""
_JUDGED_EACH_ROUND = 20_000
"""Judging more validation rows than this in every round would take as long as the rounds."""


class Trees(Struct, frozen=True):
    """LightGBM's booster, and how many scores it gives a row.

    `offset` is the mean of a regression target. LightGBM holds targets as float32, so it is given
    the differences from the mean. `centres (F,)` are the means of the columns that were never
    missing in training, and NaN for the others. A missing value in such a column is taken for its
    mean, as linear models do; LightGBM would read it as 0.
    """

    booster: Any
    outputs: int
    offset: float
    centres: Floats


def fit(
    sample: Sample, target: Target, params: GbdtParams, seed: int, watched: ValidationSet | None
) -> Fitted:
    """Fit `params.rounds` rounds, or as many as are best on the watched rows.

    The params of the result name the rounds. If the deadline leaves too few rounds for the learning
    rate, a larger one is taken. Raises `TrialPruned` if `watched.should_prune` says so.
    """
    lightgbm = openmp.load("lightgbm")
    fraction = params.column_fraction or 0.8 * share_of_columns(sample.X.shape[1])
    params = structs.replace(params, column_fraction=fraction)
    plan = plan_trees(params, target, sample.X.shape[1], sample.codes, seed)
    settings = plan.settings
    sets = plan.sets

    offset = 0.0
    if plan.is_centred:
        offset = float(np.average(sample.y, weights=sample.weight))
    centres = compute_centres(sample.X)
    y = sample.y
    sizes = None
    if settings["objective"] in _MOST_GRADES:
        most = _MOST_GRADES[settings["objective"]]
        y, settings["label_gain"] = number_grades(y, target.grading, most)
        assert sample.queries is not None
        sizes = np.bincount(sample.queries.of_row)
    data = lightgbm.Dataset(
        _prepare_sets(sample.X, sets),
        y - offset,
        weight=sample.weight,
        group=sizes,
        categorical_feature=sets,
        params=settings,
    )

    if params.rounds is not None or watched is None:
        rounds = params.rounds or params.max_rounds
        booster = lightgbm.train(settings, data, rounds)
    else:
        X = _prepare_sets(fill_missing(watched.X, centres), sets)
        # What the shift will add belongs to the scores that early stopping judges.
        shifts = None
        if any(watched.offset):
            shifts = np.repeat(np.array(watched.offset), len(watched.y))
        labels = np.zeros(len(watched.y)) if watched.cost else watched.y - offset
        judges = lightgbm.Dataset(
            X, labels, weight=watched.weight, init_score=shifts, reference=data
        )
        booster, params = _train_to_best(settings, params, data, judges, watched)
        rounds = max(booster.best_iteration, 1)
    params = structs.replace(params, rounds=rounds)
    return Fitted("gbdt", params, Trees(booster, settings["num_class"], offset, centres))


def number_grades(grades: Floats, grading: Grading, most: int) -> tuple[Floats, list[float]]:
    """Return each grade's number among all grades `(N,)`, and the gain of each number.

    LightGBM takes whole numbers alone. Of more than `most` different grades neighbours share one.

    >>> number_grades(np.array([0.0, 2.5, 0.5]), Grading("linear"), most=100)
    (array([0., 2., 1.]), [0.0, 0.5, 2.5])
    """
    levels = np.unique(grades)
    if len(levels) > most:
        levels = np.unique(np.quantile(levels, np.linspace(0, 1, most), method="lower"))
    numbers = np.searchsorted(levels, grades, side="right") - 1
    return numbers.astype(np.float64), grading.gains(levels).tolist()


class TreePlan(Struct, frozen=True):
    """The settings of a fit by LightGBM, the columns to split as `sets`, and `is_centred`.

    The mean is taken out of a regression target, which LightGBM would round to float32.
    """

    settings: dict[str, Any]
    sets: list[int]
    is_centred: bool


def plan_trees(
    params: GbdtParams, target: Target, width: int, codes: list[int], seed: int
) -> TreePlan:
    """Translate params for a matrix with `width` columns, of which `codes` hold categories."""
    objective = params.objective or target.kind.LIGHTGBM_OBJECTIVE
    objective = _NAMES_OF_LIGHTGBM.get(objective, objective)
    classes = target.kind.width(len(target.classes))
    settings = _build_settings(params, objective, classes, width, seed)
    sets = codes if params.categories == "sets" else []
    is_centred = not (target.kind.HAS_CLASSES or objective in ("mape", *_MOST_GRADES))
    return TreePlan(settings, sets, is_centred)


def _build_settings(
    params: GbdtParams, objective: str, classes: int, width: int, seed: int
) -> dict[str, Any]:
    """Translate params to LightGBM's settings, for a matrix with `width` columns."""
    settings = {
        "objective": objective,
        "num_class": classes,
        "learning_rate": params.learning_rate,
        "num_leaves": params.leaves,
        "min_data_in_leaf": params.min_rows_per_leaf,
        "lambda_l2": params.l2,
        "feature_fraction": params.column_fraction,
        "bagging_fraction": params.row_fraction,
        "bagging_freq": 1 if params.row_fraction < 1 else 0,
        "extra_trees": params.extra_random,
        "max_bin": params.bins,
        "cat_smooth": params.category_smoothing,
        "cat_l2": params.category_l2,
        "seed": seed,
        "deterministic": True,
        # Left to itself, LightGBM chooses by time, and two fits would differ.
        "force_col_wise" if width > _WIDE else "force_row_wise": True,
        "num_threads": os.cpu_count() or 1,
        "verbosity": -1,
    }
    if objective == "quantile":
        settings["alpha"] = params.quantile
    if objective == "lambdarank" and params.truncation is not None:
        settings["lambdarank_truncation_level"] = params.truncation
    return settings


def _train_to_best(
    settings: dict[str, Any], params: GbdtParams, data: Any, judges: Any, watched: ValidationSet
) -> tuple[Any, GbdtParams]:
    """Train until the watched rows, as the dataset `judges`, get no better.

    Returns the booster, and the params with the learning rate that was used.
    """
    lightgbm = openmp.load("lightgbm")

    def train(params: GbdtParams, may_hurry: bool) -> Any:
        """Train until the deadline; with `may_hurry` raise `_TooSlow` if that comes too early."""
        callbacks = [
            lightgbm.early_stopping(params.early_stopping, verbose=False),
            _build_stop(watched, params, may_hurry),
        ]
        more: dict[str, Any] = {"learning_rate": params.learning_rate}
        judge = None
        if watched.cost is not None:
            more["metric"] = "none"
            judge = _build_judge(watched.cost, len(watched.y))
        return lightgbm.train(
            settings | more,
            data,
            params.max_rounds,
            valid_sets=[judges],
            feval=judge,
            callbacks=callbacks,
        )

    try:
        return train(params, True), params
    except _TooSlow as slow:
        params = structs.replace(params, learning_rate=slow.learning_rate)
        return train(params, False), params


def _build_judge(cost: Callable[[Floats], float], rows: int) -> Any:
    """Return a metric for LightGBM that judges raw scores by a cost.

    Of many rows it judges one of some rounds, and repeats itself in between.
    """
    every = max(1, rows // _JUDGED_EACH_ROUND)
    count = 0
    last = 0.0

    def judge(raw: Floats, data: Any) -> tuple[str, float, bool]:
        nonlocal count, last
        if count % every == 0:
            last = cost(raw)
        count += 1
        return "cost", last, False

    return judge


def compute_centres(X: Matrix) -> Floats:
    """Compute the mean of the finite values of each column `(F,)`; NaN if one is missing."""
    with np.errstate(over="ignore", invalid="ignore"):
        centres = np.asarray(X.mean(axis=0, dtype=np.float64).astype(np.float32)).ravel()
    # These columns have a missing or an infinite value, or their sum is too large for the mean.
    for at in np.flatnonzero(np.isinf(centres) | np.isnan(centres)):
        column = np.asarray(X[:, at], np.float64)
        finite = column[np.isfinite(column)]
        if np.isnan(column).any() or not len(finite):
            centres[at] = np.nan
        else:
            centres[at] = finite.mean()
    return centres


def fill_missing(X: Matrix, centres: Floats) -> Matrix:
    """Return the matrix with centres in the place of missing values, in columns that have one."""
    absent = np.isnan(X) & ~np.isnan(centres)
    return np.where(absent, centres.astype(np.float32), X) if absent.any() else X


def _prepare_sets(X: Matrix, sets: list[int]) -> Matrix:
    """Return the matrix as LightGBM reads categories, with the codes in the columns `sets`.

    No code may be negative: a missing one becomes NaN, which is in no set either.
    """
    if not sets:
        return X
    codes = X[:, sets]
    X = X.copy()
    X[:, sets] = np.where(codes < 0, np.nan, codes)
    return X


def share_of_columns(width: int) -> float:
    """Return the factor of column fractions for a matrix with `width` columns.

    With many columns each tree needs a small share of them. On 784 pixels a fraction of 0.1, in the
    place of 0.8, takes half the time and errs less.

    >>> share_of_columns(12), share_of_columns(800)
    (1.0, 0.125)
    """
    return min(1.0, _WIDE / max(width, 1))


class _TooSlow(Exception):  # noqa: N818 - no error: the fit begins anew
    """The rounds until the deadline are too few for the learning rate; this one would do."""

    def __init__(self, learning_rate: float) -> None:
        self.learning_rate = learning_rate


def _build_stop(watched: ValidationSet, params: GbdtParams, may_hurry: bool) -> Any:
    """Return a callback for LightGBM that ends a fit at its deadline with its best round.

    From time to time it asks whether to prune the trial. If the fit `may_hurry` and would not be
    done by the deadline, it raises `_TooSlow` early. The work of fits with different learning rates
    is compared as rounds times learning rate.
    """
    from lightgbm.callback import EarlyStopException

    best: tuple[float, int, Any] = (float("inf"), 0, None)
    rounds_per_step = max(1, round(1 / params.learning_rate))
    begin = 0.0

    def after_round(state: Any) -> None:
        """Look at the clock and at the loss; LightGBM calls this after every round."""
        nonlocal best, begin
        now = SYSTEM.monotonic_s()
        loss = state.evaluation_result_list[0][2]
        # A metric that is not defined is better than nothing, once.
        if loss < best[0] or best[2] is None:
            best = (loss, state.iteration, state.evaluation_result_list)

        if state.iteration == 0:
            begin = now
        elif may_hurry and state.iteration == _TIMED_ROUNDS and watched.deadline < float("inf"):
            rounds = max(watched.deadline - now, 0.0) / (now - begin) * _TIMED_ROUNDS
            enough = min(_LEAST_WORK / max(rounds, 1.0), _FASTEST)
            if rounds < params.max_rounds and enough > params.learning_rate * _CLOSE:
                raise _TooSlow(enough)
        if now > watched.deadline:
            raise EarlyStopException(best[1], best[2])

        step, rest = divmod(state.iteration + 1, rounds_per_step)
        if watched.should_prune is not None and rest == 0 and watched.should_prune(step, best[0]):
            raise TrialPruned

    # After LightGBM's early stopping, whose order is 30.
    after_round.order = 40  # type: ignore[attr-defined]
    return after_round


def predict(fitted: Fitted, X: Matrix) -> Floats:
    """Compute LightGBM's own raw scores."""
    trees: Trees = fitted.state
    raw = trees.booster.predict(
        fill_missing(X, trees.centres), num_iteration=fitted.params.rounds, raw_score=True
    )
    return np.asarray(raw, dtype=np.float64) + trees.offset


def uses(fitted: Fitted) -> Floats:
    """Return what the splits by each column gained `(F,)`."""
    gains = fitted.state.booster.feature_importance("gain", iteration=fitted.params.rounds)
    return np.asarray(gains, np.float64)


def nodes(graph: Graph, inputs: ModelInputs, fitted: Fitted) -> str:
    """Add one `TreeEnsemble` over the matrix as float64; return the tensor of raw scores."""
    trees: Trees = fitted.state
    text = trees.booster.model_to_string(num_iteration=fitted.params.rounds)
    raw = graph.node(
        "TreeEnsemble",
        # Type 11 is float64: no threshold is rounded.
        graph.node("Cast", inputs.matrix, to=11),
        domain="ai.onnx.ml",
        n_targets=trees.outputs,
        aggregate_function=1,
        post_transform=0,
        **translate_trees(text, trees.centres, trees.outputs),
    )
    if not trees.offset:
        return raw
    return graph.node("Add", raw, graph.constant(trees.offset, np.float64))
