"""The families by name, and what a family is."""

from typing import Any, Protocol

from millrace.features import Graph, Representation, Target
from millrace.models import baseline, gbdt, linear
from millrace.models.fitted import Fitted, Matrix, Vector


class Family(Protocol):
    """A module with these names.

    Scores are probabilities of the positive class `(N,)` in binary tasks, of each class `(N, K)` in multiclass ones,
    and values `(N,)` in regression; `nodes` makes the same as a tensor `[N, 1]` or `[N, K]`, float32 for probabilities
    and float64 for values.
    """

    @property
    def REPRESENTATION(self) -> Representation:  # noqa: N802 - a module constant
        """Which encoders the family wants by default."""

    def fit(
        self, X: Matrix, y: Vector, target: Target, params: Any, seed: int, watch: tuple[Matrix, Vector] | None
    ) -> Fitted:
        """Fits on `X (N, F)` and `y (N,)`; `watch` are rows on which a family may choose when to stop."""

    def predict(self, fitted: Fitted, X: Matrix) -> Vector:
        """Scores by the trainer's own code: the reference that the graph is held against."""

    def nodes(self, graph: Graph, matrix: str, fitted: Fitted) -> str:
        """The same scores as ONNX nodes on the matrix `[N, F]`."""


FAMILIES: dict[str, Family] = {"baseline": baseline, "linear": linear, "gbdt": gbdt}
