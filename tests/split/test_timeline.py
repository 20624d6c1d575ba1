"""How parts lie in time, against a plain count."""

from datetime import datetime, timedelta
from itertools import pairwise

import numpy as np
import polars as pl
import pytest

from headrace.spec import Data, SplitSpec
from headrace.split import Strata, split_rows, timeline

START = datetime(2024, 1, 1)


@pytest.mark.parametrize("numbers", [False, True])
def test_every_row_is_in_one_span_and_part(numbers: bool) -> None:
    hours = np.random.default_rng(1).integers(0, 2000, 500)
    at = (
        pl.Series("at", hours)
        if numbers
        else pl.Series("at", [START + timedelta(hours=int(hour)) for hour in hours])
    )
    frame = pl.DataFrame({"at": at, "x": np.arange(500)})
    split = SplitSpec(by="time", gap="0s" if numbers else "40h")
    parts = split_rows(frame, split, Data(source="", time="at"), Strata(), 0, 1)
    spans = timeline(parts, frame["at"])
    counted = sum(span[name] for span in spans for name in span if name not in ("from", "to"))
    assert 40 <= len(spans) <= 48
    assert counted == 500
    for name in ("train", "validation", "test"):
        assert sum(span[name] for span in spans) == len(getattr(parts, name))
    assert (sum(span["left out"] for span in spans) > 0) is not numbers
    assert all(one["to"] == other["from"] for one, other in pairwise(spans))
    first = spans[0]
    if not numbers:
        low, high = (datetime.fromisoformat(first[end]) for end in ("from", "to"))
        assert first["train"] == ((frame["at"] >= low) & (frame["at"] < high)).sum()


def test_one_moment_has_no_line() -> None:
    frame = pl.DataFrame({"at": [START] * 40, "x": np.arange(40)})
    parts = split_rows(frame, SplitSpec(by="random"), Data(source=""), Strata(), 0, 1)
    assert timeline(parts, frame["at"]) == []


def test_whole_years_are_spans_of_a_year() -> None:
    years = np.repeat(np.arange(2010, 2020), 30)
    frame = pl.DataFrame({"at": years, "x": np.arange(300)})
    parts = split_rows(frame, SplitSpec(by="time"), Data(source="", time="at"), Strata(), 0, 1)
    spans = timeline(parts, frame["at"])
    assert [(one["from"], one["to"]) for one in spans] == [
        (str(year), str(year + 1)) for year in range(2010, 2020)
    ]
    assert all(
        sum(one[name] for name in ("train", "validation", "test", "left out")) == 30
        for one in spans
    )
