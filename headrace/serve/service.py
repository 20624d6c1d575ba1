"""The service: which request goes where, and what all of them share."""

import asyncio
import gc
import os
import re
import sys
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

import msgspec
from msgspec import Struct

from headrace.clock import SYSTEM
from headrace.errors import BundleError, InputError, WorkError
from headrace.serve.http import tokens
from headrace.serve.http.connection import SWEEP_S, Connections
from headrace.serve.http.messages import Headers, Problem, Reply, Request
from headrace.serve.http.sites import HostGuard, is_loopback
from headrace.serve.http.slices import SLICE_BYTES, WHOLE_BYTES, decode_in_slices
from headrace.serve.log_event import log_event
from headrace.serve.metrics.exposition import Ledger
from headrace.serve.metrics.metrics import Histogram, Metrics
from headrace.serve.models.batch import Answer, Batcher, BatchHandler
from headrace.serve.models.ids import IdGenerator
from headrace.serve.models.recorder import Recorder
from headrace.serve.models.repository import ModelRoute, ModelSource, Repository
from headrace.serve.models.served import ServedModel
from headrace.serve.models.system import ServedSystem
from headrace.serve.parent import stop_without_parent
from headrace.spec import ServeSpec
from headrace.store import Pusher
from headrace.workspace import Workspace

FOLLOW_S, LEDGER_S, _SWITCH_S = 0.1, 1.0, 0.0005
_MOST_AT_ONCE, _OTHER_CELLS = 1_000, 16
"""Rows that are predicted in one piece; values that a row may have beside those of its model."""
DEADLINE = b"x-headrace-deadline-ms"
T = TypeVar("T")


class Endpoint(Struct, frozen=True):
    """What is done at a path: under which name it is counted, by which method, for whom, and by what."""

    label: str
    method: str
    scope: tokens.Scope | None
    do: "Callable[[Service, Request, str], Awaitable[Reply]]"


class Service:
    """Serves models. `actions` are by path; one whose path ends in `/` takes what is below."""

    def __init__(
        self,
        sources: list[ModelSource],
        settings: ServeSpec,
        actions: Mapping[str, list[Endpoint]],
        ledger: Path | None = None,
        parent: int | None = None,
    ) -> None:
        self.settings, self.metrics, self.ids = settings, Metrics(), IdGenerator()
        self.batcher = Batcher(settings.max_waiting)
        self.recorder = Recorder(self.metrics)
        self.repository = Repository(sources, self.metrics, self.recorder if settings.log else None)
        self.ledger = Ledger(ledger, self.metrics)
        self.pushers: dict[Workspace, Pusher] = {}
        self.pushes, self.pushing = ThreadPoolExecutor(1), 0
        self.ready, self._parent = False, parent
        self.sites = HostGuard(settings.hosts, any_name=not is_loopback(settings.host))
        self._guard, self._tokens = tokens.TokenGuard({}, open=True), tokens.Tokens()
        self._actions = {
            path: {action.method: action for action in some} for path, some in actions.items()
        }
        self._below = sorted(
            (path for path in self._actions if path.endswith("/") and path != "/"), reverse=True
        )
        self.connections = Connections(self.answer, self.refuse, int(settings.max_body_mb * 2**20))
        self._tasks: list[asyncio.Task[None]] = []
        self._seconds: dict[str, Histogram] = {}

    def allow(self, request: Request, scope: tokens.Scope) -> None:
        """Raises `Problem` where tokens are asked for and the request has none of the scope."""
        if not self._guard.open:
            request.workspaces = self._guard.check(request.header(b"authorization"), scope)

    def allow_system(self, request: Request, system: ServedSystem | None) -> None:
        """Raises `Problem` where a request's token is for another system than that of a workspace."""
        if (
            request.workspaces is not None
            and system is not None
            and system.workspace not in request.workspaces
        ):
            raise Problem(
                403,
                "forbidden",
                "The token is for another system",
                "one of its own workspace is needed",
            )

    async def predict(
        self, route: ModelRoute, answers: BatchHandler, rows: list[Any], request: Request
    ) -> tuple[list[str], Answer]:
        """The ids of predictions, which are counted, and the rows as they were predicted by what
        the route has for rows of their kind; raises `Problem`.
        """
        self.allow_system(request, route.served.system)
        most = self.settings.max_rows
        if len(rows) > most:
            raise Problem(
                413, "too_many_rows", "There are too many rows", f"{len(rows)}, at most {most}"
            )
        if not rows:
            return [], ([], [])
        until = _deadline(request)
        if len(rows) <= _MOST_AT_ONCE:
            answer = await self.batcher.ask(answers, rows, until)
        else:
            answer = await self._in_parts(answers, rows, until)
        ids = self.ids.take(len(rows), route.served.version)
        self.metrics.counts[
            "headrace_predictions", route.served.name, str(route.served.version), route.arm
        ] += len(rows)
        return ids, answer

    async def _in_parts(
        self, answers: BatchHandler, rows: list[Any], until: float | None
    ) -> Answer:
        """Predicts many rows so that others' come between."""
        complete: list[Any] = []
        predictions: list[Any] = []
        for start in range(0, len(rows), _MOST_AT_ONCE):
            part = rows[start : start + _MOST_AT_ONCE]
            try:
                one = await self.batcher.ask(answers, part, until, admitted=start > 0)
            except Problem as problem:
                raise problem.behind(start) from None
            complete += one[0]
            predictions += one[1]
        return complete, predictions

    async def read(
        self, request: Request, type: type[T], served: ServedModel, until: int | None = None
    ) -> T:
        """The JSON of a request as a value of a type, up to its byte `until`, of at most as many
        values as so many rows of a model may have; raises `Problem`.
        """
        body = request.body[:until]
        if len(body) <= WHOLE_BYTES:
            read: T = decode_body(_decoder(cast(Any, type)), body)
            return read
        return await self.read_large(body, type, self.most_values(served))

    def most_values(self, served: ServedModel) -> int:
        """How many values a request may have for a model: as many as so many rows of it."""
        cells = sum(column.width or 1 for column in served.inputs)
        return self.settings.max_rows * (cells + _OTHER_CELLS)

    async def read_large(self, body: bytes, type: type[T], most_values: int) -> T:
        """As `read`, with at most so many values."""
        try:
            return msgspec.convert(await decode_in_slices(body, most_values), type)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Problem(
                400, "invalid_body", "The body cannot be read", _why_not_json(body, error)
            ) from None

    async def route(self, ref: str) -> ModelRoute:
        """The way to a model; raises `Problem` where there is none."""
        found = self.repository.routes.get(ref)
        if found is not None:
            return found
        try:
            return await self.repository.route(ref)
        except InputError as error:
            raise Problem(404, "no_such_model", "There is no such model", str(error)) from None
        except BundleError as error:
            raise Problem(503, "bundle", "The version cannot be served", str(error)) from None

    async def answer(self, request: Request) -> Reply:
        """The reply to a request, whatever happens."""
        label = "none"
        try:
            action, rest = self._action(request)
            label = action.label
            self.sites.check(request)
            if action.scope is not None:
                self.allow(request, action.scope)
            reply = await action.do(self, request, rest)
        except Problem as problem:
            reply = self.refuse(problem)
        except InputError as error:
            self.metrics.counts["headrace_errors", "invalid_rows"] += 1
            reply = Problem(422, "invalid_rows", "The rows cannot be used", str(error)).reply()
        except BundleError as error:  # its folder is gone, or was changed
            reply = self.refuse(Problem(503, "bundle", "The version cannot be served", str(error)))
        except WorkError as error:  # a disk or a server refuses
            self.metrics.counts["headrace_errors", "store"] += 1
            retry = [(b"retry-after", b"1")]
            reply = Problem(
                503, "store", "The service cannot do this now", str(error), retry
            ).reply()
        except Exception as error:  # a fault of ours: told to the operator, not to the client
            self.metrics.counts["headrace_errors", "internal"] += 1
            log_event(
                "error",
                "failed",
                path=request.path[:200],
                error=type(error).__name__,
                why=str(error)[:500],
            )
            reply = Problem(500, "internal", "The service failed").reply()
        self.metrics.counts["headrace_requests", label, str(reply.status)] += 1
        seconds = self._seconds.get(label)
        if seconds is None:
            seconds = self._seconds[label] = self.metrics.histogram(
                "headrace_request_seconds", label
            )
        seconds.add(SYSTEM.monotonic_s() - request.received_s)
        return reply

    def refuse(self, problem: Problem) -> Reply:
        """The reply to what is not answered as it asked, which is counted."""
        self.metrics.counts["headrace_errors", problem.kind] += 1
        return problem.reply()

    def _action(self, request: Request) -> tuple[Endpoint, str]:
        path, rest = request.path, ""
        methods = self._actions.get(path)
        if methods is None:
            for above in self._below:
                if path.startswith(above):
                    methods, rest = self._actions[above], path[len(above) :]
                    break
            else:
                raise Problem(404, "no_such_path", "There is nothing here", "see /docs")
        action = methods.get(request.method)
        if action is None:
            allow: Headers = [(b"allow", ", ".join(methods).encode())]
            raise Problem(
                405,
                "method",
                f"{request.method} is not allowed",
                "use " + ", ".join(methods),
                allow,
            )
        return action, rest

    def start(self) -> None:
        """Opens what is served, inside a running loop; raises `HeadraceError` where it cannot be."""
        self._read_tokens()
        self.repository.open()
        gc.collect()
        gc.freeze()  # what is here now stays: a full collection would look at all of it, for tens of milliseconds
        gc.set_threshold(50_000, 50, 100)
        sys.setswitchinterval(
            _SWITCH_S
        )  # a thread that waits for a disk, or loads a model, gives way to requests
        self.metrics.gauges["headrace_waiting_rows",] = 0
        self._tasks = [asyncio.create_task(self._often(FOLLOW_S, self._follow))]
        self._tasks.append(asyncio.create_task(self._often(FOLLOW_S, self._guarded)))
        self._tasks.append(asyncio.create_task(self._often(LEDGER_S, self._note)))
        self._tasks.append(asyncio.create_task(self._often(SWEEP_S, self._sweep)))
        self.ready = True
        versions = {
            name: self.repository.routes[name].served.version for name in self.repository.names
        }
        log_event("info", "ready", process=os.getpid(), models=versions)

    async def stop(self) -> None:
        """Ends what runs beside the requests, and appends what is not in the log yet."""
        self.ready = False
        for task in self._tasks:
            task.cancel()
        self.pushes.shutdown()
        await self.recorder.close()
        self.ledger.close()

    async def _often(self, every_s: float, do: Callable[[], Awaitable[None]]) -> None:
        said = ""
        while True:
            await asyncio.sleep(every_s)
            try:
                await do()
                said = ""
            except Exception as error:  # the next turn tries again
                if said != (said := str(error)):
                    log_event(
                        "error",
                        "failed",
                        path=do.__name__,
                        error=type(error).__name__,
                        why=said[:500],
                    )

    async def _follow(self) -> None:
        await self.repository.follow()

    async def _guarded(self) -> None:
        self._read_tokens()

    async def _sweep(self) -> None:
        self.connections.sweep()
        if stop_without_parent(self._parent):
            self._parent = None
            self.ledger.remove()

    async def _note(self) -> None:
        self.metrics.gauges["headrace_waiting_rows",] = self.batcher.take_peak()
        self.ledger.write()

    def _read_tokens(self) -> None:
        """Takes what is there; what was read stays in force where it cannot be read any more."""
        try:
            self._tokens.read([system.workspace for system in self.repository.systems().values()])
        finally:
            self._guard = self._tokens.guard()


def _deadline(request: Request) -> float | None:
    """Until when an answer is of use, by the clock of `time.perf_counter`; raises `Problem` for a
    header that is no number.
    """
    told = request.header(DEADLINE)
    if told is None:
        return None
    with suppress(ValueError):
        if 0 <= (milliseconds := float(told)) < float("inf"):
            return request.received_s + milliseconds / 1e3
    raise Problem(400, "bad_header", f"{DEADLINE.decode()} is no number of milliseconds", told[:60])


_NO_NUMBER = re.compile(rb'(?:"([^"]{0,100})"\s*:|[\[,])\s*(-?(?:NaN|Infinity|nan|inf))\b')


@cache
def _decoder(type: Any) -> Callable[[bytes], Any]:
    return msgspec.json.Decoder(type).decode


def decode_body(decode: Callable[[Any], Any], body: bytes) -> Any:
    """A body as a value; raises `Problem` where it is not JSON of the right shape."""
    try:
        return decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Problem(
            400, "invalid_body", "The body cannot be read", _why_not_json(body, error)
        ) from None


def _why_not_json(body: bytes, error: Exception) -> str:
    """What is wrong with a body; the numbers that other languages write into JSON are named with their field."""
    if (
        isinstance(error, msgspec.ValidationError)
        or (found := _NO_NUMBER.search(body[:SLICE_BYTES])) is None
    ):
        return str(error)
    field = f" in the field {found[1].decode(errors='replace')!r}" if found[1] else ""
    return f"{found[2].decode()}{field} is not JSON: write null ({error})"
