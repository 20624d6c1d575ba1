"""Every candidate predicts rows that it was not fitted on; the best by the goal's metric wins."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from msgspec import Struct, structs

from millrace.errors import InputError
from millrace.models import FAMILIES
from millrace.split import Fold, Parts, folds
from millrace.train.rows import Rows

FOLDS = 5
ENOUGH_VALIDATION_ROWS = 2_000
"""With fewer validation rows the choice is made on out-of-fold predictions of train and validation together."""

Judge = Callable[[npt.NDArray[np.float64], npt.NDArray[np.float64]], float]


class Candidate(Struct, frozen=True):
    """One family with the settings that it would be refitted with, and its predictions of the judging rows."""

    family: str
    params: Any
    scores: npt.NDArray[np.float64]
    value: float
    seconds: float


class Choice(Struct, frozen=True):
    """The candidates in the order of their trial (the baseline first), the winner, and the rows that judged."""

    candidates: list[Candidate]
    winner: Candidate
    rows: npt.NDArray[np.int64]
    method: str


def choose(rows: Rows, parts: Parts, judge: Judge, higher: bool, watch: Callable[[str], None]) -> Choice:
    """Tries the baseline and every family of the spec, and takes the best of the spec's families.

    Parameters: `judge(y, scores)` gives the goal's metric, `higher` its direction; `watch` hears what is being tried.
    Raises `InputError` where the rows to fit or to judge hold a single class.
    """
    plan, method = _plan(rows, parts)
    families: list[str] = list(dict.fromkeys(["baseline", *rows.system.models.candidates]))
    trials: dict[str, list[tuple[Any, npt.NDArray[np.float64], float]]] = {family: [] for family in families}
    for number, fold in enumerate(plan, 1):
        matrices: dict[str, Any] = {}
        for family in families:
            watch(family + (f", fold {number} of {len(plan)}" if len(plan) > 1 else ""))
            trials[family].append(_trial(rows, fold, family, matrices))
    judged = np.concatenate([fold.predict for fold in plan])
    y = rows.y[judged]
    candidates = []
    for family, results in trials.items():
        scores = np.concatenate([scores for _, scores, _ in results])
        params = _together([params for params, _, _ in results])
        candidates.append(
            Candidate(family, params, scores, judge(y, scores), sum(seconds for _, _, seconds in results))
        )
    stated = [candidate for candidate in candidates if candidate.family in rows.system.models.candidates]
    winner = (max if higher else min)(stated, key=lambda candidate: candidate.value)
    return Choice(candidates, winner, judged, method)


def _plan(rows: Rows, parts: Parts) -> tuple[list[Fold], str]:
    if len(parts.validation) >= ENOUGH_VALIDATION_ROWS:
        plan = [Fold(parts.train, parts.validation)]
        method = f"{len(parts.validation)} validation rows"
    else:
        strata = rows.y.astype(np.int64) if rows.target.classes else None
        plan = folds(parts, strata, FOLDS, rows.system.seed)
        kind = "each block predicted from the past" if parts.order is not None else "out-of-fold predictions"
        method = f"{len(plan)} folds ({kind}), for fewer than {ENOUGH_VALIDATION_ROWS} validation rows"
    if rows.target.classes:
        for fold in plan:
            _refuse_one_class(rows, fold.fit, "the rows to fit on")
        _refuse_one_class(rows, np.concatenate([fold.predict for fold in plan]), "the rows that judge candidates")
    return plan, method


def _refuse_one_class(rows: Rows, some: npt.NDArray[np.int64], label: str) -> None:
    found = np.unique(rows.y[some])
    if len(found) < 2:
        name = rows.target.classes[int(found[0])] if len(found) else None
        raise InputError(
            "split",
            f"only the class {name!r} among {label} ({len(some)})",
            "at least two classes",
            "give more rows or another split",
        )


def _trial(rows: Rows, fold: Fold, family: str, matrices: dict[str, Any]) -> tuple[Any, npt.NDArray[np.float64], float]:
    """Fits a family on a fold; families of one representation share the fold's matrices."""
    begin = time.perf_counter()
    member = FAMILIES[family]
    if member.REPRESENTATION not in matrices:
        _, session = rows.features(fold.fit, member.REPRESENTATION)
        matrices[member.REPRESENTATION] = rows.matrix(session, fold.fit), rows.matrix(session, fold.predict)
    X, held = matrices[member.REPRESENTATION]
    params = getattr(rows.system.models, family, None)
    fitted = member.fit(X, rows.y[fold.fit], rows.target, params, rows.system.seed, (held, rows.y[fold.predict]))
    return fitted.params, member.predict(fitted, held), time.perf_counter() - begin


def _together(params: list[Any]) -> Any:
    """The settings of several folds: the same but for the rounds, which are averaged."""
    if getattr(params[0], "rounds", None) is None:
        return params[0]
    return structs.replace(params[0], rounds=round(sum(each.rounds for each in params) / len(params)))
