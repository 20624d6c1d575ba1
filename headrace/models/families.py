"""The families of models by name, and the names that the module of every family has."""

from typing import Any, Protocol

from headrace.arrays import Floats
from headrace.features import Graph, ModelInputs, Representation, Target
from headrace.models import baseline, forest, gbdt, linear
from headrace.models.fitted import Fitted, Matrix, Sample, ValidationSet


class Family(Protocol):
    """The names that the module of a family has.

    A family gives raw scores: log odds `(N,)` in a binary task, log probabilities up to a constant
    `(N, K)` in a multiclass one, and values `(N,)` in a regression. `predict` and the graph's
    `nodes` give the same; the nodes as a float64 tensor `[N, 1]` or `[N, K]`.
    """

    @property
    def REPRESENTATION(self) -> Representation:  # noqa: N802 - a module constant
        """The representation of columns that the family wants by default."""

    def fit(
        self, sample: Sample, target: Target, params: Any, seed: int, watched: ValidationSet | None
    ) -> Fitted:
        """Fit a model on a sample; with `watched` rows the family may choose when to stop."""

    def predict(self, fitted: Fitted, X: Matrix) -> Floats:
        """Compute raw scores by the trainer's own code, without the shift.

        Tests compare the graph with them.
        """

    def uses(self, fitted: Fitted) -> Floats:
        """Return how much each column of the matrix counts `(F,)`; empty if no column does."""

    def nodes(self, graph: Graph, inputs: ModelInputs, fitted: Fitted) -> str:
        """Add ONNX nodes that compute the same raw scores; return their tensor."""


FAMILIES: dict[str, Family] = {
    "baseline": baseline,
    "linear": linear,
    "gbdt": gbdt,
    "forest": forest,
}
