"""`POST /feedback`: what came of predictions; durable with the reply.

    POST /feedback           {"prediction_id": …, "outcome": 1}
    POST /feedback           {"outcomes": [{"id": "order-7", "outcome": 9.5, "name": "paid"}, …]}
    ──> {"taken": 1}

Outcomes that arrive in one turn of the loop, or while others are being appended, share an append:

    request a ──┐
    request b ──┴─> append ──> both are answered        fsync, or a busy log: in a thread
    request c ──────────────┴─> append ──> …
"""

import asyncio
from typing import Any

import msgspec
from msgspec import Struct

from headrace import outcomes
from headrace.clock import SYSTEM
from headrace.log import Log
from headrace.outcomes import Expected, Outcome, Parsed
from headrace.serve.http.messages import Problem, Reply, Request, build_unavailable, json_reply
from headrace.serve.http.slices import WHOLE_BYTES
from headrace.serve.models.system import ServedSystem
from headrace.serve.service import Endpoint, Service, decode_body
from headrace.tables import BusyError

_MAX_WAITING = 1_000_000
"""Outcomes that may wait for their turn."""
_MAX_VALUES = 8
_LIST_S = 1.0
_PATIENCE_S = 5.0
"""Seconds to wait for another process that holds the log."""


class Feedback(Outcome, forbid_unknown_fields=True):
    """The body of a request to `/feedback`: one outcome, or many."""

    outcomes: list[Outcome] | None = None


_decode = msgspec.json.Decoder(Feedback).decode


class _Waiting(Struct):
    """The outcomes of a request that wait for their append."""

    outcomes: list[Parsed]
    done: asyncio.Future[None]


class FeedbackLog:
    """The log of outcomes of a system: one append at a time, and all that waits goes with it.

    Parameters: `labels`, whether the target's outcomes are labels.
    """

    def __init__(self, system: ServedSystem, labels: bool) -> None:
        self._system = system
        self._labels = labels
        self._expected: Expected | None = None
        self._looked_s = 0.0
        self._log: Log = system.outcome_log()
        self._slow = system.spec.log.fsync
        self._waiting: list[_Waiting] = []
        self._count = 0
        self._is_planned = False

    def expect(self) -> Expected:
        """Return what outcomes are expected to be like; the versions are listed once a second."""
        now_s = SYSTEM.monotonic_s()
        if self._expected is None or now_s - self._looked_s > _LIST_S:
            spec = self._system.spec
            versions = self._system.workspace.versions(spec.name)
            last = max(versions, default=0)
            self._expected = Expected(spec.goal.target, self._labels, spec.data.id, last)
            self._looked_s = now_s
        return self._expected

    def submit(self, parsed: list[Parsed]) -> asyncio.Future[None]:
        """Queue outcomes, and return a future that is done when they are durable.

        Raises `Problem` (503) where too many wait already.
        """
        if self._count + len(parsed) > _MAX_WAITING:
            raise build_unavailable("overloaded", "Too many outcomes are waiting")
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        self._waiting.append(_Waiting(parsed, done))
        self._count += len(parsed)
        if not self._is_planned:
            self._is_planned = True
            loop.call_soon(self._start)
        return done

    def _start(self) -> None:
        """Append all that waits: at once where that cannot block, else in a thread."""
        if self._slow:
            self._task = asyncio.ensure_future(self._append_in_thread())
            return
        waiting = self._take()
        try:
            self._append(waiting, 0.0)
        except BusyError:
            self._waiting = waiting + self._waiting
            self._count = sum(len(one.outcomes) for one in self._waiting)
            self._task = asyncio.ensure_future(self._append_in_thread())
            return
        except Exception as error:
            _finish(waiting, error)
        else:
            _finish(waiting, None)
        self._go_on()

    async def _append_in_thread(self) -> None:
        waiting = self._take()
        try:
            await asyncio.to_thread(self._append, waiting, _PATIENCE_S)
        except Exception as error:
            _finish(waiting, error)
        else:
            _finish(waiting, None)
        self._go_on()

    def _take(self) -> list[_Waiting]:
        waiting, self._waiting = self._waiting, []
        self._count = 0
        return waiting

    def _go_on(self) -> None:
        """Plan the next append where more has come meanwhile."""
        self._is_planned = bool(self._waiting)
        if self._is_planned:
            asyncio.get_running_loop().call_soon(self._start)

    def _append(self, waiting: list[_Waiting], patience_s: float) -> None:
        together = [one for request in waiting for one in request.outcomes]
        outcomes.append(self._log, together, patience_s)


def _finish(waiting: list[_Waiting], error: Exception | None) -> None:
    """Answer requests; a client that is gone has cancelled its future."""
    for request in waiting:
        if request.done.done():
            continue
        if error is None:
            request.done.set_result(None)
        else:
            request.done.set_exception(error)


async def feed_back(service: Service, request: Request, name: str) -> Reply:
    """Append the outcomes of predictions to their log, all of them or none."""
    sent = await _read(service, request)
    system = _find_system(service, name)
    service.check_system(request, system)
    log = service.feedback_logs.get(system.workspace)
    if log is None:
        served = service.repository.routes[system.spec.name].served
        log = FeedbackLog(system, served.predictor.is_multiclass)
        service.feedback_logs[system.workspace] = log
    parsed = outcomes.parse(sent, log.expect(), SYSTEM.now_us())
    if parsed:
        await log.submit(parsed)
    service.metrics.counts["headrace_outcomes", system.spec.name, "taken"] += len(parsed)
    return json_reply({"taken": len(parsed)})


async def _read(service: Service, request: Request) -> list[Outcome]:
    """Decode the outcomes of a request; raises `Problem`, also for too many."""
    max_rows = service.settings.max_rows
    if len(request.body) <= WHOLE_BYTES:
        body: Feedback = decode_body(_decode, request.body)
    else:
        body = await service.read_large(request.body, Feedback, max_rows * _MAX_VALUES)
    if body.outcomes is None:
        return [body]
    if body.outcome is not msgspec.UNSET or body.prediction_id or body.id is not None:
        detail = "`outcomes` beside the fields of a single one"
        raise Problem(400, "invalid_body", "The body cannot be read", detail)
    if len(body.outcomes) > max_rows:
        detail = f"{len(body.outcomes)}, at most {max_rows}"
        raise Problem(413, "too_many_rows", "There are too many outcomes", detail)
    return body.outcomes


def _find_system(service: Service, name: str) -> ServedSystem:
    """Return the system that feedback is for: the first one where a path names none."""
    systems = service.repository.list_systems()
    if not systems:
        detail = "a bundle outside of a system's folder has no log"
        raise Problem(422, "invalid_rows", "No system takes outcomes", detail)
    if not name:
        return next(iter(systems.values()))
    if name not in systems:
        known = ", ".join(systems)
        raise Problem(
            404, "no_such_model", "There is no such model", f"{name[:60]}; one of: {known}"
        )
    return systems[name]


ROUTES: dict[str, Any] = {
    "/feedback": [Endpoint("feedback", "POST", "write", feed_back)],
    "/feedback/": [Endpoint("feedback", "POST", "write", feed_back)],
}
