"""PyTorch, eager, batched."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from peers.interface import Problem, Weights


class TorchEager:
    """`nn.LSTM` reads, `nn.LSTMCell` and `nn.Linear` write, one-hot vectors in, under `inference_mode`.

    The faster of the ways in which a PyTorch user would write it: stepping an `nn.LSTM` was measured to take longer at
    every batch size (three times as long at batch 1, where it prepares its weights anew at each call), and
    `nn.functional.one_hot` longer than picking rows of an identity matrix.
    """

    title = "PyTorch eager"
    batch_sizes = None

    def versions(self) -> dict[str, str]:
        """Version of PyTorch."""
        return {"torch": version("torch")}

    def threads(self) -> int:
        """Size of PyTorch's own pool."""
        return torch.get_num_threads()

    def load(self, folder: Path, threads: int | None) -> None:
        """Copy the weights; PyTorch's gates have Keras's order, its kernels are transposed."""
        if threads is not None:
            torch.set_num_threads(threads)
        weights = Weights.read(folder)
        self._start = Problem.read(folder).start_id
        self._source_rows, self._target_rows = torch.eye(weights.source_size), torch.eye(weights.target_size)
        self._encoder = nn.LSTM(weights.source_size, weights.units, batch_first=True)
        _copy(self._encoder, "_l0", weights.encoder_kernel, weights.encoder_recurrent, weights.encoder_bias)
        self._decoder = nn.LSTMCell(weights.target_size, weights.units)
        _copy(self._decoder, "", weights.decoder_kernel, weights.decoder_recurrent, weights.decoder_bias)
        self._dense = nn.Linear(weights.units, weights.target_size)
        dense = {"weight": torch.tensor(weights.dense_kernel.T), "bias": torch.tensor(weights.dense_bias)}
        self._dense.load_state_dict(dense)

    @torch.inference_mode()
    def decode(self, sources: NDArray[np.int64], steps: int) -> NDArray[np.int64]:
        """See `Peer.decode`."""
        _, (state_h, state_c) = self._encoder(self._source_rows[torch.from_numpy(sources)])
        states = state_h[0], state_c[0]
        token = torch.full((len(sources),), self._start)
        tokens = []
        for _ in range(steps):
            states = self._decoder(self._target_rows[token], states)
            token = self._dense(states[0]).argmax(dim=1)
            tokens.append(token)
        return torch.stack(tokens, dim=1).numpy()


def _copy(
    module: nn.Module,
    suffix: str,
    kernel: NDArray[np.float32],
    recurrent: NDArray[np.float32],
    bias: NDArray[np.float32],
) -> None:
    """Give an LSTM Keras's weights; PyTorch has two biases and adds them."""
    arrays = {"weight_ih": kernel.T, "weight_hh": recurrent.T, "bias_ih": bias, "bias_hh": np.zeros_like(bias)}
    module.load_state_dict({name + suffix: torch.tensor(array) for name, array in arrays.items()})


def make_peer() -> TorchEager:
    """The peer of this file."""
    return TorchEager()
