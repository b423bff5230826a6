"""The page of messages quotes what the code says."""

import ast
import re
from collections.abc import Iterator
from functools import lru_cache
from unittest.mock import patch

import pytest
from places import ROOT

from s2s_runtime.errors import MissingExtraError
from s2s_runtime.lazy_modules import import_extra

PAGE = ROOT / "docs" / "troubleshooting.md"
QUOTED = re.findall(r"^> `(.+)`$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)


@lru_cache
def texts_of_the_code() -> list[str]:
    """Every text that stands in the three packages, an ellipsis for each value put in."""
    return [
        text
        for package in ("runtime/s2s_runtime", "training/s2s_training", "export/s2s_export")
        for path in sorted((ROOT / package).rglob("*.py"))
        for text in texts_in(ast.parse(path.read_text(encoding="utf-8")))
    ]


def missing(name: str, extra: str) -> str:
    """What is said where a library isn't installed."""
    absent = patch("s2s_runtime.lazy_modules.import_module", side_effect=ModuleNotFoundError)
    with absent, pytest.raises(MissingExtraError) as caught:
        import_extra(name, extra)
    return str(caught.value)


def texts_in(tree: ast.AST) -> Iterator[str]:
    """The strings of a syntax tree, and what it says of missing libraries; `%s` of log messages count as values too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "import_extra":
            name, extra = node.args
            if isinstance(name, ast.Constant) and isinstance(extra, ast.Constant):
                yield missing(name.value, extra.value)
        if isinstance(node, ast.JoinedStr):
            yield "".join(part.value if isinstance(part, ast.Constant) else "…" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield re.sub(r"%[sd]", "…", node.value)


def test_there_are_messages() -> None:
    """The page is read."""
    assert len(QUOTED) > 20


@pytest.mark.parametrize("message", QUOTED)
def test_a_message_is_what_the_code_says(message: str) -> None:
    """Somebody searches the page for what stands on the screen."""
    parts = [re.escape(part.strip("\"'")) for part in message.split("…")]
    pattern = re.compile(r"[\"']?…?[\"']?".join(parts) if message.strip("…") else "")
    assert any(pattern.search(text) for text in texts_of_the_code()), message
