"""The one reader that joins predictions with what came of them.

    log/predictions ──> read_predictions ──> units, index of recent predictions
    log/outcomes    ──> read_outcomes    ──> outcomes of open units; orphans, late ones
                                 │ close(watermark)
                                 v
                        closed units, each with the final value of a metric

Time is that of the log. A prediction counts at the time in its id, but not earlier than `LAG_US`
before the latest one before it in the log; an outcome arrives when it was appended, but not before
one that precedes it. So whatever was joined can be joined again to the same numbers.
"""

from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import polars as pl
from msgspec import Struct

from headrace.arrays import Floats, Hashes, Integers, Mask
from headrace.clock import US_PER_S
from headrace.outcomes.feedback import OUTCOMES, LoggedOutcome
from headrace.outcomes.index import Found, PredictionIndex, Predictions
from headrace.outcomes.join import Join, JoinedPhase
from headrace.outcomes.units import Exposures, PhaseUnits
from headrace.outcomes.values import Collected, compute_values
from headrace.spec import LOSS, RolloutMetric, Task

LAG_US = 2 * US_PER_S
"""A prediction may be logged so much later than a later one of another process."""
PATIENCE_US = 60 * US_PER_S
"""What is not logged so long after it was made never will be: its outcomes are orphans."""
_KEY_SEED, _ROW_SEED = 1, 2
_MOST_PIECES = 64
_OUTSIDE = -1
"""No phase has this number: a prediction outside of a rollout has none."""
_LOGGED_SCHEMA = {
    "id": pl.String(),
    "by_row": pl.Boolean(),
    "arrived": pl.Int64(),
    "order": pl.Int64(),
    "name": pl.String(),
    "outcome_id": pl.String(),
    "number": pl.Float64(),
    "label": pl.String(),
}
"""Outcomes as they are logged."""
_PARTS = {name: pl.Int64() for name in ("time", "version", "arm", "process")}
_ARRIVED_SCHEMA = {**_LOGGED_SCHEMA, **_PARTS}
"""Outcomes as they arrived, with the parts of the ids of their predictions."""
_OUTCOME_SCHEMA = {
    "phase": pl.Int64(),
    "place": pl.Int64(),
    "time": pl.Int64(),
    "process": pl.Int64(),
    "exposed": pl.Int64(),
    "score": pl.Float64(),
    "predicted": pl.String(),
    "order": pl.Int64(),
    "name": pl.String(),
    "outcome_id": pl.String(),
    "number": pl.Float64(),
    "label": pl.String(),
}
"""Outcomes with their predictions: `score` or `predicted` is what was predicted."""


class ClosedUnits(NamedTuple):
    """Units that have closed for a metric, in the order in which they did: `(N,)` each.

    `arm` counts the arms of the phase from 0; `value` is in the unit of the metric, NaN where the
    unit does not count; `arrived` says whether any outcome came; `rows` is how many predictions it
    has. `context` is that by which a
    policy has chosen, where one has.
    """

    phase: int
    metric: str
    key: Hashes
    exposed_us: Integers
    closed_us: Integers
    arm: Integers
    propensity: Floats
    value: Floats
    arrived: Integers
    rows: Integers
    context: list[list[float]] | None = None


class Counts(Struct):
    """What was counted of outcomes; `orphans` by version and arm in their ids."""

    late: int = 0
    clipped: int = 0
    orphans: dict[str, int] = {}


_decode_logged = msgspec.json.Decoder(LoggedOutcome).decode


class Reader:
    """The join of predictions and outcomes, as far as both logs were read.

    Parameters: `folder`, where recent predictions are held; without one they are in memory.
    """

    def __init__(self, join: Join, folder: Path | None = None) -> None:
        self.join = join
        self.phases: dict[int, JoinedPhase] = {}
        self.units: dict[int, PhaseUnits] = {}
        self.counts = Counts()
        self.latest_us = 0
        """The time of the latest prediction."""
        self._index = PredictionIndex(folder)
        self._outcomes = pl.DataFrame(schema=_OUTCOME_SCHEMA)
        self._waiting = pl.DataFrame(schema=_ARRIVED_SCHEMA)
        self._contexts: dict[int, dict[int, list[float]]] = {}
        self._arrived_us = 0
        self._watermark_us = 0
        self._reads_scores = any(metric.of == LOSS for metric in join.metrics)
        names = {metric.of for metric in join.metrics if metric.of != LOSS}
        self._names = names | ({join.target} if self._reads_scores else set())

    def begin_phase(self, phase: JoinedPhase) -> None:
        """Join the predictions of a further phase from now on."""
        if phase.number not in self.phases:
            self.phases[phase.number] = phase
            spans = [metric.span_us for metric in self.join.metrics]
            self.units[phase.number] = PhaseUnits(spans, LAG_US)

    def read_predictions(self, table: pl.DataFrame) -> None:
        """Read predictions in the order of the log; the columns are `JUDGED_RECORD`."""
        if not table.height:
            return
        times = table.select(_read_hex(0, 14)).to_series().to_numpy()
        latest = np.maximum.accumulate(np.maximum(times, self.latest_us))
        before = np.concatenate([[self.latest_us], latest[:-1]])
        self.latest_us = int(latest[-1])
        exposed = np.maximum(np.maximum(times, before - LAG_US), self._watermark_us)
        timed = table.with_columns(
            pl.Series("time", times),
            pl.Series("before", before),
            pl.Series("exposed", exposed),
        )
        phases = timed["phase"].fill_null(_OUTSIDE).to_numpy()
        for number, phase in self.phases.items():
            own = phases == number
            if own.any():
                self._read_phase(phase, timed if own.all() else timed.filter(pl.Series(own)))

    def _read_phase(self, phase: JoinedPhase, part: pl.DataFrame) -> None:
        """Read the predictions of one phase."""
        join = self.join
        rows = _expose(phase, part, join.is_unit)
        units = self.units[phase.number]
        barred = None
        if phase.new_only and join.is_unit:
            barred = np.zeros(len(rows.key), bool)
            for number, other in self.phases.items():
                if number < phase.number and other.salt == phase.salt:
                    barred |= self.units[number].were_exposed(rows)
        places = units.expose(rows, join.is_unit, barred)
        score = _read_scores(part)
        for at, metric in enumerate(join.metrics):
            counted = units.collects(at, places, rows.exposed_us)
            if metric.per is None and join.is_unit:
                counted &= _is_first(units, places, rows)
            squares = score[counted] ** 2 if metric.of == LOSS else None
            units.count(at, places[counted], squares)
        self._index_predictions(phase.number, part, rows, places, score)
        if "context" in part.columns and part["context"].null_count() < part.height:
            contexts = zip(places.tolist(), part["context"].to_list(), strict=True)
            self._contexts.setdefault(phase.number, {}).update(contexts)

    def _index_predictions(
        self, phase: int, part: pl.DataFrame, rows: Exposures, places: Integers, score: Floats
    ) -> None:
        """Add predictions to the index."""
        known = places >= 0
        predictions = Predictions(
            time=rows.time[known],
            process=rows.process[known],
            exposed_us=rows.exposed_us[known],
            phase=np.full(int(known.sum()), phase),
            place=places[known],
            score=score[known],
            label=_read_labels(part, self.join.task).filter(pl.Series(known)),
            row_key=_read_row_keys(part)[known],
        )
        self._index.add(predictions)

    def read_outcomes(self, table: pl.DataFrame) -> None:
        """Read outcomes in the order of their log; the columns are those of a record."""
        arrived = table["available"].to_physical().to_numpy()
        if not len(arrived):
            return
        arrived = np.maximum.accumulate(np.maximum(arrived, self._arrived_us))
        self._arrived_us = int(arrived[-1])
        table = table.with_columns(pl.Series("arrived", arrived)).filter(pl.col("kind") == OUTCOMES)
        logged = [_decode_logged(payload) for payload in table["payload"].to_list()]
        rows = pl.DataFrame(
            {
                "id": table["id"],
                "by_row": [one.by == "row" for one in logged],
                "arrived": table["arrived"],
                "order": table["position"],
                "name": [one.name for one in logged],
                "outcome_id": [one.outcome_id for one in logged],
                "number": [None if isinstance(one.outcome, str) else one.outcome for one in logged],
                "label": [one.outcome if isinstance(one.outcome, str) else None for one in logged],
            },
            schema=_LOGGED_SCHEMA,
        )
        rows = rows.filter(pl.col("name").is_in(list(self._names))).with_columns(
            time=_read_hex(0, 14),
            version=_read_hex(14, 6),
            arm=_read_hex(20, 2),
            process=_read_hex(22, 6),
        )
        self._waiting = pl.concat([self._waiting, rows])

    def close(self, watermark_us: int) -> list[ClosedUnits]:
        """Close what is over before a watermark, and return the closed units of each metric.

        Nothing that was read later may have happened, or arrived, before the watermark.
        """
        self._match_outcomes(watermark_us)
        self._watermark_us = max(self._watermark_us, watermark_us)
        closed = []
        were_let_go = False
        for number, units in self.units.items():
            for at, metric in enumerate(self.join.metrics):
                places = units.close(at, self.join.within_us, watermark_us)
                if len(places):
                    closed.append(self._value(number, units, at, metric, places))
            were_let_go |= units.let_go()
        self._index.drop_before(watermark_us - self.join.within_us - LAG_US)
        if were_let_go:
            self._forget()
        return closed

    def _value(
        self,
        number: int,
        units: PhaseUnits,
        at: int,
        metric: RolloutMetric,
        places: Integers,
    ) -> ClosedUnits:
        """Compute the final values of units that close."""
        within = places - units.first
        columns = units.columns
        own = self._outcomes.filter(pl.col("phase") == number)
        rows, squares = units.rows_of(at, places)
        collected = Collected(
            places=places,
            exposed_us=columns.exposed_us[within],
            first_time=columns.time[within],
            first_process=columns.process[within],
            rows=rows,
            squares=squares,
        )
        known = self._contexts.get(number)
        value, arrived, clipped = compute_values(metric, self.join, collected, own)
        self.counts.clipped += clipped
        span = metric.span_us + self.join.within_us
        return ClosedUnits(
            phase=number,
            metric=metric.name,
            key=columns.key[within],
            exposed_us=columns.exposed_us[within],
            closed_us=columns.exposed_us[within] + span,
            arm=columns.arm[within],
            propensity=columns.propensity[within],
            value=value,
            arrived=arrived,
            rows=rows,
            context=None if known is None else [known.get(place, []) for place in places.tolist()],
        )

    def _match_outcomes(self, watermark_us: int) -> None:
        """Find the predictions of outcomes; what is not logged long before is an orphan."""
        if not self._waiting.height:
            return
        # Those of predictions that are still to be read wait untouched.
        is_ready = pl.col("by_row") | (pl.col("time") <= self.latest_us)
        waiting = self._waiting.filter(is_ready)
        rest = self._waiting.filter(~is_ready)
        found = self._find(waiting)
        arrived = waiting["arrived"].to_numpy()
        by_row = waiting["by_row"].to_numpy()
        # By its row an outcome is of the last prediction before it: all of those must be logged.
        too_early = by_row & (arrived >= watermark_us)
        matched = (found.place >= 0) & ~too_early
        # An id says when its prediction was made, whether that was logged or not.
        predicted_us = np.where(
            by_row, np.where(matched, found.time, arrived), waiting["time"].to_numpy()
        )
        late = arrived > predicted_us + self.join.within_us
        self._outcomes = pl.concat([self._outcomes, _matched(waiting, found, matched & ~late)])
        if self._outcomes.n_chunks() > _MOST_PIECES:
            self._outcomes = self._outcomes.rechunk()

        gone = ~matched & ~late & (predicted_us < watermark_us - PATIENCE_US)
        self._waiting = pl.concat([waiting.filter(pl.Series(~matched & ~late & ~gone)), rest])
        begins = min((phase.since_us for phase in self.phases.values()), default=0)
        judged = matched | (~by_row & (waiting["arm"].to_numpy() > 0) & (predicted_us >= begins))
        self.counts.late += int((late & judged).sum())
        lost = waiting.filter(pl.Series(gone & judged))
        for version, arm in lost.select("version", "arm").rows():
            name = f"{version}/{arm}"
            self.counts.orphans[name] = self.counts.orphans.get(name, 0) + 1

    def _find(self, waiting: pl.DataFrame) -> Found:
        """Find predictions by their ids, or by the ids of their rows."""
        found = self._index.find(waiting["time"].to_numpy(), waiting["process"].to_numpy())
        by_row = waiting["by_row"].to_numpy()
        if by_row.any():
            keys = waiting["id"].hash(_ROW_SEED).to_numpy()
            rows = self._index.find_rows(keys, waiting["arrived"].to_numpy())
            for column, other in zip(found[:-1], rows[:-1], strict=True):
                column[by_row] = other[by_row]
            for at in np.flatnonzero(by_row).tolist():
                found.label[at] = rows.label[at]
        return found

    def _forget(self) -> None:
        """Let go of contexts and outcomes of units that were let go."""
        for number, contexts in self._contexts.items():
            first = self.units[number].first
            for place in [place for place in contexts if place < first]:
                del contexts[place]
        if self._outcomes.height:
            firsts = pl.DataFrame(
                {
                    "phase": list(self.units),
                    "first": [units.first for units in self.units.values()],
                },
                schema={"phase": pl.Int64, "first": pl.Int64},
            )
            of_open = self._outcomes.join(firsts, on="phase", maintain_order="left")
            of_open = of_open.filter(pl.col("place") >= pl.col("first"))
            self._outcomes = of_open.select(*_OUTCOME_SCHEMA)


def _read_hex(start: int, length: int) -> pl.Expr:
    """Read hexadecimal digits of an id; 0 where there are none."""
    digits = pl.col("id").str.slice(start, length)
    return digits.str.to_integer(base=16, strict=False).fill_null(0).cast(pl.Int64)


def hash_units(units: pl.Series) -> Hashes:
    """Return the keys of units: hashes that tell them apart."""
    return units.hash(_KEY_SEED).to_numpy()


def _expose(phase: JoinedPhase, part: pl.DataFrame, is_unit: bool) -> Exposures:
    """Return the rows of a phase as exposures; without units each row is one of its own."""
    numbers = {arm: at for at, arm in enumerate(phase.arms)}
    arms = part["arm"].replace_strict(numbers, default=len(phase.arms), return_dtype=pl.Int64)
    process = part.select(_read_hex(22, 6)).to_series()
    return Exposures(
        position=part["position"].to_numpy(),
        key=hash_units(part["unit" if is_unit else "id"]),
        exposed_us=part["exposed"].to_numpy(),
        before_us=part["before"].to_numpy(),
        arm=arms.to_numpy(),
        propensity=part["propensity"].fill_null(1.0).to_numpy(),
        time=part["time"].to_numpy(),
        process=process.to_numpy(),
    )


def _is_first(units: PhaseUnits, places: Integers, rows: Exposures) -> Mask:
    """Say of rows whether they are the first prediction of their unit."""
    at = np.maximum(places - units.first, 0)
    columns = units.columns
    if not len(columns.key):
        return np.zeros(len(places), bool)
    same = columns.time[at] == rows.time
    return np.asarray(same & (columns.process[at] == rows.process))


def _read_scores(part: pl.DataFrame) -> Floats:
    """Return the predictions that are numbers, NaN for labels."""
    scores = part["prediction"].cast(pl.Float64, strict=False)
    return scores.fill_null(np.nan).to_numpy()


def _read_labels(part: pl.DataFrame, task: Task) -> pl.Series:
    """Return the predictions as labels, where the task has some: a whole number is one, too."""
    predictions = part["prediction"]
    if task != "multiclass":
        return pl.Series("prediction", [None], dtype=pl.String).new_from_index(0, part.height)
    if predictions.dtype == pl.String:
        return predictions
    whole = predictions.is_finite() & (predictions == predictions.round())
    labels = predictions.cast(pl.Int64, strict=False).cast(pl.String)
    return labels.set(~whole.fill_null(False), None)


def _read_row_keys(part: pl.DataFrame) -> Hashes:
    """Return a hash of the id of each row, 0 where there is none."""
    if part["row_id"].null_count() == part.height:
        return np.zeros(part.height, np.uint64)
    keys = part["row_id"].hash(_ROW_SEED)
    return (
        pl.select(pl.when(part["row_id"].is_null()).then(0).otherwise(keys))
        .to_series()
        .cast(pl.UInt64)
        .to_numpy()
    )


def _matched(waiting: pl.DataFrame, found: Found, good: Mask) -> pl.DataFrame:
    """Return the outcomes whose predictions were found, with their units."""
    at = np.flatnonzero(good)
    rows = waiting.filter(pl.Series(good))
    return rows.select(
        pl.Series("phase", found.phase[at]),
        pl.Series("place", found.place[at]),
        pl.Series("time", found.time[at]),
        pl.Series("process", found.process[at]),
        pl.Series("exposed", found.exposed_us[at]),
        pl.Series("score", found.score[at]),
        pl.Series("predicted", [found.label[one] for one in at.tolist()], dtype=pl.String),
        "order",
        "name",
        "outcome_id",
        "number",
        "label",
    )
