"""JAX: the whole decoding loop as a scan, compiled."""

from __future__ import annotations

import os
from functools import partial
from importlib.metadata import version
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from peers.interface import Problem, Weights


class JaxScan:
    """`jax.jit` of two `lax.scan`, encoder and decoder, with look-ups of the input kernel's rows."""

    title = "JAX, `jit` of a `scan`"
    batch_sizes = None

    def versions(self) -> dict[str, str]:
        """Versions of JAX and its XLA."""
        return {name: version(name) for name in ("jax", "jaxlib")}

    def threads(self) -> int:
        """XLA's pool has a thread per core."""
        return self._threads

    def load(self, folder: Path, threads: int | None) -> None:
        """Put the weights into JAX arrays; XLA compiles at the first call of each batch size."""
        self._threads = threads or os.cpu_count() or 1  # it sees to that by itself
        weights = {name: jnp.asarray(value) for name, value in vars(Weights.read(folder)).items()}
        self._run = jax.jit(partial(_decode, weights, Problem.read(folder).start_id), static_argnums=1)

    def decode(self, sources: NDArray[np.int64], steps: int) -> NDArray[np.int64]:
        """See `Peer.decode`."""
        return np.asarray(self._run(sources.astype(np.int32), steps))


def _decode(weights: dict[str, jax.Array], start: int, sources: jax.Array, steps: int) -> jax.Array:
    batch, units = sources.shape[0], weights["encoder_recurrent"].shape[0]
    read = (weights["encoder_kernel"] + weights["encoder_bias"])[sources.T]  # (time, batch, 4 units)
    table = weights["decoder_kernel"] + weights["decoder_bias"]

    def encode(states: tuple[jax.Array, jax.Array], row: jax.Array) -> tuple[tuple[jax.Array, jax.Array], None]:
        state_h, state_c = states
        return _lstm(row + state_h @ weights["encoder_recurrent"], state_c), None

    def write(carry: tuple[jax.Array, ...], _: None) -> tuple[tuple[jax.Array, ...], jax.Array]:
        token, state_h, state_c = carry
        state_h, state_c = _lstm(table[token] + state_h @ weights["decoder_recurrent"], state_c)
        token = (state_h @ weights["dense_kernel"] + weights["dense_bias"]).argmax(axis=1).astype(jnp.int32)
        return (token, state_h, state_c), token

    zeros = jnp.zeros((batch, units))
    states, _ = jax.lax.scan(encode, (zeros, zeros), read)
    _, tokens = jax.lax.scan(write, (jnp.full(batch, start, jnp.int32), *states), None, length=steps)
    return tokens.T


def _lstm(gates: jax.Array, state_c: jax.Array) -> tuple[jax.Array, jax.Array]:
    i, f, c, o = jnp.split(gates, 4, axis=1)
    state_c = jax.nn.sigmoid(f) * state_c + jax.nn.sigmoid(i) * jnp.tanh(c)
    return jax.nn.sigmoid(o) * jnp.tanh(state_c), state_c


def make_peer() -> JaxScan:
    """The peer of this file."""
    return JaxScan()
