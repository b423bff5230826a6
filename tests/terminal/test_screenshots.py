"""The pictures of terminals in the guide show what must be readable, and `make screenshots` makes them anew."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from PIL import Image
from places import ROOT
from screenshots import COMMANDS, NAMES, draw, screens, words

DOCS = ROOT / "docs" / "images"
READABLE = {
    "train": [r"\d+ pairs to train on", r"epoch +1/3  loss", r"epoch 2/3 .* \d+/\d+ loss \d\.\d{4}"],
    "export": ["compared", "greedy, one by one", "near ties", "parameters", "wrote runs/numbers/model.s2s"],
    "decode": [r"^1\s+-\d\.\d{4} \d*", r"(?:^1\s+-\d\.\d{4}.*\n?){3}"],
    "inspect": ["runs/numbers/model.s2s", "encoder.onnx", "Vocabularies", "Made with"],
    "bench": ["p50 ms", "middle half", "max ms", "tokens/sent."],
}


@pytest.mark.tensorflow
def test_pictures_are_made_of_what_a_person_sees(tmp_path: Path) -> None:
    """Each command's screen holds what must be readable when it is drawn; the picture is as large as its lines."""
    work, pictures = tmp_path / "work", tmp_path / "pictures"
    work.mkdir()
    pictures.mkdir()
    sizes = {}
    for name, terminal in screens(work, "--epochs 3 --units 8 --batch-size 16"):
        for pattern in READABLE[name]:
            assert re.search(pattern, terminal.text, re.MULTILINE), f"{pattern!r} is missing:\n{terminal.text}"
        draw(COMMANDS[name], terminal, pictures / f"{name}.png")
        sizes[name] = len(terminal.lines)
    for name in NAMES:
        with Image.open(pictures / f"{name}.png") as image:
            assert image.height > 15 * sizes[name]
            assert len(image.convert("RGB").getcolors(1 << 20) or ()) > 2


def test_the_guide_has_every_picture() -> None:
    """They are there, and small."""
    for name in NAMES:
        path = DOCS / f"{name}.png"
        assert path.is_file(), f"{path}: make screenshots"
        assert path.stat().st_size < 200_000


def test_numbers_in_words() -> None:
    """What the model of the pictures learns."""
    assert [words(n) for n in (0, 13, 20, 42, 100, 906)] == [
        *("zero", "thirteen", "twenty", "forty-two", "one hundred", "nine hundred and six")
    ]
