"""The branch `log`: storage of the log of events and predictions."""

from headrace.spec.node import Duration, Node


class LogSpec(Node, frozen=True):
    """Storage of the log of pushed events and predictions.

    What was appended survives a killed process. With `fsync` it survives a loss of power, too, but
    each append waits for the disk. A segment is removed when all of its records have been known
    for longer than `retention`.
    """

    fsync: bool = False
    retention: Duration | None = None
