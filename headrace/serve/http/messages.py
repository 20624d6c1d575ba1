"""Requests and replies, and problems as JSON (RFC 9457)."""

import re
from typing import Any

import msgspec

from headrace.workspace import Workspace

Headers = list[tuple[bytes, bytes]]

encode = msgspec.json.Encoder().encode
JSON: tuple[bytes, bytes] = (b"content-type", b"application/json")


_LONGEST = 1_000
"""What is wrong is said, and not sent back whole."""


class Reply(msgspec.Struct):
    """What is sent back."""

    status: int
    headers: Headers
    body: bytes


class Problem(Exception):  # noqa: N818 (what RFC 9457 calls it)
    """Why a request is not answered as it asked: a status, what kind of thing went wrong (`kind`,
    as it is counted), and what more there is to say. Members in `more` stand beside the others in
    the document.
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
        shown = detail if len(detail) <= _LONGEST else f"{detail[:_LONGEST]}…"
        self.status, self.kind, self.title, self.detail = status, kind, title, shown
        self.headers, self.more = headers or [], more

    def behind(self, rows: int) -> "Problem":
        """The same, where so many rows stand before those that it speaks of."""
        more = dict(self.more)
        if isinstance(problems := more.get("errors"), list):
            more["errors"] = [
                one | {"row": one["row"] + rows} if "row" in one else one for one in problems
            ]
        detail = re.sub(r"^row (\d+)", lambda found: f"row {int(found[1]) + rows}", self.detail)
        return Problem(self.status, self.kind, self.title, detail, self.headers, **more)

    def reply(self) -> Reply:
        """The document; `error` says it again in one line, which is where clients of the inference protocol look."""
        said = f"{self.title}: {self.detail}" if self.detail else self.title
        document = {
            "type": "about:blank", "title": self.title, "status": self.status, "detail": self.detail, "error": said,
        }  # fmt: skip
        return Reply(
            self.status,
            [(b"content-type", b"application/problem+json"), *self.headers],
            encode(document | self.more),
        )


class Request:
    """One request: its path and method, its headers by their names in small letters, its body, and
    when it began to arrive, by the clock of `time.perf_counter`. `workspaces` are those that its
    token is for, none where it is for all.
    """

    __slots__ = ("body", "headers", "method", "path", "received_s", "workspaces")

    def __init__(
        self, method: str, path: str, headers: dict[bytes, bytes], body: bytes, received_s: float
    ) -> None:
        self.method, self.path, self.headers, self.body, self.received_s = (
            method,
            path,
            headers,
            body,
            received_s,
        )
        self.workspaces: frozenset[Workspace] | None = None

    def header(self, name: bytes) -> str | None:
        """A header, by its name in small letters."""
        value = self.headers.get(name)
        return None if value is None else str(value, "latin-1")


def json_reply(content: Any, headers: Headers | None = None, status: int = 200) -> Reply:
    """A document."""
    return Reply(status, [JSON, *(headers or [])], encode(content))
