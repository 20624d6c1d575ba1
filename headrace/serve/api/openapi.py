"""The service as an OpenAPI document, made from the schemas of the models that it serves."""

from typing import Any

from headrace._version import __version__
from headrace.serve.api.inference import find_datatype
from headrace.serve.models.served import ServedModel
from headrace.serve.service import Service
from headrace.tables import Column

Schema = dict[str, Any]

_TYPES = {"boolean": "boolean", "number": "number", "integer": "number"}
_PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
_STATUSES = {
    "400": "The body or a header cannot be read.",
    "401": "A token is needed.",
    "403": "The token does not allow this.",
    "404": "There is no such model.",
    "408": "The body did not arrive in time.",
    "413": "The body or the number of rows is too large.",
    "415": "The content type is not supported.",
    "422": "Some rows cannot be used; `errors` says which, field by field.",
    "500": "The service failed.",
    "503": "Too many requests are waiting, or a backend does not answer; try again later.",
    "504": "The deadline of the request passed before its turn came.",
}
_STATIC_PATHS = {
    "/health/live": "Whether the service is live",
    "/health/ready": "Whether the service is ready for requests",
    "/ping": "The same, for SageMaker",
    "/v2": "The server and its extensions",
    "/v2/health/live": "Whether the service is live",
    "/v2/health/ready": "Whether the service is ready for requests",
}


def build_document(service: Service) -> dict[str, Any]:
    """Build the document (OpenAPI 3.1) of what is served now."""
    names = service.repository.names
    schemas: dict[str, Any] = {"Problem": _build_problem_schema()}
    for name in names:
        served = service.repository.routes[name].served
        schemas[f"{name}_row"] = _build_row_schema(served)
        schemas[f"{name}_prediction"] = _build_prediction_schema(served)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Headrace: " + ", ".join(names), "version": __version__},
        "paths": _build_paths(service),
        "components": {
            "schemas": schemas,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"token": []}],
    }


def _build_paths(service: Service) -> dict[str, Any]:
    """Describe every path: those of the first model first, for the page that shows them."""
    names = service.repository.names
    first = service.repository.routes[names[0]].served
    paths: dict[str, Any] = {"/predict": {"post": _describe_predict(first, "the first model")}}
    for name in names:
        served = service.repository.routes[name].served
        paths[f"/predict/{name}"] = {"post": _describe_predict(served, name)}
        if not served.predictor.is_multiclass:
            paths[f"/rank/{name}"] = {"post": _describe_rank(served)}
        if name == names[0]:
            paths["/invocations"] = {"post": _describe_invocations(served)}
        model = f"/v2/models/{name}"
        paths[model] = {"get": _describe_get(f"The inputs and outputs of {name}, as tensors")}
        paths[f"{model}/ready"] = {"get": _describe_get(f"Whether {name} is ready")}
        paths[f"{model}/infer"] = {"post": _describe_infer(served)}

    # Systems may have tables of one name; each is offered once.
    kinds = set[str]()
    for system in service.repository.list_systems().values():
        kinds.update(system.spec.data.events)
    if kinds:
        paths["/events"] = {"post": _describe_events(sorted(kinds))}
    systems = service.repository.list_systems().values()
    if systems:
        paths["/feedback"] = {"post": _describe_feedback()}
    if any(system.spec.rollout is not None for system in systems):
        paths["/rollout"] = {"get": _describe_get("The status of the rollout")}
    for path, summary in _STATIC_PATHS.items():
        paths[path] = {"get": _describe_get(summary)}
    return paths


def _describe_get(summary: str) -> dict[str, Any]:
    """Describe a path that is read."""
    responses = {"200": _build_response(_build_object()), **_build_problems("404", "500", "503")}
    return {"summary": summary, "responses": responses}


def _describe_predict(served: ServedModel, model: str) -> dict[str, Any]:
    """Describe `/predict` for a model; `model` names it in the summary."""
    schemas = f"#/components/schemas/{served.name}"
    rows = _build_array({"$ref": f"{schemas}_row"})
    body = _build_object({"rows": rows}, ["rows"], closed=True)
    reply = {
        "model": {"type": "string"},
        "version": {"type": "integer"},
        "predictions": _build_array({"$ref": f"{schemas}_prediction"}),
    }
    deadline = {
        "name": "x-headrace-deadline-ms",
        "in": "header",
        "required": False,
        "schema": {"type": "number", "minimum": 1},
        "description": "The milliseconds after which an answer is of no use any more.",
    }
    statuses = ("400", "401", "403", "408", "413", "422", "500", "503", "504")
    return {
        "summary": f"Predict rows with {model}",
        "parameters": [deadline],
        "requestBody": _build_body(body, _find_example(served, "rows")),
        "responses": {
            "200": _build_response(_build_object(reply, list(reply))),
            **_build_problems(*statuses),
        },
    }


def _describe_rank(served: ServedModel) -> dict[str, Any]:
    """Describe `/rank` for a model."""
    row = _build_object()
    body = _build_object(
        {"context": row, "candidates": _build_array(row), "k": {"type": ["integer", "null"]}},
        ["candidates"],
        closed=True,
    )
    item = {
        "candidate": {"type": "integer"},
        "position": {"type": "integer"},
        "score": {"type": "number"},
        "prediction_id": {"type": "string"},
    }
    reply = {
        "model": {"type": "string"},
        "version": {"type": "integer"},
        "list_id": {"type": "string"},
        "items": _build_array(_build_object(item, list(item))),
    }
    example = None
    if served.bundle.examples:
        example = {"context": {}, "candidates": [_build_example(served)], "k": 10}
    statuses = ("400", "401", "403", "408", "413", "422", "500", "503", "504")
    return {
        "summary": (
            f"Put candidates in order with {served.name}: a row is the context with a candidate"
        ),
        "requestBody": _build_body(body, example),
        "responses": {
            "200": _build_response(_build_object(reply, list(reply))),
            **_build_problems(*statuses),
        },
    }


def _describe_invocations(served: ServedModel) -> dict[str, Any]:
    """Describe `/invocations`, with one of the forms of its body."""
    form = "dataframe_records"
    records = _build_array({"$ref": f"#/components/schemas/{served.name}_row"})
    reply = _build_object({"predictions": {"type": "array"}}, ["predictions"])
    statuses = ("400", "401", "403", "408", "413", "415", "422", "500", "503", "504")
    return {
        "summary": (
            "Predict as MLflow and SageMaker servers do "
            "(also dataframe_split, instances, inputs, CSV)"
        ),
        "requestBody": _build_body(
            _build_object({form: records}, [form]), _find_example(served, form)
        ),
        "responses": {"200": _build_response(reply), **_build_problems(*statuses)},
    }


def _describe_infer(served: ServedModel) -> dict[str, Any]:
    """Describe `/v2/models/MODEL/infer`."""
    tensor = _build_object(
        {
            "name": {"type": "string"},
            "shape": _build_array({"type": "integer"}),
            "datatype": {"type": "string"},
            "data": {"type": "array"},
        },
        ["name", "shape", "datatype"],
    )
    body = _build_object(
        {"id": {"type": "string"}, "inputs": _build_array(tensor)},
        ["inputs"],
    )
    example = None
    if served.bundle.examples:
        example = {"inputs": _build_example_tensors(served)}
    statuses = ("400", "401", "403", "404", "408", "413", "422", "500", "503", "504")
    return {
        "summary": f"Predict tensors with {served.name} (Open Inference Protocol)",
        "requestBody": _build_body(body, example),
        "responses": {"200": _build_response(_build_object()), **_build_problems(*statuses)},
    }


def _describe_events(kinds: list[str]) -> dict[str, Any]:
    """Describe `/events`; `kinds` are the tables of all systems."""
    event = _build_object({"kind": {"enum": kinds}}, ["kind"])
    body = _build_object({"events": _build_array(event)}, ["events"], closed=True)
    reply = {"taken": {"type": "integer"}, "stored": {"type": "boolean"}}
    statuses = ("400", "401", "403", "408", "413", "422", "500", "503")
    return {
        "summary": (
            "Ingest events: the windows of later rows see them "
            "(`kind` names the table; or /events/TABLE)"
        ),
        "requestBody": _build_body(body, None),
        "responses": {
            "200": _build_response(_build_object(reply, list(reply))),
            **_build_problems(*statuses),
        },
    }


def _describe_feedback() -> dict[str, Any]:
    """Describe `/feedback`: one outcome, or many."""
    text: Schema = {"type": "string"}
    outcome: Schema = {
        "prediction_id": text,
        "id": {"type": ["string", "number"]},
        "outcome": {"type": ["number", "boolean", "string", "null"]},
        "name": text,
        "outcome_id": {"type": ["string", "integer"]},
        "time": {"type": ["string", "integer"]},
    }
    many = _build_array(_build_object(outcome, ["outcome"], closed=True))
    body = _build_object({**outcome, "outcomes": many}, closed=True)
    statuses = ("400", "401", "403", "408", "413", "422", "500", "503")
    reply = {"taken": {"type": "integer"}}
    # The id of a prediction by version 1, of 2023: an outcome of it counts for nothing.
    example = {"prediction_id": "0600000000000000000100000001", "outcome": 1}
    return {
        "summary": "Outcomes of predictions, durable with the reply; null takes one back",
        "requestBody": _build_body(body, example),
        "responses": {
            "200": _build_response(_build_object(reply, list(reply))),
            **_build_problems(*statuses),
        },
    }


def _build_row_schema(served: ServedModel) -> Schema:
    """Build the schema of a row of raw columns."""
    required = [column.name for column in served.inputs if column.name not in served.optional]
    properties = {column.name: _build_column_schema(column) for column in served.inputs}
    return _build_object(properties, required)


def _build_column_schema(column: Column) -> Schema:
    """Build the schema of a raw column's value, which may always be null."""
    if column.dtype == "vector":
        return {
            "type": ["array", "null"],
            "items": {"type": "number"},
            "minItems": column.width,
            "maxItems": column.width,
        }
    if column.dtype == "datetime":
        return {"type": ["string", "null"], "format": "date-time"}
    return {"type": [_TYPES.get(column.dtype, "string"), "null"]}


def _build_prediction_schema(served: ServedModel) -> Schema:
    """Build the schema of a prediction."""
    number = {"type": "number"}
    text = {"type": "string"}
    multiclass = served.predictor.is_multiclass
    properties: Schema = {"prediction_id": text, "prediction": text if multiclass else number}
    if served.predictor.scored:
        labels = dict.fromkeys(served.predictor.scored, number)
        properties["probabilities"] = _build_object(labels)
    if not multiclass and served.predictor.decides:
        properties["decision"] = text
    properties["imputed"] = _build_array(text)
    properties["unseen"] = _build_array(text)
    return _build_object(properties, ["prediction_id", "prediction"])


def _build_problem_schema() -> Schema:
    """Build the schema of a problem (RFC 9457)."""
    properties: Schema = {name: {"type": "string"} for name in ("type", "title", "detail", "error")}
    properties["status"] = {"type": "integer"}
    properties["errors"] = _build_array({"type": "object"})
    return _build_object(properties)


def _find_example(served: ServedModel, name: str) -> dict[str, Any] | None:
    """Return a body that holds one row under a name, or None for a bundle without examples."""
    if not served.bundle.examples:
        return None
    return {name: [_build_example(served)]}


def _build_example(served: ServedModel) -> dict[str, Any]:
    """Return the first golden request, its columns in their order."""
    request: dict[str, Any] = served.bundle.examples[0]["request"]
    return {column.name: request.get(column.name) for column in served.inputs}


def _build_example_tensors(served: ServedModel) -> list[dict[str, Any]]:
    """Return the first golden request as tensors."""
    row = _build_example(served)
    return [
        {
            "name": column.name,
            "shape": [1, column.width or 1],
            "datatype": find_datatype(column),
            "data": row[column.name] if column.dtype == "vector" else [row[column.name]],
        }
        for column in served.inputs
    ]


def _build_object(
    properties: Schema | None = None, required: list[str] | None = None, closed: bool = False
) -> Schema:
    """Build the schema of an object; a closed one has no further properties.

    >>> _build_object({"rows": {"type": "array"}}, ["rows"])
    {'type': 'object', 'properties': {'rows': {'type': 'array'}}, 'required': ['rows']}
    """
    schema: Schema = {"type": "object"}
    if properties is not None:
        schema["properties"] = properties
    if required is not None:
        schema["required"] = required
    if closed:
        schema["additionalProperties"] = False
    return schema


def _build_array(items: Schema) -> Schema:
    """Build the schema of an array."""
    return {"type": "array", "items": items}


def _build_body(schema: Schema, example: Any) -> dict[str, Any]:
    """Describe the body of a request, with an example where there is one."""
    content = {"schema": schema}
    if example is not None:
        content["example"] = example
    return {"required": True, "content": {"application/json": content}}


def _build_response(schema: Schema) -> dict[str, Any]:
    """Describe a reply that is no problem."""
    return {"description": "Done.", "content": {"application/json": {"schema": schema}}}


def _build_problems(*statuses: str) -> dict[str, Any]:
    """Describe the problems with these statuses."""
    return {status: {"description": _STATUSES[status], "content": _PROBLEM} for status in statuses}
