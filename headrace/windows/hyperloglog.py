"""How many different values there are: exactly while they are few, by a sketch when they are many.

Values are told apart by 64-bit hashes. Up to 511 of them a tile keeps as they are; beyond that,
where they would take more room, it keeps a HyperLogLog of 4,096 registers of a byte, whose standard
error is 1.04 / sqrt(4096) = 1.6 %.
"""

import hashlib
import math
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

from headrace.arrays import Hashes

_BITS = 12
REGISTERS = 1 << _BITS
EXACT = REGISTERS // 8 - 1
_TAIL = 64 - _BITS
Sketch = Hashes | npt.NDArray[np.uint8]
"""Sorted hashes (uint64), or registers (uint8)."""


def hash_column(values: pl.Series) -> Hashes:
    """A 64-bit hash of each value; 0 where one is missing."""
    known = values.unique().drop_nulls()
    named = pl.Series([hash_value(value) for value in known.to_list()], dtype=pl.UInt64)
    return values.replace_strict(known, named, default=0, return_dtype=pl.UInt64).to_numpy()


def hash_value(value: Any) -> int:
    """A 64-bit hash of a value."""
    return int.from_bytes(
        hashlib.blake2b(msgspec.msgpack.encode(value), digest_size=8).digest(), "little"
    )


def union(one: Sketch, other: Sketch) -> Sketch:
    """The sketch of the values of both."""
    if one.dtype == np.uint64 and other.dtype == np.uint64:
        return from_hashes(np.union1d(one, other))
    return np.maximum(_registers(one), _registers(other))


def from_hashes(distinct: Hashes) -> Sketch:
    """The sketch of different hashes."""
    return distinct if len(distinct) <= EXACT else _registers(distinct)


def estimate(sketches: list[Sketch]) -> int:
    """How many different values some sketches hold together: exact where all of them are."""
    if all(one.dtype == np.uint64 for one in sketches):
        return len(np.unique(np.concatenate(sketches)))
    return round(_estimate(np.max([_registers(one) for one in sketches], axis=0)))


def _registers(sketch: Sketch) -> npt.NDArray[np.uint8]:
    """For each value of the first bits, the longest run of zeros after them, plus one."""
    if sketch.dtype == np.uint8:
        return sketch  # type: ignore[return-value]
    tails = sketch & np.uint64((1 << _TAIL) - 1)
    lengths = np.frexp(tails.astype(np.float64))[
        1
    ]  # of 52 bits, which a float64 holds exactly; 0 of zero
    found = np.zeros(REGISTERS, np.uint8)
    np.maximum.at(
        found, (sketch >> np.uint64(_TAIL)).astype(np.int64), (_TAIL + 1 - lengths).astype(np.uint8)
    )
    return found


def _estimate(registers: npt.NDArray[np.uint8]) -> float:
    """The improved raw estimator of Ertl, "New cardinality estimation algorithms for HyperLogLog
    sketches" (2017), algorithm 6: without bias from none to very many, and no table of corrections.
    """
    counts = np.bincount(registers, minlength=_TAIL + 2) / REGISTERS
    total = _tau(1.0 - counts[_TAIL + 1])
    for run in range(_TAIL, 0, -1):
        total = 0.5 * (total + counts[run])
    return REGISTERS / (2.0 * math.log(2.0) * (total + _sigma(counts[0])))


def _sigma(x: float) -> float:
    if x == 1.0:
        return math.inf
    total, weight, before = x, 1.0, -1.0
    while total != before:
        x, before = x * x, total
        total += x * weight
        weight *= 2.0
    return total


def _tau(x: float) -> float:
    if x in (0.0, 1.0):
        return 0.0
    total, weight, before = 1.0 - x, 1.0, -1.0
    while total != before:
        x, before, weight = math.sqrt(x), total, weight / 2.0
        total -= (1.0 - x) ** 2 * weight
    return total / 3.0
