"""The segments of a system: which rows go to which other model, as its spec says."""

from collections.abc import Sequence

from headrace.errors import InputError
from headrace.serve.models.arms import Segment
from headrace.serve.models.served import ServedModel
from headrace.tables import POLARS
from headrace.windows import parse_condition


def build_segments(served: ServedModel, names: Sequence[str]) -> list[Segment]:
    """Build the segments of the system of a model, from its spec.

    Parameters: `names`, those of the served models. Raises `InputError` for a condition that cannot
    be read, and for a model that is not served.
    """
    system = served.system
    if system is None or system.spec.rollout is None:
        return []
    schema = {
        column.name: POLARS[column.dtype] for column in served.inputs if column.dtype in POLARS
    }
    segments = []
    for number, segment in enumerate(system.spec.rollout.segments):
        where = f"rollout.segments[{number}]"
        others = [name for name in names if name != system.spec.name]
        if segment.model not in others:
            expected = f"one of: {', '.join(others)}" if others else "another served system"
            do = f"`headrace serve` it as well, beside {system.spec.name}"
            raise InputError(f"{where}.model", f"{segment.model!r} is not served", expected, do)
        condition = parse_condition(segment.where, f"{where}.where", schema)
        segments.append(Segment(condition, segment.model))
    return segments
