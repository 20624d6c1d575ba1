"""The champion on the rows of a new model: scored anew, without the rows that it was fitted on."""

from typing import Any

import numpy as np
import polars as pl
from msgspec import Struct, structs

from headrace.arrays import Floats, Integers, Mask
from headrace.bundle import open_bundle
from headrace.errors import BundleError, InputError
from headrace.evaluate import Measure, chance_lift, chance_probability, curves, paired_interval
from headrace.features import Target
from headrace.predict import Predictor
from headrace.registry.fitted_rows import fitted_mask
from headrace.spec import Task
from headrace.workspace import BundleName, Workspace


class ModelPair(Struct, frozen=True):
    """Two models on the same rows: their target `y (N,)`, the new model's scores (`own`) and the rival's, what weighs
    and ties the rows, and where each says yes."""

    y: Floats
    own: Floats
    scores: Floats
    weight: Floats | None = None
    owner: Integers | None = None
    own_cut: float = 0.5
    cut: float = 0.5
    seed: int = 0

    def on(self, rows: Mask) -> "ModelPair":
        """The same on some of the rows."""
        owner = None if self.owner is None else np.unique(self.owner[rows], return_inverse=True)[1]
        weight = None if self.weight is None else self.weight[rows]
        return structs.replace(
            self, y=self.y[rows], own=self.own[rows], scores=self.scores[rows], weight=weight, owner=owner
        )

    def rarer(self, task: Task) -> int | None:
        """How many rows the rarer class of a binary task has."""
        return int(min(self.y.sum(), (1 - self.y).sum())) if task == "binary" else None

    def chance(self, task: Task, metric: str) -> float:
        """The probability of a metric as good as the new model's by chance alone."""
        return chance_probability(task, metric, self.y, self.own, self.weight, self.owner, self.seed, self.own_cut)

    def judged_by_chance(self, task: Task, metric: str) -> tuple[float, float, list[float]]:
        """As `judged`, of a rival that looks at nothing: its average precision is that of a random order."""
        own, rival, (low, high) = self.judged(task, metric)
        lift = chance_lift(self.y) if metric == "average_precision" else 0.0
        return own, rival + lift, [low - lift, high - lift]

    def judged(self, task: Task, metric: str) -> tuple[float, float, list[float]]:
        """The metric of the new model and of the rival, and the interval of the gain."""
        ones = np.ones(len(self.y)) if self.weight is None else self.weight
        sides = (self.own, self.own_cut), (self.scores, self.cut)
        own, rival = (Measure(task, self.y, scores, [metric], cut)(ones)[metric] for scores, cut in sides)
        cuts = self.own_cut, self.cut
        return (
            own,
            rival,
            paired_interval(task, metric, self.y, self.own, self.scores, self.weight, self.owner, self.seed, cuts),
        )


def compare_curves(pair: ModelPair, task: Task, metric: str, classes: list[Any]) -> dict[str, Any]:
    """What a page says of two models on the same rows: the metric of each, the interval of the gain, the rival's
    curves."""
    own, rival, gain = pair.judged(task, metric)
    drawn = curves(task, pair.y, pair.scores, classes, pair.cut)
    return {"rows": len(pair.y), "values": [own, rival], "gain": gain, "curves": drawn}


def score_champion(
    workspace: Workspace, name: str, version: int | None, frame: pl.DataFrame, target: Target, pair: ModelPair
) -> ModelPair | str | None:
    """The champion's scores in the place of `pair.scores`, on the rows of `frame (N rows)` that it has not seen.

    None where there is no champion (no `version`); the reason where it cannot be compared.
    """
    if version is None:
        return None
    folder = BundleName(name, version).folder
    try:
        bundle = open_bundle(workspace.bundles / folder)
    except BundleError as error:
        return str(error)
    predictor = Predictor(bundle.read("model.onnx"), bundle.schema, name, version)
    meta = predictor.session.metadata
    if (meta["target"], meta["task"], meta["classes"]) != (target.name, target.task, target.classes):
        return "it predicts another target"
    seen = fitted_mask(workspace, folder, frame)
    if seen is None:
        return "on which rows it was fitted is not known"
    if seen.all():
        return "it was fitted on every one of the test rows"
    try:
        scores = predictor.scores(predictor.predict_frame(frame.filter(~seen)))
    except InputError as error:
        return str(error)
    whole = np.zeros((len(seen), *scores.shape[1:]))
    whole[~seen] = scores
    threshold = bundle.evaluation["threshold"]
    return structs.replace(pair, scores=whole, cut=0.5 if threshold is None else threshold).on(~seen)
