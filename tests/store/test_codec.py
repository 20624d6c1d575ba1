"""The bytes of an entity are those of the format; damaged ones raise what is promised."""

import struct
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.store.codec import (
    DECODE_ERRORS,
    Codec,
    OpenVersion,
    TileColumns,
    decode_sketch,
    encode_piece,
)
from headrace.store.layout import Group, Level
from headrace.windows import State
from headrace.windows.hyperloglog import EXACT, from_hashes

Last = tuple[int, int | str, Any]


class Tile(msgspec.Struct):
    """What is kept of one stretch of time."""

    start: int
    numbers: list[float]
    lasts: list[Last | None]
    sets: list[list[int]]


whole = st.integers(-(2**63), 2**63 - 1)
lasts = st.tuples(whole, st.one_of(whole, st.text(max_size=3)), st.sampled_from([None, 1.5, "é"]))
hashes = st.lists(st.integers(0, 2**64 - 1), max_size=4, unique=True).map(sorted)
opens_of = st.lists(
    st.builds(
        OpenVersion,
        visible_from=whole,
        replaced=whole,
        time=whole,
        sequence=st.one_of(whole, st.text(max_size=3)),
        values=st.lists(st.sampled_from([None, True, 2, -0.5, "é"]), max_size=3),
    ),
    max_size=3,
)


@st.composite
def levels_of(draw: st.DrawFn) -> list[tuple[tuple[int, int, int], list[Tile]]]:
    """For each level how many states of each kind it has, and its tiles."""
    levels = []
    for _ in range(draw(st.integers(1, 3))):
        shape = draw(st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(0, 2)))
        starts = draw(st.lists(whole, max_size=4, unique=True).map(sorted))
        tiles = [
            Tile(
                start,
                draw(st.lists(st.floats(), min_size=shape[0], max_size=shape[0])),
                draw(st.lists(st.none() | lasts, min_size=shape[1], max_size=shape[1])),
                draw(st.lists(hashes, min_size=shape[2], max_size=shape[2])),
            )
            for start in starts
        ]
        levels.append((shape, tiles))
    return levels


def codec_of(shapes: list[tuple[int, int, int]]) -> Codec:
    levels = [
        Level(
            1,
            None,
            [State("sum", f"n{at}") for at in range(numbers)],
            [State("last", f"l{at}") for at in range(lasts)],
            [State("distinct", f"d{at}") for at in range(sets)],
        )
        for numbers, lasts, sets in shapes
    ]
    return Codec(Group("e", ["k"], ["string"], levels, []))


def piece(state: Any) -> bytes:
    """A last or the hashes of a set, by hand."""
    if isinstance(state, list):
        return struct.pack(f"<{len(state)}Q", *state)
    return b"" if state is None else msgspec.msgpack.encode(state)


def pieces_of(tiles: list[Tile], shape: tuple[int, int, int]) -> list[list[bytes]]:
    found = [[piece(one.lasts[at]) for one in tiles] for at in range(shape[1])]
    return found + [[piece(one.sets[at]) for one in tiles] for at in range(shape[2])]


def columns_of(tiles: list[Tile], shape: tuple[int, int, int]) -> TileColumns:
    numbers = np.array([one.numbers for one in tiles]).reshape(len(tiles), shape[0]).T.copy()
    starts = np.array([one.start for one in tiles], np.int64)
    return TileColumns(starts, numbers, pieces_of(tiles, shape))


def bytes_by_hand(
    levels: list[tuple[tuple[int, int, int], list[Tile]]], opens: list[OpenVersion]
) -> bytes:
    opened = msgspec.msgpack.encode([list(msgspec.structs.astuple(one)) for one in opens])
    opened = opened if opens else b""
    found = struct.pack(f"<{1 + len(levels)}I", len(opened), *(len(tiles) for _, tiles in levels))
    found += b"\0" * (-len(found) % 8)
    for shape, tiles in levels:
        found += b"".join(struct.pack("<q", one.start) for one in tiles)
        for at in range(shape[0]):
            found += b"".join(struct.pack("<d", one.numbers[at]) for one in tiles)
    for shape, tiles in levels:
        for column in pieces_of(tiles, shape):
            ends = np.cumsum([len(one) for one in column], dtype=int)
            found += b"".join(struct.pack("<I", end) for end in ends)
            found += b"".join(column)
    return found + opened if opens or any(tiles for _, tiles in levels) else b""


@given(levels=levels_of(), opens=opens_of)
def test_what_is_written_stands_as_the_format_says_and_is_read_again(
    levels: list[tuple[tuple[int, int, int], list[Tile]]], opens: list[OpenVersion]
) -> None:
    codec = codec_of([shape for shape, _ in levels])
    blob = codec.encode([columns_of(tiles, shape) for shape, tiles in levels], opens)
    assert blob == bytes_by_hand(levels, opens)
    if not blob:
        return
    views, found = codec.decode(blob)
    assert found == opens
    for view, (shape, tiles) in zip(views, levels, strict=True):
        assert view.count == len(tiles)
        assert list(view.starts) == [one.start for one in tiles]
        for at, tile in enumerate(tiles):
            assert repr(list(view.column(at))) == repr(tile.numbers)
        if tiles:  # nobody asks a level without tiles
            assert view.numbers().tobytes() == columns_of(tiles, shape).numbers.tobytes()
        kept = [view.pieces(state) for state in range(shape[1] + shape[2])]
        assert kept == pieces_of(tiles, shape)
        for first in range(len(tiles)):
            for at in range(shape[1]):
                later = [one.lasts[at] for one in tiles[first:] if one.lasts[at] is not None]
                assert view.last(at, first) == (later[-1] if later else None)
            for at in range(shape[2]):
                sketches = view.sketches(shape[1] + at, first)
                told = [value for one in tiles[first:] for value in one.sets[at]]
                assert np.concatenate(sketches).tolist() == told


@pytest.mark.parametrize("size", [0, 1, EXACT, EXACT + 1])
def test_hashes_and_registers_are_told_apart_by_their_length(size: int) -> None:
    sketch = from_hashes(np.arange(size, dtype=np.uint64))
    found = decode_sketch(encode_piece(sketch))
    assert found.dtype == sketch.dtype
    assert found.tolist() == sketch.tolist()


def test_registers_among_hashes_are_read_one_after_the_other() -> None:
    few, many = np.array([1, 2], np.uint64), from_hashes(np.arange(600, dtype=np.uint64))
    tiles = [encode_piece(one) for one in (few, many, few)]
    columns = TileColumns(np.arange(3), np.empty((0, 3)), [tiles])
    codec = codec_of([(0, 0, 1)])
    (view,), _ = codec.decode(codec.encode([columns], []))
    read = [(one.dtype.name, len(one)) for one in view.sketches(0, 0)]
    assert read == [("uint64", 2), ("uint8", 4096), ("uint64", 2)]
    assert [len(one) for one in view.sketches(0, 2)] == [2]


def read_all(codec: Codec, blob: bytes, shape: tuple[int, int, int]) -> None:
    views, _ = codec.decode(blob)
    for view in views:
        list(view.starts)
        view.numbers()
        for at in range(shape[1]):
            view.last(at, 0)
        for at in range(shape[1] + shape[2]):
            view.pieces(at)
        for at in range(shape[2]):
            view.sketches(shape[1] + at, 0)


@pytest.mark.parametrize("count", [1, 3])
def test_cut_off_and_changed_bytes_raise_nothing_else_than_promised(count: int) -> None:
    shape = (2, 1, 1)
    tiles = [Tile(at, [1.0, -1.0], [(at, "id", "x")], [[1, 2**63]]) for at in range(count)]
    codec, opens = codec_of([shape]), [OpenVersion(1, 2, 3, "a", [None, 1.5])]
    blob = codec.encode([columns_of(tiles, shape)], opens)
    read_all(codec, blob, shape)
    with pytest.raises(DECODE_ERRORS):
        read_all(codec, blob[:8], shape)
    damaged = [blob[:cut] for cut in range(len(blob))]
    damaged += [
        blob[:at] + bytes([blob[at] ^ (1 << bit)]) + blob[at + 1 :]
        for at in range(len(blob))
        for bit in range(8)
    ]
    for one in damaged:
        try:
            read_all(codec, one, shape)
        except DECODE_ERRORS:
            continue
