"""Tensors of the Open Inference Protocol to lists of values and back.

The values of a tensor are in the JSON of a body, or as bytes behind it, in the order of the
tensors:

    {"inputs": [{"name": "fare", "shape": [2, 1], "datatype": "FP64", "data": [9.5, 4.0]}]}

    {"inputs": [{"name": "fare", "shape": [2, 1], "datatype": "FP64",
                 "parameters": {"binary_data_size": 16}},
                {"name": "city", "shape": [2, 1], "datatype": "BYTES",
                 "parameters": {"binary_data_size": 14}}]}
    | 8 bytes: 9.5 | 8 bytes: 4.0 | 3 0 0 0 | o s l | 3 0 0 0 | r i o |

Numbers are little-endian, and each text of `BYTES` follows its length in four bytes.

The protocol and its extension for binary tensors:
https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md
and
https://docs.nvidia.com/deeplearning/triton-inference-server/user-guide/docs/protocol/extension_binary_data.html
"""

import base64
import binascii
import math
import struct
from itertools import chain
from typing import Any

import numpy as np
from msgspec import Struct, field

from headrace.serve.http.messages import Problem

NUMPY: dict[str, str] = {
    "BOOL": "?",
    "UINT8": "<u1", "UINT16": "<u2", "UINT32": "<u4", "UINT64": "<u8",
    "INT8": "<i1", "INT16": "<i2", "INT32": "<i4", "INT64": "<i8",
    "FP16": "<f2", "FP32": "<f4", "FP64": "<f8",
}  # fmt: skip
"""The datatypes of tensors, without `BYTES`, which is text."""
_LENGTH_BYTES = 4


class Tensor(Struct):
    """A tensor as it is sent: its values in `data`, or `binary_data_size` bytes behind the JSON."""

    name: str
    shape: list[int]
    datatype: str
    data: Any = None
    parameters: dict[str, Any] = field(default_factory=dict)


def decode_tensors(tensors: list[Tensor], tail: bytes) -> dict[str, tuple[list[int], list[Any]]]:
    """Return the shape and the flat values of each tensor, by its name.

    `tail` are the bytes behind the JSON. Raises `Problem` for a tensor that does not fit its shape
    or its datatype, and for bytes that belong to no tensor.

    >>> decode_tensors([Tensor("fare", [2, 1], "FP64", [[9.5], [4.0]])], b"")
    {'fare': ([2, 1], [9.5, 4.0])}
    """
    decoded: dict[str, tuple[list[int], list[Any]]] = {}
    at = 0
    for tensor in tensors:
        size = tensor.parameters.get("binary_data_size")
        if size is None:
            values = _read_data(tensor)
        else:
            if not isinstance(size, int) or size < 0 or at + size > len(tail):
                expected = f"at most the {len(tail) - at} bytes that are left"
                raise _build_problem(tensor, "binary_data_size", expected)
            values = _read_bytes(tensor, tail[at : at + size])
            at += size

        if any(length < 0 for length in tensor.shape) or math.prod(tensor.shape) != len(values):
            found = f"{len(values)} values of shape {tensor.shape}"
            raise _build_problem(tensor, found, "as many as the shape says")
        if tensor.name in decoded:
            raise _build_problem(tensor, "a second tensor of this name", "one")
        decoded[tensor.name] = (tensor.shape, values)

    if at < len(tail):
        detail = f"{len(tail) - at} bytes belong to no tensor"
        raise Problem(400, "invalid_body", "The body cannot be read", detail)
    return decoded


def encode_tensor(name: str, values: Any, datatype: str, binary: bool) -> tuple[Tensor, bytes]:
    """Return a tensor of values `(N, K)`, and the bytes of them that follow the JSON.

    There are no such bytes without `binary`.

    >>> tensor, tail = encode_tensor("city", [["oslo"]], "BYTES", binary=True)
    >>> tensor.shape, tensor.parameters, tail
    ([1, 1], {'binary_data_size': 8}, b'\\x04\\x00\\x00\\x00oslo')
    """
    shape = [len(values), len(values[0]) if values else 1]
    flat = list(chain.from_iterable(values))
    if not binary:
        return Tensor(name, shape, datatype, flat), b""
    if datatype == "BYTES":
        texts = [str(value).encode() for value in flat]
        data = b"".join(struct.pack("<I", len(text)) + text for text in texts)
    else:
        data = np.array(flat, NUMPY[datatype]).tobytes()
    return Tensor(name, shape, datatype, None, {"binary_data_size": len(data)}), data


def _read_data(tensor: Tensor) -> list[Any]:
    """Return the flat values of a tensor in JSON, which may be lists of lists."""
    if not isinstance(tensor.data, list):
        raise _build_problem(tensor, "no data", "a list")
    values: list[Any] = tensor.data
    while values and isinstance(values[0], list):
        if not all(isinstance(value, list) for value in values):
            raise _build_problem(tensor, "lists beside values", "one of the two")
        values = list(chain.from_iterable(values))

    if tensor.datatype not in NUMPY and tensor.datatype != "BYTES":
        raise _build_datatype_problem(tensor)
    if tensor.parameters.get("content_type") != "base64":
        return values
    try:
        return [None if value is None else _decode_base64(value) for value in values]
    except (binascii.Error, TypeError, ValueError):
        raise _build_problem(tensor, "a value", "text as base64") from None


def _decode_base64(value: Any) -> str:
    """Return the text in a base64 value, as MLServer's clients send it."""
    return base64.b64decode(value, validate=True).decode()


def _read_bytes(tensor: Tensor, data: bytes) -> list[Any]:
    """Return the flat values of a tensor in bytes."""
    if tensor.datatype == "BYTES":
        return _read_texts(tensor, data)
    if tensor.datatype not in NUMPY:
        raise _build_datatype_problem(tensor)
    dtype = np.dtype(NUMPY[tensor.datatype])
    if len(data) != dtype.itemsize * math.prod(tensor.shape):
        found = f"{len(data)} bytes for the shape {tensor.shape[:8]}"
        raise _build_problem(tensor, found, f"{dtype.itemsize} for each value")
    values: list[Any] = np.frombuffer(data, dtype).tolist()
    return values


def _read_texts(tensor: Tensor, data: bytes) -> list[str]:
    """Return the texts of a tensor in bytes, each of which follows its length."""
    texts: list[str] = []
    max_texts = math.prod(tensor.shape)
    at = 0
    while at < len(data):
        # Checked before each text: the bytes of a body may hold millions of empty ones.
        if len(texts) == max_texts:
            found = f"more than {max_texts} texts"
            raise _build_problem(tensor, found, "as many as the shape says")

        begin = at + _LENGTH_BYTES
        end = begin + int.from_bytes(data[at:begin], "little")
        if end > len(data):
            expected = "four bytes of length before each"
            raise _build_problem(tensor, "a text that is cut off", expected)
        try:
            texts.append(data[begin:end].decode())
        except UnicodeDecodeError:
            raise _build_problem(tensor, "bytes that are no text", "UTF-8") from None
        at = end
    return texts


def _build_problem(tensor: Tensor, found: str, expected: str) -> Problem:
    """Build the problem of a tensor that cannot be read."""
    detail = f"input {tensor.name[:60]!r}: {found}; expected {expected}"
    return Problem(400, "invalid_body", "The tensor cannot be read", detail)


def _build_datatype_problem(tensor: Tensor) -> Problem:
    """Build the problem of a datatype that does not exist."""
    expected = "one of: BYTES, " + ", ".join(NUMPY)
    return _build_problem(tensor, f"the type {tensor.datatype}", expected)
