"""Draws the guide's pictures with the commands themselves: `make pictures`.

A small model learns, in a minute or two, to write English sentences in capitals: its attention is then a diagonal, as
anyone can check. The picture of a sweep is that model's.
"""

import random
import subprocess
import sys
import tempfile
from pathlib import Path

IMAGES = Path(__file__).parents[2] / "docs" / "images"
BIN = Path(sys.executable).parent
SENTENCE = "would you like to have a cup of tea now?"
WORDS = [
    *SENTENCE.split(),
    *("we", "they", "the", "house", "is", "on", "river", "my", "friend", "has", "been", "here", "for", "long", "time"),
    *("and", "it", "was", "good", "that", "she", "came", "when", "he", "saw", "us", "in", "old", "town", "some"),
]
PAIRS = 4000


def write_pairs(path: Path) -> None:
    """Write sentences of up to 40 characters, the one of the picture left out, and the same in capitals."""
    generator = random.Random(0)
    found: dict[str, None] = {}
    while len(found) < PAIRS:
        sentence = " ".join(generator.choices(WORDS, k=generator.randint(2, 9)))
        if len(sentence) <= len(SENTENCE) and sentence != SENTENCE:
            found[sentence] = None
    path.write_text("".join(f"{sentence}\t{sentence.upper()}\n" for sentence in found), encoding="utf-8")


def run(command: str, *arguments: str | Path) -> None:
    """Run a command of the project."""
    subprocess.run([BIN / command, *arguments], check=True)


def main() -> None:
    """Train, export, draw."""
    with tempfile.TemporaryDirectory() as folder:
        pairs, trained = Path(folder, "pairs.tsv"), Path(folder, "run")
        write_pairs(pairs)
        model = ("--bidirectional", "--attention", "dot", "--cell", "gru", "--units", "96", "--epochs", "6")
        run("s2s-train", pairs, *model, "--output", trained)
        run("s2s-export", trained / "model.keras")
        bundle = trained / "model.s2s"
        run("s2s-plot", "attention", bundle, SENTENCE, "--output", IMAGES / "attention.png")
        swept = ("--threads", "1", "--batch-size", "1,4,16,64", "--beam-size", "1,2,5")
        run("s2s-bench", bundle, *swept, "--plot", IMAGES / "sweep.png")


if __name__ == "__main__":
    main()
