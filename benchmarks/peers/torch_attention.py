"""PyTorch, eager, batched: the model with attention and input feeding, greedy."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from peers.interface import Ids, Problem
from peers.torch_layers import TorchPeer, copy_attention, copy_lstm, copy_lstm_cell, write_greedily
from peers.weights import AttentionWeights


class TorchAttention(TorchPeer):
    """A packed `nn.LSTM` reads, `nn.LSTMCell`s write, under `inference_mode`; keys are made once per sentence.

    Greedy alone: PyTorch has no beam search; JoeyNMT is one that people wrote with it.
    """

    def load(self, folder: Path, threads: int | None) -> None:
        """Copy the weights."""
        self.limit_threads(threads)
        weights = AttentionWeights.read(folder)
        problem = Problem.read(folder)
        self._start, self._end, self._padding = problem.start_id, problem.end_id, problem.padding_id
        self._source = nn.Embedding.from_pretrained(torch.from_numpy(weights.source_embedding))
        self._target = nn.Embedding.from_pretrained(torch.from_numpy(weights.target_embedding))
        self._encoder = nn.LSTM(
            weights.source_embedding.shape[1],
            weights.units // 2,
            len(weights.encoder),
            batch_first=True,
            bidirectional=True,
        )
        copy_lstm(self._encoder, weights.encoder)
        self._cells = [copy_lstm_cell(lstm) for lstm in weights.decoder]
        self._keys, self._attentional, self._dense = copy_attention(weights, context_first=True)
        modules = (self._source, self._target, self._encoder, *self._cells, self._keys, self._attentional, self._dense)
        for module in modules:
            module.to(self.device)

    @torch.inference_mode()
    def decode(self, sources: Ids, steps: int) -> Ids:
        """See `Peer.decode`."""
        ids = torch.from_numpy(sources).to(self.device)
        mask = ids != self._padding
        packed = pack_padded_sequence(self._source(ids), mask.sum(dim=1).cpu(), batch_first=True)
        memory, _ = pad_packed_sequence(self._encoder(packed)[0], batch_first=True, total_length=ids.shape[1])
        keys, blocked = self._keys(memory), ~mask
        zeros = torch.zeros(len(ids), memory.shape[2], device=self.device)
        states, vector = [(zeros, zeros) for _ in self._cells], zeros

        def step(token: torch.Tensor) -> torch.Tensor:
            nonlocal vector
            x = torch.cat([self._target(token), vector], dim=1)
            for layer, cell in enumerate(self._cells):
                states[layer] = cell(x, states[layer])
                x = states[layer][0]
            scores = torch.bmm(keys, x[:, :, None])[:, :, 0].masked_fill_(blocked, -torch.inf)
            context = torch.bmm(scores.softmax(dim=1)[:, None], memory)[:, 0]
            vector = torch.tanh(self._attentional(torch.cat([context, x], dim=1)))
            return self._dense(vector).argmax(dim=1)

        return write_greedily(step, len(ids), self._start, self._end, steps, device=self.device)


def make_peer(device: str = "host") -> TorchAttention:
    """Return the peer of this file; variant "cuda": on a GPU."""
    return TorchAttention(device)
