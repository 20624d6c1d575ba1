"""What a shadow has shown: how its scores differ, and whether its loss is certainly worse."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
from msgspec import Struct

from headrace.arrays import Floats
from headrace.loop.shadow import SHADOW, SHADOW_COUNTS, ShadowCounts
from headrace.outcomes import Join, JoinedPhase
from headrace.outcomes.feedback import write_number
from headrace.outcomes.reader import ClosedUnits, Reader
from headrace.rollout import Rollout
from headrace.rollout.evidence import Interval, MetricResult
from headrace.rollout.state import CHAMPION
from headrace.rollout.statistics.guards import judge_seconds
from headrace.spec import LOSS, RolloutMetric
from headrace.tasks import find_task

_MOST_PAIRS = 2_000
_MOST_TIMES = 2_000
_STEPS = 1_000


class _Answer(Struct):
    prediction_id: str
    prediction: float | str | None = None
    row_id: str | int | float | None = None


class _Scored(Struct):
    """The payload of a scored row."""

    champion: float | str | None
    unit: str | None
    answer: _Answer
    phase: int


class ShadowStatus(Struct, frozen=True):
    """The scores of a shadow beside the champion's answers to the same rows.

    `share` is that of the rows that it looked at; `difference` the mean absolute one; `rank` the
    rank correlation. Milliseconds are the median of single rows.
    """

    scored: int
    share: float
    unread: int
    errors: int
    stale: int
    changed: int
    difference: float | None
    rank: float | None
    champion_ms: float | None
    challenger_ms: float | None


_decode = msgspec.json.Decoder(_Scored).decode
_decode_counts = msgspec.json.Decoder(ShadowCounts).decode


class ShadowEvidence:
    """Reads the log of a shadow, and the outcomes of the rows in it.

    Parameters: `folder`, where recent scores are held.
    """

    def __init__(self, rollout: Rollout, join: Join, folder: Path) -> None:
        self._phase = rollout.phase
        losses = [metric for metric in join.metrics if metric.of == LOSS]
        self._metric = losses[0] if losses else RolloutMetric(name=LOSS, of=LOSS, role="guard")
        # Scores of a ranking order rows: they are near no outcome.
        self._has_loss = not find_task(join.task).HAS_QUERIES
        own = msgspec.structs.replace(join, metrics=(self._metric,))
        self._readers = Reader(own, folder), Reader(own, folder)
        for reader in self._readers:
            reader.begin_phase(
                JoinedPhase(self._phase.number, (CHAMPION,), "", False, self._phase.since_us)
            )
        self.counts = ShadowCounts(self._phase.number)
        self._pairs: list[tuple[int, float, float]] = []
        self._distance = 0.0
        self._compared = 0
        self._waiting: list[dict[int, float]] = [{}, {}]
        self._scores: dict[int, int] = {}
        self._sums = [0.0, 0.0]
        self._closed = 0

    def read(self, table: pl.DataFrame) -> None:
        """Read records of the log of the shadow, in their order."""
        for part in table.filter(pl.col("kind") == SHADOW_COUNTS)["payload"].to_list():
            self._count(_decode_counts(part))
        rows = table.filter(pl.col("kind") == SHADOW)
        scored = [_decode(payload) for payload in rows["payload"].to_list()]
        own = [one for one in scored if one.phase == self._phase.number]
        if not own:
            return
        ids = [one.answer.prediction_id for one in own]
        for reader, predictions in zip(
            self._readers,
            ([one.champion for one in own], [one.answer.prediction for one in own]),
            strict=True,
        ):
            units = [one.unit for one in own]
            scores = _to_table(ids, predictions, units, self._phase.number)
            row_ids = [_to_text(one.answer.row_id) for one in own]
            known = pl.Series("row_id", row_ids, dtype=pl.String)
            reader.read_predictions(scores.with_columns(known))
        self._compare(own)

    def _count(self, counts: ShadowCounts) -> None:
        if counts.phase != self._phase.number:
            return
        mine = self.counts
        for name in ("scored", "unread", "errors", "stale", "skipped", "changed"):
            setattr(mine, name, getattr(mine, name) + getattr(counts, name))
        mine.champion_s = (mine.champion_s + counts.champion_s)[-_MOST_TIMES:]
        mine.challenger_s = (mine.challenger_s + counts.challenger_s)[-_MOST_TIMES:]

    def _compare(self, scored: Sequence[_Scored]) -> None:
        """Compare scores that are numbers; of all pairs those with the least ids' hash stay."""
        for one in scored:
            before, after = one.champion, one.answer.prediction
            if isinstance(before, float | int) and isinstance(after, float | int):
                self._distance += abs(after - before)
                self._compared += 1
                self._pairs.append((hash_id(one.answer.prediction_id), before, after))
        if len(self._pairs) > 2 * _MOST_PAIRS:
            self._pairs = sorted(self._pairs)[:_MOST_PAIRS]

    def read_outcomes(self, table: pl.DataFrame) -> None:
        """Read outcomes in the order of their log."""
        for reader in self._readers:
            reader.read_outcomes(table)

    def close(self, watermark_us: int) -> None:
        """Close what is over before a watermark, and count the differences of both losses."""
        for waiting, reader in zip(self._waiting, self._readers, strict=True):
            for units in reader.close(watermark_us):
                waiting.update(_losses(units))
        champion, challenger = self._waiting
        tolerance = 1 + self._metric.tolerance
        for key in [key for key in champion if key in challenger]:
            base, own = champion.pop(key), challenger.pop(key)
            if math.isnan(base) or math.isnan(own):
                continue
            self._sums[0] += base
            self._sums[1] += own
            self._closed += 1
            score = round((own - tolerance * base) / self._width * _STEPS)
            self._scores[score] = self._scores.get(score, 0) + 1

    @property
    def _width(self) -> float:
        low, high = self._metric.range
        return (high - low) * (1 + self._metric.tolerance)

    def results(self, alpha: float) -> list[MetricResult]:
        """Return the loss of both versions on the same units, and whether harm is certain."""
        if not self._closed or not self._has_loss:
            return []
        base, own = (total / self._closed for total in self._sums)
        keys = sorted(self._scores)
        scores: Floats = np.array(keys) / _STEPS
        counts: Floats = np.array([self._scores[key] for key in keys], dtype=np.float64)
        harm = judge_seconds(scores, counts, 0.0, alpha) == "beyond"
        nothing = Interval(None, own - base, None)
        lift = Interval(None, own / base - 1 if base > 0 else None, None)
        return [
            MetricResult(
                metric=self._metric.name,
                role=self._metric.role,
                arm="challenger",
                value=own,
                champion=base,
                effect=nothing,
                lift=lift,
                units=self._closed,
                harm=harm,
            )
        ]

    def status(self) -> ShadowStatus:
        """Return how the scores differ."""
        counts = self.counts
        looked_at = counts.scored + counts.unread + counts.errors + counts.stale
        total = looked_at + counts.skipped
        return ShadowStatus(
            scored=counts.scored,
            share=looked_at / total if total else 0.0,
            unread=counts.unread,
            errors=counts.errors,
            stale=counts.stale,
            changed=counts.changed,
            difference=self._distance / self._compared if self._compared else None,
            rank=_rank_correlation(self._pairs),
            champion_ms=_median_ms(counts.champion_s),
            challenger_ms=_median_ms(counts.challenger_s),
        )


def hash_id(prediction_id: str) -> int:
    """Return a hash of an id that is the same in every process."""
    return int(prediction_id, 16) * 0x9E3779B97F4A7C15 % 2**61


def _to_text(row_id: str | float | None) -> str | None:
    """Return the id of a row as the log of predictions has it."""
    if row_id is None:
        return None
    return write_number(row_id) if isinstance(row_id, float) else str(row_id)


def _losses(units: ClosedUnits) -> dict[int, float]:
    return dict(zip(units.key.tolist(), units.value.tolist(), strict=True))


def _to_table(
    ids: list[str], predictions: Sequence[Any], units: list[str | None], phase: int
) -> pl.DataFrame:
    """Return scored rows as the reader takes predictions: all in one arm."""
    count = len(ids)
    labels = any(isinstance(one, str) for one in predictions)
    return pl.DataFrame(
        {
            "position": range(count),
            "id": ids,
            "arm": [CHAMPION] * count,
            "phase": [phase] * count,
            "propensity": [1.0] * count,
            "unit": [unit or id_ for unit, id_ in zip(units, ids, strict=True)],
            "prediction": pl.Series(predictions, dtype=pl.String if labels else pl.Float64),
            "row_id": pl.Series([None] * count, dtype=pl.String),
        },
        schema_overrides={"position": pl.Int64, "phase": pl.Int64},
    )


def _rank_correlation(pairs: list[tuple[int, float, float]]) -> float | None:
    """Return Spearman's rank correlation; None for fewer than three pairs, or constant scores."""
    chosen = sorted(pairs)[:_MOST_PAIRS]
    before = [one for _, one, _ in chosen]
    after = [one for _, _, one in chosen]
    if len(chosen) < 3 or len(set(before)) == 1 or len(set(after)) == 1:
        return None
    ranked = pl.DataFrame({"before": before, "after": after})
    return float(ranked.select(pl.corr("before", "after", method="spearman")).item())


def _median_ms(seconds: list[float]) -> float | None:
    return float(np.median(seconds)) * 1e3 if seconds else None
