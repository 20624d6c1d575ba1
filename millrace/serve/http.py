"""Requests and replies over ASGI: bodies within their limits, problems as JSON (RFC 9457)."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

encode = msgspec.json.Encoder().encode
JSON: tuple[bytes, bytes] = (b"content-type", b"application/json")
_BODY_S = 30.0


class Reply(msgspec.Struct):
    """What is sent back."""

    status: int
    headers: Headers
    body: bytes


class Problem(Exception):  # noqa: N818 (what RFC 9457 calls it)
    """Why a request is not answered as it asked: a status, what kind of thing went wrong (`kind`, as it is counted),
    and what more there is to say. Members in `more` stand beside the others in the document."""

    def __init__(
        self, status: int, kind: str, title: str, detail: str = "", headers: Headers | None = None, **more: Any
    ) -> None:
        super().__init__(title)
        self.status, self.kind, self.title, self.detail = status, kind, title, detail
        self.headers, self.more = headers or [], more

    def reply(self) -> Reply:
        """The document; `error` says it again in one line, which is where clients of the inference protocol look."""
        said = f"{self.title}: {self.detail}" if self.detail else self.title
        document = {
            "type": "about:blank", "title": self.title, "status": self.status, "detail": self.detail, "error": said,
        }  # fmt: skip
        return Reply(
            self.status, [(b"content-type", b"application/problem+json"), *self.headers], encode(document | self.more)
        )


class Request:
    """One request: its path and method, its headers, and its body, which is read when it is asked for."""

    __slots__ = ("_most_bytes", "_receive", "_scope", "method", "path", "received_s")

    def __init__(self, scope: Scope, receive: Receive, most_bytes: int, received_s: float) -> None:
        self._scope, self._receive, self._most_bytes = scope, receive, most_bytes
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.received_s = received_s

    def header(self, name: bytes) -> str | None:
        """A header, by its name in small letters."""
        for key, value in self._scope["headers"]:
            if key == name:
                return str(value, "latin-1")
        return None

    async def body(self) -> bytes:
        """The whole body; raises `Problem` where it is too large, too slow, or the client went away."""
        message = await self._receive()
        body: bytes = message.get("body", b"")
        if message.get("more_body") or message["type"] != "http.request":
            try:
                async with asyncio.timeout(_BODY_S):
                    body = await self._rest(message)
            except TimeoutError:
                raise Problem(408, "too_slow", "The body did not arrive", f"within {_BODY_S:g} s") from None
        if len(body) > self._most_bytes:
            raise self._too_large()
        return body

    async def _rest(self, message: Mapping[str, Any]) -> bytes:
        parts, size = [], 0
        while True:
            if message["type"] != "http.request":
                raise Problem(400, "gone", "The client went away")
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > self._most_bytes:
                raise self._too_large()
            if not message.get("more_body"):
                return b"".join(parts)
            message = await self._receive()

    def _too_large(self) -> Problem:
        # What is still on its way is not read: the connection ends here.
        closes = [(b"connection", b"close")]
        return Problem(413, "too_large", "The body is too large", f"at most {self._most_bytes} bytes", closes)


async def send_reply(send: Send, reply: Reply) -> None:
    """Sends a reply."""
    length = (b"content-length", str(len(reply.body)).encode())
    await send({"type": "http.response.start", "status": reply.status, "headers": [*reply.headers, length]})
    await send({"type": "http.response.body", "body": reply.body})


def json_reply(content: Any, headers: Headers | None = None, status: int = 200) -> Reply:
    """A document."""
    return Reply(status, [JSON, *(headers or [])], encode(content))
