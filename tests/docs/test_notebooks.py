"""The notebooks of the guide, run by a real kernel: what stands in their cells afterwards is looked at."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from places import ROOT

pytestmark = pytest.mark.tensorflow

NOTEBOOKS = ROOT / "docs" / "notebooks"


class Tables(HTMLParser):
    """The cells of every table, by its caption."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tables: dict[str, list[list[str]]] = {}
        self._rows: list[list[str]] = []
        self._into: str | None = None
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Called by the parser."""
        if tag == "table":
            self._rows = []
        elif tag == "tr":
            self._rows.append([])
        elif tag in ("td", "th"):
            self._rows[-1].append("")
        self._into = tag

    def handle_data(self, data: str) -> None:
        """Called by the parser."""
        if self._into == "caption":
            self.tables[data] = self._rows
        elif self._into in ("td", "th"):
            self._rows[-1][-1] += data

    def handle_endtag(self, tag: str) -> None:
        """Called by the parser."""
        self._into = None


def run(name: str, folder: Path) -> nbformat.NotebookNode:
    """Run a notebook in a folder of its own; an error in a cell ends it."""
    notebook = nbformat.read(NOTEBOOKS / name, as_version=4)
    NotebookClient(
        notebook, timeout=500, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    ).execute()
    return notebook


def outputs(notebook: nbformat.NotebookNode, begins: str) -> list[nbformat.NotebookNode]:
    """What stands below the one cell that holds a line beginning so."""
    (cell,) = [cell for cell in notebook.cells if re.search(rf"^{re.escape(begins)}", cell.source, re.MULTILINE)]
    return cell.outputs


def plain(output: nbformat.NotebookNode) -> str:
    return output["data"]["text/plain"]


def test_the_tutorial_from_training_to_decoding(tmp_path: Path) -> None:
    """Training as published, export with the notebook's own dictionaries: the texts are those of the published loop.

    The export's cell holds one line of stages and the report, as tables, and nothing of TensorFlow's.
    """
    notebook = run("tutorial.ipynb", tmp_path)
    looped, decoded = (eval(plain(outputs(notebook, cell)[-1])) for cell in ("looped =", "results ="))
    assert looped == {
        "I sing.": "je chante.\n",
        "You jump!": "tu sautes !\n",
        "We eat now.": "nous mangeons maintenant.\n",
        "They hide here.": "elles cachent ici.\n",
    }
    assert decoded["I sing."] == "je chante."
    assert plain(outputs(notebook, "decoded =")[-1]) == "(96, 96)"
    stages, report = outputs(notebook, "s2s_export.export(")
    assert re.fullmatch(r"splitting [\d.]+ s, converting [\d.]+ s, .*, verifying [\d.]+ s", plain(stages))
    assert "wrote translator.s2s (graphs equal Keras, every check within 0.0001)" in plain(report)
    assert "proved by 4 expected outputs" in plain(report)
    assert "object at 0x" not in plain(report)
    tables = Tables(report["data"]["text/html"]).tables
    assert ["source", "one-hot, size 26"] in tables["Model"]
    (compared,) = (rows for caption, rows in tables.items() if caption.startswith("Graphs equal Keras"))
    assert compared[0] == ["compared", "count", "largest difference", "different", "near ties"]
    assert all(row[3] == "0" for row in compared[1:])


def test_what_a_notebook_lists() -> None:
    """Tab completion shows what is public and nothing else."""
    import s2s_export

    assert dir(s2s_export) == sorted([*s2s_export.__all__, "__version__"])
