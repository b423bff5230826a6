"""Decodes what a model trained with CTC gave: the best path, or the likeliest sequences by prefix beam search."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from s2s_runtime.bundle.manifest import Manifest
from s2s_runtime.ctc.alignments import best_frames, log_probabilities
from s2s_runtime.ctc.frames import Frames, best_path
from s2s_runtime.ctc.prefix_beam import prefix_beam_search
from s2s_runtime.inputs.batch import Batch
from s2s_runtime.search.finished import EndedSequence
from s2s_runtime.search.graph_search import SentenceHypotheses
from s2s_runtime.search.plan import SearchPlan
from s2s_runtime.search.step_model import StepModel


def search_frames(
    model: StepModel[Any], batch: Batch, plan: SearchPlan, manifest: Manifest
) -> Iterator[SentenceHypotheses]:
    """Yield the hypotheses of each source of a batch, in their order.

    A beam of one takes the likeliest alignment, a wider one sums over alignments. Scores are the log-probability of the
    symbols over all alignments, whichever found them.

    Args:
        model: a model of one pass, whose positions are frames.
        batch: the sources.
        plan: how to search.
        manifest: of the bundle, which tells the blank.
    """
    frames = _frames(model, batch, manifest)
    if len(plan.rules.banned):
        frames.logs[:, :, [token for token in plan.rules.banned if token != frames.blank]] = -np.inf
    if plan.beam_size == 1:
        paths = best_path(frames)
        scores = log_probabilities(frames, paths).tolist() if plan.scores else [None] * len(paths)
        found = [[(path, score)] for path, score in zip(paths, scores, strict=True)]
    else:
        found = prefix_beam_search(frames, plan.beam_size, plan.num_hypotheses)
    for sentence, ranked in enumerate(found):
        spans: Sequence[list[tuple[int, int]] | None] = [None] * len(ranked)
        if plan.alignments:
            repeated = frames.of(np.full(len(ranked), sentence))
            spans = best_frames(repeated, [symbols for symbols, _ in ranked])
        ended = [
            EndedSequence(symbols, "length", score, alignment=alignment)
            for (symbols, score), alignment in zip(ranked, spans, strict=True)
        ]
        yield SentenceHypotheses(batch, sentence, ended)


def score_frames(
    model: StepModel[Any], batch: Batch, targets: Sequence[Sequence[int]], manifest: Manifest
) -> list[float]:
    """Return the log-probability of the target of each source, the sum over all alignments."""
    scores: list[float] = log_probabilities(_frames(model, batch, manifest), targets).tolist()
    return scores


def _frames(model: StepModel[Any], batch: Batch, manifest: Manifest) -> Frames:
    """Run a model on a batch of sources."""
    logits = model.encode(batch.source, *batch.others).outputs.astype(np.float64)
    logits -= logits.max(axis=2, keepdims=True)
    logits -= np.log(np.exp(logits).sum(axis=2, keepdims=True))
    lengths = np.full(len(batch), logits.shape[1])
    if manifest.padding.masked:  # each step of a source has as many frames: one, or several
        lengths = batch.columns.sum(axis=1) * (logits.shape[1] // batch.columns.shape[1])
    return Frames(logits, lengths, int(manifest.target.blank_id or 0))
