"""The Open Inference Protocol, version 2, over REST: Triton, KServe and MLServer clients speak it.

Each raw column is an input `[N, 1]` under its own name; a vector is one of `[N, width]`. The
outputs are `prediction`, `prediction_id` and, as the task has them, `probabilities` or `decision`.

    GET   /v2, /v2/health/live, /v2/health/ready
    GET   /v2/models/MODEL, /v2/models/MODEL/versions/VERSION, each also with /ready
    POST  /v2/models/MODEL/infer, /v2/models/MODEL/versions/VERSION/infer

    {"inputs": [{"name": "fare", "shape": [2, 1], "datatype": "FP64", "data": [9.5, 4.0]}, …]}
    ──> {"model_name": "taxi", "model_version": "7",
         "outputs": [{"name": "prediction", "shape": [2, 1], "datatype": "FP64", "data": […]}, …]}
"""

import math
import re
from typing import Any

from msgspec import Struct

from headrace._version import __version__
from headrace.serve.api.answer import Answered, answer_rows
from headrace.serve.api.tensors import Tensor, decode_tensors, encode_tensor
from headrace.serve.http.messages import Problem, Reply, Request, encode, json_reply
from headrace.serve.models.arms import ModelRoute
from headrace.serve.models.batch import Prediction, Row
from headrace.serve.models.served import ServedModel
from headrace.serve.service import Endpoint, Service
from headrace.tables import Column

_HEADER_LENGTH = b"inference-header-content-length"
"""The header with the number of bytes of JSON in a body; the bytes of tensors follow."""
_DATATYPES = {"boolean": "BOOL", "number": "FP64", "integer": "INT64", "vector": "FP32"}
_MAX_DIMENSIONS = 8
_PLATFORM = "onnx_onnxruntime"


class OutputRequest(Struct):
    """An output that a request wants; `binary_data` in `parameters` asks for it as bytes."""

    name: str
    parameters: dict[str, Any] = {}


class InferenceRequest(Struct):
    """The body of a request: its inputs, and the outputs that it wants."""

    inputs: list[Tensor]
    id: str | None = None
    outputs: list[OutputRequest] | None = None
    parameters: dict[str, Any] = {}


async def describe(service: Service, request: Request, path: str) -> Reply:
    """Describe the server, its health, or a model, as the path below `/v2` asks."""
    if path.startswith("models"):
        service.check_scope(request, "predict")
    match path.rstrip("/").split("/"):
        case [""]:
            extensions = ["binary_tensor_data"]
            return json_reply(
                {"name": "headrace", "version": __version__, "extensions": extensions}
            )
        case ["health", "live"]:
            return await report_live(service, request, path)
        case ["health", "ready"]:
            return await report_ready(service, request, path)
        case ["models", name] | ["models", name, "versions"]:
            return json_reply(_describe_model(service, await _find_route(service, name, None)))
        case ["models", name, "ready"]:
            return json_reply(_describe_readiness(await _find_route(service, name, None)))
        case ["models", name, "versions", version]:
            return json_reply(_describe_model(service, await _find_route(service, name, version)))
        case ["models", name, "versions", version, "ready"]:
            return json_reply(_describe_readiness(await _find_route(service, name, version)))
    raise Problem(404, "no_such_path", "There is nothing here", "see /docs")


async def infer(service: Service, request: Request, path: str) -> Reply:
    """Predict the rows in tensors, and return the predictions as tensors."""
    match path.rstrip("/").split("/"):
        case ["models", name, "infer"]:
            version = None
        case ["models", name, "versions", version, "infer"]:
            pass
        case _:
            raise Problem(404, "no_such_path", "There is nothing here", "see /docs")
    # A refusal costs less before the body is read.
    service.batcher.admit()
    route = await _find_route(service, name, version)
    served = route.served

    length = _read_json_length(request)
    body = await service.read_body(request, InferenceRequest, served, length)
    outputs = _choose_outputs(body, served)
    max_rows = service.settings.max_rows
    max_values = service.count_max_values(served)
    rows = build_rows(body.inputs, request.body[length:], served, max_rows, max_values)

    answered = await answer_rows(service, route, rows, request)
    return _build_reply(answered, body, outputs)


def build_rows(
    inputs: list[Tensor], tail: bytes, served: ServedModel, max_rows: int, max_values: int
) -> list[Row]:
    """Build rows from one input for each column.

    Parameters:
        inputs: the tensors, with their values or without.
        tail: the bytes behind the JSON, for tensors without values.
        served: the model; its columns of vectors take `[N, width]`, all others `[N, 1]`.
        max_rows: the rows that a request may have.
        max_values: the values that all inputs may have together.

    Raises `Problem` for inputs of different lengths, or for too many rows or values.
    """
    _check_sizes(inputs, max_rows, max_values)
    vectors = {column.name for column in served.predictor.columns if column.dtype == "vector"}
    for tensor in inputs:
        shape = tensor.shape
        if tensor.name not in vectors and math.prod(shape[1:]) != 1 and 0 not in shape:
            found = f"the shape {shape[:8]}"
            raise _build_tensor_problem(tensor, found)

    columns: dict[str, list[Any]] = {}
    count: int | None = None
    for name, (shape, values) in decode_tensors(inputs, tail).items():
        rows = shape[0] if shape else 1
        if count is not None and rows != count:
            detail = f"input {name[:60]!r} has {rows} rows, those before it {count}"
            raise Problem(400, "invalid_body", "The inputs differ in length", detail)
        count = rows
        columns[name] = _split(values, rows) if name in vectors else values

    names = list(columns)
    return [dict(zip(names, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _check_sizes(inputs: list[Tensor], max_rows: int, max_values: int) -> None:
    """Raise `Problem` for inputs that are too large, before their values are built."""
    count = 0
    for tensor in inputs:
        # A product of many lengths would be a number of thousands of digits.
        if len(tensor.shape) > _MAX_DIMENSIONS:
            raise _build_tensor_problem(tensor, f"{len(tensor.shape)} dimensions")
        if tensor.shape and tensor.shape[0] > max_rows:
            detail = f"{tensor.shape[0]}, at most {max_rows}"
            raise Problem(413, "too_many_rows", "There are too many rows", detail)
        count += math.prod(tensor.shape)
    if count > max_values:
        detail = f"{count}, at most {max_values}"
        raise Problem(413, "too_many_rows", "There are too many values", detail)


def _build_tensor_problem(tensor: Tensor, found: str) -> Problem:
    """Build the problem of an input that is no column of values."""
    detail = f"input {tensor.name[:60]!r} has {found}; expected [N, 1]"
    return Problem(400, "invalid_body", "The tensor cannot be read", detail)


def _split(values: list[Any], rows: int) -> list[list[Any]]:
    """Split the flat values of vectors into one list for each row.

    >>> _split([1, 2, 3, 4], 2)
    [[1, 2], [3, 4]]
    """
    width = len(values) // rows if rows else 1
    return [values[row * width : row * width + width] for row in range(rows)]


async def report_live(service: Service, request: Request, path: str) -> Reply:
    """Say that the service runs.

    This reply and that of `report_ready` have both words: clients disagree on which word they read
    in which reply.
    """
    return json_reply({"live": True, "ready": service.ready})


async def report_ready(service: Service, request: Request, path: str) -> Reply:
    """Say whether requests are taken: 503 where they are not."""
    return json_reply({"live": True, "ready": service.ready}, status=200 if service.ready else 503)


async def _find_route(service: Service, name: str, version: str | None) -> ModelRoute:
    """Return the route to a model; a version replaces an alias in its name."""
    if version is None:
        return await service.find_route(name)
    return await service.find_route(f"{name.partition('@')[0]}@{version}")


def _read_json_length(request: Request) -> int:
    """Return how many bytes of the body are JSON; raises `Problem` for a bad header."""
    text = request.header(_HEADER_LENGTH)
    size = len(request.body)
    if text is None:
        return size
    if not re.fullmatch("[0-9]{1,12}", text) or int(text) > size:
        detail = f"Inference-Header-Content-Length is {text[:40]!r}, the body has {size} bytes"
        raise Problem(400, "bad_header", "The length of the JSON part is not valid", detail)
    return int(text)


def _choose_outputs(body: InferenceRequest, served: ServedModel) -> list[OutputRequest]:
    """Return the outputs that a request wants: all of them where it names none.

    Raises `Problem` for an output that the model does not have, and for repeated ones.
    """
    known = [output["name"] for output in list_outputs(served)]
    wanted = body.outputs or []
    for output in wanted:
        if output.name not in known:
            detail = f"{output.name[:60]!r}; expected one of: {', '.join(known)}"
            raise Problem(400, "invalid_body", "There is no such output", detail)
    if len(wanted) > len(known):
        detail = f"{len(wanted)} of {len(known)}"
        raise Problem(400, "invalid_body", "An output is requested more than once", detail)
    return wanted or [OutputRequest(name) for name in known]


def _build_reply(answered: Answered, body: InferenceRequest, outputs: list[OutputRequest]) -> Reply:
    """Build the reply: JSON, and behind it the bytes of outputs that are wanted so."""
    served = answered.routes[0].served
    datatypes = {output["name"]: output["datatype"] for output in list_outputs(served)}
    all_binary = bool(body.parameters.get("binary_data_output"))
    tensors: list[dict[str, Any]] = []
    tails: list[bytes] = []
    has_binary = False
    if len(answered.routes) > 1:
        # Rows of several arms: each says who answered it.
        outputs = [*outputs, OutputRequest("version"), OutputRequest("arm")]
        datatypes |= {"version": "INT64", "arm": "BYTES"}
    for output in outputs:
        values = _list_values(served, output.name, answered.ids, answered.predictions)
        binary = bool(output.parameters.get("binary_data", all_binary))
        tensor, tail = encode_tensor(output.name, values, datatypes[output.name], binary)
        tensors.append(_encode_output(tensor))
        tails.append(tail)
        has_binary = has_binary or binary

    document: dict[str, Any] = {"model_name": served.name, "model_version": answered.versions}
    if body.id is not None:
        document["id"] = body.id
    document["outputs"] = tensors
    head = encode(document)
    if not has_binary:
        return Reply(200, answered.headers, head)
    headers = [
        (b"content-type", b"application/octet-stream"),
        *answered.headers[1:],
        (_HEADER_LENGTH, str(len(head)).encode()),
    ]
    return Reply(200, headers, b"".join([head, *tails]))


def _encode_output(tensor: Tensor) -> dict[str, Any]:
    """Return a tensor as JSON has it: with its values, or with how many bytes they are."""
    output: dict[str, Any] = {
        "name": tensor.name,
        "shape": tensor.shape,
        "datatype": tensor.datatype,
    }
    if tensor.data is None:
        output["parameters"] = tensor.parameters
    else:
        output["data"] = tensor.data
    return output


def _list_values(
    served: ServedModel, output: str, ids: list[str], predictions: list[Prediction]
) -> list[list[Any]]:
    """Return the values of an output, `(N, K)`."""
    if output == "prediction_id":
        return [[id_] for id_ in ids]
    if output == "probabilities":
        classes = served.predictor.classes
        return [[prediction[output][label] for label in classes] for prediction in predictions]
    return [[prediction[output]] for prediction in predictions]


def _describe_readiness(route: ModelRoute) -> dict[str, Any]:
    """Describe a model that is ready: one that is not has no route."""
    return {"name": route.served.name, "ready": True}


def _describe_model(service: Service, route: ModelRoute) -> dict[str, Any]:
    """Describe the versions, inputs and outputs of a model."""
    served = route.served
    return {
        "name": served.name,
        "versions": [str(version) for version in service.repository.list_versions(served.name)],
        "platform": _PLATFORM,
        "inputs": [_describe_input(column) for column in served.inputs],
        "outputs": list_outputs(served),
    }


def _describe_input(column: Column) -> dict[str, Any]:
    """Describe the input of a raw column."""
    shape = [-1, column.width or 1]
    return {"name": column.name, "datatype": find_datatype(column), "shape": shape}


def find_datatype(column: Column) -> str:
    """Return the datatype of a raw column's tensor: text and times are text."""
    return _DATATYPES.get(column.dtype, "BYTES")


def list_outputs(served: ServedModel) -> list[dict[str, Any]]:
    """Describe the outputs of a model, in the order of replies."""
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


DESCRIBE = Endpoint("v2", "GET", None, describe)
INFER = Endpoint("infer", "POST", "predict", infer)
ROUTES = {
    "/v2": [DESCRIBE],
    "/v2/": [DESCRIBE, INFER],
    "/health/live": [Endpoint("health", "GET", None, report_live)],
    "/health/ready": [Endpoint("health", "GET", None, report_ready)],
}
