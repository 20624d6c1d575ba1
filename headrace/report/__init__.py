"""A leaf: pure functions from values to charts, pages, texts and progress."""

from headrace.report.notebook import show_exploration, show_predictor, show_run
from headrace.report.page import render_card, render_comparison, render_report
from headrace.report.rollout import render_rollout
from headrace.report.service import docs_page, service_page
from headrace.report.steps import Steps, Watch, quiet, show_line
from headrace.report.words import count_words, describe_gain, describe_split, format_number, label

__all__ = [
    "Steps",
    "Watch",
    "count_words",
    "describe_gain",
    "describe_split",
    "docs_page",
    "format_number",
    "label",
    "quiet",
    "render_card",
    "render_comparison",
    "render_report",
    "render_rollout",
    "service_page",
    "show_exploration",
    "show_line",
    "show_predictor",
    "show_run",
]
