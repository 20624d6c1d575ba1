"""The check that rows and events spell their keys alike.

A window over keys that no event has is empty, and nothing else would show that something is wrong.
"""

from collections.abc import Mapping

import polars as pl
import polars.selectors as cs

from headrace.errors import Finding, InputError
from headrace.spec import Window
from headrace.tables import to_text
from headrace.windows.window import list_keys

_LOW_SHARE = 0.5
"""If fewer of the rows have an event, other spellings of the keys are tried."""


def check_keys_match(
    frame: pl.DataFrame, windows: list[Window], events: Mapping[str, pl.DataFrame], whole: bool
) -> list[Finding]:
    """Report keys that rows spell in another way than events, as findings `window.no_match`.

    Parameters: `frame`, the rows; `events`, the event tables by name; `whole`, whether these are
    all events, and the log holds no others. Raises `InputError` if no row's key has an event, and
    these are all.
    """
    findings = []
    for name, *keys in dict.fromkeys((window.events, *list_keys(window)) for window in windows):
        finding = _check_keys(keys, frame, name, events[name], whole)
        if finding is not None:
            findings.append(finding)
    return findings


def _check_keys(
    keys: list[str], rows: pl.DataFrame, name: str, events: pl.DataFrame, whole: bool
) -> Finding | None:
    """Compare the columns `keys` of the rows with those of the events `name`."""
    row_keys = _read_texts(rows.select(cs.by_name(*keys)))
    event_keys = _read_texts(events.select(cs.by_name(*keys).cast(pl.String)))
    # The join casts the keys of events to the types of the rows' keys.
    casts = [cs.by_name(key).cast(rows.schema[key], strict=False) for key in keys]
    share = _share_in(row_keys, _read_texts(events.select(casts)))
    if share >= _LOW_SHARE or not row_keys.height or not event_keys.height:
        return None

    share_alike = _share_in(_simplify(row_keys), _simplify(event_keys))
    message = f"the key {', '.join(keys)} of {share:.1%} of the rows has any of the events {name!r}"
    if share_alike > share:
        message += f"; {share_alike:.0%} would if leading zeros and case were ignored"
    if share == 0 and whole:
        examples = []
        for key in keys:
            examples.append(f"{row_keys[0, key]!r} in rows, {event_keys[0, key]!r} in events")
        raise InputError(
            f"features.windows over {name!r} by {', '.join(keys)}",
            f"{message} ({', '.join(examples)})",
            "keys that events have",
            "write them the same way in both",
        )
    if share_alike > share:
        evidence = {"share": share, "share_alike": share_alike}
        return Finding("window.no_match", keys, "warning", message, evidence)
    return None


def _read_texts(keys: pl.DataFrame) -> pl.DataFrame:
    """Convert keys to text, and drop those with a missing column."""
    texts = {}
    for key in keys:
        plain = key.to_physical() if key.dtype.is_temporal() else key
        texts[key.name] = to_text(plain)
    return pl.DataFrame(texts).drop_nulls()


def _simplify(keys: pl.DataFrame) -> pl.DataFrame:
    """Drop from texts what people write differently: case, and zeros in front."""
    return keys.with_columns(cs.all().str.to_lowercase().str.strip_chars_start("0"))


def _share_in(rows: pl.DataFrame, events: pl.DataFrame) -> float:
    """Return the share of the rows whose key is among those of the events; 1 of no rows."""
    if not rows.height:
        return 1.0
    # A column of a key may have any name, also one that a join would add.
    names = {name: f"key_{number}" for number, name in enumerate(rows.columns)}
    event_keys = events.rename(names).unique()
    matches = rows.rename(names).join(event_keys, on=list(names.values()), how="semi")
    return matches.height / rows.height
