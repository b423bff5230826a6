"""The canonical translator: random weights, sources, and the reference that says which tokens have to come out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from peers.interface import Ids
from peers.weights import Floats, Weights

SOURCE_SIZE, TARGET_SIZE = 71, 93
SOURCE_LENGTH, STEPS = 16, 30
START_ID, END_ID, PADDING_ID = 0, 1, 0

# Nearer to a tie than this, rounding decides: such sentences aren't asked of anybody.
MIN_MARGIN = 1e-3


def random_weights(units: int, seed: int) -> Weights:
    """Weights of the canonical shape whose outputs vary from sentence to sentence and from step to step.

    The start symbol is made as unlikely as training makes it.
    """
    random = np.random.default_rng(seed)

    def normal(rows: int, columns: int, scale: float) -> Floats:
        return (random.normal(size=(rows, columns)) * scale).astype(np.float32)

    bias = np.zeros(4 * units, np.float32)
    bias[units : 2 * units] = 1.0  # the forget gate's, as Keras starts it
    dense_bias = np.zeros(TARGET_SIZE, np.float32)
    dense_bias[START_ID] = -20.0
    return Weights(
        encoder_kernel=normal(SOURCE_SIZE, 4 * units, 1.0),
        encoder_recurrent=normal(units, 4 * units, units**-0.5),
        encoder_bias=bias,
        decoder_kernel=normal(TARGET_SIZE, 4 * units, 1.0),
        decoder_recurrent=normal(units, 4 * units, units**-0.5),
        decoder_bias=bias,
        dense_kernel=normal(units, TARGET_SIZE, 0.5),
        dense_bias=dense_bias,
    )


def random_sources(weights: Weights, start: int, count: int, seed: int) -> tuple[Ids, Ids]:
    """Random sentences, padded, none of which comes near a tie at any step; and their tokens."""
    random = np.random.default_rng(seed)
    sources = random.integers(1, weights.source_size, size=(8 * count, SOURCE_LENGTH))
    lengths = random.integers(SOURCE_LENGTH // 2, SOURCE_LENGTH + 1, size=len(sources))
    sources[np.arange(SOURCE_LENGTH) >= lengths[:, None]] = PADDING_ID
    tokens, margins = decode(weights, sources, start, STEPS)
    clear = np.flatnonzero(margins > MIN_MARGIN)[:count]
    if len(clear) < count:
        raise RuntimeError(f"{len(clear)} of {len(sources)} random sentences stay clear of ties, {count} are needed")
    return sources[clear], tokens[clear]


def products(weights: Weights) -> list[tuple[int, int, int]]:
    """(how often, shared size, columns) of the matrix products of one decoding; inputs are looked up."""
    units = weights.units
    return [(SOURCE_LENGTH + STEPS, units, 4 * units), (STEPS, units, weights.target_size)]


def decode(
    weights: Weights, sources: Ids, start: int, steps: int, end: int | None = None
) -> tuple[Ids, NDArray[np.float64]]:
    """Return the reference: greedy decoding in float64, written down once more from the equations.

    Args:
        weights: of the model.
        sources: (sentences, source length) ids.
        start: token fed first.
        steps: most tokens.
        end: token that ends a sentence; None = nothing does.

    Returns:
        Tokens (sentences, at most `steps`), -1 after the end token; for each sentence the least lead that the
        likeliest token ever had over the second, up to its end.
    """
    w = {name: value.astype(np.float64) for name, value in vars(weights).items()}
    state_h = state_c = np.zeros((len(sources), weights.units))
    for column in sources.T:
        gates = w["encoder_kernel"][column] + w["encoder_bias"] + state_h @ w["encoder_recurrent"]
        state_h, state_c = lstm(gates, state_c)
    token, tokens, leads = np.full(len(sources), start), [], []
    live = np.ones(len(sources), np.bool_)
    while live.any() and len(tokens) < steps:
        gates = w["decoder_kernel"][token] + w["decoder_bias"] + state_h @ w["decoder_recurrent"]
        state_h, state_c = lstm(gates, state_c)
        logits = state_h @ w["dense_kernel"] + w["dense_bias"]
        leads.append(np.where(live, lead(logits), np.inf))
        token = logits.argmax(axis=1)
        tokens.append(np.where(live, token, -1))
        live = live & (token != end) if end is not None else live
    return np.stack(tokens, axis=1), np.min(leads, axis=0)


def lead(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """By how much the highest of each row is ahead of the second: (rows, candidates) to (rows,)."""
    second, first = np.partition(scores, -2, axis=1)[:, -2:].T
    return first - second


def lstm(gates: NDArray[np.float64], state_c: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the next states (rows, units) from gates (rows, 4 units) before their activations."""
    i, f, c, o = np.split(gates, 4, axis=1)
    state_c = sigmoid(f) * state_c + sigmoid(i) * np.tanh(c)
    return sigmoid(o) * np.tanh(state_c), state_c


def sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the logistic function."""
    return 1.0 / (1.0 + np.exp(-x))
