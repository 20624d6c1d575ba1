"""Deciding what each column is, from training rows alone."""

from typing import Any

import polars as pl

from headrace.design import infer_kind
from headrace.errors import InputError, nearest
from headrace.features.encoders.registry import NUMBERS, SUITABLE
from headrace.features.states.vector import width_of
from headrace.spec import ColumnSpec, FeaturesSpec, Kind
from headrace.tables import Column, Form, as_text, dtype_of, has_zone, value_counts

_MOST_CATEGORIES = 1000


def plan_columns(
    frame: pl.DataFrame,
    spec: FeaturesSpec,
    special: dict[str, str],
    windows: list[str],
    forms: dict[str, Form] | None = None,
) -> list[Column]:
    """Decides the kind of every column from training rows.

    Parameters: `frame`, the training rows; `special`, the columns that are no features, each with
    the reason; `windows`, the columns that window features made; `forms`, how text was read as
    numbers or times. Returns all columns in their order, the ignored ones with their reason in
    `why`. Raises `InputError` for an override that names no column or does not suit its values.
    """
    for name in [*spec.exclude, *spec.columns]:
        if name not in frame.columns:
            place = "features.exclude" if name in spec.exclude else "features.columns"
            raise InputError(
                place, f"no column {name!r}", "a column of the table", nearest(name, frame.columns)
            )
    columns, forms = [], forms or {}
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
        odd = [
            encode
            for encode in override.encodes
            if kind != "ignored" and encode not in SUITABLE[kind]
        ]
        if odd:
            raise InputError(
                f"features.columns.{values.name}.encode",
                f"{odd[0]!r} for a {kind} column",
                "one of: " + ", ".join(SUITABLE[kind]),
            )
        if NUMBERS[0] in override.encodes and not values.dtype.is_numeric():
            where = f"features.columns.{values.name}.encode"
            raise InputError(
                where,
                f"{NUMBERS[0]!r} for a column of text",
                "another encoder",
                "its codes are no numbers",
            )
        columns.append(describe(values, kind, why, values.name in windows, forms.get(values.name)))
    _check_crosses(spec.crosses, columns)
    return columns


def _check_crosses(crosses: list[list[str]], columns: list[Column]) -> None:
    kinds = {column.name: column.kind for column in columns}
    for at, cross in enumerate(crosses):
        for name in cross:
            where = f"features.crosses[{at}]"
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


def _check_kind(values: pl.Series, kind: Kind) -> None:
    dtype = dtype_of(values.dtype)
    fits = {
        "numeric": dtype in ("integer", "number", "boolean"),
        "boolean": dtype == "boolean",
        "categorical": dtype in ("string", "integer", "number", "boolean"),
        "datetime": dtype == "datetime",
        "text": dtype == "string",
        "vector": dtype == "vector",
        "ignored": True,
    }
    if not fits[kind]:
        example = values.drop_nulls().head(1).to_list()
        raise InputError(
            f"features.columns.{values.name}.kind",
            f"{kind!r} for a column of {dtype} values such as {example}",
            "one of: " + ", ".join(name for name, ok in fits.items() if ok),
        )


def describe(
    values: pl.Series, kind: Kind, why: str, window: bool = False, form: Form | None = None
) -> Column:
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
    if kind == "categorical":
        categories = value_counts(as_text(values))["value"].head(_MOST_CATEGORIES).to_list()
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
