"""What the service takes and answers, as an OpenAPI document made from the schemas of the models that it serves."""

from typing import Any

from headrace._version import __version__
from headrace.serve.api.inference import datatype_of
from headrace.serve.models.served import ServedModel
from headrace.serve.service import Service
from headrace.tables import Column

_TYPES = {"boolean": "boolean", "number": "number", "integer": "number"}
_PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
_SAID = {
    "400": "The body or a header cannot be read.",
    "401": "A token is needed.",
    "403": "The token is for something else.",
    "404": "There is no such model.",
    "408": "The body did not arrive.",
    "413": "The body or the number of rows is too large.",
    "415": "This kind of body is not read.",
    "422": "Some rows cannot be used; `errors` says which, field by field.",
    "500": "The service failed.",
    "503": "Too much is waiting, or a server behind is gone; try again later.",
    "504": "The deadline of the request was over before its turn came.",
}


def document_of(service: Service) -> dict[str, Any]:
    """The document (OpenAPI 3.1)."""
    schemas: dict[str, Any] = {"Problem": _problem()}
    paths: dict[str, Any] = {}
    for name in service.repository.names:
        served = service.repository.routes[name].served
        schemas[f"{name}_row"] = _row(served)
        schemas[f"{name}_prediction"] = _prediction(served)
        paths[f"/predict/{name}"] = {"post": _predict(served, name)}
        if name == service.repository.names[0]:
            paths = {"/predict": {"post": _predict(served, "the first model")}} | paths
            paths["/invocations"] = {"post": _invocations(served)}
        paths[f"/v2/models/{name}"] = {"get": _told(f"What {name} takes and answers, as tensors")}
        paths[f"/v2/models/{name}/ready"] = {"get": _told(f"Whether {name} is ready")}
        paths[f"/v2/models/{name}/infer"] = {"post": _infer(served)}
    kinds = sorted(
        {
            kind
            for system in service.repository.systems().values()
            for kind in system.spec.data.events
        }
    )
    if kinds:
        paths["/events"] = {"post": _events(kinds)}
    for path, what in _PLAIN.items():
        paths[path] = {"get": _told(what)}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Headrace: " + ", ".join(service.repository.names),
            "version": __version__,
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"token": []}],
    }


_PLAIN = {
    "/health/live": "Whether the service is there",
    "/health/ready": "Whether requests are taken",
    "/ping": "The same, for SageMaker",
    "/v2": "The server and its extensions",
    "/v2/health/live": "Whether the service is there",
    "/v2/health/ready": "Whether requests are taken",
}


def _told(summary: str) -> dict[str, Any]:
    return {
        "summary": summary,
        "responses": {"200": _json({"type": "object"}), **_problems("404", "500", "503")},
    }


def _predict(served: ServedModel, of: str) -> dict[str, Any]:
    row, prediction = (
        f"#/components/schemas/{served.name}_{what}" for what in ("row", "prediction")
    )
    rows = {"type": "array", "items": {"$ref": row}}
    body = {
        "type": "object",
        "properties": {"rows": rows},
        "required": ["rows"],
        "additionalProperties": False,
    }
    reply = {
        "type": "object",
        "properties": {
            "model": {"type": "string"},
            "version": {"type": "integer"},
            "predictions": {"type": "array", "items": {"$ref": prediction}},
        },
        "required": ["model", "version", "predictions"],
    }
    deadline = {
        "name": "x-headrace-deadline-ms", "in": "header", "required": False,
        "schema": {"type": "number", "minimum": 1}, "description": "After that long an answer is of no use any more.",
    }  # fmt: skip
    example = {"rows": [_example(served)]} if served.bundle.examples else None
    return {
        "summary": f"Predict rows with {of}",
        "parameters": [deadline],
        "requestBody": _body(body, example),
        "responses": {
            "200": _json(reply),
            **_problems("400", "401", "403", "408", "413", "422", "500", "503", "504"),
        },
    }


def _invocations(served: ServedModel) -> dict[str, Any]:
    row = {"$ref": f"#/components/schemas/{served.name}_row"}
    body = {
        "type": "object",
        "properties": {"dataframe_records": {"type": "array", "items": row}},
        "required": ["dataframe_records"],
    }
    example = {"dataframe_records": [_example(served)]} if served.bundle.examples else None
    reply = {
        "type": "object",
        "properties": {"predictions": {"type": "array"}},
        "required": ["predictions"],
    }
    said = _problems("400", "401", "403", "408", "413", "415", "422", "500", "503", "504")
    return {
        "summary": "Predict as MLflow and SageMaker servers do (also dataframe_split, instances, inputs, CSV)",
        "requestBody": _body(body, example),
        "responses": {"200": _json(reply), **said},
    }


def _infer(served: ServedModel) -> dict[str, Any]:
    tensor = {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "shape": {"type": "array", "items": {"type": "integer"}},
            "datatype": {"type": "string"},
            "data": {"type": "array"},
        },
        "required": ["name", "shape", "datatype"],
    }
    body = {
        "type": "object",
        "properties": {"id": {"type": "string"}, "inputs": {"type": "array", "items": tensor}},
        "required": ["inputs"],
    }
    return {
        "summary": f"Predict tensors with {served.name} (Open Inference Protocol)",
        "requestBody": _body(
            body, {"inputs": _tensors(served)} if served.bundle.examples else None
        ),
        "responses": {
            "200": _json({"type": "object"}),
            **_problems("400", "401", "403", "404", "408", "413", "422", "500", "503", "504"),
        },
    }


def _events(kinds: list[str]) -> dict[str, Any]:
    event = {"type": "object", "properties": {"kind": {"enum": kinds}}, "required": ["kind"]}
    body = {
        "type": "object",
        "properties": {"events": {"type": "array", "items": event}},
        "required": ["events"],
        "additionalProperties": False,
    }
    told = {"taken": {"type": "integer"}, "stored": {"type": "boolean"}}
    reply = {"type": "object", "properties": told, "required": list(told)}
    return {
        "summary": "Tell what happened: the windows of later rows see it (`kind` names the table; or /events/TABLE)",
        "requestBody": _body(body, None),
        "responses": {
            "200": _json(reply),
            **_problems("400", "401", "403", "408", "413", "422", "500", "503"),
        },
    }


def _row(served: ServedModel) -> dict[str, Any]:
    required = [column.name for column in served.inputs if column.name not in served.optional]
    properties = {column.name: _property(column) for column in served.inputs}
    return {"type": "object", "properties": properties, "required": required}


def _property(column: Column) -> dict[str, Any]:
    if column.dtype == "vector":
        numbers = {"type": "number"}
        return {
            "type": ["array", "null"],
            "items": numbers,
            "minItems": column.width,
            "maxItems": column.width,
        }
    if column.dtype == "datetime":
        return {"type": ["string", "null"], "format": "date-time"}
    return {"type": [_TYPES.get(column.dtype, "string"), "null"]}


def _prediction(served: ServedModel) -> dict[str, Any]:
    number, text = {"type": "number"}, {"type": "string"}
    multiclass = served.predictor.is_multiclass
    properties: dict[str, Any] = {
        "prediction_id": text,
        "prediction": text if multiclass else number,
    }
    if multiclass:
        labels = dict.fromkeys(served.predictor.classes, number)
        properties["probabilities"] = {"type": "object", "properties": labels}
    elif served.predictor.decides:
        properties["decision"] = text
    properties |= {
        "imputed": {"type": "array", "items": text},
        "unseen": {"type": "array", "items": text},
    }
    return {"type": "object", "properties": properties, "required": ["prediction_id", "prediction"]}


def _example(served: ServedModel) -> dict[str, Any]:
    """The first golden request, its columns in their order."""
    example: dict[str, Any] = served.bundle.examples[0]["request"]
    return {column.name: example.get(column.name) for column in served.inputs}


def _tensors(served: ServedModel) -> list[dict[str, Any]]:
    """The same as tensors."""
    example = _example(served)
    return [
        {
            "name": column.name,
            "shape": [1, column.width or 1],
            "datatype": datatype_of(column),
            "data": [example[column.name]] if column.dtype != "vector" else example[column.name],
        }
        for column in served.inputs
    ]


def _problem() -> dict[str, Any]:
    properties = {name: {"type": "string"} for name in ("type", "title", "detail", "error")}
    errors = {"type": "array", "items": {"type": "object"}}
    return {
        "type": "object",
        "properties": properties | {"status": {"type": "integer"}, "errors": errors},
    }


def _body(schema: dict[str, Any], example: Any) -> dict[str, Any]:
    content = {"schema": schema} | ({} if example is None else {"example": example})
    return {"required": True, "content": {"application/json": content}}


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": "Done.", "content": {"application/json": {"schema": schema}}}


def _problems(*statuses: str) -> dict[str, Any]:
    return {status: {"description": _SAID[status], "content": _PROBLEM} for status in statuses}
