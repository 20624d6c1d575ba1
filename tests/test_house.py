"""The house stands as it is drawn: rooms, README and import contracts agree."""

import re
import tomllib
from pathlib import Path

import headrace

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "headrace"


def test_every_room_exists_and_every_folder_is_a_room() -> None:
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert folders == {*headrace.ROOMS, "report"}


def test_the_import_contract_follows_the_rooms() -> None:
    contract = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"][
        "contracts"
    ][0]
    layers = [layer for layer in reversed(contract["layers"]) if layer in headrace.ROOMS]
    assert tuple(layers) == headrace.ROOMS


def test_the_readme_draws_the_rooms_in_their_order() -> None:
    text = (ROOT / "README.md").read_text()
    tree = text[text.index("\nheadrace/\n") :]
    drawn = [name for name in re.findall(r"^  (\w+)/ ", tree, re.MULTILINE) if name != "report"]
    assert tuple(drawn) == headrace.ROOMS


def test_every_room_says_what_it_is_for_and_has_tests() -> None:
    for room in headrace.ROOMS:
        first = (PACKAGE / room / "__init__.py").read_text().splitlines()[0]
        assert first.startswith('"""')
        assert len(first) > 20
        assert list((ROOT / "tests" / room).glob("test_*.py")), room


def test_public_names_are_there() -> None:
    for name in headrace.__all__:
        assert getattr(headrace, name) is not None
    assert callable(headrace.verify)
    assert callable(headrace.open)
