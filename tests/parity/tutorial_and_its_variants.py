"""Trains the tutorial's script and its variants on real pairs, and holds each bundle against the script's own loop.

    python tests/parity/tutorial_and_its_variants.py PAIRS.tsv --rows 10000 --epochs 3

Each way goes through the command as a user types it: with the pairs and their rows alone, where 1,000 texts have to be
the loop's; with 20 printed lines, which have to prove the set-up; with one of those altered, an error; and without
either, which has to be refused or reported as assumed. The variants (GRU, ids and embeddings, no teacher forcing) go
through the command with the pairs alone, from their files. Ends with 1 where anything is otherwise.

The script's loop may write its start symbol, as a barely trained model does for a few texts in a thousand; a bundle
never does. Such texts are counted apart, and said.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tutorial_script import START, Script
from tutorial_variants import FreeScript, GruScript, IdsScript

import s2s_runtime

WAYS: dict[str, dict[str, Any]] = {
    "spaces.keras": {"filler": "spaces"},
    "zeros.keras": {"filler": "zeros"},
    "left.keras": {"filler": "zeros", "left": True},
    "spaces.h5": {"filler": "spaces"},
}
VARIANTS: dict[str, tuple[type[Script], list[str]]] = {
    "gru.keras": (GruScript, []),
    "ids.keras": (IdsScript, []),
    "free.keras": (FreeScript, ["--trust-lambda"]),
    "free.h5": (FreeScript, ["--trust-lambda"]),
}
"""Each variant's file, its script, and what its file needs to be loaded."""
COMMAND = Path(sys.executable).parent / "s2s-export"


def run(model: Path, *arguments: object) -> tuple[int, str]:
    """Run s2s-export; its exit code and what it wrote to either stream."""
    typed = [str(COMMAND), str(model), "--force", *map(str, arguments)]
    made = subprocess.run(typed, capture_output=True, text=True, check=False)
    return made.returncode, f"{made.stdout}\n{made.stderr}"


def summary(output: str) -> str:
    """The line of a report that sums the set-up up."""
    return next((line for line in output.splitlines() if line.startswith("set-up")), output.strip()[-400:])


def hold(name: str, script: Script, folder: Path, epochs: int, count: int) -> bool:
    """Train and save one way, export it in each manner, and print what came; whether all is as it has to be."""
    trained, path = script.train(epochs=epochs), folder / name
    trained.save(path)
    given = ("--pairs", script.path, "--rows", script.rows)
    equal = as_its_loop(script, trained, path, count, given)
    printed, altered = folder / "printed.txt", folder / "altered.txt"
    printed.write_text(script.printed(trained), encoding="utf-8")
    altered.write_text(printed.read_text(encoding="utf-8").replace("Decoded sentence: ", "Decoded sentence: #", 1))
    code, output = run(path, *given, "--expect", printed)
    proved = code == 0 and "proved by 20 expected outputs" in output
    print(f"  with 20 printed lines: {summary(output)}")
    code, output = run(path, *given, "--expect", altered)
    refused = code == 1 and "19 of 20" in output
    print(f"  with one altered: {'an error' if refused else 'NO ERROR'}")
    code, output = run(path)
    asked = code == 1 and "--source-length" in output
    print(f"  without either: {'refused, with the line to type' if asked else 'NOT REFUSED'}")
    return equal and proved and refused and asked


def as_its_loop(script: Script, trained: Any, path: Path, count: int, given: Sequence[object]) -> bool:
    """Export a saved model, and print how many texts are those of the script's own loop; whether all are."""
    code, output = run(path, *given)
    print(f"{path.name}: {summary(output)}")
    if code:
        return False
    sources = script.input_texts[:count]
    texts = [result.text for result in s2s_runtime.load(path.with_suffix(".s2s")).generate(sources)]
    looped = [text.removesuffix("\n") for text in script.decode(trained, sources)]
    comparable = [(text, other) for text, other in zip(texts, looped, strict=True) if START not in other]
    equal, started = sum(text == other for text, other in comparable), len(looped) - len(comparable)
    apart = f"; in {started} others it writes its start symbol, which a bundle never does" if started else ""
    print(f"  {equal} of {len(comparable)} texts are those of the script's own loop{apart}")
    return 0 < equal == len(comparable)


def hold_variant(name: str, script: Script, folder: Path, epochs: int, count: int) -> bool:
    """Train and save a variant, and hold its bundle against its loop."""
    trained, path = script.train(epochs=epochs), folder / name
    trained.save(path)
    return as_its_loop(
        script, trained, path, count, ("--pairs", script.path, "--rows", script.rows, *VARIANTS[name][1])
    )


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs", type=Path)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--sentences", type=int, default=1000)
    parser.add_argument("--only", default="", help=f"some of {', '.join([*WAYS, *VARIANTS])}, by commas")
    given = parser.parse_args()
    only = given.only.split(",") if given.only else [*WAYS, *VARIANTS]
    with tempfile.TemporaryDirectory() as folder:
        held = [
            hold(name, Script(given.pairs, given.rows, **way), Path(folder), given.epochs, given.sentences)
            for name, way in WAYS.items()
            if name in only
        ]
        held += [
            hold_variant(name, kind(given.pairs, given.rows), Path(folder), given.epochs, given.sentences)
            for name, (kind, _) in VARIANTS.items()
            if name in only
        ]
    sys.exit(0 if held and all(held) else 1)


if __name__ == "__main__":
    main()
