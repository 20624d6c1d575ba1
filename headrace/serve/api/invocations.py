"""Scoring as MLflow's and SageMaker's servers do it: `POST /invocations`, `GET /ping`.

The forms of a body are those of https://mlflow.org/docs/latest/ml/deployment/deploy-model-locally/;
a prediction is a row of the table that the model makes, as MLflow's `pyfunc` gives it.
"""

import asyncio
from typing import Any

from headrace.serve.api.predict import encode_predictions
from headrace.serve.http.messages import Problem, Reply, Request, encode, json_reply
from headrace.serve.http.slices import WHOLE_BYTES, shape_of_csv
from headrace.serve.models.batch import Prediction, Row
from headrace.serve.models.served import ServedModel
from headrace.serve.service import Endpoint, Service

_JSON = (
    "application/json",
    "application/json-numpy-split",
    "application/x-www-form-urlencoded",
    "",
)
"""`curl -d` calls JSON a form; a page of another site that does so is refused before."""
_FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")


async def invoke(service: Service, request: Request, path: str) -> Reply:
    """Predictions by the first model."""
    service.batcher.admit()
    body = request.body
    route = await service.route("")
    kind = (request.header(b"content-type") or "application/json").partition(";")[0].strip().lower()
    if kind == "text/csv":
        rows = await _csv(service, body, route.served)
    elif kind in _JSON:
        read = await service.read(request, dict[str, Any], route.served)
        rows = rows_in(read, [column.name for column in route.served.inputs])
    else:
        raise Problem(
            415,
            "content_type",
            "This kind of body is not read",
            f"{kind[:60]}; application/json or text/csv",
        )
    ids, (complete, predictions) = await service.predict(route, route.served, rows, request)
    if route.buffer is not None:
        route.buffer.append(
            len(ids), encode(route.served.loggable(complete)), encode_predictions(ids, predictions)
        )
    return Reply(200, route.headers, encode({"predictions": [_flat(one) for one in predictions]}))


def rows_in(body: dict[str, Any], names: list[str]) -> list[Row]:
    """The rows of a body in one of the forms; `names` are the columns of rows that come without.

    >>> rows_in({"dataframe_split": {"columns": ["a", "b"], "data": [[1, "x"]]}}, [])
    [{'a': 1, 'b': 'x'}]
    >>> rows_in({"inputs": {"a": [1, 2], "b": ["x", "y"]}}, [])
    [{'a': 1, 'b': 'x'}, {'a': 2, 'b': 'y'}]
    """
    forms = [form for form in _FORMS if form in body]
    if len(forms) != 1:
        found = ", ".join(map(repr, list(body)[:5])) or "nothing"
        raise Problem(
            400,
            "invalid_body",
            "The body has not one of the forms",
            f"{found}; one of: {', '.join(_FORMS)}",
        )
    told = body[forms[0]]
    if forms[0] == "dataframe_split":
        if not isinstance(told, dict) or not isinstance(told.get("data"), list):
            raise _bad(forms[0], "an object with `columns` and `data`")
        columns = told.get("columns", names)
        if not isinstance(columns, list) or not all(isinstance(one, str) for one in columns):
            raise _bad(forms[0], "names in `columns`")
        return _zipped(forms[0], columns, told["data"])
    if isinstance(told, dict):
        return _columns(forms[0], told)
    if not isinstance(told, list):
        raise _bad(forms[0], "a list")
    if all(isinstance(row, dict) for row in told):
        return told
    if forms[0] == "dataframe_records":
        raise _bad(forms[0], "a list of objects")
    return _zipped(forms[0], names, told)


def _zipped(form: str, names: list[str], data: list[Any]) -> list[Row]:
    if not all(isinstance(row, list) and len(row) == len(names) for row in data):
        raise _bad(form, f"rows of {len(names)} values, one for each column")
    return [dict(zip(names, row, strict=True)) for row in data]


def _columns(form: str, told: dict[str, Any]) -> list[Row]:
    """A column may hold a list of values, one for each row, or, where there is one row, the value itself."""
    columns = {
        name: values if isinstance(values, list) else [values] for name, values in told.items()
    }
    columns = {name: [one[0] if isinstance(one, list) and len(one) == 1 else one for one in values]
               for name, values in columns.items()}  # fmt: skip
    if len({len(values) for values in columns.values()}) > 1:
        raise _bad(form, "columns of one length")
    return [
        dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)
    ]


async def _csv(service: Service, body: bytes, served: ServedModel) -> list[Row]:
    """The rows of a CSV; their number and that of the columns are looked at before."""
    (rows, columns), most = await shape_of_csv(body), service.settings.max_rows
    if rows > most:
        raise Problem(413, "too_many_rows", "There are too many rows", f"{rows}, at most {most}")
    if rows * columns > service.most_values(served):
        raise Problem(
            413, "too_many_columns", "There are too many columns", f"{rows} rows of {columns}"
        )
    if len(body) <= WHOLE_BYTES:
        return _csv_rows(body, served)
    return await asyncio.to_thread(_csv_rows, body, served)


def _csv_rows(body: bytes, served: ServedModel) -> list[Row]:
    """Fields are text here, and become what the model's columns are."""
    import polars as pl

    from headrace.tables import conform, rename_columns

    try:
        frame = pl.read_csv(body, infer_schema=False, null_values=[""])
    except (pl.exceptions.PolarsError, ValueError) as error:
        raise Problem(400, "invalid_body", "The body cannot be read", str(error)[:300]) from None
    frame = rename_columns(frame, served.predictor.columns, "the CSV")
    known = [column for column in served.predictor.columns if column.name in frame.columns]
    typed = conform(frame, known, served.predictor.schema.missing, "the CSV")
    return frame.with_columns(typed.get_columns()).to_dicts()


def _flat(prediction: Prediction) -> dict[str, Any]:
    """As in tables: a column for each probability."""
    flat = {
        name: value
        for name, value in prediction.items()
        if name not in ("probabilities", "imputed", "unseen")
    }
    for label, probability in prediction.get("probabilities", {}).items():
        flat[f"probability_{label}"] = probability
    return flat


def _bad(form: str, expected: str) -> Problem:
    return Problem(400, "invalid_body", "The body cannot be read", f"{form}: expected {expected}")


async def ping(service: Service, request: Request, path: str) -> Reply:
    """Whether requests are taken."""
    return json_reply({}, status=200 if service.ready else 503)


ROUTES = {
    "/invocations": [Endpoint("invocations", "POST", "predict", invoke)],
    "/ping": [Endpoint("ping", "GET", None, ping)],
}
