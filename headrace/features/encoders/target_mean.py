"""A category as the mean of the target among its rows.

Where a category has few rows, its mean is drawn towards the mean of all rows, the prior:

    mean = (sum + m * prior) / (rows + m)            m = within / between

    with m = 10 and the prior 0.2:
        rows 1,000, sum 500    (500 + 2) / (1000 + 10) = 0.497    its own mean, almost
        rows 2,     sum 2      (2 + 2) / (2 + 10)      = 0.333    between its own and the prior

This is the best linear estimate where the true means of the categories vary by `between`, and the
target by `within` inside a category (empirical Bayes; Micci-Barreca, 2001, "A preprocessing scheme
for high-cardinality categorical attributes").

A row must not see its own target. So in training the rows of each fold get a table that was fitted
on other rows; see `train.rows`.
"""

import numpy as np
import polars as pl
from msgspec import Struct

from headrace.arrays import Floats
from headrace.features.graph.graph import Graph
from headrace.features.states.levels import Levels

_LEAST_M = 1.0
_MOST_M = 1000.0
_DEFAULT_M = 10.0
"""The strength of the prior where there are too few rows to estimate it."""


class Means(Struct, frozen=True):
    """The levels of a column, and the sums of the target of each value.

    `sums` and `squares` (of the target squared) have one number for each output of the target, as
    `missing_sums` has for the rows without a value.
    """

    levels: Levels
    outputs: int
    sums: dict[str, list[float]]
    squares: dict[str, list[float]]
    missing_sums: list[float]


def fit(column: pl.Series, y: Floats) -> Means:
    """Sum `y (N, outputs)` by value; null and empty text are missing.

    >>> state = fit(pl.Series(["a", "a", "b", None]), np.array([[1.0], [2.0], [5.0], [7.0]]))
    >>> state.sums, state.squares, state.missing_sums
    ({'a': [3.0], 'b': [5.0]}, {'a': [5.0], 'b': [25.0]}, [7.0])
    """
    from headrace.features.states import levels

    outputs = y.shape[1]
    names = [f"y{output}" for output in range(outputs)]
    targets = [pl.Series(name, y[:, output]) for output, name in enumerate(names)]
    frame = pl.DataFrame({"value": column.fill_null("")}).hstack(targets)
    sums = frame.group_by("value").agg(
        pl.col(names).sum().name.suffix("_sum"), (pl.col(names) ** 2).sum().name.suffix("_square")
    )

    # A row has the sums of all outputs first, then their squares.
    by_value = {row[0]: row[1:] for row in sums.sort("value").iter_rows()}
    missing = by_value.pop("", (0.0,) * 2 * outputs)
    return Means(
        levels.fit(column),
        outputs,
        {value: list(row[:outputs]) for value, row in by_value.items()},
        {value: list(row[outputs:]) for value, row in by_value.items()},
        list(missing[:outputs]),
    )


def merge(a: Means, b: Means) -> Means:
    """Merge the states of two partitions."""
    from headrace.features.states import levels

    return Means(
        levels.merge(a.levels, b.levels),
        a.outputs,
        _add_by_value(a.sums, b.sums, a.outputs),
        _add_by_value(a.squares, b.squares, a.outputs),
        _add(a.missing_sums, b.missing_sums),
    )


def _add(x: list[float], y: list[float]) -> list[float]:
    return [p + q for p, q in zip(x, y, strict=True)]


def _add_by_value(
    x: dict[str, list[float]], y: dict[str, list[float]], outputs: int
) -> dict[str, list[float]]:
    """Add sums value by value; a value that one side lacks has the sums 0 there."""
    zero = [0.0] * outputs
    return {value: _add(x.get(value, zero), y.get(value, zero)) for value in sorted({*x, *y})}


def known(state: Means) -> list[str]:
    """List the values that are frequent enough for a code."""
    return state.levels.known()


def names(column: str, state: Means) -> list[str]:
    """`COLUMN_target`, or for several classes `COLUMN_target0` and so on."""
    if state.outputs == 1:
        return [f"{column}_target"]
    return [f"{column}_target{output}" for output in range(state.outputs)]


def table(state: Means) -> Floats:
    """Compute the means `(codes, outputs)` for each code from -1 (missing) on."""
    words = known(state)
    shape = (len(words), state.outputs)
    counts = np.array([state.levels.counts[word] for word in words], np.float64)
    sums = np.array([state.sums[word] for word in words], np.float64).reshape(shape)
    squares = np.array([state.squares[word] for word in words], np.float64).reshape(shape)

    every = np.array(list(state.sums.values()), np.float64).reshape(-1, state.outputs).sum(axis=0)
    total = every + np.array(state.missing_sums)
    prior = total / max(state.levels.rows, 1)
    m = _estimate_m(counts, sums, squares)

    # The rare values share a mean, and so do the missing ones.
    rare_sums = every - sums.sum(axis=0)
    rows = np.concatenate([[state.levels.missing, state.levels.rare_rows()], counts])[:, None]
    targets = np.vstack([np.array(state.missing_sums), rare_sums, sums])
    means: Floats = (targets + m * prior) / (rows + m)
    return means


def _estimate_m(counts: Floats, sums: Floats, squares: Floats) -> Floats:
    """Estimate how many rows the prior is worth, for each output `(outputs,)`.

    Parameters: `counts (G,)` rows of each value, `sums` and `squares (G, outputs)` of their
    targets. The method of moments for a one-way random effect gives `within` and `between`.
    """
    groups = len(counts)
    rows = counts.sum()
    if groups < 2 or rows <= groups:
        return np.full(sums.shape[1], _DEFAULT_M)

    means = sums / counts[:, None]
    within = np.maximum((squares - counts[:, None] * means**2).sum(axis=0), 0) / (rows - groups)
    spread = (counts[:, None] * (means - sums.sum(axis=0) / rows) ** 2).sum(axis=0)
    between = (spread - (groups - 1) * within) / (rows - (counts**2).sum() / rows)
    # Where the means vary no more than chance lets them, the prior is as strong as it gets.
    with np.errstate(divide="ignore", invalid="ignore"):
        m = np.where(between > 0, within / between, _MOST_M)
    return np.clip(m, _LEAST_M, _MOST_M)


def nodes(graph: Graph, source: str, columns: list[int], states: list[Means], width: int) -> str:
    """Look up the means of `columns` from the codes `[N, width]`, for all outputs.

    The means of all columns are one table, in which each column has its own stretch; see
    `frequency`.
    """
    outputs = states[0].outputs
    tables = [table(state) for state in states]
    # A table begins with code -1, so the first index is the code plus 1.
    starts = np.cumsum([1, *map(len, tables[:-1])])
    codes = graph.select_columns(source, columns, width)
    shifted = graph.node("Add", codes, graph.constant([starts], np.float32))
    index = graph.node("Cast", shifted, to=7)

    means = np.concatenate(tables).astype(np.float32)
    if outputs == 1:
        return graph.node("Gather", graph.constant(means[:, 0]), index)
    rows = graph.node("Gather", graph.constant(means), index)
    return graph.node("Reshape", rows, graph.constant([0, len(columns) * outputs], np.int64))
