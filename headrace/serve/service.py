"""The service: it finds the endpoint of a request, and does what all endpoints share.

    Connection ──> Service.answer
                     find the endpoint      404, 405
                     check the host         403, 415        http/sites.py
                     check the token        401, 403        http/tokens.py
                     endpoint.handle        api/NAME.py ──> Service.predict ──> Batcher
                     errors to problems     400, 413, 422, 500, 503, 504
                     count                  metrics/

Beside the requests, tasks follow aliases and tokens, write counts, and end silent connections.
"""

import asyncio
import gc
import math
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
from headrace.errors import BundleError, HeadraceError, InputError, WorkError
from headrace.serve.controller import ControllerKeeper
from headrace.serve.http import tokens
from headrace.serve.http.connection import SWEEP_S, Connections
from headrace.serve.http.messages import Headers, Problem, Reply, Request, build_unavailable
from headrace.serve.http.sites import HostGuard, is_loopback
from headrace.serve.http.slices import SLICE_BYTES, WHOLE_BYTES, decode_in_slices
from headrace.serve.log_event import log_event
from headrace.serve.metrics.exposition import Ledger
from headrace.serve.metrics.metrics import Histogram, Metrics
from headrace.serve.metrics.rollout import RolloutMetrics
from headrace.serve.models.arms import ModelRoute
from headrace.serve.models.batch import Answer, Batcher, BatchHandler
from headrace.serve.models.ids import IdGenerator
from headrace.serve.models.recorder import Recorder
from headrace.serve.models.repository import Repository
from headrace.serve.models.served import ServedModel
from headrace.serve.models.sources import ModelSource
from headrace.serve.models.system import ServedSystem
from headrace.serve.models.taken import remove_marks
from headrace.serve.parent import stop_without_parent
from headrace.spec import ServeSpec
from headrace.store import Pusher
from headrace.workspace import Workspace

FOLLOW_S = 0.1
"""Seconds between two looks at aliases and tokens."""
LEDGER_S = 1.0
"""Seconds between two writes of the counts."""
KEEP_S = 0.5
"""Seconds between two looks at the controllers of rollouts."""
COUNTS_S = 0.25
"""Seconds between two records of what was counted of the arms of rollouts."""
_SWITCH_S = 0.0005
"""Seconds after which a thread that loads a model, or waits for a disk, gives way to requests."""
_MAX_BATCH_ROWS = 1_000
"""Rows of one request that are predicted in one piece."""
_EXTRA_VALUES = 16
"""Values that a row may have beyond those of its model."""
DEADLINE = b"x-headrace-deadline-ms"
T = TypeVar("T")


class Endpoint(Struct, frozen=True):
    """An HTTP method at a path.

    `label` names it in the metrics. Requests need a token of `scope`; None lets everybody in.
    `handle` takes the service, the request, and the rest of a path whose route ends in `/`.
    """

    label: str
    method: str
    scope: tokens.Scope | None
    handle: "Callable[[Service, Request, str], Awaitable[Reply]]"


class Service:
    """A service of models, in one process.

    Parameters:
        sources: the models; the first is meant where a request names none.
        settings: the `serve` section of a spec.
        routes: the endpoints by path; a path that ends in `/` takes all paths below it.
        ledger: the folder in which several processes leave their counts; None for a single one.
        parent: the id of the process without which this one ends; None where there is none.
    """

    def __init__(
        self,
        sources: list[ModelSource],
        settings: ServeSpec,
        routes: Mapping[str, list[Endpoint]],
        ledger: Path | None = None,
        parent: int | None = None,
    ) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self.ids = IdGenerator()
        self.batcher = Batcher(settings.max_waiting)
        self.recorder = Recorder(self.metrics)
        self.repository = Repository(sources, self.metrics, self.recorder if settings.log else None)
        self.ledger = Ledger(ledger, self.metrics)
        self.connections = Connections(self.answer, self.refuse, int(settings.max_body_mb * 2**20))
        self.ready = False
        self._parent = parent
        self._tasks: list[asyncio.Task[None]] = []

        # Events are pushed in one thread: writers of a store take turns anyway.
        self.pushers: dict[Workspace, Pusher] = {}
        self.feedback_logs: dict[Workspace, Any] = {}
        self.push_executor = ThreadPoolExecutor(1)
        self.waiting_pushes = 0

        self._hosts = HostGuard(settings.hosts, any_name=not is_loopback(settings.host))
        self._tokens = tokens.Tokens()
        self._guard = tokens.TokenGuard({}, open=True)

        self._keepers: dict[str, ControllerKeeper] = {}
        self._exported: dict[str, RolloutMetrics] = {}
        self._endpoints = {
            path: {endpoint.method: endpoint for endpoint in endpoints}
            for path, endpoints in routes.items()
        }
        # Of two prefixes of a path, the longer one comes first.
        prefixes = [path for path in routes if path.endswith("/") and path != "/"]
        self._prefixes = sorted(prefixes, reverse=True)
        self._seconds: dict[str, Histogram] = {}

    def check_scope(self, request: Request, scope: tokens.Scope) -> None:
        """Raise `Problem` where tokens are required and the request has none of the scope."""
        if not self._guard.open:
            request.workspaces = self._guard.check(request.header(b"authorization"), scope)

    def check_system(self, request: Request, system: ServedSystem | None) -> None:
        """Raise `Problem` where the request's token is not good for the workspace of a system."""
        if request.workspaces is None or system is None:
            return
        if system.workspace not in request.workspaces:
            detail = "one of its own workspace is needed"
            raise Problem(403, "forbidden", "The token is for another system", detail)

    async def predict(
        self, route: ModelRoute, handler: BatchHandler, rows: list[Any], request: Request
    ) -> tuple[list[str], Answer]:
        """Predict the rows of a request, and count them.

        Parameters:
            route: the route to the model.
            handler: the model itself, or another handler of it for rows of this kind.
            rows: the rows, such as the handler takes.
            request: the request that brought them; its headers may set a deadline.

        Returns an id for each row, and the rows with their predictions. Raises `Problem`.
        """
        self.check_system(request, route.served.system)
        max_rows = self.settings.max_rows
        if len(rows) > max_rows:
            detail = f"{len(rows)}, at most {max_rows}"
            raise Problem(413, "too_many_rows", "There are too many rows", detail)
        if not rows:
            return [], ([], [])

        until_s = read_deadline(request)
        if len(rows) <= _MAX_BATCH_ROWS:
            answer = await self.batcher.submit(handler, rows, until_s)
        else:
            answer = await self._predict_in_parts(handler, rows, until_s)

        served = route.served
        ids = self.ids.take(len(rows), served.version, route.number)
        self.metrics.counts[
            "headrace_predictions", served.name, str(served.version), route.arm
        ] += len(rows)
        return ids, answer

    def check_deadline(self, until_s: float | None) -> None:
        """Raise `Problem` (504) after the time from which a reply is of no use."""
        if until_s is not None and SYSTEM.monotonic_s() > until_s:
            raise Problem(504, "deadline", "The deadline passed before the rows' turn came")

    async def _predict_in_parts(
        self, handler: BatchHandler, rows: list[Any], until_s: float | None
    ) -> Answer:
        """Predict many rows, a part after the other, so that other requests come between."""
        complete: list[Any] = []
        predictions: list[Any] = []
        for start in range(0, len(rows), _MAX_BATCH_ROWS):
            part = rows[start : start + _MAX_BATCH_ROWS]
            try:
                answer = await self.batcher.submit(handler, part, until_s, admitted=start > 0)
            except Problem as problem:
                raise problem.shift_rows(start) from None
            complete += answer[0]
            predictions += answer[1]
        return complete, predictions

    async def read_body(
        self, request: Request, type: type[T], served: ServedModel, end: int | None = None
    ) -> T:
        """Decode the JSON of a request, up to the byte `end` of its body, into a type.

        Raises `Problem` for a body that is not such JSON, or has more values than the largest
        number of rows of the model.
        """
        body = request.body[:end]
        if len(body) <= WHOLE_BYTES:
            value: T = decode_body(_build_decoder(cast(Any, type)), body)
            return value
        return await self.read_large(body, type, self.count_max_values(served))

    def count_max_values(self, served: ServedModel) -> int:
        """Return how many values a request for a model may have."""
        width = sum(column.width or 1 for column in served.inputs)
        return self.settings.max_rows * (width + _EXTRA_VALUES)

    async def read_large(self, body: bytes, type: type[T], max_values: int) -> T:
        """Decode the JSON of a large body into a type; raises `Problem` as `read_body` does."""
        try:
            return msgspec.convert(await decode_in_slices(body, max_values), type)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise _build_body_problem(body, error) from None

    async def find_route(self, ref: str) -> ModelRoute:
        """Return the route to a model; raises `Problem` where there is none."""
        route = self.repository.routes.get(ref)
        if route is not None:
            return route
        try:
            return await self.repository.find_route(ref)
        except InputError as error:
            raise Problem(404, "no_such_model", "There is no such model", str(error)) from None
        except BundleError as error:
            raise Problem(503, "bundle", "The version cannot be served", str(error)) from None

    async def answer(self, request: Request) -> Reply:
        """Return the reply to a request, whatever happens, and count the request."""
        label = "none"
        try:
            endpoint, rest = self._find_endpoint(request)
            label = endpoint.label
            self._hosts.check(request)
            if endpoint.scope is not None:
                self.check_scope(request, endpoint.scope)
            reply = await endpoint.handle(self, request, rest)
        except Exception as error:
            reply = self.refuse(_explain(error, request))

        self.metrics.counts["headrace_requests", label, str(reply.status)] += 1
        seconds = self._seconds.get(label)
        if seconds is None:
            seconds = self.metrics.histogram("headrace_request_seconds", label)
            self._seconds[label] = seconds
        seconds.add(SYSTEM.monotonic_s() - request.received_s)
        return reply

    def refuse(self, problem: Problem) -> Reply:
        """Return the reply of a problem, and count the problem."""
        self.metrics.counts["headrace_errors", problem.kind] += 1
        return problem.reply()

    def _find_endpoint(self, request: Request) -> tuple[Endpoint, str]:
        """Return the endpoint of a request, and the rest of its path; raises `Problem`."""
        path = request.path
        rest = ""
        methods = self._endpoints.get(path)
        if methods is None:
            for prefix in self._prefixes:
                if path.startswith(prefix):
                    methods = self._endpoints[prefix]
                    rest = path[len(prefix) :]
                    break
            else:
                raise Problem(404, "no_such_path", "There is nothing here", "see /docs")

        endpoint = methods.get(request.method)
        if endpoint is None:
            names = ", ".join(methods)
            allow: Headers = [(b"allow", names.encode())]
            title = f"{request.method} is not allowed"
            raise Problem(405, "method", title, f"use {names}", allow)
        return endpoint, rest

    def start(self) -> None:
        """Load the models and begin to serve, inside a running loop.

        Raises `HeadraceError` where a model cannot be served or the tokens cannot be read.
        """
        self._read_tokens()
        self.repository.open()

        # Models and modules stay: a full collection would look at all of them, which takes tens of
        # milliseconds.
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 50, 100)
        sys.setswitchinterval(_SWITCH_S)

        self.metrics.gauges["headrace_waiting_rows",] = 0
        self._tasks = [
            asyncio.create_task(self._repeat(FOLLOW_S, self._follow_aliases)),
            asyncio.create_task(self._repeat(FOLLOW_S, self._follow_tokens)),
            asyncio.create_task(self._repeat(LEDGER_S, self._write_ledger)),
            asyncio.create_task(self._repeat(SWEEP_S, self._sweep)),
            asyncio.create_task(self._repeat(COUNTS_S, self._record_counts)),
            asyncio.create_task(self._repeat(KEEP_S, self._keep_controllers)),
        ]
        self.ready = True
        versions = {
            name: self.repository.routes[name].served.version for name in self.repository.names
        }
        log_event("info", "ready", process=os.getpid(), models=versions)

    async def stop(self) -> None:
        """End the tasks beside the requests, and append to the log what still waits for it."""
        self.ready = False
        for task in self._tasks:
            task.cancel()
        self.push_executor.shutdown()
        with suppress(HeadraceError):
            self.repository.record_counts()
        for keeper in self._keepers.values():
            keeper.close()
        for system in self.repository.list_systems().values():
            remove_marks(system.workspace)
        await self.recorder.close()
        self.ledger.close()

    async def _repeat(self, every_s: float, run: Callable[[], Awaitable[None]]) -> None:
        """Call a function again and again; an error that repeats is reported once."""
        reported = ""
        while True:
            await asyncio.sleep(every_s)
            try:
                await run()
                reported = ""
            except Exception as error:
                why = str(error)
                if why != reported:
                    name = type(error).__name__
                    log_event("error", "failed", path=run.__name__, error=name, why=why[:500])
                reported = why

    async def _follow_aliases(self) -> None:
        """Take the versions into service to which aliases have moved."""
        await self.repository.follow()

    async def _follow_tokens(self) -> None:
        """Read the tokens anew."""
        self._read_tokens()

    async def _write_ledger(self) -> None:
        """Write the counts of this process for the others."""
        self.metrics.gauges["headrace_waiting_rows",] = self.batcher.take_peak()
        self.ledger.write()

    async def _record_counts(self) -> None:
        """Append to the log what was counted of the arms of rollouts."""
        self.repository.record_counts()

    async def _keep_controllers(self) -> None:
        """Keep the controllers of the rollouts alive."""
        for source in self.repository.sources:
            if source.system is not None and self.settings.log:
                keeper = self._keepers.setdefault(source.name, ControllerKeeper(source.system))
                keeper.tick(self.repository.needs_controller(source))
                if keeper.is_keeping:
                    path = source.system.workspace.rollout_status(source.name)
                    exported = self._exported.setdefault(
                        source.name, RolloutMetrics(path, self.metrics)
                    )
                    exported.update()

    async def _sweep(self) -> None:
        """End silent connections, and the process where its parent is gone."""
        self.connections.sweep()
        if stop_without_parent(self._parent):
            self._parent = None
            self.ledger.remove()

    def _read_tokens(self) -> None:
        """Read the tokens; those that were read stay in force where a file cannot be read now."""
        systems = self.repository.list_systems().values()
        try:
            self._tokens.read([system.workspace for system in systems])
        finally:
            self._guard = self._tokens.guard()


def _explain(error: Exception, request: Request) -> Problem:
    """Return the problem that describes an error to the client."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, InputError):
        return Problem(422, "invalid_rows", "The rows cannot be used", str(error))
    # The folder of a bundle is gone, or was changed.
    if isinstance(error, BundleError):
        return Problem(503, "bundle", "The version cannot be served", str(error))
    # A disk or a server refuses.
    if isinstance(error, WorkError):
        return build_unavailable("store", "The service cannot do this now", str(error))

    # A fault of ours: its text is for the operator, and not for the client.
    path = request.path[:200]
    name = type(error).__name__
    log_event("error", "failed", path=path, error=name, why=str(error)[:500])
    return Problem(500, "internal", "The service failed")


def read_deadline(request: Request) -> float | None:
    """Return the time from which a reply is of no use, by `time.perf_counter`, or None.

    Raises `Problem` for a header that is no number of milliseconds.
    """
    text = request.header(DEADLINE)
    if text is None:
        return None
    try:
        milliseconds = float(text)
    except ValueError:
        milliseconds = math.nan
    # Neither comparison is true of NaN.
    if 0 <= milliseconds < math.inf:
        return request.received_s + milliseconds / 1e3
    title = f"{DEADLINE.decode()} is not a number of milliseconds"
    raise Problem(400, "bad_header", title, text[:60])


_NO_NUMBER = re.compile(rb'(?:"([^"]{0,100})"\s*:|[\[,])\s*(-?(?:NaN|Infinity|nan|inf))\b')


@cache
def _build_decoder(type: Any) -> Callable[[bytes], Any]:
    """Return the decoder of JSON into a type."""
    return msgspec.json.Decoder(type).decode


def decode_body(decode: Callable[[Any], Any], body: bytes) -> Any:
    """Decode a body; raises `Problem` where it is not JSON of the right shape."""
    try:
        return decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _build_body_problem(body, error) from None


def _build_body_problem(body: bytes, error: Exception) -> Problem:
    """Build the problem of a body that cannot be decoded."""
    detail = _describe_json_error(body, error)
    return Problem(400, "invalid_body", "The body cannot be read", detail)


def _describe_json_error(body: bytes, error: Exception) -> str:
    """Describe why a body cannot be decoded.

    Other languages write numbers into JSON that JSON does not have: such a number is named with its
    field.

    >>> _describe_json_error(b'{"rows": [{"x": NaN}]}', ValueError("invalid character"))
    "NaN in the field 'x' is not JSON: write null (invalid character)"
    """
    if isinstance(error, msgspec.ValidationError):
        return str(error)
    match = _NO_NUMBER.search(body[:SLICE_BYTES])
    if match is None:
        return str(error)
    field = f" in the field {match[1].decode(errors='replace')!r}" if match[1] else ""
    return f"{match[2].decode()}{field} is not JSON: write null ({error})"
