"""The families by name, and what a family is."""

from typing import Any, Protocol

from headrace.arrays import Floats
from headrace.features import Graph, ModelInputs, Representation, Target
from headrace.models import baseline, gbdt, linear
from headrace.models.fitted import Fitted, Matrix, Sample, ValidationSet


class Family(Protocol):
    """A module with these names.

    Raw scores are log odds `(N,)` in binary tasks, log probabilities up to a constant `(N, K)` in
    multiclass ones, and values `(N,)` in regression; `nodes` makes the same as a float64 tensor
    `[N, 1]` or `[N, K]`.
    """

    @property
    def REPRESENTATION(self) -> Representation:  # noqa: N802 - a module constant
        """Which encoders the family wants by default."""

    def fit(
        self, sample: Sample, target: Target, params: Any, seed: int, watched: ValidationSet | None
    ) -> Fitted:
        """Fits on a sample; with `watched` rows the family may choose when to stop."""

    def predict(self, fitted: Fitted, X: Matrix) -> Floats:
        """Raw scores by the trainer's own code, without the shift: the reference that the graph is held against."""

    def uses(self, fitted: Fitted) -> Floats:
        """How much the model makes of each column of the matrix `(F,)`; empty where it looks at none."""

    def nodes(self, graph: Graph, inputs: ModelInputs, fitted: Fitted) -> str:
        """The same raw scores as ONNX nodes."""


FAMILIES: dict[str, Family] = {"baseline": baseline, "linear": linear, "gbdt": gbdt}
