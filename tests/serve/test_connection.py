"""HTTP/1.1 as it comes over a connection: in pieces, several at once, too much of it, too slowly,
or never.
"""

import asyncio
import time
from collections.abc import Callable
from http.client import HTTPResponse
from io import BytesIO
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.serve.http import connection as http_connection
from headrace.serve.http.connection import IDLE_S, MESSAGE_S, Connection, Connections
from headrace.serve.http.messages import Problem, Reply, Request

MOST = 1000
Heard = list[tuple[int, bytes]]


class Transport(asyncio.Transport):
    """Remembers what is written to it, and what was asked of it."""

    def __init__(self) -> None:
        super().__init__()
        self.written, self.reads, self.closed, self.ended = b"", True, False, False

    def write(self, data: Any) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.ended = True

    def pause_reading(self) -> None:
        self.reads = False

    def resume_reading(self) -> None:
        self.reads = True


async def told(request: Request) -> Reply:
    """Says what was asked, a turn of the loop later."""
    await asyncio.sleep(0)
    said = f"{request.method} {request.path} {request.header(b'x-a')} ".encode() + request.body
    return Reply(200, [(b"x-reply", b"yes")], said)


def heard(data: bytes, methods: list[str]) -> Heard:
    """Replies as the standard library reads them."""

    class Said:
        def __init__(self) -> None:
            self.file = BytesIO(data)
            self.file.close = lambda: None  # type: ignore[method-assign]

        def makefile(self, *_: Any) -> BytesIO:
            return self.file

    said, found = Said(), []
    for method in methods:
        reply = HTTPResponse(said, method=method)  # type: ignore[arg-type]
        reply.begin()
        found.append((reply.status, reply.read()))
    assert not said.file.read()
    return found


def spoken(
    pieces: list[bytes],
    then: Callable[[Connection, Transport], None] = lambda connection, transport: None,
    **more: Any,
) -> tuple[Transport, Connections]:
    """What a connection wrote that was sent these pieces."""

    async def live() -> tuple[Transport, Connections]:
        shared, transport = Connections(more.get("answer", told), Problem.reply, MOST), Transport()
        connection = Connection(shared)
        connection.connection_made(transport)
        for piece in pieces:
            if not transport.closed:
                connection.data_received(piece)
                for _ in range(more.get("turns", 0)):
                    await asyncio.sleep(0)
        then(connection, transport)
        for _ in range(200):
            await asyncio.sleep(0)
        connection.connection_lost(None)
        return transport, shared

    return asyncio.run(live())


def asked(method: str, path: str, body: bytes, chunked: bool) -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nX-A: 1\r\n".encode()
    if chunked:
        parts = b"".join(
            b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:3], body[3:]) if part
        )
        return head + b"Transfer-Encoding: chunked\r\n\r\n" + parts + b"0\r\n\r\n"
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


@given(
    requests=st.lists(
        st.tuples(
            st.sampled_from(["POST", "GET", "HEAD", "PUT"]),
            st.sampled_from(["/", "/predict", "/predict/a%20b?x=1", "http://host/v2/models"]),
            st.binary(max_size=40),
            st.booleans(),
        ),
        min_size=1,
        max_size=30,
    ),
    cuts=st.lists(st.integers(0, 3000), max_size=12),
    turns=st.integers(0, 3),
)
def test_requests_are_answered_in_their_order_however_they_are_cut(
    requests: list[tuple[str, str, bytes, bool]], cuts: list[int], turns: int
) -> None:
    data = b"".join(asked(*request) for request in requests)
    at = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    transport, shared = spoken([data[one:two] for one, two in pairwise(at)], turns=turns)
    paths = {"/predict/a%20b?x=1": "/predict/a b", "http://host/v2/models": "/v2/models"}
    expected = [
        (200, b"" if method == "HEAD" else f"{method} {paths.get(path, path)} 1 ".encode() + body)
        for method, path, body, _ in requests
    ]
    assert heard(transport.written, [method for method, *_ in requests]) == expected
    assert transport.reads
    assert not transport.closed
    assert not transport.ended
    assert shared.buffered == 0
    assert not shared.open


HEAD = b"POST / HTTP/1.1\r\nHost: x\r\n"
WRONG: list[tuple[list[bytes], int, bytes]] = [
    ([b"\x00\x01\x02\r\n\r\n"], 400, b"Invalid method"),
    ([b"GET / HTTP/9.9\r\n\r\n"], 400, b""),
    ([HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"], 400, b""),
    ([HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef"], 400, b""),
    ([HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"], 400, b""),
    ([b"GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n"], 400, b"two or more"),
    ([HEAD + b"Content-Length: 1001\r\n\r\n"], 413, b"at most 1000 bytes"),
    (
        [HEAD + b"Transfer-Encoding: chunked\r\n\r\n", *[b"100\r\n" + b"x" * 256 + b"\r\n"] * 5],
        413,
        b"at most 1000",
    ),
    ([HEAD, *[b"x-more: " + b"y" * 9000 + b"\r\n"] * 9], 431, b"at most 65536 bytes"),
    (
        [HEAD + b"Transfer-Encoding: chunked\r\n\r\n", *[b"1;" + b"y" * 9000] * 9],
        431,
        b"at most 65536 bytes",
    ),
]


@pytest.mark.parametrize(("pieces", "status", "words"), WRONG)
def test_what_cannot_be_read_is_the_last_that_is_answered(
    pieces: list[bytes], status: int, words: bytes
) -> None:
    first = asked("POST", "/first", b"body", False)
    transport, shared = spoken([first, *pieces, first])
    (good, _), (bad, said) = heard(transport.written, ["POST", "POST"])
    assert (good, bad) == (200, status)
    assert words in said
    assert transport.ended
    assert shared.buffered == 0


def test_a_client_is_told_to_go_on_with_its_body() -> None:
    transport, _ = spoken([HEAD + b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\n", b"abc"])
    went_on, _, rest = transport.written.partition(b"\r\n\r\n")
    assert went_on == b"HTTP/1.1 100 Continue"
    assert heard(rest, ["POST"]) == [(200, b"POST / None abc")]


@pytest.mark.parametrize(
    "request_",
    [b"GET / HTTP/1.0\r\n\r\n", b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"],
)
def test_a_connection_that_is_not_kept_is_told_so(request_: bytes) -> None:
    transport, _ = spoken([request_ * 2])
    assert b"connection: close" in transport.written
    assert transport.ended
    assert heard(transport.written, ["GET"]) == [(200, b"GET / None ")]


def test_another_protocol_is_not_begun() -> None:
    transport, _ = spoken(
        [
            b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"\r\n\x81\x05hello"
        ]
    )
    assert heard(transport.written, ["GET"]) == [(200, b"GET / None ")]
    assert transport.ended


def test_trailers_are_no_headers() -> None:
    said = HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nX-A: 2\r\n\r\n"
    transport, _ = spoken([said, said])
    assert heard(transport.written, ["POST"] * 2) == [(200, b"POST / None x")] * 2


def test_silence_and_slowness_have_an_end() -> None:
    transport, _ = spoken(
        [HEAD], lambda connection, _: connection.expire(time.perf_counter() + MESSAGE_S + 1)
    )
    assert heard(transport.written, ["POST"])[0][0] == 408
    assert transport.ended
    transport, _ = spoken(
        [], lambda connection, _: connection.expire(time.perf_counter() + IDLE_S + 1)
    )
    assert transport.closed
    assert not transport.written
    transport, _ = spoken(
        [], lambda connection, _: connection.expire(time.perf_counter() + MESSAGE_S + 1)
    )
    assert not transport.closed


def test_the_end_waits_for_what_came() -> None:
    data = asked("POST", "/", b"body", False)
    for given_ in ([data], [data, data]):
        transport, _ = spoken(given_, lambda connection, _: connection.shutdown())
        assert [status for status, _ in heard(transport.written, ["POST"] * len(given_))] == [
            200
        ] * len(given_)
        assert transport.ended

    def ends_then_more(connection: Connection, transport: Transport) -> None:
        connection.shutdown()
        assert not transport.closed
        connection.data_received(data[20:])

    transport, _ = spoken([data[:20]], ends_then_more)
    assert heard(transport.written, ["POST"]) == [(200, b"POST / 1 body")]
    assert transport.ended
    transport, _ = spoken([], lambda connection, _: connection.shutdown())
    assert transport.closed


def test_requests_that_pile_up_are_not_read_before_others_are_answered() -> None:
    least: list[bool] = []

    async def slow(request: Request) -> Reply:
        least.append(transport_reads())
        return await told(request)

    def transport_reads() -> bool:
        return bool(reading and reading[-1].reads)

    reading: list[Transport] = []
    pieces = [asked("POST", "/", b"x", False)] * 40
    transport, _ = spoken(
        pieces, lambda connection, transport: reading.append(transport), answer=slow
    )
    assert len(heard(transport.written, ["POST"] * 40)) == 40
    assert not least[0]
    assert least[-1]


def test_a_client_that_does_not_read_is_not_written_to() -> None:
    pieces = [asked("POST", "/", b"x", False)] * 3

    def stops(connection: Connection, transport: Transport) -> None:
        connection.pause_writing()

    transport, shared = spoken(pieces, stops)
    assert len(heard(transport.written, ["POST"])) == 1  # the one that was under way
    assert shared.buffered == 0
    assert not transport.closed

    async def later(request: Request) -> Reply:
        connections[0].expire(time.perf_counter() + MESSAGE_S + 1)
        return await told(request)

    connections: list[Connection] = []

    def stalls(connection: Connection, transport: Transport) -> None:
        connections.append(connection)
        connection.pause_writing()

    transport, _ = spoken(pieces, stalls, answer=later)
    assert transport.closed
    assert not transport.written


def test_a_process_holds_so_many_bodies_and_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_connection, "MAX_BUFFERED_BYTES", 500)
    transport, shared = spoken([HEAD + b"Content-Length: 900\r\n\r\n", b"x" * 600])
    assert heard(transport.written, ["POST"])[0][0] == 503
    assert shared.buffered == 0
    monkeypatch.setattr(http_connection, "MAX_CONNECTIONS", 0)
    transport, _ = spoken([])
    assert heard(transport.written, ["GET"])[0][0] == 503
    assert transport.ended


def test_a_header_that_would_begin_another_ends_the_connection() -> None:
    async def split(request: Request) -> Reply:
        return Reply(200, [(b"x", b"a\r\nset-cookie: b")], b"")

    with pytest.raises(ValueError, match="break the line"):
        http_connection._encode_head(200, ((b"x", b"a\nb"),), True)
    transport, _ = spoken([asked("GET", "/", b"", False)], answer=split)
    assert transport.closed
    assert not transport.written
