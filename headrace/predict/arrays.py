"""Predictions of ready arrays, with the values of single columns dealt out anew: no row is read twice."""

import numpy as np
import polars as pl

from headrace.arrays import Floats, Integers
from headrace.features import CODES
from headrace.predict.predictor import Predictor
from headrace.tables import conform


class Arrays:
    """The rows of a table as the graph takes them."""

    def __init__(self, predictor: Predictor, frame: pl.DataFrame) -> None:
        typed = conform(frame, predictor.columns, predictor.schema.missing, "rows")
        self._session, self._is_multiclass = predictor.session, predictor.is_multiclass
        self._feeds = {
            name: np.array(values) for name, values in self._session.feeds(typed).items()
        }  # to be changed
        self._rows, self._chunk = typed.height, self._session.chunk_rows(typed)
        self._places: dict[str, tuple[str, int | slice]] = {}
        for group, names in self._session.groups.items():
            known = group if group in self._feeds else CODES
            for at, name in enumerate(names):
                self._places[name] = known, slice(None) if group.startswith("vector_") else at

    def scores(self) -> Floats:
        """The scores of the rows: `(N,)`, or `(N, K)` probabilities in a multiclass task."""
        output = "probabilities" if self._is_multiclass else "prediction"
        parts = []
        for at in range(0, self._rows, self._chunk):
            some = {name: values[at : at + self._chunk] for name, values in self._feeds.items()}
            parts += self._session.run([output], some)
        found = np.concatenate(parts).astype(np.float64)
        return found if self._is_multiclass else found[:, 0]

    def permuted(self, name: str, order: Integers) -> Floats:
        """The scores of the rows, of which each has the value of another in one column."""
        group, at = self._places[name]
        own = self._feeds[group][:, at].copy()
        try:
            self._feeds[group][:, at] = own[order]
            return self.scores()
        finally:
            self._feeds[group][:, at] = own
