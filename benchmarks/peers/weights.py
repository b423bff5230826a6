"""Weights that all peers of a problem share, stored so that none of them needs Keras to read them.

As Keras lays them out: kernels are (inputs, outputs), the gates of an LSTM come in the order input, forget, cell,
output.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

WEIGHTS_FILE = "weights.npz"

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Arrays:
    """Base of weights that are nothing but arrays by name."""

    def write(self, folder: Path) -> None:
        """Store them."""
        np.savez(folder / WEIGHTS_FILE, **vars(self))

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Return the weights that `write` stored."""
        with np.load(folder / WEIGHTS_FILE) as arrays:
            return cls(**arrays)


@dataclass(frozen=True)
class Weights(Arrays):
    """Weights of the canonical translator.

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

    encoder_kernel: Floats
    encoder_recurrent: Floats
    encoder_bias: Floats
    decoder_kernel: Floats
    decoder_recurrent: Floats
    decoder_bias: Floats
    dense_kernel: Floats
    dense_bias: Floats

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


class Lstm(NamedTuple):
    """One LSTM: kernel (inputs, 4 units), recurrent (units, 4 units), bias (4 units,)."""

    kernel: Floats
    recurrent: Floats
    bias: Floats


@dataclass(frozen=True)
class AttentionWeights:
    """Weights of a translator with attention and input feeding (Luong et al. 2015).

    The encoder reads both ways, each direction with half of the units, so that the memory has `units` features; the
    decoder starts from zeros and has `units` units in each layer.

    Args:
        source_embedding: (source size, embedding).
        target_embedding: (target size, embedding).
        encoder: forward and backward LSTM of each layer.
        decoder: the LSTM of each layer; the first reads an embedding and the last attentional vector beside it.
        keys: (units, units), from the memory to what a query is compared with.
        attentional_kernel: (2 units, units), the context's rows first, then the decoder output's.
        attentional_bias: (units,).
        dense_kernel: (units, target size); there is no bias.
    """

    source_embedding: Floats
    target_embedding: Floats
    encoder: Sequence[tuple[Lstm, Lstm]]
    decoder: Sequence[Lstm]
    keys: Floats
    attentional_kernel: Floats
    attentional_bias: Floats
    dense_kernel: Floats

    @property
    def units(self) -> int:
        """Size of a decoder state, and features of the memory."""
        return len(self.keys)

    def arrays(self) -> dict[str, Floats]:
        """All arrays by name; those of LSTMs are named like `encoder.0.backward.kernel` and `decoder.0.bias`."""
        found = {name: value for name, value in vars(self).items() if name not in ("encoder", "decoder")}
        named = {f"decoder.{layer}": lstm for layer, lstm in enumerate(self.decoder)}
        for layer, both in enumerate(self.encoder):
            named |= {f"encoder.{layer}.{way}": lstm for way, lstm in zip(("forward", "backward"), both, strict=True)}
        return found | {
            f"{name}.{part}": value for name, lstm in named.items() for part, value in lstm._asdict().items()
        }

    def write(self, folder: Path) -> None:
        """Store them."""
        np.savez(folder / WEIGHTS_FILE, **self.arrays())

    @classmethod
    def read(cls, folder: Path) -> AttentionWeights:
        """Return the weights that `write` stored."""
        with np.load(folder / WEIGHTS_FILE) as stored:
            arrays = dict(stored)

        def lstm(name: str) -> Lstm:
            return Lstm(*(arrays.pop(f"{name}.{part}") for part in Lstm._fields))

        count = {side: len({name.split(".")[1] for name in arrays if name.startswith(side + ".")}) for side in _SIDES}
        encoder = [(lstm(f"encoder.{i}.forward"), lstm(f"encoder.{i}.backward")) for i in range(count["encoder"])]
        decoder = [lstm(f"decoder.{i}") for i in range(count["decoder"])]
        return cls(encoder=encoder, decoder=decoder, **arrays)


@dataclass(frozen=True)
class TaggerWeights(Arrays):
    """Weights of a tagger that reads both ways.

    Args:
        embedding: (words, embedding).
        kernels: (2, embedding, 4 units), forward and backward.
        recurrents: (2, units, 4 units).
        biases: (2, 4 units).
        dense_kernel: (2 units, tags), the forward direction's rows first.
        dense_bias: (tags,).
    """

    embedding: Floats
    kernels: Floats
    recurrents: Floats
    biases: Floats
    dense_kernel: Floats
    dense_bias: Floats

    @property
    def units(self) -> int:
        """Size of the state of one direction."""
        return self.recurrents.shape[1]


_SIDES = ("encoder", "decoder")
