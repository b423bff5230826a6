"""What Keras itself would decode: the whole training model, re-fed with its own growing prefix.

Nothing here knows of encoders, states or graphs, and no code is shared with the runtime or the splitter: source and
target go into the training model as they did in training, and the distribution after the last token is read off.
The searches are written for clarity, one hypothesis at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import tree

from s2s_export.understand.bundle_terms import Understanding
from s2s_training.splitting.feeding import FedInput
from s2s_training.splitting.splitter import SplitModel

Sentence = Sequence[np.ndarray]  # one array for each source input

_MOST_OUTPUT = 1 << 26  # bytes of output in one call of the model: every step of every sentence has all symbols
_TIME_STEP = 16  # prefixes are padded to multiples of this, so that few shapes are compiled


@dataclass(frozen=True)
class Decoded:
    """One sentence as the oracle decoded it.

    Attributes:
        tokens: ids, the end token included where there is one.
        score: sum of log-probabilities divided by the length.
        gap: greedy: smallest difference between the two best log-probabilities met on the way; beam: smallest one at
            which a candidate was kept and another dropped. A near tie where tiny.
    """

    tokens: list[int]
    score: float
    gap: float


@dataclass
class Beam:
    """The beam search of one sentence, as it is defined.

    At each step the 2 * size best continuations are examined in order: an end among the first `size` of them is a
    finished hypothesis, the first `size` that don't end live on. It stops when `size` have finished and no live one can
    still overtake the best of them, or at the greatest length, where live ones count as they are.

    Attributes:
        size: how many live on.
        max_length: greatest length, the end token counted.
        ends: tokens that end a sequence.
        live: log-probability and tokens of those still growing, best first.
        finished: log-probability divided by the length, and tokens.
        length: tokens so far.
        done: whether the search has stopped.
        gap: smallest difference between a log-probability that was kept and one that was dropped.
    """

    size: int
    max_length: int
    ends: frozenset[int]
    live: list[tuple[float, list[int]]] = field(default_factory=lambda: [(0.0, [])])
    finished: list[tuple[float, list[int]]] = field(default_factory=list)
    length: int = 0
    done: bool = False
    gap: float = np.inf

    def extend(self, rows: Sequence[np.ndarray]) -> None:
        """Take one step, given the log-probabilities (symbols,) that follow each live sequence."""
        self.length += 1
        grown = [
            (total + float(row[token]), [*tokens, int(token)])
            for (total, tokens), row in zip(self.live, rows, strict=True)
            for token in _best(row, 2 * self.size)  # no other can be among the best 2 * size
            if np.isfinite(row[token])
        ]
        grown.sort(key=lambda item: -item[0])
        self._note_edges(grown)
        ended = [(total / self.length, tokens) for total, tokens in grown[: self.size] if tokens[-1] in self.ends]
        self.finished += ended
        self.live = [item for item in grown[: 2 * self.size] if item[1][-1] not in self.ends][: self.size]
        # A sum only falls, so the best a live one can still reach is its sum now over the greatest length.
        best = max((score for score, _ in self.finished), default=-np.inf)
        overtaken = len(self.finished) >= self.size and bool(self.live) and self.live[0][0] / self.max_length <= best
        if self.live and not overtaken and self.length == self.max_length:
            self.finished += [(total / self.max_length, tokens) for total, tokens in self.live]
        self.done = overtaken or not self.live or self.length == self.max_length

    def _note_edges(self, grown: Sequence[tuple[float, list[int]]]) -> None:
        """Keep the smallest gap at the two edges: the last that lives on, and the last place where an end counts."""
        growing = [total for total, tokens in grown[: 2 * self.size] if tokens[-1] not in self.ends]
        edges = [growing[self.size - 1 : self.size + 1]]
        around = grown[self.size - 1 : self.size + 1]
        if any(tokens[-1] in self.ends for _, tokens in around):
            edges.append([total for total, _ in around])
        self.gap = min([self.gap, *(kept - dropped for kept, dropped in (edge for edge in edges if len(edge) == 2))])

    def ranked(self) -> list[Decoded]:
        """Return the best finished hypotheses, at most `size`, the best first."""
        best = sorted(self.finished, key=lambda item: -item[0])[: self.size]
        return [Decoded(tokens, score, self.gap) for score, tokens in best]


class Oracle:
    """Computes next-token distributions and sequences with the whole training model."""

    def __init__(self, model: keras.Model, split: SplitModel, facts: Understanding) -> None:
        """Compile the model's forward pass; neither model nor split is changed."""
        self._model, self._split, self._facts = model, split, facts
        signature = [
            tf.TensorSpec(tensor.shape, keras.backend.standardize_dtype(tensor.dtype)) for tensor in model.inputs
        ]
        # One trace serves all shapes, but Keras's TimeDistributed mistakes a time dimension it can't see while tracing.
        self._sees_time = any(isinstance(layer, keras.layers.TimeDistributed) for layer in model._flatten_layers())
        self._forward = tf.function(self._output, input_signature=None if self._sees_time else signature)

    def of_output(self, place: int, facts: Understanding) -> Oracle:
        """Return an oracle of another of the training model's outputs."""
        return Oracle(self._model, replace(self._split, output_index=place), facts)

    @property
    def model(self) -> keras.Model:
        """The training model."""
        return self._model

    @property
    def target_width(self) -> int | None:
        """The decoder input's number of steps, where the training model fixes it."""
        index = self._split.target_index
        return None if index is None else self._model.inputs[index].shape[1]

    def _output(self, *inputs: Any) -> Any:
        one = isinstance(self._model, keras.Sequential)
        structure = inputs[0] if one else tree.pack_sequence_as(self._model.input, list(inputs))
        return tree.flatten(self._model(structure, training=False))[self._split.output_index]

    def log_probabilities(self, sources: Sequence[Sentence], prefixes: Sequence[Sequence[int]]) -> np.ndarray:
        """Return log-probabilities (sentences, symbols) of the token after each prefix, which has no start token.

        A language model without a start token has read at least one token of a prefix.
        """
        lengths = np.array([len(prefix) for prefix in prefixes]) - (1 if self._facts.without_start else 0)
        at = self.outputs(sources, self._fed(prefixes), int(lengths.max()) + 1, at=lengths)
        return _log(at.astype(np.float64), probabilities=self._facts.probabilities)

    def outputs(
        self, sources: Sequence[Sentence], fed: np.ndarray | None, steps: int, at: np.ndarray | None = None
    ) -> np.ndarray:
        """Return the training model's output (sentences, time, features), or (sentences, features) where `at` is given.

        Args:
            sources: what is known of each sentence before it is decoded.
            fed: what the decoder is fed back, (sentences, time) or (sentences, time, features), the output of a step
                one later; None where nothing is.
            steps: how many steps of the target are needed at least.
            at: the one step of each sentence to return.
        """
        arrays: list[Any] = [None] * len(self._model.inputs)
        if self._split.target_index is not None:
            arrays[self._split.target_index] = fed
        for position, index in enumerate(self._split.source_indices):
            if not self._split.known[position]:
                arrays[index] = self._source(position, [source[position] for source in sources])
        width = steps if fed is None else fed.shape[1]
        for read in self._split.fed_inputs:
            arrays[read.index] = self._read_at_each_step(read, sources, fed, width)
        for index, spec in enumerate(self._model.inputs):
            if arrays[index] is None:  # what nothing decoded depends on
                arrays[index] = np.zeros([len(sources), *(size or 1 for size in spec.shape[1:])])
        fixed = self._model.inputs[0].shape[0]  # a model may fix its batch: the last one is filled up
        rows = fixed or max(1, _MOST_OUTPUT // (4 * max(1, width) * self._facts.target.size))
        made = []
        for i in range(0, len(sources), rows):
            output = self._batch([array[i : i + rows] for array in arrays], fixed)
            made.append(output if at is None else output[np.arange(len(output)), at[i : i + rows]])
        return np.concatenate(made)

    def positions(self, sources: Sequence[Sentence]) -> np.ndarray:
        """Return what a model gives to which nothing is fed, (sentences, positions, size), log-probabilities or values.

        An output for the whole sentence counts as one position.
        """
        output = self.outputs(sources, None, 0)
        output = output[:, None] if output.ndim == 2 else output
        values = self._facts.target.feedback == "value"
        return output if values else _log(output.astype(np.float64), probabilities=self._facts.probabilities)

    def _read_at_each_step(
        self, read: FedInput, sources: Sequence[Sentence], fed: np.ndarray | None, width: int
    ) -> np.ndarray:
        """Return one of the decoder's inputs, (sentences, time) or (sentences, time, features), its parts side by side.

        Args:
            read: the input.
            sources: what is known in advance is among them.
            fed: what is fed back.
            width: steps, where the model doesn't fix them.
        """
        spec = self._model.inputs[read.index]
        steps, given = spec.shape[1] or width, []
        for part in read.feed.parts:
            if part.kind == "previous":
                given.append(fed if not part.columns else np.asarray(fed)[..., list(part.columns)])
            elif part.kind == "known":
                position = self._split.source_indices.index(read.index)
                rows = [source[position][:steps] for source in sources]
                shape = (len(rows), steps, *rows[0].shape[1:])
                known = np.zeros(shape, rows[0].dtype)
                for line, row in zip(known, rows, strict=True):
                    line[: len(row)] = row
                given.append(known)
            elif read.ids:
                given.append(np.full((len(sources), steps), self._facts.start_token if part.kind == "constant" else 0))
            else:
                rest = spec.shape[2] - sum(np.shape(other)[-1] for other in given)
                later = [len(other.columns) or self._facts.target.size for other in read.feed.parts[len(given) + 1 :]]
                constant = np.zeros((len(sources), steps, rest - sum(later)), np.float32)
                if part.kind == "constant":
                    constant[..., self._facts.start_token] = 1
                given.append(constant)
        return np.asarray(given[0] if len(given) == 1 else np.concatenate(given, axis=-1))

    def _batch(self, arrays: list[np.ndarray], fixed: int | None) -> np.ndarray:
        count = len(arrays[0])
        if fixed is not None and count < fixed:
            arrays = [np.concatenate([array, np.repeat(array[-1:], fixed - count, axis=0)]) for array in arrays]
        tensors = [
            tf.constant(array, dtype=keras.backend.standardize_dtype(spec.dtype))
            for array, spec in zip(arrays, self._model.inputs, strict=True)
        ]
        forward = self._forward
        if self._sees_time:  # the batch is left open, as in training: Keras adds (1, 1, n) to (1, n, 1) as a bias
            specs = [tf.TensorSpec([fixed, *tensor.shape[1:]], tensor.dtype) for tensor in tensors]
            forward = forward.get_concrete_function(*specs)
        return np.asarray(forward(*tensors))[:count]

    def _source(self, position: int, sources: Sequence[np.ndarray]) -> np.ndarray:
        """Return one input's rows, padded as its policy says: to the only length there is, or to the longest row."""
        spec = self._facts.sources[position]
        policy, kind = spec.padding, spec.kind
        if kind == "vector":
            return np.stack(sources)
        width = self._facts.longest[position] or max(len(source) for source in sources)
        rows = []
        for source in sources:
            short = width - len(source)
            before, after = (short, 0) if policy.side == "left" else (0, short)
            if kind == "values":
                rows.append(np.pad(source, [(before, after), (0, 0)]))
            else:
                rows.append(np.pad(source, (before, after), constant_values=policy.id or 0))
        batch = np.stack(rows)
        return _one_hot(batch, spec.size) if kind == "one-hot" else batch

    def _fed(self, prefixes: Sequence[Sequence[int]]) -> np.ndarray | None:
        if self._split.target_index is None:
            return None
        if self._facts.target.feedback == "probabilities":
            return self._first_steps(len(prefixes), max(len(prefix) for prefix in prefixes) + 1)
        longest = max(len(prefix) for prefix in prefixes) + 1
        rounded, most = -(-longest // _TIME_STEP) * _TIME_STEP, self._facts.target.most
        if most is not None:  # a table of places may end there
            rounded = max(longest, min(rounded, most))
        width = self.target_width or rounded
        ids = np.zeros((len(prefixes), width), dtype=np.int64)
        for row, prefix in zip(ids, prefixes, strict=True):
            fed = prefix if self._facts.without_start else [self._facts.target.start_id, *prefix]
            row[: len(fed)] = fed
        return _one_hot(ids, self._facts.target.size) if self._facts.one_hot_target else ids

    def _first_steps(self, count: int, steps: int) -> np.ndarray:
        """Return the decoder input of a model that feeds itself.

        It is the start token alone, or as often as the model is to take a step: all later steps read what the model
        itself gave.
        """
        spec = self._model.inputs[self._split.target_index]
        token = self._facts.target.start_id
        free = self._split.steps is None  # unrolled models read one step, others are as long as their input
        start = np.full((count, steps if free else 1), -1 if token is None else token)  # -1: a row of zeros
        if "int" in keras.backend.standardize_dtype(spec.dtype):
            return start
        rows = _one_hot(start, self._facts.target.size)
        return rows if free else rows.reshape(count, *spec.shape[1:])

    def greedy(self, sources: Sequence[Sentence], max_length: int) -> list[Decoded]:
        """Decode all sentences side by side, with the likeliest token at every step."""
        allowed = self._allowed()
        tokens = self._begun(sources)
        scores, gaps = np.zeros(len(sources)), np.full(len(sources), np.inf)
        live = list(range(len(sources)))
        for _ in range(max_length - len(tokens[0])):
            if not live:
                break
            rows = self.log_probabilities([sources[i] for i in live], [tokens[i] for i in live]) + allowed
            for i, row in zip(live, rows, strict=True):
                second, best = np.partition(row, -2)[-2:]
                scores[i] += best
                gaps[i] = min(gaps[i], best - second)
                tokens[i].append(int(row.argmax()))
            live = [i for i in live if tokens[i][-1] not in self._facts.target.end_ids]
        return [Decoded(t, s / max(len(t), 1), g) for t, s, g in zip(tokens, scores, gaps, strict=True)]

    def beam(self, sources: Sequence[Sentence], beam_size: int, max_length: int) -> list[list[Decoded]]:
        """Decode sentences by beam search, and return the hypotheses of each, best first.

        Sentences are decoded side by side, which saves calls and changes nothing else.
        """
        ends = frozenset(self._facts.target.end_ids)
        beams = [
            Beam(beam_size, max_length, ends, live=[(0.0, begun)], length=len(begun)) for begun in self._begun(sources)
        ]
        while searching := [i for i, beam in enumerate(beams) if not beam.done]:
            prefixes = [tokens for i in searching for _, tokens in beams[i].live]
            repeated = [sources[i] for i in searching for _ in beams[i].live]
            rows = iter(self.log_probabilities(repeated, prefixes) + self._allowed())
            for i in searching:
                beams[i].extend([next(rows) for _ in beams[i].live])
        return [beam.ranked() for beam in beams]

    def _begun(self, sources: Sequence[Sentence]) -> list[list[int]]:
        """Return what is written before anything is decoded: what a model without a start token goes on from."""
        return [[int(source[0][0])] if self._facts.without_start else [] for source in sources]

    def values(self, sources: Sequence[Sentence], steps: int) -> np.ndarray:
        """Return what a continuous model writes, its own outputs fed back after zeros: (sentences, steps, features)."""
        made = np.zeros((len(sources), 0, self._facts.target.size), dtype=np.float32)
        width = self.target_width or steps
        for _ in range(steps):
            fed = np.zeros((len(sources), width, self._facts.target.size), dtype=np.float32)
            fed[:, 1 : made.shape[1] + 1] = made[:, : width - 1]
            made = np.concatenate([made, self.outputs(sources, fed, width)[:, made.shape[1]][:, None]], axis=1)
        return made

    def _allowed(self) -> np.ndarray:
        """Return (symbols,): 0 for every token that may be generated, minus infinity for padding, start and unknown."""
        target = self._facts.target
        never = (target.start_id, target.padding_id, target.unknown_id)
        mask = np.zeros(target.size)
        mask[[token for token in never if token is not None and token not in target.end_ids]] = -np.inf
        return mask


def _best(row: np.ndarray, count: int) -> np.ndarray:
    """Return the places of the largest numbers of a row, the largest first, of equal ones the first."""
    least = np.partition(row, -count)[-count] if count < len(row) else -np.inf
    places = np.flatnonzero(row >= least)
    return places[np.argsort(-row[places], kind="stable")][:count]


def _one_hot(ids: np.ndarray, size: int) -> np.ndarray:
    """Return rows (..., size) with a one at each id; an id of -1 gives a row of zeros."""
    return (ids[..., None] == np.arange(size)).astype(np.float32)


def _log(rows: np.ndarray, *, probabilities: bool) -> np.ndarray:
    """Return log-probabilities from a model's outputs, which are probabilities or logits."""
    if probabilities:
        return np.log(np.maximum(rows, 1e-300))
    shifted = rows - rows.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
