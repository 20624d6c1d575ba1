"""What stands under which key of the store, and what an entity is called.

s                          where the store stands: `StoreState`
b                          how far a generation that is being filled has come
GENERATION l               the layout
GENERATION e GROUP NAME    the tiles of an entity
GENERATION v SOURCE ID     the versions of an event that has an id
GENERATION d GROUP DAY NAME  the set of the ids of an entity's events of a day
"""

import hashlib
import math
from collections.abc import Callable, Mapping
from datetime import date
from struct import Struct as Format
from typing import Any

import msgspec
import polars as pl

from headrace.clock import DAY_US
from headrace.errors import InputError
from headrace.spec import label_text
from headrace.store.layout import EventSource, Group
from headrace.tables import POLARS, Dtype

STATE, PROGRESS = b"s", b"b"
_LONGEST = 400
_STAND = Format("<Iqq")
_PLAIN_KEYS: dict[str, type] = {"string": str, "integer": int}
"""The type of keys whose text is their name."""


class StoreState(msgspec.Struct, frozen=True):
    """Where a store stands: which generation is read, up to which position of the log it holds what
    was pushed, and the latest moment that it knows of (microseconds).
    """

    generation: int
    position: int
    horizon: int

    def encode(self) -> bytes:
        """As it is kept."""
        return _STAND.pack(self.generation, self.position, self.horizon)

    @classmethod
    def decode(cls, value: bytes) -> "StoreState":
        """From what is kept."""
        return cls(*_STAND.unpack(value))

    @property
    def prefix(self) -> bytes:
        """What the keys of its generation begin with."""
        return generation_prefix(self.generation)


def generation_prefix(generation: int) -> bytes:
    """What the keys of a generation begin with."""
    return b"g" + generation.to_bytes(4, "big")


def layout_key(prefix: bytes) -> bytes:
    """Where the layout of a generation stands."""
    return prefix + b"l"


def group_prefix(prefix: bytes, group: int) -> bytes:
    """What the keys of the entities of a group begin with."""
    return prefix + b"e" + group.to_bytes(2, "big")


def entity_key(prefix: bytes, group: int, name: str) -> bytes:
    """Where the tiles of an entity stand."""
    return group_prefix(prefix, group) + shorten(name.encode())


def encode_member(place: int | str) -> bytes:
    """What the id of an event is in a set, and at the end of a key."""
    return shorten(msgspec.msgpack.encode(place))


def versions_key(prefix: bytes, source: int, member: bytes) -> bytes:
    """Where the versions of an event stand."""
    return prefix + b"v" + source.to_bytes(2, "big") + member


def day_key(prefix: bytes, group: int, name: str, time: int) -> bytes:
    """Where the ids of the events of an entity on the day of a time stand."""
    day = (time // DAY_US).to_bytes(4, "big", signed=True)
    return prefix + b"d" + group.to_bytes(2, "big") + day + shorten(name.encode())


def shorten(name: bytes) -> bytes:
    """A name at the end of a key; what is too long for one by its hash."""
    return (
        b"=" + name
        if len(name) <= _LONGEST
        else b"#" + hashlib.blake2b(name, digest_size=32).digest()
    )


def entity_names(group: Group, values: pl.DataFrame) -> pl.Series:
    """What the entities of events are called `(N,)`; missing where a key is."""
    texts = [
        _text_column(values[key], dtype)
        for key, dtype in zip(group.keys, group.dtypes, strict=True)
    ]
    if len(texts) == 1:
        return texts[0].alias("name")
    parts = [
        part for text in texts for part in (text.str.len_chars().cast(pl.String), pl.lit(":"), text)
    ]
    return pl.select(pl.concat_str(parts).alias("name")).to_series()


def make_event_namer(group: Group, source: EventSource) -> Callable[[list[Any]], str | None]:
    """What the entity of an event is called, by its values: as `entity_names`, one by one."""
    dtypes = {column.name: column.dtype for column in source.columns}
    asked = [
        (source.values.index(key), dtype, dtypes[key] == dtype)
        for key, dtype in zip(group.keys, group.dtypes, strict=True)
    ]

    def text(value: Any, dtype: Dtype, same: bool) -> str | None:
        if value is None or (same and dtype == "string"):
            found: str | None = value
            return found
        if same and dtype in ("integer", "datetime"):
            return str(value)
        cast: str | None = _text_column(pl.Series([value]), dtype)[0]
        return cast

    def name(values: list[Any]) -> str | None:
        texts = [text(values[at], dtype, same) for at, dtype, same in asked]
        if len(texts) == 1:
            return texts[0]
        return (
            None
            if None in texts
            else "".join(f"{len(one)}:{one}" for one in texts if one is not None)
        )

    return name


def make_row_namer(group: Group) -> Callable[[Mapping[str, Any]], str | None]:
    """What the entity of a row is called; none where a key is missing. The function raises
    `InputError` for a value that is no such key.
    """
    texts = [_row_text(key, dtype) for key, dtype in zip(group.keys, group.dtypes, strict=True)]
    if len(texts) == 1:
        return texts[0]

    def name(row: Mapping[str, Any]) -> str | None:
        found = [text(row) for text in texts]
        return (
            None
            if None in found
            else "".join(f"{len(one)}:{one}" for one in found if one is not None)
        )

    return name


def _row_text(key: str, dtype: Dtype) -> Callable[[Mapping[str, Any]], str | None]:
    plain = _PLAIN_KEYS.get(dtype)

    def text(row: Mapping[str, Any]) -> str | None:
        value = row.get(key)
        return str(value) if type(value) is plain else _text(value, dtype, key)

    return text


def _text_column(column: pl.Series, dtype: Dtype) -> pl.Series:
    plain = POLARS["integer" if dtype == "datetime" else dtype]
    return column.cast(plain, strict=False).cast(pl.String)


def _text(value: Any, dtype: Dtype, key: str) -> str | None:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    try:
        if dtype == "integer" and int(value) == float(value):
            return str(int(value))
        if dtype == "boolean" and str(value).lower() in ("true", "false"):
            return str(value).lower()
        if dtype == "datetime" and isinstance(value, date):
            return str(pl.Series([value]).cast(pl.Datetime("us")).to_physical()[0])
        if dtype == "string" and isinstance(value, str | int | float):
            return value if isinstance(value, str) else label_text(value)
    except (ValueError, OverflowError):
        pass
    raise InputError(
        f"the key {key!r}", f"the value {str(value)[:60]!r} ({type(value).__name__})", f"{dtype}"
    )
