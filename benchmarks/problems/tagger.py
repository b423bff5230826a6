"""A tagger as tutorials have it: words in, the best tag of each out; random weights, and the reference."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from peers.interface import Ids
from peers.weights import Floats, TaggerWeights

from problems.canonical import MIN_MARGIN, lead, lstm

WORDS, TAGS, LENGTH, UNITS = 5_000, 20, 20, 64


def random_weights(seed: int) -> TaggerWeights:
    """Return weights whose tags vary from word to word."""
    random = np.random.default_rng(seed)

    def normal(*shape: int) -> Floats:
        return (random.normal(size=shape) * 0.3).astype(np.float32)

    return TaggerWeights(
        embedding=normal(WORDS, UNITS),
        kernels=normal(2, UNITS, 4 * UNITS),
        recurrents=normal(2, UNITS, 4 * UNITS),
        biases=normal(2, 4 * UNITS),
        dense_kernel=normal(2 * UNITS, TAGS),
        dense_bias=normal(TAGS),
    )


def random_sources(weights: TaggerWeights, count: int, seed: int) -> tuple[Ids, Ids]:
    """Return random sentences of which no tag comes near a tie, and their tags."""
    sources = np.random.default_rng(seed).integers(1, WORDS, size=(4 * count, LENGTH))
    tags, margins = tag(weights, sources)
    clear = np.flatnonzero(margins > MIN_MARGIN)[:count]
    if len(clear) < count:
        raise RuntimeError(f"{len(clear)} of {len(sources)} random sentences stay clear of ties, {count} are needed")
    return sources[clear], tags[clear]


def tag(weights: TaggerWeights, sources: Ids) -> tuple[Ids, NDArray[np.float64]]:
    """Return the reference: tags in float64, written down once more from the equations, and each row's least lead."""
    w = {name: value.astype(np.float64) for name, value in vars(weights).items()}
    read = w["embedding"][sources]  # (sentences, words, embedding)
    ways = []
    for way, steps in enumerate((range(LENGTH), range(LENGTH - 1, -1, -1))):
        states = np.zeros((LENGTH, len(sources), weights.units))
        state_h = state_c = states[0]
        for step in steps:
            gates = read[:, step] @ w["kernels"][way] + w["biases"][way] + state_h @ w["recurrents"][way]
            state_h, state_c = lstm(gates, state_c)
            states[step] = state_h
        ways.append(states)
    logits = (np.concatenate(ways, axis=2) @ w["dense_kernel"] + w["dense_bias"]).transpose(1, 0, 2)
    return logits.argmax(axis=2), lead(logits.reshape(-1, TAGS)).reshape(len(sources), LENGTH).min(axis=1)
