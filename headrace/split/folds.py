"""Folds, for predictions of rows that a model was not fitted on.

They divide rows in the manner of the split. Without a time, each row is predicted once:

    block       1         2         3
    fold 1   predict    fit       fit
    fold 2     fit    predict     fit
    fold 3     fit      fit     predict

Under a time split each fold predicts a block from the rows before it, so that the first block is
never predicted; a gap before the block is left out:

    block       0         1         2         3
    fold 1     fit    predict
    fold 2     fit      fit     predict
    fold 3     fit      fit       fit     predict
    time    ────────────────────────────────────────▶
"""

import numpy as np
from msgspec import Struct

from headrace.arrays import Integers
from headrace.split.divide import Split, assign_rows
from headrace.split.keys import join_tied_rows, purge


class Fold(Struct, frozen=True):
    """Rows to fit on and rows to predict; no row, duplicate or id is in both."""

    fit: Integers
    predict: Integers


def folds(parts: Split, strata: Integers | None, count: int, seed: int) -> list[Fold]:
    """Divide the train and validation rows into folds; see `inner_folds`."""
    rows = np.sort(np.concatenate([parts.train, parts.validation]))
    return inner_folds(parts, rows, strata, count, seed)


def inner_folds(
    parts: Split, rows: Integers, strata: Integers | None, count: int, seed: int
) -> list[Fold]:
    """Divide `rows` (ascending) into `count` folds, fewer where a fold would be empty.

    Parameters: `strata (N,)`, the class of each row of the whole table, none in regression. No fold
    is fitted on a row that is tied to one that it predicts.
    """
    if parts.order is not None:
        return _fold_by_time(parts, rows, parts.order[rows], count)

    if parts.group is not None:
        units = parts.group[rows]
    else:
        units = join_tied_rows([key[rows] for key in parts.keys])
    classes = np.zeros(len(rows), np.int64)
    # The rows of a group have many classes.
    if strata is not None and parts.group is None:
        classes = strata[rows]
    shares = [1 / count] * (count - 1)
    fold_of = assign_rows(units, classes, shares, np.random.default_rng(seed))

    found = []
    for number in range(count):
        predict = rows[fold_of == number]
        if len(predict):
            found.append(Fold(purge(rows[fold_of != number], predict, parts.keys), predict))
    return found


def _fold_by_time(parts: Split, rows: Integers, times: Integers, count: int) -> list[Fold]:
    """Divide rows with their times `(len(rows),)` into folds that predict a later block each."""
    starts = [len(rows) * block // (count + 1) for block in range(1, count + 1)]
    borders = np.sort(times)[starts]
    # Rows of one moment are in one block.
    block_of = np.searchsorted(borders, times, side="right")

    found = []
    for block, border in enumerate(borders, 1):
        fit = rows[times < border - parts.gap]
        predict = rows[block_of == block]
        if len(fit) and len(predict):
            found.append(Fold(purge(fit, predict, parts.keys), predict))
    return found
