"""A model in this process: rows in, predictions out, in one shape everywhere."""

import os
import warnings
from collections.abc import Callable, Iterable, Sequence
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
from headrace.predict.lists import ListReader, decode_candidates
from headrace.predict.rows import RowGaps, RowReader, make_id_getter, make_row_type, trim_names
from headrace.report import count_words, show_predictor
from headrace.spec import format_label
from headrace.tables import (
    Column,
    Schema,
    conform,
    is_pandas,
    rename_columns,
    to_pandas,
    to_polars,
)

_BATCH_ROWS = 5_000
"""Tables of fewer rows are not worth a thread."""


class Predictor:
    """A model of one bundle that predicts rows. Threads may share it.

    `predict` takes

    - a list of dicts, and returns one;
    - a Polars or Arrow table, and returns a Polars DataFrame;
    - a pandas DataFrame, and returns one with the same index;
    - a path, and returns a LazyFrame.

    A prediction of a dict has these keys, and one of a table these columns:

    - the row's id, where the spec names one;
    - `prediction`: the positive class's probability in a binary task, the value in a regression,
      the label in a multiclass task;
    - `probabilities` by label, of the positive class in a binary task, of every class in a
      multiclass task (in tables a column `probability_<class>` each);
    - `decision`, a label, where the spec states a `goal.decision`;
    - `unseen`, the columns whose value was in no training row, and `imputed`, those that are
      missing though none was in training (of tables a `GapWarning` says how many there were).

    `row_type` is a type that rows may be decoded into in the place of dicts, for `predict_typed`.
    It is None where a column has a name that no field may have, or where the model reads text:
    next to that, decoding takes no time.
    """

    def __init__(self, model: bytes, schema: Schema, name: str, version: int) -> None:
        self.name = name
        self.version = version
        self.schema = schema
        self.session: Session = open_coded_session(model)
        _check_graph(self.session, schema)
        self.groups = self.session.groups
        names = [name for group in self.groups.values() for name in group]
        self.columns: list[Column] = [
            column for column in self.schema.columns if column.name in names
        ]

        metadata = self.session.metadata
        self.classes = [format_label(label) for label in metadata["classes"]]
        self.target: str = metadata["target"]
        self.task: str = metadata["task"]
        self.is_multiclass = self.task == "multiclass"
        self.is_binary = self.task == "binary"
        self.scored = self.classes[1:] if self.is_binary else self.classes
        """The classes whose probability is shown."""
        self._reads_text = metadata["numbers_per_entry"] > 0
        self.decides = bool(metadata["decision"])
        self._outputs = ["prediction"]
        if self.is_multiclass:
            self._outputs.append("probabilities")
        elif self.decides:
            self._outputs.append("decision")

        self._reader = RowReader(self.session, self.schema)
        self._typed_reader = RowReader(self.session, self.schema, typed=True)
        self._names = tuple(names)
        self.row_type: type[Struct] | None = None
        self._get_id: Callable[[Struct], Any] | None = None
        self.carry(())

    def carry(self, names: Iterable[str]) -> None:
        """Let rows of the `row_type` bring further columns, which this model does not read."""
        own = [] if self.schema.id is None else [self.schema.id]
        optional = tuple(dict.fromkeys([*own, *names]))
        self._list_reader = ListReader(self._reader, optional)
        self.row_type = None if self._reads_text else make_row_type(self._names, optional)
        self._get_id = None
        if self.row_type and self.schema.id:
            self._get_id = make_id_getter(self.row_type, self.schema.id)

    def __repr__(self) -> str:
        columns = count_words(len(self.columns), "column")
        return f"Predictor({self.name}@{self.version}: {self.target}, {self.task}, {columns})"

    def _repr_html_(self) -> str:
        return show_predictor(self)

    @overload
    def predict(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]: ...
    @overload
    def predict(self, rows: pl.DataFrame) -> pl.DataFrame: ...
    @overload
    def predict(self, rows: str | Path) -> pl.LazyFrame: ...
    @overload
    def predict(self, rows: Any) -> Any: ...

    def predict(self, rows: Any) -> Any:
        """Predict rows.

        Raises `InputError` naming the row, the column and the value that cannot be used.
        """
        if isinstance(rows, list):
            return self.predict_dicts(rows)
        if isinstance(rows, dict):
            raise InputError("predict", "one dict", "a list of dicts", "write [row]")
        if isinstance(rows, str | Path):
            return predict_lazily(self, Path(rows))
        frame = to_polars(rows, "predict")
        if frame is None:
            kinds = "a list of dicts, a Polars, pandas or Arrow table, or a path"
            raise InputError("predict", f"rows of type {type(rows).__name__}", kinds)
        counter = GapCounter()
        predictions = self.predict_frame(frame, threads=os.cpu_count() or 1, counter=counter)
        if message := counter.message():
            warnings.warn(message, GapWarning, stacklevel=2)
        return to_pandas(predictions, rows) if is_pandas(rows) else predictions

    def predict_dicts(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Predict each dict, in their order."""
        if not rows:
            return []
        # A long text may become thousands of entries of a matrix: few such rows fill the memory.
        if len(rows) > 1 and self._reads_text:
            size = self._chunk_rows(rows)
            if len(rows) > size:
                predictions = []
                for at in range(0, len(rows), size):
                    try:
                        predictions += self.predict_dicts(rows[at : at + size])
                    except InputError:
                        # A chunk counts its rows from 1: all rows together name the right one.
                        self._reader.read_rows(rows)
                        raise
                return predictions

        predictions = self._predict_rows(self._reader, rows)
        name = self.schema.id
        if name is None:
            return predictions
        # Blanks around the name may hide an id.
        rows = rows if all(name in row for row in rows) else [trim_names(row) for row in rows]
        return [
            {name: row[name], **prediction} if name in row else prediction
            for row, prediction in zip(rows, predictions, strict=True)
        ]

    def predict_typed(self, rows: list[Struct]) -> list[dict[str, Any]]:
        """Predict rows of the `row_type`, as `predict_dicts` does, but faster."""
        predictions = self._predict_rows(self._typed_reader, rows)
        name = self.schema.id
        if name is None or self._get_id is None:
            return predictions
        ids = map(self._get_id, rows)
        return [
            prediction if id is UNSET else {name: id, **prediction}
            for id, prediction in zip(ids, predictions, strict=True)
        ]

    def rank(
        self, context: dict[str, Any], candidates: list[dict[str, Any]], k: int | None = None
    ) -> list[dict[str, Any]]:
        """Put candidates in order, the best first, and return the first `k` of them, or all.

        A candidate and the `context`, whose columns all candidates share, are a row of the model
        together. Each item has the place of its `candidate` in the list, its `position` from 1 on
        and its `score`, which is the prediction. Equal scores stay in the order given. Raises
        `InputError` for a model that predicts classes, and for columns or values as `predict` does.
        """
        if k is not None and (isinstance(k, bool) or not isinstance(k, int) or k < 1):
            raise InputError("k", repr(k), "a whole number from 1 on, or None for all candidates")
        if not isinstance(candidates, list):
            found = f"candidates of type {type(candidates).__name__}"
            raise InputError("rank", found, "a list of dicts")
        scores, _ = self.score_list(context, candidates)
        return [
            {"candidate": at, "position": position, "score": score}
            for position, (at, score) in enumerate(order_scores(scores, k), 1)
        ]

    def decode_candidates(self, context: dict[str, Any], raw: Any) -> list[Any] | None:
        """Decode JSON into candidates for `score_list`, faster than into dicts.

        None where one of them lacks a column or has another one than the model.
        """
        if self._reads_text or self.is_multiclass:
            return None
        return decode_candidates(raw, self._list_reader.row_type(context))

    def score_list(
        self, context: dict[str, Any], candidates: list[Any], first: int = 0
    ) -> tuple[Floats, RowGaps]:
        """Return the prediction of each candidate `(N,)` in a context, and their gaps; see `rank`.

        Parameters: `first`, the place of the first candidate in its list. Candidates are dicts, or
        all of them are what `decode_candidates` has made.
        """
        if self.is_multiclass:
            found = f"{self.name or 'the model'} predicts one of {len(self.classes)} classes"
            raise InputError("rank", found, "a model with one number as its answer")
        if not candidates:
            return np.empty(0), {}
        if isinstance(candidates[0], Struct):
            feeds, typed_gaps = self._list_reader.read_typed(context, candidates, first)
            return self.session.run(["prediction"], feeds)[0].ravel(), typed_gaps
        size = len(candidates)
        if self._reads_text:
            # A long text may become thousands of entries of a matrix.
            rows = [one for one in (context, *candidates) if isinstance(one, dict)]
            size = self._chunk_rows(rows)
        scores = []
        gaps: RowGaps = {}
        for start in range(0, len(candidates), size):
            part = candidates[start : start + size]
            feeds, own_gaps = self._list_reader.read(context, part, first + start)
            scores.append(self.session.run(["prediction"], feeds)[0].ravel())
            gaps |= {start + at: gap for at, gap in own_gaps.items()}
        return np.concatenate(scores) if len(scores) > 1 else scores[0], gaps

    def _predict_rows(self, reader: RowReader, rows: Sequence[Any]) -> list[dict[str, Any]]:
        """Predict rows, without their ids. Runs once a request, so it makes no frame."""
        feeds, gaps = reader.read_row(rows[0]) if len(rows) == 1 else reader.read_rows(rows)
        results = self.session.run(self._outputs, feeds)
        values = results[0].ravel().tolist()
        if self.is_binary:
            event = self.scored[0]
            predictions: list[dict[str, Any]] = [
                {"prediction": value, "probabilities": {event: value}} for value in values
            ]
        else:
            predictions = [{"prediction": value} for value in values]
        if self.is_multiclass:
            for prediction, probabilities in zip(predictions, results[1].tolist(), strict=True):
                prediction["probabilities"] = dict(zip(self.classes, probabilities, strict=True))
        elif self.decides:
            for prediction, decision in zip(predictions, results[1].ravel().tolist(), strict=True):
                prediction["decision"] = decision
        if gaps:
            for at, gap in gaps.items():
                columns = structs.asdict(gap)
                predictions[at] |= {kind: names for kind, names in columns.items() if names}
        return predictions

    def problems(self, rows: list[dict[str, Any]], most: int) -> list[dict[str, Any]]:
        """Find the first `most` problems of rows, field by field.

        Each has its `row` (from 1), its `column`, the value that was `found`, what was `expected`,
        and perhaps what to `do`.
        """
        return self._reader.problems(rows, most)

    def _chunk_rows(self, rows: list[dict[str, Any]]) -> int:
        """Return how many of these rows may go through the graph in one call."""
        texts = {}
        for name in self.groups["strings"]:
            texts[name] = [str(row.get(name) or "") for row in rows if isinstance(row, dict)]
        return self.session.chunk_rows(pl.DataFrame(texts))

    def predict_frame(
        self,
        frame: pl.DataFrame,
        where: str = "rows",
        first_row: int = 0,
        threads: int = 1,
        counter: GapCounter | None = None,
    ) -> pl.DataFrame:
        """Predict each row of a table, in its order; `counter` counts its gaps.

        See `tables.conform` for `where` and `first_row`.
        """
        id = Column(name=self.schema.id or "", dtype=self.schema.id_dtype, kind="ignored")
        known = self.columns if self.schema.id is None else [*self.columns, id]
        frame = rename_columns(frame, known, where)
        typed = conform(frame, self.columns, self.schema.missing, where, first_row)

        is_large = typed.height >= _BATCH_ROWS
        size = CHUNK_ROWS
        if is_large:
            size = max(-(-typed.height // threads), 1)
        size = min(self.session.chunk_rows(typed), size)
        # A table without rows has one part, so that its predictions have columns.
        parts = [typed[start : start + size] for start in range(0, max(typed.height, 1), size)]
        predict = partial(self._predict_part, counter=counter)
        if is_large and threads > 1:
            with ThreadPoolExecutor(threads) as pool:
                predictions = pl.concat(pool.map(predict, parts))
        else:
            predictions = pl.concat(map(predict, parts))

        if self.schema.id is not None and self.schema.id in frame.columns:
            predictions.insert_column(0, conform(frame, [id], [], where, first_row)[id.name])
        return predictions

    def scores(self, predictions: pl.DataFrame) -> Floats:
        """Return the numbers in a table of predictions.

        These are `(N,)`, or probabilities `(N, K)` in a multiclass task.
        """
        if not self.is_multiclass:
            return predictions["prediction"].to_numpy().astype(np.float64)
        names = [f"probability_{label}" for label in self.classes]
        return predictions.select(cs.by_name(*names)).to_numpy().astype(np.float64)

    def _predict_part(self, typed: pl.DataFrame, counter: GapCounter | None) -> pl.DataFrame:
        """Predict typed rows in one call of the graph, without their ids."""
        feeds = self.session.feeds(typed)
        if counter is not None:
            self._reader.count_gaps(typed, feeds, counter)
        results = self.session.run(self._outputs, feeds)
        columns: dict[str, Any] = {"prediction": _to_column(results[0])}
        probabilities: Any = []
        if self.is_multiclass:
            probabilities = results[1].T
        elif self.is_binary:
            probabilities = results[0].T
        for label, values in zip(self.scored, probabilities, strict=True):
            columns[f"probability_{label}"] = values
        if self.decides and not self.is_multiclass:
            columns["decision"] = _to_column(results[1])
        return pl.DataFrame(columns)


def order_scores(scores: Floats, k: int | None) -> list[tuple[int, float]]:
    """Return the places of the highest scores, highest first, with each score; ties as given.

    >>> order_scores(np.array([0.1, 0.5, 0.5]), k=2)
    [(1, 0.5), (2, 0.5)]
    """
    order = np.argsort(-scores, kind="stable")[:k]
    return list(zip(order.tolist(), scores[order].tolist(), strict=True))


def _check_graph(session: Session, schema: Schema) -> None:
    """Raise `BundleError` where a graph is not one of a model with these columns."""
    _check_metadata(session)
    known = {column.name: column for column in schema.columns}
    shapes = {one.name: one.shape for one in session.inference.get_inputs()}
    for group, names in session.groups.items():
        if not isinstance(names, list):
            raise _graph_error("does not say its 'columns'")
        if absent := {str(name) for name in names} - known.keys():
            raise BundleError(
                "schema.json",
                f"no column {min(absent)[:80]!r}, which the graph takes",
                "its columns",
            )
        # A vector is an input of its own, as wide as the vector.
        width: int | None = len(names)
        if len(names) == 1 and known[names[0]].dtype == "vector":
            width = known[names[0]].width
        shape = shapes.pop(CODES if group == "strings" and session.codes else group, None)
        if shape is None or shape[1:] != [width]:
            raise _graph_error(f"does not take its columns as {group!r}")
    if shapes:
        raise _graph_error(f"takes {min(shapes)[:80]!r} besides")


def _check_metadata(session: Session) -> None:
    """Raise `BundleError` where a graph lacks an output, or metadata that predicting needs."""
    expected: dict[str, type | tuple[type, ...]] = {
        "columns": dict,
        "task": str,
        "target": str,
        "classes": list,
        "numbers_per_entry": (int, float),
    }
    for name, kind in expected.items():
        if not isinstance(session.metadata.get(name), kind):
            raise _graph_error(f"does not say its {name!r}")

    if session.metadata["task"] == "binary" and len(session.metadata["classes"]) != 2:
        raise _graph_error("does not have two classes")
    outputs = {"prediction"}
    if session.metadata["task"] == "multiclass":
        outputs.add("probabilities")
    if absent := outputs - {one.name for one in session.inference.get_outputs()}:
        raise _graph_error(f"does not give {', '.join(absent)}")
    if not session.groups or "decision" not in session.metadata:
        raise _graph_error("does not say what it takes and gives")


def _graph_error(problem: str) -> BundleError:
    return BundleError("model.onnx", problem, "a graph as Headrace writes it")


def _to_column(output: npt.NDArray[Any]) -> Any:
    """Return one output `[N, 1]` as a column; text comes as objects."""
    if output.dtype == object:
        return pl.Series(output[:, 0].tolist(), dtype=pl.String)
    return output[:, 0]


def open(model: str | Path, folder: str | Path = ".") -> Predictor:
    """Open MODEL (a bundle's folder, or `name@3` in the workspace of `folder`) for predicting.

    No code of the bundle runs: it holds none. Raises `BundleError` where a byte was changed and
    `InputError` where there is no such bundle.
    """
    bundle = open_bundle(find_bundle(model, Path(folder)))
    return make_predictor(bundle)


def make_predictor(bundle: Bundle) -> Predictor:
    """Make the predictor of an open bundle.

    Raises `BundleError` where its graph and its schema do not go together.
    """
    try:
        model = bundle.read("model.onnx")
        manifest = bundle.manifest
        return Predictor(model, bundle.schema, manifest.name, manifest.version)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        message = f"{type(error).__name__}: {error}"[:200]
        raise BundleError(
            str(bundle.path), f"its parts do not fit together ({message})", "a Headrace bundle"
        ) from None
