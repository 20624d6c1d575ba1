"""The base class of the spec's branches, and the types that their fields share."""

from typing import Annotated

from msgspec import Meta, Struct

Name = Annotated[str, Meta(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$", max_length=64)]
Identifier = Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=64)]
Fraction = Annotated[float, Meta(ge=0.0, lt=1.0)]
Duration = Annotated[str, Meta(pattern=r"^\d+(\.\d+)?(us|ms|s|min|h|d|w)$")]
Span = Annotated[str, Meta(pattern=r"^(all|\d+(\.\d+)?(us|ms|s|min|h|d|w))$")]
Positive = Annotated[float, Meta(gt=0.0)]
Count = Annotated[int, Meta(ge=1)]


class Node(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A branch of the tree: immutable, without unknown fields."""
