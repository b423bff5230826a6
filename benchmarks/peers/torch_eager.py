"""PyTorch, eager, batched."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from peers.interface import Ids, Problem
from peers.torch_layers import TorchPeer, copy_lstm, copy_lstm_cell, linear, write_greedily
from peers.weights import Lstm, Weights


class TorchEager(TorchPeer):
    """`nn.LSTM` reads, `nn.LSTMCell` and `nn.Linear` write, one-hot vectors in, under `inference_mode`.

    The faster of the ways in which a PyTorch user would write it: stepping an `nn.LSTM` was measured to take longer at
    every batch size (three times as long at batch 1, where it prepares its weights anew at each call), and
    `nn.functional.one_hot` longer than picking rows of an identity matrix.
    """

    def load(self, folder: Path, threads: int | None) -> None:
        """Copy the weights; PyTorch's gates have Keras's order, its kernels are transposed."""
        self.limit_threads(threads)
        weights = Weights.read(folder)
        problem = Problem.read(folder)
        self._start, self._end = problem.start_id, problem.end_id
        self._source_rows = torch.eye(weights.source_size, device=self.device)
        self._target_rows = torch.eye(weights.target_size, device=self.device)
        self._encoder = nn.LSTM(weights.source_size, weights.units, batch_first=True)
        encoder = Lstm(weights.encoder_kernel, weights.encoder_recurrent, weights.encoder_bias)
        copy_lstm(self._encoder, [(encoder,)])
        self._decoder = copy_lstm_cell(Lstm(weights.decoder_kernel, weights.decoder_recurrent, weights.decoder_bias))
        self._dense = linear(weights.dense_kernel, weights.dense_bias)
        for module in (self._encoder, self._decoder, self._dense):
            module.to(self.device)

    @torch.inference_mode()
    def decode(self, sources: Ids, steps: int) -> Ids:
        """See `Peer.decode`."""
        _, (state_h, state_c) = self._encoder(self._source_rows[torch.from_numpy(sources).to(self.device)])
        states = state_h[0], state_c[0]

        def step(token: torch.Tensor) -> torch.Tensor:
            nonlocal states
            states = self._decoder(self._target_rows[token], states)
            return self._dense(states[0]).argmax(dim=1)

        return write_greedily(step, len(sources), self._start, self._end, steps, device=self.device)


def make_peer(device: str = "host") -> TorchEager:
    """Return the peer of this file; variant "cuda": on a GPU."""
    return TorchEager(device)
