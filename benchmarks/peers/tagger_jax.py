"""A tagger in JAX: both directions in one scan, compiled."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from peers.interface import Ids
from peers.tagging import Tagger
from peers.weights import TaggerWeights

Arrays = dict[str, jax.Array]


class TaggerJax(Tagger):
    """`jax.jit` of a `lax.scan`; the input kernels are multiplied for all positions at once.

    Args:
        apart: whether each direction is a scan of its own.
    """

    packages = ("jax", "jaxlib")

    def __init__(self, *, apart: bool) -> None:
        self.title = f"JAX, `jit` of {'two scans' if apart else 'a `scan`'}"
        self._scan = _each if apart else _both

    def load(self, folder: Path, threads: int | None) -> None:
        """Put the weights into JAX arrays; XLA compiles at the first call of each batch size."""
        self.work_with(threads)  # it sees to that by itself
        weights = TaggerWeights.read(folder)
        self.know(weights)
        arrays = {name: jnp.asarray(value) for name, value in vars(weights).items()}
        self._run = jax.jit(partial(_tag, arrays, self._scan))

    def decode(self, sources: Ids, steps: int) -> Ids:
        """See `Peer.decode`."""
        return np.asarray(self._run(sources.astype(np.int32)))


def _tag(w: Arrays, scan: Callable[[Arrays, jax.Array], tuple[jax.Array, jax.Array]], sources: jax.Array) -> jax.Array:
    read = w["embedding"][sources.T]  # (time, batch, embedding)
    forward, backward = scan(w, jnp.stack([read, read[::-1]]))
    logits = jnp.concatenate([forward, backward[::-1]], axis=2) @ w["dense_kernel"] + w["dense_bias"]
    return logits.argmax(axis=2).astype(jnp.int32).T


def _both(w: Arrays, ways: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return the states (time, batch, units) of both directions, from one scan."""
    gates = jnp.einsum("wtbe,weg->twbg", ways, w["kernels"]) + w["biases"][:, None]
    made = _scanned(gates, w["recurrents"])
    return made[:, 0], made[:, 1]


def _each(w: Arrays, ways: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return the states of both directions, each from a scan of its own."""
    gates = [ways[i] @ w["kernels"][i] + w["biases"][i] for i in (0, 1)]
    return _scanned(gates[0], w["recurrents"][0]), _scanned(gates[1], w["recurrents"][1])


def _scanned(gates: jax.Array, recurrent: jax.Array) -> jax.Array:
    def step(states: tuple[jax.Array, jax.Array], row: jax.Array) -> tuple[tuple[jax.Array, jax.Array], jax.Array]:
        state_h, state_c = states
        i, f, c, o = jnp.split(row + state_h @ recurrent, 4, axis=-1)
        state_c = jax.nn.sigmoid(f) * state_c + jax.nn.sigmoid(i) * jnp.tanh(c)
        state_h = jax.nn.sigmoid(o) * jnp.tanh(state_c)
        return (state_h, state_c), state_h

    zeros = jnp.zeros((*gates.shape[1:-1], recurrent.shape[-2]))
    return jax.lax.scan(step, (zeros, zeros), gates)[1]


def make_peer(variant: str = "both") -> TaggerJax:
    """Return the peer of this file; variant "apart": a scan for each direction."""
    return TaggerJax(apart=variant == "apart")
