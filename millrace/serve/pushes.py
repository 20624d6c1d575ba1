"""`POST /events`: what happened, for the windows of rows to come, and for training."""

import asyncio
import time
from collections.abc import Mapping
from functools import partial
from typing import Any

import msgspec

from millrace.events import Online
from millrace.serve.home import Home
from millrace.serve.http import Problem, Reply, Request, json_reply
from millrace.serve.service import Action, Service, decoded
from millrace.spec import EventTable


class Body(msgspec.Struct, forbid_unknown_fields=True):
    """What `/events` takes: each with its `kind`, the name of its table in the spec."""

    events: list[dict[str, Any]]


_decode = msgspec.json.Decoder(Body).decode


async def push(service: Service, request: Request, path: str) -> Reply:
    """Takes events, all of them or none; when it answers they are durable and seen by the next row."""
    events = decoded(_decode, await request.body()).events
    most = service.settings.max_rows
    if len(events) > most:
        raise Problem(413, "too_many_rows", "There are too many events", f"{len(events)}, at most {most}")
    told: dict[str, list[dict[str, Any]]] = {}
    homes = list(service.shelf.homes().values())
    home = _home_of(homes, events)
    for event in events:
        kind = str(event.get("kind"))
        told.setdefault(kind, []).append(_named(event, home.system.data.events[kind]))
    online = service.pushed.get(home.workspace)
    if online is None:
        online = service.pushed[home.workspace] = await asyncio.to_thread(home.online)
    await asyncio.to_thread(partial(_push, online, told))
    return json_reply({"taken": len(events)})


def _push(online: Online, told: Mapping[str, list[dict[str, Any]]]) -> None:
    online.push_all(told, time.time_ns() // 1000)


def _home_of(homes: list[Home], events: list[dict[str, Any]]) -> Home:
    """The workspace whose spec has the tables of the events."""
    kinds = {str(event.get("kind")) for event in events}
    for home in homes:
        if events and kinds <= set(home.system.data.events):
            return home
    known = sorted({kind for home in homes for kind in home.system.data.events})
    found = ", ".join(sorted(kinds)[:5]) if events else "no events"
    expected = "one of: " + ", ".join(known) if known else "nothing: no served system has event tables"
    raise Problem(422, "invalid_rows", "The events cannot be taken", f"kind {found}; expected {expected}")


def _named(event: dict[str, Any], table: EventTable) -> dict[str, Any]:
    """An event by the columns of its table; its id and its time may also be called so."""
    row = {name: value for name, value in event.items() if name != "kind" or table.time == "kind"}
    for name, column in (("id", table.id), ("time", table.time)):
        if column is not None and column not in row and name in row:
            row[column] = row.pop(name)
    return row


ACTIONS = {"/events": [Action("events", "POST", "write", push)]}
