"""The branch `log`: how what is pushed is kept."""

from headrace.spec.node import Duration, Node


class LogSpec(Node, frozen=True):
    """How what is pushed is kept. It survives a killed process; with `fsync`, at the price of
    waiting for the disk, a loss of power too. Segments whose records were all known longer ago than
    `retention` are removed.
    """

    fsync: bool = False
    retention: Duration | None = None
