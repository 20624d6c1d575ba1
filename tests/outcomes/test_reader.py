"""Units, values and counts of the reader are those of a plain loop over the whole log.

The loop shares no code with the reader, which reads in pieces, and closes units in between.
"""

import math
from typing import Any, NamedTuple

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.outcomes import Join, JoinedPhase
from headrace.outcomes.reader import LAG_US, PATIENCE_US, Reader
from headrace.spec import RolloutMetric

S = 1_000_000
BEGIN = 1_700_000_000 * S
WITHIN = 6 * S
ARMS = ("champion", "challenger")
METRICS = (
    RolloutMetric(name="any", of="clicked", value="any"),
    RolloutMetric(name="any_long", of="clicked", value="any", per="5s"),
    RolloutMetric(name="sum", of="paid", value="sum", per="3s", range=(0, 4)),
    RolloutMetric(name="mean", of="paid", value="mean", per="5s", range=(-1, 3)),
    RolloutMetric(name="loss", of="loss", value="mean", per="5s"),
)


class Prediction(NamedTuple):
    """A logged prediction; `logged` is when it reached the log."""

    logged: int
    time: int
    process: int
    unit: str
    phase: int | None
    score: float

    @property
    def id(self) -> str:
        return f"{self.time:014x}00000301{self.process:06x}"

    @property
    def arm(self) -> str:
        return ARMS[(ord(self.unit) + self.phase) % 2] if self.phase else ARMS[0]


class Outcome(NamedTuple):
    """A logged outcome of a prediction, or of one that was never logged."""

    arrived: int
    id: str
    name: str
    outcome_id: str
    value: float | None


class Story(NamedTuple):
    """What is in both logs, and when the reader looks."""

    predictions: list[Prediction]
    outcomes: list[Outcome]
    looks: list[int]
    new_only: bool
    silent_zero: bool


seconds = st.integers(0, 60).map(lambda halves: BEGIN + halves * S // 2)


@st.composite
def stories(draw: st.DrawFn) -> Story:
    predictions = []
    taken = set()
    for _ in range(draw(st.integers(1, 25))):
        time = draw(seconds)
        delay = draw(st.sampled_from([0, 0, 0, S // 4, S, 5 * S]))
        process = draw(st.integers(1, 2))
        if (time, process) in taken:
            continue
        taken.add((time, process))
        # The first phase ends after 15 seconds, but for a worker that lags.
        phase = 1 if time < BEGIN + 15 * S else draw(st.sampled_from([2, 2, 2, 1, None]))
        unit = draw(st.sampled_from("abcdef"))
        score = draw(st.sampled_from([0.0, 0.25, 0.5, 1.0]))
        predictions.append(Prediction(time + delay, time, process, unit, phase, score))
    predictions.sort(key=lambda one: one.logged)
    ids = [one.id for one in predictions] + [f"{BEGIN + 7 * S:014x}0000030100ffff"]

    outcomes = []
    for _ in range(draw(st.integers(0, 25))):
        id = draw(st.sampled_from(ids))
        wait = draw(st.sampled_from([0, 1, S, 3 * S, WITHIN, WITHIN + 1, 20 * S]))
        name = draw(st.sampled_from(["clicked", "paid", "other"]))
        value = draw(st.sampled_from([0.0, 1.0, 2.5, -3.0, None]))
        outcome_id = draw(st.sampled_from(["", "", "second"]))
        outcomes.append(Outcome(int(id[:14], 16) + wait, id, name, outcome_id, value))
    outcomes.sort(key=lambda one: one.arrived)
    looks = sorted(draw(st.lists(seconds, max_size=5)))
    return Story(predictions, outcomes, looks, draw(st.booleans()), draw(st.booleans()))


def table_of(predictions: list[Prediction], first: int) -> pl.DataFrame:
    """Predictions as the log gives them."""
    return pl.DataFrame(
        {
            "position": range(first, first + len(predictions)),
            "id": [one.id for one in predictions],
            "kind": ["predictions"] * len(predictions),
            "version": [3] * len(predictions),
            "arm": [one.arm for one in predictions],
            "phase": [one.phase for one in predictions],
            "propensity": [0.5] * len(predictions),
            "unit": [one.unit for one in predictions],
            "prediction": [one.score for one in predictions],
            "row_id": [None] * len(predictions),
        },
        schema_overrides={"phase": pl.Int64, "row_id": pl.String, "position": pl.Int64},
    )


def outcome_table(outcomes: list[Outcome], first: int) -> pl.DataFrame:
    """Outcomes as the log gives them."""
    from msgspec import json

    payloads = [
        json.encode(
            {
                "by": "prediction",
                "name": one.name,
                "outcome_id": one.outcome_id,
                "outcome": one.value,
            }
        ).decode()
        for one in outcomes
    ]
    arrived = pl.Series([one.arrived for one in outcomes], dtype=pl.Int64).cast(pl.Datetime("us"))
    return pl.DataFrame(
        {
            "position": range(first, first + len(outcomes)),
            "id": [one.id for one in outcomes],
            "time": arrived,
            "available": arrived,
            "kind": ["outcomes"] * len(outcomes),
            "payload": payloads,
        },
        schema_overrides={"position": pl.Int64, "id": pl.String, "payload": pl.String},
    )


def read_in_pieces(story: Story) -> tuple[Reader, dict[Any, tuple[Any, ...]], int]:
    """Let the reader look now and then, and return what it closed, by phase, metric and unit."""
    join = Join(METRICS, WITHIN, story.silent_zero, True, "binary", "clicked")
    reader = Reader(join)
    reader.begin_phase(JoinedPhase(1, ARMS, "salt", False, BEGIN))
    reader.begin_phase(JoinedPhase(2, ARMS, "salt", story.new_only, BEGIN))
    keys = pl.Series(list("abcdef")).hash(1).to_list()
    names = dict(zip(keys, "abcdef", strict=True))
    closed: dict[Any, tuple[Any, ...]] = {}
    done = [0, 0]
    watermark = 0
    for now in [*story.looks, BEGIN + 200 * S]:
        predictions = [one for one in story.predictions[done[0] :] if one.logged <= now]
        outcomes = [one for one in story.outcomes[done[1] :] if one.arrived <= now]
        reader.read_predictions(table_of(predictions, done[0]))
        reader.read_outcomes(outcome_table(outcomes, done[1]))
        done = [done[0] + len(predictions), done[1] + len(outcomes)]
        watermark = min(reader.latest_us - LAG_US, now)
        for units in reader.close(watermark):
            for at, key in enumerate(units.key.tolist()):
                place = (units.phase, units.metric, names[key])
                assert place not in closed
                closed[place] = (
                    int(units.exposed_us[at]),
                    int(units.arm[at]),
                    float(units.value[at]),
                    bool(units.arrived[at]),
                )
    return reader, closed, watermark


def join_by_hand(story: Story, watermark: int) -> dict[Any, tuple[Any, ...]]:
    """What has closed before a watermark, by a loop over everything."""
    exposures: dict[tuple[int, str], tuple[int, int, str]] = {}
    rows: dict[tuple[int, str], list[tuple[int, Prediction]]] = {}
    latest = 0
    for one in story.predictions:
        effective = max(one.time, latest - LAG_US)
        latest = max(latest, one.time)
        if one.phase is None:
            continue
        place = (one.phase, one.unit)
        barred = story.new_only and one.phase == 2 and (1, one.unit) in exposures
        if place not in exposures and barred:
            continue
        if place not in exposures:
            exposures[place] = (effective, ARMS.index(one.arm), one.id)
        rows.setdefault(place, []).append((effective, one))

    closed = {}
    for (phase, unit), (begin, arm, first) in exposures.items():
        for metric in METRICS:
            if begin + metric.span_us + WITHIN >= watermark:
                continue
            own = [
                one
                for effective, one in rows[phase, unit]
                if (one.id == first if metric.per is None else effective <= begin + metric.span_us)
            ]
            value, arrived = value_by_hand(story, metric, own)
            closed[phase, metric.name, unit] = (begin, arm, value, arrived)
    return closed


def value_by_hand(story: Story, metric: RolloutMetric, own: list[Prediction]) -> tuple[float, bool]:
    """The value of a unit, from its predictions."""
    name = "clicked" if metric.of == "loss" else metric.of
    totals = [total_by_hand(story, one, name) for one in own]
    known = [total for total in totals if total is not None]
    if metric.of == "loss":
        losses = []
        for one, total in zip(own, totals, strict=True):
            if total is not None or story.silent_zero:
                outcome = 1.0 if total is not None and total > 0 else 0.0
                losses.append((one.score - outcome) ** 2)
        value = sum(losses) / len(losses) if losses else math.nan
    elif not known:
        value = 0.0 if story.silent_zero else math.nan
    elif metric.value == "any":
        value = float(any(total > 0 for total in known))
    elif metric.value == "sum":
        value = sum(known)
    else:
        value = sum(known) / (len(own) if story.silent_zero else len(known))
    low, high = metric.range
    return (value if math.isnan(value) else min(max(value, low), high)), bool(known)


def total_by_hand(story: Story, prediction: Prediction, name: str) -> float | None:
    """The sum of the outcomes of a prediction that came in time, the last of each id."""
    last: dict[str, float | None] = {}
    for one in story.outcomes:
        in_time = one.arrived <= prediction.time + WITHIN
        if one.id == prediction.id and one.name == name and in_time:
            last[one.outcome_id] = one.value
    given = [value for value in last.values() if value is not None]
    return sum(given) if given else None


@settings(max_examples=150)
@given(stories())
def test_units_and_values_are_those_of_a_plain_loop(story: Story) -> None:
    _, closed, watermark = read_in_pieces(story)
    expected = join_by_hand(story, watermark)
    assert closed.keys() == expected.keys()
    for place, (begin, arm, value, arrived) in expected.items():
        found = closed[place]
        assert (found[0], found[1], found[3]) == (begin, arm, arrived), place
        assert found[2] == pytest.approx(value, nan_ok=True), place


@settings(max_examples=60)
@given(stories())
def test_late_outcomes_and_orphans_are_counted(story: Story) -> None:
    reader, _, watermark = read_in_pieces(story)
    judged = {one.id: one for one in story.predictions if one.phase is not None}
    logged = {one.id for one in story.predictions}
    late = orphans = 0
    for one in story.outcomes:
        if one.name == "other":
            continue
        time = int(one.id[:14], 16)
        if one.id in judged:
            late += one.arrived > time + WITHIN
        elif one.id not in logged:
            is_late = one.arrived > time + WITHIN
            late += is_late
            orphans += not is_late and time < watermark - PATIENCE_US
    barred = story.new_only
    assert sum(reader.counts.orphans.values()) >= orphans
    if not barred and len(judged) == len(logged):
        assert reader.counts.late == late
        assert sum(reader.counts.orphans.values()) == orphans


def test_an_outcome_that_comes_before_its_prediction_is_logged_waits() -> None:
    prediction = Prediction(BEGIN + S, BEGIN, 1, "a", 1, 0.5)
    outcome = Outcome(BEGIN + 1, prediction.id, "clicked", "", 1.0)
    later = Prediction(BEGIN + 60 * S, BEGIN + 60 * S, 1, "b", 1, 0.5)
    story = Story([prediction, later], [outcome], [BEGIN + S // 2, BEGIN + 2 * S], False, True)
    reader, closed, _ = read_in_pieces(story)
    assert closed[1, "any", "a"][2] == 1.0
    assert reader.counts.orphans == {}


def test_outcomes_may_name_the_row_alone() -> None:
    reader = Reader(Join(METRICS[:1], WITHIN, True, False, "binary", "clicked"))
    reader.begin_phase(JoinedPhase(1, ARMS, "s", False, BEGIN))
    rows = [Prediction(BEGIN + at * S, BEGIN + at * S, 1, "u", 1, 0.5) for at in (0, 1, 2, 60)]
    table = table_of(rows, 0).with_columns(pl.Series("row_id", ["7", "8", "7", "9"]))
    reader.read_predictions(table)
    outcomes = outcome_table([Outcome(BEGIN + 3 * S, "7", "clicked", "", 1.0)], 0)
    by_row = outcomes.with_columns(pl.col("payload").str.replace('"prediction"', '"row"'))
    reader.read_outcomes(by_row)
    (units,) = reader.close(BEGIN + 50 * S)
    assert dict(zip(units.exposed_us.tolist(), units.value.tolist(), strict=True)) == {
        BEGIN: 0.0,
        BEGIN + S: 0.0,
        BEGIN + 2 * S: 1.0,  # the last prediction of row 7 before the outcome came
    }
