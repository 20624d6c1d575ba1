"""Fitting the encoders of every column and cross, on training rows alone."""

from typing import Any

import polars as pl
from msgspec import Struct, structs

from headrace.arrays import Floats
from headrace.features.cross import combine, cross_name
from headrace.features.encoders import onehot, target_mean
from headrace.features.encoders.registry import (
    DEFAULTS,
    ENCODERS,
    NUMBERS,
    ONLY_WIDE,
    Representation,
)
from headrace.features.graph.feeds import GROUPS
from headrace.features.states import levels, moments
from headrace.features.states.levels import Levels
from headrace.spec import ColumnSpec, Encode, FeaturesSpec, Kind
from headrace.tables import Column, as_text


class EncoderChoice(Struct, frozen=True):
    """The encoders that a member of a model wants: the form of its inputs, and by kind of column
    the encoders that stand in the place of that form's defaults.
    """

    representation: Representation
    by_kind: dict[Kind, list[Encode]] = {}


class FittedEncoder(Struct, frozen=True):
    """One column (or cross of `parts`) with one fitted encoder; `group` is the graph input that it
    is part of.

    A `wide` one makes a bag of entries and no column of the matrix.
    """

    column: str
    encode: str
    group: str
    state: Any
    wide: bool = False
    parts: list[str] = []

    @property
    def names(self) -> list[str]:
        """The matrix columns that it makes."""
        names: list[str] = [] if self.wide else ENCODERS[self.encode].names(self.column, self.state)
        return names

    @property
    def is_coded(self) -> bool:
        """Whether it works on the codes of text, not on the text itself."""
        return self.group == "strings" and hasattr(ENCODERS[self.encode], "known")


class Features(Struct, frozen=True):
    """Fitted encoders in the order of their columns, the words that mean missing, and the levels of crosses' parts."""

    encoded: list[FittedEncoder]
    missing: list[str]
    parts: dict[str, Levels] = {}

    @property
    def groups(self) -> dict[str, list[str]]:
        """The raw columns of each graph input, in order; absent groups are absent."""
        found: dict[str, dict[str, None]] = {group: {} for group in GROUPS}
        for one in self.encoded:
            found.setdefault(one.group, {}).update(dict.fromkeys(one.parts or [one.column]))
        return {group: list(columns) for group, columns in found.items() if columns}

    @property
    def columns(self) -> list[str]:
        """The raw columns that the graph takes, each once."""
        return list(dict.fromkeys(column for columns in self.groups.values() for column in columns))

    def blocks(self) -> list[list[FittedEncoder]]:
        """The columns that share an input and an encoder, in the order of the matrix; wide ones have none."""
        found = [
            [
                one
                for one in self.encoded
                if (one.group, one.encode, one.wide) == (group, encode, False)
            ]
            for group in self.groups
            for encode in ENCODERS
        ]
        return [block for block in found if block]

    @property
    def wide(self) -> list[FittedEncoder]:
        """Those that make bags, in order."""
        return [one for one in self.encoded if one.wide]

    @property
    def names(self) -> list[str]:
        """The columns of the matrix, in order."""
        return [name for block in self.blocks() for one in block for name in one.names]

    @property
    def codes(self) -> list[int]:
        """Where the codes of categories stand in the matrix."""
        kinds = [one.encode for block in self.blocks() for one in block for _ in one.names]
        return [at for at, encode in enumerate(kinds) if encode == "ordinal"]

    def only(self, encode: str) -> "Features":
        """The part that one encoder makes."""
        return Features(
            [one for one in self.encoded if one.encode == encode], self.missing, self.parts
        )


def fit_features(
    frame: pl.DataFrame,
    columns: list[Column],
    spec: FeaturesSpec,
    choice: EncoderChoice,
    missing: list[str],
    y: Floats | None = None,
) -> Features:
    """Fits the encoders of every column that is not ignored, and of every cross.

    Parameters: `frame`, the rows to fit on; `columns` as `plan_columns` gives them; `spec`, the
    stated encoders and crosses; `missing`, the words that mean a missing value; `y (N, outputs)`,
    the values that target means are means of. A column whose encoder makes nothing of it is left
    out.
    """
    representation = choice.representation
    chosen = DEFAULTS[representation] | choice.by_kind

    def encodes(kind: Kind, stated: list[Encode], is_number: bool = False) -> list[Encode]:
        def suits(one: Encode) -> bool:
            wide = representation == "linear" or one not in ONLY_WIDE
            return wide and (is_number or one not in NUMBERS) and (one != "target" or y is not None)

        wanted = [one for one in stated or chosen[kind] if suits(one)]
        return wanted or [one for one in DEFAULTS[representation][kind] if suits(one)]

    encoded = []
    for column in columns:
        if column.kind == "ignored":
            continue
        values = frame[column.name]
        texts = as_text(values) if column.kind in ("categorical", "text") else values
        for name in encodes(
            column.kind,
            spec.columns.get(column.name, ColumnSpec()).encodes,
            values.dtype.is_numeric(),
        ):
            encoded.append(
                _encoded(column, values if name in NUMBERS else texts, name, representation, y)
            )
    parts = {name: levels.fit(as_text(frame[name])) for cross in spec.crosses for name in cross}
    for cross in spec.crosses:
        values = combine([as_text(frame[name]) for name in cross], [parts[name] for name in cross])
        for name in encodes("categorical", []):
            if hasattr(ENCODERS[name], "known"):
                state = _fit(name, values, y)
                wide = representation == "linear" and name == "onehot" and onehot.is_wide(state)
                encoded.append(
                    FittedEncoder(cross_name(cross), name, "strings", state, wide, cross)
                )
    return Features([one for one in encoded if one.wide or one.names], missing, parts)


def _encoded(
    column: Column,
    values: pl.Series,
    encode: Encode,
    representation: Representation,
    y: Floats | None,
) -> FittedEncoder:
    state = _fit(encode, values, y)
    if column.kind in ("categorical", "text") and encode not in NUMBERS:
        group = "strings"
    elif column.kind == "datetime":
        group = "times"
    elif column.kind == "vector":
        group = f"vector_{column.name}"
    else:
        group = "doubles" if moments.fit(values).needs_doubles else "numbers"
    wide = encode in ONLY_WIDE or (
        representation == "linear"
        and (encode == "hash" or (encode == "onehot" and onehot.is_wide(state)))
    )
    return FittedEncoder(column.name, encode, group, state, wide)


def _fit(encode: str, values: pl.Series, y: Floats | None) -> Any:
    return (
        target_mean.fit(values, y)
        if encode == "target" and y is not None
        else ENCODERS[encode].fit(values)
    )


def refit_means(means: Features, frame: pl.DataFrame, y: Floats) -> Features:
    """The same target means fitted on other rows `frame` with other targets `y (N, outputs)`."""
    encoded = []
    for one in means.encoded:
        if one.parts:
            values = combine(
                [as_text(frame[name]) for name in one.parts],
                [means.parts[name] for name in one.parts],
            )
        else:
            values = as_text(frame[one.column])
        encoded.append(structs.replace(one, state=target_mean.fit(values, y)))
    return Features(encoded, means.missing, means.parts)
