r"""HTTP/1.1 on connections: requests are read by httptools, bounded, and answered in their order.

uvicorn listens, and starts and ends processes. It would also read the requests and pass each
through ASGI: that takes longer than it takes to answer many of ours.

    data_received ──> httptools ──> on_url, on_header, on_body, on_message_complete
                                                │
                      Request, or the Reply     │
                      of a refusal              v
                      queue  [ third | second | first ]   at 16: reading pauses
                                                │
                      one task answers          v
                      Connections.answer(request) ──> transport.write(head + body)

The life of a connection, with the time limits that `Connections.sweep` enforces:

    silent ──a first byte──> receiving ──the last byte──> answering ──the queue is empty──> silent
      │                        │                            │
      │ IDLE_S                 │ MESSAGE_S: 408             │ the client asked for the end,
      v                        v                            v or was refused
    closed                  refused                       write_eof, LINGER_S, closed

A client that does not read its replies for `MESSAGE_S` seconds is cut off. A request that cannot
be read is answered in its turn too, with its problem, and is the last of its connection.
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
from headrace.serve.http.messages import Problem, Reply, Request, build_unavailable
from headrace.serve.log_event import log_event

MESSAGE_S = 30.0
"""Seconds for a request to arrive, and for a client to read its reply."""
IDLE_S = 75.0
"""Seconds that a connection may be silent."""
LINGER_S = 2.0
"""Seconds in which a connection that ends still reads, and drops, what is on its way."""
SWEEP_S = 1.0
"""Seconds between two looks at all connections."""

MAX_HEAD_BYTES = 64 << 10
"""Bytes of a request line and headers, of the head of a chunk, or of trailers."""
MAX_BUFFERED_BYTES = 256 << 20
"""Bytes of all bodies of a process that arrive or wait to be answered."""
MAX_CONNECTIONS = 4096
_MAX_QUEUED = 16
_RESERVED_FILES = 200
"""Open files that are left for tokens, models and the log."""
_MAX_PARTS = 1_000
"""Parts of a body as separate objects; thousands of small ones take far more than their bytes."""
_MAX_CACHED_URL = 200
"""Bytes of a URL whose path is cached."""

_clock = SYSTEM.monotonic_s
_Headers = tuple[tuple[bytes, bytes], ...]


class Connections:
    """The open connections of a process, and what they share.

    Parameters:
        answer: answers a request; it raises nothing.
        refuse: makes the reply of a problem, and counts it.
        max_body_bytes: the bytes of a body that may arrive.

    `buffered` counts the bytes of all bodies that arrive or wait to be answered; `date` is the
    header's value, made once a second.
    """

    def __init__(
        self,
        answer: Callable[[Request], Awaitable[Reply]],
        refuse: Callable[[Problem], Reply],
        max_body_bytes: int,
    ) -> None:
        self.answer = answer
        self.refuse = refuse
        self.max_body_bytes = max_body_bytes
        self.max_open = find_connection_limit()
        self.open: set[Connection] = set()
        self.buffered = 0
        self.date = formatdate(usegmt=True).encode()

    def sweep(self) -> None:
        """End the connections that are silent or slow; to be called every `SWEEP_S` seconds."""
        self.date = formatdate(usegmt=True).encode()
        now = _clock()
        for connection in list(self.open):
            connection.expire(now)


class Connection(asyncio.Protocol):
    """A connection, which calls itself back: asyncio with bytes, httptools with their parts.

    Pipelined requests are answered one after the other. See the drawing at the top of the module.
    """

    def __init__(self, shared: Connections) -> None:
        self._shared = shared
        self._parser = httptools.HttpRequestParser(self)
        # Set by `connection_made`, which asyncio calls before anything else.
        self._transport: asyncio.Transport = cast(asyncio.Transport, None)

        # Requests and refusals that wait, each with whether the connection goes on after it.
        self._queue: deque[tuple[Request | Reply, bool]] = deque()
        self._task: asyncio.Task[None] | None = None
        # An event to wait for while the client reads more slowly than it is answered.
        self._writable: asyncio.Event | None = None

        # Since when a message arrives, or the connection is silent, or the client does not read.
        self._since_s = _clock()
        self._receiving = False
        # Input is dropped from now on; the connection ends once the queue is empty.
        self._ignoring = False
        self._ending = False
        self._paused = False

        # The message that arrives: its fields are headers, and after the body trailers, which are
        # dropped; the bytes of the head are counted from the last part of a body on.
        self._url = b""
        self._version = ""
        self._fields: dict[bytes, bytes] = {}
        self._headers = self._fields
        self._has_two_hosts = False
        self._head_bytes = 0
        self._body_bytes = 0
        self._parts: list[bytes] = []
        self._tail: bytearray | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to read, or refuse at once where too many connections are open."""
        self._transport = cast(asyncio.Transport, transport)
        self._shared.open.add(self)
        if len(self._shared.open) > self._shared.max_open:
            self._refuse(build_unavailable("overloaded", "Too many connections are open"))

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget all that has arrived and waits."""
        self._shared.open.discard(self)
        self._drop_body()
        while self._queue:
            self._take_next()
        self._ignoring = True
        if self._writable is not None:
            self._writable.set()
        # The parser refers back to this connection: without it, memory is free at once.
        del self._parser

    def data_received(self, data: bytes) -> None:
        """Pass bytes to the parser, which calls the `on_…` methods; refuse what it cannot read."""
        if self._ignoring:
            return
        self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # The bytes that follow are of another protocol, which the service does not speak.
            self._ignoring = self._ending = True
        except httptools.HttpParserError as error:
            if not self._ignoring:
                detail = str(error)[:100]
                self._refuse(Problem(400, "invalid_http", "This is not an HTTP request", detail))
        if self._head_bytes > MAX_HEAD_BYTES and not self._ignoring:
            self._refuse(_large_head())

    def pause_writing(self) -> None:
        """Wait with further replies: the client reads more slowly than it is answered."""
        self._writable = asyncio.Event()
        self._since_s = _clock()

    def resume_writing(self) -> None:
        """Go on with replies."""
        if self._writable is not None:
            self._writable.set()
        self._writable = None

    def on_message_begin(self) -> None:
        """Forget the message before; httptools calls this with the first byte of a message."""
        self._receiving = True
        self._since_s = _clock()
        self._url = b""
        self._fields = {}
        self._has_two_hosts = False
        self._parts = []
        self._tail = None
        self._body_bytes = 0

    def on_url(self, url: bytes) -> None:
        """Add a part of the URL."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Add a header, or a trailer; of headers of one name the first counts."""
        name = name.lower()
        if name not in self._fields:
            self._fields[name] = value
        elif name == b"host":
            self._has_two_hosts = True

    def on_headers_complete(self) -> None:
        """Check the head before the body arrives, and refuse the request or let it go on."""
        headers = self._headers = self._fields
        self._fields = {}
        version = self._version = self._parser.get_http_version()

        if self._has_two_hosts or (version == "1.1" and b"host" not in headers):
            found = "two or more" if self._has_two_hosts else "none"
            self._refuse(Problem(400, "invalid_http", "Not exactly one host", f"found {found}"))
            return
        if version not in ("1.0", "1.1"):
            title = "This version of HTTP is not supported"
            self._refuse(Problem(505, "invalid_http", title, version[:10]))
            return

        # The bytes that were read together with the head may be those of a body: count again.
        if self._head_bytes > MAX_HEAD_BYTES and self._count_head_bytes() > MAX_HEAD_BYTES:
            self._refuse(_large_head())
            return

        length = headers.get(b"content-length")
        if length is not None and int(length) > self._shared.max_body_bytes:
            self._refuse(self._large_body())
        elif b"expect" in headers and not self._queue and self._task is None:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, part: bytes) -> None:
        """Add a part of the body; refuse it where this body, or all together, are too large."""
        if self._ignoring:
            return
        self._head_bytes = 0
        if len(self._parts) < _MAX_PARTS:
            self._parts.append(part)
        else:
            if self._tail is None:
                self._tail = bytearray()
            self._tail += part

        self._body_bytes += len(part)
        self._shared.buffered += len(part)
        if self._body_bytes > self._shared.max_body_bytes:
            self._refuse(self._large_body())
        elif self._shared.buffered > MAX_BUFFERED_BYTES:
            self._refuse(build_unavailable("overloaded", "Too many bodies are being received"))

    def on_message_complete(self) -> None:
        """Queue the request, which is complete now."""
        if self._ignoring:
            return
        self._head_bytes = 0
        self._receiving = False
        # Most bodies arrive in one part, which is not copied.
        if len(self._parts) == 1:
            body = self._parts[0]
        else:
            body = b"".join([*self._parts, self._tail or b""])
        self._body_bytes = 0
        self._parts = []
        self._tail = None

        method = self._parser.get_method().decode("latin-1")
        parse = _parse_cached if len(self._url) <= _MAX_CACHED_URL else parse_path
        request = Request(method, parse(self._url), self._headers, body, self._since_s)
        goes_on = self._parser.should_keep_alive() and self._version == "1.1"
        self._ignoring = not goes_on
        self._enqueue(request, goes_on)

    def expire(self, now: float) -> None:
        """End the connection if its client is silent, slow to send, or slow to read.

        `now` is a time of `time.perf_counter`.
        """
        waited_s = now - self._since_s
        if self._writable is not None:
            if waited_s > MESSAGE_S:
                self._transport.abort()
        elif self._task is not None or self._ignoring:
            return
        elif self._receiving and waited_s > MESSAGE_S:
            detail = f"within {MESSAGE_S:g} s"
            self._refuse(Problem(408, "too_slow", "The request did not arrive", detail))
        elif not self._receiving and waited_s > IDLE_S:
            self._transport.close()

    def shutdown(self) -> None:
        """End the connection once all that arrived is answered; uvicorn calls this at its end."""
        self._ending = True
        if self._task is None and not self._receiving:
            self._transport.close()
        elif self._receiving:
            # The rest of the message is on its way: it gets a moment.
            asyncio.get_running_loop().call_later(LINGER_S, self._abort_incomplete)

    def _abort_incomplete(self) -> None:
        """Cut off a message that has not arrived in its moment."""
        if self._receiving:
            self._transport.abort()

    def _enqueue(self, message: Request | Reply, goes_on: bool) -> None:
        """Queue a request, or the reply of a refusal; stop to read where the queue is full."""
        self._queue.append((message, goes_on))
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._answer())
        elif len(self._queue) >= _MAX_QUEUED and not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def _take_next(self) -> tuple[Request | Reply, bool]:
        """Take the first of the queue, and stop to count its body."""
        message, goes_on = self._queue.popleft()
        if isinstance(message, Request):
            self._shared.buffered -= len(message.body)
        return message, goes_on

    def _refuse(self, problem: Problem) -> None:
        """Queue a problem as the last reply, and read no more."""
        self._ignoring = True
        self._receiving = False
        self._drop_body()
        self._enqueue(self._shared.refuse(problem), False)

    async def _answer(self) -> None:
        """Answer what is queued, one after the other, until the queue is empty."""
        transport = self._transport
        try:
            while self._queue:
                message, goes_on = self._take_next()
                if isinstance(message, Reply):
                    reply = message
                else:
                    reply = await self._shared.answer(message)
                if transport.is_closing():
                    return

                # A connection that ends still answers all that it has queued.
                goes_on = goes_on and (not self._ending or bool(self._queue))
                head = _encode_head(reply.status, tuple(reply.headers), goes_on)
                head = b"%b%d\r\ndate: %b\r\n\r\n" % (head, len(reply.body), self._shared.date)
                is_head_only = isinstance(message, Request) and message.method == "HEAD"
                transport.write(head if is_head_only else head + reply.body)

                if self._writable is not None:
                    await self._writable.wait()
                if not goes_on:
                    self._end()
                    return
                if self._paused and len(self._queue) < _MAX_QUEUED // 2:
                    self._paused = False
                    transport.resume_reading()
        except Exception as error:
            # A fault of ours, after which nothing sensible can be sent.
            name = type(error).__name__
            log_event("error", "failed", path="a reply", error=name, why=str(error)[:500])
            transport.abort()
            return
        self._task = None
        if not self._receiving:
            self._since_s = _clock()

    def _end(self) -> None:
        """Send the end of the replies, and read on for `LINGER_S` seconds.

        Bytes that arrive at a closed socket make the kernel reset the connection, and the client
        may then lose the reply that it has not read yet.
        """
        self._ignoring = True
        if self._transport.can_write_eof():
            self._transport.write_eof()
            asyncio.get_running_loop().call_later(LINGER_S, self._transport.close)
        else:
            self._transport.close()

    def _drop_body(self) -> None:
        """Forget the parts of a body that have arrived."""
        self._shared.buffered -= self._body_bytes
        self._body_bytes = 0
        self._parts = []
        self._tail = None

    def _count_head_bytes(self) -> int:
        """Count the bytes of the URL and of the headers, each with its `: ` and end of line."""
        fields = self._headers.items()
        return len(self._url) + sum(len(name) + len(value) + 4 for name, value in fields)

    def _large_body(self) -> Problem:
        """Build the problem of a body that is too large."""
        detail = f"at most {self._shared.max_body_bytes} bytes"
        return Problem(413, "too_large", "The body is too large", detail)


def _large_head() -> Problem:
    """Build the problem of headers that are too large."""
    detail = f"at most {MAX_HEAD_BYTES} bytes"
    return Problem(431, "too_large", "The headers are too large", detail)


def find_connection_limit() -> int:
    """Return how many connections the process may have, after raising its limit of open files.

    The limit of files is raised as far as the system allows. Some files stay reserved: a stranger
    who opens all connections must not keep the service from reading tokens, models and the log.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_CONNECTIONS + _RESERVED_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if soft == resource.RLIM_INFINITY:
        return MAX_CONNECTIONS
    return min(MAX_CONNECTIONS, max(soft - _RESERVED_FILES, soft // 2))


def parse_path(url: bytes) -> str:
    """Return the decoded path of a request's URL, without the query; nothing if it is no URL.

    >>> parse_path(b"/predict/a%20b?x=1"), parse_path(b"http://host/v2"), parse_path(b"//")
    ('/predict/a b', '/v2', '//')
    """
    try:
        path = httptools.parse_url(url).path or b""
    except httptools.HttpParserError:
        return ""
    return unquote(path.decode("latin-1"))


_parse_cached = lru_cache(1024)(parse_path)


@lru_cache(1024)
def _encode_head(status: int, headers: _Headers, goes_on: bool) -> bytes:
    r"""Encode the head of a reply up to the number of its `content-length`.

    Replies of a route share their heads: nearly every call is answered from the cache. Raises
    `ValueError` for a header with a line break, which would begin another header.

    >>> _encode_head(200, ((b"content-type", b"text/plain"),), True).split(b"\r\n")
    [b'HTTP/1.1 200 OK', b'content-type: text/plain', b'x-content-type-options: nosniff',
     b'content-length: ']
    """
    lines = [b"HTTP/1.1 %d %b" % (status, HTTPStatus(status).phrase.encode())]
    lines += [b"%b: %b" % header for header in headers]
    lines.append(b"x-content-type-options: nosniff")
    if any(b"\r" in line or b"\n" in line for line in lines):
        raise ValueError(f"headers that break the line: {headers}")
    if not goes_on:
        lines.append(b"connection: close")
    return b"\r\n".join([*lines, b"content-length: "])
