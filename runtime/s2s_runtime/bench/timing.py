"""Latency and throughput of settings, visited in turn.

Each round visits every setting once, in an order drawn anew, so that what else the machine does hits all alike. Those
that differ in bundle, threads, workers or provider only follow each other, as they are compared. On a visit one batch
is decoded untimed, which brings caches and threads back, then some that are timed. Settings of one batch size decode
the same batches.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from random import Random
from typing import Any, Final, NamedTuple

import numpy as np

from s2s_runtime.bench.settings import Case, Loading
from s2s_runtime.errors import InputError
from s2s_runtime.model import Model


class Effort(NamedTuple):
    """The number of runs to time, and how they are spread.

    Attributes:
        repeats: runs timed in each setting.
        rounds: most visits into which these runs are split.
        warm_up: batches of each setting decoded before anything is timed.
        whole: a run decodes all sources, cut into batches by the runtime; otherwise the next batch of them.
    """

    repeats: int = 30
    rounds: int = 10
    warm_up: int = 3
    whole: bool = False

    def visits(self) -> list[int]:
        """Return how many runs each visit times."""
        count = min(self.rounds, self.repeats)
        return [self.repeats // count + (i < self.repeats % count) for i in range(count)]


@dataclass(frozen=True, slots=True)
class Subject:
    """A setting to be timed.

    Attributes:
        model: the loaded model.
        loading: how it was loaded.
        case: how it decodes.
    """

    model: Model
    loading: Loading
    case: Case


LOADED: Final = ("engine", "threads", "workers", "provider")
"""What sets measurements apart beside batch and beam, in the order in which it is shown."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """The times of decoding in one setting.

    Attributes:
        bundle: path of the bundle.
        role: see `Loading`.
        batch_size: sentences decoded together.
        beam_size: beam size of the search; 1 = greedy.
        engine: see `DecodingOptions`.
        threads: inside an operator; None = one per physical core.
        workers: batches decoded at the same time; None = as the rules say.
        provider: the execution provider obtained.
        repeats: how many runs were timed.
        run_sentences: sentences decoded in a run: the batch size, or all there are.
        p50_ms: median time of a run in milliseconds; p25_ms, p75_ms, p90_ms and p99_ms accordingly.
        sentences_per_second: over all timed runs.
        tokens_per_second: generated tokens of the best hypotheses, end tokens counted.
        tokens_per_sentence: mean number of these tokens in a sentence.
        visits: seconds of each run, by rounds.
    """

    bundle: str
    role: str
    batch_size: int
    beam_size: int
    engine: str
    threads: int | None
    workers: int | None
    provider: str
    repeats: int
    run_sentences: int
    p25_ms: float
    p50_ms: float
    p75_ms: float
    p90_ms: float
    p99_ms: float
    sentences_per_second: float
    tokens_per_second: float
    tokens_per_sentence: float
    visits: list[list[float]]

    @property
    def max_ms(self) -> float:
        """Time of the longest run in milliseconds."""
        return max(seconds for visit in self.visits for seconds in visit) * 1e3

    def to_dict(self) -> dict[str, object]:
        """Return plain values for JSON."""
        return asdict(self)


def swept(measured: Sequence[Measurement], names: Sequence[str] = LOADED) -> list[str]:
    """Return the names of those fields that have several values."""
    return [name for name in names if len({getattr(measurement, name) for measurement in measured}) > 1]


def measure_all(
    subjects: Sequence[Subject],
    sources: Sequence[object],
    effort: Effort,
    progress: Callable[[int, int], None] | None = None,
) -> list[Measurement]:
    """Time settings in turn.

    Every setting decodes `effort.warm_up` batches before any is timed, so that a setting that can't decode fails early.

    Args:
        subjects: the settings.
        sources: what to decode, used again from the start when they run out.
        effort: the number of runs to time.
        progress: called with the number of visits done and of all visits.

    Returns:
        One measurement per subject, in order.

    Raises:
        InputError: there are no sources, or they don't fit a model.
        OptionError: an engine can't do what is measured.
    """
    if not sources:
        raise InputError("benchmark: expected at least one source, got none")
    timers = [_Timer(subject, sources, effort.whole) for subject in subjects]
    for timer in timers:
        timer.warm_up(effort.warm_up)
    visits, random = effort.visits(), Random(0)
    for turn, count in enumerate(visits):
        for done, timer in enumerate(_in_turn(timers, random)):
            timer.visit(count)
            if progress is not None:
                progress(turn * len(timers) + done + 1, len(visits) * len(timers))
    return [timer.measurement() for timer in timers]


def _in_turn(timers: Sequence[_Timer], random: Random) -> list[_Timer]:
    """Return an order of visits: the ways of decoding are shuffled, and within each way those that decode so."""
    cases = list(dict.fromkeys(timer.subject.case for timer in timers))
    random.shuffle(cases)
    order = []
    for case in cases:
        alike = [timer for timer in timers if timer.subject.case == case]
        random.shuffle(alike)
        order += alike
    return order


@dataclass(slots=True)
class _Timer:
    """The timer of one setting."""

    subject: Subject
    sources: Sequence[object]
    whole: bool
    visits: list[list[float]] = field(default_factory=list)
    tokens: int = 0
    index: int = 0

    @property
    def run_sentences(self) -> int:
        return len(self.sources) if self.whole else self.subject.case.batch_size

    def batch(self, index: int) -> list[Any]:
        size = self.subject.case.batch_size
        return [self.sources[i % len(self.sources)] for i in range(index * size, (index + 1) * size)]

    def warm_up(self, batches: int) -> None:
        workers = self.subject.model.workers
        if self.whole and workers is not None:
            _ = workers.model  # else the first timed run opens it, where no single batch is worth it
        for index in range(batches):
            self.decode(self.batch(index))

    def decode(self, sources: Sequence[Any]) -> Callable[[], int]:
        """Decode, and return a function that counts the tokens, which isn't to be timed."""
        model, case = self.subject.model, self.subject.case
        if model.manifest.target.feedback == "value":
            predicted = model.predict(sources, max_batch_size=case.batch_size)
            return lambda: predicted.shape[0] * predicted.shape[1]
        results = model.generate(sources, beam_size=case.beam_size, engine=case.engine, max_batch_size=case.batch_size)
        return lambda: sum(len(r.ids) + (r.hypotheses[0].finish_reason == "end") for r in results)

    def visit(self, count: int) -> None:
        self.decode(self.batch(self.index))
        seconds = []
        for _ in range(count):
            sources = self.sources if self.whole else self.batch(self.index)
            start = time.perf_counter()
            tokens = self.decode(sources)
            seconds.append(time.perf_counter() - start)
            self.tokens += tokens()
            self.index += 1
        self.visits.append(seconds)

    def measurement(self) -> Measurement:
        seconds = np.concatenate(self.visits)
        p25, p50, p75, p90, p99 = (float(value) * 1e3 for value in np.percentile(seconds, (25, 50, 75, 90, 99)))
        total, sentences = float(seconds.sum()), len(seconds) * self.run_sentences
        return Measurement(
            bundle=str(self.subject.loading.bundle),
            role=self.subject.loading.role,
            batch_size=self.subject.case.batch_size,
            beam_size=self.subject.case.beam_size,
            engine=self.subject.case.engine,
            threads=self.subject.loading.threads,
            workers=self.subject.loading.workers,
            provider=self.subject.model.provider,
            repeats=len(seconds),
            run_sentences=self.run_sentences,
            p25_ms=p25,
            p50_ms=p50,
            p75_ms=p75,
            p90_ms=p90,
            p99_ms=p99,
            sentences_per_second=sentences / total,
            tokens_per_second=self.tokens / total,
            tokens_per_sentence=self.tokens / sentences,
            visits=self.visits,
        )
