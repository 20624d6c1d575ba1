"""Score the champion anew on the test rows of a new model, without the rows it was fitted on."""

from pathlib import Path

import numpy as np
import polars as pl

from headrace.bundle import open_bundle
from headrace.errors import BundleError, InputError
from headrace.evaluate import ModelPair
from headrace.features import Target
from headrace.predict import Predictor
from headrace.registry.fitted_rows import fitted_mask
from headrace.workspace import Workspace


def score_champion(
    path: Path, frame: pl.DataFrame, target: Target, pair: ModelPair
) -> ModelPair | str:
    """Pair a new model with the champion, on the test rows that the champion was not fitted on.

    Parameters: `path`, the folder of the champion's bundle in its workspace; `frame (N rows)`, the
    test rows; `target`, that of the new model; `pair`, the new model with any other. Return the
    reason in words where the two cannot be compared.
    """
    workspace = Workspace.containing(path)
    assert workspace is not None
    try:
        bundle = open_bundle(path)
    except BundleError as error:
        return str(error)

    predictor = Predictor(
        bundle.read("model.onnx"),
        bundle.schema,
        bundle.manifest.name,
        bundle.manifest.version,
    )
    meta = predictor.session.metadata
    predicted = Target(meta["target"], meta["task"], meta["classes"], target.grading)
    if predicted != target:
        return "it predicts another target"
    fitted = fitted_mask(workspace, path.name, frame)
    if fitted is None:
        return "the rows that it was fitted on are not known"
    if pair.new.queries is not None:
        # A query is judged whole or not at all.
        of_row = pair.new.queries.of_row
        fitted = np.bincount(of_row, fitted)[of_row] > 0
    if fitted.all():
        return "it was fitted on every one of the test rows"

    try:
        scores = predictor.scores(predictor.predict_frame(frame.filter(~fitted)))
    except InputError as error:
        return str(error)
    everywhere = np.zeros((len(fitted), *scores.shape[1:]))
    everywhere[~fitted] = scores
    return pair.with_other(everywhere, bundle.evaluation.threshold).select(~fitted)
