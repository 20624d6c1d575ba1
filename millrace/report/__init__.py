"""A leaf: pure functions from values to charts, pages and progress."""

from millrace.report.page import card_page, compare_page, promotion, report_page, verdicts
from millrace.report.service import docs_page, service_page
from millrace.report.stages import stages
from millrace.report.steps import Steps, Watch, quiet
from millrace.report.words import number

__all__ = [
    "Steps",
    "Watch",
    "card_page",
    "compare_page",
    "docs_page",
    "number",
    "promotion",
    "quiet",
    "report_page",
    "service_page",
    "stages",
    "verdicts",
]
