"""Folds for predictions of rows that were not fitted on, in the manner of the split they stand in for."""

import numpy as np
from msgspec import Struct

from headrace.arrays import Integers
from headrace.split.divide import Split, deal_rows
from headrace.split.keys import purge, units


class Fold(Struct, frozen=True):
    """Rows to fit on and rows to predict; no row, duplicate or id is in both."""

    fit: Integers
    predict: Integers


def folds(parts: Split, strata: Integers | None, count: int, seed: int) -> list[Fold]:
    """Folds over train and validation rows; see `inner_folds`."""
    return inner_folds(
        parts, np.sort(np.concatenate([parts.train, parts.validation])), strata, count, seed
    )


def inner_folds(
    parts: Split, rows: Integers, strata: Integers | None, count: int, seed: int
) -> list[Fold]:
    """Folds over some rows (ascending).

    Under a time split each fold predicts a block from the rows before it (and its gap), so the
    first block is never predicted; else every row is predicted once. What is tied to a predicted
    row is not fitted on.
    """
    if parts.order is not None:
        times = parts.order[rows]
        borders = np.sort(times)[
            [len(rows) * block // (count + 1) for block in range(1, count + 1)]
        ]
        block = np.searchsorted(borders, times, side="right")
        cut = [
            (rows[times < start - parts.gap], rows[block == at])
            for at, start in enumerate(borders, 1)
        ]
        return [
            Fold(purge(fit, held, parts.keys), held) for fit, held in cut if len(fit) and len(held)
        ]
    classes = (
        strata[rows]
        if strata is not None and parts.group is None
        else np.zeros(len(rows), np.int64)
    )
    tied = (
        parts.group[rows] if parts.group is not None else units([key[rows] for key in parts.keys])
    )
    dealt = deal_rows(tied, classes, [1 / count] * (count - 1), np.random.default_rng(seed))
    return [
        Fold(purge(rows[dealt != number], rows[dealt == number], parts.keys), rows[dealt == number])
        for number in range(count)
        if (dealt == number).any()
    ]
