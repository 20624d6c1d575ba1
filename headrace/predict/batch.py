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
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

import polars as pl
import polars.selectors as cs
from polars.io.plugins import register_io_source

from headrace.errors import HeadraceError
from headrace.features.graph.session import CHUNK_ROWS
from headrace.predict.gaps import GapCounter, GapWarning
from headrace.spec import safe_name
from headrace.tables import Column, Scan, Schema, scan, sink, unreadable_error


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


def predict_file(
    predictor: FramePredictor,
    source: Path,
    target: Path,
    watch: Callable[[int], None] = lambda rows: None,
    counter: GapCounter | None = None,
) -> int:
    """Predict a table file into another; the names of the files say their formats.

    `watch` is called with the number of rows predicted so far, `counter` counts their gaps. Returns
    the number of rows. The target appears whole or not at all. Raises `InputError` naming the row
    and column that cannot be used.
    """
    done = 0
    errors: list[HeadraceError] = []

    def predictions() -> Iterator[pl.DataFrame]:
        nonlocal done
        try:
            for part in predict_batches(predictor, scanned, str(source), counter):
                done += part.height
                watch(done)
                yield part
        # Polars would wrap the error in one of its own, so it is remembered here.
        except HeadraceError as error:
            errors.append(error)
            raise

    scanned = scan(source, predictor.schema.read)
    if counter is not None:
        counter.findings += scanned.findings
    try:
        sink(_make_lazy(predictor, scanned, predictions, str(source)), target)
    except (pl.exceptions.PolarsError, HeadraceError) as error:
        if errors:
            raise errors[0] from None
        if isinstance(error, HeadraceError):
            raise error from None
        raise unreadable_error(source, error) from None
    return done


def predict_lazily(predictor: FramePredictor, source: Path) -> pl.LazyFrame:
    """Return the predictions of a file as a lazy frame, computed when it is collected."""
    scanned = scan(source, predictor.schema.read)

    def predictions() -> Iterator[pl.DataFrame]:
        counter = GapCounter(scanned.findings)
        yield from predict_batches(predictor, scanned, str(source), counter)
        if message := counter.message():
            warnings.warn(message, GapWarning, stacklevel=2)

    return _make_lazy(predictor, scanned, predictions, str(source))


def predict_batches(
    predictor: FramePredictor, scanned: Scan, where: str, counter: GapCounter | None = None
) -> Iterator[pl.DataFrame]:
    """Predict a scan batch by batch, in order, with one thread a core.

    Parameters: `where`, the name of the table in errors.
    """
    threads = os.cpu_count() or 1
    waiting: deque[Future[pl.DataFrame]] = deque()
    first_row = 0
    batches = _select_columns(predictor, scanned).collect_batches(
        chunk_size=CHUNK_ROWS, maintain_order=True
    )
    with ThreadPoolExecutor(threads) as pool:
        for batch in batches:
            future = pool.submit(predictor.predict_frame, batch, where, first_row, counter=counter)
            waiting.append(future)
            first_row += batch.height
            # Waiting here bounds the memory: no further batch is read until one is done.
            if len(waiting) > 2 * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _select_columns(predictor: FramePredictor, scanned: Scan) -> pl.LazyFrame:
    """Select the columns that the model reads, and the id.

    An absent column is no error here: `conform` finds it, and its message is the better one.
    """
    wanted = {column.name for column in predictor.columns}
    if predictor.schema.id:
        wanted.add(predictor.schema.id)
    names = scanned.frame.collect_schema().names()
    return scanned.frame.select(cs.by_name(*(name for name in names if safe_name(name) in wanted)))


def _make_lazy(
    predictor: FramePredictor,
    scanned: Scan,
    predictions: Callable[[], Iterator[pl.DataFrame]],
    where: str,
) -> pl.LazyFrame:
    """Return batches of predictions as a lazy frame, which asks for no more than it needs.

    `where` names the file in errors.
    """

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
    no_rows = _select_columns(predictor, scanned).head(0).collect()
    empty = predictor.predict_frame(no_rows, where)
    return register_io_source(read, schema=empty.schema, is_pure=True)
