"""What is joined: the phases whose predictions count, and what an outcome means."""

from msgspec import Struct

from headrace.spec import RolloutMetric, Task


class JoinedPhase(Struct, frozen=True):
    """A phase as the reader needs it: its arms in order, and whether only new units are judged.

    `salt` tells which earlier phases have drawn the same units.
    """

    number: int
    arms: tuple[str, ...]
    salt: str
    new_only: bool
    since_us: int


class Join(Struct, frozen=True):
    """The metrics, and what an outcome means.

    `within_us` is how long after its prediction an outcome counts; `silent_zero` says that a
    missing outcome is a 0; without `is_unit` each row is a unit; `target` is the name of the
    outcomes that a loss compares with.
    """

    metrics: tuple[RolloutMetric, ...]
    within_us: int
    silent_zero: bool
    is_unit: bool
    task: Task
    target: str
