"""The choice among the searches that go step by step."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from s2s_runtime.inputs.batch import Batch
from s2s_runtime.lazy_modules import LazyModule
from s2s_runtime.search.finished import EndedSequence
from s2s_runtime.search.plan import SearchPlan
from s2s_runtime.search.step_model import StepModel

if TYPE_CHECKING:
    from s2s_runtime.search import beam, greedy
    from s2s_runtime.varied_beams import grouped_beam, stochastic_beam
else:  # a call uses one of the four
    beam, greedy = LazyModule("search.beam"), LazyModule("search.greedy")
    grouped_beam = LazyModule("varied_beams.grouped_beam")
    stochastic_beam = LazyModule("varied_beams.stochastic_beam")

StepSearch = Callable[[StepModel[Any], Batch, SearchPlan], list[list[EndedSequence]]]


def step_search(plan: SearchPlan) -> StepSearch:
    """Return the search that a plan asks for."""
    if plan.stochastic:
        return stochastic_beam.stochastic_beam_search
    if plan.beam_groups > 1:
        return grouped_beam.grouped_beam_search
    return greedy.greedy_search if plan.beam_size == 1 else beam.beam_search
