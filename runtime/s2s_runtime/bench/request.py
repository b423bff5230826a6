"""The request to s2s-bench: which of its four modes, and which options belong to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from s2s_runtime.bench.axes import Axes, engines, numbers, providers
from s2s_runtime.bench.comparison import LEAST_ROUNDS
from s2s_runtime.bench.options import EVERY_MODE, PROCESSES, BenchOptions
from s2s_runtime.bench.settings import Loading
from s2s_runtime.bench.timing import Effort
from s2s_runtime.console.app import UsageError
from s2s_runtime.declared_options import taken_by

REPEATS: Final = {"latency": 30, "whole": LEAST_ROUNDS, "cold_start": 10, "memory": LEAST_ROUNDS}
"""How much is measured where --repeats isn't given."""
_SWEPT: Final = {"batch": "batch_size", "beam": "beam_size"}  # others are called as the option is


@dataclass(frozen=True, kw_only=True)
class Request(BenchOptions):
    """The options of the command, checked.

    Attributes:
        typed: the options that were given, by name, as `--help` spells them.

    Raises:
        UsageError: options don't go together, have no effect, or have a wrong value.
    """

    typed: Mapping[str, str]

    def __post_init__(self) -> None:
        modes = [name for name in EVERY_MODE if getattr(self, name)]
        problems = []
        if len(modes) > 1:
            problems.append(f"{' and '.join(map(_spelled, modes))}: expected one of these at most")
        elif modes:
            problems += self._foreign(modes[0])
        if self.bundle is None and "compare" not in modes:
            problems.append("BUNDLE: missing; expected a folder written by s2s-export, or --compare with two files")
        if self.whole and self.text is None:
            problems.append("--whole: needs --text")
        if self.encoding is not None and self.text is None:
            problems.append("--encoding: needs --text")
        if self.text is not None and "source_length" in self.typed:
            problems.append("--source-length: no effect with --text")
        for axis in self.sweep:
            if _SWEPT.get(axis, axis) in self.typed:
                problems.append(f"--sweep {axis}: expected no {self.typed[_SWEPT.get(axis, axis)]} beside it")
        axes = self.given_axes  # raises where a value is wrong
        if self.allow_fallback and (len(axes.providers) > 1 or "provider" in (self.sweep)):
            problems.append("--allow-fallback: expected one provider; several would be measured as the same one")
        if problems:
            raise UsageError("; ".join(problems))

    def _foreign(self, mode: str) -> list[str]:
        """Return the options that were typed and have no effect in a mode, or have only one value there."""
        foreign = [
            option if option.startswith("-") else option.upper()
            for name, option in self.typed.items()
            if name not in taken_by(BenchOptions, mode)
        ]
        problems = [f"{', '.join(foreign)}: no effect with {_spelled(mode)}"] if foreign else []
        axes = self.given_axes
        for name, values in (("threads", axes.threads), ("workers", axes.workers), ("provider", axes.providers)):
            if len(values) > 1:
                problems.append(f"--{name}: expected one value with {_spelled(mode)}, got {len(values)}")
        return problems

    @property
    def given_axes(self) -> Axes:
        """The values that were given for each setting, before sweeps."""
        return Axes(
            batch_sizes=numbers("--batch-size", self.batch_size),
            beam_sizes=numbers("--beam-size", self.beam_size),
            engines=engines(self.engine),
            threads=[None] if self.threads is None else numbers("--threads", self.threads),
            workers=[None] if self.workers is None else numbers("--workers", self.workers),
            providers=providers(self.provider),
        )

    @property
    def axes(self) -> Axes:
        """The values of each setting."""
        return self.given_axes.swept(self.sweep)

    def loadings(self) -> list[Loading]:
        """Return the ways to load the bundle, and the one that it is compared with."""
        loadings = self.axes.loadings(self.folder)
        if self.against is not None:
            loadings += self.axes.loadings(self.against, "against")
        fallback, low = self.allow_fallback, self.low_memory
        return [replace(loading, allow_fallback=fallback, low_memory=low) for loading in loadings]

    @property
    def effort(self) -> Effort:
        """The number of runs, rounds and warm-up batches."""
        return Effort(self.count, self.rounds, self.warm_up, self.whole)

    @property
    def count(self) -> int:
        """Number of runs or processes."""
        kind = next((name for name in (*PROCESSES, "whole") if getattr(self, name)), "latency")
        return REPEATS[kind] if self.repeats is None else self.repeats

    @property
    def folder(self) -> Path:
        """The path of the bundle.

        Raises:
            UsageError: no bundle was given, as with --compare.
        """
        if self.bundle is None:
            raise UsageError("BUNDLE: missing")
        return self.bundle


def _spelled(name: str) -> str:
    return "--" + name.replace("_", "-")
