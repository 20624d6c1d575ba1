"""Cutting the rows into train, validation and test."""

import numpy as np
import polars as pl
from msgspec import Struct

from headrace.arrays import Integers
from headrace.errors import Finding, InputError
from headrace.spec import Data, SplitSpec, duration_us
from headrace.split.keys import purge, row_keys, units

MIN_ROWS = 10


class Split(Struct, frozen=True):
    """Row numbers of each part, ascending; `borders` are the first times of validation and test
    under a time split.

    `keys` tie rows that must not cross (see `row_keys`); `order` are the times as numbers and `gap`
    what lies before a border, for folds to respect.
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


def split_rows(
    frame: pl.DataFrame,
    split: SplitSpec,
    data: Data,
    strata: Integers | None,
    holdout_rows: int,
    seed: int,
) -> Split:
    """Divides rows as `split` says (its `by` resolved).

    Parameters: `frame`, all rows, those of `data.holdout` last; `strata (N,)`, the class of each
    row (none in regression); `holdout_rows`, how many rows at the end are the holdout (0: the test
    part is cut from the source). Duplicates and shared ids never cross: random and stratified
    splits keep them together; under a time or group split or with a holdout, rows of train (then of
    validation) that are tied to a later part are purged. Raises `InputError` for a part that would
    be empty and for times that cannot be ordered.
    """
    total = frame.height
    source = np.arange(total - holdout_rows)
    holdout = np.arange(total - holdout_rows, total)
    test_share = 0.0 if holdout_rows else split.test
    _check_shares(split, len(source), test_share, holdout_rows)

    keys = row_keys(frame, data.id)
    group = _group(frame, data) if split.by == "group" else None
    order = _order(frame, data, split) if split.by == "time" else None
    gap = _gap(split, frame, data) if order is not None else 0
    tied_rows = ""
    if order is not None:
        source = _before_holdout(source, order, holdout, gap, split)
        cut = _by_time(order[source], split, test_share, gap)
        train, validation, test = (source[part] for part in cut)
    else:
        # A group's rows stay together; joining groups through shared ids as well could tie all of
        # them into one.
        tied = group[source] if group is not None else units([key[source] for key in keys])
        classes = np.zeros(len(source), np.int64)
        if split.by == "stratified" and strata is not None:
            classes = strata[source]
        rng = np.random.default_rng(seed)
        part_of = deal_rows(tied, classes, [test_share, split.validation], rng)
        test, validation, train = (source[part_of == part] for part in range(3))
        units_are = "owners" if group is not None else "different rows"
        count = len(np.unique(tied))
        tied_rows = f"; {count} {units_are} stay together with all that is theirs"
    if holdout_rows:
        test = holdout
    borders = [] if order is None else _borders(frame, data, order, [validation, test])

    before = len(train) + len(validation)
    validation = purge(validation, test, keys)
    train = purge(purge(train, test, keys), validation, keys)
    purged = before - len(train) - len(validation)
    for name, rows in (("train", train), ("validation", validation), ("test", test)):
        if len(rows) == 0 and (name != "validation" or split.validation > 0):
            raise InputError(
                f"split.{name}",
                f"no row of {total} (by {split.by}, {purged} duplicates purged{tied_rows})",
                "at least one row",
                "give more rows, another split.by or other fractions",
            )
    findings = _crossing(purged, before) + _classes(strata, train, test)
    return Split(train, validation, test, keys, group, order, purged, borders, findings, gap)


def _check_shares(split: SplitSpec, rows: int, test_share: float, holdout_rows: int) -> None:
    """Raises `InputError` where too few rows, or too small a share, are left for a part."""
    if rows < MIN_ROWS:
        found = f"{rows} rows with a target"
        raise InputError("data.source", found, f"at least {MIN_ROWS} rows")
    if not holdout_rows and test_share == 0:
        do = "every model is judged on test rows"
        raise InputError("split.test", "0 without data.holdout", "a fraction above 0", do)
    if test_share + split.validation >= 0.9:
        found = f"validation + test = {test_share + split.validation:.2f}"
        raise InputError("split", found, "less than 0.9")


def _before_holdout(
    source: Integers, order: Integers, holdout: Integers, gap: int, split: SplitSpec
) -> Integers:
    """Drops the rows whose outcome was not known yet when the holdout began."""
    if not (len(holdout) and gap):
        return source
    known: Integers = source[order[source] < order[holdout].min() - gap]
    if not len(known):
        found = f"no row is {split.gap} older than the holdout"
        raise InputError("split.gap", found, "some to learn from")
    return known


def _borders(frame: pl.DataFrame, data: Data, order: Integers, parts: list[Integers]) -> list[str]:
    """Names the first time of each part that has rows; the first row, where rows have no time."""
    starts = [int(part[np.argmin(order[part])]) for part in parts if len(part)]
    if data.time is None:
        return [f"row {start + 1}" for start in starts]
    times = frame[data.time_column or ""]
    return [str(times[start]) for start in starts]


def _classes(strata: Integers | None, train: Integers, test: Integers) -> list[Finding]:
    """Refuses a part with one class, where nothing can be learned or judged; tells of classes new in the test."""
    if strata is None:
        return []
    for name, part in (("train", train), ("test", test)):
        if len(np.unique(strata[part])) < 2:
            raise InputError(
                f"split.{name}",
                f"one class only in its {len(part)} rows",
                "at least two",
                "give more rows, a larger fraction or another split.by",
            )
    unseen = np.setdiff1d(strata[test], strata[train])
    if not len(unseen):
        return []
    rows = int(np.isin(strata[test], unseen).sum())
    message = f"{len(unseen)} classes are in the test rows but in no training row; {rows} test rows cannot be right"
    return [
        Finding(
            "split.unseen_class", [], "warning", message, {"classes": len(unseen), "rows": rows}
        )
    ]


def deal_rows(
    tied: Integers, classes: Integers, shares: list[float], rng: np.random.Generator
) -> Integers:
    """Deals units out so that each part gets its share of the rows of every class.

    Returns `(N,)`: the number of the part of each row; rows of one unit (equal `tied`) get the same
    part, that of the unit's first row's class. The last part, numbered `len(shares)`, gets what the
    others leave.
    """
    _, first, unit, sizes = np.unique(
        tied, return_index=True, return_inverse=True, return_counts=True
    )
    part = np.zeros(len(first), dtype=np.int64)
    for label in np.unique(classes[first]):
        members = rng.permutation(np.flatnonzero(classes[first] == label))
        middles = (np.cumsum(sizes[members]) - sizes[members] / 2) / sizes[members].sum()
        part[members] = np.searchsorted(np.cumsum(shares), middles, side="right")
    return part[unit]


def _by_time(
    order: Integers, split: SplitSpec, test_share: float, gap: int
) -> tuple[Integers, Integers, Integers]:
    """Borders lie between different times, so rows of one moment never cross."""
    ranked = np.sort(order)
    rows = len(order)
    test_from = ranked[int(rows * (1 - test_share))] if test_share else ranked[-1] + 1 + gap
    validation_from = (
        ranked[int(rows * (1 - test_share - split.validation))] if split.validation else test_from
    )
    train = np.flatnonzero(order < validation_from - gap)
    validation = np.flatnonzero((order >= validation_from) & (order < test_from - gap))
    test = np.flatnonzero(order >= test_from)
    return train, validation, test


def _gap(split: SplitSpec, frame: pl.DataFrame, data: Data) -> int:
    gap = duration_us(split.gap or "0s")
    if gap and data.time is None:
        raise InputError(
            "split.gap", f"{split.gap}, but the rows have an order alone", "0s, or data.time"
        )
    if gap and not frame[data.time_column or ""].dtype.is_temporal():
        raise InputError(
            "split.gap",
            f"{split.gap} with whole numbers in {data.time_column!r}",
            "0s, or a column of times",
        )
    return gap


def _order(frame: pl.DataFrame, data: Data, split: SplitSpec) -> Integers:
    """The times of rows as numbers; where they have none, their order in the file."""
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


def _group(frame: pl.DataFrame, data: Data) -> Integers:
    if data.group is None:
        raise InputError(
            "split.by", "group, but data.group is not set", "a column of owners", "set data.group"
        )
    return frame[data.group].rank("dense").fill_null(0).cast(pl.Int64).to_numpy()


def _crossing(purged: int, before: int) -> list[Finding]:
    if not purged:
        return []
    share = purged / before
    return [
        Finding(
            "split.duplicates",
            [],
            "warning" if share > 0.1 else "info",
            f"{purged} of {before} training rows repeat a row of a later part (or its id) and were left out",
            {"purged": purged, "share": share},
        )
    ]
