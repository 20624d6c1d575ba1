"""The plan of features: what kind each column is, decided from training rows alone."""

from collections.abc import Sequence
from typing import Any

import polars as pl

from headrace.design import infer_kind
from headrace.errors import InputError, nearest
from headrace.features.encoders.registry import NUMBERS, SUITABLE
from headrace.features.states.vector import width_of
from headrace.spec import ColumnSpec, CrossSpec, Encode, FeaturesSpec, Kind
from headrace.tables import Column, Form, count_values, dtype_of, has_zone, to_text

_MOST_CATEGORIES = 1000
"""The most categories of a column in the schema."""


def plan_columns(
    frame: pl.DataFrame,
    spec: FeaturesSpec,
    special: dict[str, str],
    windows: list[str],
    forms: dict[str, Form] | None = None,
) -> list[Column]:
    """Decide the kind of every column from training rows.

    Parameters: `frame`, the training rows; `special`, the columns that are no features, each with
    the reason; `windows`, the columns that window features made; `forms`, how text was read as
    numbers or times. Returns all columns in their order, the ignored ones with their reason in
    `why`. Raises `InputError` for an override that names no column or does not suit its values.
    """
    _check_names(spec, frame.columns)
    if forms is None:
        forms = {}

    columns = []
    for values in frame:
        override = spec.columns.get(values.name, ColumnSpec())
        kind, why = _decide_kind(values, spec, override, special)
        _check_encoders(values, kind, override.encodes)
        if override.bits is not None and "hash" not in override.encodes:
            where = f"features.columns.{values.name}.bits"
            raise InputError(
                where, f"{override.bits} without `encode: hash`", "null, or that encoder"
            )
        is_window = values.name in windows
        columns.append(_describe_column(values, kind, why, is_window, forms.get(values.name)))

    _check_crosses(spec.crosses, columns)
    return columns


def _check_names(spec: FeaturesSpec, columns: list[str]) -> None:
    """Check that the spec names columns of the table."""
    for name in [*spec.exclude, *spec.columns]:
        if name not in columns:
            place = "features.exclude" if name in spec.exclude else "features.columns"
            raise InputError(
                place, f"no column {name!r}", "a column of the table", nearest(name, columns)
            )


def _decide_kind(
    values: pl.Series, spec: FeaturesSpec, override: ColumnSpec, special: dict[str, str]
) -> tuple[Kind, str]:
    """Decide the kind of a column, and why: the spec goes before the values."""
    if values.name in special:
        return "ignored", special[values.name]
    if values.name in spec.exclude:
        return "ignored", "excluded"
    if override.kind is not None:
        _check_kind(values, override.kind)
        return override.kind, "stated"
    return infer_kind(values)


def _check_kind(values: pl.Series, kind: Kind) -> None:
    """Check that the values of a column suit the kind that the spec states."""
    dtype = dtype_of(values.dtype)
    suits = {
        "numeric": dtype in ("integer", "number", "boolean"),
        "boolean": dtype == "boolean",
        "categorical": dtype in ("string", "integer", "number", "boolean"),
        "datetime": dtype == "datetime",
        "text": dtype == "string",
        "vector": dtype == "vector",
        "ignored": True,
    }
    if not suits[kind]:
        example = values.drop_nulls().head(1).to_list()
        raise InputError(
            f"features.columns.{values.name}.kind",
            f"{kind!r} for a column of {dtype} values such as {example}",
            "one of: " + ", ".join(name for name, is_suitable in suits.items() if is_suitable),
        )


def _check_encoders(values: pl.Series, kind: Kind, encodes: list[Encode]) -> None:
    """Check that the encoders that the spec states suit the kind and the values of a column."""
    where = f"features.columns.{values.name}.encode"
    if kind != "ignored":
        for encode in encodes:
            if encode not in SUITABLE[kind]:
                raise InputError(
                    where, f"{encode!r} for a {kind} column", "one of: " + ", ".join(SUITABLE[kind])
                )
    if NUMBERS[0] in encodes and not values.dtype.is_numeric():
        raise InputError(
            where,
            f"{NUMBERS[0]!r} for a column of text",
            "another encoder",
            "its codes are not numbers",
        )


def _check_crosses(crosses: Sequence[list[str] | CrossSpec], columns: list[Column]) -> None:
    """Check that crosses name categorical columns."""
    kinds = {column.name: column.kind for column in columns}
    for position, cross in enumerate(crosses):
        where = f"features.crosses[{position}]"
        for name in cross.of if isinstance(cross, CrossSpec) else cross:
            if name not in kinds:
                raise InputError(
                    where, f"no column {name!r}", "columns of the table", nearest(name, list(kinds))
                )
            if kinds[name] != "categorical":
                raise InputError(
                    where,
                    f"{name!r} is {kinds[name]}",
                    "categorical columns",
                    f"set features.columns.{name}.kind: categorical if its values are names",
                )


def _describe_column(
    values: pl.Series, kind: Kind, why: str, window: bool, form: Form | None
) -> Column:
    """Describe a column for the schema: its type, its range or categories, its missing values."""
    dtype = dtype_of(values.dtype)
    low, high = _find_range(values, dtype)
    categories = None
    if kind == "categorical":
        categories = count_values(to_text(values))["value"].head(_MOST_CATEGORIES).to_list()
    return Column(
        name=values.name,
        dtype=dtype,
        kind=kind,
        why=why,
        missing=values.null_count() / max(len(values), 1),
        distinct=0 if dtype in ("nested", "vector") else values.drop_nulls().n_unique(),
        low=low,
        high=high,
        categories=categories,
        window=window,
        written=form.form if form is not None else None,
        words=form.words if form is not None else [],
        zoned=has_zone(values.dtype) if dtype == "datetime" else None,
        width=width_of(values) if dtype == "vector" else None,
    )


def _find_range(values: pl.Series, dtype: str) -> tuple[Any, Any]:
    """Find the least and the greatest finite number, or time as text; (None, None) without any."""
    if dtype in ("integer", "number"):
        numbers = values.cast(pl.Float64).drop_nulls()
        finite = numbers.filter(numbers.is_finite())
        if len(finite):
            return finite.min(), finite.max()
    elif dtype == "datetime" and values.null_count() < len(values):
        return str(values.min()), str(values.max())
    return None, None
