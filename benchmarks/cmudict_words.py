"""Error rates on the fixed test words of cmudict, beside those of the PyPI package g2p_en on the same words.

`python benchmarks/cmudict_words.py RUN` takes a run of `s2s-train cmudict` with its exported `model.s2s`. A word with
several pronunciations is right if it has any of them; stress marks count. g2p_en runs in an environment of its own,
made when first needed. Prints a table, and writes it as JSON with `--output`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from measuring.environments import python_of

import s2s_runtime
from s2s_runtime.error_rates import error_rates
from s2s_runtime.evaluation import read_references

PEER = Path(__file__).parent / "peers" / "g2p_en_words.py"


def by_g2p_en(words: Sequence[str]) -> list[str]:
    """Return what g2p_en's network says."""
    command = [str(python_of("g2p-en")), str(PEER)]
    made = subprocess.run(command, input="\n".join(words), text=True, check=True, stdout=subprocess.PIPE)
    return made.stdout.splitlines()


def main() -> None:
    """Read the command line, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--words", type=int, help="only the first so many test words")
    parser.add_argument("--output", type=Path, help="JSON file to write")
    arguments = parser.parse_args()
    right = dict(list(read_references(arguments.run / "test.tsv").items())[: arguments.words])
    words, model = list(right), s2s_runtime.load(arguments.run / "model.s2s")
    ways: dict[str, Callable[[], list[str]]] = {
        "greedy": lambda: [result.text for result in model.generate(words)],
        "beam 5": lambda: [result.text for result in model.generate(words, beam_size=5)],
        "g2p_en 2.1.0": lambda: by_g2p_en(words),
    }
    references, found = [[one.split() for one in ones] for ones in right.values()], {}
    print(f"{len(words)} test words\n| | words wrong, % | phones wrong, % | seconds |\n| --- | ---: | ---: | ---: |")
    for name, way in ways.items():
        started = time.perf_counter()
        decoded = way()
        seconds = time.perf_counter() - started
        rates = error_rates([text.split() for text in decoded], references)
        words_wrong, phones_wrong = 100 * rates.sequence_error_rate, 100 * rates.token_error_rate
        print(f"| {name} | {words_wrong:.2f} | {phones_wrong:.2f} | {seconds:.1f} |", flush=True)
        found[name] = {**rates.to_dict(), "seconds": round(seconds, 2)}
    if arguments.output is not None:
        arguments.output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
