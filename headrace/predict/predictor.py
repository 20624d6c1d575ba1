"""A model in this process: rows in, predictions out, in one shape everywhere."""

import os
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, overload

import numpy as np
import numpy.typing as npt
import polars as pl
import polars.selectors as cs
from msgspec import UNSET, Struct, structs

from headrace.arrays import Floats
from headrace.bundle import Bundle, find_bundle, open_bundle
from headrace.errors import BundleError, InputError
from headrace.features import CODES, Session, open_coded_session
from headrace.features.graph.session import CHUNK_ROWS
from headrace.predict.batch import predict_lazily
from headrace.predict.gaps import GapCounter, GapWarning
from headrace.predict.rows import RowReader, id_getter, row_type, trim
from headrace.spec import label_text
from headrace.tables import Column, Schema, conform, polars_of, rename_columns

_BATCH_ROWS = 5_000


class Predictor:
    """Predicts with one bundle. Threads may share it.

    `predict` takes a list of dicts (and returns one), a Polars, pandas or Arrow table (and returns
    a Polars DataFrame) or a path (and returns a LazyFrame). A prediction holds the row's id where
    the spec names one, `prediction` (binary: the positive class's probability; regression: the
    value; multiclass: the label), for multiclass `probabilities` by label (in tables one column
    `probability_<class>` each), and where the spec states a `goal.decision` the `decision`, a
    label. Columns whose value was in no training row stand under `unseen`, those that are missing
    though none was in training under `imputed`; of tables a `GapWarning` tells how many there were.

    `row_type` is what a row may be decoded into in the place of a dict, for `predict_typed`; None
    where columns are too oddly named for that, or text is to be read, before which decoding is
    nothing.
    """

    def __init__(self, model: bytes, schema: Schema, name: str, version: int) -> None:
        self.name, self.version, self.schema = name, version, schema
        self.session: Session = open_coded_session(model)
        _check(self.session, schema)
        self.groups = self.session.groups
        names = [name for group in self.groups.values() for name in group]
        self.columns: list[Column] = [
            column for column in self.schema.columns if column.name in names
        ]
        self.classes = [label_text(label) for label in self.session.metadata["classes"]]
        self.is_multiclass = self.session.metadata["task"] == "multiclass"
        self._reads_text = self.session.metadata["numbers_per_entry"] > 0
        self.decides = bool(self.session.metadata["decision"])
        more = ["probabilities"] if self.is_multiclass else ["decision"] if self.decides else []
        self._outputs = ["prediction", *more]
        self._reader = RowReader(self.session, self.schema)
        self._typed_reader = RowReader(self.session, self.schema, typed=True)
        self.row_type = None if self._reads_text else row_type(names, self.schema.id)
        self._id_of = (
            id_getter(self.row_type, self.schema.id) if self.row_type and self.schema.id else None
        )

    @overload
    def predict(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]: ...
    @overload
    def predict(self, rows: pl.DataFrame) -> pl.DataFrame: ...
    @overload
    def predict(self, rows: str | Path) -> pl.LazyFrame: ...
    @overload
    def predict(self, rows: Any) -> Any: ...

    def predict(self, rows: Any) -> Any:
        """Predicts rows; raises `InputError` naming the row, the column and the value that cannot be used."""
        if isinstance(rows, list):
            return self.predict_dicts(rows)
        if isinstance(rows, dict):
            raise InputError("predict", "one dict", "a list of dicts", "write [row]")
        if isinstance(rows, str | Path):
            return predict_lazily(self, Path(rows))
        frame = polars_of(rows, "predict")
        if frame is None:
            kinds = "a list of dicts, a Polars, pandas or Arrow table, or a path"
            raise InputError("predict", f"rows of type {type(rows).__name__}", kinds)
        tally = GapCounter()
        predictions = self.predict_frame(frame, threads=os.cpu_count() or 1, tally=tally)
        if message := tally.message():
            warnings.warn(message, GapWarning, stacklevel=2)
        return predictions

    def predict_dicts(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Predictions of dicts, one for each, in their order."""
        if not rows:
            return []
        if len(rows) > 1 and self._reads_text:
            size = self._chunk_rows(rows)
            if len(rows) > size:
                return [
                    one
                    for at in range(0, len(rows), size)
                    for one in self.predict_dicts(rows[at : at + size])
                ]
        predictions = self._predictions(self._reader, rows)
        name = self.schema.id
        if name is None:
            return predictions
        rows = rows if all(name in row for row in rows) else [trim(row) for row in rows]
        return [
            {name: row[name], **one} if name in row else one
            for row, one in zip(rows, predictions, strict=True)
        ]

    def predict_typed(self, rows: list[Struct]) -> list[dict[str, Any]]:
        """As `predict_dicts`, of rows of the `row_type`, which have these columns alone."""
        predictions = self._predictions(self._typed_reader, rows)
        name = self.schema.id
        if name is None or self._id_of is None:
            return predictions
        ids = map(self._id_of, rows)
        return [
            one if id is UNSET else {name: id, **one}
            for id, one in zip(ids, predictions, strict=True)
        ]

    def _predictions(self, reader: RowReader, rows: Sequence[Any]) -> list[dict[str, Any]]:
        """Of rows, without their ids."""
        feeds, gaps = reader.one(rows[0]) if len(rows) == 1 else reader.many(rows)
        results = self.session.run(self._outputs, feeds)
        predictions = [{"prediction": value} for value in results[0].ravel().tolist()]
        if self.is_multiclass:
            for prediction, probabilities in zip(predictions, results[1].tolist(), strict=True):
                prediction["probabilities"] = dict(zip(self.classes, probabilities, strict=True))
        elif self.decides:
            for prediction, decision in zip(predictions, results[1].ravel().tolist(), strict=True):
                prediction["decision"] = decision
        if gaps:
            for at, gap in gaps.items():
                predictions[at] |= {
                    name: found for name, found in structs.asdict(gap).items() if found
                }
        return predictions

    def problems(self, rows: list[dict[str, Any]], most: int) -> list[dict[str, Any]]:
        """What is wrong with rows, field by field: the first `most` problems, each with its `row`
        (from 1), its `column`, what was `found` and what was `expected`.
        """
        return self._reader.problems(rows, most)

    def _chunk_rows(self, rows: list[dict[str, Any]]) -> int:
        """How many of these rows may go through the graph in one call."""
        names = self.groups["strings"]
        texts = {
            name: [str(row.get(name) or "") for row in rows if isinstance(row, dict)]
            for name in names
        }
        return self.session.chunk_rows(pl.DataFrame(texts))

    def predict_frame(
        self,
        frame: pl.DataFrame,
        where: str = "rows",
        first_row: int = 0,
        threads: int = 1,
        tally: GapCounter | None = None,
    ) -> pl.DataFrame:
        """Predictions of a table, row by row in its order; `tally` hears of its gaps. See
        `tables.conform` for the other parameters.
        """
        id = Column(name=self.schema.id or "", dtype=self.schema.id_dtype, kind="ignored")
        frame = rename_columns(
            frame, [*self.columns, id] if self.schema.id is not None else self.columns, where
        )
        typed = conform(frame, self.columns, self.schema.missing, where, first_row)
        many, predict = typed.height >= _BATCH_ROWS, partial(self._predict_typed, tally=tally)
        size = min(
            self.session.chunk_rows(typed),
            max(-(-typed.height // threads), 1) if many else CHUNK_ROWS,
        )
        parts = [typed[start : start + size] for start in range(0, max(typed.height, 1), size)]
        if many and threads > 1:
            with ThreadPoolExecutor(threads) as pool:
                predictions = pl.concat(pool.map(predict, parts))
        else:
            predictions = pl.concat(map(predict, parts))
        if self.schema.id is not None and self.schema.id in frame.columns:
            predictions.insert_column(0, conform(frame, [id], [], where, first_row)[id.name])
        return predictions

    def scores(self, predictions: pl.DataFrame) -> Floats:
        """The numbers in a table of predictions: `(N,)`, or `(N, K)` probabilities in a multiclass task."""
        if self.is_multiclass:
            return (
                predictions.select(cs.by_name(*(f"probability_{label}" for label in self.classes)))
                .to_numpy()
                .astype(np.float64)
            )
        return predictions["prediction"].to_numpy().astype(np.float64)

    def _predict_typed(self, typed: pl.DataFrame, tally: GapCounter | None) -> pl.DataFrame:
        feeds = self.session.feeds(typed)
        if tally is not None:
            self._reader.count(typed, feeds, tally)
        results = self.session.run(self._outputs, feeds)
        columns: dict[str, Any] = {"prediction": _column(results[0])}
        if self.is_multiclass:
            columns |= {
                f"probability_{label}": results[1][:, at] for at, label in enumerate(self.classes)
            }
        elif self.decides:
            columns["decision"] = _column(results[1])
        return pl.DataFrame(columns)


def _check(session: Session, schema: Schema) -> None:
    """Raises `BundleError` where a graph is not one of a model with these columns."""
    expected: dict[str, type | tuple[type, ...]] = {
        "columns": dict, "task": str, "target": str, "classes": list, "numbers_per_entry": (int, float),
    }  # fmt: skip
    for name, kind in expected.items():
        if not isinstance(session.metadata.get(name), kind):
            raise BundleError(
                "model.onnx", f"does not say its {name!r}", "a graph as Headrace writes it"
            )
    outputs = {"prediction"} | (
        {"probabilities"} if session.metadata["task"] == "multiclass" else set()
    )
    if absent := outputs - {one.name for one in session.inference.get_outputs()}:
        raise BundleError(
            "model.onnx", f"does not give {', '.join(absent)}", "a graph as Headrace writes it"
        )
    known = {column.name: column for column in schema.columns}
    inputs = {one.name: one.shape for one in session.inference.get_inputs()}
    if not session.groups or "decision" not in session.metadata:
        raise BundleError(
            "model.onnx", "does not say what it takes and gives", "a graph as Headrace writes it"
        )
    for name, group in session.groups.items():
        if not isinstance(group, list):
            raise BundleError(
                "model.onnx", "does not say its 'columns'", "a graph as Headrace writes it"
            )
        if absent := {str(name) for name in group} - known.keys():
            raise BundleError(
                "schema.json",
                f"no column {min(absent)[:80]!r}, which the graph takes",
                "its columns",
            )
        width = (
            known[group[0]].width
            if len(group) == 1 and known[group[0]].dtype == "vector"
            else len(group)
        )
        shape = inputs.pop(CODES if name == "strings" and session.codes else name, None)
        if shape is None or shape[1:] != [width]:
            raise BundleError(
                "model.onnx",
                f"does not take its columns as {name!r}",
                "a graph as Headrace writes it",
            )
    if inputs:
        raise BundleError(
            "model.onnx", f"takes {min(inputs)[:80]!r} besides", "a graph as Headrace writes it"
        )


def _column(output: npt.NDArray[Any]) -> Any:
    """One output `[N, 1]` as a column; text comes as objects."""
    return (
        pl.Series(output[:, 0].tolist(), dtype=pl.String)
        if output.dtype == object
        else output[:, 0]
    )


def open(model: str | Path, folder: str | Path = ".") -> Predictor:
    """Opens MODEL (a bundle's folder, or `name@3` in the workspace of `folder`) for predicting.

    No code of the bundle runs: it holds none. Raises `BundleError` where a byte was changed and
    `InputError` where there is no such bundle.
    """
    bundle = open_bundle(find_bundle(model, Path(folder)))
    return make_predictor(bundle)


def make_predictor(bundle: Bundle) -> Predictor:
    """The predictor of an open bundle; raises `BundleError` where its graph and its schema do not go together."""
    try:
        return Predictor(
            bundle.read("model.onnx"), bundle.schema, bundle.manifest.name, bundle.manifest.version
        )
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        said = f"{type(error).__name__}: {error}"[:200]
        raise BundleError(
            str(bundle.path), f"its parts do not go together ({said})", "a bundle of Headrace"
        ) from None
