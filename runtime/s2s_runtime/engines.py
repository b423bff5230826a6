"""Which way a batch is decoded: many tokens in one run of a graph, or step by step. The rule stands here alone.

Both ways give the same tokens. The graphs choose tokens, or beams, by themselves and keep everything inside
onnxruntime, which makes them the faster ones. They give no attention (and that of greedy search no scores), they can't
look at what was written so far, and nobody can watch them: whatever needs one of these goes step by step.
"""

from __future__ import annotations

from typing import Any, cast

from s2s_runtime.beam import beam_search
from s2s_runtime.beam_graph import beam_graph_search
from s2s_runtime.errors import OptionError
from s2s_runtime.greedy import greedy_search
from s2s_runtime.greedy_graph import greedy_graph_search
from s2s_runtime.options import Engine
from s2s_runtime.search import Batch, Ended, SearchPlan
from s2s_runtime.step_model import StepModel, WritingModel, can_write


def search(model: StepModel[Any], batch: Batch, plan: SearchPlan, engine: Engine) -> list[list[Ended]]:
    """The hypotheses of each sentence of a batch.

    Raises:
        OptionError: `engine` is "graph", and something else is asked for that the graph can't do.
    """
    obstacles = ["engine 'steps'"] if engine == "steps" else graph_obstacles(plan, prefix=batch.prefix is not None)
    if not obstacles and can_write(model):
        writing = cast("WritingModel[Any]", model)
        return (greedy_graph_search if plan.beam_size == 1 else beam_graph_search)(writing, batch, plan)
    if engine == "graph":
        raise OptionError(
            f"engine: 'graph' can't do what was asked for ({', '.join(obstacles) or 'this model has no such graph'}); "
            "leave it out, or give 'steps'"
        )
    return (greedy_search if plan.beam_size == 1 else beam_search)(model, batch, plan)


def graph_obstacles(plan: SearchPlan, *, prefix: bool) -> list[str]:
    """What keeps a plan from the graph, by the names of options; nothing where it fits."""
    rules = plan.rules
    present = {
        "sampling": plan.sampler is not None,
        "scores": plan.scores and plan.beam_size == 1,
        "attention": plan.looks,
        "callback": plan.notify is not None,
        "prefix": prefix,
        "min_length": rules.min_length > 0,
        "repetition_penalty": rules.repetition_penalty != 1.0,
        "no_repeat_ngram_size": rules.ngram_size > 0,
        "suppress_sequences": len(rules.sequences) > 0,
        "allowed_next": rules.allowed_next is not None,
    }
    return [name for name, is_there in present.items() if is_there]
