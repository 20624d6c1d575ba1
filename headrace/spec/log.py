"""The branch `log`: storage of the log of events and predictions."""

from typing import Annotated

from headrace.spec.node import Duration, Node, about


class LogSpec(Node, frozen=True):
    """Storage of the log of pushed events and predictions.

    What was appended survives a killed process.
    """

    fsync: Annotated[
        bool,
        about("Let each append wait for the disk, so that it survives a loss of power, too.", True),
    ] = False
    retention: Annotated[
        Duration | None,
        about("Remove records older than this; if left out, none is removed.", "400d"),
    ] = None
