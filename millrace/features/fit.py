"""Deciding what each column is, and fitting its encoder, on training rows alone."""

from typing import Any

import polars as pl
from msgspec import Struct

from millrace.errors import InputError, nearest
from millrace.features.encoders import DEFAULTS, ENCODERS, SUITABLE, Representation
from millrace.features.feeds import GROUPS, as_text
from millrace.spec import ColumnSpec, Kind, infer_kind
from millrace.spec import Features as FeaturesSpec
from millrace.tables import Column, dtype_of

_MOST_CATEGORIES = 1000


class Encoded(Struct, frozen=True):
    """One column with its fitted encoder; `group` is the graph input that it is part of."""

    column: str
    encode: str
    group: str
    state: Any

    @property
    def names(self) -> list[str]:
        """The matrix columns that it makes."""
        names: list[str] = ENCODERS[self.encode].names(self.column, self.state)
        return names


class Features(Struct, frozen=True):
    """Fitted encoders in the order of their columns, and the words that mean missing."""

    encoded: list[Encoded]
    missing: list[str]

    @property
    def groups(self) -> dict[str, list[str]]:
        """The raw columns of each graph input, in order; absent groups are absent."""
        found = {group: [one.column for one in self.encoded if one.group == group] for group in GROUPS}
        return {group: columns for group, columns in found.items() if columns}

    def blocks(self) -> list[list[Encoded]]:
        """The columns that share an input and an encoder, in the order of the matrix."""
        found = [
            [one for one in self.encoded if (one.group, one.encode) == (group, encode)]
            for group in GROUPS
            for encode in ENCODERS
        ]
        return [block for block in found if block]

    @property
    def names(self) -> list[str]:
        """The columns of the matrix, in order."""
        return [name for block in self.blocks() for one in block for name in one.names]


def plan_columns(frame: pl.DataFrame, spec: FeaturesSpec, special: dict[str, str], windows: list[str]) -> list[Column]:
    """Decides the kind of every column from training rows.

    Parameters: `frame`, the training rows; `special`, the columns that are no features, each with the reason;
    `windows`, the columns that window features made. Returns all columns in their order, the ignored ones with their
    reason in `why`. Raises `InputError` for an override that names no column or does not suit its values.
    """
    for name in [*spec.exclude, *spec.columns]:
        if name not in frame.columns:
            place = "features.exclude" if name in spec.exclude else "features.columns"
            raise InputError(place, f"no column {name!r}", "a column of the table", nearest(name, frame.columns))
    columns = []
    for values in frame:
        override = spec.columns.get(values.name, ColumnSpec())
        kind: Kind
        if values.name in special:
            kind, why = "ignored", special[values.name]
        elif values.name in spec.exclude:
            kind, why = "ignored", "excluded"
        elif override.kind is not None:
            kind, why = override.kind, "stated"
            _check_kind(values, kind)
        else:
            kind, why = infer_kind(values)
        if override.encode is not None and kind != "ignored" and override.encode not in SUITABLE[kind]:
            raise InputError(
                f"features.columns.{values.name}.encode",
                f"{override.encode!r} for a {kind} column",
                "one of: " + ", ".join(SUITABLE[kind]),
            )
        columns.append(describe(values, kind, why, values.name in windows))
    return columns


def _check_kind(values: pl.Series, kind: Kind) -> None:
    dtype = dtype_of(values.dtype)
    fits = {
        "numeric": dtype in ("integer", "number", "boolean"),
        "boolean": dtype == "boolean",
        "categorical": dtype in ("string", "integer", "number", "boolean"),
        "datetime": dtype == "datetime",
        "ignored": True,
    }
    if not fits[kind]:
        example = values.drop_nulls().head(1).to_list()
        raise InputError(
            f"features.columns.{values.name}.kind",
            f"{kind!r} for a column of {dtype} values such as {example}",
            "one of: " + ", ".join(name for name, ok in fits.items() if ok),
        )


def describe(values: pl.Series, kind: Kind, why: str, window: bool = False) -> Column:
    """The schema entry of a column: its type, range or categories, and how much is missing."""
    dtype = dtype_of(values.dtype)
    low: Any = None
    high: Any = None
    categories = None
    if dtype in ("integer", "number"):
        finite = values.cast(pl.Float64).drop_nulls()
        finite = finite.filter(finite.is_finite())
        low, high = (finite.min(), finite.max()) if len(finite) else (None, None)
    elif dtype == "datetime" and values.null_count() < len(values):
        low, high = str(values.min()), str(values.max())
    elif dtype == "string" and kind == "categorical":
        counts = values.drop_nulls().value_counts(name="n").sort(["n", values.name], descending=[True, False])
        categories = counts[:, 0].head(_MOST_CATEGORIES).to_list()
    return Column(
        name=values.name,
        dtype=dtype,
        kind=kind,
        why=why,
        missing=values.null_count() / max(len(values), 1),
        distinct=0 if dtype == "nested" else values.drop_nulls().n_unique(),
        low=low,
        high=high,
        categories=categories,
        window=window,
    )


def fit_features(
    frame: pl.DataFrame,
    columns: list[Column],
    overrides: dict[str, ColumnSpec],
    representation: Representation,
    missing: list[str],
) -> Features:
    """Fits an encoder for every column that is not ignored.

    Parameters: `frame`, the rows to fit on; `columns` as `plan_columns` gives them; `overrides`, the stated encoders;
    `representation`, what the family of models wants. A column whose encoder makes nothing of it is left out.
    """
    encoded = []
    for column in columns:
        if column.kind == "ignored":
            continue
        encode = overrides.get(column.name, ColumnSpec()).encode or DEFAULTS[representation][column.kind]
        values = as_text(frame[column.name]) if column.kind == "categorical" else frame[column.name]
        state = ENCODERS[encode].fit(values)
        if column.kind == "categorical":
            group = "strings"
        elif column.kind == "datetime":
            group = "times"
        else:
            group = "doubles" if state.needs_doubles else "numbers"
        one = Encoded(column.name, encode, group, state)
        if one.names:
            encoded.append(one)
    return Features(encoded, missing)
