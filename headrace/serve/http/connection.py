"""HTTP/1.1 on connections: requests are read by httptools, answered in the order in which they
came, and bounded.

uvicorn listens, and starts and ends processes. It would also read the requests, and pass each
through ASGI: that takes longer than many of ours take to be answered.
"""

import asyncio
import resource
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import cast
from urllib.parse import unquote

import httptools

from headrace.clock import SYSTEM
from headrace.serve.http.messages import Problem, Reply, Request
from headrace.serve.log_event import log_event

MESSAGE_S, IDLE_S, LINGER_S, SWEEP_S = 30.0, 75.0, 2.0, 1.0
MOST_HEAD, MOST_HELD, MOST_OPEN, _MOST_QUEUED = 64 << 10, 256 << 20, 4096, 16
_OTHER_FILES, _MOST_PARTS = 200, 1_000
_clock = SYSTEM.monotonic_s
_Headers = tuple[tuple[bytes, bytes], ...]


class Connections:
    """Those of a process, and what they share: who answers, and who tells why something is no
    request; how large a body may be; and what is under way.

    `open` are the connections, `held` the bytes of bodies that arrive or wait for their turn. A
    request has `MESSAGE_S` seconds to arrive, and a connection is silent for no longer than
    `IDLE_S`.
    """

    def __init__(
        self,
        answer: Callable[[Request], Awaitable[Reply]],
        refuse: Callable[[Problem], Reply],
        most_body: int,
    ) -> None:
        self.answer, self.refuse, self.most_body = answer, refuse, most_body
        self.most_open = most_open()
        self.open: set[Connection] = set()
        self.held = 0
        self.date = formatdate(usegmt=True).encode()

    def sweep(self) -> None:
        """Ends what has been silent or slow for too long; to be called every `SWEEP_S` seconds."""
        self.date = formatdate(usegmt=True).encode()
        now = _clock()
        for connection in list(self.open):
            connection.expire(now)


class Connection(asyncio.Protocol):
    """One connection. Pipelined requests wait for those before them; one that cannot be read is
    answered in its turn, and is the last.
    """

    def __init__(self, shared: Connections) -> None:
        self._shared = shared
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport = cast(asyncio.Transport, None)  # until it is made
        self._queue: deque[tuple[Request | Reply, bool]] = (
            deque()
        )  # and whether the connection goes on after it
        self._task: asyncio.Task[None] | None = None
        self._since = _clock()  # when the message began, or the silence, or that nobody reads
        self._reading = self._deaf = self._ends = self._paused = False
        self._writable: asyncio.Event | None = None
        self._head = self._size = 0
        self._twice, self._version = False, ""
        self._url = b""
        self._heard: dict[
            bytes, bytes
        ] = {}  # headers, and after the body trailers, of which nobody asks
        self._headers = self._heard
        self._parts: list[bytes] = []  # of a body, and, in one piece, what follows the first ones
        self._rest: bytearray | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        self._transport = cast(asyncio.Transport, transport)
        self._shared.open.add(self)
        if len(self._shared.open) > self._shared.most_open:
            self._refuse(_overloaded("Too many connections are open"))

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self._shared.open.discard(self)
        self._forget_body()
        while self._queue:
            self._taken()
        self._deaf = True
        if self._writable is not None:
            self._writable.set()
        del self._parser  # which holds this

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        if self._deaf:
            return
        self._head += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._deaf = self._ends = (
                True  # what comes now is another protocol, which nobody speaks here
            )
        except httptools.HttpParserError as error:
            if not self._deaf:
                self._refuse(
                    Problem(400, "invalid_http", "This is no HTTP request", str(error)[:100])
                )
        if self._head > MOST_HEAD and not self._deaf:
            self._refuse(_large_head())

    def pause_writing(self) -> None:
        """See `asyncio.Protocol`: the client reads more slowly than it is answered."""
        self._writable, self._since = asyncio.Event(), _clock()

    def resume_writing(self) -> None:
        """See `asyncio.Protocol`."""
        if self._writable is not None:
            self._writable.set()
        self._writable = None

    def on_message_begin(self) -> None:
        """See `httptools`."""
        self._reading, self._since = True, _clock()
        self._url, self._heard, self._parts, self._size = b"", {}, [], 0
        self._twice, self._rest = False, None

    def on_url(self, url: bytes) -> None:
        """See `httptools`."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """See `httptools`."""
        name = name.lower()
        if self._heard.setdefault(name, value) is not value and name == b"host":
            self._twice = True

    def on_headers_complete(self) -> None:
        """See `httptools`."""
        self._headers, self._heard = self._heard, {}
        version = self._version = self._parser.get_http_version()
        if self._twice or (version == "1.1" and b"host" not in self._headers):
            found = "two or more" if self._twice else "none"
            self._refuse(Problem(400, "invalid_http", "A request names one host", f"found {found}"))
            return
        if version not in ("1.0", "1.1"):
            self._refuse(
                Problem(505, "invalid_http", "This version of HTTP is not spoken", version[:10])
            )
            return
        if (
            self._head > MOST_HEAD and self._head_bytes() > MOST_HEAD
        ):  # read in one piece with a body
            self._refuse(_large_head())
            return
        length = self._headers.get(b"content-length")
        if length is not None and int(length) > self._shared.most_body:
            self._refuse(self._too_large())
        elif b"expect" in self._headers and not self._queue and self._task is None:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, part: bytes) -> None:
        """See `httptools`."""
        if self._deaf:
            return
        self._head = 0
        if len(self._parts) < _MOST_PARTS:
            self._parts.append(part)
        else:  # thousands of small pieces take far more memory than what stands in them
            if self._rest is None:
                self._rest = bytearray()
            self._rest += part
        self._size += len(part)
        self._shared.held += len(part)
        if self._size > self._shared.most_body:
            self._refuse(self._too_large())
        elif self._shared.held > MOST_HELD:
            self._refuse(_overloaded("Too many bodies are under way"))

    def on_message_complete(self) -> None:
        """See `httptools`."""
        if self._deaf:
            return
        self._head, self._reading = 0, False
        body = (
            self._parts[0] if len(self._parts) == 1 else b"".join([*self._parts, self._rest or b""])
        )
        self._size, self._parts, self._rest = 0, [], None
        method = self._parser.get_method().decode("latin-1")
        path = (_path_of if len(self._url) <= _SHORT else path_of)(self._url)
        request = Request(method, path, self._headers, body, self._since)
        goes_on = self._parser.should_keep_alive() and self._version == "1.1"
        self._deaf = not goes_on
        self._put(request, goes_on)

    def expire(self, now: float) -> None:
        """Ends the connection where nobody has said anything for too long, comes to no end, or does not read."""
        late = now - self._since
        if self._writable is not None:
            if late > MESSAGE_S:
                self._transport.abort()
        elif self._task is not None or self._deaf:
            return
        elif self._reading and late > MESSAGE_S:
            self._refuse(
                Problem(408, "too_slow", "The request did not arrive", f"within {MESSAGE_S:g} s")
            )
        elif not self._reading and late > IDLE_S:
            self._transport.close()

    def shutdown(self) -> None:
        """Ends the connection as soon as what came is answered; uvicorn calls this when it is told to stop."""
        self._ends = True
        if self._task is None and not self._reading:
            self._transport.close()
        elif self._reading:  # what is on its way may come
            asyncio.get_running_loop().call_later(LINGER_S, self._leave)

    def _leave(self) -> None:
        if self._reading:
            self._transport.abort()

    def _put(self, asked: Request | Reply, goes_on: bool) -> None:
        self._queue.append((asked, goes_on))
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._answer())
        elif len(self._queue) >= _MOST_QUEUED and not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def _refuse(self, problem: Problem) -> None:
        """Answers what cannot be read, and reads no more."""
        self._deaf, self._reading = True, False
        self._forget_body()
        self._put(self._shared.refuse(problem), False)

    async def _answer(self) -> None:
        """Answers what waits, one after the other."""
        transport = self._transport
        try:
            while self._queue:
                asked, goes_on = self._taken()
                reply = asked if isinstance(asked, Reply) else await self._shared.answer(asked)
                if transport.is_closing():
                    return
                goes_on = goes_on and (not self._ends or bool(self._queue))
                head = _head(reply.status, tuple(reply.headers), goes_on)
                head = b"%b%d\r\ndate: %b\r\n\r\n" % (head, len(reply.body), self._shared.date)
                transport.write(
                    head
                    if isinstance(asked, Request) and asked.method == "HEAD"
                    else head + reply.body
                )
                if self._writable is not None:
                    await self._writable.wait()
                if not goes_on:
                    self._end()
                    return
                if self._paused and len(self._queue) < _MOST_QUEUED // 2:
                    self._paused = False
                    transport.resume_reading()
        except Exception as error:  # a fault of ours, which leaves nothing that could be said
            log_event(
                "error", "failed", path="a reply", error=type(error).__name__, why=str(error)[:500]
            )
            transport.abort()
            return
        self._task = None
        if not self._reading:
            self._since = _clock()

    def _taken(self) -> tuple[Request | Reply, bool]:
        asked, goes_on = self._queue.popleft()
        if isinstance(asked, Request):
            self._shared.held -= len(asked.body)
        return asked, goes_on

    def _end(self) -> None:
        """Says that nothing more comes, and hears for a while what is still on its way: who closes
        on somebody who speaks is not understood.
        """
        self._deaf = True
        if self._transport.can_write_eof():
            self._transport.write_eof()
            asyncio.get_running_loop().call_later(LINGER_S, self._transport.close)
        else:
            self._transport.close()

    def _forget_body(self) -> None:
        self._shared.held -= self._size
        self._size, self._parts, self._rest = 0, [], None

    def _head_bytes(self) -> int:
        return len(self._url) + sum(
            len(name) + len(value) + 4 for name, value in self._headers.items()
        )

    def _too_large(self) -> Problem:
        return Problem(
            413, "too_large", "The body is too large", f"at most {self._shared.most_body} bytes"
        )


def most_open() -> int:
    """How many connections a process may hold: as many as it may open files, but for those that the
    rest needs.

    The limit of the process is raised as far as it may be. Who holds all connections must not keep
    tokens, models and the log from being read.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_OPEN + _OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return (
        MOST_OPEN
        if soft == resource.RLIM_INFINITY
        else min(MOST_OPEN, max(soft - _OTHER_FILES, soft // 2))
    )


def _large_head() -> Problem:
    return Problem(431, "too_large", "The headers are too large", f"at most {MOST_HEAD} bytes")


def _overloaded(title: str) -> Problem:
    return Problem(503, "overloaded", title, "", [(b"retry-after", b"1")])


def path_of(url: bytes) -> str:
    """The path of what stands behind the method; empty where it cannot be read.

    >>> path_of(b"/predict/a%20b?x=1"), path_of(b"http://host/v2"), path_of(b"//")
    ('/predict/a b', '/v2', '//')
    """
    try:
        path = httptools.parse_url(url).path or b""
    except httptools.HttpParserError:
        return ""
    return unquote(path.decode("latin-1"))


_SHORT = 200
_path_of = lru_cache(1024)(path_of)


@lru_cache(1024)
def _head(status: int, headers: _Headers, goes_on: bool) -> bytes:
    """The head of a reply up to its length; raises `ValueError` for a header that would begin another one."""
    lines = [b"HTTP/1.1 %d %b" % (status, HTTPStatus(status).phrase.encode())]
    lines += [b"%b: %b" % header for header in headers]
    lines.append(b"x-content-type-options: nosniff")
    if any(b"\r" in line or b"\n" in line for line in lines):
        raise ValueError(f"headers that break the line: {headers}")
    if not goes_on:
        lines.append(b"connection: close")
    return b"\r\n".join([*lines, b"content-length: "])
