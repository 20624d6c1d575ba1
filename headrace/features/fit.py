"""Fitting the encoders of every column and cross, on training rows alone."""

from typing import Any

import polars as pl
from msgspec import Struct, structs

from headrace.arrays import Floats
from headrace.features.cross import combine, cross_name
from headrace.features.encoders import hash, onehot, target_mean
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
from headrace.spec import ColumnSpec, CrossSpec, Encode, FeaturesSpec, Kind
from headrace.tables import Column, to_text


class EncoderChoice(Struct, frozen=True):
    """The encoders that a member of an ensemble wants.

    `representation` is the form of its inputs. `by_kind` lists, for kinds of columns, the encoders
    that replace the defaults of that form.
    """

    representation: Representation
    by_kind: dict[Kind, list[Encode]] = {}


class FittedEncoder(Struct, frozen=True):
    """One column, or one cross of the columns `parts`, with one fitted encoder.

    `group` is the graph input that the column is part of. A `wide` encoder makes bags, and no
    column of the matrix.
    """

    column: str
    encode: str
    group: str
    state: Any
    wide: bool = False
    parts: list[str] = []

    @property
    def names(self) -> list[str]:
        """The names of its columns of the matrix."""
        if self.wide:
            return []
        names: list[str] = ENCODERS[self.encode].names(self.column, self.state)
        return names

    @property
    def is_coded(self) -> bool:
        """Whether it reads the codes of text, not the text itself."""
        return self.group == "strings" and hasattr(ENCODERS[self.encode], "known")


class Features(Struct, frozen=True):
    """Fitted encoders in the order of their columns.

    `missing` are the words that mean missing; `parts` the levels of the columns in crosses.
    """

    encoded: list[FittedEncoder]
    missing: list[str]
    parts: dict[str, Levels] = {}

    @property
    def groups(self) -> dict[str, list[str]]:
        """The raw columns of each graph input, in order; a group without columns is left out."""
        # Dicts in the place of sets, which have no order.
        found: dict[str, dict[str, None]] = {group: {} for group in GROUPS}
        for fitted in self.encoded:
            columns = fitted.parts or [fitted.column]
            found.setdefault(fitted.group, {}).update(dict.fromkeys(columns))
        return {group: list(columns) for group, columns in found.items() if columns}

    @property
    def columns(self) -> list[str]:
        """The raw columns that the graph takes, each once."""
        names: dict[str, None] = {}
        for columns in self.groups.values():
            names |= dict.fromkeys(columns)
        return list(names)

    def blocks(self) -> list[list[FittedEncoder]]:
        """List the blocks of the matrix in order: the columns that share an input and an encoder.

            numbers, standardize    [age, income]
            strings, onehot         [city]
            strings, target         [city, site × hour]

        Wide encoders are in no block.
        """
        blocks = []
        for group in self.groups:
            for encode in ENCODERS:
                block = [
                    fitted
                    for fitted in self.encoded
                    if fitted.group == group and fitted.encode == encode and not fitted.wide
                ]
                if block:
                    blocks.append(block)
        return blocks

    @property
    def wide(self) -> list[FittedEncoder]:
        """The encoders that make bags, in order."""
        return [fitted for fitted in self.encoded if fitted.wide]

    @property
    def names(self) -> list[str]:
        """The columns of the matrix, in order."""
        names = []
        for block in self.blocks():
            for fitted in block:
                names += fitted.names
        return names

    @property
    def codes(self) -> list[int]:
        """The positions in the matrix of columns that hold codes of categories."""
        encodes = []
        for block in self.blocks():
            for fitted in block:
                encodes += [fitted.encode] * len(fitted.names)
        return [position for position, encode in enumerate(encodes) if encode == "ordinal"]

    def only(self, encode: str) -> "Features":
        """Return the features of one encoder alone."""
        encoded = [fitted for fitted in self.encoded if fitted.encode == encode]
        return Features(encoded, self.missing, self.parts)


def fit_features(
    frame: pl.DataFrame,
    columns: list[Column],
    spec: FeaturesSpec,
    choice: EncoderChoice,
    missing: list[str],
    y: Floats | None = None,
) -> Features:
    """Fit the encoders of every column that is not ignored, and of every cross.

    Parameters: `frame`, the rows to fit on; `columns`, as `plan_columns` gives them; `spec`, the
    stated encoders and crosses; `missing`, the words that mean a missing value; `y (N, outputs)`,
    the values that target means are means of. A column of which its encoder makes nothing is left
    out.
    """
    encoded = []
    for column in columns:
        if column.kind == "ignored":
            continue
        values = frame[column.name]
        # A category that is a number is read as its text, but by the encoders in `NUMBERS`.
        texts = to_text(values) if column.kind in ("categorical", "text") else values
        override = spec.columns.get(column.name, ColumnSpec())
        is_number = values.dtype.is_numeric()
        chosen = _choose_encoders(column.kind, override.encodes, choice, is_number, y is not None)
        for name in chosen:
            source = values if name in NUMBERS else texts
            state = _fit_encoder(name, source, y, override.bits)
            wide = _is_wide(name, state, choice.representation)
            group = _find_group(column, source, name)
            encoded.append(FittedEncoder(column.name, name, group, state, wide))

    parts: dict[str, Levels] = {}
    for cross in spec.crosses:
        if isinstance(cross, CrossSpec):
            state = hash.fit(frame[cross.of[0]], cross.bits)
            wide = _is_wide("hash", state, choice.representation)
            column_name = cross_name(cross.of)
            encoded.append(FittedEncoder(column_name, "hash", "strings", state, wide, cross.of))
            continue
        for part in cross:
            parts[part] = levels.fit(to_text(frame[part]))
        values = _combine_columns(frame, cross, parts)
        for name in _choose_encoders("categorical", [], choice, False, y is not None):
            # A cross exists as codes alone.
            if hasattr(ENCODERS[name], "known"):
                state = _fit_encoder(name, values, y)
                wide = _is_wide(name, state, choice.representation)
                encoded.append(
                    FittedEncoder(cross_name(cross), name, "strings", state, wide, cross)
                )

    useful = [fitted for fitted in encoded if fitted.wide or fitted.names]
    return Features(useful, missing, parts)


def refit_means(means: Features, frame: pl.DataFrame, y: Floats) -> Features:
    """Fit the same target means on other rows `frame` with other targets `y (N, outputs)`."""
    encoded = []
    for fitted in means.encoded:
        if fitted.parts:
            values = _combine_columns(frame, fitted.parts, means.parts)
        else:
            values = to_text(frame[fitted.column])
        encoded.append(structs.replace(fitted, state=target_mean.fit(values, y)))
    return Features(encoded, means.missing, means.parts)


def _choose_encoders(
    kind: Kind, stated: list[Encode], choice: EncoderChoice, is_number: bool, has_target: bool
) -> list[Encode]:
    """Choose the encoders of a column: the stated ones, else those that the member wants.

    Encoders that do not suit the column or the model are left out. Where none remains, the column
    gets the defaults.
    """
    defaults = DEFAULTS[choice.representation]
    allows_wide = choice.representation == "linear"

    def suits(encode: Encode) -> bool:
        if encode in ONLY_WIDE and not allows_wide:
            return False
        if encode in NUMBERS and not is_number:
            return False
        return encode != "target" or has_target

    chosen = stated or choice.by_kind.get(kind, defaults[kind])
    suitable = [encode for encode in chosen if suits(encode)]
    return suitable or [encode for encode in defaults[kind] if suits(encode)]


def _find_group(column: Column, values: pl.Series, encode: Encode) -> str:
    """Find the graph input that an encoder of a column reads."""
    if column.kind in ("categorical", "text") and encode not in NUMBERS:
        return "strings"
    if column.kind == "datetime":
        return "times"
    if column.kind == "vector":
        return f"vector_{column.name}"
    return "doubles" if moments.fit(values).needs_doubles else "numbers"


def _fit_encoder(encode: str, values: pl.Series, y: Floats | None, bits: int | None = None) -> Any:
    """Fit one encoder; return its state."""
    if encode == "target" and y is not None:
        return target_mean.fit(values, y)
    if encode == "hash":
        return hash.fit(values, bits)
    return ENCODERS[encode].fit(values)


def _is_wide(encode: str, state: Any, representation: Representation) -> bool:
    """Say whether an encoder makes bags: always, or for linear models where it has many entries."""
    if encode in ONLY_WIDE:
        return True
    if representation != "linear":
        return False
    return encode == "hash" or (encode == "onehot" and onehot.is_wide(state))


def _combine_columns(
    frame: pl.DataFrame, columns: list[str], parts: dict[str, Levels]
) -> pl.Series:
    """Write the combination that each row has of the columns of a cross."""
    texts = [to_text(frame[name]) for name in columns]
    return combine(texts, [parts[name] for name in columns])
