"""What the commands work on: a committed bundle, and one tiny run that all tests of a session share."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from places import TINY
from pseudo_terminal import Place, Terminal, seen

TRAIN = "s2s-train pairs.tsv -o run --epochs 2 --units 6 --cell gru --batch-size 4"
LETTERS = "abcde"


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a bundle, pairs and texts."""
    path = tmp_path_factory.mktemp("terminal")
    shutil.copytree(TINY, path / "tiny.s2s")
    texts = [a + b + c for a in LETTERS for b in LETTERS for c in LETTERS]
    (path / "pairs.tsv").write_text("".join(f"{text}\t{text.upper()}\n" for text in texts), encoding="utf-8")
    (path / "texts.txt").write_text("".join(f"{text}\n" for text in texts * 40), encoding="utf-8")
    distinct = ["".join(LETTERS[number // 5**i % 5] for i in range(7)) for number in range(20_000)]
    (path / "many.tsv").write_text("".join(f"{text}\t{text.upper()}\n" for text in distinct), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def trained(folder: Path) -> Terminal:
    """`s2s-train` as seen at 80 columns; its run is in the folder afterwards."""
    return seen(TRAIN, Place(80, folder=folder))


@pytest.fixture(scope="session")
def exported(folder: Path, trained: Terminal) -> Terminal:
    """`s2s-export` of that run as seen at 80 columns."""
    assert trained.status == 0, trained.text
    return seen("s2s-export run/model.keras", Place(80, folder=folder))
