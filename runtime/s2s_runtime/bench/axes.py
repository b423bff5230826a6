"""The values of the options that make the settings of `s2s-bench`, as lists or as a sweep."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Final, cast, get_args

from s2s_runtime.bench.settings import Case, Loading, Role
from s2s_runtime.console.app import UsageError
from s2s_runtime.options import Engine
from s2s_runtime.ort.sessions import available_providers
from s2s_runtime.ort.thread_rule import usable_cores

_BATCH_SIZES: Final = [1, 2, 4, 8, 16, 32, 64, 128, 256]
_BEAM_SIZES: Final = [1, 2, 5, 10]


@dataclass(frozen=True)
class Axes:
    """The values of each option of s2s-bench; every combination of them is a setting.

    Attributes:
        batch_sizes: sentences decoded together.
        beam_sizes: 1 = greedy.
        engines: see `DecodingOptions`.
        threads: inside an operator; None = one per physical core.
        workers: batches decoded at the same time; None = as the rules say.
        providers: lists of providers in order of preference; None = the CPU.
    """

    batch_sizes: Sequence[int]
    beam_sizes: Sequence[int]
    engines: Sequence[Engine]
    threads: Sequence[int | None]
    workers: Sequence[int | None]
    providers: Sequence[tuple[str, ...] | None]

    def swept(self, names: Collection[str]) -> Axes:
        """Return these axes with every value that makes sense on this machine on the axes of these names.

        Raises:
            MissingExtraError: "provider" is among them and onnxruntime is not installed.
        """
        axes = self
        if "batch" in names:
            axes = replace(axes, batch_sizes=_BATCH_SIZES)
        if "beam" in names:
            axes = replace(axes, beam_sizes=_BEAM_SIZES)
        if "engine" in names:
            axes = replace(axes, engines=[name for name in get_args(Engine) if name != "auto"])
        if "threads" in names:
            axes = replace(axes, threads=_up_to_all_cores())
        if "workers" in names:
            axes = replace(axes, workers=_up_to_all_cores())
        if "provider" in names:
            axes = replace(axes, providers=[(name,) for name in available_providers()])
        return axes

    def cases(self) -> list[Case]:
        """Return the ways to decode sources, by beam size, then batch size."""
        return [
            Case(batch, beam, engine)
            for beam, batch, engine in product(self.beam_sizes, self.batch_sizes, self.engines)
        ]

    def loadings(self, bundle: Path, role: Role = "bundle") -> list[Loading]:
        """Return the ways to load a bundle, by provider, then threads, then workers; see `Loading`."""
        return [
            Loading(bundle, role, threads, workers, providers)
            for providers, threads, workers in product(self.providers, self.threads, self.workers)
        ]


def numbers(option: str, text: str) -> list[int]:
    """Return the values of an option given as numbers between commas.

    Raises:
        UsageError: one of them is no number, or is below 1.
    """
    try:
        values = [int(part) for part in text.split(",")]
    except ValueError:
        values = []
    if not values or min(values) < 1:
        raise UsageError(f"{option}: expected numbers of at least 1 separated by commas, such as 1,8,32; got {text!r}")
    return list(dict.fromkeys(values))


def engines(text: str) -> list[Engine]:
    """Return the values of --engine.

    Raises:
        UsageError: one of them is no engine.
    """
    names, known = list(dict.fromkeys(text.split(","))), get_args(Engine)
    if not set(names) <= set(known):
        raise UsageError(f"--engine: expected any of {', '.join(known)}, separated by commas; got {text!r}")
    return [cast("Engine", name) for name in names]


def providers(given: Sequence[str] | None) -> list[tuple[str, ...] | None]:
    """Return the values of --provider: names between commas are one setting each, repeated options are one setting.

    Raises:
        UsageError: both are used at once, or a name is empty.
    """
    if not given:
        return [None]
    parts = [value.split(",") for value in given]
    if not all(name for names in parts for name in names) or (
        len(parts) > 1 and any(len(names) > 1 for names in parts)
    ):
        raise UsageError(
            "--provider: expected names separated by commas, each measured, or the option repeated, an order of "
            f"preference; got {' and '.join(map(repr, given))}"
        )
    return [tuple(given)] if len(parts) > 1 else [(name,) for name in dict.fromkeys(parts[0])]


def _up_to_all_cores() -> list[int]:
    """Return the powers of two up to the number of cores that this process may use, and that number."""
    cores = usable_cores()
    return [*(1 << i for i in range(cores.bit_length()) if 1 << i < cores), cores]
