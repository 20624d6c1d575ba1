"""Predictions of ready arrays, for permuting single columns: no row is read twice."""

import numpy as np
import polars as pl

from headrace.arrays import Floats, Integers
from headrace.features import CODES
from headrace.predict.predictor import Predictor
from headrace.tables import conform


class Arrays:
    """The rows of a table as the arrays that the graph takes."""

    def __init__(self, predictor: Predictor, frame: pl.DataFrame) -> None:
        typed = conform(frame, predictor.columns, predictor.schema.missing, "rows")
        self._session = predictor.session
        self._is_multiclass = predictor.is_multiclass
        # Copies, because `permuted` writes into them.
        feeds = self._session.feeds(typed)
        self._feeds = {name: np.array(values) for name, values in feeds.items()}
        self._rows = typed.height
        self._chunk = self._session.chunk_rows(typed)

        # Each column's array, and its place there; a vector column has a whole array.
        self._places: dict[str, tuple[str, int | slice]] = {}
        for group, names in self._session.groups.items():
            array = group if group in self._feeds else CODES
            for at, name in enumerate(names):
                self._places[name] = array, slice(None) if group.startswith("vector_") else at

    def scores(self) -> Floats:
        """Predict the scores of the rows: `(N,)`, of a multiclass task probabilities `(N, K)`."""
        output = "probabilities" if self._is_multiclass else "prediction"
        parts = []
        for at in range(0, self._rows, self._chunk):
            chunk = {name: values[at : at + self._chunk] for name, values in self._feeds.items()}
            parts += self._session.run([output], chunk)
        scores = np.concatenate(parts).astype(np.float64)
        return scores if self._is_multiclass else scores[:, 0]

    def permuted(self, name: str, order: Integers) -> Floats:
        """Predict the scores of the rows with one column in another order `(N,)`."""
        array, at = self._places[name]
        values = self._feeds[array][:, at].copy()
        try:
            self._feeds[array][:, at] = values[order]
            return self.scores()
        finally:
            self._feeds[array][:, at] = values
