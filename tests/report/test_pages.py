import re
from html.parser import HTMLParser

import pytest

from headrace.report import format_number
from tests.conftest import Runs


class _Links(HTMLParser):
    """Collects whatever a browser would fetch, and the tags that were opened and closed."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name in ("src", "href") and value and not value.startswith(("data:", "#")):
                self.fetched.append(value)


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_the_report_is_one_self_contained_page(runs: Runs, task: str) -> None:
    run = runs(task, "gbdt")
    page = run.report.read_text()
    links = _Links()
    links.feed(page)
    assert links.fetched == []
    assert "@import" not in page
    assert "script" not in links.tags
    assert len(page) < 1_000_000
    assert links.tags.count("svg") >= 2
    assert run.document.model in page
    assert "gbdt" in page
    for name, value in run.document.metrics["test"].items():
        assert format_number(value) in page, name
    assert not re.search(r"\{\{|\{%", page)
    card = (run.bundle / "card.html").read_text()
    assert "Model card" in card
    assert "http" not in card.replace("http-equiv", "")


def test_every_section_is_in_the_contents_and_every_class_in_its_table(runs: Runs) -> None:
    page = runs("multiclass", "gbdt").report.read_text()
    contents = page[page.index("<nav>") : page.index("</nav>")]
    sections = re.findall(r'<h2 id="(\w+)"', page)
    assert re.findall(r'href="#(\w+)"', contents) == sections
    assert page.count("<h2") == len(sections)
    table = page[page.index("How each class fares") : page.index("What it relies on</h2>")]
    assert all(f"<td>{name}</td>" in table for name in "abc")


def test_a_hostile_column_name_is_only_text(tmp_path: object) -> None:
    from headrace.report.page import load_template

    column = {
        "name": "<script>alert(1)</script>",
        "kind": "numeric",
        "why": "",
        "missing": 0.0,
        "distinct": 1,
    }
    column |= {"low": None, "high": None, "categories": None}
    module = load_template("parts.html").make_module({})
    assert "<script>" not in module.column_table([column])
