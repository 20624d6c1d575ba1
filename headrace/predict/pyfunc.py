"""The module that MLflow names in a bundle, and calls to load it as a `pyfunc` model."""

from pathlib import Path
from typing import Any

from headrace.predict.predictor import Predictor, open
from headrace.tables import is_pandas


class Pyfunc:
    """A predictor that takes MLflow's pandas frames and returns one."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor

    def predict(self, rows: Any, params: dict[str, Any] | None = None) -> Any:
        """Predict rows as a pandas frame; MLflow's `params` have no meaning here."""
        predictions = self._predictor.predict(rows)
        return predictions if is_pandas(predictions) else predictions.to_pandas()


def _load_pyfunc(path: str) -> Pyfunc:
    # MLflow looks this function up by its name.
    return Pyfunc(open(Path(path)))
