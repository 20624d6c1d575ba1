"""Files larger than memory: read, predicted and written in batches, in order, on every core."""

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
    """What predicts tables: see `Predictor`."""

    schema: Schema
    columns: list[Column]

    def predict_frame(
        self,
        frame: pl.DataFrame,
        where: str = ...,
        first_row: int = ...,
        threads: int = ...,
        tally: GapCounter | None = ...,
    ) -> pl.DataFrame:
        """One row of predictions for each row of `frame`, in its order."""
        ...


def predict_file(
    predictor: FramePredictor,
    source: Path,
    target: Path,
    watch: Callable[[int], None] = lambda rows: None,
    tally: GapCounter | None = None,
) -> int:
    """Predicts a table file into another; the formats are told by the names.

    `watch` hears the number of rows done, `tally` of their gaps. Returns how many there were. The
    target appears whole or not at all. Raises `InputError` naming the row and column that cannot be
    used.
    """
    done = 0
    failed: list[HeadraceError] = []

    def predictions() -> Iterator[pl.DataFrame]:
        nonlocal done
        try:
            for part in predict_batches(predictor, scanned, str(source), tally):
                done += part.height
                watch(done)
                yield part
        except HeadraceError as error:  # Polars would wrap it
            failed.append(error)
            raise

    scanned = scan(source, predictor.schema.read)
    if tally is not None:
        tally.findings += scanned.findings
    try:
        sink(_lazy(predictor, scanned, predictions), target)
    except (pl.exceptions.PolarsError, HeadraceError) as error:
        raise (
            failed[0]
            if failed
            else error
            if isinstance(error, HeadraceError)
            else unreadable_error(source, error)
        ) from None
    return done


def predict_lazily(predictor: FramePredictor, source: Path) -> pl.LazyFrame:
    """The predictions of a file as a lazy frame, computed when it is collected."""
    scanned = scan(source, predictor.schema.read)

    def batches() -> Iterator[pl.DataFrame]:
        tally = GapCounter(scanned.findings)
        yield from predict_batches(predictor, scanned, str(source), tally)
        if message := tally.message():
            warnings.warn(message, GapWarning, stacklevel=2)

    return _lazy(predictor, scanned, batches)


def predict_batches(
    predictor: FramePredictor, scanned: Scan, where: str, tally: GapCounter | None = None
) -> Iterator[pl.DataFrame]:
    """Predicts a scan batch by batch, in order, with one thread per core and a bounded number of
    batches in flight.

    ONNX Runtime lets go of the interpreter's lock while it runs, and so do Polars' casts.
    """
    threads = os.cpu_count() or 1
    waiting: deque[Future[pl.DataFrame]] = deque()
    first_row = 0
    with ThreadPoolExecutor(threads) as pool:
        for batch in _wanted(predictor, scanned).collect_batches(
            chunk_size=CHUNK_ROWS, maintain_order=True
        ):
            waiting.append(
                pool.submit(predictor.predict_frame, batch, where, first_row, tally=tally)
            )
            first_row += batch.height
            if len(waiting) > 2 * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _wanted(predictor: FramePredictor, scanned: Scan) -> pl.LazyFrame:
    """Only the columns that matter are read; an absent one is found by `conform`, which says so."""
    wanted = [column.name for column in predictor.columns] + (
        [predictor.schema.id] if predictor.schema.id else []
    )
    return scanned.frame.select(
        cs.by_name(
            *(name for name in scanned.frame.collect_schema().names() if safe_name(name) in wanted)
        )
    )


def _lazy(
    predictor: FramePredictor, scanned: Scan, batches: Callable[[], Iterator[pl.DataFrame]]
) -> pl.LazyFrame:
    def source(
        columns: list[str] | None,
        predicate: pl.Expr | None,
        rows: int | None,
        batch_rows: int | None,
    ) -> Iterator[pl.DataFrame]:
        left = rows
        for part in batches():
            kept = part if left is None else part.head(left)
            if left is not None:
                left -= kept.height
            kept = kept.filter(predicate) if predicate is not None else kept
            yield kept.select(cs.by_name(*columns)) if columns is not None else kept
            if left == 0:
                return

    empty = predictor.predict_frame(_wanted(predictor, scanned).head(0).collect())
    return register_io_source(source, schema=empty.schema, is_pure=True)
