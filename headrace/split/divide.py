"""Dividing the rows into train, validation and test.

Under a time split the parts follow one another, each behind a gap in which no outcome of the part
before could be known:

    time ─────────────────────────────────────────────────────────────▶
         train               gap   validation          gap   test
         ───────────────────|·····|───────────────────|·····|─────────
                                  border                    border

Without a time, units (rows that are tied, or rows of one group) are assigned to parts at random;
see `assign_rows`. A holdout is the test part, and only train and validation are divided.
"""

from typing import NamedTuple

import numpy as np
import polars as pl
from msgspec import Struct

from headrace.arrays import Integers
from headrace.errors import Finding, InputError
from headrace.spec import Data, SplitSpec, parse_duration_us
from headrace.split.keys import join_tied_rows, order_by_query, purge, row_keys

MIN_ROWS = 10
_SHARES_BELOW = 0.9
"""Validation and test together are a smaller share, so that something is left to learn from."""
_WARNING_SHARE = 0.1
"""A warning, no mere information, where more than this share of the rows was purged."""


class Split(Struct, frozen=True):
    """The row numbers of each part, ascending.

    `keys` tie rows that must not cross (see `keys`). `group` numbers the owner of each row under a
    group split, or its query in a ranking; `order` holds the times as numbers under a time split;
    all are `(N,)`. `gap` is what lies before a border, in the unit of `order`. `borders` are the
    first times of validation and test. `purged` counts the rows that were left out because they are
    tied to a later part.
    """

    train: Integers
    validation: Integers
    test: Integers
    keys: list[Integers]
    group: Integers | None
    order: Integers | None
    purged: int
    borders: list[str]
    findings: list[Finding]
    gap: int = 0


class Strata(NamedTuple):
    """The class of each row `(N,)` of a task with classes; the query of each row of a ranking."""

    classes: Integers | None = None
    queries: Integers | None = None


def split_rows(
    frame: pl.DataFrame,
    split: SplitSpec,
    data: Data,
    strata: Strata,
    holdout_rows: int,
    seed: int,
) -> Split:
    """Divide rows as `split` says (its `by` resolved).

    Parameters: `frame`, all rows, those of `data.holdout` last; `strata`, classes whose shares the
    parts keep, and queries whose rows stay together however rows are divided; `holdout_rows`, how
    many rows at the end are the holdout (0: the test part is cut from the source).

    Duplicates and shared ids never cross. Random and stratified splits keep them together. Under a
    time or group split, or with a holdout, rows of train (then of validation) that are tied to a
    later part are purged. Raises `InputError` for a part that would be empty and for times that
    cannot be ordered.
    """
    total = frame.height
    source = np.arange(total - holdout_rows)
    holdout = np.arange(total - holdout_rows, total)
    test_share = 0.0 if holdout_rows else split.test
    _check_shares(split, len(source), test_share, holdout_rows)

    keys = row_keys(frame, data.id)
    classes, queries = strata
    group = queries
    if queries is not None:
        keys.append(queries)
    elif split.by == "group":
        group = _read_group(frame, data)
    order = _read_order(frame, data) if split.by == "time" else None
    if order is not None and queries is not None:
        # A query of both tables is purged from the source, and stands in the holdout at its own.
        is_holdout = np.arange(total) >= total - holdout_rows
        order = order_by_query(order, 2 * queries + is_holdout)
    gap = _read_gap(split, frame, data) if order is not None else 0
    ties = ""
    if order is not None:
        source = _drop_unknown_outcomes(source, order, holdout, gap, split)
        cut = _cut_by_time(order[source], split, test_share, gap)
        train, validation, test = (source[rows] for rows in cut)
    else:
        # The rows of a group stay together. Joining groups through shared ids as well could tie all
        # of them into one, so those ids are purged.
        units = join_tied_rows([key[source] for key in keys]) if group is None else group[source]
        own = np.zeros(len(source), np.int64)
        if split.by == "stratified" and classes is not None:
            own = classes[source]
        shares = [test_share, split.validation]
        part_of = assign_rows(units, own, shares, np.random.default_rng(seed))
        test, validation, train = (source[part_of == part] for part in range(3))
        ties = _describe_ties(units, group is not None)
    if holdout_rows:
        test = holdout
    borders = [] if order is None else _name_borders(frame, data, order, [validation, test])

    # A row gives way to those of a later part, so that the test stays whole.
    before = len(train) + len(validation)
    validation = purge(validation, test, keys)
    train = purge(purge(train, test, keys), validation, keys)
    purged = before - len(train) - len(validation)

    for name, rows in (("train", train), ("validation", validation), ("test", test)):
        if len(rows) == 0 and (name != "validation" or split.validation > 0):
            raise InputError(
                f"split.{name}",
                f"no row of {total} (by {split.by}, {purged} duplicates purged{ties})",
                "at least one row",
                "give more rows, another split.by or other fractions",
            )
    findings = _report_purged(purged, before) + _check_classes(classes, train, test)
    return Split(train, validation, test, keys, group, order, purged, borders, findings, gap)


def _check_shares(split: SplitSpec, rows: int, test_share: float, holdout_rows: int) -> None:
    """Check that there are enough rows, and that each part gets a share of them."""
    if rows < MIN_ROWS:
        found = f"{rows} rows with a target"
        raise InputError("data.source", found, f"at least {MIN_ROWS} rows")
    if not holdout_rows and test_share == 0:
        do = "every model is judged on test rows"
        raise InputError("split.test", "0 without data.holdout", "a fraction above 0", do)
    if test_share + split.validation >= _SHARES_BELOW:
        found = f"validation + test = {test_share + split.validation:.2f}"
        raise InputError("split", found, f"less than {_SHARES_BELOW}")


def _read_group(frame: pl.DataFrame, data: Data) -> Integers:
    """Return the number of the owner of each row `(N,)`; a row without an owner has 0."""
    if data.group is None:
        raise InputError(
            "split.by", "group, but data.group is not set", "a column of owners", "set data.group"
        )
    return frame[data.group].rank("dense").fill_null(0).cast(pl.Int64).to_numpy()


def _read_order(frame: pl.DataFrame, data: Data) -> Integers:
    """Read the times of rows as numbers `(N,)`; without times, the order of rows in the file."""
    if data.time is None:
        return np.arange(frame.height)

    times = frame.get_column(data.time_column or "")
    if not times.dtype.is_temporal() and not times.dtype.is_integer():
        raise InputError(
            f"data.time {data.time_column!r}",
            f"values such as {times.drop_nulls().head(1).to_list()}",
            "ISO 8601 times, all with a zone or all without, or whole numbers",
        )
    if times.null_count():
        row = int(times.is_null().arg_max() or 0)
        raise InputError(
            f"data.time {data.time_column!r}, row {row + 1}", "no time", "a time in every row"
        )
    return times.to_physical().cast(pl.Int64).to_numpy()


def _read_gap(split: SplitSpec, frame: pl.DataFrame, data: Data) -> int:
    """Read the gap in microseconds; only times can have one."""
    gap = parse_duration_us(split.gap or "0s")
    if gap and data.time is None:
        raise InputError("split.gap", f"{split.gap}, but the rows have no time", "0s, or data.time")
    if gap and not frame[data.time_column or ""].dtype.is_temporal():
        raise InputError(
            "split.gap",
            f"{split.gap} with whole numbers in {data.time_column!r}",
            "0s, or a column of times",
        )
    return gap


def _drop_unknown_outcomes(
    source: Integers, order: Integers, holdout: Integers, gap: int, split: SplitSpec
) -> Integers:
    """Drop the rows whose outcome was not known yet when the holdout began."""
    if not (len(holdout) and gap):
        return source
    known: Integers = source[order[source] < order[holdout].min() - gap]
    if not len(known):
        found = f"no row is {split.gap} older than the holdout"
        raise InputError("split.gap", found, "rows to learn from")
    return known


def _cut_by_time(
    order: Integers, split: SplitSpec, test_share: float, gap: int
) -> tuple[Integers, Integers, Integers]:
    """Cut rows with the times `order` into train, validation and test; return their positions.

    Borders lie between different times, so that rows of one moment never cross.
    """
    ranked = np.sort(order)
    rows = len(order)
    # Without a test part of its own, validation goes on to the last row.
    test_from = ranked[-1] + 1 + gap
    if test_share:
        test_from = ranked[int(rows * (1 - test_share))]
    validation_from = test_from
    if split.validation:
        validation_from = ranked[int(rows * (1 - test_share - split.validation))]

    train = np.flatnonzero(order < validation_from - gap)
    validation = np.flatnonzero((order >= validation_from) & (order < test_from - gap))
    test = np.flatnonzero(order >= test_from)
    return train, validation, test


def assign_rows(
    units: Integers, classes: Integers, shares: list[float], rng: np.random.Generator
) -> Integers:
    """Assign units to parts so that each part gets its share of the rows of every class.

    Parameters: `units (N,)` and `classes (N,)` of each row; `shares`, those of all parts but the
    last, which gets what the others leave. Returns the number of the part of each row `(N,)`. Rows
    of one unit get the same part, by the class of the unit's first row.

    The units of a class lie in random order on a line, each as long as it has rows. The part in
    which the middle of a unit lies gets the unit. With the shares 0.2 and 0.3:

        0          0.2              0.5                        1
        | part 0   |    part 1      |         part 2           |
        |- u7 ---|-- u2 ----|----- u5 -------|-- u1 ---|- u4 --|
            0         1             2             2        2

    >>> units = np.array([0, 0, 1, 2, 3, 3])
    >>> part_of = assign_rows(units, np.zeros(6, int), [0.5], np.random.default_rng(0))
    >>> bool(part_of[0] == part_of[1]), bool(part_of[4] == part_of[5]), sorted(part_of.tolist())
    (True, True, [0, 0, 0, 1, 1, 1])
    """
    _, first, unit_of, sizes = np.unique(
        units, return_index=True, return_inverse=True, return_counts=True
    )
    part = np.zeros(len(first), dtype=np.int64)
    for label in np.unique(classes[first]):
        members = rng.permutation(np.flatnonzero(classes[first] == label))
        middles = (np.cumsum(sizes[members]) - sizes[members] / 2) / sizes[members].sum()
        part[members] = np.searchsorted(np.cumsum(shares), middles, side="right")
    return part[unit_of]


def _describe_ties(units: Integers, are_owners: bool) -> str:
    """Describe for a message how many units there were to assign."""
    count = len(np.unique(units))
    if are_owners:
        return f"; the rows of each of {count} groups stay together"
    return f"; each of {count} different rows stays with its duplicates"


def _name_borders(
    frame: pl.DataFrame, data: Data, order: Integers, parts: list[Integers]
) -> list[str]:
    """Name the first time of each part that has rows; the first row, where rows have no time."""
    starts = [int(part[np.argmin(order[part])]) for part in parts if len(part)]
    if data.time is None:
        return [f"row {start + 1}" for start in starts]
    times = frame[data.time_column or ""]
    return [str(times[start]) for start in starts]


def _check_classes(strata: Integers | None, train: Integers, test: Integers) -> list[Finding]:
    """Check that train and test have two classes or more; report classes that are new in the test.

    From one class nothing can be learned, and on one class nothing can be judged.
    """
    if strata is None:
        return []
    for name, part in (("train", train), ("test", test)):
        if len(np.unique(strata[part])) < 2:
            raise InputError(
                f"split.{name}",
                f"only one class in its {len(part)} rows",
                "at least two",
                "give more rows, a larger fraction or another split.by",
            )

    unknown = np.setdiff1d(strata[test], strata[train])
    if not len(unknown):
        return []
    rows = int(np.isin(strata[test], unknown).sum())
    message = (
        f"classes in the test rows but in no training row: {len(unknown)}; "
        f"test rows that cannot be predicted correctly: {rows}"
    )
    details = {"classes": len(unknown), "rows": rows}
    return [Finding("split.unseen_class", [], "warning", message, details)]


def _report_purged(purged: int, before: int) -> list[Finding]:
    """Report how many of `before` rows were purged."""
    if not purged:
        return []
    share = purged / before
    message = (
        f"{purged} of {before} training rows repeat a row of a later part (or its id) "
        "and were left out"
    )
    return [
        Finding(
            "split.duplicates",
            [],
            "warning" if share > _WARNING_SHARE else "info",
            message,
            {"purged": purged, "share": share},
        )
    ]
