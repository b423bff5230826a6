"""Decodes the outputs that one pass gave beside the first: the best symbols of each, scored as the first ones are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, cast

import numpy as np

from s2s_runtime.array_types import Floats
from s2s_runtime.bundle.manifest import Manifest
from s2s_runtime.confidence.confidences import ConfidenceRule, confidence_rule
from s2s_runtime.inputs.batch import Batch
from s2s_runtime.inputs.batches import target_limit
from s2s_runtime.one_pass.pass_model import OnePassModel, Positions
from s2s_runtime.one_pass.search import best_of_positions
from s2s_runtime.options import DecodingOptions
from s2s_runtime.search.finished import EndedSequence
from s2s_runtime.search.graph_search import SentenceHypotheses
from s2s_runtime.search.plan import SearchPlan, make_plan
from s2s_runtime.search.step_model import StepModel

_OF_ALL: Final = (
    *("num_hypotheses", "length_penalty", "length_penalty_kind"),
    *("return_scores", "return_token_scores", "return_end_token", "return_confidence", "return_top_tokens"),
)
"""The options that mean every output; all others mean the first, as they speak of its symbols or choose among them."""

Found = list[EndedSequence] | Floats


@dataclass(frozen=True)
class FurtherSearch:
    """The search of one output beside the first.

    Attributes:
        name: of the output.
        manifest: the bundle's, as if this were its only output.
        options: those that mean this output too.
        place: which of the further outputs it is, from 0.
        plan: how to search; None where it gives values.
        rule: how confidences are computed; None where none are asked for.
        model: the model with this output alone.
    """

    name: str
    manifest: Manifest
    options: DecodingOptions
    place: int
    plan: SearchPlan | None
    rule: ConfidenceRule | None
    model: OnePassModel

    def found(self, positions: Positions, batch: Batch) -> list[Found]:
        """Return what this output is for each sentence: hypotheses, best first, or values float32 (steps, size)."""
        outputs = positions.further[self.place]
        lengths = batch.columns.sum(axis=1).tolist()
        limits = np.array([target_limit(length, self.options, self.manifest) for length in lengths], np.int64)
        limits = np.minimum(limits, outputs.shape[1])
        if self.plan is None:
            return [row[:limit] for row, limit in zip(outputs, limits.tolist(), strict=True)]
        own = replace(batch, limits=limits, prefix=None)
        sequences = best_of_positions(outputs, own, self.plan)
        if self.rule is None:
            return list(sequences)
        hypotheses = (SentenceHypotheses(own, row, found) for row, found in enumerate(sequences))
        return [each.hypotheses for each in self.rule.weighed(self.model, self.plan, hypotheses)]


def further_searches(manifest: Manifest, model: StepModel[Any], options: DecodingOptions) -> list[FurtherSearch]:
    """Return the searches of a bundle's further outputs.

    Args:
        manifest: of the bundle.
        model: its model of one pass.
        options: how the first output is decoded.
    """
    shared = {name: getattr(options, name) for name in _OF_ALL}
    searches = []
    for place, output in enumerate(manifest.outputs):
        view = manifest.of_output(str(output.target.name))
        values, ends = output.target.feedback == "value", bool(output.target.end_ids)
        told = {**shared, "return_end_token": options.return_end_token and ends, "beam_size": options.num_hypotheses}
        own = DecodingOptions(**told)
        plan = None if values else make_plan(own, view)
        rule = confidence_rule(own, view) if own.weighed and not values else None
        alone = cast("OnePassModel", model).of_output(place + 1)
        searches.append(FurtherSearch(str(output.target.name), view, own, place, plan, rule, alone))
    return searches


def found_by_sentence(searches: Sequence[FurtherSearch], positions: Positions, batch: Batch) -> list[dict[str, Found]]:
    """Return what each further output is, by its name, for each sentence of a batch."""
    found = [search.found(positions, batch) for search in searches]
    names = [search.name for search in searches]
    return [dict(zip(names, each, strict=True)) for each in zip(*found, strict=True)]
