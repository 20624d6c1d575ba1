"""The test rows of a bundle and the predictions that were made of them, side by side in one table."""

import polars as pl
import polars.selectors as cs

_ANSWERS = ("prediction", "decision")
_PROBABILITY, _INPUT = "probability_", "input:"


def is_answer(name: str) -> bool:
    """Whether predictions have a column of this name.

    >>> is_answer("prediction"), is_answer("probability_yes"), is_answer("price")
    (True, True, False)
    """
    return name in _ANSWERS or name.startswith(_PROBABILITY)


def join_answers(rows: pl.DataFrame, answers: pl.DataFrame) -> pl.DataFrame:
    """One table of both; a column of the rows that is called as predictions are gets `input:` before its name."""
    clashing = [name for name in rows.columns if is_answer(name) or name.startswith(_INPUT)]
    return rows.rename({name: _INPUT + name for name in clashing}).hstack(answers.get_columns())


def split_answers(table: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The rows with their own names, and the predictions.

    >>> rows, answers = pl.DataFrame({"decision": [1]}), pl.DataFrame({"prediction": [0.5]})
    >>> [one.columns for one in split_answers(join_answers(rows, answers))]
    [['decision'], ['prediction']]
    """
    names = [name for name in table.columns if is_answer(name)]
    rows = table.select(~cs.by_name(*names))
    own = {name: name.removeprefix(_INPUT) for name in rows.columns if name.startswith(_INPUT)}
    return rows.rename(own), table.select(cs.by_name(*names))
