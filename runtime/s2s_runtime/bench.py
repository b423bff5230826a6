"""Measuring how fast a bundle decodes here."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from s2s_runtime.errors import InputError
from s2s_runtime.loading import load
from s2s_runtime.manifest import Manifest, OtherSource, SourceSpec
from s2s_runtime.model import Model
from s2s_runtime.options import Engine
from s2s_runtime.padding import PaddingPolicy
from s2s_runtime.sources import Inputs

_PACKAGES = ("s2s-runtime", "onnxruntime", "onnxruntime-gpu", "numpy")


@dataclass(frozen=True, slots=True)
class Measurement:
    """Decoding batches of one size with one beam size.

    Attributes:
        batch_size: sentences in one call.
        beam_size: of the search; 1 = greedy.
        engine: see `DecodingOptions`.
        repeats: how many batches were timed.
        p50_ms: median latency of a batch in milliseconds; p90_ms and p99_ms accordingly.
        sentences_per_second: over all timed batches.
        tokens_per_second: generated tokens of the best hypotheses, end tokens counted.
        tokens_per_sentence: mean.
    """

    batch_size: int
    beam_size: int
    engine: Engine
    repeats: int
    p50_ms: float
    p90_ms: float
    p99_ms: float
    sentences_per_second: float
    tokens_per_second: float
    tokens_per_sentence: float


@dataclass(frozen=True, slots=True)
class Setting:
    """What was measured, where.

    Attributes:
        bundle: its path.
        inputs: where the sources came from.
        load_seconds: opening the bundle, onnxruntime's import included where it was the first.
        provider: the execution provider obtained.
        threads: threads inside an operator; None = one per core.
        cpu: the processor's name.
        cores: how many it has.
        versions: of Python and the packages that matter.
    """

    bundle: str
    inputs: str
    load_seconds: float
    provider: str
    threads: int | None
    cpu: str
    cores: int
    versions: dict[str, str]

    def to_dict(self) -> dict[str, object]:
        """Plain values for JSON."""
        return asdict(self)


def timed_load(
    path: Path, providers: Sequence[str] | None, threads: int | None, allow_fallback: bool = False
) -> tuple[Model, float]:
    """Load a bundle and tell how many seconds that took."""
    start = time.perf_counter()
    model = load(path, providers=providers, intra_op_threads=threads, allow_fallback=allow_fallback)
    return model, time.perf_counter() - start


def describe_setting(bundle: Path, inputs: str, model: Model, load_seconds: float, threads: int | None) -> Setting:
    """Note what is measured and where."""
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:  # one of the two onnxruntime packages is always absent
            continue
    return Setting(
        bundle=str(bundle),
        inputs=inputs,
        load_seconds=load_seconds,
        provider=model.provider,
        threads=threads,
        cpu=cpu_name(),
        cores=os.cpu_count() or 1,
        versions=versions,
    )


def random_sources(manifest: Manifest, count: int, length: int, seed: int = 0) -> list[Any]:
    """Sources made up for a bundle: random ids, or values from a normal distribution.

    For a model of several sources each is a mapping from their names to such.

    Args:
        manifest: of the bundle.
        count: how many.
        length: of the longest; each is between half of it and all of it.
        seed: of the generator.
    """
    random = np.random.default_rng(seed)
    longest = min(length, manifest.padding.length or length)
    lengths = random.integers((longest + 1) // 2, longest + 1, size=count)
    source = manifest.source
    first = _random_rows(random, source, manifest.padding, lengths)
    if not source.others:
        return first
    others = [_random_rows(random, other, other.padding, lengths) for other in source.others]
    return [dict(zip(source.names, rows, strict=True)) for rows in zip(first, *others, strict=True)]


def _random_rows(
    random: np.random.Generator, source: SourceSpec | OtherSource, padding: PaddingPolicy, lengths: np.ndarray
) -> list[np.ndarray]:
    if source.kind == "vector":
        return [random.normal(size=source.size).astype(np.float32) for _ in lengths]
    if source.kind == "values":
        return [random.normal(size=(each, source.size)).astype(np.float32) for each in lengths]
    ids = [token for token in range(source.size) if token != padding.id]
    return [random.choice(ids, size=min(each, padding.length or each)) for each in lengths]


class Case(NamedTuple):
    """What is measured: the first three fields of `Measurement`."""

    batch_size: int
    beam_size: int = 1
    engine: Engine = "auto"


def measure(model: Model, sources: Sequence[object], case: Case, *, repeats: int, warm_up: int) -> Measurement:
    """Time the decoding of batches, each made of the next sources in turn.

    Args:
        model: the model.
        sources: what to decode, used again from the start when they run out.
        case: how they are decoded, so many in one call, all at once.
        repeats: batches timed.
        warm_up: batches decoded before.

    Raises:
        InputError: there are no sources.
        OptionError: the engine can't do what is measured.
    """
    if not sources:
        raise InputError("benchmark: expected at least one source, got none")
    run = _predict if model.manifest.target.feedback == "value" else _generate
    batches = _batches(sources, case.batch_size)
    for batch in islice(batches, warm_up):
        run(model, batch, case)
    seconds, tokens = [], 0
    for batch in islice(batches, repeats):
        start = time.perf_counter()
        tokens_of = run(model, batch, case)
        seconds.append(time.perf_counter() - start)
        tokens += tokens_of()
    p50, p90, p99 = (float(value) * 1e3 for value in np.percentile(seconds, (50, 90, 99)))
    sentences, total = repeats * case.batch_size, sum(seconds)
    return Measurement(*case, repeats, p50, p90, p99, sentences / total, tokens / total, tokens / sentences)


def _generate(model: Model, batch: Inputs, case: Case) -> Callable[[], int]:
    size = len(list(batch))
    results = model.generate(batch, beam_size=case.beam_size, engine=case.engine, max_batch_size=size)
    return lambda: sum(len(r.ids) + (r.hypotheses[0].finish_reason == "end") for r in results)


def _predict(model: Model, batch: Inputs, _: Case) -> Callable[[], int]:
    predicted = model.predict(batch, max_batch_size=len(list(batch)))
    return lambda: predicted.shape[0] * predicted.shape[1]


def _batches(sources: Sequence[object], size: int) -> Iterator[Inputs]:
    place = 0
    while True:
        yield [sources[(place + i) % len(sources)] for i in range(size)]  # type: ignore[misc]
        place += size


def cpu_name() -> str:
    """The processor's name as Linux tells it, elsewhere as Python does."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
