"""What training needs to know of the data, in one value, and the encoders and matrices that a family sees."""

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

_INNER_FOLDS = 5
_MOST_TARGET_OUTPUTS = 20
"""With more classes a target mean would be as many columns."""


class TrainingData(Struct, frozen=True):
    """All rows typed, their columns with kinds, the target as numbers `(N,)`, and the weights of rows where stated."""

    frame: pl.DataFrame
    columns: list[Column]
    target: Target
    y: Floats
    system: System
    parts: Split
    weight: Floats | None = None

    def weight_of(self, some: Integers) -> Floats | None:
        """The weights of some rows; none where every row counts the same."""
        return None if self.weight is None else self.weight[some]

    @property
    def outputs(self) -> Floats | None:
        """What target means are means of `(N, outputs)`: the value, or one column for each class
        but in binary tasks.
        """
        kind, classes = self.target.kind, len(self.target.classes)
        return (
            kind.target_outputs(self.y, classes)
            if kind.width(classes) <= _MOST_TARGET_OUTPUTS
            else None
        )

    def encoders(self, fit_on: Integers, member: Member) -> Features:
        """The encoders of a member fitted on some rows; raises `InputError` where there is no column to learn from."""
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

    def matrix(self, features: Features, some: Integers) -> Any:
        """What a model sees of rows that the encoders were not fitted on: the graph's own outputs."""
        return open_coded_session(compile_features(features)).rows(self.frame[some])

    def training_matrix(self, features: Features, fit_on: Integers) -> Any:
        """What a model sees of the rows that the encoders were fitted on.

        Target means come from the same nodes with states that were fitted on other rows: on the
        other folds, or under a time split on the past alone. The earliest rows, which have no past,
        get the mean of them all.
        """
        X = self.matrix(features, fit_on)
        means = features.only("target")
        if not means.encoded:
            return X
        outputs = self.outputs
        assert outputs is not None
        found = np.empty((len(fit_on), len(means.names)), np.float32)
        strata = self.y.astype(np.int64) if self.target.classes else None
        earliest = np.ones(len(fit_on), dtype=bool)
        for fold in inner_folds(self.parts, fit_on, strata, _INNER_FOLDS, self.system.seed):
            at = np.searchsorted(fit_on, fold.predict)
            earliest[at] = False
            found[at] = self.matrix(
                refit_means(means, self.frame[fold.fit], outputs[fold.fit]), fold.predict
            )
        if earliest.any():
            found[earliest] = np.tile(outputs[fit_on[earliest]].mean(axis=0), len(means.encoded))
        places = [features.names.index(name) for name in means.names]
        if isinstance(X, np.ndarray):
            X[:, places] = found
            return X
        from scipy.sparse import csr_matrix, hstack

        dense = X[:, : len(features.names)].toarray()
        dense[:, places] = found
        return hstack([csr_matrix(dense), X[:, len(features.names) :]], format="csr")
