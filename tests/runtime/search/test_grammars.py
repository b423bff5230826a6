"""Grammars through `allowed_next`: digits only, and a lexicon of 10,000 words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import s2s_runtime
from s2s_runtime import Model

Trie = dict[int, "Trie"]
END = 1


def make_lexicon(count: int) -> list[str]:
    """Distinct words over ABCDE of 2 to 9 letters."""
    random = np.random.default_rng(0)
    words: dict[str, None] = {}
    while len(words) < count:
        words["".join(random.choice(list("ABCDE"), size=random.integers(2, 10)))] = None
    return list(words)


def make_trie(words: list[list[int]]) -> Trie:
    """Words of ids as nested dicts, an end token after each."""
    root: Trie = {}
    for word in words:
        node = root
        for token in [*word, END]:
            node = node.setdefault(token, {})
    return root


def following(trie: Trie) -> Callable[[int, list[int]], list[int]]:
    """What a lexicon allows next."""

    def allowed(step: int, tokens: list[int]) -> list[int]:
        node = trie
        for token in tokens:
            node = node.get(token, {})
        return list(node)

    return allowed


def test_a_lexicon_of_ten_thousand_words(tiny: Model) -> None:
    """Only its words come out, from 1-best greedy, n-best beams and samples; a beam finds the word of best score."""
    vocabulary = tiny.target_vocabulary
    assert vocabulary is not None
    lexicon = make_lexicon(10_000)
    allowed, words = following(make_trie([vocabulary.encode(word) for word in lexicon])), set(lexicon)
    sources = ["abcde", "bad", "e", "deadbeadc"]
    for options in (
        {},
        {"beam_size": 5, "num_hypotheses": 5},
        {"sampling_temperature": 1.5, "num_hypotheses": 4, "seed": 1},
    ):
        for result in tiny.generate(sources, allowed_next=allowed, **options):
            assert {hypothesis.text for hypothesis in result.hypotheses} <= words
            assert all(hypothesis.finish_reason == "end" for hypothesis in result.hypotheses)
    short = [word for word in lexicon if len(word) == 3]
    scores = tiny.score(["bad"] * len(short), short, length_penalty=0)
    best = short[int(np.argmax([score.score for score in scores]))]
    only = following(make_trie([vocabulary.encode(word) for word in short]))
    [found] = tiny.generate(["bad"], allowed_next=only, beam_size=len(short), length_penalty=0)
    assert found.text == best


@pytest.mark.parametrize("beam_size", [1, 4])
def test_an_addition_model_can_answer_only_digits(fixtures: Path, beam_size: int) -> None:
    """Symbols 2 to 11 of this bundle are digits, 0 and 1 are space and plus: a mask keeps to digits, always three."""
    model = s2s_runtime.load(fixtures / "tiny-none.s2s")
    digits = np.arange(12) >= 2
    free = model.generate(["+ 1", "12+34", "9", " + "], beam_size=beam_size)
    kept = model.generate(["+ 1", "12+34", "9", " + "], beam_size=beam_size, allowed_next=lambda step, tokens: digits)
    assert not all(result.text.isdigit() for result in free)
    assert all(result.text.isdigit() and len(result.text) == 3 for result in kept)
