"""The page of a rollout shows the verdict first, and the intervals as they were known."""

from pathlib import Path

import pytest

import headrace
from headrace.clock import ManualClock
from headrace.errors import InputError
from headrace.loop.page import read_page
from headrace.spec import System
from tests.loop.test_rollout import SPEC, run
from tests.rollout_system import copy_system


@pytest.fixture
def system(ads_template: Path, tmp_path: Path) -> System:
    return headrace.load(copy_system(ads_template, tmp_path, **SPEC))


def test_a_rollout_that_is_over_has_a_page(system: System, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="had no rollout yet"):
        headrace.write_page(tmp_path / "page.html", system.root)
    run(system, {"champion": 0.3, "challenger": 0.5})
    page = headrace.write_page(tmp_path / "page.html", system.root, ManualClock(10**18)).read_text()
    assert page.index("Ship: clicks") < page.index("How the arms compare")
    for words in ("How the intervals narrowed", "<svg", "Guards", "Journal", "let us see"):
        assert words in page
    assert "http://" not in page.replace("http://www.w3.org", "")


def test_intervals_are_as_they_were_known(system: System) -> None:
    decisions = run(system, {"champion": 0.3, "challenger": 0.5})
    page = read_page(system, ManualClock(10**18))
    assert page.ended == decisions[-1]
    widths = []
    for moment in page.moments:
        clicks = next(one for one in moment.metrics if one.metric == "clicks")
        if clicks.effect.low is not None and clicks.effect.high is not None:
            widths.append(clicks.effect.high - clicks.effect.low)
    assert widths[-1] < widths[0] / 1.5
