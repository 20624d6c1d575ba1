"""A category as the mean of the target among its rows, drawn towards the mean of all where rows are
few.

Each mean is `(sum + m · prior) / (rows + m)`: the best linear estimate where the true means of the
categories vary by `between` and the target by `within` a category, with `m = within / between`
(empirical Bayes; Micci-Barreca, 2001, "A preprocessing scheme for high-cardinality categorical
attributes"). In training the rows of each fold see a table that was fitted on other rows; see
`train.matrix`.
"""

import numpy as np
import polars as pl
from msgspec import Struct

from headrace.arrays import Floats
from headrace.features.graph.graph import Graph
from headrace.features.states.levels import Levels

_LEAST_M, _MOST_M = 1.0, 1000.0


class Means(Struct, frozen=True):
    """The levels, and by value (`None`: missing) the sums and sums of squares of each output of the target."""

    levels: Levels
    outputs: int
    sums: dict[str, list[float]]
    squares: dict[str, list[float]]
    missing_sums: list[float]


def fit(column: pl.Series, y: Floats) -> Means:
    """Sums `y (N, outputs)` by value; null and empty text are missing."""
    from headrace.features.states import levels

    outputs = y.shape[1]
    names = [f"y{number}" for number in range(outputs)]
    frame = pl.DataFrame({"value": column.fill_null("")}).hstack(
        [pl.Series(n, y[:, i]) for i, n in enumerate(names)]
    )
    sums = frame.group_by("value").agg(
        pl.col(names).sum().name.suffix("_sum"), (pl.col(names) ** 2).sum().name.suffix("_square")
    )
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
    """The sums of two partitions together."""
    from headrace.features.states import levels

    def add(x: dict[str, list[float]], y: dict[str, list[float]]) -> dict[str, list[float]]:
        zero = [0.0] * a.outputs
        return {
            key: [p + q for p, q in zip(x.get(key, zero), y.get(key, zero), strict=True)]
            for key in sorted({*x, *y})
        }

    missing = [p + q for p, q in zip(a.missing_sums, b.missing_sums, strict=True)]
    return Means(
        levels.merge(a.levels, b.levels),
        a.outputs,
        add(a.sums, b.sums),
        add(a.squares, b.squares),
        missing,
    )


def known(state: Means) -> list[str]:
    """Every value that is frequent enough."""
    return state.levels.known()


def names(column: str, state: Means) -> list[str]:
    """`COLUMN_target`, or for several classes `COLUMN_target0` and so on."""
    return (
        [f"{column}_target"]
        if state.outputs == 1
        else [f"{column}_target{n}" for n in range(state.outputs)]
    )


def table(state: Means) -> Floats:
    """The means `(codes, outputs)` for each code from -1 (missing) on."""
    words = known(state)
    counts = np.array([state.levels.counts[word] for word in words], np.float64)
    sums = np.array([state.sums[word] for word in words], np.float64).reshape(
        len(words), state.outputs
    )
    squares = np.array([state.squares[word] for word in words], np.float64).reshape(
        len(words), state.outputs
    )
    every = np.array(list(state.sums.values()), np.float64).reshape(-1, state.outputs).sum(axis=0)
    total = every + np.array(state.missing_sums)
    prior = total / max(state.levels.rows, 1)
    m = _strength(counts, sums, squares)
    rare_rows, rare_sums = state.levels.rare_rows(), every - sums.sum(axis=0)
    n = np.concatenate([[state.levels.missing, rare_rows], counts])[:, None]
    s = np.vstack([np.array(state.missing_sums), rare_sums, sums])
    found: Floats = (s + m * prior) / (n + m)
    return found


def _strength(counts: Floats, sums: Floats, squares: Floats) -> Floats:
    """How many rows the prior is worth, for each output: the method of moments for a one-way random effect."""
    groups, rows = len(counts), counts.sum()
    if groups < 2 or rows <= groups:
        return np.full(sums.shape[1], 10.0)
    means = sums / counts[:, None]
    within = np.maximum((squares - counts[:, None] * means**2).sum(axis=0), 0) / (rows - groups)
    spread = (counts[:, None] * (means - sums.sum(axis=0) / rows) ** 2).sum(axis=0)
    between = (spread - (groups - 1) * within) / (rows - (counts**2).sum() / rows)
    with np.errstate(divide="ignore", invalid="ignore"):
        m = np.where(between > 0, within / between, _MOST_M)
    return np.clip(m, _LEAST_M, _MOST_M)


def nodes(graph: Graph, source: str, columns: list[int], states: list[Means], width: int) -> str:
    """One table for all columns and outputs; a column's codes are shifted to its own stretch of it."""
    outputs = states[0].outputs
    tables = [table(state) for state in states]
    starts = np.cumsum([1, *map(len, tables[:-1])])
    shifted = graph.node(
        "Add", graph.columns(source, columns, width), graph.constant([starts], np.float32)
    )
    index = graph.node("Cast", shifted, to=7)
    means = np.concatenate(tables).astype(np.float32)
    if outputs == 1:
        return graph.node("Gather", graph.constant(means[:, 0]), index)
    rows = graph.node("Gather", graph.constant(means), index)
    return graph.node("Reshape", rows, graph.constant([0, len(columns) * outputs], np.int64))
