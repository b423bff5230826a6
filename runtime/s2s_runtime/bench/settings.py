"""The settings that are measured: how bundles are loaded and how they decode."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from s2s_runtime.loading import load
from s2s_runtime.model import Model
from s2s_runtime.options import Engine

Role = Literal["bundle", "against"]


class Case(NamedTuple):
    """A way to decode sources.

    Attributes:
        batch_size: sentences decoded together.
        beam_size: beam size of the search; 1 = greedy.
        engine: see `DecodingOptions`.
    """

    batch_size: int
    beam_size: int = 1
    engine: Engine = "auto"


@dataclass(frozen=True, slots=True)
class Loading:
    """A way to load a bundle.

    Attributes:
        bundle: its path.
        role: "against" for the bundle that another is compared with.
        threads: inside an operator; None = one per physical core.
        workers: batches decoded at the same time; None = as the rules of `s2s_runtime.decoding.workers` say.
        providers: execution providers in order of preference; None = the CPU.
        allow_fallback: see `s2s_runtime.load`.
        low_memory: likewise.
    """

    bundle: Path
    role: Role = "bundle"
    threads: int | None = None
    workers: int | None = None
    providers: tuple[str, ...] | None = None
    allow_fallback: bool = False
    low_memory: bool = False

    def open(self) -> tuple[Model, float]:
        """Load the bundle; return the model and the seconds that it took.

        Raises:
            S2SError: as `s2s_runtime.load`.
        """
        start = time.perf_counter()
        model = load(
            self.bundle,
            providers=self.providers,
            intra_op_threads=self.threads,
            workers=self.workers,
            allow_fallback=self.allow_fallback,
            low_memory=self.low_memory,
        )
        return model, time.perf_counter() - start
