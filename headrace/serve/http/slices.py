"""Large JSON bodies, decoded in slices: no other request waits for one.

A decoder of JSON does not let others run: sixteen megabytes would stop all requests for seconds,
and become gigabytes of objects. So a large body is read in two steps. NumPy finds the signs that
separate values, a megabyte at a time, and counts them, before any value is built. Then the elements
between two signs are decoded together, some hundred kilobytes at a time.

    body     [ { " a " : 1 , " b " : [ 2 , 3 ] } , 4 ]
    signs    [ {           ,         [   ,   ] } ,   ]
    depths   1 2           2         3   3   3 2 1   1

A comma belongs to the list or object around it, and a bracket to the list that it opens or closes:
the commas of the outer list are those of depth 1. They cut it into `{…}` and `4`.
"""

import asyncio
import re
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from headrace.serve.http.messages import Problem

WHOLE_BYTES = 1 << 20
"""Bodies up to this size are decoded at once, which takes some milliseconds."""
SLICE_BYTES = 128 << 10
"""Larger bodies are decoded in slices of this size."""
MAX_VALUE_BYTES = 2 << 20
"""Bytes of a single text, which cannot be cut: decoding what is escaped in it takes its time."""
_SCAN_BYTES = 1 << 20
_MAX_DEPTH = 64
_MAX_NAME_BYTES = 16 << 10
_NAME = re.compile(rb'\s*("(?:[^"\\]|\\.)*")\s*:', re.DOTALL)
_decode = msgspec.json.Decoder().decode

_QUOTE = 0x22
_COMMA = 0x2C
_LINE_FEED = 0x0A
_OPEN_BRACKET = 0x5B
_CLOSE_BRACKET = 0x5D
_OPEN_BRACE = 0x7B
_CLOSE_BRACE = 0x7D
_CLOSING = {_OPEN_BRACKET: _CLOSE_BRACKET, _OPEN_BRACE: _CLOSE_BRACE}


class _Signs(NamedTuple):
    """The brackets, braces and commas outside of strings, arrays `(N,)` in the order of the text.

    `places` are their offsets in bytes, `letters` the bytes themselves, and `depths` say how many
    lists and objects are open around each (see the drawing above).
    """

    places: npt.NDArray[Any]
    letters: npt.NDArray[Any]
    depths: npt.NDArray[Any]


async def decode_in_slices(body: bytes, max_values: int) -> Any:
    """Decode a JSON text as `msgspec.json.decode` does, and let others run on the way.

    Raises `Problem` (413) for more than `max_values` values, before they are built, and
    `msgspec.DecodeError` for a body that is not JSON.
    """
    signs = await _find_signs(body, max_values)
    return await _Text(body, signs).decode(0, len(body), 0, len(signs.places))


async def measure_csv(body: bytes) -> tuple[int, int]:
    r"""Return how many rows a CSV has below its header, and how many columns the header has.

    Commas and line feeds in quotes do not count.

    >>> asyncio.run(measure_csv(b'a,b\n1,"x,\n"\n2,y'))
    (2, 2)
    """
    lines = 0
    columns = 1
    is_quoted = False
    in_header = True
    for start in range(0, len(body), _SCAN_BYTES):
        letters = np.frombuffer(body, np.uint8, min(_SCAN_BYTES, len(body) - start), start)
        outside, is_quoted = _find_outside(letters, is_quoted)
        breaks = np.flatnonzero((letters == _LINE_FEED) & outside)
        if in_header:
            end = int(breaks[0]) if len(breaks) else len(letters)
            columns += int(np.count_nonzero((letters[:end] == _COMMA) & outside[:end]))
            in_header = not len(breaks)
        lines += len(breaks)
        await asyncio.sleep(0)

    has_open_line = bool(body) and not body.endswith(b"\n")
    return max(lines - 1 + has_open_line, 0), columns


def _find_outside(letters: npt.NDArray[Any], is_quoted: bool) -> tuple[npt.NDArray[Any], bool]:
    """Return a mask of the letters outside of quotes, and whether the last one is inside.

    `is_quoted` says whether the first letter continues a quoted text.
    """
    quotes = np.cumsum(letters == _QUOTE, dtype=np.uint32) + np.uint32(is_quoted)
    return (quotes & 1) == 0, bool(quotes[-1] & 1)


async def _find_signs(body: bytes, max_values: int) -> _Signs:
    """Find the signs of a JSON text, a megabyte at a time.

    Raises `Problem` (413) for more signs than so many values have, and `msgspec.DecodeError` for
    lists that are nested too deep or closed too often.

    >>> signs = asyncio.run(_find_signs(b'[{"a":1,"b":[2,3]},4]', 10))
    >>> signs.letters.tobytes(), signs.depths.tolist()
    (b'[{,[,]},]', [1, 2, 2, 3, 3, 3, 2, 1, 1])
    """
    places: list[npt.NDArray[Any]] = []
    start = 0
    is_quoted = False
    count = 0
    while start < len(body):
        part, end = _cut(body, start)
        letters = np.frombuffer(part, np.uint8)
        outside, is_quoted = _find_outside(letters, is_quoted)
        # `{` is `[` with the bit 0x20, and `}` is `]` with it.
        lowered = letters | 0x20
        is_bracket = (lowered == _OPEN_BRACE) | (lowered == _CLOSE_BRACE)
        found = np.flatnonzero((is_bracket | (letters == _COMMA)) & outside)

        # A value has at most one comma, and a list or an object two brackets.
        count += len(found)
        if count > 2 * max_values:
            detail = f"at most {max_values}"
            raise Problem(413, "too_many_rows", "There are too many values", detail)
        places.append(found + start)
        start = end
        await asyncio.sleep(0)
    return _measure_depths(body, np.concatenate(places) if places else np.empty(0, np.int64))


def _cut(body: bytes, start: int) -> tuple[bytes, int]:
    """Cut a part to scan from a body, without escaped quotes; return it with its end."""
    end = min(start + _SCAN_BYTES, len(body))
    part = body[start:end]
    # A backslash and the letter that it escapes stay in one part.
    if (len(part) - len(part.rstrip(b"\\"))) % 2:
        end += 1
        part = body[start:end]
    if b"\\" in part:
        part = part.replace(rb"\\", b"__").replace(rb"\"", b"__")
    return part, end


def _measure_depths(body: bytes, places: npt.NDArray[Any]) -> _Signs:
    """Return the signs at these places, with their letters and their depths."""
    letters = np.frombuffer(body, np.uint8)[places]
    closes = (letters == _CLOSE_BRACKET) | (letters == _CLOSE_BRACE)
    opens = (letters == _OPEN_BRACKET) | (letters == _OPEN_BRACE)
    depths = np.cumsum(opens.astype(np.int32) - closes.astype(np.int32))
    if len(depths) and (depths.max() > _MAX_DEPTH or depths.min() < 0):
        raise msgspec.DecodeError("JSON is malformed: nested too deeply, or closed too often")
    # A closing bracket counts as deep as the bracket that it closes.
    return _Signs(places, letters, depths + closes)


class _Text:
    """A JSON text with its signs, decoded piece by piece."""

    def __init__(self, body: bytes, signs: _Signs) -> None:
        self._body = body
        self._places, self._letters, self._depths = signs

    async def decode(self, start: int, end: int, first: int, last: int) -> Any:
        """Decode the value in the bytes `start` to `end`, whose signs are `first` to `last`."""
        if first == last and end - start > MAX_VALUE_BYTES:
            detail = f"{end - start} bytes, at most {MAX_VALUE_BYTES}"
            raise Problem(413, "too_large", "A value is too large", detail)
        if (
            end - start <= SLICE_BYTES
            or first == last
            or int(self._letters[first]) not in (_OPEN_BRACKET, _OPEN_BRACE)
        ):
            await asyncio.sleep(0)
            return _decode(self._body[start:end])

        self._check_brackets(start, end, first, last)
        opens = int(self._places[first])
        closes = int(self._places[last - 1])
        container: Any = [] if self._letters[first] == _OPEN_BRACKET else {}
        commas = self._find_commas(first, last)
        if not commas and not self._body[opens + 1 : closes].strip():
            return container

        # Each slice goes as far as SLICE_BYTES allow, but at least to the next comma.
        borders = [first, *commas, last - 1]
        at = 0
        while at < len(borders) - 1:
            begin = int(self._places[borders[at]]) + 1
            until = at + 1
            while (
                until < len(borders) - 1
                and int(self._places[borders[until + 1]]) - begin <= SLICE_BYTES
            ):
                until += 1
            stop = int(self._places[borders[until]])
            await self._decode_into(container, begin, stop, borders[at] + 1, borders[until])
            at = until
        return container

    def _check_brackets(self, start: int, end: int, first: int, last: int) -> None:
        """Raise `DecodeError` if the bytes are no single list or object, blanks aside."""
        opens = int(self._places[first])
        closes = int(self._places[last - 1])
        if (
            self._body[start:opens].strip()
            or self._body[closes + 1 : end].strip()
            or self._body[closes] != _CLOSING[int(self._letters[first])]
            or self._depths[last - 1] != self._depths[first]
        ):
            raise msgspec.DecodeError("JSON is malformed: brackets that do not match")

    def _find_commas(self, first: int, last: int) -> list[int]:
        """Find the commas between the elements of a list, or the members of an object."""
        inner = slice(first + 1, last - 1)
        is_own = self._depths[inner] == self._depths[first]
        commas: list[int] = (
            np.flatnonzero(is_own & (self._letters[inner] == _COMMA)) + first + 1
        ).tolist()
        return commas

    async def _decode_into(
        self, container: Any, start: int, end: int, first: int, last: int
    ) -> None:
        """Decode the elements or members in the bytes `start` to `end`, and add them."""
        part = self._body[start:end]
        if len(part) > SLICE_BYTES:
            await self._decode_large(container, part, start, first, last)
            return

        # A slice begins and ends between elements: it lacks the brackets around them.
        is_list = isinstance(container, list)
        found = _decode(b"[%b]" % part if is_list else b"{%b}" % part)
        if not found:
            raise msgspec.DecodeError("JSON is malformed: nothing between two commas")
        if is_list:
            container.extend(found)
        else:
            container.update(found)
        await asyncio.sleep(0)

    async def _decode_large(
        self, container: Any, part: bytes, start: int, first: int, last: int
    ) -> None:
        """Decode a single element or member that is larger than a slice, and add it."""
        end = start + len(part)
        if isinstance(container, list):
            container.append(await self.decode(start, end, first, last))
            return
        name = _NAME.match(part[:_MAX_NAME_BYTES])
        if name is None:
            raise msgspec.DecodeError("JSON is malformed: a member without a name")
        value = await self.decode(start + name.end(), end, first, last)
        container[_decode(name[1])] = value
