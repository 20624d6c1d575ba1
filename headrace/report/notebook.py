"""Renders what a notebook shows of a run, an exploration or a predictor."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.report.page import describe_promotion, describe_verdict, load_template

if TYPE_CHECKING:
    from headrace.run.document import RunDocument
    from headrace.run.exploration import ExplorationDocument


def show_run(run: "RunDocument") -> str:
    """Show the verdict, the metrics, the gates and the findings of a run."""
    page = Path(run.report).as_uri()
    return _show("run", run, describe_verdict(run), describe_promotion(run), page)


def show_exploration(document: "ExplorationDocument") -> str:
    """Show the columns and the findings of an exploration."""
    return _show("exploration", document)


def show_predictor(predictor: Any) -> str:
    """Show the columns that a predictor takes, and the classes that it tells apart."""
    return _show("predictor", predictor)


def _show(macro: str, *values: Any) -> str:
    html: str = getattr(load_template("notebook.html").module, macro)(*values)
    return html
