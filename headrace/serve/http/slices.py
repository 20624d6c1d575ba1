"""Large bodies, taken apart in slices: nobody else waits for one, and its values are counted before
they are built.

A decoder of JSON does not give way: sixteen megabytes hold every other request for seconds, and
become gigabytes of objects. So the signs between values are found first (by NumPy, a megabyte at a
time), and then what stands between them is decoded some hundred kilobytes at a time.
"""

import asyncio
import re
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from headrace.serve.http.messages import Problem

WHOLE_BYTES, SLICE_BYTES = 1 << 20, 128 << 10
"""Bodies up to the first are decoded at once, in some milliseconds; larger ones in slices of the second."""
MOST_VALUE_BYTES = 2 << 20
"""A single text cannot be cut: what is escaped in it takes its time."""
_SCAN_BYTES, _DEEPEST, _LONGEST_NAME = 1 << 20, 64, 16 << 10
_KEY = re.compile(rb'\s*("(?:[^"\\]|\\.)*")\s*:', re.DOTALL)
_decode = msgspec.json.Decoder().decode


async def decode_in_slices(body: bytes, most_values: int) -> Any:
    """The value of a JSON text, as `msgspec.json.decode` has it, giving way to others on the way.

    Raises `Problem` (413) for more than `most_values` values, before they are built, and
    `msgspec.DecodeError` for what is no JSON.
    """
    signs = await _signs_of(body, most_values)
    return await _Text(body, *signs).value(0, len(body), 0, len(signs[0]))


async def shape_of_csv(body: bytes) -> tuple[int, int]:
    """How many lines a CSV has below its header, and how many columns that has; what stands in
    quotes counts for nothing.
    """
    lines, columns, inside, in_header = 0, 1, False, True
    for start in range(0, len(body), _SCAN_BYTES):
        letters = np.frombuffer(body, np.uint8, min(_SCAN_BYTES, len(body) - start), start)
        quoted = np.cumsum(letters == 0x22, dtype=np.uint32) + np.uint32(inside)
        inside, outside = bool(quoted[-1] & 1), (quoted & 1) == 0
        breaks = np.flatnonzero((letters == 0x0A) & outside)
        if in_header:
            end = int(breaks[0]) if len(breaks) else len(letters)
            columns += int(np.count_nonzero((letters[:end] == 0x2C) & outside[:end]))
            in_header = not len(breaks)
        lines += len(breaks)
        await asyncio.sleep(0)
    ends_open = bool(body) and not body.endswith(b"\n")
    return max(lines - 1 + ends_open, 0), columns


async def _signs_of(
    body: bytes, most_values: int
) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]:
    """Where brackets and commas stand outside of strings, which they are, and how deep each stands."""
    places: list[npt.NDArray[Any]] = []
    start, inside, values = 0, False, 0
    while start < len(body):
        end = min(start + _SCAN_BYTES, len(body))
        part = body[start:end]
        if (
            len(part) - len(part.rstrip(b"\\"))
        ) % 2:  # what a backslash escapes stands in the same part
            end += 1
            part = body[start:end]
        if b"\\" in part:
            part = part.replace(rb"\\", b"__").replace(rb"\"", b"__")
        letters = np.frombuffer(part, np.uint8)
        quoted = np.cumsum(letters == 0x22, dtype=np.uint32) + np.uint32(inside)
        inside = bool(quoted[-1] & 1)
        is_sign = ((letters | 0x20) == 0x7B) | ((letters | 0x20) == 0x7D) | (letters == 0x2C)
        found = np.flatnonzero(is_sign & ((quoted & 1) == 0))
        values += len(found)
        if values > 2 * most_values:  # each value has at most one comma, and each list two brackets
            raise Problem(
                413, "too_many_rows", "There are too many values", f"at most {most_values}"
            )
        places.append(found + start)
        start = end
        await asyncio.sleep(0)
    at = np.concatenate(places) if places else np.empty(0, np.int64)
    letters = np.frombuffer(body, np.uint8)[at]
    closes = (letters == 0x5D) | (letters == 0x7D)
    opens = (letters == 0x5B) | (letters == 0x7B)
    depths = np.cumsum(opens.astype(np.int32) - closes.astype(np.int32))
    if len(depths) and (depths.max() > _DEEPEST or depths.min() < 0):
        raise msgspec.DecodeError("JSON that is nested too deep, or closed too often")
    return at, letters, depths + closes  # a list closes at the depth at which it stands open


class _Text:
    """A text with its signs: `places`, the `letters` there, and the `depths` of what they belong to."""

    def __init__(
        self,
        body: bytes,
        places: npt.NDArray[Any],
        letters: npt.NDArray[Any],
        depths: npt.NDArray[Any],
    ) -> None:
        self._body, self._places, self._letters, self._depths = body, places, letters, depths

    async def value(self, start: int, end: int, first: int, last: int) -> Any:
        """What stands in the bytes from `start` to `end`, whose signs are those from `first` to `last`."""
        if first == last and end - start > MOST_VALUE_BYTES:
            found = f"{end - start} bytes, at most {MOST_VALUE_BYTES}"
            raise Problem(413, "too_large", "A value is too large", found)
        if (
            end - start <= SLICE_BYTES
            or first == last
            or chr(self._letters[first]).encode() not in (b"[", b"{")
        ):
            await asyncio.sleep(0)
            return _decode(self._body[start:end])
        opens, closes = int(self._places[first]), int(self._places[last - 1])
        opening = self._body[opens : opens + 1]
        if (
            self._body[start:opens].strip()
            or self._body[closes + 1 : end].strip()
            or self._body[closes : closes + 1] != (b"]" if opening == b"[" else b"}")
            or self._depths[last - 1] != self._depths[first]
        ):
            raise msgspec.DecodeError("JSON is malformed: brackets that do not fit")
        made: Any = [] if opening == b"[" else {}
        inner = slice(first + 1, last - 1)
        depth = self._depths[first]
        commas = (
            np.flatnonzero((self._depths[inner] == depth) & (self._letters[inner] == 0x2C))
            + first
            + 1
        )
        if not len(commas) and not self._body[opens + 1 : closes].strip():
            return made
        borders = [first, *commas.tolist(), last - 1]
        at = 0
        while at < len(borders) - 1:
            until = at + 1
            begin = int(self._places[borders[at]]) + 1
            while (
                until < len(borders) - 1
                and int(self._places[borders[until + 1]]) - begin <= SLICE_BYTES
            ):
                until += 1
            await self._take(
                made, begin, int(self._places[borders[until]]), borders[at] + 1, borders[until]
            )
            at = until
        return made

    async def _take(self, made: Any, start: int, end: int, first: int, last: int) -> None:
        """Adds the elements or members that stand from `start` to `end`."""
        part = self._body[start:end]
        if isinstance(made, list):
            if len(part) > SLICE_BYTES:
                made.append(await self.value(start, end, first, last))
                return
            found = _decode(b"[%b]" % part)
            if not found:
                raise msgspec.DecodeError("JSON is malformed: nothing between two commas")
            made.extend(found)
        elif len(part) > SLICE_BYTES:
            key = _KEY.match(part[:_LONGEST_NAME])
            if key is None:
                raise msgspec.DecodeError("JSON is malformed: a member without a name")
            made[_decode(key[1])] = await self.value(start + key.end(), end, first, last)
        else:
            found = _decode(b"{%b}" % part)
            if not found:
                raise msgspec.DecodeError("JSON is malformed: nothing between two commas")
            made.update(found)
        await asyncio.sleep(0)
