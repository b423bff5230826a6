"""Rules of the next token, by what comes out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from s2s_runtime import Model

SOURCES = ["abcab", "edc", "aaaaaa", "dcbe"]


def test_no_ngram_repeats(tiny: Model) -> None:
    """With size 2 no pair of tokens occurs twice, except those that hold an excluded token."""
    for beam_size in (1, 4):
        [result] = tiny.generate(["abababab"], beam_size=beam_size, no_repeat_ngram_size=2, min_length=8)
        pairs = list(zip(result.ids, result.ids[1:], strict=False))
        assert len(pairs) == len(set(pairs))


def test_repetition_penalty_follows_its_definition(random_model: Callable[..., Model]) -> None:
    """Logits of tokens seen before are divided where positive, multiplied where negative, before the softmax."""
    model = random_model(5, 6, max_length=2)
    logits = model._steps.logits
    [result] = model.generate([[2]], repetition_penalty=2.0, suppress_tokens=[0], return_token_scores=True)
    first = result.ids[0]
    changed = logits(np.array([[2]]), np.array([[first]]))[0].copy()
    changed[first] = changed[first] / 2 if changed[first] > 0 else changed[first] * 2
    expected = changed[result.ids[1]] - np.logaddexp.reduce(changed)
    assert result.hypotheses[0].token_scores[1] == pytest.approx(expected, abs=1e-5)


def test_suppressed_tokens_and_sequences_never_occur(tiny: Model) -> None:
    """Whatever the search; ids or symbols."""
    options = {"suppress_tokens": ["B"], "suppress_sequences": [[3, "C"], ["D", "D"]]}
    for beam_size in (1, 4):
        for result in tiny.generate(SOURCES, beam_size=beam_size, num_hypotheses=beam_size, **options):
            for hypothesis in result.hypotheses:
                text = hypothesis.text
                assert not any(never in text for never in ("B", "AC", "DD"))


def test_prefix_overrules_masks(tiny: Model) -> None:
    """A forced token may be one that could not be generated."""
    [result] = tiny.generate(["abc"], prefix=["B"], suppress_tokens=["B"])
    assert result.text[0] == "B"
    assert "B" not in result.text[1:]


def test_allowed_next_keeps_to_a_lexicon(tiny: Model) -> None:
    """A trie: only words of a list come out, greedy and beam; a mask works like ids."""
    words = ["ABC", "ACE", "BAD", "DEAD", "EBB"]
    symbols = tiny.target_vocabulary.symbols

    def allowed(step: int, tokens: list[int]) -> list[int]:
        written = "".join(symbols[token] for token in tokens)
        assert step == len(tokens)
        following = {symbols.index(word[step]) for word in words if word.startswith(written) and len(word) > step}
        return [*following, *([1] if written in words else [])]

    def mask(step: int, tokens: list[int]) -> np.ndarray:
        return np.isin(np.arange(8), allowed(step, tokens))

    for beam_size in (1, 4):
        results = tiny.generate(SOURCES, allowed_next=allowed, beam_size=beam_size)
        assert all(result.text in words for result in results)
        assert [r.ids for r in tiny.generate(SOURCES, allowed_next=mask, beam_size=beam_size)] == [
            r.ids for r in results
        ]


def test_a_sequence_after_which_nothing_is_allowed_stops(tiny: Model) -> None:
    """What was written stands, with reason stopped, and its score is score()'s."""
    for beam_size in (1, 3):
        results = tiny.generate(
            ["abcd", "ab"],
            allowed_next=lambda step, tokens: [3, 4] if step < 2 else [],
            beam_size=beam_size,
            return_scores=True,
        )
        for source, result in zip(["abcd", "ab"], results, strict=True):
            assert len(result.ids) == 2
            assert result.hypotheses[0].finish_reason == "stopped"
            [forced] = tiny.score([source], [result.ids], add_end=False)
            assert result.score == pytest.approx(forced.score, abs=1e-4)
    [nothing] = tiny.generate(["a"], allowed_next=lambda step, tokens: [], return_scores=True)
    assert (nothing.ids, nothing.score) == ([], 0.0)


def test_unknown_tokens_are_masked_unless_allowed(tiny: Model) -> None:
    """The unknown token comes out only with allow_unknown."""
    options = {"suppress_tokens": list("ABCDE")}
    assert tiny.generate(["abc"], **options)[0].ids == []
    assert tiny.generate(["abc"], **options, allow_unknown=True)[0].tokens == ["<unk>"] * 3
