"""The branch `serve`: where the service listens, and what it takes."""

from typing import Annotated

from msgspec import Meta

from headrace.spec.node import Count, Node, Positive


class ServeSpec(Node, frozen=True):
    """The service: where it listens, with how many processes, and what it takes.

    A request of more than `max_body_mb` or `max_rows` is refused, and so is one that finds
    `max_waiting` rows waiting in its process. Window features that the online store does not tell
    within `store_timeout_ms` count as missing. With `log` every prediction is kept, in the log.
    `hosts` are names by which the service may be asked, beside addresses and this machine's own.
    Told to end (SIGTERM), it says that it is not ready, and answers on for up to `grace_s` seconds,
    as long as connections are open: who sends requests to it notices meanwhile.
    """

    host: str = "127.0.0.1"
    hosts: list[str] = []
    port: Annotated[int, Meta(ge=0, le=65535)] = 8080
    workers: Count = 1
    max_body_mb: Positive = 16.0
    max_rows: Count = 10_000
    max_waiting: Count = 2_000
    store_timeout_ms: Positive = 10.0
    grace_s: Annotated[float, Meta(ge=0.0)] = 5.0
    log: bool = True
