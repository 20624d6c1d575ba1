"""The holdout of a bundle: one table of its test rows and their predictions."""

import polars as pl
import polars.selectors as cs

_ANSWERS = ("prediction", "decision")
_PROBABILITY = "probability_"
_INPUT = "input:"


def is_answer(name: str) -> bool:
    """Say whether predictions have a column of this name.

    >>> is_answer("prediction"), is_answer("probability_yes"), is_answer("price")
    (True, True, False)
    """
    return name in _ANSWERS or name.startswith(_PROBABILITY)


def join_answers(rows: pl.DataFrame, answers: pl.DataFrame) -> pl.DataFrame:
    """Join rows and their predictions in one table.

    A column of the rows that has the name of a prediction gets `input:` before its name.
    """
    clashing = [name for name in rows.columns if is_answer(name) or name.startswith(_INPUT)]
    return rows.rename({name: _INPUT + name for name in clashing}).hstack(answers.get_columns())


def split_answers(table: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Split a table of `join_answers` into the rows, with their own names, and the predictions.

    >>> rows, answers = pl.DataFrame({"decision": [1]}), pl.DataFrame({"prediction": [0.5]})
    >>> [one.columns for one in split_answers(join_answers(rows, answers))]
    [['decision'], ['prediction']]
    """
    names = [name for name in table.columns if is_answer(name)]
    rows = table.select(~cs.by_name(*names))
    own = {name: name.removeprefix(_INPUT) for name in rows.columns if name.startswith(_INPUT)}
    return rows.rename(own), table.select(cs.by_name(*names))
