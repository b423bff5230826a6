"""The one way from sources and options to results, over any step model, that every verb goes.

`read` makes a request of what the caller gives, `batches` and `search` decode its sources, `result` and `rows` make
results of what ended. `generate`, `generate_iter` and `generate_file` go it in one step, `decode`. `Decoder` searches
the sources of several requests together, and `stream` watches a search of one.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from threading import Event
from typing import TYPE_CHECKING, Any, cast

from s2s_runtime.bundle.manifest import Manifest
from s2s_runtime.decoding.request import Request
from s2s_runtime.decoding.result_builder import ResultBuilder
from s2s_runtime.decoding.run_failures import compute_apart, failures_of, search_apart
from s2s_runtime.decoding.workers import Workers, allow_sharing
from s2s_runtime.errors import OptionError, RunError, S2SError
from s2s_runtime.inputs.batch import Batch
from s2s_runtime.inputs.batches import make_batches
from s2s_runtime.inputs.row_reader import LengthLimit, RowReader
from s2s_runtime.inputs.sources import Inputs, read_sources
from s2s_runtime.lazy_modules import LazyModule
from s2s_runtime.options import Callback, CancelSignal, DecodingOptions, Prefix, TokenEvent
from s2s_runtime.results import Result, Results
from s2s_runtime.search.engines import check_engine, graph_obstacles
from s2s_runtime.search.graph_search import SentenceHypotheses
from s2s_runtime.search.plan import Notify, SearchPlan, check_targets, make_plan, prefix_ids
from s2s_runtime.search.step_model import StepModel, nominators
from s2s_runtime.varied_beams.searches import search_batch

if TYPE_CHECKING:
    from s2s_runtime.confidence import confidences
    from s2s_runtime.ctc import options as ctc_options
    from s2s_runtime.ctc import search as frame_search
    from s2s_runtime.decoding import joined_parts
    from s2s_runtime.fusion import guides
    from s2s_runtime.inputs import looked_up
    from s2s_runtime.language_models import prompts
    from s2s_runtime.one_pass import plain_pass
    from s2s_runtime.one_pass import search as position_search
    from s2s_runtime.one_pass.pass_model import OnePassModel
    from s2s_runtime.search import cancellation, forced
    from s2s_runtime.several_outputs import search as output_search
    from s2s_runtime.varied_beams import union_search
else:  # each call needs some of them at most, most need none
    confidences, ctc_options = LazyModule("confidence.confidences"), LazyModule("ctc.options")
    frame_search, position_search = LazyModule("ctc.search"), LazyModule("one_pass.search")
    joined_parts, looked_up = LazyModule("decoding.joined_parts"), LazyModule("inputs.looked_up")
    forced, guides, prompts = map(LazyModule, ("search.forced", "fusion.guides", "language_models.prompts"))
    plain_pass, cancellation = LazyModule("one_pass.plain_pass"), LazyModule("search.cancellation")
    output_search = LazyModule("several_outputs.search")
    union_search = LazyModule("varied_beams.union_search")


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
        self.model = model if options.cancel is None else cancellation.cancellable(model, options.cancel)
        self.options = options
        self._workers = workers if allow_sharing(options) else None
        self.plan = make_plan(options, manifest)
        self._guides = None
        if options.language_model is not None:
            self._guides = guides.guides_of(options, manifest, steps=options.max_length or manifest.target.max_length)
        if self._guides is not None and not options.rescore:
            self.plan = replace(self.plan, guide=self._guides.around)
        self._further: list[output_search.FurtherSearch] = []
        if manifest.outputs:
            self._further = output_search.further_searches(manifest, model, options)
        builders = {search.name: ResultBuilder(search.manifest, search.options) for search in self._further}
        self.result_builder = ResultBuilder(manifest, options, builders)
        self._readers = RowReader.of(manifest, LengthLimit(options.max_source_length, options.on_long))
        self._lexicon = None if options.lexicon is None else looked_up.looked_up(options, manifest.source_vocabulary)
        self._confidence = confidences.confidence_rule(options, manifest) if options.weighed else None
        self._plain: plain_pass.PlainPass | None = None
        if nominators(self.model):
            union_search.check_union(options)
        if manifest.kind == "ctc":
            ctc_options.check_ctc_options(options)
        elif manifest.kind != "one-pass":  # there, one graph gives all positions whichever engine is asked for
            check_engine(self.model, self.plan, options)
        elif plain_pass.is_plain(manifest, options):
            self._plain = plain_pass.PlainPass(manifest, cast("OnePassModel", self.model), self.plan, options)

    def decode(self, inputs: Inputs, prefixes: Sequence[Prefix | None] | None, first: int = 0) -> Results:
        """Decode a list of sources; see `read`."""
        if self._plain is not None and prefixes is None and (rows := self._plain.read(inputs)) is not None:
            with failures_of(range(first, first + len(rows.ids)), rows.ids.shape[1]):
                best = self._plain.best(rows)
            return Results(self.result_builder.plain(rows, best)).by("graph", [])
        request = self.read(inputs, prefixes, first)
        obstacles = self.obstacles(any(request.prefixes))
        return Results(self.results(request)).by("steps" if obstacles else "graph", obstacles)

    def obstacles(self, prefix: bool) -> list[str]:
        """Return what keeps the search from the graph, with prefixes or without; empty where nothing does."""
        if self.manifest.one_graph:
            return []
        return graph_obstacles(self.model, self.plan, prefix=prefix)

    def read(self, inputs: Inputs, prefixes: Sequence[Prefix | None] | None, first: int = 0) -> Request:
        """Read and check what is to be decoded.

        Args:
            inputs: as `Model.generate` takes them.
            prefixes: forced first tokens of each source; None where no source has any.
            first: how many inputs came before this list, for messages and events.

        Raises:
            InputError, UnknownSymbolError, OptionError: as `Model.generate`.
        """
        options = self.options
        errors: dict[int, S2SError] = {}
        if self.manifest.kind == "decoder-only":
            return self._read_prompts(inputs, prefixes, first, errors)
        sources = read_sources(
            inputs,
            self.manifest,
            options.unknown_symbols,
            first,
            readers=self._readers,
            errors=errors if options.on_error == "return" else None,
            lexicon=self._lexicon,
        )
        begun: list[list[int]] = [[] for _ in sources.arrays]
        if prefixes is not None:
            rows = sources.rows
            for row, prefix in zip(rows, prefix_ids(prefixes, len(rows), self.manifest, self.plan), strict=True):
                begun[row[0]] = prefix  # of a row's parts, the first begins its target
        return Request(sources, begun, errors, first)

    def _read_prompts(
        self, inputs: Inputs, prefixes: Sequence[Prefix | None] | None, first: int, errors: dict[int, S2SError]
    ) -> Request:
        """Read what a language model is given: what it writes begins with the input, and the prefix behind it."""
        taken = errors if self.options.on_error == "return" else None
        given = (inputs, self.manifest, self.options.unknown_symbols, first)
        sources, texts = prompts.read_prompts(*given, errors=taken, most=self.options.max_source_length)
        behind = prefix_ids(prefixes, len(texts), self.manifest, self.plan)
        begun = [text + prefix for text, prefix in zip(texts, behind, strict=True)]
        prompts.begin(sources, begun, self.manifest, first, taken)
        return Request(sources, begun, errors, first)

    def batches(self, request: Request) -> list[Batch]:
        """Return the sources of a request in batches; their `indices` are the sources', not the caller's rows'.

        Raises:
            OptionError: a prefix is as long as its target may get, or no target meets what is asked of it.
        """
        batches = make_batches(request.sources, request.prefixes, self.options, self.manifest)
        for batch in batches:
            check_targets(self.plan, batch)
        return batches

    def stoppable(self, signal: CancelSignal) -> Decoding:
        """Return the same, but that a search ends with an error once a signal is set."""
        other = copy.copy(self)
        other.model = cancellation.stoppable(self.model, signal)
        return other

    def plan_from(self, first: int) -> SearchPlan:
        """Return the plan for a list before which `first` inputs came: events count those too."""
        callback = self.options.callback
        return self.plan if callback is None else replace(self.plan, notify=self._notify(callback, first))

    def search(
        self, batches: Iterable[Batch], plan: SearchPlan, *, apart: bool = False, model: StepModel[Any] | None = None
    ) -> Iterator[SentenceHypotheses]:
        """Yield the hypotheses of each source of some batches, decoded one after the other.

        Args:
            batches: of sources.
            plan: how to search.
            apart: whether a source that fails has its error, and the others are decoded without it; else it is raised.
            model: what decodes; None = the model itself.

        Raises:
            RunError: the model failed while it ran.
        """
        steps = self.model if model is None else model
        for batch in batches:
            if apart and self.options.callback is None:  # who hears of tokens hears of each once
                search = partial(self._search_batch, steps, plan=plan)
                yield from search_apart(search, batch, trim=self._may_trim)
            else:
                with failures_of(batch.indices, batch.time):
                    yield from self._search_batch(steps, batch, plan)

    def _search_batch(self, model: StepModel[Any], batch: Batch, plan: SearchPlan) -> Iterator[SentenceHypotheses]:
        found = self._search(model, batch, plan)
        if self._guides is not None and self.options.rescore:
            found = self._guides.rescored(found, plan)
        return found if self._confidence is None else self._confidence.weighed(model, plan, found)

    def _search(self, model: StepModel[Any], batch: Batch, plan: SearchPlan) -> Iterator[SentenceHypotheses]:
        if self.manifest.kind == "ctc":
            return frame_search.search_frames(model, batch, plan, self.manifest)
        if self.manifest.kind == "one-pass":
            further = partial(output_search.found_by_sentence, self._further) if self._further else None
            return position_search.search_positions(model, batch, plan, self.options, further)
        return search_batch(model, batch, plan, self.options)

    @property
    def _may_trim(self) -> bool:
        padding = self.manifest.padding
        return padding.masked and padding.length is None and not self.manifest.source.others

    def results(self, request: Request) -> list[Result]:
        """Return the result of each of the caller's rows."""
        plan = self.plan_from(request.first)
        decode = self._alternatives if self.options.return_alternatives else self._results
        try:
            return self.rows(request, decode(request, plan))
        except RunError as error:
            raise RunError.at(request.places(error.sources), error.reason) from error

    def result(self, request: Request, index: int, ended: SentenceHypotheses) -> Result:
        """Return the result of the source at an index of a request."""
        builder, sources = self.result_builder, request.sources
        if ended.error is not None:
            return builder.failed(RunError.at(request.places([index]), ended.error.reason))
        columns, unknown = ended.batch.columns[ended.sentence], sources.unknown.get(index)
        tokens = builder.source_tokens(sources.arrays[index])
        return builder.result(ended.hypotheses, tokens, columns, unknown, ended.further)

    def empty(self, request: Request, index: int) -> Result:
        """Return the result of a source without tokens."""
        return self.result_builder.empty(request.sources.unknown.get(index))

    def in_order(self, request: Request, found: Mapping[int, Result]) -> list[Result]:
        """Return the result of each source: what was found for it, and an empty one where it has no tokens."""
        return [found[index] if index in found else self.empty(request, index) for index in range(len(request))]

    def rows(self, request: Request, results: Sequence[Result]) -> list[Result]:
        """Return the result of each of the caller's rows, of those of the sources; parts of a row are joined."""
        sources, rows = request.sources, []
        if request.is_plain:
            return list(results)
        for number, row in enumerate(sources.rows):
            result = results[row[0]]
            if number in request.errors:
                result = self.result_builder.failed(request.errors[number])
            elif len(row) > 1:
                result = self._joined([results[i] for i in row], [sources.joints[i] for i in row])
            elif row[0] in sources.left_out:
                result = replace(result, left_out=sources.left_out[row[0]])
            if number in sources.listed and result.error is None:
                result = self.result_builder.with_listed(sources.listed[number], result)
            rows.append(result)
        return rows

    def _joined(self, parts: Sequence[Result], joints: Sequence[str | None]) -> Result:
        error = next((part.error for part in parts if part.error is not None), None)
        if error is not None:
            return self.result_builder.failed(error)
        further = {search.name: search.manifest.target_vocabulary for search in self._further}
        return joined_parts.join_parts(parts, joints, self.manifest.target_vocabulary, further)

    def _results(self, request: Request, plan: SearchPlan) -> list[Result]:
        """Return the result of each source of a request."""
        found = {}
        for ended in self._hypotheses(self.batches(request), plan):
            index = int(ended.batch.indices[ended.sentence])
            found[index] = self.result(request, index, ended)
        return self.in_order(request, found)

    def _hypotheses(self, batches: Sequence[Batch], plan: SearchPlan) -> Iterator[SentenceHypotheses]:
        workers = self._workers
        shared = None if workers is None else workers.share_out(batches, plan.beam_size)
        apart = self.options.on_error == "return"
        if workers is None or shared is None:
            return self.search(batches, plan, apart=apart)
        parts, theirs = shared
        stop = Event()
        model = cancellation.stoppable(cancellation.cancellable(theirs, self.options.cancel), stop)
        return iter(workers.map(lambda batch: list(self.search([batch], plan, apart=apart, model=model)), parts, stop))

    def _alternatives(self, request: Request, plan: SearchPlan) -> list[Result]:
        """Decode each source with each of its likeliest next tokens as one more forced token."""
        followed, failed = self._followed(request, plan)
        indices = [index for index, continued in enumerate(followed) for _ in continued]
        repeated = request.select(indices, [prefix for continued in followed for prefix in continued])
        try:
            decoded = iter(self._results(repeated, replace(plan, num_hypotheses=1)))
        except RunError as error:
            raise RunError.at(sorted({indices[i] for i in error.sources}), error.reason) from error
        results = []
        for index, continued in enumerate(followed):
            unknown = request.sources.unknown.get(index)
            alternatives = [next(decoded) for _ in continued]
            errors = [failed.get(index), *(each.error for each in alternatives)]
            failure = next((error for error in errors if isinstance(error, RunError)), None)
            if failure is not None:
                results.append(self.result_builder.failed(RunError.at(request.places([index]), failure.reason)))
            elif alternatives:
                hypotheses = [result.hypotheses[0] for result in alternatives]
                results.append(replace(alternatives[0], hypotheses=hypotheses, unknown_symbols=unknown or []))
            elif len(request.sources.arrays[index]):  # no token is likely enough
                tokens = self.result_builder.source_tokens(request.sources.arrays[index])
                results.append(self.result_builder.unfollowed(request.prefixes[index], tokens, unknown))
            else:
                results.append(self.empty(request, index))
        return results

    def _followed(self, request: Request, plan: SearchPlan) -> tuple[list[list[list[int]]], dict[int, RunError]]:
        """Return for each source its prefixes, each with one of the likeliest next tokens at its end, and errors."""
        followed: list[list[list[int]]] = [[] for _ in range(len(request))]
        failed: dict[int, RunError] = {}
        options = self.options
        most, least = options.num_hypotheses, options.min_alternative_probability
        ask = partial(forced.likeliest_next, self.model, plan=plan, count=most, least=least)
        for batch in self.batches(request):
            if batch.prefix is not None and bool(((batch.prefix >= 0).sum(axis=1) >= batch.limits).any()):
                raise OptionError("prefix: leaves no room for alternatives; shorten it or raise max_length")
            apart = options.on_error == "return"
            for index, tokens in compute_apart(ask, batch, trim=self._may_trim, apart=apart):
                if isinstance(tokens, RunError):
                    failed[index] = tokens
                else:
                    followed[index] = [[*request.prefixes[index], int(token)] for token in tokens]
        return followed, failed

    def _notify(self, callback: Callback, first: int) -> Notify:
        """Return the callback in the form that search calls."""

        def notify(sentence: int, step: int, token: int, score: float | None, is_last: bool) -> bool:
            event = TokenEvent(first + sentence, step, token, self.result_builder.tokens([token])[0], score, is_last)
            return bool(callback(event))

        return notify
