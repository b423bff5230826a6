"""Pictures of terminals: what a person sees of the commands, from a pseudo-terminal's screen. `make screenshots`.

Numbers in words are trained to figures, the model is exported, and the commands are run on it, as typed in the picture.
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import matplotlib
from PIL import Image, ImageDraw, ImageFont
from pseudo_terminal import Place, Terminal, seen

from s2s_runtime.files.atomic_write import replacing

NAMES: Final = ("train", "export", "decode", "inspect", "bench")
COMMANDS: Final = {
    "train": "s2s-train numbers.tsv -o runs/numbers --bidirectional --attention dot",
    "export": "s2s-export runs/numbers/model.keras",
    "decode": "s2s-decode runs/numbers/model.s2s 'nine hundred and six' --num-hypotheses 3 --beam-size 5 --scores",
    "inspect": "s2s-inspect runs/numbers/model.s2s",
    "bench": "s2s-bench runs/numbers/model.s2s --batch-size 1,8,64 --beam-size 1,5",
}
COLUMNS: Final = 100
ROWS: Final = 200
_ONES: Final = [
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
]
_TENS: Final = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]

_PAPER, _INK, _SIZE = "#1e1e2e", "#d9e0ee", 15
_COLOURS: Final = {
    **{"black": "#6e6c7e", "red": "#f28fad", "green": "#abe9b3", "brown": "#fae3b0", "blue": "#96cdfb"},
    **{"magenta": "#f5c2e7", "cyan": "#89dceb", "white": "#d9e0ee", "default": _INK},
}


def words(number: int) -> str:
    """Spell a number below 1,000.

    >>> words(342)
    'three hundred and forty-two'
    """
    if number >= 100:
        rest = f" and {words(number % 100)}" if number % 100 else ""
        return f"{_ONES[number // 100]} hundred{rest}"
    if number < len(_ONES):
        return _ONES[number]
    ones = f"-{_ONES[number % 10]}" if number % 10 else ""
    return f"{_TENS[number // 10 - 2]}{ones}"


def screens(
    folder: Path, training: str = "--epochs 12 --units 48 --batch-size 16 --learning-rate 0.005"
) -> Iterator[tuple[str, Terminal]]:
    """Run the commands in a folder, each on what the one before wrote.

    Args:
        folder: empty.
        training: how much is trained; it isn't in the picture.

    Yields:
        The command's name and its terminal: in the middle of the second last epoch for `train`, else at the end.
    """
    pairs = "".join(f"{words(number)}\t{number}\n" for number in range(1000))
    (folder / "numbers.tsv").write_text(pairs, encoding="utf-8")
    place = Place(COLUMNS, ROWS, folder=folder)
    for name in NAMES:
        if name != "train":
            terminal = seen(COMMANDS[name], place)
        else:
            terminal = Terminal(f"{COMMANDS[name]} {training}", place)
            epochs = int(re.findall(r"--epochs (\d+)", training)[0])
            terminal.wait_for(pattern=rf"epoch {epochs - 1}/{epochs} .* [3-9]\d/\d+ loss \d\.\d{{4}}")
        yield name, terminal
        if terminal.status is None:
            terminal.finish()
        assert terminal.status == 0, terminal.text


def draw(command: str, terminal: Terminal, path: Path) -> None:
    """Draw what is on a screen now, below the command as it was typed."""
    screen = terminal.screen
    lines = max((row for row, line in enumerate(screen.display) if line.strip()), default=0) + 1
    typed = [f"$ {command}"[i : i + COLUMNS] for i in range(0, len(command) + 2, COLUMNS)]
    files = Path(matplotlib.get_data_path(), "fonts", "ttf")
    plain, bold = (ImageFont.truetype(files / f"DejaVuSansMono{kind}.ttf", _SIZE) for kind in ("", "-Bold"))
    width, height = round(plain.getlength("M")), round(_SIZE * 1.3)
    margin = width * 2
    image = Image.new("RGB", (COLUMNS * width + 2 * margin, (lines + len(typed)) * height + 2 * margin), _PAPER)
    canvas = ImageDraw.Draw(image)
    for row, text in enumerate(typed):
        canvas.text((margin, margin + row * height), text, _COLOURS["green"], bold)
    for row in range(lines):
        for column in range(COLUMNS):
            cell = screen.buffer[row][column]
            if cell.data.strip():
                place = (margin + column * width, margin + (row + len(typed)) * height)
                colour = _COLOURS.get(cell.fg) or f"#{cell.fg}"
                canvas.text(place, cell.data, colour, bold if cell.bold else plain)
    with replacing(path) as beside:
        image.quantize(32).save(beside, format="PNG", optimize=True)


def main(folder: Path) -> None:
    """Write all pictures into a folder."""
    with tempfile.TemporaryDirectory() as work:
        for name, terminal in screens(Path(work)):
            draw(COMMANDS[name], terminal, folder / f"{name}.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
