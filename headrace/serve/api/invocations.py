"""Scoring as MLflow's and SageMaker's servers do it: `POST /invocations`, `GET /ping`.

The forms of a body are those of https://mlflow.org/docs/latest/ml/deployment/deploy-model-locally/.
Two rows of the columns `fare` and `city` in each of them:

    dataframe_split      {"columns": ["fare", "city"], "data": [[9.5, "oslo"], [4.0, "rio"]]}
    dataframe_records    [{"fare": 9.5, "city": "oslo"}, {"fare": 4.0, "city": "rio"}]
    instances            as dataframe_records, or as the `data` of dataframe_split
    inputs               as instances, or {"fare": [9.5, 4.0], "city": ["oslo", "rio"]}
    text/csv             fare,city ⏎ 9.5,oslo ⏎ 4.0,rio

A prediction is a row of the table that the model makes, as MLflow's `pyfunc` gives it.
"""

import asyncio
from typing import Any

from headrace.serve.api.answer import answer_rows
from headrace.serve.http.messages import Problem, Reply, Request, encode, json_reply
from headrace.serve.http.slices import WHOLE_BYTES, measure_csv
from headrace.serve.models.batch import Prediction, Row
from headrace.serve.models.served import ServedModel
from headrace.serve.service import Endpoint, Service

_JSON_TYPES = (
    "application/json",
    "application/json-numpy-split",
    "application/x-www-form-urlencoded",
    "",
)
"""`curl -d` calls JSON a form; `HostGuard` has refused forms of other sites before."""
_FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")
_NO_COLUMNS = ("probabilities", "imputed", "unseen")
"""The members of a prediction that are no column of a table as they are."""


async def invoke(service: Service, request: Request, path: str) -> Reply:
    """Predict rows with the first model."""
    service.batcher.admit()
    route = await service.find_route("")
    served = route.served
    kind = (request.header(b"content-type") or "application/json").partition(";")[0].strip().lower()
    # An empty type, and the one that `curl -d` sends, are taken for JSON.
    if kind == "text/csv":
        rows = await _read_csv(service, request.body, served)
    elif kind in _JSON_TYPES:
        body = await service.read_body(request, dict[str, Any], served)
        rows = read_rows(body, [column.name for column in served.inputs])
    else:
        detail = f"{kind[:60]}; application/json or text/csv"
        raise Problem(415, "content_type", "This content type is not supported", detail)

    answered = await answer_rows(service, route, rows, request)
    predictions = [_flatten(one) for one in answered.predictions]
    return Reply(200, answered.headers, encode({"predictions": predictions}))


def read_rows(body: dict[str, Any], names: list[str]) -> list[Row]:
    """Read the rows of a body in any of the forms.

    `names` are the columns of rows that come without names. Raises `Problem` for a body in none of
    the forms, or in several.

    >>> read_rows({"dataframe_split": {"columns": ["a", "b"], "data": [[1, "x"]]}}, [])
    [{'a': 1, 'b': 'x'}]
    >>> read_rows({"inputs": {"a": [1, 2], "b": ["x", "y"]}}, [])
    [{'a': 1, 'b': 'x'}, {'a': 2, 'b': 'y'}]
    >>> read_rows({"instances": [[1, "x"]]}, ["a", "b"])
    [{'a': 1, 'b': 'x'}]
    """
    forms = [form for form in _FORMS if form in body]
    if len(forms) != 1:
        found = ", ".join(map(repr, list(body)[:5])) or "nothing"
        detail = f"{found}; one of: {', '.join(_FORMS)}"
        raise Problem(400, "invalid_body", "The body has none of the known forms", detail)

    form = forms[0]
    data = body[form]
    if form == "dataframe_split":
        return _read_split(form, data, names)
    if isinstance(data, dict):
        return _read_columns(form, data)
    if not isinstance(data, list):
        raise _build_problem(form, "a list")
    if all(isinstance(row, dict) for row in data):
        return data
    if form == "dataframe_records":
        raise _build_problem(form, "a list of objects")
    return _read_lists(form, names, data)


def _read_split(form: str, data: Any, names: list[str]) -> list[Row]:
    """Read rows as lists of values, with the names of their columns beside them."""
    if not isinstance(data, dict) or not isinstance(data.get("data"), list):
        raise _build_problem(form, "an object with `columns` and `data`")
    columns = data.get("columns", names)
    if not isinstance(columns, list) or not all(isinstance(name, str) for name in columns):
        raise _build_problem(form, "names in `columns`")
    return _read_lists(form, columns, data["data"])


def _read_lists(form: str, names: list[str], rows: list[Any]) -> list[Row]:
    """Read rows as lists of values, in the order of `names`."""
    if not all(isinstance(row, list) and len(row) == len(names) for row in rows):
        raise _build_problem(form, f"rows of {len(names)} values, one for each column")
    return [dict(zip(names, row, strict=True)) for row in rows]


def _read_columns(form: str, data: dict[str, Any]) -> list[Row]:
    """Read rows from columns of values; a column of one row may be the value itself.

    >>> _read_columns("inputs", {"a": [[1], [2]], "b": ["x", "y"]}), _read_columns("", {"a": 1})
    ([{'a': 1, 'b': 'x'}, {'a': 2, 'b': 'y'}], [{'a': 1}])
    """
    columns: dict[str, list[Any]] = {}
    for name, values in data.items():
        column = values if isinstance(values, list) else [values]
        # Tensors of one column, `[N, 1]`, come as lists of lists of one value.
        columns[name] = [
            one[0] if isinstance(one, list) and len(one) == 1 else one for one in column
        ]
    if len({len(values) for values in columns.values()}) > 1:
        raise _build_problem(form, "columns of one length")
    return [
        dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)
    ]


async def _read_csv(service: Service, body: bytes, served: ServedModel) -> list[Row]:
    """Read the rows of a CSV; raises `Problem` for too many, before they are read."""
    # The rows of a CSV take many times the memory of its text.
    rows, columns = await measure_csv(body)
    max_rows = service.settings.max_rows
    if rows > max_rows:
        detail = f"{rows}, at most {max_rows}"
        raise Problem(413, "too_many_rows", "There are too many rows", detail)
    if rows * columns > service.count_max_values(served):
        detail = f"{rows} rows of {columns}"
        raise Problem(413, "too_many_columns", "There are too many columns", detail)
    if len(body) <= WHOLE_BYTES:
        return _parse_csv(body, served)
    # Polars works outside of Python's lock: other requests go on meanwhile.
    return await asyncio.to_thread(_parse_csv, body, served)


def _parse_csv(body: bytes, served: ServedModel) -> list[Row]:
    """Parse a CSV; its fields are text, and take the types of the model's columns."""
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


def _flatten(prediction: Prediction) -> dict[str, Any]:
    """Return a prediction as a row of a table: with a column for each probability.

    >>> _flatten({"prediction": "cat", "probabilities": {"cat": 0.9, "dog": 0.1}})
    {'prediction': 'cat', 'probability_cat': 0.9, 'probability_dog': 0.1}
    """
    row = {name: value for name, value in prediction.items() if name not in _NO_COLUMNS}
    for label, probability in prediction.get("probabilities", {}).items():
        row[f"probability_{label}"] = probability
    return row


def _build_problem(form: str, expected: str) -> Problem:
    """Build the problem of a body that is not as its form has it."""
    return Problem(400, "invalid_body", "The body cannot be read", f"{form}: expected {expected}")


async def ping(service: Service, request: Request, path: str) -> Reply:
    """Say whether requests are taken: 503 where they are not."""
    return json_reply({}, status=200 if service.ready else 503)


ROUTES = {
    "/invocations": [Endpoint("invocations", "POST", "predict", invoke)],
    "/ping": [Endpoint("ping", "GET", None, ping)],
}
