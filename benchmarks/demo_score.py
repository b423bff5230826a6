"""Scores a pronunciation model on words it never saw, with numpy and onnxruntime alone.

`python demo_score.py RUN --words 500` prints error rates; `--longest N` prints N held-out words to look at instead.
"""

import argparse
import re
from pathlib import Path

import s2s_runtime

_STRESS = re.compile(r"(?<=[A-Z])[0-2]\b")


def read_held_out(path: Path, count: int) -> dict[str, list[str]]:
    """The first words of the run's `test.tsv`, each with every pronunciation that counts as right."""
    pairs = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        word, *pronunciations = line.split("\t")
        pairs[word] = pronunciations
        if len(pairs) == count:
            break
    return pairs


def edit_distance(one: list[str], other: list[str]) -> int:
    """Fewest insertions, deletions and substitutions between two sequences (Levenshtein 1966)."""
    row = list(range(len(other) + 1))
    for i, left in enumerate(one, 1):
        diagonal, row[0] = row[0], i
        for j, right in enumerate(other, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (left != right))
    return row[-1]


def error_rates(found: list[str], right: list[list[str]]) -> tuple[float, float]:
    """Share of words with any wrong phone, and of wrong phones, each against its nearest pronunciation."""
    nearest = [
        min((edit_distance(text.split(), one.split()), len(one.split())) for one in ones)
        for text, ones in zip(found, right, strict=True)
    ]
    wrong = sum(distance > 0 for distance, _ in nearest)
    return wrong / len(nearest), sum(d for d, _ in nearest) / sum(length for _, length in nearest)


def main() -> None:
    """Prints words to look at, or the error rates."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--words", type=int, default=500)
    parser.add_argument("--longest", type=int)
    arguments = parser.parse_args()
    pairs = read_held_out(arguments.run / "test.tsv", arguments.words)
    if arguments.longest:
        print("\n".join(sorted(pairs, key=lambda word: -len(word))[: arguments.longest]))
        return
    model = s2s_runtime.load(arguments.run / "model.s2s")
    for name, beam_size in (("greedy", 1), ("beam 5", 5)):
        found = [result.text for result in model.generate(list(pairs), beam_size=beam_size)]
        kept = error_rates(found, list(pairs.values()))
        bare = [[_STRESS.sub("", one) for one in ones] for ones in pairs.values()]
        dropped = error_rates([_STRESS.sub("", text) for text in found], bare)
        print(
            f"{name}: of {len(pairs)} unseen words {kept[0]:.1%} have a wrong phone with stress marks counted, "
            f"{dropped[0]:.1%} without; of their phones {kept[1]:.1%} and {dropped[1]:.1%} are wrong"
        )


if __name__ == "__main__":
    main()
