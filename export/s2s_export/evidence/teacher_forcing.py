"""How likely a model finds its pairs under a set-up, read off the bundle's own graphs by teacher forcing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from s2s_export.evidence.setups import SetUp
from s2s_runtime.search.step_model import StepModel

PAIRS: Final = 1024  # as many are scored: what they cost is seconds
OTHERS: Final = 7  # other sources that each target is scored against
_FEW: Final = 128
_BATCH: Final = 64


@dataclass(frozen=True)
class Scored:
    """The log-probabilities of targets under a set-up.

    Attributes:
        own: (pairs,), of each target given its own source.
        others: (pairs, OTHERS), of each target given another pair's source, of the same length where there is one.
        ends: (pairs,), probability of the end symbol after the text of the target.
        after: (target symbols,), mean probability of what follows the end symbol.
    """

    own: np.ndarray
    others: np.ndarray
    ends: np.ndarray
    after: np.ndarray

    @property
    def contrast(self) -> np.ndarray:
        """By how much each target is likelier given its own source than given another: (pairs,)."""
        return np.asarray(self.own - self.others.mean(axis=1))

    @property
    def wins(self) -> np.ndarray:
        """The share of the other sources under which a target is less likely than under its own: (pairs,)."""
        more, equal = self.own[:, None] > self.others, self.own[:, None] == self.others
        return np.asarray((more + 0.5 * equal).mean(axis=1))


@dataclass(frozen=True)
class Teacher:
    """Scores pairs with the graphs of a bundle.

    Attributes:
        model: the graphs.
        pairs: (source, target) texts whose symbols the vocabularies hold.
        others: how many other sources each target is scored against.
    """

    model: StepModel[Any]
    pairs: Sequence[tuple[str, str]]
    others: int = OTHERS

    @classmethod
    def drawn(cls, model: StepModel[Any], pairs: Sequence[tuple[str, str]]) -> Teacher:
        """Take up to `PAIRS` pairs at random, always the same ones; pairs with an empty side are left out."""
        whole = [pair for pair in pairs if all(pair)]
        rng = np.random.default_rng(0)
        picked = np.sort(rng.choice(len(whole), min(PAIRS, len(whole)), replace=False))
        return cls(model, [whole[i] for i in picked])

    def small(self) -> Teacher:
        """Return a teacher that scores few pairs, each against no other source."""
        every = max(1, len(self.pairs) // _FEW)
        return Teacher(self.model, self.pairs[::every], 0)

    def score(self, setup: SetUp) -> Scored:
        """Score every target, given its own source and given others, under a set-up of a fixed source length."""
        sources = source_rows(setup, [source for source, _ in self.pairs])
        targets = [_target(setup, target) for _, target in self.pairs]
        others = _others([len(source) for source, _ in self.pairs], self.others)
        order = np.argsort([len(target) for target in targets], kind="stable")
        totals = np.zeros((len(targets), 1 + len(others)))
        ends, after = np.zeros(len(targets)), np.zeros((0,))
        for first in range(0, len(order), _BATCH):
            batch = order[first : first + _BATCH]
            read = np.concatenate([sources[batch], *(sources[other[batch]] for other in others)])
            scores, ended, followed = self._forced(read, [targets[i] for i in batch])
            totals[batch], ends[batch] = scores.T, ended
            after = followed if not len(after) else after + followed
        return Scored(totals[:, 0], totals[:, 1:], ends, after / len(targets))

    def _forced(self, read: np.ndarray, targets: list[list[int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return scores (copies, targets), probability of each end symbol, and the sum of what follows them."""
        copies, count = len(read) // len(targets), len(targets)
        longest, lengths = max(map(len, targets)), np.array([len(target) for target in targets])
        fed = np.zeros((count, longest + 1), np.int64)
        for row, target in zip(fed, targets, strict=True):
            row[: len(target)] = target
        states, scores, ended = self.model.encode(read), np.zeros((copies, count)), np.zeros(count)
        followed: Any = 0.0
        for step in range(longest):
            logits = self.model.step(states, np.tile(fed[:, step], copies)).logits.astype(np.float64)
            logits = logits.reshape(copies, count, -1)
            logs = logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True)
            chosen = np.take_along_axis(logs, fed[None, :, step + 1, None], axis=-1)[..., 0]
            scores += np.where(step + 1 < lengths, chosen, 0.0)
            last = step + 2 == lengths  # what follows is the end symbol
            ended[last] = np.exp(chosen[0, last])
            followed = followed + np.exp(logs[0, step + 1 == lengths]).sum(axis=0)
        return scores, ended, followed


def source_rows(setup: SetUp, texts: Sequence[str]) -> np.ndarray:
    """Return the ids of texts, padded as a set-up says: (texts, source length).

    Raises:
        UnknownSymbolError: a text holds a symbol that the vocabulary lacks.
    """
    padding, source = setup.padding, setup.source
    if source is None or padding.length is None or padding.id is None:
        raise ValueError("expected a source vocabulary and a fixed source length")
    rows = np.full((len(texts), padding.length), padding.id, np.int64)
    for row, text in zip(rows, texts, strict=True):
        ids = source.wrap(source.encode(text))[: padding.length]
        ids = ids[::-1] if setup.reverse != source.reverse else ids
        row[(slice(padding.length - len(ids), None) if padding.side == "left" else slice(len(ids)))] = ids
    return rows


def _target(setup: SetUp, text: str) -> list[int]:
    """Return start, text and end as ids."""
    ends = setup.ends
    if ends.vocabulary is None or ends.start_id is None:
        raise ValueError("expected a target vocabulary and a start symbol")
    return [ends.start_id, *ends.vocabulary.encode(text), *ends.end_ids[:1]]


def _others(lengths: Sequence[int], count: int) -> list[np.ndarray]:
    """Return permutations (pairs,) that give each pair another of the pairs whose sources are equally long."""
    rng, places = np.random.default_rng(1), np.asarray(lengths)
    groups = [np.flatnonzero(places == length) for length in sorted(set(lengths))]
    permutations = []
    for _ in range(count):
        permutation = np.arange(len(places))
        for group in groups:
            permutation[group] = rng.permutation(group)
        permutations.append(permutation)
    return permutations


def paired(one: np.ndarray, other: np.ndarray) -> float:
    """Return z of the mean difference of paired figures; positive where the first is larger."""
    difference = one - other
    spread = difference.std()
    return 0.0 if spread == 0 else float(difference.mean() / (spread / np.sqrt(len(difference))))
