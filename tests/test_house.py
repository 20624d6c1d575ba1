"""The house stands as it is drawn: rooms, README and import contracts agree, and nothing outgrows
its idea.
"""

import ast
import io
import re
import tokenize
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import headrace
from headrace.cli.main import COMMANDS, LOG_COMMANDS

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "headrace"
FILES = sorted(PACKAGE.rglob("*.py"))
ROOMS = sorted({path.parent for path in PACKAGE.glob("*/__init__.py")})

MOST_LINES, MOST_LINES_OF_FUNCTION, MOST_PARAMETERS = 510, 75, 6
LISTED_PARAMETERS = {"Log.__init__"}
"""Each is a setting of its own, with a default."""
OF_LIBRARIES = {
    "train/search.py: tell",
    "serve/models/recorder.py: tell",
    "serve/http/connection.py: connection_made",
}
"""Names that others gave: Optuna, Python's files, asyncio."""


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def functions() -> Iterator[tuple[Path, str, ast.FunctionDef]]:
    """Every function, by its file and its name within it."""
    for path in FILES:
        yield from ((path, name, node) for name, node in functions_in(tree_of(path), ""))


def functions_in(node: ast.AST, prefix: str) -> Iterator[tuple[str, ast.FunctionDef]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef):
            yield prefix + child.name, child
            yield from functions_in(child, f"{prefix}{child.name}.")
        elif isinstance(child, ast.ClassDef):
            yield from functions_in(child, f"{prefix}{child.name}.")


def test_every_room_exists_and_every_folder_is_a_room() -> None:
    assert {room.name for room in ROOMS} == {*headrace.ROOMS, "report", "cli"}


def test_the_import_contract_follows_the_rooms() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    contract = project["tool"]["importlinter"]["contracts"][0]
    layers = [layer for layer in reversed(contract["layers"]) if layer in headrace.ROOMS]
    assert tuple(layers) == headrace.ROOMS


def test_the_readme_draws_the_rooms_in_their_order() -> None:
    text = (ROOT / "README.md").read_text()
    tree = text[text.index("\nheadrace/\n") :]
    drawn = re.findall(r"^  (\w+)/ ", tree, re.MULTILINE)
    assert tuple(name for name in drawn if name not in ("report", "cli")) == headrace.ROOMS


def test_the_readme_draws_every_file_at_the_root() -> None:
    text = (ROOT / "README.md").read_text()
    tree = text[text.index("\nheadrace/\n") :]
    drawn = set(re.findall(r"^  (\w+\.py) ", tree, re.MULTILINE))
    assert drawn == {path.name for path in PACKAGE.glob("*.py")}


def test_every_room_says_what_it_is_for_and_has_tests() -> None:
    for room in ROOMS:
        first = (room / "__init__.py").read_text().splitlines()[0]
        assert first.startswith('"""')
        assert len(first) > 20
        assert list((ROOT / "tests" / room.name).glob("test_*.py")), room


def test_public_names_are_there() -> None:
    for name in headrace.__all__:
        assert getattr(headrace, name) is not None
    assert sorted(headrace.__all__) == sorted(set(headrace.__all__))
    assert callable(headrace.verify)
    assert callable(headrace.open)


def menu_of(room: Path) -> list[str]:
    """The names in a room's `__all__`."""
    for node in tree_of(room / "__init__.py").body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            names: list[str] = ast.literal_eval(node.value)
            return names
    return []


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.name)
def test_a_room_offers_what_others_use(room: Path) -> None:
    """A name on the menu of a room that nobody orders is taken off."""
    ordered: set[str] = set()
    users = [*FILES, *(ROOT / "tests").rglob("*.py"), *(ROOT / "benchmarks").glob("*.py")]
    for path in users:
        if room not in path.parents:
            ordered |= names_from(path, f"headrace.{room.name}", room.name)
    assert [name for name in menu_of(room) if name not in ordered] == []


def names_from(path: Path, module: str, alias: str) -> set[str]:
    """The names that a file takes from a module, by `from` or as attributes of it."""
    found = set()
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(module):
            found |= {one.name for one in node.names}
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value) == alias:
            found.add(node.attr)
    return found


def test_no_file_and_no_function_outgrows_its_idea() -> None:
    files = {
        path.relative_to(PACKAGE).as_posix(): len(path.read_text().splitlines()) for path in FILES
    }
    assert {name: lines for name, lines in files.items() if lines > MOST_LINES} == {}
    assert len((PACKAGE / "flow.py").read_text().splitlines()) <= 100
    long = {
        f"{path.relative_to(PACKAGE)} {name}": lines
        for path, name, node in functions()
        if (lines := lines_of(node)) > MOST_LINES_OF_FUNCTION
    }
    assert long == {}


def lines_of(node: ast.FunctionDef) -> int:
    """The lines of a function without its docstring."""
    first = node.body[1] if ast.get_docstring(node) and len(node.body) > 1 else node.body[0]
    return (node.end_lineno or 0) - first.lineno + 1


def test_a_function_takes_few_parameters() -> None:
    many = set()
    for path, name, node in functions():
        # A parameter of a command is one of its flags.
        if path.parent.name != "cli":
            taken = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            if len([one for one in taken if one.arg not in ("self", "cls")]) > MOST_PARAMETERS:
                many.add(name)
    assert many == LISTED_PARAMETERS


def test_every_command_has_a_docstring_for_its_help() -> None:
    for command in (*COMMANDS, *LOG_COMMANDS):
        assert command.__doc__, command.__name__


def test_no_module_imports_itself_by_way_of_others() -> None:
    graph = {module_of(path): imports_of(path) for path in FILES}
    circles = []
    done: set[str] = set()

    def visit(module: str, above: list[str]) -> None:
        if module in above:
            circles.append(" -> ".join([*above[above.index(module) :], module]))
        elif module not in done:
            for imported in sorted(graph.get(module, set())):
                visit(imported, [*above, module])
            done.add(module)

    for module in graph:
        visit(module, [])
    assert circles == []


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports_of(path: Path) -> set[str]:
    """The modules that a file imports, wherever it does; those for types alone do not count.

    A room's `__init__` counts for those who come from elsewhere: inside of the room it is being
    loaded already.
    """
    modules = {module_of(one) for one in FILES}
    found: set[str] = set()
    for node in without_types(tree_of(path)):
        if isinstance(node, ast.Import):
            found |= {one.name for one in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            for one in node.names:
                whole = f"{node.module}.{one.name}"
                found.add(whole if whole in modules else node.module)
    found &= modules
    return found - {module_of(path), "headrace"}


def without_types(tree: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a file, but for those under `if TYPE_CHECKING`."""
    for node in ast.iter_child_nodes(tree):
        if not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"):
            yield node
            yield from without_types(node)


def forbidden_words() -> set[str]:
    """The words of CONTRIBUTING's glossary that no name may have."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    (listed,) = re.findall(r"No name holds one of these words: ([a-z, \n]+)\.", text)
    words = set(re.findall(r"[a-z]+", listed))
    assert len(words) > 20
    return words


def test_no_name_has_a_word_that_the_glossary_forbids() -> None:
    forbidden = forbidden_words()
    found = set()
    for path in FILES:
        names = {token.string for token in tokens_of(path) if token.type == tokenize.NAME}
        for name in names | {path.stem, path.parent.name}:
            parts = re.findall(r"[a-z]+|[A-Z][a-z]*", name)
            if forbidden & {part.lower() for part in parts}:
                found.add(f"{path.relative_to(PACKAGE)}: {name}")
    found -= OF_LIBRARIES
    assert sorted(found) == []


def tokens_of(path: Path) -> Iterator[tokenize.TokenInfo]:
    return tokenize.generate_tokens(io.StringIO(path.read_text()).readline)
