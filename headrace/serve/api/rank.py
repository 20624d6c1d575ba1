"""`POST /rank` and `POST /rank/MODEL`: the candidates of a context, the best first.

{"context": {"age": 31}, "candidates": [{"price": 5}, {"price": 9}], "k": 10}
──> {"model": "shop", "version": 7, "list_id": "0659…",
     "items": [{"candidate": 1, "position": 1, "score": 0.7, "prediction_id": "0659…"}, …]}

A list is answered whole, by one arm of a rollout: that of the unit in the header or the context. A
list without a unit is answered by the champion and not judged, even where rows are drawn one by
one: its rows would share one draw. What is returned is logged, row by row, with the list's id.
"""

import asyncio
from functools import partial
from typing import Any, NamedTuple

import msgspec
import numpy as np

from headrace.arrays import Floats
from headrace.errors import InputError
from headrace.predict import order_scores
from headrace.serve.api.answer import (
    count_rows,
    encode_notes,
    read_unit_header,
    with_fallback,
)
from headrace.serve.http.messages import Problem, Reply, Request, encode
from headrace.serve.http.slices import WHOLE_BYTES
from headrace.serve.models.arms import Assigned, ModelRoute
from headrace.serve.models.batch import Row
from headrace.serve.service import Endpoint, Service, decode_body, read_deadline

_MOST_AT_ONCE = 1_000
"""Candidates that are scored in one piece; other requests come between."""


class RankRequest(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a request to `/rank`."""

    candidates: list[Any]
    context: Row = {}
    k: int | None = None


class _Undecoded(msgspec.Struct, forbid_unknown_fields=True):
    """The same, with candidates that are decoded once the context is known."""

    candidates: msgspec.Raw
    context: Row = {}
    k: int | None = None


class _ListOfRows(msgspec.Struct):
    """Candidates as dicts; a body that is not one names this field."""

    candidates: list[Row]


_decode = msgspec.json.Decoder(_Undecoded).decode
_decode_rows = msgspec.json.Decoder(_ListOfRows).decode


class _Scored(NamedTuple):
    """A list as it was scored, the scores, and how many candidates had imputed columns."""

    context: Row
    candidates: list[Any]
    scores: Floats
    imputed: int


async def rank(service: Service, request: Request, ref: str) -> Reply:
    """Put candidates in order with the model that `ref` names; an empty one means the first."""
    service.batcher.admit()
    route = service.repository.routes.get(ref) or await service.find_route(ref)
    body = await _read(service, request, route)
    for segment in route.segments:
        if segment.holds(body.context):
            route = await service.find_route(segment.model)
            break
    service.check_system(request, route.served.system)
    _check(body, service.settings.max_rows)

    assigned = _assign(route, body.context, request)
    arm = route if assigned is None else assigned.route
    score = partial(_score, service, body, request)
    by, scored = await with_fallback(arm, len(body.candidates), score)
    count_rows(arm, len(body.candidates), scored.imputed)
    ordered = order_scores(scored.scores, body.k)
    served = by.served
    service.metrics.counts["headrace_predictions", served.name, str(served.version), by.arm] += len(
        body.candidates
    )
    list_id, *ids = service.ids.take(1 + len(ordered), served.version, by.number)
    items = [
        {"candidate": at, "position": position, "score": score, "prediction_id": id_}
        for position, ((at, score), id_) in enumerate(zip(ordered, ids, strict=True), 1)
    ]
    if by.buffer is not None and items:
        rows = _encode_rows(by, scored.context, [scored.candidates[at] for at, _ in ordered])
        answers = encode(
            [
                {
                    "prediction": item["score"],
                    "list_id": list_id,
                    "position": item["position"],
                    "prediction_id": item["prediction_id"],
                }
                for item in items
            ]
        )
        notes = [] if assigned is None else encode_notes([assigned] * len(items))
        by.buffer.append(len(items), rows, *notes, answers)
    reply = b'%b,"list_id":"%b","items":%b}' % (by.opening, list_id.encode(), encode(items))
    return Reply(200, by.headers, reply)


async def _read(service: Service, request: Request, route: ModelRoute) -> RankRequest:
    """Read the body of a request; raises `Problem`."""
    if len(request.body) > WHOLE_BYTES:
        return await service.read_body(request, RankRequest, route.served)
    body = decode_body(_decode, request.body)
    # Arms and segments may have other columns than the model that the request names.
    candidates = None
    if route.split is None and not route.segments:
        candidates = route.served.predictor.decode_candidates(body.context, body.candidates)
    if candidates is None:
        rows = b'{"candidates":%b}' % bytes(body.candidates)
        candidates = decode_body(_decode_rows, rows).candidates
    return RankRequest(candidates, body.context, body.k)


def _check(body: RankRequest, max_rows: int) -> None:
    """Raise `Problem` for a list that is too long, and for a `k` that is none."""
    if len(body.candidates) > max_rows:
        detail = f"{len(body.candidates)}, at most {max_rows}"
        raise Problem(413, "too_many_rows", "There are too many candidates", detail)
    if body.k is not None and body.k < 1:
        detail = f"k is {body.k}; expected 1 or more, or null for all candidates"
        raise Problem(400, "invalid_body", "The body cannot be read", detail)


def _assign(route: ModelRoute, context: Row, request: Request) -> Assigned | None:
    """Assign an arm to a list by its unit; None where there are no arms."""
    split = route.split
    if split is None:
        return None
    if split.unit is None or split.chooser is not None:
        return Assigned(split.plain, (None,))
    (assigned,) = split.assign([context], read_unit_header(request), typed=False)
    if split.phase is not None and assigned.route is split.plain:
        split.unassigned += 1
    return assigned


async def _score(
    service: Service, body: RankRequest, request: Request, route: ModelRoute
) -> _Scored:
    """Score a list by one version, a piece after the other; raises `Problem`."""
    until_s = read_deadline(request)
    served = route.served
    scores: list[Floats] = []
    imputed = 0
    try:
        context, candidates, absent = served.complete_list(body.context, body.candidates)
        for start in range(0, len(candidates), _MOST_AT_ONCE):
            if start:
                await asyncio.sleep(0)
            service.check_deadline(until_s)
            part = candidates[start : start + _MOST_AT_ONCE]
            values, count = served.score_list(context, part, absent, start)
            scores.append(values)
            imputed += count
    except InputError as error:
        title = "The candidates cannot be put in order"
        raise Problem(422, "invalid_rows", title, str(error)) from None
    whole = np.concatenate(scores) if scores else np.empty(0)
    return _Scored(context, candidates, whole, imputed)


def _encode_rows(route: ModelRoute, context: Row, candidates: list[Any]) -> bytes:
    """Encode rows for the log, each the context joined by a candidate."""
    context = route.served.trim_for_log([context])[0]
    own = encode(context)[:-1]
    if candidates and isinstance(candidates[0], dict):
        candidates = route.served.trim_for_log(candidates)
        # A blank may hide that both have a column.
        candidates = [
            {name: row[name] for name in row if name not in context} for row in candidates
        ]
    rows = []
    for candidate in candidates:
        text = encode(candidate)[1:]
        comma = b"" if text == b"}" or own == b"{" else b","
        rows.append(own + comma + text)
    return b"[" + b",".join(rows) + b"]"


RANK = Endpoint("rank", "POST", "predict", rank)
ROUTES = {"/rank": [RANK], "/rank/": [RANK]}
