"""The branch `serve`: the address of the service, and its limits."""

from typing import Annotated

from msgspec import Meta

from headrace.spec.node import Count, Node, Positive, about


class ServeSpec(Node, frozen=True):
    """The service: its address, its processes and its limits."""

    host: Annotated[str, about("The address to listen on.", "0.0.0.0")] = "127.0.0.1"
    hosts: Annotated[
        list[str],
        about(
            "Names to answer to, besides IP addresses and the names of this machine.",
            ["models.example.com"],
        ),
    ] = []
    port: Annotated[int, Meta(ge=0, le=65535), about("The port to listen on.", 80)] = 8080
    workers: Annotated[Count, about("The number of processes.", 4)] = 1
    max_body_mb: Annotated[Positive, about("The most megabytes in a request.", 64)] = 16.0
    max_rows: Annotated[Count, about("The most rows in a request.", 1_000)] = 10_000
    max_waiting: Annotated[
        Count,
        about("The most rows that wait in a process; it refuses further requests.", 200),
    ] = 2_000
    store_timeout_ms: Annotated[
        Positive,
        about("The milliseconds to wait for the online store; then windows are missing.", 20),
    ] = 10.0
    grace_s: Annotated[
        float,
        Meta(ge=0.0),
        about("The seconds after SIGTERM for which open connections are still answered.", 30),
    ] = 5.0
    log: Annotated[bool, about("Append every prediction to the log.", False)] = True
