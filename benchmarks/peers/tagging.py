"""What a program writes around a tagger that takes ids and gives ids."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from importlib.metadata import version

import numpy as np

from peers.interface import SOURCE_SYMBOL, TARGET_SYMBOL, Ids
from peers.weights import TaggerWeights


class Tagger(ABC):
    """The part of a tagging peer that is the same for all: symbols to ids, and ids to symbols."""

    batch_sizes = None
    may_differ: dict[int, str] = {}  # noqa: RUF012  # none does
    packages: tuple[str, ...] = ()
    """Those that do the work."""

    def versions(self) -> dict[str, str]:
        """Versions of the packages that do the work."""
        return {name: version(name) for name in self.packages}

    def threads(self) -> int:
        """Every framework's own choice is one per core."""
        return self._threads

    def work_with(self, threads: int | None) -> int:
        """Note and return how many threads work inside one operator."""
        self._threads = threads or os.cpu_count() or 1
        return self._threads

    def know(self, weights: TaggerWeights) -> None:
        """Make the two tables of symbols."""
        self._ids = {SOURCE_SYMBOL.format(i): i for i in range(len(weights.embedding))}
        self._tags = [TARGET_SYMBOL.format(i) for i in range(len(weights.dense_bias))]

    @abstractmethod
    def decode(self, sources: Ids, steps: int) -> Ids:
        """See `Peer.decode`."""

    def decode_texts(self, texts: list[str]) -> list[str]:
        """See `TextPeer.decode_texts`."""
        ids, tags = self._ids, self._tags
        sources = np.array([[ids[word] for word in text.split()] for text in texts])
        found = self.decode(sources, sources.shape[1])
        return [" ".join([tags[tag] for tag in row]) for row in found.tolist()]
