"""The data of training in one value, with the encoders and matrices that a family needs."""

from typing import Any

import numpy as np
import polars as pl
from msgspec import Struct

from headrace.arrays import Floats, Integers
from headrace.errors import InputError
from headrace.features import (
    EncoderChoice,
    Features,
    Target,
    fit_features,
    open_coded_session,
    refit_means,
)
from headrace.models import FAMILIES, compile_features
from headrace.spec import Member, System
from headrace.split import Split, inner_folds
from headrace.tables import Column
from headrace.tasks import Queries, Truth

_INNER_FOLDS = 5
_MOST_TARGET_OUTPUTS = 20
"""With more classes a target mean would be as many columns."""


class TrainingData(Struct, frozen=True):
    """All rows of all splits, and what training needs to know of them.

    `frame (N rows)` is typed, `columns` have their kinds, `y (N,)` is the target as numbers,
    `parts` are the row numbers of each split, and `weight (N,)` is there where the spec states one.
    """

    frame: pl.DataFrame
    columns: list[Column]
    target: Target
    y: Floats
    system: System
    parts: Split
    weight: Floats | None = None

    def weight_of(self, rows: Integers) -> Floats | None:
        """Return the weights of some rows; None where every row counts the same."""
        return None if self.weight is None else self.weight[rows]

    def truth_of(self, rows: Integers) -> Truth:
        """Return the outcomes of some rows, with their weights and, in a ranking, their queries."""
        return self.truth.select(rows)

    @property
    def truth(self) -> Truth:
        """The outcomes of all rows."""
        queries = None
        if self.target.kind.HAS_QUERIES:
            assert self.parts.group is not None
            queries = Queries(self.parts.group, self.target.grading)
        return Truth(self.y, self.weight, queries)

    @property
    def outputs(self) -> Floats | None:
        """The values `(N, outputs)` that target means are means of; None where they are too many.

        A binary task or a regression has one, the target itself; a multiclass task has one a class.
        """
        kind = self.target.kind
        classes = len(self.target.classes)
        if kind.width(classes) > _MOST_TARGET_OUTPUTS:
            return None
        return kind.target_outputs(self.y, classes)

    def fit_encoders(self, fit_on: Integers, member: Member) -> Features:
        """Fit the encoders of a member on some rows.

        Raises `InputError` where there is no column to learn from.
        """
        spec = self.system
        outputs = self.outputs
        features = fit_features(
            self.frame[fit_on],
            self.columns,
            spec.features,
            EncoderChoice(FAMILIES[member.family].REPRESENTATION, member.encode),
            spec.data.missing,
            None if outputs is None else outputs[fit_on],
        )
        if not features.encoded:
            ignored = "; ".join(f"{column.name}: {column.why}" for column in self.columns)
            raise InputError(
                "features",
                "no column to learn from",
                "at least one",
                f"all are ignored ({ignored})",
            )
        return features

    def encode_rows(self, features: Features, rows: Integers) -> Any:
        """Encode rows that the encoders were not fitted on, by the graph that will serve.

        Returns a matrix `(len(rows), F)`, dense or CSR.
        """
        return open_coded_session(compile_features(features)).rows(self.frame[rows])

    def encode_fold(
        self, features: Features, fit_on: Integers, predict_on: Integers
    ) -> tuple[Any, Any]:
        """Encode the rows that the encoders were fitted on, and other rows.

        Returns a matrix of each, as `encode_rows` does; the graph is built once for both.

        The mean of a row's category must not contain the row's own target, or a model would learn
        targets by heart. So target means come from the same nodes with states that were fitted on
        other rows: on the other folds, or under a time split on the past alone. The earliest rows,
        which have no past, get the mean of them all.

        Three folds, the target mean of category `red`:

            row   fold   target   mean of the other folds' reds
            0     A        1        (0 + 0) / 2 = 0
            1     B        0        (1 + 0) / 2 = 0.5
            2     C        0        (1 + 0) / 2 = 0.5      (the served table says 1 / 3)
        """
        both = self.encode_rows(features, np.concatenate([fit_on, predict_on]))
        X = both[: len(fit_on)]
        X_predict = both[len(fit_on) :]
        # Only target means depend on the targets of the rows.
        target_features = features.only("target")
        if not target_features.encoded:
            return X, X_predict

        means = self._out_of_fold_means(target_features, fit_on)
        places = [features.names.index(name) for name in target_features.names]
        if isinstance(X, np.ndarray):
            X[:, places] = means
            return X, X_predict

        # Target means are among the dense columns; the sparse ones behind them stay as they are.
        from scipy.sparse import csr_matrix, hstack

        width = len(features.names)
        dense = X[:, :width].toarray()
        dense[:, places] = means
        return hstack([csr_matrix(dense), X[:, width:]], format="csr"), X_predict

    def _out_of_fold_means(self, features: Features, fit_on: Integers) -> Any:
        """Compute the target means of rows, each from folds that it is not in: float32."""
        outputs = self.outputs
        assert outputs is not None
        means = np.empty((len(fit_on), len(features.names)), np.float32)
        strata = self.y.astype(np.int64) if self.target.classes else None
        has_no_past = np.ones(len(fit_on), dtype=bool)
        for fold in inner_folds(self.parts, fit_on, strata, _INNER_FOLDS, self.system.seed):
            at = np.searchsorted(fit_on, fold.predict)
            has_no_past[at] = False
            refitted = refit_means(features, self.frame[fold.fit], outputs[fold.fit])
            means[at] = self.encode_rows(refitted, fold.predict)
        if has_no_past.any():
            mean = outputs[fit_on[has_no_past]].mean(axis=0)
            means[has_no_past] = np.tile(mean, len(features.encoded))
        return means
