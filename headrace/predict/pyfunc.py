"""What MLflow calls when it loads a bundle as a `pyfunc` model."""

from pathlib import Path
from typing import Any

from headrace.predict.predictor import Predictor, open


class Pyfunc:
    """Takes MLflow's pandas frames and gives one back."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor

    def predict(self, rows: Any, params: dict[str, Any] | None = None) -> Any:
        """Predictions as a pandas frame; MLflow's `params` have no meaning here."""
        return self._predictor.predict(rows).to_pandas()


def _load_pyfunc(path: str) -> Pyfunc:
    return Pyfunc(open(Path(path)))
