"""Requests, replies and problems; a problem is sent as JSON (RFC 9457)."""

import re
from typing import Any

import msgspec

from headrace.workspace import Workspace

Headers = list[tuple[bytes, bytes]]

encode = msgspec.json.Encoder().encode
JSON: tuple[bytes, bytes] = (b"content-type", b"application/json")
_PROBLEM_JSON = (b"content-type", b"application/problem+json")

_MAX_DETAIL = 1_000
"""Characters of a detail: what a client sent is named in it, and not sent back as a whole."""


class Reply(msgspec.Struct):
    """A reply: its status, its headers without the length, and its body."""

    status: int
    headers: Headers
    body: bytes


class Problem(Exception):  # noqa: N818 (what RFC 9457 calls it)
    """The reason why a request is refused, raised anywhere below a route and sent as the reply.

    Parameters:
        status: the HTTP status.
        kind: the kind under which `headrace_errors` counts it, such as `"too_large"`.
        title: a sentence that is the same for every problem of the kind.
        detail: the values found and expected in this one.
        headers: further headers, such as `retry-after`.
        more: further members of the document.

    >>> problem = Problem(413, "too_large", "The body is too large", "at most 9 bytes")
    >>> print(msgspec.json.format(problem.reply().body).decode())
    {
      "type": "about:blank",
      "title": "The body is too large",
      "status": 413,
      "detail": "at most 9 bytes",
      "error": "The body is too large: at most 9 bytes"
    }
    """

    def __init__(
        self,
        status: int,
        kind: str,
        title: str,
        detail: str = "",
        headers: Headers | None = None,
        **more: Any,
    ) -> None:
        super().__init__(title)
        self.status = status
        self.kind = kind
        self.title = title
        self.detail = detail if len(detail) <= _MAX_DETAIL else f"{detail[:_MAX_DETAIL]}…"
        self.headers = headers or []
        self.more = more

    def shift_rows(self, count: int) -> "Problem":
        """Return the same problem with its row numbers moved by the `count` rows before a part.

        >>> Problem(422, "invalid_rows", "Bad rows", "row 2, column 'x'").shift_rows(1000).detail
        "row 1002, column 'x'"
        """
        more = dict(self.more)
        errors = more.get("errors")
        if isinstance(errors, list):
            more["errors"] = [
                error | {"row": error["row"] + count} if "row" in error else error
                for error in errors
            ]
        detail = re.sub(r"^row (\d+)", lambda match: f"row {int(match[1]) + count}", self.detail)
        return Problem(self.status, self.kind, self.title, detail, self.headers, **more)

    def map_rows(self, rows: list[int]) -> "Problem":
        """Return the same problem with the row numbers of the whole request.

        Parameters: `rows`, the place of each row of the part, counted from 0.

        >>> Problem(422, "invalid_rows", "Bad rows", "row 2, column 'x'").map_rows([3, 7]).detail
        "row 8, column 'x'"
        """

        def whole(number: int) -> int:
            return rows[number - 1] + 1 if 0 < number <= len(rows) else number

        more = dict(self.more)
        errors = more.get("errors")
        if isinstance(errors, list):
            more["errors"] = [
                error | {"row": whole(error["row"])} if "row" in error else error
                for error in errors
            ]
        detail = re.sub(r"^row (\d+)", lambda match: f"row {whole(int(match[1]))}", self.detail)
        return Problem(self.status, self.kind, self.title, detail, self.headers, **more)

    def reply(self) -> Reply:
        """Build the reply with the document.

        Its `error` holds title and detail in one line, for clients of the inference protocol.
        """
        document = {
            "type": "about:blank",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "error": f"{self.title}: {self.detail}" if self.detail else self.title,
        }
        headers = [_PROBLEM_JSON, *self.headers]
        return Reply(self.status, headers, encode(document | self.more))


class Request:
    """A request as it came over a connection.

    Parameters:
        method: such as `"POST"`.
        path: the path of the URL, decoded, without the query.
        headers: by their names in small letters.
        body: all bytes of the body.
        received_s: the time when the request began to arrive, by `time.perf_counter`.

    `workspaces` are those for which the request's token is good; None where it is good for all.
    """

    __slots__ = ("body", "headers", "method", "path", "received_s", "workspaces")

    def __init__(
        self, method: str, path: str, headers: dict[bytes, bytes], body: bytes, received_s: float
    ) -> None:
        self.method = method
        self.path = path
        self.headers = headers
        self.body = body
        self.received_s = received_s
        self.workspaces: frozenset[Workspace] | None = None

    def header(self, name: bytes) -> str | None:
        """Return the value of a header by its name in small letters, or None."""
        value = self.headers.get(name)
        return None if value is None else str(value, "latin-1")


def json_reply(content: Any, headers: Headers | None = None, status: int = 200) -> Reply:
    """Build a reply that holds a value as JSON."""
    return Reply(status, [JSON, *(headers or [])], encode(content))


def build_unavailable(kind: str, title: str, detail: str = "") -> Problem:
    """Build the problem (503) of a service that can answer later: ask again after a second."""
    return Problem(503, kind, title, detail, [(b"retry-after", b"1")])
