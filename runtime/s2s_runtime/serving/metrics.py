"""What a server counts and measures, in the form that Prometheus reads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_SIZES: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


class Metrics:
    """The figures of one application; several in one process don't mix."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        of_model, of_request = ["model"], ["endpoint", "model"]
        self.requests = Counter(
            "s2s_requests", "Requests answered, by status.", [*of_request, "status"], registry=registry
        )
        self.seconds = Histogram(
            "s2s_request_seconds",
            "Seconds from a request's head to the end of its answer.",
            of_request,
            buckets=_SECONDS,
            registry=registry,
        )
        self.batches = Histogram(
            "s2s_batch_size", "Sentences decoded together.", of_model, buckets=_SIZES, registry=registry
        )
        self.queue = Gauge("s2s_queue", "Texts accepted and not answered yet.", of_model, registry=registry)
        self.texts = Counter("s2s_texts", "Texts decoded.", of_model, registry=registry)
        self.tokens = Counter("s2s_tokens", "Tokens of the best hypotheses.", of_model, registry=registry)
        self.streams = Gauge("s2s_streams", "Streams that are open.", registry=registry)
        self.loads = Counter(
            "s2s_loads", "Bundles loaded, at the start and anew, by outcome.", ["model", "outcome"], registry=registry
        )

        self._children: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self._of_models: dict[str, tuple[Counter, Counter]] = {}

    def answered(self, endpoint: str, model: str, status: int, seconds: float) -> None:
        """Take note of an answer."""
        key = (endpoint, model, status)
        if key not in self._children:
            self._children[key] = self.requests.labels(*key), self.seconds.labels(endpoint, model)
        requests, times = self._children[key]
        requests.inc()
        times.observe(seconds)

    def decoded(self, model: str, texts: int, tokens: int) -> None:
        """Take note of texts that were decoded, and of the tokens of the best hypotheses."""
        if model not in self._of_models:
            self._of_models[model] = self.texts.labels(model), self.tokens.labels(model)
        counted, written = self._of_models[model]
        counted.inc(texts)
        written.inc(tokens)

    def text(self) -> bytes:
        """Return all figures as Prometheus reads them."""
        return generate_latest(self._registry)

    def batch_note(self, model: str) -> Callable[[int], None]:
        """Return a function that takes note of a batch's size; any thread may call it."""
        return self.batches.labels(model).observe
