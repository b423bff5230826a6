"""Search stays readable: its functions are short."""

from __future__ import annotations

import ast
from pathlib import Path
from statistics import median

import pytest

import s2s_runtime

PACKAGE = Path(s2s_runtime.__file__).parent
SEARCH = (
    *sorted((PACKAGE / "search").glob("*.py")),
    *(PACKAGE / "decoding" / f"{name}.py" for name in ("decoding", "result_builder", "streaming")),
    *(PACKAGE / name for name in ("batch_decoder.py", "ensembles.py", "inputs/batches.py")),
)


def lengths(path: Path) -> dict[str, int]:
    """Lines of each function of a module, decorators and docstring included."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {
        f"{path.stem}.{node.name}": (node.end_lineno or 0) - node.lineno + 1
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def test_search_functions_are_short() -> None:
    """None is longer than 60 lines; the median is under 15."""
    found = {name: length for path in SEARCH for name, length in lengths(path).items()}
    assert {name: length for name, length in found.items() if length > 60} == {}
    assert median(found.values()) < 15


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_modules_are_short(path: Path) -> None:
    """A module stays near 300 lines; its functions under 60, but for commands, whose options stand one a line."""
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 350
    commands = {"decode.decode"}
    assert {name: length for name, length in lengths(path).items() if length > 60 and name not in commands} == {}
