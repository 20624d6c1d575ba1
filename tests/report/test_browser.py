"""The pages in a browser: on a desk, on a phone, in the dark, in print; without the network."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

import headrace
from tests.browser import CHROMIUM, Browser, browser
from tests.conftest import Runs, write_system

pytestmark = pytest.mark.skipif(
    not CHROMIUM, reason="no Chromium (Debian: apt-get install chromium)"
)
_LOST = """[...document.querySelectorAll('svg')]
  .filter(one => one.getBoundingClientRect().width < 60).length"""
_WIDE = """document.documentElement.scrollWidth - document.documentElement.clientWidth"""
_SMALL = """[...document.querySelectorAll('p, td, li, summary')].filter(
  one => one.innerText && parseFloat(getComputedStyle(one).fontSize) < 12).length"""
_CONTRAST = """(() => {
  const bend = c => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  const light = text => { const [r, g, b] = text.match(/[0-9.]+/g).map(Number).map(bend);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b };
  const paper = light(getComputedStyle(document.body).backgroundColor);
  const of = one => { const ink = light(getComputedStyle(one).color);
    return (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05) };
  return Math.min(...[...document.querySelectorAll('p, td, th, h1, h2, svg')].map(of)) })()"""


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("chromium")) as opened:
        yield opened


def shows(tab: Browser, page: Path) -> None:
    """However it is looked at: nothing is asked of the network, cut off, lost or too faint."""
    for width, look in itertools.product((390, 1100), ("light", "dark", "print")):
        tab.open(page, width, look=look)
        case = f"{page.name} {width} {look}"
        assert tab.complaints() == [], case
        assert tab.requests() == [page.absolute().as_uri()], case
        assert tab.value(_WIDE) <= 0, f"{case}: the page is wider than the window"
        assert tab.value(_LOST) == 0, f"{case}: a drawing or a text is too small"
        assert tab.value(_SMALL) == 0, f"{case}: a drawing or a text is too small"
        assert tab.value(_CONTRAST) >= 4.5, f"{case}: text is too faint (WCAG 2 asks for 4.5)"
    assert page.stat().st_size < 3_000_000


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_a_report(tab: Browser, runs: Runs, task: str) -> None:
    run = runs(task, "gbdt")
    shows(tab, run.report)
    assert tab.value("document.querySelector('h1').innerText") == run.document.model
    names = tab.value("[...document.querySelectorAll('h3')].map(one => one.innerText).join('|')")
    drawn = {
        "binary": "Precision and recall",
        "multiclass": "Confusion",
        "regression": "Quantiles of the error",
    }
    assert drawn[task] in names
    links = "[...document.querySelectorAll('nav a')]"
    dead = f"{links}.filter(one => !document.querySelector(one.hash)).length"
    assert tab.value(dead) == 0, "a link of the contents leads nowhere"
    shows(tab, run.bundle / "card.html")


def test_a_report_beside_a_champion_in_time(tab: Browser, tmp_path: Path) -> None:
    folder = write_system(tmp_path, "binary", "gbdt", by="time")
    spec = folder / "system.yaml"
    spec.write_text(spec.read_text() + "evaluate: {fairness: {attributes: [colour]}}\n")
    headrace.run(headrace.load(folder))
    spec.write_text(spec.read_text() + "seed: 11\n")
    run = headrace.run(headrace.load(folder))
    shows(tab, run.report)
    text = tab.value("document.body.innerText")
    assert "than the champion at that time, version 1" in text
    assert "By colour" in text
    assert "Dashed" in text
    assert tab.value("document.querySelector('.line svg').innerHTML.length") > 1000, (
        "the split on a time line"
    )
    shows(tab, headrace.compare(["binary@1", "binary@2"], folder).page)


def test_the_browser_would_complain(tab: Browser, runs: Runs, tmp_path: Path) -> None:
    """The checks above can fail: a page that asks for more is seen to."""
    page = tmp_path / "page.html"
    page.write_text(runs("binary", "gbdt").report.read_text().replace(
        "</main>", '<img src="http://127.0.0.1:9/a.png"><script>boom()</script></main>'
    ))  # fmt: skip
    tab.open(page, 1100)
    assert len(tab.complaints()) >= 2
