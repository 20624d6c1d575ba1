"""Writes a script from the parts of `parts.py` that one model needs, and its settings.

settings ──► the encoders and families in use ──► their functions, and what these call
                                              ──► imports, constants, functions, main()
"""

import ast
import pprint
from pathlib import Path
from typing import Any

_TABLES = ("ENCODERS", "BAGS", "FAMILIES", "TRAINING")
"""The tables of `parts.py` of which only the entries in use are copied."""


def write_script(title: str, settings: dict[str, Any]) -> str:
    """Write a script that refits a model with these settings; `title` names the model."""
    source = (Path(__file__).parent / "parts.py").read_text(encoding="utf-8")
    parts = _read_parts(source, _list_used(settings))
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
    return f"{docstring}\n{_select_imports(source, code)}\n\n{code}"


def _list_used(settings: dict[str, Any]) -> dict[str, set[str]]:
    """List the entries of each table of `parts.py` that a model uses."""
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


def _select_imports(source: str, code: str) -> str:
    """Write the imports of a module whose names some code uses."""
    names = {node.id for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Name)}
    lines = []
    for node in ast.parse(source).body:
        if not isinstance(node, ast.Import | ast.ImportFrom):
            continue
        used = [one for one in node.names if (one.asname or one.name) in names]
        if used:
            shown = ", ".join(ast.unparse(one) for one in used)
            start = f"from {node.module} " if isinstance(node, ast.ImportFrom) else ""
            lines.append(f"{start}import {shown}")
    return "\n".join(lines)
