"""Which way batches are decoded: by a graph or step by step, one after the other or together. The rules stand here.

All ways give the same tokens. The graphs choose tokens, or beams, by themselves and keep everything inside
onnxruntime, which makes them the faster ones. They give no attention (and that of greedy search no scores), they can't
look at what was written so far, and nobody can watch them: whatever needs one of these goes step by step. Each option
says which engines can do it where it is declared, in `s2s_runtime.options`; prefixes come with the sentences.

With the graphs, sentences that wait can take the places of those that have ended, which needs states in host memory.
They only do where that is asked for. Batches drop what has ended anyway, and those of a list are of similar lengths; of
sentences that come one at a time, those under way are slowed down by others that join them. `benchmarks/continuous.py`
measures it: what is gained is gained where lengths differ widely.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any, cast

from s2s_runtime.errors import OptionError
from s2s_runtime.inputs.batch import Batch
from s2s_runtime.lazy_modules import Later
from s2s_runtime.options import DecodingOptions
from s2s_runtime.options.terms import BEAM_GRAPH, GREEDY_GRAPH
from s2s_runtime.search.graph_search import Answer, Flow, Supply
from s2s_runtime.search.plan import SearchPlan
from s2s_runtime.search.step_model import StepModel, WritingModel, can_write

if TYPE_CHECKING:
    from s2s_runtime.search import beam, greedy
    from s2s_runtime.search import graph_beam as beam_graph
    from s2s_runtime.search import graph_greedy as greedy_graph
else:  # a call uses one of the four
    beam, beam_graph = Later("search.beam"), Later("search.graph_beam")
    greedy, greedy_graph = Later("search.greedy"), Later("search.graph_greedy")


def answers(
    model: StepModel[Any], batches: Iterable[Batch], plan: SearchPlan, options: DecodingOptions
) -> Iterator[Answer]:
    """What each sentence of the batches of a list gives, in no order to rely on.

    Raises:
        OptionError: `engine` or `batching` asks for what can't be.
    """
    waiting = list(batches)
    if joins(model, plan, options, prefix=any(batch.prefix is not None for batch in waiting)):
        supply = Supply(partial(next, iter(waiting), None), options, joins=True)
        yield from decode(model, supply, plan, options)
    else:
        for batch in waiting:
            supply = Supply(partial(next, iter([batch]), None), options, joins=False)
            yield from decode(model, supply, plan, options, prefix=batch.prefix is not None)


def decode(
    model: StepModel[Any],
    supply: Supply,
    plan: SearchPlan,
    options: DecodingOptions,
    *,
    prefix: bool = False,
    steps: int | None = None,
) -> Iterator[Answer]:
    """What each sentence gives of what is supplied, until nothing is in flight and nothing comes.

    Args:
        model: decodes.
        supply: what comes.
        plan: how.
        options: say which engine.
        prefix: whether anything that comes has prefixes.
        steps: tokens of each sentence that a graph may write before it is seen whether others came; None = any number.

    Raises:
        OptionError: `engine` is "graph", and something else is asked for that the graph can't do. At once.
    """
    if not check_engine(model, plan, options, prefix=prefix):
        writing = cast("WritingModel[Any]", model)
        kind = greedy_graph.GreedyFlow if plan.beam_size == 1 else beam_graph.BeamFlow
        flow: Flow[Any, Any] = kind(writing, plan, supply)
        return chain.from_iterable(iter(partial(flow.run, steps), None))
    return _step_by_step(model, supply, plan)


def _step_by_step(model: StepModel[Any], supply: Supply, plan: SearchPlan) -> Iterator[Answer]:
    while (batch := supply.take()) is not None:
        found = (greedy.greedy_search if plan.beam_size == 1 else beam.beam_search)(model, batch, plan)
        for place, hypotheses in enumerate(found):
            yield Answer(batch, place, hypotheses)


def joins(model: StepModel[Any], plan: SearchPlan, options: DecodingOptions, *, prefix: bool = False) -> bool:
    """Whether sentences that wait take the places of those that have ended.

    Raises:
        OptionError: `batching` is "continuous", and that can't be.
    """
    if options.batching == "static":
        return False
    obstacles = graph_obstacles(model, plan, options, prefix=prefix)
    if not obstacles and not cast("WritingModel[Any]", model).can_join:
        obstacles = ["states in device memory, or a model that reads its padding at any length"]
    if obstacles:
        raise OptionError(_refusal("batching: 'continuous'", obstacles, "static"))
    return True


def _refusal(what: str, obstacles: list[str], instead: str) -> str:
    return f"{what} can't do what was asked for ({', '.join(obstacles)}); leave it out, or give {instead!r}"


def check_engine(
    model: StepModel[Any], plan: SearchPlan, options: DecodingOptions, *, prefix: bool = False
) -> list[str]:
    """What keeps a search from the graph; nothing where it fits.

    Raises:
        OptionError: something does, and `engine` is "graph".
    """
    obstacles = graph_obstacles(model, plan, options, prefix=prefix)
    if obstacles and options.engine == "graph":
        raise OptionError(_refusal("engine: 'graph'", obstacles, "steps"))
    return obstacles


def graph_obstacles(model: StepModel[Any], plan: SearchPlan, options: DecodingOptions, *, prefix: bool) -> list[str]:
    """What keeps a search from the graph, by the names of options; nothing where it fits."""
    asked_for = ["engine 'steps'"] if options.engine == "steps" else []
    asked_for += options.obstacles(GREEDY_GRAPH if plan.beam_size == 1 else BEAM_GRAPH)
    if prefix:
        asked_for.append("prefix")
    return asked_for or ([] if can_write(model) else ["this model has no such graph"])
