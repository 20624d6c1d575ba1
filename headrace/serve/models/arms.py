"""Which arm of a rollout answers a row, and what is counted of the arms.

    row ──> unit: the header, or a column ──> its point on the line ──> arm ──> route
       \\──> no unit ──> champion, not judged

A route that is `split` leads to several versions. Each arm is a route of its own: its reply names
the arm, and its buffer notes arm, phase and propensity once, at the head of all predictions.
"""

import math
import random
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Any, NamedTuple, Protocol

import msgspec
from msgspec import UNSET, Struct, to_builtins

from headrace.rollout.assign import SPACE, locate, to_text
from headrace.serve.http.messages import Headers, encode
from headrace.serve.models.recorder import Buffer, Recorder
from headrace.serve.models.served import ServedModel
from headrace.windows import Condition

_MOST = 1e6
"""A context's numbers are clipped to this size: sums of squares must stay finite."""
_MOST_KNOWN = 1 << 16
"""Units whose arms are remembered."""
UNIT_HEADER = b"x-headrace-unit"


class ArmCounts(Struct):
    """What is counted of an arm between two records: rows, and those of them that went wrong."""

    rows: int = 0
    errors: int = 0
    unread: int = 0
    imputed: int = 0

    @property
    def is_zero(self) -> bool:
        """Whether nothing was counted."""
        return not (self.rows or self.errors or self.unread)

    def take(self) -> "ArmCounts":
        """Return the counts, and begin anew."""
        taken = ArmCounts(self.rows, self.errors, self.unread, self.imputed)
        self.rows = self.errors = self.unread = self.imputed = 0
        return taken


class Segment(Struct, frozen=True):
    """Rows for which a condition holds are answered by the route to another model."""

    condition: Condition
    model: str

    def holds(self, row: Mapping[str, Any]) -> bool:
        """Say whether a row belongs to it; a value of another type than the constant does not."""
        try:
            return self.condition.holds(row)
        except TypeError:
            return False


class ModelRoute(Struct, frozen=True, eq=False):
    """The route to a version of a model, by an alias (then the `arm` has its name) or directly.

    `headers` and `opening`, a JSON object without its last brace, begin each reply. `buffer` takes
    the predictions that wait for the log; None where they are not logged.

    In a rollout a route is `split` into those of the arms. An arm has its `number` in the ids of
    its predictions, its `counts`, and routes to the champion for rows that it fails on (`fallback`,
    by the kind of failure); they are its predictions all the same. An arm `is_absent` where its
    version cannot be loaded. Rows of `segments` go to other models before all that.
    """

    served: ServedModel
    arm: str
    headers: Headers
    opening: bytes
    buffer: Buffer | None
    split: "Split | None" = None
    number: int = 0
    counts: ArmCounts | None = None
    is_absent: bool = False
    fallback: "dict[str, ModelRoute]" = {}
    segments: Sequence[Segment] = ()


class Assigned(NamedTuple):
    """The route of a row, and what is noted of the row beside it in the log.

    `encoded` is the note of a single row as JSON, where it is known already.
    """

    route: ModelRoute
    note: tuple[Any, ...]
    encoded: bytes = b""


class Chooser(Protocol):
    """Chooses an arm for a row by its context."""

    columns: Sequence[str]

    def choose(self, context: Sequence[float]) -> tuple[int, float]:
        """Return the place of the arm, and the probability with which it was chosen."""
        ...


class Split(Struct, eq=False):
    """The arms of a phase, and how rows find theirs.

    `ends` are the ends of stretches of the line, `arms` whose they are; `plain` is the champion's
    route without an arm. Without a `unit` each row is drawn on its own; with a `chooser` its
    context decides. `counts` are those of the arms, by their names.
    """

    phase: int | None
    unit: str | None
    salt: bytes
    ends: Sequence[int]
    arms: Sequence[ModelRoute]
    plain: ModelRoute
    counts: dict[str, ArmCounts]
    get_unit: Callable[[Any], Any] | None = None
    chooser: Chooser | None = None
    unassigned: int = 0
    known: dict[str, Assigned] = {}

    def assign(self, rows: Sequence[Any], header: str | None, typed: bool) -> list[Assigned]:
        """Assign an arm to each row; the header counts where both are there.

        A row without a unit gets the plain champion.
        """
        if self.chooser is not None:
            return [self._choose(self.chooser, row, typed) for row in rows]
        if self.unit is None:
            return [Assigned(self.draw(), (None,)) for _ in rows]
        if header:
            return [self.known.get(header) or self.find(header)] * len(rows)
        read = self._get_unit if typed else self._read_unit
        assigned = []
        for row in rows:
            unit = read(row)
            if type(unit) is not str or not unit:
                unit = to_text(unit)
            if unit is None:
                assigned.append(Assigned(self.plain, (None,)))
            else:
                assigned.append(self.known.get(unit) or self.find(unit))
        return assigned

    def find(self, unit: str) -> Assigned:
        """Find the arm of a unit, and remember it: many units come again."""
        route = self.arms[bisect_right(self.ends, locate(self.salt, unit))]
        if len(self.known) >= _MOST_KNOWN:
            self.known.clear()
        assigned = self.known[unit] = Assigned(route, (unit,), encode((unit,)))
        return assigned

    def draw(self) -> ModelRoute:
        """Return the route of the arm that a row on its own gets."""
        return self.arms[bisect_right(self.ends, random.randrange(SPACE))]

    def _read_unit(self, row: Any) -> Any:
        return row.get(self.unit)

    def _get_unit(self, row: Any) -> Any:
        """Return the unit of a typed row, None where it brings none."""
        unit = None if self.get_unit is None else self.get_unit(row)
        return None if unit is UNSET else unit

    def _choose(self, chooser: Chooser, row: Any, typed: bool) -> Assigned:
        """Assign an arm by the context of a row; what is no number counts as 0."""
        values = to_builtins(row) if typed else row
        context = [read_number(values.get(name)) for name in chooser.columns]
        place, propensity = chooser.choose(context)
        return Assigned(self.arms[place], (propensity, context))


def read_number(value: Any) -> float:
    """Return a value of a context as a number; 0 for one that is none.

    >>> read_number("2.5"), read_number(True), read_number(None), read_number(float("nan"))
    (2.5, 1.0, 0.0, 0.0)
    """
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return 0.0
    return min(max(number, -_MOST), _MOST) if math.isfinite(number) else 0.0


class SplitCounts(Struct):
    """What was counted of the arms of a phase in a stretch of time that ends at `at_us`.

    `calls` and `slow` are those of the arms' models: how often they were called, and how often that
    took more than twice the time that the champion needs.
    """

    phase: int
    at_us: int
    arms: dict[str, ArmCounts]
    calls: dict[str, tuple[int, int]]
    unassigned: int = 0


def take_counts(split: Split, at_us: int) -> SplitCounts | None:
    """Take what was counted of a split since the last time; None where nothing was."""
    if split.phase is None:
        return None
    arms: dict[str, ArmCounts] = {}
    calls: dict[str, tuple[int, int]] = {}
    taken: dict[int, tuple[int, int]] = {}
    for arm in {id(one): one for one in split.arms}.values():
        if arm.counts is None:
            continue
        arms[arm.arm] = arm.counts.take()
        speed = arm.served.speed
        if id(speed) not in taken:
            taken[id(speed)] = speed.take()
        # Two arms of one version, as in a comparison with itself, share its calls.
        calls[arm.arm] = taken[id(speed)]
    unassigned = split.unassigned
    split.unassigned = 0
    if not unassigned and all(one.is_zero for one in arms.values()):
        return None
    return SplitCounts(split.phase, at_us, arms, calls, unassigned)


def make_unit_getter(rows: type[Struct], unit: str | None) -> Callable[[Any], Any] | None:
    """Make a getter of the unit of typed rows; None where their type has no such column."""
    for field in msgspec.structs.fields(rows):
        if field.encode_name == unit:
            return attrgetter(field.name)
    return None


def build_route(
    served: ServedModel,
    arm: str,
    head: dict[str, Any],
    recorder: Recorder | None,
    names: tuple[str, ...] = ("row", "answer"),
    number: int = 0,
) -> ModelRoute:
    """Build a route to a version; `head` is what its records in the log say beside its name."""
    reply = {"model": served.name, "version": served.version}
    buffer = None
    if recorder is not None and served.system is not None:
        row_id = served.system.spec.data.id
        known = {} if row_id is None else {"row_id": row_id}
        buffer = Buffer(recorder, served.system, encode(reply | head | known)[:-1], names)
    return ModelRoute(served, arm, served.headers(arm), encode(reply)[:-1], buffer, number=number)
