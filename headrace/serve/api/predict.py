"""`POST /predict` and `POST /predict/MODEL`: predictions of rows of raw columns.

{"rows": [{"fare": 9.5, "hour": 7}, …]}
──> {"model": "taxi", "version": 7, "predictions": [{"prediction": 0.7, "prediction_id": …}, …]}
"""

import msgspec

from headrace.serve.api.answer import answer_rows, answer_typed, encode_predictions
from headrace.serve.http.messages import Reply, Request
from headrace.serve.http.slices import WHOLE_BYTES
from headrace.serve.models.batch import Row
from headrace.serve.service import Endpoint, Service


class PredictRequest(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a request to `/predict`."""

    rows: list[Row]


async def predict(service: Service, request: Request, ref: str) -> Reply:
    """Predict rows with the model that `ref` names; an empty one means the first model."""
    service.batcher.admit()
    route = service.repository.routes.get(ref) or await service.find_route(ref)
    served = route.served

    # The fast way takes rows that lack no column. Any other body is read again, as dicts, and what
    # is wrong with it is found there.
    is_plain = len(request.body) <= WHOLE_BYTES and not route.segments
    fast_rows = served.fast_rows if is_plain else None
    rows = None if fast_rows is None else fast_rows.decode(request.body)
    if fast_rows is not None and rows is not None:
        if route.split is not None:
            return await answer_typed(service, route, route.split, rows, request)
        ids, (_, predictions) = await service.predict(route, fast_rows, rows, request)
        answers = encode_predictions(ids, predictions)
        # Such rows are logged as they came: nothing of them has to be encoded.
        if route.buffer is not None:
            route.buffer.append(len(ids), request.body, answers)
        return Reply(200, route.headers, b'%b,"predictions":%b}' % (route.opening, answers))

    body = await service.read_body(request, PredictRequest, served)
    return (await answer_rows(service, route, body.rows, request)).reply()


PREDICT = Endpoint("predict", "POST", "predict", predict)
ROUTES = {"/predict": [PREDICT], "/predict/": [PREDICT]}
