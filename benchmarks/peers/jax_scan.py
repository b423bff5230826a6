"""JAX: the whole decoding loop as a scan, compiled."""

from __future__ import annotations

import os
from functools import partial
from importlib.metadata import version
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from peers.interface import Ids, Problem
from peers.weights import Weights


class JaxScan:
    """`jax.jit` of two `lax.scan`, encoder and decoder, with look-ups of the input kernel's rows.

    Where sentences end, the decoder is a `lax.while_loop` that stops once all have.
    """

    title = "JAX, `jit` of a `scan`"
    batch_sizes = None

    def __init__(self) -> None:
        self.may_differ: dict[int, str] = {}

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
        problem = Problem.read(folder)
        self._run = jax.jit(partial(_decode, weights, problem.start_id, problem.end_id), static_argnums=1)

    def decode(self, sources: Ids, steps: int) -> Ids:
        """See `Peer.decode`."""
        return np.asarray(self._run(sources.astype(np.int32), steps))


def _decode(weights: dict[str, jax.Array], start: int, end: int | None, sources: jax.Array, steps: int) -> jax.Array:
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
    first = (jnp.full(batch, start, jnp.int32), *states)
    if end is None:
        _, tokens = jax.lax.scan(write, first, None, length=steps)
        return tokens.T

    def goes_on(loop: tuple[jax.Array, ...]) -> jax.Array:
        step, ended, *_ = loop
        return (step < steps) & ~ended.all()

    def advance(loop: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
        step, ended, tokens, *carry = loop
        carry, token = write(tuple(carry), None)
        return step + 1, ended | (token == end), tokens.at[step].set(token), *carry

    tokens = jnp.full((steps, batch), end, jnp.int32)
    return jax.lax.while_loop(goes_on, advance, (0, jnp.zeros(batch, bool), tokens, *first))[2].T


def _lstm(gates: jax.Array, state_c: jax.Array) -> tuple[jax.Array, jax.Array]:
    i, f, c, o = jnp.split(gates, 4, axis=1)
    state_c = jax.nn.sigmoid(f) * state_c + jax.nn.sigmoid(i) * jnp.tanh(c)
    return jax.nn.sigmoid(o) * jnp.tanh(state_c), state_c


def make_peer() -> JaxScan:
    """Return the peer of this file."""
    return JaxScan()
