"""PyTorch, the decoding step compiled by `torch.compile`."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import torch

from peers.interface import Ids, Problem, UnavailableError
from peers.torch_layers import TorchPeer, write_greedily
from peers.weights import Weights

States = tuple[torch.Tensor, torch.Tensor]
_COMPILERS = ("g++", "clang++", "c++")


class TorchCompile(TorchPeer):
    """The step of the encoder and that of the decoder compiled by inductor, called from a Python loop.

    Each is compiled once per batch size. Rows of the input kernel are looked up instead of multiplied by one-hot
    vectors, and the encoder's for all positions at once. The loops stay in Python: the compiler would unroll them, 46
    steps here, for each number of steps anew.
    """

    title = "PyTorch, `torch.compile` of the step"

    def load(self, folder: Path, threads: int | None) -> None:
        """Make tensors of the weights; inductor compiles at the first call of each batch size.

        Raises:
            UnavailableError: inductor finds no C++ compiler.
        """
        if not any(shutil.which(name) for name in (os.environ.get("CXX", ""), *_COMPILERS) if name):
            raise UnavailableError(f"inductor needs a C++ compiler, and none of {', '.join(_COMPILERS)} is there")
        self.limit_threads(threads)
        weights = Weights.read(folder)
        w = {name: torch.from_numpy(value) for name, value in vars(weights).items()}
        problem = Problem.read(folder)
        self._start, self._end, self._units = problem.start_id, problem.end_id, weights.units
        self._read = w["encoder_kernel"] + w["encoder_bias"]
        table = w["decoder_kernel"] + w["decoder_bias"]

        def encode(gates: torch.Tensor, states: States) -> States:
            return _lstm(gates + states[0] @ w["encoder_recurrent"], states[1])

        def write(token: torch.Tensor, states: States) -> tuple[torch.Tensor, States]:
            states = _lstm(table[token] + states[0] @ w["decoder_recurrent"], states[1])
            return (states[0] @ w["dense_kernel"] + w["dense_bias"]).argmax(dim=1), states

        torch._dynamo.config.recompile_limit = 64  # one version for each batch size, and no rows of unknown number
        self._encode = torch.compile(encode, dynamic=False, fullgraph=True)
        self._write = torch.compile(write, dynamic=False, fullgraph=True)

    @torch.inference_mode()
    def decode(self, sources: Ids, steps: int) -> Ids:
        """See `Peer.decode`."""
        read = self._read[torch.from_numpy(sources.T.copy())]  # (time, batch, 4 units)
        state = torch.zeros(len(sources), self._units)
        states = state, state.clone()
        for gates in read:
            states = self._encode(gates, states)

        def step(token: torch.Tensor) -> torch.Tensor:
            nonlocal states
            token, states = self._write(token, states)
            return token

        return write_greedily(step, len(sources), self._start, self._end, steps)


def _lstm(gates: torch.Tensor, state_c: torch.Tensor) -> States:
    i, f, c, o = gates.chunk(4, dim=1)
    state_c = torch.sigmoid(f) * state_c + torch.sigmoid(i) * torch.tanh(c)
    return torch.sigmoid(o) * torch.tanh(state_c), state_c


def make_peer() -> TorchCompile:
    """Return the peer of this file."""
    return TorchCompile()
