"""Writes a script from those functions in `parts/` that one model needs, and its settings.

settings ──► the encoders and families in use ──► their functions, and what these call
                                              ──► imports, constants, functions, main()
"""

import ast
import pprint
from pathlib import Path
from typing import Any

_FILES = ("table", "numbers", "categories", "dates", "text", "matrix", "families", "refit")
"""The files of `parts/`, in the order of a script."""
_TABLES = ("ENCODERS", "BAGS", "FAMILIES", "TRAINING")
"""The tables of `parts/` of which only the entries in use are copied."""


def write_script(title: str, settings: dict[str, Any]) -> str:
    """Write a script that refits a model with these settings; `title` names the model."""
    folder = Path(__file__).parent / "parts"
    sources = [(folder / f"{name}.py").read_text(encoding="utf-8") for name in _FILES]
    used = _list_used(settings)
    parts: dict[str, str] = {}
    for source in sources:
        parts |= _read_parts(source, used)
    needed = _find_needed("main", parts)
    code = "\n\n\n".join(text for name, text in parts.items() if name in needed)
    code += '\n\n\nif __name__ == "__main__":\n    main()\n'
    stated = pprint.pformat(settings, width=96, sort_dicts=False, compact=True)
    code = code.replace("SETTINGS: dict[str, Any] = {}", f"SETTINGS: dict[str, Any] = {stated}")
    docstring = (
        f'"""{title}, without Headrace.\n\n'
        "    python train.py [TABLE]\n\n"
        "Fits the model again on the table, and compares its predictions of the test rows\n"
        'with those of the bundle. `fit_models` and `predict` are yours to use elsewhere.\n"""\n'
    )
    return f"{docstring}\n{_select_imports(sources, code)}\n\n{code}"


def _list_used(settings: dict[str, Any]) -> dict[str, set[str]]:
    """List the entries of each table of `parts/` that a model uses."""
    members = settings["members"]
    encoders = {encode for member in members for encode, _, _ in member["columns"]}
    bags = {encode for member in members for encode, _ in member["bags"]}
    families = {member["family"] for member in members}
    return dict(zip(_TABLES, (encoders, bags, families, encoders), strict=True))


def _read_parts(source: str, used: dict[str, set[str]]) -> dict[str, str]:
    """Read the constants and functions of a module, in order; tables keep the entries in use."""
    parts = {}
    for node in ast.parse(source).body:
        text = ast.get_source_segment(source, node) or ""
        if isinstance(node, ast.FunctionDef):
            parts[node.name] = text
        elif isinstance(node, ast.AnnAssign | ast.Assign):
            target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
            assert isinstance(target, ast.Name)
            if target.id in used:
                assert isinstance(node.value, ast.Dict)
                text = _write_table(target.id, node.value, used[target.id], source)
            parts[target.id] = text
    return parts


def _write_table(name: str, table: ast.Dict, used: set[str], source: str) -> str:
    """Write a table with the entries in use alone."""
    lines = [f"{name}: dict[str, Any] = {{"]
    for key, value in zip(table.keys, table.values, strict=True):
        assert isinstance(key, ast.Constant)
        if key.value in used:
            lines.append(f'    "{key.value}": {ast.get_source_segment(source, value)},')
    return "\n".join([*lines, "}"])


def _find_needed(start: str, parts: dict[str, str]) -> set[str]:
    """Find the parts that a part needs, itself included."""
    needed = {start}
    waiting = [start]
    while waiting:
        for node in ast.walk(ast.parse(parts[waiting.pop()])):
            name = node.id if isinstance(node, ast.Name) else ""
            if name in parts and name not in needed:
                needed.add(name)
                waiting.append(name)
    return needed


def _select_imports(sources: list[str], code: str) -> str:
    """Write the imports of modules whose names some code uses, but not those of our own."""
    names = {node.id for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Name)}
    found: dict[str, dict[str, None]] = {}
    for node in (one for source in sources for one in ast.parse(source).body):
        if not isinstance(node, ast.Import | ast.ImportFrom):
            continue
        start = f"from {node.module} import" if isinstance(node, ast.ImportFrom) else "import"
        for one in node.names:
            if (one.asname or one.name) in names and "headrace" not in start:
                key = start if start != "import" else f"import {one.name}"
                found.setdefault(key, {})[ast.unparse(one)] = None

    lines = []
    for start, used in sorted(found.items()):
        is_from = start.startswith("from")
        lines.append(
            f"{start} {', '.join(sorted(used))}" if is_from else f"import {next(iter(used))}"
        )
    return "\n".join(lines)
