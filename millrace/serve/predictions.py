"""`POST /predict`: rows of raw columns to predictions."""

from typing import Any

import msgspec

from millrace.serve.http import Reply, Request, encode
from millrace.serve.service import Action, Service, decoded


class Body(msgspec.Struct, forbid_unknown_fields=True):
    """What `/predict` takes."""

    rows: list[dict[str, Any]]


_decode = msgspec.json.Decoder(Body).decode


async def predict(service: Service, request: Request, ref: str) -> Reply:
    """The predictions of rows by the model that `ref` names; nothing names the first."""
    service.batcher.admit()
    body = await request.body()
    route = service.shelf.routes.get(ref) or await service.route(ref)
    rows = decoded(_decode, body).rows
    ids, predictions = await service.predict(route, rows, request)
    told = [{"prediction_id": id_, **one} for id_, one in zip(ids, predictions, strict=True)]
    served = route.served
    return Reply(200, route.headers, encode({"model": served.name, "version": served.version, "predictions": told}))


PREDICT = Action("predict", "POST", "predict", predict)
ACTIONS = {"/predict": [PREDICT], "/predict/": [PREDICT]}
