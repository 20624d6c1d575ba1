"""Whether the keys of rows are those of events: a window over keys that no event has is empty without a word."""

from collections.abc import Mapping

import polars as pl
import polars.selectors as cs

from headrace.errors import Finding, InputError
from headrace.spec import Window
from headrace.tables import as_text
from headrace.windows.window import window_keys

_FEW = 0.5
"""Below this share of rows with any event, other spellings of the keys are tried: they may give a larger one."""


def check_keys_match(
    frame: pl.DataFrame, windows: list[Window], events: Mapping[str, pl.DataFrame], whole: bool
) -> list[Finding]:
    """`window.no_match` findings for keys of rows that are written in another way than those of
    events.

    Parameters: `frame`, the rows; `events`, the event tables by name; `whole` says that there are
    no others in the log. Raises `InputError` where no row's key has an event, and these are all.
    """
    findings = []
    for name, *keys in dict.fromkeys((window.events, *window_keys(window)) for window in windows):
        dtypes = {key: frame.schema[key] for key in keys}  # as the join casts them
        rows = _texts(frame.select(cs.by_name(*keys)))
        found = _texts(events[name].select(cs.by_name(*keys).cast(pl.String)))
        table = _texts(
            events[name].select(
                cs.by_name(key).cast(dtype, strict=False) for key, dtype in dtypes.items()
            )
        )
        share = _share(rows, table)
        if share >= _FEW or not rows.height or not found.height:
            continue
        alike = _share(_bare(rows), _bare(found))
        examples = ", ".join(
            f"{rows[0, key]!r} in rows, {found[0, key]!r} in events" for key in keys
        )
        spelled = (
            f"; {alike:.0%} would if zeros in front and case were left aside"
            if alike > share
            else ""
        )
        message = f"the key {', '.join(keys)} of {share:.1%} of the rows has any of the events {name!r}{spelled}"
        if share == 0 and whole:
            where = f"features.windows over {name!r} by {', '.join(keys)}"
            raise InputError(
                where,
                f"{message} ({examples})",
                "keys that events have",
                "write them alike in both",
            )
        if alike > share:
            evidence = {"share": share, "share_alike": alike}
            findings.append(Finding("window.no_match", keys, "warning", message, evidence))
    return findings


def _texts(keys: pl.DataFrame) -> pl.DataFrame:
    """Keys as text, those without a hole."""
    return pl.DataFrame({key.name: as_text(_plain(key)) for key in keys}).drop_nulls()


def _plain(column: pl.Series) -> pl.Series:
    return column.to_physical() if column.dtype.is_temporal() else column


def _bare(keys: pl.DataFrame) -> pl.DataFrame:
    return keys.with_columns(cs.all().str.to_lowercase().str.strip_chars_start("0"))


def _share(rows: pl.DataFrame, table: pl.DataFrame) -> float:
    if not rows.height:
        return 1.0
    names = {name: f"key_{at}" for at, name in enumerate(rows.columns)}
    found = rows.rename(names).join(
        table.rename(names).unique(), on=list(names.values()), how="semi"
    )
    return found.height / rows.height
