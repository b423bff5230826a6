"""Weights of cuDNN layers in files of Keras 2, turned into those of ordinary layers."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np


def convert_cudnn_weights(file: h5py.File) -> None:
    """Turn the weights of cuDNN layers, known by the length of their bias, into those of ordinary layers."""
    groups: list[h5py.Group] = [file]
    file.visititems(lambda _, item: groups.append(item) if isinstance(item, h5py.Group) else None)
    for group in groups:
        names = {"kernel", "recurrent_kernel", "bias"}
        datasets = {name.split(":")[0]: item for name, item in group.items() if isinstance(item, h5py.Dataset)}
        if not names <= set(datasets):
            continue
        kernel, recurrent, bias = (datasets[name][()] for name in ("kernel", "recurrent_kernel", "bias"))
        gates = recurrent.shape[1] // recurrent.shape[0]
        if recurrent.ndim == 2 and bias.shape == (2 * recurrent.shape[1],):
            for name, value in from_cudnn(kernel, recurrent, bias, gates).items():
                key = Path(datasets[name].name).name
                del group[key]
                group.create_dataset(key, data=value)


def from_cudnn(kernel: np.ndarray, recurrent: np.ndarray, bias: np.ndarray, gates: int) -> dict[str, np.ndarray]:
    """Return the weights of a cuDNN layer as those of an LSTM (4 gates) or of a GRU with `reset_after` (3 gates).

    cuDNN reads each gate's matrices by columns where Keras reads them by rows. It has a bias for the input and one for
    the state: an LSTM needs their sum, a GRU both.

    Args:
        kernel: (features, gates * units).
        recurrent: (units, gates * units).
        bias: (2 * gates * units,).
        gates: how many there are.
    """
    inputs = [gate.T.reshape(gate.shape, order="F") for gate in np.split(kernel, gates, axis=1)]
    states = [gate.T for gate in np.split(recurrent, gates, axis=1)]
    both = bias.reshape(2, -1)
    return {
        "kernel": np.concatenate(inputs, axis=1),
        "recurrent_kernel": np.concatenate(states, axis=1),
        "bias": both if gates == 3 else both.sum(axis=0),
    }
