"""What training needs to know of the data, in one value, and the matrix that a family sees."""

import numpy as np
import numpy.typing as npt
import polars as pl
from msgspec import Struct

from millrace.errors import InputError
from millrace.features import Features, Representation, Session, Target, fit_features, open_session
from millrace.models import compile_features
from millrace.spec import System
from millrace.tables import Column

Indices = npt.NDArray[np.int64]


class Rows(Struct, frozen=True):
    """All rows typed, their columns with kinds, and the target as numbers `(N,)`."""

    frame: pl.DataFrame
    columns: list[Column]
    target: Target
    y: npt.NDArray[np.float64]
    system: System

    def features(self, fit_on: Indices, representation: Representation) -> tuple[Features, Session]:
        """Encoders fitted on some rows, and the compiled graph that makes every matrix from then on."""
        spec = self.system
        features = fit_features(
            self.frame[fit_on], self.columns, spec.features.columns, representation, spec.data.missing
        )
        if not features.encoded:
            ignored = "; ".join(f"{column.name}: {column.why}" for column in self.columns)
            raise InputError("features", "no column to learn from", "at least one", f"all are ignored ({ignored})")
        return features, open_session(compile_features(features))

    def matrix(self, session: Session, rows: Indices) -> npt.NDArray[np.float32]:
        """The graph's own `features` output for some rows `(len(rows), F)`."""
        return session.column("features", self.frame[rows])
