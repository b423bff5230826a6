"""The one interface of all peers, and what they are asked to decode. The weights are in `peers.weights`."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

PROBLEM_FILE, BUNDLE_FOLDER = "problem.json", "model.s2s"
INT8_FOLDER, FLOAT16_FOLDER = "model-int8.s2s", "model-float16.s2s"
PRODUCTS_FILE, PLAIN_FILE = "products.onnx", "plain.onnx"

SOURCE_SYMBOL, TARGET_SYMBOL = "word{}", "TAG{}"

Ids = NDArray[np.int64]
Rows = Ids | list[list[int]]
"""Ids as a peer has them."""


class UnavailableError(RuntimeError):
    """A peer can't run here; the message says why in a few words. Its row says so instead of a time."""


class Peer(Protocol):
    """One way to do the work.

    Attributes:
        title: what the tables call it.
        batch_sizes: those it is timed at; None = all.
        may_differ: why its tokens may be others than the reference's, by beam size; how many sentences differ is
            counted and told then. Empty = never, and a difference is an error.
    """

    title: str
    batch_sizes: tuple[int, ...] | None
    may_differ: dict[int, str]

    def versions(self) -> dict[str, str]:
        """Versions of the packages that do the work."""
        ...

    def threads(self) -> int:
        """Threads that work inside one operator, as found, not as asked for."""
        ...

    def load(self, folder: Path, threads: int | None) -> None:
        """Take the model in; not timed.

        Args:
            folder: what `prepare.py` wrote.
            threads: how many may work inside an operator, and cores that the process may use; None = the
                framework's own choice. Frameworks that count the cores of the process need not be told.

        Raises:
            UnavailableError: it can't run here.
        """
        ...

    def decode(self, sources: Ids, steps: int) -> Rows:
        """Decode greedily, all sources at once where the peer can.

        Where `Problem.end_id` is None nothing stops early. Else what follows a row's end token doesn't matter, and a
        peer stops once every row has one.

        Args:
            sources: (batch, source length) ids; in models that mask padding longest first.
            steps: most tokens to generate.

        Returns:
            (batch, at most `steps`) ids, all rows of one length; the start token is not among them.
        """
        ...


@runtime_checkable
class BeamPeer(Protocol):
    """A peer that searches with a beam as well."""

    def beam_search(self, sources: Ids, steps: int, beam_size: int) -> Ids:
        """As `Peer.decode`; the best hypothesis by log-probability, without a length penalty."""
        ...


@runtime_checkable
class ListPeer(Protocol):
    """A peer that sorts a long list and cuts it into batches by itself."""

    def decode_list(self, sources: Ids, steps: int, batch: int) -> Ids:
        """As `Peer.decode`, any number of sources in any order, at most `batch` at once."""
        ...


@runtime_checkable
class TextPeer(Protocol):
    """A peer that is timed from texts to texts as well."""

    def decode_texts(self, texts: list[str]) -> list[str]:
        """As `Peer.decode`; symbols are `SOURCE_SYMBOL` and `TARGET_SYMBOL` with their ids, with spaces between."""
        ...


@runtime_checkable
class Multiplier(Protocol):
    """Not a peer but a limit: does the matrix products of a decoding and nothing else."""

    def multiply(self, batch: int) -> None:
        """`Problem.products` for so many rows."""
        ...


@dataclass(frozen=True)
class Problem:
    """What is decoded.

    Args:
        model: where the weights came from.
        shape: sizes of the model, in words.
        start_id: token fed at the first step.
        end_id: token that ends a sequence; None = all rows go on for all steps.
        padding_id: what fills short sources.
        steps: most tokens generated.
        sources: (sentences, source length) ids.
        expected: (sentences, at most `steps`) ids that every peer has to give, by beam size; -1 after the end token.
        products: (how often, shared size, columns) of each float32 matrix product of one call that has a row per
            sentence, or nothing where they aren't measured.
    """

    model: str
    shape: str
    start_id: int
    end_id: int | None
    padding_id: int
    steps: int
    sources: Ids
    expected: dict[int, Ids]
    products: list[tuple[int, int, int]] = field(default_factory=list)

    def write(self, folder: Path) -> None:
        """Store it beside the weights."""
        expected = {str(beam): ids.tolist() for beam, ids in self.expected.items()}
        fields: dict[str, Any] = vars(self) | {"sources": self.sources.tolist(), "expected": expected}
        (folder / PROBLEM_FILE).write_text(json.dumps(fields), encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> Problem:
        """Return the problem that `write` stored."""
        fields = json.loads((folder / PROBLEM_FILE).read_text(encoding="utf-8"))
        fields["sources"] = np.array(fields["sources"], np.int64)
        fields["expected"] = {int(beam): np.array(ids, np.int64) for beam, ids in fields["expected"].items()}
        fields["products"] = [tuple(each) for each in fields["products"]]
        return cls(**fields)

    def longest_first(self, count: int) -> NDArray[np.intp]:
        """Places of the first `count` sentences, those with most ids before the padding first."""
        lengths = (self.sources[:count] != self.padding_id).sum(axis=1)
        return np.argsort(-lengths, kind="stable")
