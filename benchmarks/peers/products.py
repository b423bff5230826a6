"""Not a peer but a limit: the float32 matrix products of a decoding and nothing else, by several libraries.

Rows and results are there before; nothing waits for what came before it. The fastest library gives the limit.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np

from peers.interface import PRODUCTS_FILE, Ids, Problem

Run = Callable[[], object]
Shapes = list[tuple[int, int, int]]


class Products:
    """All products of one decoding by one library.

    Args:
        library: its name, also of its package.
        make: gets the folder, the shapes, the rows of a batch and the number of threads, makes everything that can be
            made before, and returns what does the products.
    """

    batch_sizes = None

    def __init__(self, library: str, make: Callable[[Path, Shapes, int, int | None], Run]) -> None:
        self.title = f"matrix products alone, {library}"
        self.may_differ: dict[int, str] = {}
        self._library, self._make = library, make

    def versions(self) -> dict[str, str]:
        """Version of the library."""
        return {self._library: version(self._library)}

    def threads(self) -> int:
        """Each library's own choice is one per core."""
        return self._given or os.cpu_count() or 1

    def load(self, folder: Path, threads: int | None) -> None:
        """Read the shapes."""
        self._folder, self._given = folder, threads
        self._shapes = Problem.read(folder).products
        self._ready: dict[int, Run] = {}

    def decode(self, sources: Ids, steps: int) -> Ids:
        """Nothing is decoded here.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError(f"{self.title}: multiplies {len(sources)} rows, decodes no {steps} steps")

    def multiply(self, batch: int) -> None:
        """See `Multiplier.multiply`."""
        if batch not in self._ready:
            self._ready[batch] = self._make(self._folder, self._shapes, batch, self._given)
        self._ready[batch]()


def _numpy(_: Path, shapes: Shapes, batch: int, __: int | None) -> Run:
    made = [
        (times, _rows(batch, shared), _rows(shared, columns), np.empty((batch, columns), np.float32))
        for times, shared, columns in shapes
    ]

    def run() -> None:
        for times, rows, kernel, result in made:
            for _ in range(times):
                np.matmul(rows, kernel, out=result)

    return run


def _torch(_: Path, shapes: Shapes, batch: int, threads: int | None) -> Run:
    import torch

    if threads is not None:
        torch.set_num_threads(threads)
    made = [
        (
            times,
            torch.from_numpy(_rows(batch, shared)),
            torch.from_numpy(_rows(shared, columns)),
            torch.empty(batch, columns),
        )
        for times, shared, columns in shapes
    ]

    @torch.inference_mode()
    def run() -> None:
        for times, rows, kernel, result in made:
            for _ in range(times):
                torch.mm(rows, kernel, out=result)

    return run


def _onnxruntime(folder: Path, shapes: Shapes, batch: int, threads: int | None) -> Run:
    """One run of a graph that holds all products, each with rows of its own: equal nodes would be merged."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0  # 0: its own choice
    session = onnxruntime.InferenceSession(folder / PRODUCTS_FILE, options, providers=["CPUExecutionProvider"])
    binding = session.io_binding()
    for place, (times, shared, _) in enumerate(shapes):
        binding.bind_cpu_input(f"rows.{place}", _rows(times, batch, shared))
    for output in session.get_outputs():
        binding.bind_output(output.name)
    return lambda: session.run_with_iobinding(binding)


def _rows(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


_LIBRARIES = {"numpy": _numpy, "torch": _torch, "onnxruntime": _onnxruntime}


def make_peer(variant: str) -> Products:
    """Return the products by the library `variant`."""
    return Products(variant, _LIBRARIES[variant])
