"""Predict files larger than memory: in batches, in the order of the file, on every core.

    file      ─▶ batch 1   batch 2   batch 3   batch 4 …    read one after the other
                    │         │         │         │
    threads      predict   predict   predict   (waits)      as many as there are cores
                    │         │         │
    waiting      [ ───────── futures, oldest first ]        at most two a thread; then none is read
                    │
    target    ◀─ predictions of batch 1, then 2, then 3 …   written in the order of the file

So memory holds a few batches, however large the file is, and the slowest batch never changes the
order. ONNX Runtime releases the interpreter's lock while it runs, and so do Polars' casts, so
threads are enough.
"""

import os
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

import polars as pl
import polars.selectors as cs
from msgspec import Struct
from polars.io.plugins import register_io_source

from headrace.errors import HeadraceError, InputError, nearest
from headrace.features.graph.session import CHUNK_ROWS
from headrace.predict.gaps import GapCounter, GapWarning
from headrace.spec import safe_name
from headrace.tables import Column, Scan, Schema, scan, sink, unreadable_error

KEEP_ALL = "all"
"""Stands for every column of a file."""


class FramePredictor(Protocol):
    """The part of a `Predictor` that predicts tables."""

    schema: Schema
    columns: list[Column]

    def predict_frame(
        self,
        frame: pl.DataFrame,
        where: str = ...,
        first_row: int = ...,
        threads: int = ...,
        counter: GapCounter | None = ...,
    ) -> pl.DataFrame:
        """Predict each row of `frame`, in its order."""
        ...


class _Job(Struct, frozen=True):
    """A table file to predict; `where` names it in errors, `keep` has the columns to copy."""

    predictor: FramePredictor
    scanned: Scan
    where: str
    keep: list[str] = []


def predict_file(
    predictor: FramePredictor,
    source: Path,
    target: Path,
    watch: Callable[[int], None] = lambda rows: None,
    counter: GapCounter | None = None,
    keep: Sequence[str] = (),
) -> int:
    """Predict a table file into another; the names of the files say their formats.

    `watch` is called with the number of rows predicted so far, `counter` counts their gaps. `keep`
    names columns that are copied as the file has them, before the predictions; `all` copies every
    one. Returns the number of rows. The target appears whole or not at all. Raises `InputError`
    naming the row and column that cannot be used.
    """
    done = 0
    errors: list[HeadraceError] = []

    def predictions() -> Iterator[pl.DataFrame]:
        nonlocal done
        try:
            for part in _predict_batches(job, counter):
                done += part.height
                watch(done)
                yield part
        # Polars would wrap the error in one of its own, so it is remembered here.
        except HeadraceError as error:
            errors.append(error)
            raise

    if target.resolve() == source.resolve():
        raise InputError(str(target), "the input itself", "another file for the predictions")
    scanned = scan(source, predictor.schema.read)
    if counter is not None:
        counter.findings += scanned.findings
    job = _Job(predictor, scanned, str(source), _find_columns(keep, scanned))
    try:
        sink(_make_lazy(job, predictions), target)
    except (pl.exceptions.PolarsError, HeadraceError) as error:
        if errors:
            raise errors[0] from None
        if isinstance(error, HeadraceError):
            raise error from None
        raise unreadable_error(source, error) from None
    return done


def predict_lazily(predictor: FramePredictor, source: Path) -> pl.LazyFrame:
    """Return the predictions of a file as a lazy frame, computed when it is collected."""
    job = _Job(predictor, scan(source, predictor.schema.read), str(source))

    def predictions() -> Iterator[pl.DataFrame]:
        counter = GapCounter(job.scanned.findings)
        yield from _predict_batches(job, counter)
        if message := counter.message():
            warnings.warn(message, GapWarning, stacklevel=2)

    return _make_lazy(job, predictions)


def _find_columns(keep: Sequence[str], scanned: Scan) -> list[str]:
    """Find the columns of a file that are to be copied; raises `InputError` where one is absent."""
    names = scanned.frame.collect_schema().names()
    if list(keep) == [KEEP_ALL] and KEEP_ALL not in names:
        return names
    by_name = {safe_name(name): name for name in names} | {name: name for name in names}
    for name in keep:
        if name not in by_name:
            expected = "columns of the file, or all"
            raise InputError("--keep", f"no column {name!r}", expected, nearest(name, names))
    return list(dict.fromkeys(by_name[name] for name in keep))


def _predict_batches(job: _Job, counter: GapCounter | None) -> Iterator[pl.DataFrame]:
    """Predict a table batch by batch, in order, with one thread a core."""
    threads = os.cpu_count() or 1
    waiting: deque[Future[pl.DataFrame]] = deque()
    first_row = 0
    batches = _select_columns(job).collect_batches(chunk_size=CHUNK_ROWS, maintain_order=True)
    with ThreadPoolExecutor(threads) as pool:
        for batch in batches:
            waiting.append(pool.submit(_predict_batch, job, batch, first_row, counter))
            first_row += batch.height
            # Waiting here bounds the memory: no further batch is read until one is done.
            if len(waiting) > 2 * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _predict_batch(
    job: _Job, batch: pl.DataFrame, first_row: int = 0, counter: GapCounter | None = None
) -> pl.DataFrame:
    """Predict the rows of a batch, and put the columns that are copied before the predictions."""
    predictions = job.predictor.predict_frame(batch, job.where, first_row, counter=counter)
    if not job.keep:
        return predictions

    copied = batch.select(cs.by_name(*job.keep))
    id = job.predictor.schema.id
    if id in copied.columns:
        predictions = predictions.drop(cs.by_name(id))
    both = set(copied.columns) & set(predictions.columns)
    if both:
        found = f"the column {min(both)!r}, which the predictions have too"
        raise InputError("--keep", found, "columns with other names")
    return copied.hstack(predictions.get_columns())


def _select_columns(job: _Job) -> pl.LazyFrame:
    """Select the columns that the model reads, those that are copied, and the id.

    An absent column is no error here: `conform` finds it, and its message is the better one.
    """
    wanted = {column.name for column in job.predictor.columns}
    if job.predictor.schema.id:
        wanted.add(job.predictor.schema.id)
    names = job.scanned.frame.collect_schema().names()
    selected = [name for name in names if safe_name(name) in wanted or name in job.keep]
    return job.scanned.frame.select(cs.by_name(*selected))


def _make_lazy(job: _Job, predictions: Callable[[], Iterator[pl.DataFrame]]) -> pl.LazyFrame:
    """Return batches of predictions as a lazy frame, which asks for no more than it needs."""

    def read(
        columns: list[str] | None,
        predicate: pl.Expr | None,
        rows: int | None,
        batch_rows: int | None,
    ) -> Iterator[pl.DataFrame]:
        remaining = rows
        for batch in predictions():
            part = batch
            # Polars limits the rows before it filters them.
            if remaining is not None:
                part = part.head(remaining)
                remaining -= part.height
            if predicate is not None:
                part = part.filter(predicate)
            if columns is not None:
                part = part.select(cs.by_name(*columns))
            yield part
            if remaining == 0:
                return

    # Predicting no row gives the names and types of all columns.
    empty = _predict_batch(job, _select_columns(job).head(0).collect())
    return register_io_source(read, schema=empty.schema, is_pure=True)
