"""The float64 reference that all peers of the attention models have to agree with."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from peers.weights import AttentionWeights
from problems import attentional
from problems.attentional import (
    END_ID,
    PADDING_ID,
    START_ID,
    Reference,
    Size,
    beam,
    greedy,
    random_sources,
    random_weights,
)

SIZE = Size(source=8, target=7, units=6, layers=2, embedding=5)


@pytest.fixture
def weights(monkeypatch: pytest.MonkeyPatch) -> AttentionWeights:
    """A tiny model whose sentences have at most four tokens."""
    monkeypatch.setattr(attentional, "STEPS", 4)
    return random_weights(SIZE, seed=3)


def log_probability(reference: Reference, source: np.ndarray, tokens: tuple[int, ...]) -> float:
    """Of a target, by forced decoding."""
    encoded, states, total, before = reference.encode(source[None]), reference.start(1), 0.0, START_ID
    for token in tokens:
        scores, states = reference.step(encoded, states, np.array([before]))
        total += float(scores[0, token])
        before = token
    return total


def test_a_wide_beam_finds_the_best_of_all_outputs(weights: AttentionWeights) -> None:
    """Enumeration of every output of at most four tokens agrees with a beam that drops nothing."""
    reference = Reference(weights)
    words = [token for token in range(SIZE.target) if token not in (PADDING_ID, START_ID, END_ID)]
    outputs = [(*each, END_ID) for length in range(4) for each in product(words, repeat=length)]
    outputs += list(product(words, repeat=4))
    for source in random_sources(SIZE, 3, seed=4):
        best = max(outputs, key=lambda tokens: log_probability(reference, source, tokens))
        assert tuple(beam(reference, source, width=300)[0]) == best


def test_a_beam_of_one_is_greedy(weights: AttentionWeights) -> None:
    """Both take the likeliest token at every step."""
    reference, sources = Reference(weights), random_sources(SIZE, 8, seed=5)
    tokens, _ = greedy(reference, sources)
    for row, source in zip(tokens, sources, strict=True):
        assert beam(reference, source, width=1)[0] == row[row >= 0].tolist()


def test_padding_changes_nothing(weights: AttentionWeights) -> None:
    """Log-probabilities are those of the sentence alone, however much padding follows it."""
    reference = Reference(weights)
    source = np.array([4, 5, 6])
    padded = np.array([4, 5, 6, PADDING_ID, PADDING_ID])
    alone, behind = (log_probability(reference, each, (4, 5, END_ID)) for each in (source, padded))
    assert alone == pytest.approx(behind, abs=1e-12)


def test_weights_survive_their_file(weights: AttentionWeights, tmp_path: Path) -> None:
    """What a peer reads is what was written, layer by layer and direction by direction."""
    weights.write(tmp_path)
    read = AttentionWeights.read(tmp_path)
    assert len(read.encoder) == len(read.decoder) == SIZE.layers
    assert all(np.array_equal(read.arrays()[name], array) for name, array in weights.arrays().items())
