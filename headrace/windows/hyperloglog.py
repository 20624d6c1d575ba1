"""The number of different values: exact while they are few, estimated by a sketch of the many.

Values are told apart by 64-bit hashes. A sketch of up to 511 values holds their hashes. Of more,
where the hashes would take more room, it holds a HyperLogLog: 4,096 registers of a byte, with a
standard error of 1.04 / sqrt(4096) = 1.6 %.

    hash      000000000101 0001101…     64 bits
              ------------ ---------
              register 5   52 bits: the first 1 is the fourth bit, so register 5 is at least 4

The first 1 is the fourth bit in one of 16 hashes. So a register of 4 has met about 16 values, and
the registers together tell how many values there are. A register of two sketches together is the
larger one of the two.
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
"""The most hashes, of eight bytes each, that take less room than the registers."""
_TAIL = 64 - _BITS
Sketch = Hashes | npt.NDArray[np.uint8]
"""Sorted hashes (uint64), or registers (uint8)."""


def hash_column(values: pl.Series) -> Hashes:
    """Hash each value to 64 bits `(N,)`; the hash of a missing value is 0."""
    distinct = values.unique().drop_nulls()
    hashes = pl.Series([hash_value(value) for value in distinct.to_list()], dtype=pl.UInt64)
    return values.replace_strict(distinct, hashes, default=0, return_dtype=pl.UInt64).to_numpy()


def hash_value(value: Any) -> int:
    """Hash a value to 64 bits."""
    digest = hashlib.blake2b(msgspec.msgpack.encode(value), digest_size=8).digest()
    return int.from_bytes(digest, "little")


def union(one: Sketch, other: Sketch) -> Sketch:
    """Return the sketch of the values of both sketches.

    >>> union(np.array([3, 7], np.uint64), np.array([7, 9], np.uint64)).tolist()
    [3, 7, 9]
    """
    if one.dtype == np.uint64 and other.dtype == np.uint64:
        return from_hashes(np.union1d(one, other))
    return np.maximum(_to_registers(one), _to_registers(other))


def from_hashes(distinct: Hashes) -> Sketch:
    """Return the sketch of different hashes, which are sorted."""
    return distinct if len(distinct) <= EXACT else _to_registers(distinct)


def estimate(sketches: list[Sketch]) -> int:
    """Estimate how many different values sketches hold together; exact if all hold hashes."""
    if all(sketch.dtype == np.uint64 for sketch in sketches):
        return len(np.unique(np.concatenate(sketches)))
    registers = np.max([_to_registers(sketch) for sketch in sketches], axis=0)
    return round(_estimate_from(registers))


def _to_registers(sketch: Sketch) -> npt.NDArray[np.uint8]:
    """Return the registers of a sketch: the largest place of a first 1, among hashes of each head.

    >>> registers = _to_registers(np.array([0x005_1A00000000000], np.uint64))
    >>> registers[5]
    np.uint8(4)
    """
    if sketch.dtype == np.uint8:
        return sketch  # type: ignore[return-value]

    heads = (sketch >> np.uint64(_TAIL)).astype(np.int64)
    tails = sketch & np.uint64((1 << _TAIL) - 1)
    # The exponent of a float is the length of a whole number in bits, and 0 for zero. A float64
    # holds 52 bits exactly.
    _, lengths = np.frexp(tails.astype(np.float64))
    registers = np.zeros(REGISTERS, np.uint8)
    np.maximum.at(registers, heads, (_TAIL + 1 - lengths).astype(np.uint8))
    return registers


def _estimate_from(registers: npt.NDArray[np.uint8]) -> float:
    """Estimate the number of values from registers, without bias from none to very many.

    It is the improved raw estimator of Ertl, "New cardinality estimation algorithms for
    HyperLogLog sketches" (2017), algorithm 6, which needs no table of corrections.
    """
    counts = np.bincount(registers, minlength=_TAIL + 2) / REGISTERS
    total = _tau(1.0 - counts[_TAIL + 1])
    for place in range(_TAIL, 0, -1):
        total = 0.5 * (total + counts[place])
    return REGISTERS / (2.0 * math.log(2.0) * (total + _sigma(counts[0])))


def _sigma(x: float) -> float:
    """Compute sigma of Ertl's algorithm 6: the part of the registers that are still 0."""
    if x == 1.0:
        return math.inf
    total = x
    weight = 1.0
    before = -1.0
    while total != before:
        before = total
        x = x * x
        total += x * weight
        weight *= 2.0
    return total


def _tau(x: float) -> float:
    """Compute tau of Ertl's algorithm 6: the part of the registers that are full."""
    if x in (0.0, 1.0):
        return 0.0
    total = 1.0 - x
    weight = 1.0
    before = -1.0
    while total != before:
        before = total
        x = math.sqrt(x)
        weight = weight / 2.0
        total -= (1.0 - x) ** 2 * weight
    return total / 3.0
