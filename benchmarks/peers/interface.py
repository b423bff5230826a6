"""The one interface of all peers, and the weights that they share."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

WEIGHTS_FILE, PROBLEM_FILE, BUNDLE_FOLDER = "weights.npz", "problem.json", "model.s2s"


class Peer(Protocol):
    """One way to decode with the canonical translator.

    Attributes:
        title: what the tables call it.
        batch_sizes: those it is timed at; None = all.
    """

    title: str
    batch_sizes: tuple[int, ...] | None

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
        """
        ...

    def decode(self, sources: NDArray[np.int64], steps: int) -> NDArray[np.int64]:
        """Decode greedily, all sources at once where the peer can, never stopping early.

        Args:
            sources: (batch, source length) ids.
            steps: tokens to generate.

        Returns:
            (batch, steps) ids; the start token is not among them.
        """
        ...


@dataclass(frozen=True)
class Weights:
    """Weights of the canonical translator as Keras lays them out: gates in the order input, forget, cell, output.

    Args:
        encoder_kernel: (source size, 4 units).
        encoder_recurrent: (units, 4 units).
        encoder_bias: (4 units,).
        decoder_kernel: (target size, 4 units).
        decoder_recurrent: (units, 4 units).
        decoder_bias: (4 units,).
        dense_kernel: (units, target size).
        dense_bias: (target size,).
    """

    encoder_kernel: NDArray[np.float32]
    encoder_recurrent: NDArray[np.float32]
    encoder_bias: NDArray[np.float32]
    decoder_kernel: NDArray[np.float32]
    decoder_recurrent: NDArray[np.float32]
    decoder_bias: NDArray[np.float32]
    dense_kernel: NDArray[np.float32]
    dense_bias: NDArray[np.float32]

    @property
    def units(self) -> int:
        """Size of a recurrent state."""
        return len(self.encoder_recurrent)

    @property
    def source_size(self) -> int:
        """Symbols of the source."""
        return len(self.encoder_kernel)

    @property
    def target_size(self) -> int:
        """Symbols of the target."""
        return len(self.decoder_kernel)

    def write(self, folder: Path) -> None:
        """Store them, so that no peer needs Keras to read them."""
        np.savez(folder / WEIGHTS_FILE, **vars(self))

    @classmethod
    def read(cls, folder: Path) -> Weights:
        """The weights that `write` stored."""
        with np.load(folder / WEIGHTS_FILE) as arrays:
            return cls(**arrays)


@dataclass(frozen=True)
class Problem:
    """What is decoded.

    Args:
        model: where the weights came from.
        start_id: token fed at the first step.
        steps: tokens generated.
        sources: (sentences, source length) ids.
        expected: (sentences, steps) ids that every peer has to give.
    """

    model: str
    start_id: int
    steps: int
    sources: NDArray[np.int64]
    expected: NDArray[np.int64]

    def write(self, folder: Path) -> None:
        """Store it beside the weights."""
        fields = vars(self) | {"sources": self.sources.tolist(), "expected": self.expected.tolist()}
        (folder / PROBLEM_FILE).write_text(json.dumps(fields), encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> Problem:
        """The problem that `write` stored."""
        fields = json.loads((folder / PROBLEM_FILE).read_text(encoding="utf-8"))
        arrays = {name: np.array(fields[name], np.int64) for name in ("sources", "expected")}
        return cls(**{**fields, **arrays})
