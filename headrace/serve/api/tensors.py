"""Tensors of the Open Inference Protocol, as JSON or as bytes behind it, to lists of values and
back.

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
    "BOOL": "?", "UINT8": "<u1", "UINT16": "<u2", "UINT32": "<u4", "UINT64": "<u8", "INT8": "<i1", "INT16": "<i2",
    "INT32": "<i4", "INT64": "<i8", "FP16": "<f2", "FP32": "<f4", "FP64": "<f8",
}  # fmt: skip
"""The types of tensors but `BYTES`: text."""


class Tensor(Struct):
    """A tensor as it is sent and answered: its values in `data`, or `binary_data_size` bytes behind the JSON."""

    name: str
    shape: list[int]
    datatype: str
    data: Any = None
    parameters: dict[str, Any] = field(default_factory=dict)


def values_of(tensors: list[Tensor], tail: bytes) -> dict[str, tuple[list[int], list[Any]]]:
    """The shape and the flat values of each tensor; `tail` is what stands behind the JSON.

    Raises `Problem` for what is no such tensor.
    """
    found, at = {}, 0
    for tensor in tensors:
        size = tensor.parameters.get("binary_data_size")
        if size is None:
            values = _listed(tensor)
        else:
            if not isinstance(size, int) or size < 0 or at + size > len(tail):
                raise _bad(
                    tensor, "binary_data_size", f"at most the {len(tail) - at} bytes that are left"
                )
            values = _unpacked(tensor, tail[at : at + size])
            at += size
        if any(length < 0 for length in tensor.shape) or math.prod(tensor.shape) != len(values):
            raise _bad(
                tensor, f"{len(values)} values of shape {tensor.shape}", "as many as the shape says"
            )
        if tensor.name in found:
            raise _bad(tensor, "a second tensor of this name", "one")
        found[tensor.name] = (tensor.shape, values)
    if at < len(tail):
        raise Problem(
            400,
            "invalid_body",
            "The body cannot be read",
            f"{len(tail) - at} bytes belong to no tensor",
        )
    return found


def packed(name: str, values: Any, datatype: str, binary: bool) -> tuple[Tensor, bytes]:
    """A tensor of `(N, K)` values, and the bytes of them that stand behind the JSON, where it is to be sent so."""
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


def _listed(tensor: Tensor) -> list[Any]:
    """Values in JSON may stand in lists of lists."""
    if not isinstance(tensor.data, list):
        raise _bad(tensor, "no data", "a list")
    values: list[Any] = tensor.data
    while values and isinstance(values[0], list):
        if not all(isinstance(one, list) for one in values):
            raise _bad(tensor, "lists beside values", "one of the two")
        values = list(chain.from_iterable(values))
    if tensor.datatype not in NUMPY and tensor.datatype != "BYTES":
        raise _bad(tensor, f"the type {tensor.datatype}", "one of: BYTES, " + ", ".join(NUMPY))
    if tensor.parameters.get("content_type") == "base64":
        try:
            return [
                None if one is None else base64.b64decode(one, validate=True).decode()
                for one in values
            ]
        except (binascii.Error, TypeError, ValueError):
            raise _bad(tensor, "a value", "text as base64") from None
    return values


def _unpacked(tensor: Tensor, data: bytes) -> list[Any]:
    if tensor.datatype == "BYTES":
        return _texts(tensor, data)
    if tensor.datatype not in NUMPY:
        raise _bad(tensor, f"the type {tensor.datatype}", "one of: BYTES, " + ", ".join(NUMPY))
    dtype = np.dtype(NUMPY[tensor.datatype])
    if len(data) != dtype.itemsize * math.prod(tensor.shape):
        raise _bad(
            tensor,
            f"{len(data)} bytes for the shape {tensor.shape[:8]}",
            f"{dtype.itemsize} for each value",
        )
    values: list[Any] = np.frombuffer(data, dtype).tolist()
    return values


def _texts(tensor: Tensor, data: bytes) -> list[str]:
    texts: list[str] = []
    at, most = 0, math.prod(tensor.shape)
    while at < len(data):
        if len(texts) == most:
            raise _bad(tensor, f"more than {most} texts", "as many as the shape says")
        if at + 4 > len(data) or at + 4 + (size := struct.unpack_from("<I", data, at)[0]) > len(
            data
        ):
            raise _bad(tensor, "a text that is cut off", "four bytes of length before each")
        try:
            texts.append(data[at + 4 : at + 4 + size].decode())
        except UnicodeDecodeError:
            raise _bad(tensor, "bytes that are no text", "UTF-8") from None
        at += 4 + size
    return texts


def _bad(tensor: Tensor, found: str, expected: str) -> Problem:
    detail = f"input {tensor.name[:60]!r}: {found}; expected {expected}"
    return Problem(400, "invalid_body", "The tensor cannot be read", detail)
