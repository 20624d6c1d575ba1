"""A version of a model in service: what it adds to rows, what it answers, and what it counts.

How a batch of rows is answered, for a model whose columns are `fare`, `hour` (may be missing) and
the window feature `rides_1d`, which the store has by the key `user`:

    row                     {"fare": 9.5, "user": "u1"}
    from the store          {"fare": 9.5, "user": "u1", "rides_1d": 3}
    imputed                 {"fare": 9.5, "user": "u1", "rides_1d": 3, "hour": None}
    prediction              {"prediction": 0.7, "imputed": ["hour"]}
"""

from collections import Counter, deque
from collections.abc import Callable
from functools import cached_property
from operator import itemgetter
from types import GenericAlias
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct

from headrace.arrays import Floats
from headrace.bundle import Bundle, same_reply
from headrace.clock import SYSTEM
from headrace.errors import BundleError, InputError
from headrace.predict import Gaps, Predictor, trim_names
from headrace.serve.http.messages import JSON, Headers, Problem
from headrace.serve.metrics.metrics import ROWS, SHARES, Histogram, Metrics
from headrace.serve.models.batch import Prediction, Row
from headrace.serve.models.system import ServedSystem
from headrace.tables import Column

_MAX_PROBLEMS = 50
_WARM_UP_ROWS = 50
_SLOW = 3.0
_UP, _DOWN = 1.02, 1 / 1.02
_TIMED = 20
_MANY_ROWS = 32
_GAPS = ("imputed", "unseen")
"""The keys under which a prediction names columns whose values were not as in training."""
_NO_GAPS = Gaps()
Absent = dict[int, list[str]]
"""The columns that rows lack, by the place of the row; rows that lack none are not in it."""


class Speed(Struct):
    """How fast a model is beside the champion of its rollout, call by call.

    `single_s` and `further_s` are the seconds of its first and of each further row of a call, as
    measured when it was loaded. Calls in service take longer: `typical` is how many times longer
    the median call takes, which follows the calls. `limit` is the champion's speed: a call is slow
    that takes more than `_SLOW` times what is typical of that.
    """

    single_s: float = 0.0
    further_s: float = 0.0
    typical: float = 1.0
    limit: "Speed | None" = None
    calls: int = 0
    slow: int = 0

    def count(self, passed_s: float, rows: int) -> None:
        """Count a call of some rows."""
        limit = self.limit
        if limit is None:
            return
        times = passed_s / (limit.single_s + (rows - 1) * limit.further_s)
        if limit is self:
            # As many calls push it up as down: so it goes to the median.
            self.typical *= _UP if times > self.typical else _DOWN
        self.calls += 1
        if times > _SLOW * limit.typical:
            self.slow += 1

    def take(self) -> tuple[int, int]:
        """Return the calls since the last time, and how many of them were slow."""
        counts = self.calls, self.slow
        self.calls = 0
        self.slow = 0
        return counts


class ServedModel:
    """A bundle that is ready to answer rows; a `BatchHandler` of rows as dicts.

    `optional` are the columns that a row may lack: those that had missing values in training, and
    the window features that the store has, `window_names`. `fast_rows` answers rows that lack
    nothing; it is None where rows of the model may need the store.
    """

    def __init__(self, bundle: Bundle, system: ServedSystem | None, metrics: Metrics) -> None:
        self.bundle = bundle
        self.system = system
        self._metrics = metrics
        self.name = bundle.manifest.name
        self.version = bundle.manifest.version
        graph = bundle.read("model.onnx")
        self.predictor = Predictor(graph, bundle.schema, self.name, self.version)

        columns = self.predictor.columns
        self._windows = None if system is None else system.windows(columns)
        self.reads_store = self._windows is not None
        windows = [column.name for column in columns if column.window]
        self.window_names = frozenset(windows if self.reads_store else [])
        with_gaps = [column.name for column in columns if column.missing > 0]
        self.optional = self.window_names.union(with_gaps)
        self._imputable = self.optional - self.window_names

        self.fast_rows: FastRows | None = None
        self._carried: frozenset[str] = frozenset()
        self.carry(frozenset())

        # Looked up once: each batch counts into them.
        self._batches = metrics.histogram("headrace_batch_rows", self.name, edges=ROWS)
        self._model_s = metrics.histogram("headrace_stage_seconds", "model")
        self._store_s = metrics.histogram("headrace_stage_seconds", "features")
        self._labels = (self.name, str(self.version))
        self.speed = Speed()
        self._scores: Histogram | None = None
        if not self.predictor.is_multiclass:
            edges = self._score_edges()
            self._scores = metrics.histogram("headrace_score", *self._labels, edges=edges)

    def carry(self, names: frozenset[str]) -> None:
        """Let rows bring columns for others: the unit, and what a challenger reads.

        They are logged, and they do not keep rows from the fast way.
        """
        unit = None if self.system is None else self.system.unit
        self._carried = names if unit is None else names | {unit}
        self.predictor.carry(sorted(self._carried))
        self.fast_rows = None
        if self.predictor.row_type and not self.reads_store:
            self.fast_rows = FastRows(self, self.predictor.row_type)

    def _score_edges(self) -> tuple[float, ...]:
        """Return the edges of the score's histogram: shares, or quantiles of the test scores."""
        if self.predictor.session.metadata["task"] == "binary":
            return SHARES
        quantiles = self.bundle.profile["score"].get("at", [])
        return tuple(np.unique(quantiles).tolist()) or SHARES

    @cached_property
    def inputs(self) -> list[Column]:
        """The columns that a row has: those of the model, with keys in the place of windows."""
        own = [column for column in self.predictor.columns if column.name not in self.window_names]
        if self._windows is None or self.system is None:
            return own
        names = {column.name for column in own}
        return own + [column for column in self.system.keys if column.name not in names]

    @property
    def logged_names(self) -> frozenset[str]:
        """The columns of a row that are logged: those for others, and all that are its own."""
        return self._own_names | self._carried

    @cached_property
    def _own_names(self) -> frozenset[str]:
        """The columns of the model, and those that join the outcome of a row."""
        names = {column.name for column in [*self.predictor.columns, *self.inputs]}
        if self.system is not None:
            data = self.system.spec.data
            joining = (data.id, data.group, *data.times)
            names |= {name for name in joining if name is not None}
        return frozenset(names)

    def trim_for_log(self, rows: list[Row]) -> list[Row]:
        """Return rows without columns that nobody knows, which may be of any content and size."""
        names = self.logged_names
        return [
            {name: value for name, value in trim_names(row).items() if name in names}
            for row in rows
        ]

    def headers(self, arm: str) -> Headers:
        """Return the headers of a reply that name the model, its version and its arm."""
        return [
            JSON,
            (b"x-headrace-model", self.name.encode()),
            (b"x-headrace-version", str(self.version).encode()),
            (b"x-headrace-arm", arm.encode()),
        ]

    def warm(self) -> None:
        """Check the bundle and answer its golden requests until the first real one will be fast.

        Raises `BundleError` for a changed byte, and for a reply that is not the golden one.
        """
        # Every part is read now, and at hand should the folder go away.
        self.bundle.check()
        if self._windows is not None:
            self._windows.open()

        examples = self.bundle.examples
        for number in range(_WARM_UP_ROWS if examples else 0):
            example = examples[number % len(examples)]
            reply = self.predictor.predict_dicts([example["request"]])[0]
            if not same_reply(reply, example["reply"], self.bundle.manifest.unit):
                found = f"answers {str(reply)[:100]}"
                raise BundleError(str(self.bundle.path), found, str(example["reply"])[:100])
        if examples:
            self._measure([example["request"] for example in examples])

    def _measure(self, rows: list[Row]) -> None:
        """Measure the seconds of a single row and of many, from which slow calls are told."""
        single_s = min(self._time(rows[:1]) for _ in range(_TIMED))
        many = (rows * _MANY_ROWS)[:_MANY_ROWS]
        many_s = min(self._time(many) for _ in range(_TIMED))
        self.speed.single_s = max(single_s, 1e-6)
        self.speed.further_s = max(many_s - single_s, 0.0) / (_MANY_ROWS - 1)

    def _time(self, rows: list[Row]) -> float:
        start_s = SYSTEM.monotonic_s()
        self.predictor.predict_dicts(rows)
        return SYSTEM.monotonic_s() - start_s

    def answer(self, rows: list[Row]) -> tuple[list[Row], list[Prediction]]:
        """Return rows with what they lacked, and their predictions.

        A prediction says under `imputed` which columns its row lacked, or had missing though
        training had not, and under `unseen` which values were in no training row. Raises
        `InputError` where one of the rows cannot be used.
        """
        complete = rows
        imputed: dict[int, list[str]] = {}
        if self.optional:
            complete, imputed = self._complete(rows)
        predictions = self.predict_and_count(self.predictor.predict_dicts, complete)

        for index, names in imputed.items():
            known = predictions[index].get("imputed", [])
            predictions[index]["imputed"] = names + [name for name in known if name not in names]
            # Those that the predictor has found are counted already.
            for name in names:
                if name not in known:
                    self._metrics.counts["headrace_imputed", self.name, name] += 1
        return complete, predictions

    def score_list(
        self, context: Row, candidates: list[Any], absent: Absent, first: int = 0
    ) -> tuple[Floats, int]:
        """Score a complete list: return the predictions `(N,)`, and how many had imputed columns.

        Parameters: `absent`, the columns that candidates lack by their place in the list, see
        `complete_list`; `first`, the place of the first candidate. Raises `InputError` where the
        context or a candidate cannot be used.
        """
        start_s = SYSTEM.monotonic_s()
        scores, gaps = self.predictor.score_list(context, candidates, first)
        passed_s = SYSTEM.monotonic_s() - start_s
        self._model_s.add(passed_s)
        self.speed.count(passed_s, len(candidates))
        self._batches.add(len(candidates))
        if self._scores is not None:
            self._scores.add_all(scores.tolist())

        imputed_rows = 0
        # Most lists have no gap at all.
        for at in range(len(candidates)) if gaps or absent else ():
            gap = gaps.get(at, _NO_GAPS)
            # A column that was absent may be a gap to the predictor as well; it counts once.
            imputed = {*absent.get(first + at, ()), *gap.imputed}
            imputed_rows += bool(imputed)
            for name in imputed:
                self._metrics.counts["headrace_imputed", self.name, name] += 1
            for name in gap.unseen:
                self._metrics.counts["headrace_unseen", self.name, name] += 1
        return scores, imputed_rows

    def complete_list(self, context: Row, candidates: list[Any]) -> tuple[Row, list[Any], Absent]:
        """Return a list whose candidates have the columns that neither they nor the context had.

        The store is read once for all of them. Also return the columns that it did not have, by the
        place of the candidate. Raises `InputError` for a bad key or time.
        """
        absent: Absent = {}
        # Typed candidates lack nothing, and what is no row is named where it is read.
        if not self.optional or not all(isinstance(one, dict) for one in candidates):
            return context, candidates, absent
        if not _lacks_any(candidates, self.optional - context.keys()):
            return context, candidates, absent
        context = trim_names(context)
        candidates = [trim_names(one) for one in candidates]
        windows = self.window_names - context.keys()
        if self.system is not None and windows and _lacks_any(candidates, windows):
            # The store needs their keys and times alone; windows that stand are not read.
            names = self.window_names.union(column.name for column in self.system.keys)
            if self.system.spec.data.time_column is not None:
                names = names | {self.system.spec.data.time_column}
            shared = {name: context[name] for name in names if name in context}
            keys = [
                shared | {name: row[name] for name in names if name in row} for row in candidates
            ]
            found = self._add_windows(keys, absent)
            candidates = [
                {name: values[name] for name in windows} | row
                for values, row in zip(found, candidates, strict=True)
            ]
        return context, _impute(candidates, self.optional - context.keys(), absent), absent

    def predict_and_count(
        self, predict: Callable[[list[Any]], list[Prediction]], rows: list[Any]
    ) -> list[Prediction]:
        """Return the predictions of a batch; count its rows, seconds, values and gaps."""
        start_s = SYSTEM.monotonic_s()
        predictions = predict(rows)
        passed_s = SYSTEM.monotonic_s() - start_s
        self._model_s.add(passed_s)
        self.speed.count(passed_s, len(rows))
        self._batches.add(len(rows))
        self._count_values(predictions)
        for prediction in predictions:
            for gap in _GAPS:
                for name in prediction.get(gap, ()):
                    self._metrics.counts[f"headrace_{gap}", self.name, name] += 1
        return predictions

    def problem(self, rows: list[Row], error: InputError) -> Problem:
        """Describe the bad fields of rows, as `errors`, up to `_MAX_PROBLEMS`."""
        nothing = dict.fromkeys(self.optional)
        errors = self.predictor.problems([nothing | row for row in rows], _MAX_PROBLEMS)
        title = "The rows cannot be predicted"
        return Problem(422, "invalid_rows", title, str(error), errors=errors)

    def _complete(self, rows: list[Row]) -> tuple[list[Row], dict[int, list[str]]]:
        """Return rows with the columns that they may lack, and what was imputed.

        That is a dict: the index of a row to the names of its columns without a value.
        """
        imputed: dict[int, list[str]] = {}
        if not _lacks_any(rows, self.optional):
            return rows, imputed
        rows = [trim_names(row) for row in rows]
        if self._windows is not None and _lacks_any(rows, self.window_names):
            rows = self._add_windows(rows, imputed)
        if _lacks_any(rows, self._imputable):
            rows = _impute(rows, self._imputable, imputed)
        return rows, imputed

    def _add_windows(self, rows: list[Row], imputed: dict[int, list[str]]) -> list[Row]:
        """Return rows with their window features; those that a row has already are not replaced."""
        assert self._windows is not None
        start_s = SYSTEM.monotonic_s()
        features = self._windows.read(rows)
        self._store_s.add(SYSTEM.monotonic_s() - start_s)
        if features is None:
            features = [{}] * len(rows)
            self._metrics.counts["headrace_store_failures", self.name] += 1

        complete = [windows | row for windows, row in zip(features, rows, strict=True)]
        if not _lacks_any(complete, self.window_names):
            return complete
        lacking: dict[int, list[str]] = {}
        complete = _impute(complete, self.window_names, lacking)
        imputed |= lacking
        self._metrics.counts["headrace_default_rows", self.name] += len(lacking)
        return complete

    def _count_values(self, predictions: list[Prediction]) -> None:
        """Count predictions by their score, or by their label."""
        if self._scores is not None:
            self._scores.add_all([prediction["prediction"] for prediction in predictions])
            return
        labels = Counter(prediction["prediction"] for prediction in predictions)
        for label, count in labels.items():
            self._metrics.counts["headrace_labels", *self._labels, str(label)] += count


class FastRows:
    """A `BatchHandler` of rows that lack no column and have no other.

    They are decoded into a struct that the model made of its columns, which takes half the time of
    decoding into dicts.
    """

    def __init__(self, served: ServedModel, row_type: type[Struct]) -> None:
        self._served = served
        self.type = row_type
        rows: Any = GenericAlias(list, (row_type,))
        body: Any = msgspec.defstruct("Body", [("rows", rows)], forbid_unknown_fields=True)
        self._decode = msgspec.json.Decoder(body).decode

    def decode(self, body: bytes) -> list[Any] | None:
        """Decode the rows of a body of `/predict`; None where it has any others."""
        try:
            rows: list[Any] = self._decode(body).rows
            return rows
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None

    def answer(self, rows: list[Any]) -> tuple[list[Any], list[Prediction]]:
        """Return the rows as they are, and their predictions; see `ServedModel.answer`."""
        return rows, self._served.predict_and_count(self._served.predictor.predict_typed, rows)

    def problem(self, rows: list[Any], error: InputError) -> Problem:
        """Describe the bad fields of rows; see `ServedModel.problem`."""
        return self._served.problem(msgspec.to_builtins(rows), error)


def _impute(rows: list[Row], names: frozenset[str], imputed: dict[int, list[str]]) -> list[Row]:
    """Return rows with None for each of the columns `names` that they lack.

    The names that a row lacks are added to `imputed` under its index.

    >>> imputed = {0: ["w"]}
    >>> rows = _impute([{"a": 1}, {"a": 2, "b": 3}], frozenset("ab"), imputed)
    >>> rows == [{"a": 1, "b": None}, {"a": 2, "b": 3}]
    True
    >>> imputed
    {0: ['w', 'b']}
    """
    for index, row in enumerate(rows):
        lacking = sorted(names - row.keys())
        if lacking:
            imputed[index] = imputed.get(index, []) + lacking
    nothing = dict.fromkeys(names)
    return [nothing | row for row in rows]


def _lacks_any(rows: list[Row], names: frozenset[str]) -> bool:
    """Say whether one of the rows lacks one of the columns.

    >>> _lacks_any([{"a": 1, "b": 2}, {"a": 3}], frozenset("ab"))
    True
    """
    if not names:
        return False
    # Looking values up takes half the time of comparing sets; the deque drops them as they come.
    try:
        deque(map(itemgetter(*names), rows), 0)
    except KeyError:
        return True
    return False
