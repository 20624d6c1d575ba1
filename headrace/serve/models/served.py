"""One version of a model in service: what it needs beside the rows, what it answers, and what it counts."""

from collections import Counter, deque
from collections.abc import Callable
from functools import cached_property
from operator import itemgetter
from types import GenericAlias
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct

from headrace.bundle import Bundle, same_reply
from headrace.clock import SYSTEM
from headrace.errors import BundleError, InputError
from headrace.predict import Predictor, trim
from headrace.serve.http.messages import JSON, Headers, Problem
from headrace.serve.metrics.metrics import ROWS, SHARES, Metrics
from headrace.serve.models.batch import Prediction, Row
from headrace.serve.models.system import ServedSystem
from headrace.tables import Column

_MOST_PROBLEMS = 50
_GAPS = ("imputed", "unseen")
_WARM_UP = 50


class ServedModel:
    """A bundle that is ready to answer rows.

    Columns that had missing values in training need not be in a row.
    """

    def __init__(self, bundle: Bundle, system: ServedSystem | None, metrics: Metrics) -> None:
        self.bundle, self.system, self._metrics = bundle, system, metrics
        self.name, self.version = bundle.manifest.name, bundle.manifest.version
        self.predictor = Predictor(
            bundle.read("model.onnx"), bundle.schema, self.name, self.version
        )
        columns = self.predictor.columns
        self._windows = system.windows(columns) if system is not None else None
        self.reads_store = self._windows is not None
        windows = [column.name for column in columns if column.window]
        self._told = frozenset(windows if self.reads_store else [])
        self.optional = self._told | {column.name for column in columns if column.missing > 0}
        self._imputable = self.optional - self._told
        self._batches = metrics.histogram("headrace_batch_rows", self.name, edges=ROWS)
        self._model_s = metrics.histogram("headrace_stage_seconds", "model")
        self._store_s = metrics.histogram("headrace_stage_seconds", "features")
        self.fast_rows = (
            FastRows(self, self.predictor.row_type)
            if self.predictor.row_type and not self.reads_store
            else None
        )
        labels = (self.name, str(self.version))
        self._labels = labels
        self._scores = (
            None
            if self.predictor.is_multiclass
            else metrics.histogram("headrace_score", *labels, edges=self._edges)
        )

    @cached_property
    def _edges(self) -> tuple[float, ...]:
        """Of the score's histogram: shares, or the quantiles that the scores of test rows had."""
        if self.predictor.session.metadata["task"] == "binary":
            return SHARES
        at = self.bundle.profile["score"].get("at", [])
        return tuple(np.unique(at).tolist()) or SHARES

    @cached_property
    def inputs(self) -> list[Column]:
        """What a row brings: the columns of the model but for those that the store tells, and those
        by which it tells them.
        """
        own = [column for column in self.predictor.columns if column.name not in self._told]
        keys = self.system.keys if self._windows is not None and self.system is not None else []
        known = {column.name for column in own}
        return own + [column for column in keys if column.name not in known]

    @cached_property
    def _logged(self) -> frozenset[str]:
        """What of a row is logged: the columns of the model, and those by which its outcome will be joined."""
        names = {column.name for column in [*self.predictor.columns, *self.inputs]}
        if self.system is not None:
            data = self.system.spec.data
            names |= {name for name in (data.id, data.group, *data.times) if name is not None}
        return frozenset(names)

    def loggable(self, rows: list[Row]) -> list[Row]:
        """Rows without the columns that nobody knows, which may hold anything, and as much as they please."""
        return [
            {name: value for name, value in trim(row).items() if name in self._logged}
            for row in rows
        ]

    def headers(self, arm: str) -> Headers:
        """How a reply names the route that was taken."""
        return [
            JSON,
            (b"x-headrace-model", self.name.encode()),
            (b"x-headrace-version", str(self.version).encode()),
            (b"x-headrace-arm", arm.encode()),
        ]

    def warm(self) -> None:
        """Answers the golden requests of the bundle until the way is paved; raises `BundleError`
        for a reply that is not the golden one.
        """
        self.bundle.check()  # and every part is at hand from now on, should the folder go away
        if self._windows is not None:
            self._windows.open()
        examples = self.bundle.examples
        for at in range(_WARM_UP if examples else 0):
            example = examples[at % len(examples)]
            reply = self.predictor.predict_dicts([example["request"]])[0]
            if not same_reply(reply, example["reply"]):
                raise BundleError(
                    str(self.bundle.path),
                    f"answers {str(reply)[:100]}",
                    str(example["reply"])[:100],
                )

    def answer(self, rows: list[Row]) -> tuple[list[Row], list[Prediction]]:
        """Rows with what they lacked, and their predictions; raises `InputError` where one of the
        rows cannot be used.

        A prediction says under `imputed` which columns its row did not have, or had missing though
        training had not, and under `unseen` those whose value was in no training row.
        """
        complete, imputed = self._completed(rows) if self.optional else (rows, {})
        predictions = self.timed(self.predictor.predict_dicts, complete)
        for at, names in imputed.items():
            told = predictions[at].get("imputed", [])
            predictions[at]["imputed"] = names + [name for name in told if name not in names]
            for name in names:
                if name not in told:
                    self._metrics.counts["headrace_imputed", self.name, name] += 1
        return complete, predictions

    def timed(
        self, predict: Callable[[list[Any]], list[Prediction]], rows: list[Any]
    ) -> list[Prediction]:
        """Predictions, which are counted."""
        begin = SYSTEM.monotonic_s()
        predictions = predict(rows)
        self._model_s.add(SYSTEM.monotonic_s() - begin)
        self._batches.add(len(rows))
        self._count(predictions)
        for one in predictions:
            for gap in _GAPS:
                for name in one.get(gap, ()):
                    self._metrics.counts[f"headrace_{gap}", self.name, name] += 1
        return predictions

    def problem(self, rows: list[Row], error: InputError) -> Problem:
        """What is wrong with every field of rows, as far as it is worth telling."""
        nothing = dict.fromkeys(self.optional)
        found = self.predictor.problems([nothing | row for row in rows], _MOST_PROBLEMS)
        return Problem(
            422, "invalid_rows", "The rows cannot be predicted", str(error), errors=found
        )

    def _completed(self, rows: list[Row]) -> tuple[list[Row], dict[int, list[str]]]:
        """Rows with what they may lack, and of which of them nothing is known of which columns."""
        imputed: dict[int, list[str]] = {}
        if not _lack(rows, self.optional):
            return rows, imputed
        rows = [trim(row) for row in rows]
        if self._windows is not None and _lack(rows, self._told):
            rows = self._with_windows(rows, imputed)
        if _lack(rows, self._imputable):
            nothing = dict.fromkeys(self._imputable)
            for at, row in enumerate(rows):
                if lacks := sorted(self._imputable - row.keys()):
                    imputed[at] = imputed.get(at, []) + lacks
            rows = [nothing | row for row in rows]
        return rows, imputed

    def _with_windows(self, rows: list[Row], imputed: dict[int, list[str]]) -> list[Row]:
        """What a row brings itself stays."""
        assert self._windows is not None
        begin = SYSTEM.monotonic_s()
        found = self._windows.read(rows)
        self._store_s.add(SYSTEM.monotonic_s() - begin)
        if found is None:
            found = [{}] * len(rows)
            self._metrics.counts["headrace_store_failures", self.name] += 1
        complete = [windows | row for windows, row in zip(found, rows, strict=True)]
        lacking = {
            at: lacks
            for at, row in enumerate(complete)
            if (lacks := sorted(self._told - row.keys()))
        }
        if not lacking:
            return complete
        imputed |= lacking
        self._metrics.counts["headrace_default_rows", self.name] += len(lacking)
        nothing = dict.fromkeys(self._told)
        return [nothing | row for row in complete]

    def _count(self, predictions: list[Prediction]) -> None:
        if self._scores is not None:
            self._scores.add_all([prediction["prediction"] for prediction in predictions])
        else:
            for label, times in Counter(one["prediction"] for one in predictions).items():
                self._metrics.counts["headrace_labels", *self._labels, str(label)] += times


class FastRows:
    """Answers rows that lack nothing, hold nothing else and were decoded into the type that the
    model made of its columns, which takes half the time of decoding into dicts.
    """

    def __init__(self, served: ServedModel, row_type: type[Struct]) -> None:
        self._served = served
        rows: Any = GenericAlias(list, (row_type,))
        body: Any = msgspec.defstruct("Body", [("rows", rows)], forbid_unknown_fields=True)
        self._decode = msgspec.json.Decoder(body).decode

    def rows(self, body: bytes) -> list[Any] | None:
        """The rows of a body of `/predict`; None where it holds any others."""
        try:
            rows: list[Any] = self._decode(body).rows
            return rows
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None

    def answer(self, rows: list[Any]) -> tuple[list[Any], list[Prediction]]:
        """See `Served.answer`."""
        return rows, self._served.timed(self._served.predictor.predict_typed, rows)

    def problem(self, rows: list[Any], error: InputError) -> Problem:
        """See `Served.problem`."""
        return self._served.problem(msgspec.to_builtins(rows), error)


def _lack(rows: list[Row], names: frozenset[str]) -> bool:
    """Whether one of the rows is without one of some columns."""
    if not names:
        return False
    try:
        deque(map(itemgetter(*names), rows), 0)  # in half the time of a comparison of sets
    except KeyError:
        return True
    return False
