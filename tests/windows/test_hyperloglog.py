"""Sketches count exactly up to 511 values, then within the error that is published for them."""

import math
from functools import reduce
from hashlib import blake2b
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.arrays import Hashes
from headrace.windows.hyperloglog import (
    EXACT,
    REGISTERS,
    Sketch,
    estimate,
    from_hashes,
    hash_column,
    hash_value,
    union,
)

ERROR = 1.04 / math.sqrt(4096)
"""The standard error that Flajolet et al. (2007) give for 4,096 registers."""


def drawn(count: int, seed: int) -> Hashes:
    """So many different hashes, sorted."""
    found = np.random.default_rng(seed).integers(0, 2**64, count, np.uint64)
    assert len(np.unique(found)) == count
    return np.sort(found)


def registers_by_hand(hashes: list[int]) -> list[int]:
    """For each value of the first 12 bits the place of the first one among the other 52."""
    found = [0] * 4096
    for one in hashes:
        bits = f"{one:064b}"
        run = (bits[12:] + "1").index("1") + 1
        found[int(bits[:12], 2)] = max(found[int(bits[:12], 2)], run)
    return found


def same(one: Sketch, other: Sketch) -> bool:
    return one.dtype == other.dtype and one.tobytes() == other.tobytes()


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=30))
def test_registers_hold_the_longest_runs_of_zeros(hashes: list[int]) -> None:
    zero = np.zeros(REGISTERS, np.uint8)
    found = union(zero, np.unique(np.array(hashes, np.uint64)))
    assert found.tolist() == registers_by_hand(hashes)


@pytest.mark.parametrize("tail", [0, 1, 2**51, 2**52 - 1])
def test_registers_at_the_ends_of_their_range(tail: int) -> None:
    one = (4095 << 52) | tail
    found = union(np.zeros(REGISTERS, np.uint8), np.array([one], np.uint64))
    assert found.tolist() == registers_by_hand([one])


@pytest.mark.parametrize("count", [0, 1, 2, EXACT])
def test_few_values_are_counted_exactly(count: int) -> None:
    sketch = from_hashes(drawn(count, 1))
    assert sketch.dtype == np.uint64
    assert estimate([sketch, sketch]) == count


def test_one_value_more_takes_the_registers_of_as_many_bytes() -> None:
    assert EXACT + 1 == 4096 // 8
    sketch = from_hashes(drawn(EXACT + 1, 1))
    assert sketch.dtype == np.uint8
    assert len(sketch) == 4096


@pytest.mark.parametrize("count", [512, 2_000, 10_000, 60_000])
def test_many_values_are_estimated_within_the_published_error(count: int) -> None:
    """The root mean square error of 25 estimates is the one stated, and none lies far off."""
    errors = np.array([estimate([from_hashes(drawn(count, seed))]) for seed in range(25)])
    errors = errors / count - 1
    assert np.abs(errors).max() < 4 * ERROR
    assert np.sqrt((errors**2).mean()) < 1.4 * ERROR
    assert abs(errors.mean()) < 3 * ERROR / math.sqrt(25)


def by_series(registers: list[int]) -> float:
    """Ertl's improved estimator as he states it: equations 17, 19 and 20, each a plain sum."""
    m, q = 4096, 52
    counts = [registers.count(run) for run in range(q + 2)]
    none, short = counts[0] / m, 1 - counts[q + 1] / m
    sigma = none + sum(none ** (2.0**k) * 2.0 ** (k - 1) for k in range(1, 40))
    tau = 1 - short - sum((1 - short ** (2.0**-k)) ** 2 * 2.0**-k for k in range(1, 60))
    total = m * sigma + sum(counts[run] * 2.0**-run for run in range(1, q + 1))
    total += m * tau / 3 * 2.0**-q
    return float(m**2 / (2 * math.log(2) * total))


@pytest.mark.parametrize(("least", "most"), [(0, 1), (0, 3), (2, 9), (0, 53), (52, 53), (51, 53)])
def test_an_estimate_is_that_of_the_published_formula(least: int, most: int) -> None:
    registers = np.random.default_rng(1).integers(least, most, REGISTERS, np.uint8, endpoint=True)
    assert estimate([registers]) == pytest.approx(by_series(registers.tolist()), rel=1e-9, abs=0.5)


def test_registers_that_are_full_are_estimated_as_very_many() -> None:
    full = np.full(REGISTERS, 52, np.uint8)
    assert 2**60 < estimate([full]) < 2**66


@given(
    sizes=st.lists(st.sampled_from([0, 1, 100, 300, 511, 700]), min_size=1, max_size=5),
    overlap=st.booleans(),
    order=st.randoms(use_true_random=False),
)
def test_sketches_merge_in_any_order_to_that_of_all_values(
    sizes: list[int], overlap: bool, order: Any
) -> None:
    parts = [drawn(size, 1 if overlap else seed) for seed, size in enumerate(sizes)]
    whole = from_hashes(np.unique(np.concatenate(parts)))
    sketches = [from_hashes(part) for part in parts]
    order.shuffle(sketches)
    merged = reduce(union, sketches)
    assert same(merged, whole)
    assert same(union(merged, merged), merged)
    exact = len(np.unique(np.concatenate(parts)))
    if all(one.dtype == np.uint64 for one in sketches):
        assert estimate(sketches) == exact
    else:
        assert estimate(sketches) == estimate([whole])


@given(st.lists(st.one_of(st.none(), st.text(max_size=5)), max_size=12))
def test_a_column_is_hashed_value_by_value(texts: list[str | None]) -> None:
    expected = [0 if text is None else hash_value(text) for text in texts]
    assert hash_column(pl.Series(texts, dtype=pl.String)).tolist() == expected


@pytest.mark.parametrize("value", ["word", "", 7, -1.5, True])
def test_a_hash_is_the_same_on_every_machine(value: str | float) -> None:
    digest = blake2b(msgspec.msgpack.encode(value), digest_size=8).digest()
    assert hash_value(value) == sum(byte << (8 * at) for at, byte in enumerate(digest))
