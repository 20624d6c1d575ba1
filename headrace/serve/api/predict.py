"""`POST /predict`: rows of raw columns to predictions."""

import msgspec

from headrace.serve.http.messages import Reply, Request, encode
from headrace.serve.http.slices import WHOLE_BYTES
from headrace.serve.models.batch import Prediction, Row
from headrace.serve.service import Endpoint, Service


class PredictRequest(msgspec.Struct, forbid_unknown_fields=True):
    """What `/predict` takes."""

    rows: list[Row]


async def predict(service: Service, request: Request, ref: str) -> Reply:
    """The predictions of rows by the model that `ref` names; nothing names the first."""
    service.batcher.admit()
    route = service.repository.routes.get(ref) or await service.route(ref)
    fast_rows = route.served.fast_rows if len(request.body) <= WHOLE_BYTES else None
    rows = fast_rows.rows(request.body) if fast_rows is not None else None
    if rows is None:
        fast_rows, rows = None, (await service.read(request, PredictRequest, route.served)).rows
    ids, (complete, predictions) = await service.predict(
        route, fast_rows or route.served, rows, request
    )
    answers = encode_predictions(ids, predictions)
    if route.buffer is not None:
        kept = request.body if fast_rows is not None else encode(route.served.loggable(complete))
        route.buffer.append(len(ids), kept, answers)
    return Reply(200, route.headers, b'%b,"predictions":%b}' % (route.opening, answers))


def encode_predictions(ids: list[str], predictions: list[Prediction]) -> bytes:
    """Predictions and their ids.

    >>> encode_predictions(["0661"], [{"prediction": 0.5}])
    b'[{"prediction":0.5,"prediction_id":"0661"}]'
    """
    return encode(
        [{**one, "prediction_id": id_} for id_, one in zip(ids, predictions, strict=True)]
    )


PREDICT = Endpoint("predict", "POST", "predict", predict)
ROUTES = {"/predict": [PREDICT], "/predict/": [PREDICT]}
