"""A translator with attention and input feeding: random weights, sources, and the reference for greedy and beam.

The model is the one that JoeyNMT's recurrent modules compute (Luong et al. 2015, "general" attention): a bidirectional
LSTM encoder, a decoder that starts from zeros, an output layer without bias.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from peers.interface import Ids
from peers.weights import AttentionWeights, Floats, Lstm

from problems.canonical import MIN_MARGIN, lead, lstm

PADDING_ID, START_ID, END_ID = 0, 2, 3
SOURCE_LENGTH, STEPS = 16, 30

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Size:
    """How large the model is; `units` must be even."""

    source: int
    target: int
    units: int
    layers: int
    embedding: int


def random_weights(size: Size, seed: int) -> AttentionWeights:
    """Weights whose outputs vary from sentence to sentence, end, and are as sure of themselves as trained ones."""
    random = np.random.default_rng(seed)
    units, half = size.units, size.units // 2

    def normal(rows: int, columns: int, scale: float) -> Floats:
        return (random.normal(size=(rows, columns)) * scale).astype(np.float32)

    def layer(inputs: int, width: int, scale: float) -> Lstm:
        bias = np.zeros(4 * width, np.float32)
        bias[width : 2 * width] = 1.0
        return Lstm(normal(inputs, 4 * width, scale), normal(width, 4 * width, width**-0.5), bias)

    dense = normal(units, size.target, 12.0 * units**-0.5)
    dense[:, PADDING_ID] = dense[:, START_ID] = 0.0  # never near the best: they are not to be written
    inner = units**-0.5
    decoder = [
        layer(size.embedding + units if i == 0 else units, units, 1.0 if i == 0 else inner) for i in range(size.layers)
    ]
    decoder[0].kernel[size.embedding :] *= (
        inner  # the attentional vector: larger would be chaos, which no float32 follows
    )
    weights = AttentionWeights(
        source_embedding=normal(size.source, size.embedding, 2.0 * size.embedding**-0.5),
        target_embedding=normal(size.target, size.embedding, 2.0 * size.embedding**-0.5),
        encoder=[
            tuple(layer(size.embedding if i == 0 else units, half, 1.0 if i == 0 else inner) for _ in "fb")
            for i in range(size.layers)
        ],
        decoder=decoder,
        keys=normal(units, units, 2.0 * inner),
        attentional_kernel=normal(2 * units, units, 2.0 * inner),
        attentional_bias=np.zeros(units, np.float32),
        dense_kernel=dense,
    )
    dense[:, END_ID] = _end_column(weights, random_sources(size, 64, seed))
    return weights


def _end_column(weights: AttentionWeights, sources: Ids) -> Doubles:
    """Return a column of the output layer for the end token with which it wins in a tenth of all steps, at any time.

    The weights are decoded with as they are, the end token left out. What sentences have in common there, at the
    first steps above all, is taken from the column: else all of them would end at once, or none.
    """
    reference, token = Reference(weights), np.full(len(sources), START_ID)
    encoded, states, vectors, highest = reference.encode(sources), reference.start(len(sources)), [], []
    for _ in range(STEPS):
        _, states = reference.step(encoded, states, token)
        logits = states[-1] @ weights.dense_kernel
        logits[:, END_ID] = -np.inf
        token = logits.argmax(axis=1)
        vectors.append(states[-1])
        highest.append(logits.max(axis=1))
    column = weights.dense_kernel[:, END_ID].astype(np.float64)
    common, _ = np.linalg.qr(np.mean(vectors, axis=1).T)  # (units, steps)
    column -= common @ (common.T @ column)
    share = (np.concatenate(vectors) @ column) / np.concatenate(highest)
    return column / np.quantile(share, 0.9)


def random_sources(size: Size, count: int, seed: int) -> Ids:
    """Random sentences (count, source length), padded."""
    random = np.random.default_rng(seed)
    sources = random.integers(END_ID + 1, size.source, size=(count, SOURCE_LENGTH))
    lengths = random.integers(SOURCE_LENGTH // 2, SOURCE_LENGTH + 1, size=count)
    sources[np.arange(SOURCE_LENGTH) >= lengths[:, None]] = PADDING_ID
    return sources


class Encoded(NamedTuple):
    """What the decoder reads of its sources: memory and keys (rows, time, units), mask (rows, time)."""

    memory: Doubles
    keys: Doubles
    mask: NDArray[np.bool_]

    def rows(self, rows: Ids) -> Encoded:
        """Return some of the rows."""
        return Encoded(self.memory[rows], self.keys[rows], self.mask[rows])


States = list[Doubles]  # h and c of each layer, then the attentional vector; (rows, units) each


class Reference:
    """The model in float64, written down once more from the equations."""

    def __init__(self, weights: AttentionWeights) -> None:
        self._w = {name: value.astype(np.float64) for name, value in weights.arrays().items()}
        self._layers, self._units = len(weights.decoder), weights.units

    def encode(self, sources: Ids) -> Encoded:
        """Run the encoder over (rows, time) ids."""
        mask = sources != PADDING_ID
        output = self._w["source_embedding"][sources]
        for layer in range(self._layers):
            forward = self._read(f"encoder.{layer}.forward", output, mask)
            backward = self._read(f"encoder.{layer}.backward", output[:, ::-1], mask[:, ::-1])[:, ::-1]
            output = np.concatenate([forward, backward], axis=2)
        return Encoded(output, output @ self._w["keys"], mask)

    def start(self, rows: int) -> States:
        """Zeros."""
        return [np.zeros((rows, self._units)) for _ in range(2 * self._layers + 1)]

    def step(self, encoded: Encoded, states: States, tokens: Ids) -> tuple[Doubles, States]:
        """Log-probabilities (rows, target size), -inf where nothing is to be written, and the next states."""
        w, following = self._w, []
        x = np.concatenate([w["target_embedding"][tokens], states[-1]], axis=1)
        for layer in range(self._layers):
            x, state_c = self._lstm(f"decoder.{layer}", x, states[2 * layer], states[2 * layer + 1])
            following += [x, state_c]
        scores = np.where(encoded.mask, (encoded.keys @ x[:, :, None])[:, :, 0], -np.inf)
        share = np.exp(scores - scores.max(axis=1, keepdims=True))
        share /= share.sum(axis=1, keepdims=True)
        context = (share[:, None] @ encoded.memory)[:, 0]
        x = np.tanh(np.concatenate([context, x], axis=1) @ w["attentional_kernel"] + w["attentional_bias"])
        logits = x @ w["dense_kernel"]
        highest = logits.max(axis=1, keepdims=True)
        logits -= highest + np.log(np.exp(logits - highest).sum(axis=1, keepdims=True))
        logits[:, [PADDING_ID, START_ID]] = -np.inf
        return logits, [*following, x]

    def _read(self, name: str, inputs: Doubles, mask: NDArray[np.bool_]) -> Doubles:
        """All outputs of one direction; padding leaves the states as they are."""
        units = len(self._w[f"{name}.recurrent"])
        state_h = state_c = np.zeros((len(inputs), units))
        outputs = []
        for x, real in zip(inputs.swapaxes(0, 1), mask.T[..., None], strict=True):
            next_h, next_c = self._lstm(name, x, state_h, state_c)
            state_h, state_c = np.where(real, next_h, state_h), np.where(real, next_c, state_c)
            outputs.append(state_h)
        return np.stack(outputs, axis=1)

    def _lstm(self, name: str, x: Doubles, state_h: Doubles, state_c: Doubles) -> tuple[Doubles, Doubles]:
        w = self._w
        return lstm(x @ w[f"{name}.kernel"] + w[f"{name}.bias"] + state_h @ w[f"{name}.recurrent"], state_c)


def greedy(reference: Reference, sources: Ids) -> tuple[Ids, Doubles]:
    """Tokens (sentences, at most STEPS), -1 after the end, and each sentence's least lead over a second token."""
    encoded, states = reference.encode(sources), reference.start(len(sources))
    token, live = np.full(len(sources), START_ID), np.ones(len(sources), np.bool_)
    tokens, leads = [], []
    while live.any() and len(tokens) < STEPS:
        scores, states = reference.step(encoded, states, token)
        leads.append(np.where(live, lead(scores), np.inf))
        token = scores.argmax(axis=1)
        tokens.append(np.where(live, token, -1))
        live = live & (token != END_ID)
    return np.stack(tokens, axis=1), np.min(leads, axis=0)


def beam(reference: Reference, source: Ids, width: int) -> tuple[list[int], float]:
    """Return the best hypothesis of a source by log-probability, its end token included, and how clear choices were.

    Of the best `width` extensions those that end are set aside; the best `width` that don't end live on; over once so
    many have ended and none alive can beat the best of them. Clear is the least distance of what was just taken from
    what was just not taken, and of the best hypothesis from the second.
    """
    encoded, states, clear = reference.encode(source[None]), reference.start(1), np.inf
    sums, tokens, histories = np.zeros(1), np.array([START_ID]), [[]]
    ended: list[tuple[float, list[int]]] = []
    for step in range(STEPS):
        scores, states = reference.step(encoded.rows(np.zeros(len(tokens), np.int64)), states, tokens)
        flat = (sums[:, None] + scores).reshape(-1)
        best = np.argsort(-flat, kind="stable")[: 2 * width + 1]
        best = best[flat[best] > -np.inf]
        parents, written = np.divmod(best, scores.shape[1])
        first, alive = np.flatnonzero(written[:width] == END_ID), np.flatnonzero(written != END_ID)
        clear = min(clear, _gap(flat[best], width), _gap(flat[best[alive]], width))
        ended += [(float(flat[best[i]]), [*histories[parents[i]], END_ID]) for i in first]
        alive = alive[:width]
        histories = [[*histories[parents[i]], int(written[i])] for i in alive]
        sums, tokens, states = flat[best[alive]], written[alive], [state[parents[alive]] for state in states]
        if step == STEPS - 1:
            ended += list(zip(sums.tolist(), histories, strict=True))
        elif len(ended) >= width and sums[0] <= max(score for score, _ in ended):
            break
    ended.sort(key=lambda each: -each[0])
    return ended[0][1], min(clear, _gap(np.array([score for score, _ in ended]), 1))


def _gap(descending: Doubles, taken: int) -> float:
    """How far the last taken is ahead of the first not taken; infinitely where all are taken."""
    return float(descending[taken - 1] - descending[taken]) if len(descending) > taken else np.inf


def choose(weights: AttentionWeights, size: Size, count: int, searched: int, width: int) -> tuple[Ids, dict[int, Ids]]:
    """Return sources none of which comes near a tie, and their tokens by beam size.

    Args:
        weights: of the model.
        size: of the model.
        count: how many sources.
        searched: how many of them, the first ones, stay clear of ties in beam search too.
        width: of that beam.
    """
    reference, sources = Reference(weights), random_sources(size, 5 * count // 4, seed=2)
    tokens, leads = greedy(reference, sources)
    places = np.flatnonzero(leads > MIN_MARGIN)
    found: dict[int, list[int]] = {}
    for place in places.tolist():
        hypothesis, clear = beam(reference, sources[place], width)
        if clear > MIN_MARGIN:
            found[place] = hypothesis
        if len(found) == searched:
            break
    chosen = [*found, *(place for place in places.tolist() if place not in found)][:count]
    if len(found) < searched or len(chosen) < count:
        raise RuntimeError(f"{len(found)} and {len(chosen)} random sentences stay clear of ties; more are needed")
    beams = np.full((searched, STEPS), -1)
    for row, hypothesis in enumerate(found.values()):
        beams[row, : len(hypothesis)] = hypothesis
    return sources[chosen], {1: tokens[chosen], width: beams}
