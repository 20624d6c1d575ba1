"""A leaf: pure functions from values to charts, pages, texts and progress."""

from headrace.report.page import render_card, render_comparison, render_report
from headrace.report.service import docs_page, service_page
from headrace.report.steps import Steps, Watch, quiet
from headrace.report.words import describe_gain, format_number

__all__ = [
    "Steps",
    "Watch",
    "describe_gain",
    "docs_page",
    "format_number",
    "quiet",
    "render_card",
    "render_comparison",
    "render_report",
    "service_page",
]
