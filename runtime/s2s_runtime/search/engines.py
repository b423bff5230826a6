"""The choice of the engine: whether a graph decodes a batch, or a search goes step by step.

All ways give the same tokens. The graphs choose tokens, or beams, by themselves and keep everything inside
onnxruntime, which makes them the faster ones. They give no attention, they can't
look at what was written so far, and nobody can watch them: whatever needs one of these goes step by step. Each option
says which engines can do it where it is declared, in `s2s_runtime.options`; prefixes come with the sentences.
"""

from __future__ import annotations

from typing import Any

from s2s_runtime.errors import OptionError
from s2s_runtime.options import DecodingOptions
from s2s_runtime.search.plan import SearchPlan
from s2s_runtime.search.step_model import StepModel, can_write


def check_engine(
    model: StepModel[Any], plan: SearchPlan, options: DecodingOptions, *, prefix: bool = False
) -> list[str]:
    """Return what keeps a search from the graph; an empty list where the graph can do it.

    Raises:
        OptionError: something keeps it from the graph, and `engine` is "graph".
    """
    obstacles = graph_obstacles(model, plan, prefix=prefix)
    if obstacles and options.engine == "graph":
        raise OptionError(
            f"engine: 'graph' can't do what was asked for ({', '.join(obstacles)}); leave it out, or give 'steps'"
        )
    return obstacles


def graph_obstacles(model: StepModel[Any], plan: SearchPlan, *, prefix: bool) -> list[str]:
    """Return the options that keep a search from the graph; an empty list where the graph can do it."""
    asked_for = list(plan.beyond_graph)
    if prefix:
        asked_for.append("prefix")
    if plan.rules.needs_an_end:  # a step in which nothing may follow
        asked_for.append("min_length")
    return asked_for or ([] if can_write(model, plan.choice) else ["this model has no such graph"])
