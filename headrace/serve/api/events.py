"""`POST /events`: events that happened, for the windows of later rows, and for training.

    POST /events             {"events": [{"kind": "clicks", "user": "u1", "time": …}, …]}
    POST /events/clicks      {"events": [{"user": "u1", "time": …}, …]}
    ──> {"taken": 2, "stored": true}

`kind` names the table of an event. A table that has a column of that name takes its events at
`/events/TABLE`, where they are taken as they are.
"""

import asyncio
from typing import Any

import msgspec

from headrace.clock import SYSTEM
from headrace.errors import EmptyStoreError
from headrace.serve.http.messages import Problem, Reply, Request, build_unavailable, json_reply
from headrace.serve.http.slices import WHOLE_BYTES
from headrace.serve.log_event import log_event
from headrace.serve.models.system import ServedSystem
from headrace.serve.service import Endpoint, Service, decode_body
from headrace.spec import EventTable
from headrace.store import Pusher, PushResult
from headrace.workspace import Workspace

Event = dict[str, Any]
EventsByTable = dict[str, list[Event]]

_MAX_WAITING = 16
"""Requests with events that may wait for the one thread that pushes."""
_MAX_VALUES = 100
"""Values of an event."""


class EventsRequest(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a request to `/events`."""

    events: list[Event]


_decode = msgspec.json.Decoder(EventsRequest).decode


async def push(service: Service, request: Request, table: str) -> Reply:
    """Append events to the log, all of them or none, and take them into the online store.

    With the reply they are durable. The next row sees them, unless `stored` is false: then the
    store refused, and the next push catches up.
    """
    events = await _read_events(service, request)
    sent = {table: events} if table else _split_by_kind(events)
    system = _find_system(list(service.repository.list_systems().values()), sent)
    service.check_system(request, system)
    tables = system.spec.data.events
    rows: EventsByTable = {}
    for name, table_events in sent.items():
        rows[name] = [_name_columns(event, tables[name]) for event in table_events]

    # One thread pushes, as writers of a store take turns: a queue before it has to be bounded.
    if service.waiting_pushes >= _MAX_WAITING:
        raise build_unavailable("overloaded", "Too many events are waiting")
    service.waiting_pushes += 1
    try:
        loop = asyncio.get_running_loop()
        result = await loop.run_in_executor(
            service.push_executor, _push, service.pushers, system, rows
        )
    except EmptyStoreError as error:
        # The events are as they should be: the store has to be filled, and they can come again.
        raise build_unavailable("store", "The events cannot be accepted now", str(error)) from None
    finally:
        service.waiting_pushes -= 1

    if result.store_error is not None:
        do = "the next push writes them to the store from the log"
        log_event("warning", "store_behind", why=str(result.store_error), do=do)
    return json_reply({"taken": result.events, "stored": result.store_error is None})


async def _read_events(service: Service, request: Request) -> list[Event]:
    """Decode the events of a request; raises `Problem`, also for too many."""
    max_rows = service.settings.max_rows
    if len(request.body) <= WHOLE_BYTES:
        events: list[Event] = decode_body(_decode, request.body).events
    else:
        body = await service.read_large(request.body, EventsRequest, max_rows * _MAX_VALUES)
        events = body.events
    if len(events) > max_rows:
        detail = f"{len(events)}, at most {max_rows}"
        raise Problem(413, "too_many_rows", "There are too many events", detail)
    return events


def _split_by_kind(events: list[Event]) -> EventsByTable:
    """Return events, without their `kind`, by it.

    >>> _split_by_kind([{"kind": "clicks", "user": 1}, {"kind": "orders", "user": 1}])
    {'clicks': [{'user': 1}], 'orders': [{'user': 1}]}
    """
    by_table: EventsByTable = {}
    for event in events:
        values = {name: value for name, value in event.items() if name != "kind"}
        by_table.setdefault(str(event.get("kind")), []).append(values)
    return by_table


def _push(
    pushers: dict[Workspace, Pusher], system: ServedSystem, events: EventsByTable
) -> PushResult:
    """Push events, and open the store before the first; runs in the one thread that pushes."""
    if system.workspace not in pushers:
        pushers[system.workspace] = system.open_pusher()
    return pushers[system.workspace].push_all(events, SYSTEM.now_us())


def _find_system(systems: list[ServedSystem], events: EventsByTable) -> ServedSystem:
    """Return the system whose spec has the tables of the events; raises `Problem`."""
    for system in systems:
        if events and events.keys() <= system.spec.data.events.keys():
            return system

    known = sorted({kind for system in systems for kind in system.spec.data.events})
    found = ", ".join(sorted(events)[:5]) if events else "no events"
    expected = "nothing: no served system has event tables"
    if known:
        expected = "one of: " + ", ".join(known)
    detail = f"kind {found}; expected {expected}"
    raise Problem(422, "invalid_rows", "The events cannot be accepted", detail)


def _name_columns(event: Event, table: EventTable) -> Event:
    """Return an event by the columns of its table.

    Its id and its time may come as `id` and `time`, whatever the table calls them.
    """
    row = dict(event)
    for name, column in (("id", table.id), ("time", table.time)):
        if column is not None and column not in row and name in row:
            row[column] = row.pop(name)
    return row


PUSH = Endpoint("events", "POST", "write", push)
ROUTES = {"/events": [PUSH], "/events/": [PUSH]}
