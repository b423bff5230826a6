"""A small Transformer of `torch.nn`, for spelling to pronunciation, and the symbols that it reads and writes.

Pre-norm layers, sines for positions, output weights tied to the target's embedding.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import nn

PAD, START, END, UNKNOWN = range(4)
SPECIAL: Final = ("<pad>", "<s>", "</s>", "<unk>")
LONGEST: Final = 64
Ids = list[int]


@dataclass(frozen=True)
class Shape:
    """The size of a model.

    Args:
        width: of its vectors.
        inner: width of the feed-forward layers.
        heads: of each attention.
        encoder_layers: that read.
        decoder_layers: that write.
        dropout: while training.
    """

    width: int = 128
    inner: int = 256
    heads: int = 4
    encoder_layers: int = 2
    decoder_layers: int = 1
    dropout: float = 0.1


def position_table(width: int) -> torch.Tensor:
    """Return sines and cosines (positions, width)."""
    rates = torch.exp(torch.arange(0, width, 2) * (-math.log(10_000.0) / width))
    angles = torch.arange(LONGEST)[:, None] * rates
    return torch.cat([torch.sin(angles), torch.cos(angles)], dim=1)


class SmallTransformer(nn.Module):
    """Encoder and decoder of `nn.Transformer` with embeddings; logits are products with the target's embedding."""

    def __init__(self, shape: Shape, source_size: int, target_size: int) -> None:
        super().__init__()
        self.shape = shape
        self.source = nn.Embedding(source_size, shape.width, padding_idx=PAD)
        self.target = nn.Embedding(target_size, shape.width, padding_idx=PAD)
        for layer in (self.source, self.target):
            nn.init.normal_(layer.weight, std=shape.width**-0.5)
        self.layers = nn.Transformer(
            shape.width,
            shape.heads,
            shape.encoder_layers,
            shape.decoder_layers,
            shape.inner,
            shape.dropout,
            batch_first=True,
            norm_first=True,
        )
        self.layers.encoder.enable_nested_tensor = False
        self.dropout = nn.Dropout(shape.dropout)
        self.register_buffer("positions", position_table(shape.width))

    def _embed(self, layer: nn.Embedding, ids: torch.Tensor) -> torch.Tensor:
        embedded = layer(ids) * self.shape.width**0.5 + self.positions[: ids.shape[1]]
        return self.dropout(embedded)  # (batch, time, width)

    def encode(self, source: torch.Tensor) -> torch.Tensor:
        """Return the encoder's outputs (batch, time, width) for padded ids (batch, time)."""
        return self.layers.encoder(self._embed(self.source, source), src_key_padding_mask=source == PAD)

    def decode(self, memory: torch.Tensor, source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return the logits (batch, time, symbols) after each prefix of a target that begins with the start token."""
        length = target.shape[1]
        later = torch.triu(torch.ones(length, length, dtype=torch.bool), diagonal=1)
        outputs = self.layers.decoder(
            self._embed(self.target, target), memory, tgt_mask=later, memory_key_padding_mask=source == PAD
        )
        return outputs @ self.target.weight.T

    def forward(self, source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return what `decode` does, from the source itself."""
        return self.decode(self.encode(source), source, target)


@dataclass(frozen=True)
class Symbols:
    """The symbols of both sides by id; a source is read by characters, a target is separated by spaces."""

    source: tuple[str, ...]
    target: tuple[str, ...]

    @classmethod
    def of(cls, pairs: Sequence[tuple[str, str]]) -> Symbols:
        """Return those of some pairs."""
        sides = {letter for word, _ in pairs for letter in word}, {phone for _, text in pairs for phone in text.split()}
        source, target = ((*SPECIAL, *sorted(side)) for side in sides)
        return cls(source, target)

    def encode(self, words: Sequence[str]) -> list[Ids]:
        """Return the ids of sources, which end with the end token."""
        numbers = {symbol: index for index, symbol in enumerate(self.source)}
        return [[*(numbers.get(letter, UNKNOWN) for letter in word), END] for word in words]

    def encode_targets(self, texts: Sequence[str]) -> list[Ids]:
        """Return the ids of targets, between the start and the end token."""
        numbers = {symbol: index for index, symbol in enumerate(self.target)}
        return [[START, *(numbers.get(phone, UNKNOWN) for phone in text.split()), END] for text in texts]


def padded(rows: Sequence[Ids]) -> torch.Tensor:
    """Return rows of ids as one array, padded at their ends."""
    array = np.full((len(rows), max(map(len, rows))), PAD, np.int64)
    for row, ids in zip(array, rows, strict=True):
        row[: len(ids)] = ids
    return torch.from_numpy(array)


def save(folder: Path, model: SmallTransformer, symbols: Symbols, facts: dict[str, float]) -> None:
    """Write weights and what else a model needs to be read again."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(model.state_dict(), folder / "weights.pt")
    said = {"shape": asdict(model.shape), "source": symbols.source, "target": symbols.target, **facts}
    (folder / "model.json").write_text(json.dumps(said), encoding="utf-8")


def restore(folder: Path) -> tuple[SmallTransformer, Symbols]:
    """Read a model that was saved, ready to decode."""
    said = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    symbols = Symbols(tuple(said["source"]), tuple(said["target"]))
    model = SmallTransformer(Shape(**said["shape"]), len(symbols.source), len(symbols.target))
    model.load_state_dict(torch.load(folder / "weights.pt", weights_only=True))
    return model.eval(), symbols
