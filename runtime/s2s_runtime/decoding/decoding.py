"""The work of `generate` and the verbs like it, over any step model: it takes sources and options and gives results."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from threading import Event
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from s2s_runtime.bundle.manifest import Manifest
from s2s_runtime.decoding.result_builder import ResultBuilder
from s2s_runtime.decoding.workers import Workers, allow_sharing
from s2s_runtime.errors import OptionError, S2SError
from s2s_runtime.inputs.batch import Batch
from s2s_runtime.inputs.batches import make_batches
from s2s_runtime.inputs.sources import Inputs, Sources, read_sources
from s2s_runtime.lazy_modules import LazyModule
from s2s_runtime.options import Callback, DecodingOptions, Prefix, TokenEvent
from s2s_runtime.results import Result, Results
from s2s_runtime.search.cancellation import cancellable, stoppable
from s2s_runtime.search.engines import search_batches
from s2s_runtime.search.finished import EndedSequence
from s2s_runtime.search.graph_search import SentenceHypotheses
from s2s_runtime.search.plan import Notify, SearchPlan, make_plan, prefix_ids
from s2s_runtime.search.step_model import StepModel

if TYPE_CHECKING:
    from s2s_runtime.search import forced
else:
    forced = LazyModule("search.forced")


class Decoding:
    """A model with its options checked once, to decode list after list.

    Args:
        manifest: manifest of the bundle.
        model: the step model.
        workers: threads that decode batches side by side; None = batches are decoded one after the other.
        options: how to decode.

    Raises:
        OptionError: an option needs what the bundle lacks.
    """

    def __init__(
        self, manifest: Manifest, model: StepModel[Any], workers: Workers | None, options: DecodingOptions
    ) -> None:
        self.manifest = manifest
        self.model = cancellable(model, options.cancel)
        self.options = options
        self._workers = workers if allow_sharing(options) else None
        self.plan = make_plan(options, manifest)
        self.result_builder = ResultBuilder(manifest, options)

    def decode(self, inputs: Inputs, prefixes: Sequence[Prefix | None] | None, first: int = 0) -> list[Result]:
        """Decode a list of sources.

        Args:
            inputs: as `Model.generate` takes them.
            prefixes: forced first tokens of each source; None where no source has any.
            first: how many inputs came before this list, for messages and events.

        Raises:
            InputError, UnknownSymbolError, OptionError: as `Model.generate`.
        """
        options = self.options
        errors: dict[int, S2SError] = {}
        sources = read_sources(
            inputs,
            self.manifest,
            options.unknown_symbols,
            first,
            longest=options.max_source_length,
            errors=errors if options.on_error == "return" else None,
        )
        begun = prefix_ids(prefixes, len(sources.arrays), self.manifest, self.plan)
        decode = self._alternatives if self.options.return_alternatives else self._results
        results = decode(sources, begun, self.plan_from(first))
        for index, error in errors.items():
            results[index] = self.result_builder.failed(error)
        return Results(results)

    def plan_from(self, first: int) -> SearchPlan:
        """Return the plan for a list before which `first` inputs came: events count those too."""
        callback = self.options.callback
        return self.plan if callback is None else replace(self.plan, notify=self._notify(callback, first))

    def search(self, batch: Batch, plan: SearchPlan) -> Iterator[SentenceHypotheses]:
        """Yield the hypotheses of each sentence of a batch."""
        return search_batches(self.model, [batch], plan, self.options)

    def _results(self, sources: Sources, prefixes: Sequence[Sequence[int]], plan: SearchPlan) -> list[Result]:
        results = {}
        batches = make_batches(sources, prefixes, self.options, self.manifest)
        for batch, row, ended in self._hypotheses(batches, plan):
            index = int(batch.indices[row])
            results[index] = self.result(ended, sources, index, batch.columns[row])
        return [
            results[index] if index in results else self.result_builder.empty(sources.unknown.get(index))
            for index in range(len(sources.arrays))
        ]

    def _hypotheses(self, batches: Sequence[Batch], plan: SearchPlan) -> Iterator[SentenceHypotheses]:
        workers = self._workers
        shared = None if workers is None else workers.share_out(batches, plan.beam_size)
        if workers is None or shared is None:
            return search_batches(self.model, batches, plan, self.options)
        parts, theirs = shared
        stop = Event()
        model = stoppable(cancellable(theirs, self.options.cancel), stop)
        return iter(workers.map(lambda batch: list(search_batches(model, [batch], plan, self.options)), parts, stop))

    def result(self, ended: list[EndedSequence], sources: Sources, index: int, columns: NDArray[np.bool_]) -> Result:
        """Return the result of the source at an index; `columns`, bool (source time,), is False at its padding."""
        tokens = self.result_builder.source_tokens(sources.arrays[index])
        return self.result_builder.result(ended, tokens, columns, sources.unknown.get(index))

    def _alternatives(self, sources: Sources, prefixes: Sequence[Sequence[int]], plan: SearchPlan) -> list[Result]:
        """Decode each source with each of its likeliest next tokens as one more forced token."""
        followed = self._followed(sources, prefixes, plan)
        indices = [index for index, continued in enumerate(followed) for _ in continued]
        repeated = Sources(
            [sources.arrays[index] for index in indices],
            {i: sources.unknown[index] for i, index in enumerate(indices) if index in sources.unknown},
            [sources.others[index] for index in indices],
        )
        begun = [prefix for continued in followed for prefix in continued]
        decoded = iter(self._results(repeated, begun, replace(plan, num_hypotheses=1)))
        results = []
        for index, continued in enumerate(followed):
            unknown = sources.unknown.get(index)
            alternatives = [next(decoded) for _ in continued]
            if alternatives:
                hypotheses = [result.hypotheses[0] for result in alternatives]
                results.append(Result(hypotheses, alternatives[0].source_tokens, unknown or []))
            elif len(sources.arrays[index]):  # no token is likely enough
                tokens = self.result_builder.source_tokens(sources.arrays[index])
                results.append(self.result_builder.unfollowed(prefixes[index], tokens, unknown))
            else:
                results.append(self.result_builder.empty(unknown))
        return results

    def _followed(self, sources: Sources, prefixes: Sequence[Sequence[int]], plan: SearchPlan) -> list[list[list[int]]]:
        """Return for each source its prefixes, each with one of the likeliest next tokens at its end."""
        options = self.options
        followed: list[list[list[int]]] = [[] for _ in sources.arrays]
        for batch in make_batches(sources, prefixes, options, self.manifest):
            if batch.prefix is not None and bool(((batch.prefix >= 0).sum(axis=1) >= batch.limits).any()):
                raise OptionError("prefix: leaves no room for alternatives; shorten it or raise max_length")
            likeliest = forced.likeliest_next(
                self.model, batch, plan, options.num_hypotheses, options.min_alternative_probability
            )
            for index, tokens in zip(batch.indices.tolist(), likeliest, strict=True):
                followed[index] = [[*prefixes[index], int(token)] for token in tokens]
        return followed

    def _notify(self, callback: Callback, first: int) -> Notify:
        """Return the callback in the form that search calls."""

        def notify(sentence: int, step: int, token: int, score: float | None, is_last: bool) -> bool:
            event = TokenEvent(first + sentence, step, token, self.result_builder.tokens([token])[0], score, is_last)
            return bool(callback(event))

        return notify
