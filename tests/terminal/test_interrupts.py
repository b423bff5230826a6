"""Control-C in the middle of each command: exit 130, one line, nothing half made."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from pseudo_terminal import Place, Terminal


def interrupted(command: str, folder: Path, *until: str) -> Terminal:
    """Press control-C once these words are on the screen."""
    terminal = Terminal(command, Place(100, folder=folder))
    terminal.wait_for(*until)
    terminal.press("c")
    terminal.finish()
    assert terminal.status == 130, terminal.text
    assert "Traceback" not in terminal.text
    assert terminal.lines[-1].startswith("error: interrupted; "), terminal.text
    return terminal


def contents(folder: Path) -> set[str]:
    """All that lies in a folder."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_decode_while_it_reads(folder: Path) -> None:
    """What was written stands; the line that was being typed is lost."""
    assert "what was written stands" in interrupted("s2s-decode tiny.s2s", folder, "reading texts").text


@pytest.mark.parametrize(
    ("command", "until"),
    [
        ("s2s-bench tiny.s2s --batch-size 1 --beam-size 1 --repeats 1000000 --rounds 100000", "measuring"),
        ("s2s-evaluate tiny.s2s many.tsv --beam-size 5 --outputs half.txt", "decoding"),
        ("s2s-plot lengths tiny.s2s many.tsv --beam-size 5 -o half.png", "decoding"),
    ],
)
def test_work_with_a_bar(folder: Path, command: str, until: str) -> None:
    """The bar is taken away, the cursor is back, and no picture or list is there."""
    before = contents(folder)
    terminal = interrupted(command, folder, until)
    assert until not in terminal.text
    assert not terminal.screen.cursor.hidden
    assert contents(folder) == before


def test_inspect_of_a_large_bundle(folder: Path) -> None:
    """Also while gigabytes are compared with the manifest's SHA-256."""
    bundle = Path(shutil.copytree(folder / "tiny.s2s", folder / "large.s2s"))
    manifest = json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))
    manifest["graphs"]["encoder"]["bytes"] = 1 << 36
    manifest.pop("sha256", None)  # which is another now
    (bundle / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    os.truncate(bundle / "encoder.onnx", 1 << 36)  # takes no room on the disk
    terminal = Terminal("exec s2s-inspect large.s2s", Place(100, folder=folder))
    terminal.wait_until_it_reads(bundle / "encoder.onnx")
    terminal.press("c")
    terminal.finish()
    shutil.rmtree(bundle)
    assert terminal.status == 130, terminal.text
    assert terminal.lines[-1].startswith("error: interrupted; ")
    assert "Traceback" not in terminal.text


@pytest.mark.tensorflow
@pytest.mark.parametrize("until", ["loading TensorFlow", "verifying"])
def test_export(folder: Path, trained: Terminal, until: str) -> None:
    """No bundle, and none of the files that would have become one."""
    assert trained.status == 0
    before = contents(folder)
    terminal = interrupted("s2s-export run/model.keras -o half.s2s", folder, until)
    assert terminal.lines[-1] == "error: interrupted; nothing was written"
    assert contents(folder) == before


@pytest.mark.tensorflow
def test_train_goes_on_where_it_was_interrupted(folder: Path) -> None:
    """The folder holds whole files only, no model, and the line that is shown ends the run from there."""
    command = "s2s-train many.tsv --rows 1000 -o half --epochs 3 --units 6 --cell gru --batch-size 8 --score 0"
    terminal = interrupted(command, folder, "epoch   1/3  loss", "epoch 2/3 ")
    assert terminal.lines[-1] == "error: interrupted; s2s-train --resume -o half goes on with the last whole epoch"
    assert not terminal.screen.cursor.hidden
    found = contents(folder / "half")
    assert "model.keras" not in found
    assert not [name for name in found if "tmp" in name]
    ended = Terminal("s2s-train --resume -o half", Place(100, folder=folder)).finish()
    assert ended.status == 0, ended.text
    assert "epoch   1/3" not in ended.text
    assert "epoch   3/3" in ended.text
    assert (folder / "half" / "model.keras").is_file()
