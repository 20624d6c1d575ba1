"""What was known of a unit before it was drawn: it forecasts its value, and narrows intervals.

history   the unit's value in the time before the phase, of the same metric
score     the champion's score of the unit's first row, in whichever arm: an arm's own score is
          not known before the draw
"""

from typing import Any

import msgspec
import numpy as np
import polars as pl
from msgspec import Struct, structs

from headrace.arrays import Floats, Hashes
from headrace.bundle import open_bundle
from headrace.clock import DAY_US
from headrace.errors import InputError
from headrace.log import Cursor, Log, follow
from headrace.outcomes import Join, JoinedPhase
from headrace.outcomes.reader import Reader, hash_units
from headrace.rollout import Phase, Rollout
from headrace.rollout.state import CHAMPION
from headrace.rollout.statistics.look import scale_all
from headrace.serve.metrics.metrics import Metrics
from headrace.serve.models.served import ServedModel
from headrace.serve.models.system import ServedSystem
from headrace.spec import RolloutMetric, System


class History:
    """The values of units in the time before a phase, by metric: the last day, or the last `per`.

    It is read once, from the log.
    """

    def __init__(self, system: System, join: Join, phase: Phase) -> None:
        self._known = {
            metric.name: _read_history(system, join, phase, metric) for metric in join.metrics
        }

    def find(self, metric: RolloutMetric, keys: Hashes) -> Floats:
        """Return the covariate of units, NaN for those without a history."""
        known, values = self._known[metric.name]
        found = np.full(len(keys), np.nan)
        if len(known):
            at = np.minimum(np.searchsorted(known, keys), len(known) - 1)
            same = known[at] == keys
            found[same] = values[at[same]]
        return found


def _read_history(
    system: System, join: Join, phase: Phase, metric: RolloutMetric
) -> tuple[Hashes, Floats]:
    """Read the keys and the values of units in the time before a phase, in the order of the keys.

    Outcomes that came after the phase began are left out: nobody knew them then.
    """
    span_us = max(metric.span_us, DAY_US)
    until_us = phase.since_us - join.within_us
    longer = structs.replace(metric, per=f"{span_us}us")
    reader = Reader(structs.replace(join, metrics=(longer,)))
    reader.begin_phase(JoinedPhase(1, (CHAMPION,), "", False, 0))
    predictions = Log(system.workspace.predictions)
    begin = predictions.find_position(until_us - span_us)
    for table, _ in follow(predictions, Cursor(begin, begin), judged=True):
        times = pl.col("id").str.slice(0, 14).str.to_integer(base=16, strict=False)
        past = table.filter(
            (times >= until_us - span_us) & (times < until_us) & pl.col("unit").is_not_null()
        )
        reader.read_predictions(
            past.with_columns(
                phase=pl.lit(1, pl.Int64), arm=pl.lit(CHAMPION), propensity=pl.lit(1.0)
            )
        )
        if table.select(times.min()).item() >= until_us:
            break
    for table, _ in follow(Log(system.workspace.outcomes), Cursor(), judged=False):
        known = table["available"].to_physical() < phase.since_us
        reader.read_outcomes(table.filter(known))
    closed = reader.close(phase.since_us + span_us + 1)
    if not closed:
        return np.zeros(0, np.uint64), np.zeros(0)
    keys = np.concatenate([one.key for one in closed])
    values = scale_all(metric, np.concatenate([one.value for one in closed]))
    order = np.argsort(keys)
    return keys[order], values[order]


class _Answer(Struct):
    prediction: float | str | None = None


class _Logged(Struct):
    """What is read of the payload of a judged prediction."""

    arm: str
    row: dict[str, Any]
    answer: _Answer
    unit: str | None = None
    phase: int | None = None


_decode = msgspec.json.Decoder(_Logged).decode


class FirstScores:
    """The champion's score of the first row of each unit, as shares of the scores in its test."""

    def __init__(self, system: System, rollout: Rollout) -> None:
        path = system.workspace.bundle(system.name, rollout.champion)
        self._champion = ServedModel(open_bundle(path), ServedSystem(system), Metrics())
        quantiles = self._champion.bundle.profile["score"].get("at", [])
        self._quantiles = np.array(quantiles, dtype=np.float64)
        self._log = Log(system.workspace.predictions)
        begin = self._log.find_position(rollout.since_us)
        self._at = Cursor(begin, begin)
        self._scores: dict[tuple[int, int], float] = {}

    def read(self) -> None:
        """Score the first rows of units that were logged since the last time."""
        for table, after in follow(self._log, self._at, judged=False):
            self._at = after
            logged = [_decode(payload) for payload in table["payload"].to_list()]
            units = [one for one in logged if one.phase is not None and one.unit is not None]
            keys = hash_units(pl.Series([one.unit for one in units], dtype=pl.String)).tolist()
            new: dict[tuple[int, int], _Logged] = {}
            for key, one in zip(keys, units, strict=True):
                place = (one.phase or 0, key)
                if place not in self._scores:
                    new.setdefault(place, one)
            for place, one in new.items():
                self._scores[place] = self._score(one)

    def _score(self, logged: _Logged) -> float:
        """Return the champion's score of a row; NaN for a label, or a row that it cannot read."""
        prediction = logged.answer.prediction
        if logged.arm != CHAMPION:
            try:
                prediction = self._champion.answer([logged.row])[1][0]["prediction"]
            except InputError:
                return np.nan
        if isinstance(prediction, str) or prediction is None:
            return np.nan
        if not len(self._quantiles):
            return min(max(float(prediction), 0.0), 1.0)
        return float(np.searchsorted(self._quantiles, prediction)) / len(self._quantiles)

    def find(self, phase: int, keys: Hashes) -> Floats:
        """Return the covariate of units, NaN for those that have none."""
        return np.array([self._scores.get((phase, key), np.nan) for key in keys.tolist()])
