"""Answers rows in the arms of a rollout, and logs the predictions.

rows ──> units ──> arms          one arm: all rows together
                    │            several: the rows of each, put together again afterwards
                    v
                 predict ──fails──> the champion answers; the rows stay in their arm
                    │
                    v
                 buffer of the arm: rows, units, answers
"""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeVar

from msgspec import structs, to_builtins

from headrace.serve.http.messages import JSON, Headers, Problem, Reply, Request, encode
from headrace.serve.log_event import log_event
from headrace.serve.models.arms import UNIT_HEADER, Assigned, ModelRoute, Split
from headrace.serve.models.batch import Answer, Prediction, Row
from headrace.serve.service import Service

T = TypeVar("T")


class Answered(NamedTuple):
    """The predictions of a request, with their ids, and how its reply begins.

    `routes` are those of the rows; where they are several, each prediction has its `version` and
    `arm`. `records` append the predictions to the log.
    """

    ids: list[str]
    predictions: list[Prediction]
    routes: list[ModelRoute]
    records: Sequence[Callable[[], None]] = ()

    def log(self) -> "Answered":
        """Append the predictions to the log, now that the whole request is answered."""
        for record in self.records:
            record()
        return self

    @property
    def headers(self) -> Headers:
        """The headers that name the model, and all versions and arms."""
        if len(self.routes) == 1:
            return self.routes[0].headers
        models = ",".join(dict.fromkeys(one.served.name for one in self.routes))
        return [
            JSON,
            (b"x-headrace-model", models.encode()),
            (b"x-headrace-version", self.versions.encode()),
            (b"x-headrace-arm", ",".join(dict.fromkeys(one.arm for one in self.routes)).encode()),
        ]

    @property
    def versions(self) -> str:
        """The versions that answered, by commas."""
        versions = dict.fromkeys(str(one.served.version) for one in self.routes)
        return ",".join(versions)

    def reply(self) -> Reply:
        """Return the reply of `/predict`."""
        route = self.routes[0]
        opening = route.opening
        if len(self.routes) > 1:
            opening = encode({"model": route.served.name})[:-1]
        answers = encode_predictions(self.ids, self.predictions)
        return Reply(200, self.headers, b'%b,"predictions":%b}' % (opening, answers))


async def answer_rows(
    service: Service, route: ModelRoute, rows: list[Row], request: Request
) -> Answered:
    """Predict rows as dicts by a route, in the arms of its rollout if it is split; log all of it.

    Raises `Problem` where the champion cannot predict them either; nothing is logged then.
    """
    return (await _answer(service, route, rows, request)).log()


async def _answer(
    service: Service, route: ModelRoute, rows: list[Row], request: Request
) -> Answered:
    """Predict rows as dicts by a route, and leave the log to the caller."""
    if route.segments:
        return await _answer_segments(service, route, rows, request)
    split = route.split
    if split is None:
        ids, (complete, predictions) = await service.predict(route, route.served, rows, request)
        record = partial(_log, route, encode(route.served.trim_for_log(complete)), ids, predictions)
        return Answered(ids, predictions, [route], [record])

    assigned = split.assign(rows, read_unit_header(request), typed=False)
    return await _answer_assigned(service, split, rows, assigned, request)


async def answer_typed(
    service: Service, route: ModelRoute, split: Split, rows: list[Any], request: Request
) -> Reply:
    """Reply to typed rows in the arms of a rollout.

    Rows of one arm go the fast way if its model takes the same type, and are logged as they came.
    Any others go on as dicts, in the arms that they have.
    """
    header = request.headers.get(UNIT_HEADER)
    assigned = split.assign(rows, None if header is None else _decode_unit(header), typed=True)
    arm = assigned[0].route if assigned else split.plain
    fast_rows = arm.served.fast_rows
    own = route.served.fast_rows
    is_one = len(rows) == 1 or all(one.route is arm for one in assigned)
    if is_one and own and fast_rows and fast_rows.type is own.type and not arm.is_absent:
        try:
            ids, (_, predictions) = await service.predict(arm, fast_rows, rows, request)
        except Exception as error:
            # What is wrong with the rows is found where they are read as dicts.
            if find_failure(error) is None:
                raise
        else:
            # This is on the path of each request: what one row needs is done in place.
            if arm.counts is None:
                _count_unassigned(split, assigned)
            else:
                arm.counts.rows += len(rows)
                for prediction in predictions:
                    if "imputed" in prediction:
                        arm.counts.imputed += 1
            # Encoded once, for the reply and for the log.
            answers = encode_predictions(ids, predictions)
            if arm.buffer is not None:
                arm.buffer.append(len(ids), request.body, *encode_notes(assigned), answers)
            return Reply(200, arm.headers, b'%b,"predictions":%b}' % (arm.opening, answers))
    plain = [to_builtins(row) for row in rows]
    return (await _answer_assigned(service, split, plain, assigned, request)).log().reply()


def encode_notes(assigned: Sequence[Assigned]) -> list[bytes]:
    """Encode what is noted of rows, an array for each name."""
    if len(assigned) == 1:
        _, note, encoded = assigned[0]
        return [encoded] if encoded else [encode((value,)) for value in note]
    return [encode(values) for values in zip(*(one.note for one in assigned), strict=True)]


async def _answer_assigned(
    service: Service,
    split: Split,
    rows: list[Row],
    assigned: list[Assigned],
    request: Request,
) -> Answered:
    """Predict rows as dicts in the arms that were assigned to them."""
    _count_unassigned(split, assigned)
    arms = list({id(one.route): one.route for one in assigned}.values())
    if len(arms) <= 1:
        arm = arms[0] if arms else split.plain
        return await _answer_arm(service, arm, rows, assigned, request)

    parts = []
    for arm in arms:
        own = [at for at, one in enumerate(assigned) if one.route is arm]
        part = [rows[at] for at in own]
        of_arm = _answer_arm(service, arm, part, [assigned[at] for at in own], request)
        parts.append((own, await _with_own_rows(own, of_arm)))
    return _put_together(len(rows), parts)


def read_unit_header(request: Request) -> str | None:
    """Return the unit in the header, if there is one."""
    value = request.headers.get(UNIT_HEADER)
    return None if value is None else _decode_unit(value)


def _decode_unit(value: bytes) -> str:
    """Decode a unit as UTF-8, which a column has as well."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


async def _answer_segments(
    service: Service, route: ModelRoute, rows: list[Row], request: Request
) -> Answered:
    """Predict the rows of each segment with its own model, and all others with this one."""
    rest = structs.replace(route, segments=())
    by_model: dict[str, list[int]] = {}
    for at, row in enumerate(rows):
        model = next((one.model for one in route.segments if one.holds(row)), "")
        by_model.setdefault(model, []).append(at)
    parts = []
    for model, own in by_model.items():
        # One hop: two systems whose segments lead to each other would never end.
        to = structs.replace(await service.find_route(model), segments=()) if model else rest
        of_segment = _answer(service, to, [rows[at] for at in own], request)
        parts.append((own, await _with_own_rows(own, of_segment)))
    if len(parts) == 1:
        return parts[0][1]
    return _put_together(len(rows), parts)


async def _with_own_rows(own: list[int], answering: Awaitable[Answered]) -> Answered:
    """Await the answer of a part of a request; its problems name the rows of the request."""
    try:
        return await answering
    except Problem as problem:
        raise problem.map_rows(own) from None


def _put_together(count: int, parts: list[tuple[list[int], Answered]]) -> Answered:
    """Put the answers of several arms together, each at the places of its rows."""
    ids = [""] * count
    predictions: list[Prediction] = [{}] * count
    for own, answered in parts:
        by = answered.routes[0]
        answered_by = {"version": by.served.version, "arm": by.arm}
        for at, id_, prediction in zip(own, answered.ids, answered.predictions, strict=True):
            ids[at] = id_
            # Rows of a segment may have been split among arms already.
            predictions[at] = {**answered_by, **prediction}
    routes = [one for _, answered in parts for one in answered.routes]
    records = [one for _, answered in parts for one in answered.records]
    return Answered(ids, predictions, routes, records)


async def _answer_arm(
    service: Service,
    arm: ModelRoute,
    rows: list[Row],
    assigned: Sequence[Assigned],
    request: Request,
) -> Answered:
    """Predict the rows of one arm; the champion answers them where the arm fails."""

    async def predict(by: ModelRoute) -> tuple[list[str], Answer]:
        return await service.predict(by, by.served, rows, request)

    by, (ids, (complete, predictions)) = await with_fallback(arm, len(rows), predict)
    count_rows(arm, len(rows), sum("imputed" in prediction for prediction in predictions))
    record = partial(_log, by, encode(by.served.trim_for_log(complete)), ids, predictions, assigned)
    return Answered(ids, predictions, [by], [record])


async def with_fallback(
    arm: ModelRoute, rows: int, answer: Callable[[ModelRoute], Awaitable[T]]
) -> tuple[ModelRoute, T]:
    """Answer rows by an arm, or by the champion where the arm fails; return who answered, and how.

    Where the champion fails as well its error is raised: that is nobody's failure, and not counted.
    """
    failure = "errors" if arm.is_absent else None
    bad = rows
    by = arm
    try:
        answered = await answer(by)
    except Exception as error:
        failure = find_failure(error)
        if failure is None or failure not in arm.fallback:
            raise
        bad = _count_bad(error, rows)
        if not isinstance(error, Problem):
            name = type(error).__name__
            log_event("error", "arm_failed", arm=arm.arm, error=name, why=str(error)[:500])
        by = arm.fallback[failure]
        answered = await answer(by)
    if failure is not None:
        _count_failed(arm, failure, bad)
    return by, answered


def find_failure(error: Exception) -> str | None:
    """Return the kind of failure of an arm that an error is; None for one that is nobody's."""
    if isinstance(error, Problem):
        return "unread" if error.kind == "invalid_rows" else None
    return "errors"


def _count_bad(error: Exception, rows: int) -> int:
    """Count the rows that an error is about, of all rows of an arm."""
    if isinstance(error, Problem):
        bad = {one.get("row") for one in error.more.get("errors", [])}
        return len(bad) or rows
    return rows


def _count_failed(arm: ModelRoute, failure: str, rows: int) -> None:
    """Count rows that an arm has failed on."""
    if arm.counts is None:
        return
    if failure == "errors":
        arm.counts.errors += rows
    else:
        arm.counts.unread += rows


def count_rows(arm: ModelRoute, rows: int, imputed: int) -> None:
    """Count the rows of an arm, and those with imputed columns."""
    if arm.counts is not None:
        arm.counts.rows += rows
        arm.counts.imputed += imputed


def _count_unassigned(split: Split, assigned: Sequence[Assigned]) -> None:
    """Count the rows of a rollout that bring no unit."""
    if split.phase is not None:
        split.unassigned += sum(1 for one in assigned if one.route is split.plain)


def _log(
    route: ModelRoute,
    rows: bytes,
    ids: list[str],
    predictions: list[Prediction],
    assigned: Sequence[Assigned] = (),
) -> None:
    """Append predictions to the buffer of a route, with what is noted of their rows."""
    if route.buffer is None:
        return
    answers = encode_predictions(ids, predictions)
    route.buffer.append(len(ids), rows, *encode_notes(assigned), answers)


def encode_predictions(ids: list[str], predictions: list[Prediction]) -> bytes:
    """Encode predictions and their ids as a JSON array.

    >>> encode_predictions(["0661"], [{"prediction": 0.5}])
    b'[{"prediction":0.5,"prediction_id":"0661"}]'
    """
    # One comprehension: this is on the path of each request.
    return encode(
        [{**one, "prediction_id": id_} for id_, one in zip(ids, predictions, strict=True)]
    )
