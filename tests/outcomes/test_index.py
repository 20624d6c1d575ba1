"""The index finds what a plain list of predictions has, however it was cut and wherever it is."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.outcomes import index as module
from headrace.outcomes.index import PredictionIndex, Predictions

TIMES = st.integers(1, 40)
ROW = st.tuples(
    TIMES,
    st.integers(0, 3),
    st.integers(0, 5),
    st.sampled_from([None, "cat", "dog", "eel"]),
)
"""The time and the process in an id, the key of a row (0: none), and a label."""


def make(rows: list[tuple[int, int, int, str | None]], place: int) -> Predictions:
    """Make predictions whose places and scores count up."""
    count = len(rows)
    places = np.arange(place, place + count)
    return Predictions(
        time=np.array([one[0] for one in rows], np.int64),
        process=np.array([one[1] for one in rows], np.int64),
        exposed_us=np.array([one[0] + 1 for one in rows], np.int64),
        phase=np.full(count, 2),
        place=places,
        score=places / 7,
        label=pl.Series([one[3] for one in rows], dtype=pl.String),
        row_key=np.array([one[2] for one in rows], np.uint64),
    )


@pytest.mark.parametrize("full", [4, 1 << 18])
@given(
    parts=st.lists(st.lists(ROW, min_size=1, max_size=12), max_size=6),
    asked=st.lists(st.tuples(TIMES, st.integers(0, 4), st.integers(1, 6), TIMES), min_size=1),
)
@settings(max_examples=150)
def test_it_finds_what_a_list_has(
    full: int,
    parts: list[list[tuple[int, int, int, str | None]]],
    asked: list[tuple[int, int, int, int]],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.getbasetemp()
    seen: set[tuple[int, int]] = set()
    plain: list[tuple[int, int, int, str | None]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_FULL", full)
        index = PredictionIndex(folder)
        for part in parts:
            # An id is given once.
            own = list({one[:2]: one for one in part if one[:2] not in seen}.values())
            seen.update(one[:2] for one in own)
            index.add(make(own, len(plain)))
            plain += own
    assert len(index) == len(plain)

    time, process, key, arrived = (np.array(column) for column in zip(*asked, strict=True))
    found = index.find(time, process)
    rows = index.find_rows(key.astype(np.uint64), arrived)
    for at, (when, where, of_row, until) in enumerate(asked):
        by_id = [place for place, one in enumerate(plain) if one[:2] == (when, where)]
        check(found, at, plain, by_id[0] if by_id else None)
        before = [
            (one[:2], place)
            for place, one in enumerate(plain)
            if one[2] == of_row and one[0] <= until
        ]
        check(rows, at, plain, max(before)[1] if before else None)


def check(
    found: module.Found,
    at: int,
    plain: list[tuple[int, int, int, str | None]],
    place: int | None,
) -> None:
    """Compare what was found with a prediction of the list."""
    if place is None:
        assert found.place[at] == -1
        return
    time, process, _, label = plain[place]
    assert (found.place[at], found.time[at], found.process[at]) == (place, time, process)
    assert (found.exposed_us[at], found.phase[at]) == (time + 1, 2)
    assert found.score[at] == place / 7
    assert found.label[at] == label


def test_full_chunks_leave_the_memory_and_the_folder(tmp_path: Path) -> None:
    index = PredictionIndex(tmp_path)
    for start in range(0, 600_000, 50_000):
        rows = np.arange(start, start + 50_000)
        index.add(
            Predictions(
                time=rows,
                process=np.zeros(50_000, np.int64),
                exposed_us=rows,
                phase=np.zeros(50_000, np.int64),
                place=rows,
                score=rows.astype(np.float64),
                label=pl.Series([None], dtype=pl.String).new_from_index(0, 50_000),
                row_key=np.zeros(50_000, np.uint64),
            )
        )
    in_memory = [one for one in index._chunks if not isinstance(one.time, np.memmap)]
    assert sum(len(one.time) for one in in_memory) < module._FULL
    assert len(index._chunks) < 8
    assert not list(tmp_path.iterdir())  # the files have no names: they end with the process

    index.drop_before(500_000)
    assert 100_000 <= len(index) < 100_000 + 2 * module._FULL
    found = index.find(np.array([599_999, 3]), np.array([0, 0]))
    assert found.place.tolist() == [599_999, -1]


def test_where_the_disk_refuses_chunks_stay_in_memory(tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_FULL", 2)
        index = PredictionIndex(tmp_path / "nowhere")
        index.add(make([(1, 0, 0, None), (2, 0, 0, "cat")], 0))
    assert index.find(np.array([2]), np.array([0])).label == ["cat"]
