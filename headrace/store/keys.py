r"""The keys of the store, and the names of entities in them.

    key                          value
    s                            the state of the store: `StoreState`
    b                            the progress of a backfill
    GENERATION l                 the layout of a generation (JSON)
    GENERATION e GROUP NAME      the tiles and open versions of an entity: `Codec`
    GENERATION v SOURCE ID       the versions of an event that has an id
    GENERATION d GROUP DAY NAME  a set: the ids of an entity's events on one day

GENERATION is `g` and a number of 4 bytes; GROUP and SOURCE have 2 bytes, and DAY has 4, counted
from 1970 UTC. NAME and ID begin with `=`; one that is too long for a key is `#` and its hash.

>>> entity_key(generation_prefix(1), 0, "ann")
b'g\x00\x00\x00\x01e\x00\x00=ann'

An entity of one key is named by its text. With several keys the length of each text comes first,
so that no two entities share a name:

>>> by_user_and_item = Group("clicks", ["user", "item"], ["string", "integer"], [], [])
>>> make_row_namer(by_user_and_item)({"user": "ann", "item": 12})
'3:ann2:12'
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
from headrace.spec import format_label
from headrace.store.layout import EventSource, Group
from headrace.tables import POLARS, Dtype

STATE = b"s"
PROGRESS = b"b"
_LONGEST = 400
"""The longest name in bytes; with all that comes before it a key stays below 480 bytes."""
_STATE_FORMAT = Format("<Iqq")
_PLAIN_KEYS: dict[str, type] = {"string": str, "integer": int}
"""The Python type of keys whose text is `str(value)`."""


class StoreState(msgspec.Struct, frozen=True):
    """The state of a store.

    `generation` is the one that readers use. Pushed events are in the store up to `position` of the
    log. `horizon` is the latest moment that the store knows of (microseconds): no row is read as of
    an earlier one.
    """

    generation: int
    position: int
    horizon: int

    def encode(self) -> bytes:
        """Encode the state as its value in the store."""
        return _STATE_FORMAT.pack(self.generation, self.position, self.horizon)

    @classmethod
    def decode(cls, value: bytes) -> "StoreState":
        """Decode the value of the state."""
        return cls(*_STATE_FORMAT.unpack(value))

    @property
    def prefix(self) -> bytes:
        """The prefix of the keys of its generation."""
        return generation_prefix(self.generation)


def generation_prefix(generation: int) -> bytes:
    """Return the prefix of the keys of a generation."""
    # Big-endian numbers sort as bytes as they do as numbers.
    return b"g" + generation.to_bytes(4, "big")


def layout_key(prefix: bytes) -> bytes:
    """Return the key of the layout of a generation."""
    return prefix + b"l"


def group_prefix(prefix: bytes, group: int) -> bytes:
    """Return the prefix of the keys of a group's entities."""
    return prefix + b"e" + group.to_bytes(2, "big")


def entity_key(prefix: bytes, group: int, name: str) -> bytes:
    """Return the key of an entity."""
    return group_prefix(prefix, group) + shorten(name.encode())


def encode_member(sequence: int | str) -> bytes:
    """Encode the id of an event, as a member of a set and as the end of a key."""
    return shorten(msgspec.msgpack.encode(sequence))


def versions_key(prefix: bytes, source: int, member: bytes) -> bytes:
    """Return the key of the versions of an event, whose id is encoded as a member."""
    return prefix + b"v" + source.to_bytes(2, "big") + member


def day_key(prefix: bytes, group: int, name: str, time: int) -> bytes:
    """Return the key of the set of an entity's events on the day of a time (microseconds)."""
    # Signed, for events before 1970.
    day = (time // DAY_US).to_bytes(4, "big", signed=True)
    return prefix + b"d" + group.to_bytes(2, "big") + day + shorten(name.encode())


def shorten(name: bytes) -> bytes:
    """Return a name as the end of a key: itself, or its hash where it is too long."""
    if len(name) <= _LONGEST:
        return b"=" + name
    return b"#" + hashlib.blake2b(name, digest_size=32).digest()


def entity_names(group: Group, values: pl.DataFrame) -> pl.Series:
    """Return the names of the entities of events `(N,)`; missing where a key is missing."""
    texts = [
        _cast_to_text(values[key], dtype)
        for key, dtype in zip(group.keys, group.dtypes, strict=True)
    ]
    if len(texts) == 1:
        return texts[0].alias("name")

    parts: list[pl.Series | pl.Expr] = []
    for text in texts:
        parts += [text.str.len_chars().cast(pl.String), pl.lit(":"), text]
    return pl.select(pl.concat_str(parts).alias("name")).to_series()


def make_event_namer(group: Group, source: EventSource) -> Callable[[list[Any]], str | None]:
    """Make a function that names the entity of one event by its values.

    It names entities as `entity_names` does, and returns none where a key is missing.
    """
    dtypes = {column.name: column.dtype for column in source.columns}
    keys = [
        (source.values.index(key), dtype, dtypes[key] == dtype)
        for key, dtype in zip(group.keys, group.dtypes, strict=True)
    ]

    # Called for every event that is pushed: a value of its key's own type passes no Polars series.
    def to_text(value: Any, dtype: Dtype, is_same: bool) -> str | None:
        if value is None or (is_same and dtype == "string"):
            text: str | None = value
            return text
        if is_same and dtype in ("integer", "datetime"):
            return str(value)
        cast: str | None = _cast_to_text(pl.Series([value]), dtype)[0]
        return cast

    def name(values: list[Any]) -> str | None:
        texts = [to_text(values[at], dtype, is_same) for at, dtype, is_same in keys]
        return texts[0] if len(texts) == 1 else _join_texts(texts)

    return name


def make_row_namer(group: Group) -> Callable[[Mapping[str, Any]], str | None]:
    """Make a function that names the entity of a row.

    It returns none where a key is missing, and raises `InputError` for a value that cannot be a
    value of its key.
    """
    readers = [
        _make_key_reader(key, dtype) for key, dtype in zip(group.keys, group.dtypes, strict=True)
    ]
    if len(readers) == 1:
        return readers[0]

    def name(row: Mapping[str, Any]) -> str | None:
        return _join_texts([read(row) for read in readers])

    return name


def _join_texts(texts: list[str | None]) -> str | None:
    """Join the texts of several keys into one name; none where one of them is missing."""
    if None in texts:
        return None
    return "".join([f"{len(text)}:{text}" for text in texts if text is not None])


def _make_key_reader(key: str, dtype: Dtype) -> Callable[[Mapping[str, Any]], str | None]:
    plain = _PLAIN_KEYS.get(dtype)

    def read(row: Mapping[str, Any]) -> str | None:
        value = row.get(key)
        return str(value) if type(value) is plain else _key_text(value, dtype, key)

    return read


def _cast_to_text(column: pl.Series, dtype: Dtype) -> pl.Series:
    plain = POLARS["integer" if dtype == "datetime" else dtype]
    return column.cast(plain, strict=False).cast(pl.String)


def _key_text(value: Any, dtype: Dtype, key: str) -> str | None:
    """Return the text of a row's value of a key; raise `InputError` for one that it cannot have."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    try:
        # JSON and pandas may bring a whole number as 7.0 or as a text.
        if dtype == "integer" and int(value) == float(value):
            return str(int(value))
        if dtype == "boolean" and str(value).lower() in ("true", "false"):
            return str(value).lower()
        if dtype == "datetime" and isinstance(value, date):
            return str(pl.Series([value]).cast(pl.Datetime("us")).to_physical()[0])
        if dtype == "string" and isinstance(value, str | int | float):
            return value if isinstance(value, str) else format_label(value)
    except (ValueError, OverflowError):
        pass
    raise InputError(
        f"the key {key!r}", f"the value {str(value)[:60]!r} ({type(value).__name__})", f"{dtype}"
    )
