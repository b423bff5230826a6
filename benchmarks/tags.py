"""Writes sentences and the tags of their words, for `make recipe-tagger`: `python tags.py FILE [SENTENCES]`.

Many words have two tags ("the park", "they park"), and which one it is shows in what follows as often as in what comes
before ("light" in "the light rain" and "the light took"): no table of words knows it, a model that reads both ways can.
`python tags.py --table TRAIN TEST` counts what such a table comes to: for each word the tag that it has most often.
"""

from __future__ import annotations

import random
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

Tagged = list[tuple[str, str]]

DETERMINERS = ["the", "a", "this", "every", "her", "his"]
NOUNS = ["dog", "rain", "teacher", "window", "river", "song", "doctor", "garden"]
NOUNS_OR_VERBS = ["park", "walk", "watch", "play", "answer", "drink", "plant", "paint", "guard", "ship"]
ADJECTIVES = ["red", "quiet", "old", "tall", "round"]
ADJECTIVES_OR_NOUNS = ["light", "cold", "green", "square", "present"]
VERBS = ["saw", "liked", "found", "heard", "took"]
PRONOUNS = ["they", "we", "you", "i"]
ADVERBS = ["often", "slowly", "here", "never"]
PREPOSITIONS = ["in", "near", "behind", "with"]


def noun_phrase(rng: random.Random) -> Tagged:
    """Return a determiner, sometimes an adjective, and a noun."""
    phrase = [(rng.choice(DETERMINERS), "DET")]
    if rng.random() < 0.5:
        phrase.append((rng.choice(ADJECTIVES + ADJECTIVES_OR_NOUNS * 2), "ADJ"))
    phrase.append((rng.choice(NOUNS + NOUNS_OR_VERBS + ADJECTIVES_OR_NOUNS * 2), "NOUN"))
    return phrase


def sentence(rng: random.Random) -> Tagged:
    """Return a subject, a verb and what may follow it."""
    if rng.random() < 0.5:
        words = [(rng.choice(PRONOUNS), "PRON")]
        words += [(rng.choice(ADVERBS), "ADV")] if rng.random() < 0.3 else []
        words.append((rng.choice(VERBS + NOUNS_OR_VERBS), "VERB"))
    else:
        words = [*noun_phrase(rng), (rng.choice(VERBS), "VERB")]
    words += noun_phrase(rng) if rng.random() < 0.7 else []
    words += [(rng.choice(PREPOSITIONS), "PREP"), *noun_phrase(rng)] if rng.random() < 0.4 else []
    return words + ([(rng.choice(ADVERBS), "ADV")] if rng.random() < 0.3 else [])


def rows(count: int) -> Iterator[str]:
    """Yield different sentences, each with its tags behind a tab."""
    rng, seen = random.Random(1), set()
    while len(seen) < count:
        words = sentence(rng)
        row = f"{' '.join(word for word, _ in words)}\t{' '.join(tag for _, tag in words)}"
        if row not in seen:
            seen.add(row)
            yield row


def table_errors(train: Path, test: Path) -> tuple[float, float]:
    """Return the shares of sentences and of words that the most frequent tag of each word gets wrong."""

    def read(path: Path) -> list[tuple[list[str], list[str]]]:
        pairs = (line.split("\t")[:2] for line in path.read_text(encoding="utf-8").splitlines())
        return [(source.split(), target.split()) for source, target in pairs]

    held_out = read(test)
    unseen = {tuple(words) for words, _ in held_out}
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for words, tags in read(train):
        if tuple(words) not in unseen:
            for word, tag in zip(words, tags, strict=True):
                counts[word][tag] += 1
    wrong = [
        sum(not counts[word] or counts[word].most_common(1)[0][0] != tag for word, tag in zip(*pair, strict=True))
        for pair in held_out
    ]
    return sum(map(bool, wrong)) / len(wrong), sum(wrong) / sum(len(words) for words, _ in held_out)


def main(arguments: list[str]) -> None:
    """Write sentences, or print what a table comes to."""
    if arguments[0] == "--table":
        sentences, words = table_errors(*map(Path, arguments[1:]))
        print(f"the most frequent tag of each word: {sentences:.2%} of sentences wrong, {words:.2%} of words")
        return
    count = int(arguments[1]) if len(arguments) > 1 else 3_000
    Path(arguments[0]).write_text("".join(f"{row}\n" for row in rows(count)), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
