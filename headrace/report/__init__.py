"""A leaf: pure functions from values to charts, pages, texts and progress."""

from headrace.report.page import card_page, compare_page, report_page
from headrace.report.service import docs_page, service_page
from headrace.report.steps import Steps, Watch, quiet
from headrace.report.words import number

__all__ = [
    "Steps",
    "Watch",
    "card_page",
    "compare_page",
    "docs_page",
    "number",
    "quiet",
    "report_page",
    "service_page",
]
