"""`POST /predict`: rows of raw columns to predictions."""

import msgspec

from headrace.serve.http.messages import Reply, Request, encode
from headrace.serve.http.slices import WHOLE_BYTES
from headrace.serve.models.batch import Prediction, Row
from headrace.serve.service import Action, Service


class Body(msgspec.Struct, forbid_unknown_fields=True):
    """What `/predict` takes."""

    rows: list[Row]


async def predict(service: Service, request: Request, ref: str) -> Reply:
    """The predictions of rows by the model that `ref` names; nothing names the first."""
    service.batcher.admit()
    route = service.shelf.routes.get(ref) or await service.route(ref)
    typed = route.served.typed if len(request.body) <= WHOLE_BYTES else None
    rows = typed.rows(request.body) if typed is not None else None
    if rows is None:
        typed, rows = None, (await service.read(request, Body, route.served)).rows
    ids, (complete, predictions) = await service.predict(route, typed or route.served, rows, request)
    answers = answers_of(ids, predictions)
    if route.pile is not None:
        kept = request.body if typed is not None else encode(route.served.loggable(complete))
        route.pile.keep(len(ids), kept, answers)
    return Reply(200, route.headers, b'%b,"predictions":%b}' % (route.opening, answers))


def answers_of(ids: list[str], predictions: list[Prediction]) -> bytes:
    """Predictions and their ids.

    >>> answers_of(["0661"], [{"prediction": 0.5}])
    b'[{"prediction":0.5,"prediction_id":"0661"}]'
    """
    return encode([{**one, "prediction_id": id_} for id_, one in zip(ids, predictions, strict=True)])


PREDICT = Action("predict", "POST", "predict", predict)
ACTIONS = {"/predict": [PREDICT], "/predict/": [PREDICT]}
