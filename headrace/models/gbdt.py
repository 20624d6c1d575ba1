"""Gradient-boosted trees by LightGBM, written to ONNX from its own text form with its own double thresholds."""

import os
from typing import Any

import numpy as np
from msgspec import Struct, structs

from headrace import openmp
from headrace.arrays import Floats
from headrace.clock import SYSTEM
from headrace.features import Graph, ModelInputs, Representation, Target
from headrace.models.fitted import Fitted, Matrix, Sample, TrialPruned, ValidationSet
from headrace.spec import GbdtParams

_ZERO = float(np.float32(1e-35))
_INFINITE = 1e300
_NAN_IS_MISSING = 2
_LEAST_WORK, _FASTEST, _TIMED_ROUNDS, _CLOSE = 10.0, 0.3, 3, 1.1
"""Trees that are to be worth their while need about so many rounds times learning rate, which is told from the time of
the first rounds; a larger learning rate than this one costs more than it brings."""
_NOT_ABOVE, _IN_SET = 0, 6
"""How the operator asks: at most the threshold, or a member of the set."""
_WIDE = 100
REPRESENTATION: Representation = "tree"


class Trees(Struct, frozen=True):
    """LightGBM's booster and its number of scores.

    `offset` is the mean of a regression target: LightGBM keeps targets as float32, so it is given
    differences. `centres (F,)` are the means of the columns, NaN for those that were missing
    somewhere in training: the others take a missing value for their mean, as linear models do,
    where LightGBM would read it as 0.
    """

    booster: Any
    outputs: int
    offset: float
    centres: Floats


def fit(
    sample: Sample, target: Target, params: GbdtParams, seed: int, watched: ValidationSet | None
) -> Fitted:
    """Fits `params.rounds` rounds, or as many as are best on the watched rows; the result's params
    name them.

    Where the deadline leaves too few rounds for the learning rate, a larger one is taken. Raises
    `TrialPruned` where `watched.should_prune` says so.
    """
    lightgbm = openmp.load("lightgbm")
    classes = target.kind.width(len(target.classes))
    width = sample.X.shape[1]
    params = structs.replace(
        params, column_fraction=params.column_fraction or 0.8 * share_of_columns(width)
    )
    objective = params.objective or target.kind.LIGHTGBM_OBJECTIVE
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
        "force_col_wise"
        if width > _WIDE
        else "force_row_wise": True,  # asked by LightGBM, so that two fits are one
        "num_threads": os.cpu_count() or 1,
        "verbosity": -1,
    }
    if objective == "quantile":
        settings["alpha"] = params.quantile
    y = sample.y
    offset = (
        float(np.average(y, weights=sample.weight))
        if not target.kind.HAS_CLASSES and objective != "mape"
        else 0.0
    )
    sets = sample.codes if params.categories == "sets" else []
    X, centres = _as_sets(sample.X, sets), _centres(sample.X)
    data = lightgbm.Dataset(
        X, y - offset, weight=sample.weight, categorical_feature=sets, params=settings
    )
    if params.rounds is not None or watched is None:
        rounds = params.rounds or params.max_rounds
        booster = lightgbm.train(settings, data, rounds)
    else:
        # What the shift will add belongs to the scores that early stopping judges.
        shifts = (
            np.repeat(np.array(watched.offset), len(watched.y)) if any(watched.offset) else None
        )
        judges = lightgbm.Dataset(
            _as_sets(_filled(watched.X, centres), sets),
            watched.y - offset,
            weight=watched.weight,
            init_score=shifts,
            reference=data,
        )

        def train(params: GbdtParams, may_hurry: bool) -> Any:
            stops = [
                lightgbm.early_stopping(params.early_stopping, verbose=False),
                _stop(watched, params, may_hurry),
            ]
            given = settings | {"learning_rate": params.learning_rate}
            return lightgbm.train(
                given, data, params.max_rounds, valid_sets=[judges], callbacks=stops
            )

        try:
            booster = train(params, True)
        except _TooSlow as slow:
            params = structs.replace(params, learning_rate=slow.learning_rate)
            booster = train(params, False)
        rounds = max(booster.best_iteration, 1)
    return Fitted(
        "gbdt", structs.replace(params, rounds=rounds), Trees(booster, classes, offset, centres)
    )


def _centres(X: Matrix) -> Floats:
    """The mean of the finite values of each column `(F,)`; NaN where it has a hole."""
    with np.errstate(over="ignore", invalid="ignore"):
        centres = np.asarray(X.mean(axis=0, dtype=np.float64).astype(np.float32)).ravel()
    for at in np.flatnonzero(np.isinf(centres) | np.isnan(centres)):
        column = np.asarray(X[:, at], np.float64)
        finite = column[np.isfinite(column)]
        centres[at] = np.nan if np.isnan(column).any() or not len(finite) else finite.mean()
    return centres


def _filled(X: Matrix, centres: Floats) -> Matrix:
    """The matrix with the centres of columns in the place of what is missing."""
    absent = np.isnan(X) & ~np.isnan(centres)
    return np.where(absent, centres.astype(np.float32), X) if absent.any() else X


def _as_sets(X: Matrix, sets: list[int]) -> Matrix:
    """The matrix as LightGBM reads categories: no code is negative, missing is NaN (both are in no set)."""
    if not sets:
        return X
    codes = X[:, sets]
    X = X.copy()
    X[:, sets] = np.where(codes < 0, np.nan, codes)
    return X


def share_of_columns(width: int) -> float:
    """What fractions of columns are multiplied by: with many columns each tree needs a small share
    of them.

    On 784 pixels a fraction of 0.1 in the place of 0.8 takes half the time and errs less.
    """
    return min(1.0, _WIDE / max(width, 1))


class _TooSlow(Exception):  # noqa: N818 - no error: the fit begins anew
    """The rounds until the deadline are too few for the learning rate; this one would do."""

    def __init__(self, learning_rate: float) -> None:
        self.learning_rate = learning_rate


def _stop(watched: ValidationSet, params: GbdtParams, may_hurry: bool) -> Any:
    """Ends a fit at its deadline, keeping its best round, and asks now and then whether to give it
    up.

    A fit that `may_hurry` and would not be done by then ends early with `_TooSlow`.

    Rounds times learning rate is the work that fits of different learning rates have done.
    """
    from lightgbm.callback import EarlyStopException

    best: tuple[float, int, Any] = (float("inf"), 0, None)
    every = max(1, round(1 / params.learning_rate))
    begin = 0.0

    def after_round(state: Any) -> None:
        nonlocal best, begin
        now = SYSTEM.monotonic_s()
        loss = state.evaluation_result_list[0][2]
        if loss < best[0]:
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
        done, rest = divmod(state.iteration + 1, every)
        if watched.should_prune is not None and rest == 0 and watched.should_prune(done, best[0]):
            raise TrialPruned

    after_round.order = 40  # type: ignore[attr-defined]  # after early stopping, which comes at 30
    return after_round


def predict(fitted: Fitted, X: Matrix) -> Floats:
    """LightGBM's own raw scores."""
    trees: Trees = fitted.state
    raw = trees.booster.predict(
        _filled(X, trees.centres), num_iteration=fitted.params.rounds, raw_score=True
    )
    return np.asarray(raw, dtype=np.float64) + trees.offset


def uses(fitted: Fitted) -> Floats:
    """What the splits by each column gained."""
    gains = fitted.state.booster.feature_importance("gain", iteration=fitted.params.rounds)
    return np.asarray(gains, np.float64)


def nodes(graph: Graph, inputs: ModelInputs, fitted: Fitted) -> str:
    """One `TreeEnsemble` over the matrix as float64: bit for bit LightGBM's raw score."""
    trees: Trees = fitted.state
    raw = graph.node(
        "TreeEnsemble",
        graph.node("Cast", inputs.matrix, to=11),
        domain="ai.onnx.ml",
        n_targets=trees.outputs,
        aggregate_function=1,
        post_transform=0,
        **_tree_attributes(trees, fitted.params.rounds),
    )
    return graph.node("Add", raw, graph.constant(trees.offset, np.float64)) if trees.offset else raw


def _as_predicted(thresholds: Floats) -> Floats:
    """The thresholds that give LightGBM's answer for every float32.

    Its predictor reads numbers within 1e-35 of zero as zero, and its dump writes an infinite
    threshold as 1e300.
    """
    below_zero = float(np.nextafter(np.float32(-_ZERO), np.float32(-1)))
    found = np.where(thresholds >= _INFINITE, np.inf, thresholds)
    found = np.where((found >= -_ZERO) & (found < 0), below_zero, found)
    return np.where((found >= 0) & (found < _ZERO), _ZERO, found)


def _members(lines: dict[str, str], number: int) -> Floats:
    """The codes of a tree's set, which LightGBM keeps as words of 32 bits, and the NaN that ends it."""
    starts = [int(start) for start in lines["cat_boundaries"].split()]
    words = np.array(lines["cat_threshold"].split()[starts[number] : starts[number + 1]], np.uint32)
    codes = np.flatnonzero(np.unpackbits(words.view(np.uint8), bitorder="little"))
    return np.append(codes.astype(np.float64), np.nan)


def _tree_attributes(trees: Trees, rounds: int) -> dict[str, Any]:
    """LightGBM's own text form as the flat arrays of the operator.

    There a child that is not negative is a node of its tree, and `-1 - child` a leaf; bit 0 of
    `decision_type` says that the codes of a set go left, and `threshold` is the set's number; bit 1
    that missing goes left; bits 2 and 3 whether NaN means missing (2) or was never there (0): then
    it goes where the column's centre would.
    """
    from onnx import numpy_helper

    text = trees.booster.model_to_string(num_iteration=rounds)

    flat: dict[str, list[Any]] = {
        name: []
        for name in (
            "splits", "features", "modes", "sets", "nan_true", "true", "true_leaf", "false", "false_leaf", "target",
            "weight",
        )
    }  # fmt: skip
    roots, nodes_before, leaves_before = [], 0, 0
    for number, block in enumerate(text.split("\nTree=")[1:]):
        lines = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        weights = np.array(lines["leaf_value"].split(), np.float64)
        if len(weights) == 1:  # a tree of one leaf becomes a question with one answer
            lines |= {
                "split_feature": "0",
                "threshold": "0",
                "decision_type": "0",
                "left_child": "-1",
                "right_child": "-1",
            }
        thresholds = np.array(lines["threshold"].split(), np.float64)
        decision = np.array(lines["decision_type"].split(), np.int64)
        by_set = decision & 1 == 1
        asked = np.array(lines["split_feature"].split(), np.int64)
        as_centre = np.nan_to_num(trees.centres[asked]) <= thresholds
        by_missing = np.where(
            (decision >> 2) & 3 == _NAN_IS_MISSING, (decision >> 1) & 1, as_centre
        )
        roots.append(nodes_before)
        flat["splits"].append(np.where(by_set, 0.0, _as_predicted(thresholds)))
        flat["modes"].append(np.where(by_set, _IN_SET, _NOT_ABOVE))
        flat["sets"] += [_members(lines, number) for number in thresholds[by_set].astype(np.int64)]
        flat["features"].append(asked)
        flat["nan_true"].append(np.where(by_set, 0, by_missing))
        for side, name in (("true", "left_child"), ("false", "right_child")):
            child = np.array(lines[name].split(), np.int64)
            flat[side].append(
                np.where(child >= 0, child + nodes_before, -1 - child + leaves_before)
            )
            flat[f"{side}_leaf"].append(child < 0)
        flat["target"].append(np.full(len(weights), number % trees.outputs))
        flat["weight"].append(weights)
        nodes_before, leaves_before = nodes_before + len(thresholds), leaves_before + len(weights)
    whole = {name: np.concatenate(parts or [np.empty(0)]) for name, parts in flat.items()}
    listed = {
        name: values.astype(np.int64).tolist()
        for name, values in whole.items()
        if name not in ("splits", "modes", "sets", "weight")
    }
    sets = (
        {"membership_values": numpy_helper.from_array(whole["sets"], "sets")}
        if len(whole["sets"])
        else {}
    )
    return {
        **sets,
        "tree_roots": roots,
        "nodes_splits": numpy_helper.from_array(whole["splits"], "splits"),
        "nodes_featureids": listed["features"],
        "nodes_modes": numpy_helper.from_array(whole["modes"].astype(np.uint8), "modes"),
        "nodes_missing_value_tracks_true": listed["nan_true"],
        "nodes_truenodeids": listed["true"],
        "nodes_trueleafs": listed["true_leaf"],
        "nodes_falsenodeids": listed["false"],
        "nodes_falseleafs": listed["false_leaf"],
        "leaf_targetids": listed["target"],
        "leaf_weights": numpy_helper.from_array(whole["weight"], "weights"),
    }
