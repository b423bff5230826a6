"""PyTorch, eager, batched."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.functional import one_hot

from peers.interface import Problem, Weights


class TorchEager:
    """`nn.LSTM` and `nn.Linear` on one-hot vectors under `inference_mode`: the model as a PyTorch user writes it."""

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
        weights = Weights.read(folder)
        self._start = Problem.read(folder).start_id
        self._source_size, self._target_size = weights.source_size, weights.target_size
        self._encoder = _lstm(weights.encoder_kernel, weights.encoder_recurrent, weights.encoder_bias)
        self._decoder = _lstm(weights.decoder_kernel, weights.decoder_recurrent, weights.decoder_bias)
        self._dense = nn.Linear(weights.units, weights.target_size)
        _copy(self._dense, weight=weights.dense_kernel.T, bias=weights.dense_bias)

    @torch.inference_mode()
    def decode(self, sources: NDArray[np.int64], steps: int) -> NDArray[np.int64]:
        """See `Peer.decode`."""
        _, states = self._encoder(one_hot(torch.from_numpy(sources), self._source_size).float())
        token = torch.full((len(sources), 1), self._start)
        tokens = []
        for _ in range(steps):
            output, states = self._decoder(one_hot(token, self._target_size).float(), states)
            token = self._dense(output).argmax(dim=-1)
            tokens.append(token)
        return torch.cat(tokens, dim=1).numpy()


def _lstm(kernel: NDArray[np.float32], recurrent: NDArray[np.float32], bias: NDArray[np.float32]) -> nn.LSTM:
    lstm = nn.LSTM(len(kernel), len(recurrent), batch_first=True)
    _copy(lstm, weight_ih_l0=kernel.T, weight_hh_l0=recurrent.T, bias_ih_l0=bias, bias_hh_l0=np.zeros_like(bias))
    return lstm


def _copy(module: nn.Module, **arrays: NDArray[np.float32]) -> None:
    module.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in arrays.items()})


def make_peer() -> TorchEager:
    """The peer of this file."""
    return TorchEager()
