"""The branch `serve`: the address of the service, and its limits."""

from typing import Annotated

from msgspec import Meta

from headrace.spec.node import Count, Node, Positive


class ServeSpec(Node, frozen=True):
    """The service: its address, its processes and its limits.

    The service answers to IP addresses, to the names of this machine, and to the names in `hosts`.

    It refuses a request of more than `max_body_mb` or `max_rows`, and any request while
    `max_waiting` rows wait in its process. A window feature is missing when the online store does
    not return it within `store_timeout_ms`. With `log` every prediction is appended to the log.

    After SIGTERM the service reports that it is not ready, so that load balancers stop sending
    requests; it still answers open connections for up to `grace_s` seconds.
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
