"""The base class of the spec's branches, and the types that their fields share."""

from typing import Annotated, Any

from msgspec import Meta, Struct

Name = Annotated[str, Meta(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$", max_length=64)]
Identifier = Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=64)]
Fraction = Annotated[float, Meta(ge=0.0, lt=1.0)]
Duration = Annotated[str, Meta(pattern=r"^\d+(\.\d+)?(us|ms|s|min|h|d|w)$")]
Span = Annotated[str, Meta(pattern=r"^(all|\d+(\.\d+)?(us|ms|s|min|h|d|w))$")]
Positive = Annotated[float, Meta(gt=0.0)]
Count = Annotated[int, Meta(ge=1)]


def about(description: str, *examples: Any) -> Meta:
    """Describe a field, for the JSON schema and the reference of the spec; examples are optional.

    >>> about("Predict this column.", "clicked").examples
    ['clicked']
    """
    return Meta(description=description, examples=list(examples) or None)


class Node(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A branch of the tree: immutable, without unknown fields."""
