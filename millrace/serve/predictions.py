"""`POST /predict`: rows of raw columns to predictions."""

from typing import Any

import msgspec

from millrace.serve.batch import Row
from millrace.serve.http import Reply, Request, encode
from millrace.serve.service import Action, Service, decoded


class Body(msgspec.Struct, forbid_unknown_fields=True):
    """What `/predict` takes."""

    rows: list[dict[str, Any]]


_decode = msgspec.json.Decoder(Body).decode


async def predict(service: Service, request: Request, ref: str) -> Reply:
    """The predictions of rows by the model that `ref` names; nothing names the first."""
    service.batcher.admit()
    body = request.body
    route = service.shelf.routes.get(ref) or await service.route(ref)
    rows = decoded(_decode, body).rows
    ids, (complete, predictions) = await service.predict(route, rows, request)
    answers = encode([{"prediction_id": id_, **one} for id_, one in zip(ids, predictions, strict=True)])
    service.keep(route, ids, complete if route.served.reads_store else _array(body, rows), answers)
    return Reply(200, route.headers, b'%b,"predictions":%b}' % (route.opening, answers))


def _array(body: bytes, rows: list[Row]) -> bytes | list[Row]:
    """The array of rows as it stands in a body, whose only member it is.

    >>> _array(b'{"rows": [{"x": 1}]}', [{"x": 1}])
    b'[{"x": 1}]'
    """
    if body.count(b'rows"') != 1 or b"\\u" in body:  # it may be there twice, or in a value: not worth telling apart
        return rows
    return body[body.index(b"[") : body.rindex(b"]") + 1]


PREDICT = Action("predict", "POST", "predict", predict)
ACTIONS = {"/predict": [PREDICT], "/predict/": [PREDICT]}
