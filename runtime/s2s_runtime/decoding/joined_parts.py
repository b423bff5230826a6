"""The result of a source that was cut into parts: their outputs joined."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

import numpy as np

from s2s_runtime.array_types import Floats
from s2s_runtime.inputs.long_rows import WITHOUT_SPACES
from s2s_runtime.results import FinishReason, Hypothesis, Result
from s2s_runtime.vocabulary.vocabulary import Vocabulary

Item = TypeVar("Item")


def join_parts(
    parts: Sequence[Result],
    joints: Sequence[str | None],
    vocabulary: Vocabulary | None,
    further: Mapping[str, Vocabulary | None] | None = None,
) -> Result:
    """Return one result of those of a source's parts.

    Its score is the mean of theirs by the number of tokens; its attention looks from each part at that part alone.

    Args:
        parts: at least one, each with one hypothesis.
        joints: what stood before each part in the source.
        vocabulary: of the target.
        further: that of each further output, by name; those are joined likewise.
    """
    best = [part.hypotheses[0] for part in parts]
    hypothesis = Hypothesis(
        join_texts([each.text for each in best], joints, vocabulary),
        tokens=[token for each in best for token in each.tokens],
        ids=[token for each in best for token in each.ids],
        score=_mean_score(best),
        finish_reason=_reason(best),
        token_scores=_joined(each.token_scores for each in best),
        attention=_attention(best, parts),
        confidence=_product(best),
        token_confidences=_joined(each.token_confidences for each in best),
        word_confidences=_joined(each.word_confidences for each in best),
        top_tokens=_joined(each.top_tokens for each in best),
    )
    return Result(
        [hypothesis],
        [token for part in parts for token in part.source_tokens],
        [symbol for part in parts for symbol in part.unknown_symbols],
        parts=list(parts),
        outputs={
            name: _output([part.outputs[name] for part in parts], joints, own)
            for name, own in (further or {}).items()
            if all(name in part.outputs for part in parts)  # a text that is written piece by piece has the first alone
        },
    )


def _output(
    parts: Sequence[Result | Floats], joints: Sequence[str | None], vocabulary: Vocabulary | None
) -> Result | Floats:
    values = [part for part in parts if not isinstance(part, Result)]
    if values:
        return np.concatenate(values)
    return join_parts([part for part in parts if isinstance(part, Result)], joints, vocabulary)


def join_texts(texts: Sequence[str], joints: Sequence[str | None], vocabulary: Vocabulary | None) -> str:
    """Return the texts of parts joined as the source was cut; by spaces where these stand between all symbols."""
    joined = ""
    for text, joint in zip(texts, joints, strict=True):
        between = joint or "" if vocabulary is not None and vocabulary.unit in WITHOUT_SPACES else " "
        joined += between + text if joined and text else text
    return joined


def _mean_score(best: Sequence[Hypothesis]) -> float | None:
    scores = [(hypothesis.score, max(1, len(hypothesis.ids))) for hypothesis in best if hypothesis.score is not None]
    if len(scores) < len(best):
        return None
    return sum(score * count for score, count in scores) / sum(count for _, count in scores)


def _reason(best: Sequence[Hypothesis]) -> FinishReason:
    return next((each.finish_reason for each in best if each.finish_reason != "end"), "end")


def _product(best: Sequence[Hypothesis]) -> float | None:
    known = [each.confidence for each in best if each.confidence is not None]
    return math.prod(known) if len(known) == len(best) else None


def _joined(lists: Iterable[list[Item] | None]) -> list[Item] | None:
    """Return all items of some lists; None where one of these isn't known."""
    joined: list[Item] = []
    for items in lists:
        if items is None:
            return None
        joined += items
    return joined


def _attention(best: Sequence[Hypothesis], parts: Sequence[Result]) -> Floats | None:
    weights = [each.attention for each in best if each.attention is not None]
    if len(weights) < len(best):
        return None
    joined = np.zeros((sum(len(own) for own in weights), sum(len(part.source_tokens) for part in parts)), np.float32)
    row = column = 0
    for own in weights:
        joined[row : row + own.shape[0], column : column + own.shape[1]] = own
        row, column = row + own.shape[0], column + own.shape[1]
    return joined
