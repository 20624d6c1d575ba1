"""The Open Inference Protocol, version 2, over REST: what Triton, KServe and MLServer clients
speak.

Each raw column is an input `[N, 1]` under its own name; `prediction` is an output, with
`probabilities`, `decision` and the ids of the predictions beside it.
"""

import math
import re
from typing import Any

from msgspec import Struct

from headrace._version import __version__
from headrace.serve.api.predict import encode_predictions
from headrace.serve.api.tensors import Tensor, packed, values_of
from headrace.serve.http.messages import Problem, Reply, Request, encode, json_reply
from headrace.serve.models.batch import Prediction, Row
from headrace.serve.models.repository import ModelRoute
from headrace.serve.models.served import ServedModel
from headrace.serve.service import Endpoint, Service
from headrace.tables import Column

_HEADER_LENGTH = b"inference-header-content-length"
_DATATYPES = {"boolean": "BOOL", "number": "FP64", "integer": "INT64", "vector": "FP32"}
_MOST_DIMENSIONS = 8
_PLATFORM = "onnx_onnxruntime"


class OutputRequest(Struct):
    """An output that is asked for."""

    name: str
    parameters: dict[str, Any] = {}


class InferenceRequest(Struct):
    """The body of a request."""

    inputs: list[Tensor]
    id: str | None = None
    outputs: list[OutputRequest] | None = None
    parameters: dict[str, Any] = {}


async def metadata(service: Service, request: Request, path: str) -> Reply:
    """What `GET` tells: of the server, of its health, of a model."""
    if path.startswith("models"):
        service.allow(request, "predict")
    match path.rstrip("/").split("/"):
        case [""]:
            return json_reply(
                {"name": "headrace", "version": __version__, "extensions": ["binary_tensor_data"]}
            )
        case ["health", "live"]:
            return await live(service, request, path)
        case ["health", "ready"]:
            return await ready(service, request, path)
        case ["models", name] | ["models", name, "versions"]:
            return json_reply(_metadata(service, await _route(service, name, None)))
        case ["models", name, "ready"]:
            return json_reply(_readiness(await _route(service, name, None)))
        case ["models", name, "versions", version]:
            return json_reply(_metadata(service, await _route(service, name, version)))
        case ["models", name, "versions", version, "ready"]:
            return json_reply(_readiness(await _route(service, name, version)))
    raise Problem(404, "no_such_path", "There is nothing here", "see /docs")


async def infer(service: Service, request: Request, path: str) -> Reply:
    """Tensors to tensors."""
    match path.rstrip("/").split("/"):
        case ["models", name, "infer"]:
            version = None
        case ["models", name, "versions", version, "infer"]:
            pass
        case _:
            raise Problem(404, "no_such_path", "There is nothing here", "see /docs")
    service.batcher.admit()
    body = request.body
    route = await _route(service, name, version)
    length = _header_length(request, body)
    asked = await service.read(request, InferenceRequest, route.served, length)
    known = [one["name"] for one in outputs_of(route.served)]
    if odd := [one.name for one in asked.outputs or [] if one.name not in known]:
        found = f"{odd[0][:60]!r}; expected one of: {', '.join(known)}"
        raise Problem(400, "invalid_body", "There is no such output", found)
    if len(asked.outputs or []) > len(known):
        found = f"{len(asked.outputs or [])} of {len(known)}"
        raise Problem(400, "invalid_body", "Outputs are asked for more than once", found)
    most, most_values = service.settings.max_rows, service.most_values(route.served)
    rows = rows_of(asked.inputs, body[length:], route.served, most, most_values)
    ids, (complete, predictions) = await service.predict(route, route.served, rows, request)
    if route.buffer is not None:
        route.buffer.append(
            len(ids), encode(route.served.loggable(complete)), encode_predictions(ids, predictions)
        )
    return _replied(route, asked, ids, predictions)


def rows_of(
    inputs: list[Tensor], tail: bytes, served: ServedModel, most: int, most_values: int
) -> list[Row]:
    """Rows of raw columns: one input a column; raises `Problem` for inputs of different lengths, or
    of more rows or values than may be.
    """
    count_of_values = 0
    for one in inputs:
        if len(one.shape) > _MOST_DIMENSIONS:
            detail = f"input {one.name[:60]!r} has {len(one.shape)} dimensions; expected [N, 1]"
            raise Problem(400, "invalid_body", "The tensor cannot be read", detail)
        if one.shape and one.shape[0] > most:
            raise Problem(
                413, "too_many_rows", "There are too many rows", f"{one.shape[0]}, at most {most}"
            )
        count_of_values += math.prod(one.shape)
    if count_of_values > most_values:
        found = f"{count_of_values}, at most {most_values}"
        raise Problem(413, "too_many_rows", "There are too many values", found)
    widths = {
        column.name: column.width for column in served.predictor.columns if column.dtype == "vector"
    }
    for one in inputs:
        if one.name not in widths and math.prod(one.shape[1:]) != 1 and 0 not in one.shape:
            detail = f"input {one.name[:60]!r} has the shape {one.shape[:8]}; expected [N, 1]"
            raise Problem(400, "invalid_body", "The tensor cannot be read", detail)
    columns: dict[str, list[Any]] = {}
    count: int | None = None
    for name, (shape, values) in values_of(inputs, tail).items():
        rows = shape[0] if shape else 1
        if count is not None and rows != count:
            detail = f"input {name[:60]!r} has {rows} rows, those before it {count}"
            raise Problem(400, "invalid_body", "The inputs differ in length", detail)
        count = rows
        width = len(values) // rows if rows else 1
        wide = name in widths
        columns[name] = (
            [values[at * width : at * width + width] for at in range(rows)] if wide else values
        )
    names = list(columns)
    return [dict(zip(names, values, strict=True)) for values in zip(*columns.values(), strict=True)]


async def live(service: Service, request: Request, path: str) -> Reply:
    """Whether the service is there.

    Both answers hold both words: clients disagree on which they read where.
    """
    return json_reply({"live": True, "ready": service.ready})


async def ready(service: Service, request: Request, path: str) -> Reply:
    """Whether requests are taken."""
    return json_reply({"live": True, "ready": service.ready}, status=200 if service.ready else 503)


async def _route(service: Service, name: str, version: str | None) -> ModelRoute:
    return await service.route(name if version is None else f"{name.partition('@')[0]}@{version}")


def _readiness(route: ModelRoute) -> dict[str, Any]:
    return {"name": route.served.name, "ready": True}


def _header_length(request: Request, body: bytes) -> int:
    """How much of the body is JSON."""
    said = request.header(_HEADER_LENGTH)
    if said is None:
        return len(body)
    if not re.fullmatch("[0-9]{1,12}", said) or int(said) > len(body):
        detail = f"Inference-Header-Content-Length is {said[:40]!r} of {len(body)} bytes"
        raise Problem(400, "bad_header", "The body cannot be divided", detail)
    return int(said)


def _replied(
    route: ModelRoute, asked: InferenceRequest, ids: list[str], predictions: list[Prediction]
) -> Reply:
    served = route.served
    known = {one["name"]: one["datatype"] for one in outputs_of(served)}
    wanted = [OutputRequest(name) for name in known] if not asked.outputs else asked.outputs
    all_binary = bool(asked.parameters.get("binary_data_output"))
    tensors, tails = [], []
    for one in wanted:
        if one.name not in known:
            expected = ", ".join(known)
            raise Problem(
                400,
                "invalid_body",
                "There is no such output",
                f"{one.name[:60]!r}; expected one of: {expected}",
            )
        binary = bool(one.parameters.get("binary_data", all_binary))
        tensor, tail = packed(
            one.name, _values(served, one.name, ids, predictions), known[one.name], binary
        )
        tensors.append(tensor)
        tails.append(tail)
    document: dict[str, Any] = {"model_name": served.name, "model_version": str(served.version)}
    document |= {} if asked.id is None else {"id": asked.id}
    document["outputs"] = [_plain(tensor) for tensor in tensors]
    head = encode(document)
    if not any("binary_data_size" in tensor.parameters for tensor in tensors):
        return Reply(200, route.headers, head)
    headers = [(b"content-type", b"application/octet-stream"), *route.headers[1:]]
    return Reply(
        200, [*headers, (_HEADER_LENGTH, str(len(head)).encode())], b"".join([head, *tails])
    )


def _plain(tensor: Tensor) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "name": tensor.name,
        "shape": tensor.shape,
        "datatype": tensor.datatype,
    }
    return metadata | (
        {"parameters": tensor.parameters} if tensor.data is None else {"data": tensor.data}
    )


def _values(
    served: ServedModel, output: str, ids: list[str], predictions: list[Prediction]
) -> list[list[Any]]:
    if output == "prediction_id":
        return [[id_] for id_ in ids]
    if output == "probabilities":
        return [[one[output][label] for label in served.predictor.classes] for one in predictions]
    return [[one[output]] for one in predictions]


def _metadata(service: Service, route: ModelRoute) -> dict[str, Any]:
    served = route.served
    return {
        "name": served.name,
        "versions": [str(version) for version in service.repository.versions(served.name)],
        "platform": _PLATFORM,
        "inputs": [
            {"name": column.name, "datatype": datatype_of(column), "shape": [-1, column.width or 1]}
            for column in served.inputs
        ],
        "outputs": outputs_of(served),
    }


def datatype_of(column: Column) -> str:
    """The tensor type of a raw column: text and times are text."""
    return _DATATYPES.get(column.dtype, "BYTES")


def outputs_of(served: ServedModel) -> list[dict[str, Any]]:
    """The outputs of a model."""
    predictor = served.predictor
    outputs = [("prediction", "BYTES" if predictor.is_multiclass else "FP64", 1)]
    if predictor.is_multiclass:
        outputs.append(("probabilities", "FP64", len(predictor.classes)))
    elif predictor.decides:
        outputs.append(("decision", "BYTES", 1))
    outputs.append(("prediction_id", "BYTES", 1))
    return [
        {"name": name, "datatype": datatype, "shape": [-1, width]}
        for name, datatype, width in outputs
    ]


METADATA = Endpoint("v2", "GET", None, metadata)
INFER = Endpoint("infer", "POST", "predict", infer)
ROUTES = {
    "/v2": [METADATA],
    "/v2/": [METADATA, INFER],
    "/health/live": [Endpoint("health", "GET", None, live)],
    "/health/ready": [Endpoint("health", "GET", None, ready)],
}
