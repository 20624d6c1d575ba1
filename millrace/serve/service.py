"""A bare ASGI app: rows in, predictions out, problem JSON for whatever cannot be predicted."""

import time
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any

import msgspec

from millrace.errors import InputError
from millrace.predict import Predictor

MOST_BODY_BYTES = 64 << 20
Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class Body(msgspec.Struct, forbid_unknown_fields=True):
    """What `/predict` takes."""

    rows: list[dict[str, Any]]


class _BodyTooLargeError(Exception):
    """A body beyond the limit."""


def app(predictor: Predictor) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    """The ASGI application for one predictor."""
    decoder, encoder, numbers = msgspec.json.Decoder(Body), msgspec.json.Encoder(), count()
    headers = [
        (b"content-type", b"application/json"),
        (b"x-millrace-model", predictor.name.encode()),
        (b"x-millrace-version", str(predictor.version).encode()),
    ]
    problem_headers = [(b"content-type", b"application/problem+json"), *headers[1:]]

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await _lifespan(receive, send)
        path, method = scope["path"], scope["method"]
        try:
            body = await _body(receive)
        except _BodyTooLargeError:
            return await problem(send, 413, "body too large", f"at most {MOST_BODY_BYTES} bytes")
        if path in ("/health/live", "/health/ready") and method == "GET":
            return await reply(send, 200, {"status": "ok"}, headers)
        if path != "/predict":
            return await problem(send, 404, "no such route", "POST /predict")
        if method != "POST":
            return await problem(send, 405, f"{method} is not allowed", "POST")
        try:
            rows = decoder.decode(body).rows
            predictions = predictor.predict_dicts(rows)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return await problem(send, 400, "the body cannot be read", str(error))
        except InputError as error:
            return await problem(send, 422, "the rows cannot be predicted", str(error))
        for prediction in predictions:
            prediction["prediction_id"] = f"{time.time_ns():016x}{next(numbers) & 0xFFFFFFFF:08x}"
        done = {"model": predictor.name, "version": predictor.version, "predictions": predictions}
        return await reply(send, 200, done, headers)

    async def reply(send: Send, status: int, content: Any, sent: list[tuple[bytes, bytes]]) -> None:
        data = encoder.encode(content)
        length = (b"content-length", str(len(data)).encode())
        await send({"type": "http.response.start", "status": status, "headers": [*sent, length]})
        await send({"type": "http.response.body", "body": data})

    async def problem(send: Send, status: int, title: str, detail: str) -> None:
        await reply(
            send, status, {"type": "about:blank", "title": title, "status": status, "detail": detail}, problem_headers
        )

    return answer


async def _body(receive: Receive) -> bytes:
    parts, size, more = [], 0, True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > MOST_BODY_BYTES:
            raise _BodyTooLargeError
        more = message.get("more_body", False)
    return b"".join(parts)


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        kind = (await receive())["type"]
        await send({"type": f"{kind}.complete"})
        if kind == "lifespan.shutdown":
            return


def serve(predictor: Predictor, host: str, port: int) -> None:
    """Serves until interrupted."""
    import uvicorn

    uvicorn.run(app(predictor), host=host, port=port, log_level="warning", access_log=False)
