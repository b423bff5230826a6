"""One call of `generate` and its relatives: sources and options in, results out, over any step model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from s2s_runtime.bundle.manifest import Manifest
from s2s_runtime.decoding.result_builder import Finisher
from s2s_runtime.decoding.workers import Workers, allow_sharing
from s2s_runtime.errors import OptionError
from s2s_runtime.inputs.batch import Batch
from s2s_runtime.inputs.batches import make_batches
from s2s_runtime.inputs.sources import Inputs, Sources, read_sources
from s2s_runtime.lazy_modules import LazyModule
from s2s_runtime.options import Callback, DecodingOptions, Prefix, TokenEvent
from s2s_runtime.results import Result, Results
from s2s_runtime.search.cancellation import cancellable
from s2s_runtime.search.engines import answers
from s2s_runtime.search.finished import Ended
from s2s_runtime.search.graph_search import Answer
from s2s_runtime.search.plan import Notify, SearchPlan, make_plan, prefix_ids
from s2s_runtime.search.step_model import StepModel

if TYPE_CHECKING:
    from s2s_runtime.search import forced
else:
    forced = LazyModule("search.forced")


class Decoding:
    """Options made ready for a model: decodes list after list with them.

    Args:
        manifest: what the bundle says about itself.
        model: encodes and steps.
        workers: decode batches side by side; None = one after the other.
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
        self.finisher = Finisher(manifest, options)

    def decode(self, inputs: Inputs, prefixes: Sequence[Prefix | None] | None, first: int = 0) -> list[Result]:
        """Decode a list.

        Args:
            inputs: as `Model.generate` takes them.
            prefixes: forced first tokens of each, None where no input has any.
            first: how many inputs came before this list, for messages and events.

        Raises:
            InputError, UnknownSymbolError, OptionError: as `Model.generate`.
        """
        sources = read_sources(inputs, self.manifest, self.options.unknown_symbols, first)
        begun = prefix_ids(prefixes, len(sources.arrays), self.manifest, self.plan)
        decode = self._alternatives if self.options.return_alternatives else self._results
        return Results(decode(sources, begun, self.plan_from(first)))

    def plan_from(self, first: int) -> SearchPlan:
        """The plan for a list before which `first` inputs came: events count those too."""
        callback = self.options.callback
        return self.plan if callback is None else replace(self.plan, notify=self._notify(callback, first))

    def search(self, batch: Batch, plan: SearchPlan) -> Iterator[Answer]:
        """The hypotheses of each sentence of a batch."""
        return answers(self.model, [batch], plan, self.options)

    def _results(self, sources: Sources, prefixes: Sequence[Sequence[int]], plan: SearchPlan) -> list[Result]:
        results = {}
        batches = make_batches(sources, prefixes, self.options, self.manifest)
        for batch, row, ended in self._answers(batches, plan):
            place = int(batch.indices[row])
            results[place] = self.result(ended, sources, place, batch.columns[row])
        return [
            results[place] if place in results else self.finisher.empty(sources.unknown.get(place))
            for place in range(len(sources.arrays))
        ]

    def _answers(self, batches: Sequence[Batch], plan: SearchPlan) -> Iterator[Answer]:
        workers = self._workers
        shared = None if workers is None else workers.share_out(batches, plan.beam_size)
        if workers is None or shared is None:
            return answers(self.model, batches, plan, self.options)
        parts, theirs = shared
        model = cancellable(theirs, self.options.cancel)
        return iter(workers.map(lambda batch: list(answers(model, [batch], plan, self.options)), parts))

    def result(self, ended: list[Ended], sources: Sources, place: int, columns: NDArray[np.bool_]) -> Result:
        """The result of the source at a place; `columns` (source time,) is False at its padding."""
        tokens = self.finisher.source_tokens(sources.arrays[place])
        return self.finisher.result(ended, tokens, columns, sources.unknown.get(place))

    def _alternatives(self, sources: Sources, prefixes: Sequence[Sequence[int]], plan: SearchPlan) -> list[Result]:
        """Each of the likeliest next tokens as one more forced token, decoded to its best end."""
        followed = self._followed(sources, prefixes, plan)
        places = [place for place, each in enumerate(followed) for _ in each]
        repeated = Sources(
            [sources.arrays[place] for place in places],
            {i: sources.unknown[place] for i, place in enumerate(places) if place in sources.unknown},
            [sources.others[place] for place in places],
        )
        begun = [prefix for each in followed for prefix in each]
        decoded = iter(self._results(repeated, begun, replace(plan, num_hypotheses=1)))
        results = []
        for place, each in enumerate(followed):
            unknown = sources.unknown.get(place)
            found = [next(decoded) for _ in each]
            if found:
                hypotheses = [result.hypotheses[0] for result in found]
                results.append(Result(hypotheses, found[0].source_tokens, unknown or []))
            elif len(sources.arrays[place]):  # no token is likely enough
                tokens = self.finisher.source_tokens(sources.arrays[place])
                results.append(self.finisher.unfollowed(prefixes[place], tokens, unknown))
            else:
                results.append(self.finisher.empty(unknown))
        return results

    def _followed(self, sources: Sources, prefixes: Sequence[Sequence[int]], plan: SearchPlan) -> list[list[list[int]]]:
        """For each source its prefix with each of the likeliest next tokens behind it."""
        options = self.options
        followed: list[list[list[int]]] = [[] for _ in sources.arrays]
        for batch in make_batches(sources, prefixes, options, self.manifest):
            if batch.prefix is not None and bool(((batch.prefix >= 0).sum(axis=1) >= batch.limits).any()):
                raise OptionError("prefix: leaves no room for alternatives; shorten it or raise max_length")
            found = forced.likeliest_next(
                self.model, batch, plan, options.num_hypotheses, options.min_alternative_probability
            )
            for place, tokens in zip(batch.indices.tolist(), found, strict=True):
                followed[place] = [[*prefixes[place], int(token)] for token in tokens]
        return followed

    def _notify(self, callback: Callback, first: int) -> Notify:
        """The callback as search calls it."""

        def notify(sentence: int, step: int, token: int, score: float | None, is_last: bool) -> bool:
            event = TokenEvent(first + sentence, step, token, self.finisher.tokens([token])[0], score, is_last)
            return bool(callback(event))

        return notify
