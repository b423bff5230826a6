"""Scores a pronunciation model on words it never saw, with the runtime alone.

`python demo_score.py RUN --words 500` prints error rates; `--longest N` prints N held-out words to look at instead.
"""

import argparse
import re
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import s2s_runtime
from s2s_runtime.error_rates import ErrorRates, error_rates
from s2s_runtime.evaluation import read_references

_STRESS = re.compile(r"(?<=[A-Z])[0-2]\b")


def compared(found: Sequence[str], right: Sequence[Sequence[str]], *, stress: bool) -> ErrorRates:
    """Error rates of phones, with stress marks or without."""

    def phones(text: str) -> list[str]:
        return (text if stress else _STRESS.sub("", text)).split()

    return error_rates([phones(text) for text in found], [[phones(one) for one in ones] for ones in right])


def main() -> None:
    """Print words to look at, or the error rates."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--words", type=int, default=500)
    parser.add_argument("--longest", type=int)
    arguments = parser.parse_args()
    pairs = dict(islice(read_references(arguments.run / "test.tsv").items(), arguments.words))
    if arguments.longest:
        print("\n".join(sorted(pairs, key=lambda word: -len(word))[: arguments.longest]))
        return
    model = s2s_runtime.load(arguments.run / "model.s2s")
    for name, beam_size in (("greedy", 1), ("beam 5", 5)):
        found = [result.text for result in model.generate(list(pairs), beam_size=beam_size)]
        kept, dropped = (compared(found, list(pairs.values()), stress=stress) for stress in (True, False))
        print(
            f"{name}: of {len(pairs)} unseen words {kept.sequence_error_rate:.1%} have a wrong phone with stress marks "
            f"counted, {dropped.sequence_error_rate:.1%} without; of their phones {kept.token_error_rate:.1%} and "
            f"{dropped.token_error_rate:.1%} are wrong"
        )


if __name__ == "__main__":
    main()
