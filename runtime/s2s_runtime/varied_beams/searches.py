"""The choice among the searches of a batch: by a graph, or one of those that go step by step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from s2s_runtime.inputs.batch import Batch
from s2s_runtime.lazy_modules import LazyModule
from s2s_runtime.options import DecodingOptions
from s2s_runtime.search.engines import check_engine
from s2s_runtime.search.finished import EndedSequence
from s2s_runtime.search.graph_search import SentenceHypotheses
from s2s_runtime.search.plan import SearchPlan
from s2s_runtime.search.step_model import StepModel, WritingModel, nominators

if TYPE_CHECKING:
    from s2s_runtime.search import beam, graph_beam, graph_greedy, greedy
    from s2s_runtime.varied_beams import grouped_beam, stochastic_beam, union_search
else:  # a call uses one of them, or two
    beam, graph_beam = LazyModule("search.beam"), LazyModule("search.graph_beam")
    greedy, graph_greedy = LazyModule("search.greedy"), LazyModule("search.graph_greedy")
    grouped_beam = LazyModule("varied_beams.grouped_beam")
    stochastic_beam = LazyModule("varied_beams.stochastic_beam")
    union_search = LazyModule("varied_beams.union_search")

StepSearch = Callable[[StepModel[Any], Batch, SearchPlan], list[list[EndedSequence]]]


def search_batch(
    model: StepModel[Any], batch: Batch, plan: SearchPlan, options: DecodingOptions
) -> Iterator[SentenceHypotheses]:
    """Yield the hypotheses of each sentence of a batch, in no order to rely on.

    Raises:
        OptionError: `engine` is "graph", and something else is asked for that the graph can't do.
    """
    if nominators(model):
        search = partial(_search_alone, options=options)
        yield from union_search.union_search(model, batch, plan, search)
        return
    yield from _search_alone(model, batch, plan, options)


def _search_alone(
    model: StepModel[Any], batch: Batch, plan: SearchPlan, options: DecodingOptions
) -> Iterator[SentenceHypotheses]:
    if check_engine(model, plan, options, prefix=batch.prefix is not None):
        for sentence, hypotheses in enumerate(step_search(plan)(model, batch, plan)):
            yield SentenceHypotheses(batch, sentence, hypotheses)
    else:
        search_graph = graph_greedy.GraphGreedy if plan.beam_size == 1 else graph_beam.GraphBeam
        yield from search_graph(cast("WritingModel[Any]", model), batch, plan).run()


def step_search(plan: SearchPlan) -> StepSearch:
    """Return the search step by step that a plan asks for."""
    if plan.stochastic:
        return stochastic_beam.stochastic_beam_search
    if plan.beam_groups > 1:
        return grouped_beam.grouped_beam_search
    return greedy.greedy_search if plan.beam_size == 1 else beam.beam_search
