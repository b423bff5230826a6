"""What the peers written with PyTorch share.

Layers take weights that Keras laid out: the gates have the same order, kernels are transposed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.metadata import version

import numpy as np
import torch
from torch import nn

from peers.interface import Ids, UnavailableError
from peers.weights import AttentionWeights, Lstm


class TorchPeer:
    """A peer that runs on PyTorch, at every batch size, and gives the reference's tokens."""

    batch_sizes = None
    title = "PyTorch eager"

    def __init__(self, device: str = "host") -> None:
        self.may_differ: dict[int, str] = {}
        self.device = torch.device("cuda" if device == "cuda" else "cpu")
        if device == "cuda":
            self.title = f"{self.title}, CUDA"

    def versions(self) -> dict[str, str]:
        """Version of PyTorch."""
        return {"torch": version("torch")}

    def threads(self) -> int:
        """Size of PyTorch's own pool."""
        return torch.get_num_threads()

    def limit_threads(self, threads: int | None) -> None:
        """Make that pool smaller; None leaves it.

        Raises:
            UnavailableError: a GPU was asked for, and PyTorch finds none.
        """
        if self.device.type == "cuda" and not torch.cuda.is_available():
            raise UnavailableError("PyTorch finds no GPU")
        if threads is not None:
            torch.set_num_threads(threads)


def write_greedily(
    step: Callable[[torch.Tensor], torch.Tensor],
    count: int,
    start: int,
    end: int | None,
    steps: int,
    *,
    device: torch.device | None = None,
) -> Ids:
    """Tokens (sentences, steps taken) of a loop that stops once every sentence has ended.

    Args:
        step: gives the next token of each sentence from the last one, and keeps the states.
        count: sentences.
        start: the first token read.
        end: ends a sentence; None = nothing does.
        steps: most tokens.
        device: where the steps run; None = on the CPU.
    """
    token, tokens = torch.full((count,), start, device=device), []
    ended = torch.zeros(count, dtype=torch.bool, device=device)
    for _ in range(steps):
        token = step(token)
        tokens.append(token)
        if end is not None:
            ended |= token == end
            if ended.all():
                break
    return torch.stack(tokens, dim=1).cpu().numpy()


def copy_into(module: nn.Module, suffix: str, lstm: Lstm) -> None:
    """Give one direction of one layer its weights; PyTorch has two biases and adds them."""
    kernel, recurrent, bias = lstm
    arrays = {"weight_ih": kernel.T, "weight_hh": recurrent.T, "bias_ih": bias, "bias_hh": np.zeros_like(bias)}
    parameters = dict(module.named_parameters())
    with torch.no_grad():
        for name, array in arrays.items():
            parameters[name + suffix].copy_(torch.tensor(array))


def copy_lstm(module: nn.LSTM, layers: Sequence[tuple[Lstm, Lstm]] | Sequence[tuple[Lstm]]) -> None:
    """Give an LSTM its weights, layer by layer, of both directions where it has two."""
    for number, directions in enumerate(layers):
        for lstm, way in zip(directions, ("", "_reverse"), strict=False):
            copy_into(module, f"_l{number}{way}", lstm)


def copy_lstm_cell(lstm: Lstm) -> nn.LSTMCell:
    """Return a cell with these weights."""
    cell = nn.LSTMCell(len(lstm.kernel), len(lstm.recurrent))
    copy_into(cell, "", lstm)
    return cell


def copy_attention(weights: AttentionWeights, *, context_first: bool) -> tuple[nn.Linear, nn.Linear, nn.Linear]:
    """Keys, attentional layer and output layer.

    Args:
        weights: of the model.
        context_first: whether the attentional layer reads the context before the decoder's output, or after it.
    """
    kernel = weights.attentional_kernel
    if not context_first:
        kernel = np.concatenate([kernel[weights.units :], kernel[: weights.units]])
    return linear(weights.keys), linear(kernel, weights.attentional_bias), linear(weights.dense_kernel)


def linear(kernel: np.ndarray, bias: np.ndarray | None = None) -> nn.Linear:
    """Return a dense layer of a kernel (inputs, outputs)."""
    layer = nn.Linear(*kernel.shape, bias=bias is not None)
    state = {"weight": torch.tensor(kernel.T)} | ({} if bias is None else {"bias": torch.tensor(bias)})
    layer.load_state_dict(state)
    return layer
