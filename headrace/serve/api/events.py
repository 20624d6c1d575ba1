"""`POST /events`: what happened, for the windows of rows to come, and for training.

An event names its table as its `kind`. Where a table has a column of that name, its events go to
`/events/TABLE`, as they are.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec

from headrace.clock import SYSTEM
from headrace.errors import EmptyStoreError
from headrace.serve.http.messages import Problem, Reply, Request, json_reply
from headrace.serve.http.slices import WHOLE_BYTES
from headrace.serve.log_event import log_event
from headrace.serve.models.system import ServedSystem
from headrace.serve.service import Endpoint, Service, decode_body
from headrace.spec import EventTable
from headrace.store import Pusher, PushResult
from headrace.workspace import Workspace


class EventsRequest(msgspec.Struct, forbid_unknown_fields=True):
    """What `/events` takes."""

    events: list[dict[str, Any]]


_MOST_WAITING, _MOST_CELLS = 16, 100
_decode = msgspec.json.Decoder(EventsRequest).decode


async def push(service: Service, request: Request, table: str) -> Reply:
    """Takes events, all of them or none; when it answers they are durable, and seen by the next row where `stored`."""
    if len(request.body) <= WHOLE_BYTES:
        events = decode_body(_decode, request.body).events
    else:
        most_values = service.settings.max_rows * _MOST_CELLS
        events = (await service.read_large(request.body, EventsRequest, most_values)).events
    most = service.settings.max_rows
    if len(events) > most:
        raise Problem(
            413, "too_many_rows", "There are too many events", f"{len(events)}, at most {most}"
        )
    told: dict[str, list[dict[str, Any]]] = {table: events} if table else {}
    for event in events if not table else []:
        plain = {name: value for name, value in event.items() if name != "kind"}
        told.setdefault(str(event.get("kind")), []).append(plain)
    system = _find_system(list(service.repository.systems().values()), told)
    service.allow_system(request, system)
    tables = system.spec.data.events
    told = {kind: [_named(event, tables[kind]) for event in some] for kind, some in told.items()}
    if service.pushing >= _MOST_WAITING:
        raise Problem(
            503, "overloaded", "Too many events are waiting", "", [(b"retry-after", b"1")]
        )
    service.pushing += 1
    try:
        loop = asyncio.get_running_loop()
        pushed = await loop.run_in_executor(service.pushes, _push, service.pushers, system, told)
    except EmptyStoreError as error:  # the events are as they should be
        raise Problem(
            503, "store", "The events cannot be taken now", str(error), [(b"retry-after", b"1")]
        ) from None
    finally:
        service.pushing -= 1
    if pushed.store_error is not None:
        log_event(
            "warning",
            "store_behind",
            why=str(pushed.store_error),
            do="the next push tells it what the log has",
        )
    return json_reply({"taken": pushed.events, "stored": pushed.store_error is None})


def _push(
    open_: dict[Workspace, Pusher], system: ServedSystem, told: Mapping[str, list[dict[str, Any]]]
) -> PushResult:
    """In the one thread that pushes."""
    if system.workspace not in open_:
        open_[system.workspace] = system.online()
    return open_[system.workspace].push_all(told, SYSTEM.now_us())


def _find_system(systems: list[ServedSystem], told: Mapping[str, Any]) -> ServedSystem:
    """The workspace whose spec has the tables of the events."""
    for system in systems:
        if told and told.keys() <= system.spec.data.events.keys():
            return system
    known = sorted({kind for system in systems for kind in system.spec.data.events})
    found = ", ".join(sorted(told)[:5]) if told else "no events"
    expected = (
        "one of: " + ", ".join(known) if known else "nothing: no served system has event tables"
    )
    raise Problem(
        422, "invalid_rows", "The events cannot be taken", f"kind {found}; expected {expected}"
    )


def _named(event: dict[str, Any], table: EventTable) -> dict[str, Any]:
    """An event by the columns of its table; its id and its time may also be called so."""
    row = dict(event)
    for name, column in (("id", table.id), ("time", table.time)):
        if column is not None and column not in row and name in row:
            row[column] = row.pop(name)
    return row


PUSH = Endpoint("events", "POST", "write", push)
ROUTES = {"/events": [PUSH], "/events/": [PUSH]}
