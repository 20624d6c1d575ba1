"""`POST /predict`: rows of raw columns to predictions."""

import msgspec

from millrace.serve.batch import Row
from millrace.serve.http import Reply, Request, encode
from millrace.serve.service import Action, Service, decoded


class Body(msgspec.Struct, forbid_unknown_fields=True):
    """What `/predict` takes."""

    rows: list[Row]


_decode = msgspec.json.Decoder(Body).decode


async def predict(service: Service, request: Request, ref: str) -> Reply:
    """The predictions of rows by the model that `ref` names; nothing names the first."""
    service.batcher.admit()
    route = service.shelf.routes.get(ref) or await service.route(ref)
    typed = route.served.typed
    rows = typed.rows(request.body) if typed is not None else None
    if rows is None:
        typed, rows = None, decoded(_decode, request.body).rows
    ids, (complete, predictions) = await service.predict(route, typed or route.served, rows, request)
    answers = encode([{"prediction_id": id_, **one} for id_, one in zip(ids, predictions, strict=True)])
    service.keep(route, ids, complete if route.served.reads_store else request.body, answers)
    return Reply(200, route.headers, b'%b,"predictions":%b}' % (route.opening, answers))


PREDICT = Action("predict", "POST", "predict", predict)
ACTIONS = {"/predict": [PREDICT], "/predict/": [PREDICT]}
