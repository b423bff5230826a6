"""The guide in docs/: every snippet runs and gives what stands below it.

Fences mean: `python` runs, all of a page in one namespace; `text` behind it is what it prints. `console` holds commands
after `$ ` and what they write, as a person sees it. `json title="NAME"` becomes a file. `sh` is for installing only and
isn't run. A line `...` in an output stands for any lines, trailing spaces don't count.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from places import ROOT

PAGES = sorted((ROOT / "docs").glob("*.md"))
NEEDS_TENSORFLOW = {"ctc", "export", "language-models", "one-pass", "steps", "training"}
BUSY = re.compile(r"^warning: other programs used .*\n", re.MULTILINE)  # true of the machine, not of the command
_FENCE = re.compile(r'^```(?P<kind>\w+)(?: title="(?P<title>[^"]+)")?\n(?P<body>.*?)^```$', re.MULTILINE | re.DOTALL)


class Snippet(NamedTuple):
    """A fenced block and the line where it begins."""

    kind: str
    title: str | None
    body: str
    line: int


def snippets(page: Path) -> list[Snippet]:
    """The fenced blocks of a page."""
    text = page.read_text(encoding="utf-8")
    found = [
        Snippet(match["kind"], match["title"], match["body"], text.count("\n", 0, match.start("body")) + 1)
        for match in _FENCE.finditer(text)
    ]
    assert text.count("\n```") + text.startswith("```") == 2 * len(found), "a fence without a kind, or not closed"
    return found


def matches(expected: str, got: str) -> bool:
    """Whether an output is as written, `...` standing for any lines."""
    lines = [line.rstrip() for line in expected.rstrip("\n").split("\n")]
    pattern = "\n".join("(?:.*\n)*?.*" if line == "..." else re.escape(line) for line in lines)
    return re.fullmatch(pattern, "\n".join(line.rstrip() for line in got.rstrip("\n").split("\n"))) is not None


def commands(body: str) -> Iterator[tuple[str, str]]:
    """Each command of a console snippet and the output below it."""
    for part in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        yield command, output


def run_console(snippet: Snippet, place: str) -> None:
    """Run the commands of a snippet; where no output stands below one, only its success counts."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    for command, expected in commands(snippet.body):
        done = subprocess.run(
            ["bash", "-c", command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment,
            check=False,
        )
        failed = expected.startswith("error: ")
        assert (done.returncode != 0) == failed, f"{place}: {command} ended with {done.returncode}:\n{done.stdout}"
        written = BUSY.sub("", done.stdout)
        assert not expected or matches(expected, written), f"{place}: {command} gave\n{done.stdout}"


TOYS = {
    "model.s2s": "tiny.s2s",
    "values.s2s": "tiny-values.s2s",
    "writer.s2s": "tiny-writer.s2s",
    "factors.s2s": "tiny-factors.s2s",
}


@pytest.mark.parametrize(
    "page",
    [pytest.param(p, id=p.stem, marks=[pytest.mark.tensorflow] if p.stem in NEEDS_TENSORFLOW else []) for p in PAGES],
)
def test_snippets_give_what_stands_below_them(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In order, in a folder that holds the toy bundles; a page that exports makes its own."""
    monkeypatch.chdir(tmp_path)
    if page.stem in NEEDS_TENSORFLOW:
        import keras

        keras.utils.clear_session()  # layers are numbered from 1, whatever ran before in this process
    else:
        for name, bundle in TOYS.items():
            shutil.copytree(ROOT / "tests" / "fixtures" / bundle, name)
    namespace: dict[str, object] = {"__name__": "__main__"}
    printed, told = "", True
    for snippet in snippets(page):
        place = f"{page.name}, line {snippet.line}"
        if snippet.kind == "text":
            assert matches(snippet.body, printed), f"{place}: printed\n{printed}"
            told = True
            continue
        assert told, f"{place}: what the snippet before prints stands nowhere:\n{printed}"
        if snippet.kind == "python":
            output = io.StringIO()
            with contextlib.redirect_stdout(output):
                exec(compile("\n" * (snippet.line - 1) + snippet.body, str(page), "exec"), namespace)
            printed = output.getvalue()
            told = not printed
        elif snippet.kind == "console":
            run_console(snippet, place)
        elif snippet.kind == "json":
            assert snippet.title is not None, f"{place}: a file needs a title"
            Path(snippet.title).write_text(snippet.body, encoding="utf-8")
        else:
            assert snippet.kind == "sh", f"{place}: no such kind of snippet: {snippet.kind}"
            assert all(line.startswith("pip install ") for line in snippet.body.splitlines()), place
    assert told


@pytest.mark.parametrize(
    ("expected", "got", "same"),
    [
        ("a\nb\n", "a\nb  \n", True),
        ("a\n", "a\nb\n", False),
        ("a\n...\n", "a\nb\nc\n", True),
        ("...\nc\n", "a\nb\nc\n", True),
        ("a\n...\nd\n", "a\nb\nc\n", False),
        ("1.5\n", "1x5\n", False),
    ],
)
def test_the_runner_compares(expected: str, got: str, same: bool) -> None:
    """Outputs are compared line by line; `...` stands for any lines and nothing else is special."""
    assert matches(expected, got) == same


def test_every_page_is_in_the_navigation() -> None:
    """A page that zensical.toml leaves out would not be found."""
    settings = tomllib.loads((ROOT / "zensical.toml").read_text(encoding="utf-8"))
    assert sorted(pages_of(settings["project"]["nav"])) == [page.name for page in PAGES]


def pages_of(navigation: list[dict[str, Any]]) -> Iterator[str]:
    """The pages of a navigation, those of its sections too."""
    for value in (value for entry in navigation for value in entry.values()):
        yield from pages_of(value) if isinstance(value, list) else [value]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_picture_is_there(page: Path) -> None:
    """The guide's builder looks after links to pages and headings, but not after pictures."""
    for picture in re.findall(r"!\[[^]]*\]\(([^)]+)\)", page.read_text(encoding="utf-8")):
        assert (page.parent / picture).is_file(), picture


@pytest.mark.parametrize("broken", ["[page](nowhere.md)", "[heading](index.md#nowhere)", "[name][s2s_runtime.nowhere]"])
def test_a_broken_link_ends_the_build(broken: str, tmp_path: Path) -> None:
    """Links to pages, headings and names of the API: what `make docs` says is true."""
    builder = ROOT / ".venv-docs" / "bin" / "zensical"
    if not builder.exists():
        pytest.skip("needs the environment that `make docs` makes")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text(f"# Title\n\n{broken}\n", encoding="utf-8")
    settings = (ROOT / "zensical.toml").read_text(encoding="utf-8")
    (tmp_path / "zensical.toml").write_text(re.sub(r"(?s)nav = \[.*?\n\]\n", "", settings), encoding="utf-8")
    done = subprocess.run([builder, "build", "--strict"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "1 issue found" in done.stdout + done.stderr
