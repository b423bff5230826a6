"""How sure a model is of what it wrote: its sequences fed to it once more, at the bundle's temperature."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

import numpy as np

from s2s_runtime.bundle.manifest import Manifest
from s2s_runtime.inputs.batch import Batch
from s2s_runtime.inputs.long_rows import WITHOUT_SPACES
from s2s_runtime.options import DecodingOptions
from s2s_runtime.search.finished import NO_CONFIDENCES, Confidences
from s2s_runtime.search.forced import calibrated_targets
from s2s_runtime.search.graph_search import SentenceHypotheses
from s2s_runtime.search.plan import SearchPlan
from s2s_runtime.search.step_model import StepModel
from s2s_runtime.vocabulary.sentencepiece import SPACE
from s2s_runtime.vocabulary.vocabulary import Vocabulary


@dataclass(frozen=True, slots=True)
class ConfidenceRule:
    """What confidences are computed, and how.

    Args:
        temperature: logits are divided by it.
        top: how many of the likeliest tokens are kept at each position.
    """

    temperature: float
    top: int

    def weighed(
        self, model: StepModel[Any], plan: SearchPlan, found: Iterable[SentenceHypotheses]
    ) -> Iterator[SentenceHypotheses]:
        """Yield hypotheses with their confidences, those of a batch once all of it are there.

        Args:
            model: what decoded them.
            plan: how they were searched for.
            found: the hypotheses.
        """
        for batch, members in _by_batch(found):
            yield from self._weigh(model, batch, plan, members)

    def _weigh(
        self, model: StepModel[Any], batch: Batch, plan: SearchPlan, members: list[SentenceHypotheses]
    ) -> Iterator[SentenceHypotheses]:
        rows = [(each.sentence, ended.ids) for each in members for ended in each.hypotheses if ended.ids]
        weighed: Iterator[Confidences] = iter(())
        if rows:
            repeated = batch.take(np.array([sentence for sentence, _ in rows], np.intp), trim=False)
            targets = [ids for _, ids in rows]
            weighed = iter(
                calibrated_targets(model, repeated, targets, plan.start_id, temperature=self.temperature, top=self.top)
            )
        for each in members:
            hypotheses = [
                ended._replace(confidences=next(weighed) if ended.ids else NO_CONFIDENCES) for ended in each.hypotheses
            ]
            yield each._replace(hypotheses=hypotheses)


def _by_batch(found: Iterable[SentenceHypotheses]) -> Iterator[tuple[Batch, list[SentenceHypotheses]]]:
    """Yield the hypotheses of the sentences of each batch together; those that failed go with them."""
    members: list[SentenceHypotheses] = []
    for each in found:
        if members and each.batch is not members[0].batch:
            yield members[0].batch, members
            members = []
        members.append(each)
    if members:
        yield members[0].batch, members


def confidence_rule(options: DecodingOptions, manifest: Manifest) -> ConfidenceRule:
    """Return how confidences are computed where options ask for them."""
    calibration = manifest.calibration
    top = min(options.return_top_tokens, manifest.target.size)
    return ConfidenceRule(1.0 if calibration is None else calibration.temperature, top)


class ConfidenceFields(TypedDict, total=False):
    """The fields of a `Hypothesis` that tell how sure the model is."""

    confidence: float
    token_confidences: list[float]
    word_confidences: list[tuple[str, float]]
    top_tokens: list[list[tuple[str, float]]]


def word_confidences(
    tokens: Sequence[str], sure: Sequence[float], vocabulary: Vocabulary | None
) -> list[tuple[str, float]]:
    """Return words and how sure the model is of each: together they multiply to the confidence of the sequence.

    Args:
        tokens: symbols, without the end token.
        sure: probability of each, and of the end token where there is one.
        vocabulary: says where words end; None = each token is one.
    """
    unit = "word" if vocabulary is None else vocabulary.unit
    words: list[tuple[str, float]] = []
    text, share = "", 1.0
    for token, own in zip(tokens, sure, strict=False):
        begins = unit == "sentencepiece" and token.startswith(SPACE)
        if begins and text:
            words.append((text, share))
            text, share = "", 1.0
        text, share = text + token.strip(SPACE if unit == "sentencepiece" else None), share * own
        if text and (unit not in WITHOUT_SPACES or (unit == "char" and token.isspace())):
            words.append((text, share))
            text, share = "", 1.0
    share *= math.prod(sure[len(tokens) :])
    if text:
        words.append((text, share))
    elif words:
        words[-1] = words[-1][0], words[-1][1] * share
    return words
