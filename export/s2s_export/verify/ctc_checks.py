"""What the graph of a model trained with CTC gives, against Keras's `predict` and TensorFlow's CTC loss."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import groupby, pairwise, zip_longest
from typing import Any

import numpy as np
import tensorflow as tf

from s2s_export.understand.bundle_terms import Understanding
from s2s_export.verify.checks import UNLIKELY, Check, compare_tokens, log_softmax
from s2s_export.verify.coverage import BEAM_SIZE
from s2s_export.verify.one_pass_checks import compared_rows, expected_rows
from s2s_export.verify.oracle import Decoded, Oracle
from s2s_export.verify.rounding import RoundingOf, largest
from s2s_export.verify.samples import Sentence, for_runtime, padded

_FEW = 8
_ALONE = 4


def ctc_checks(
    subject: tuple[Any, Oracle, Understanding], sources: Sequence[Sentence], rounding: RoundingOf
) -> list[Check]:
    """Compare what each frame gives, what the best path says, and how likely that is over all alignments."""
    runtime, oracle, facts = subject
    expected = expected_rows(oracle, facts, sources)
    of_rows = rounding(partial(compared_rows, oracle, facts, sources))
    compare = partial(compare_tokens, rounding=of_rows)
    gaps = []
    for source, row in zip(sources, expected, strict=True):
        logs = log_softmax(runtime.step_model.encode(*padded([source], facts)).outputs[0][: len(row)])
        gaps.append(largest(np.maximum(logs, UNLIKELY), np.maximum(row, UNLIKELY)))
    best = [_best(row, facts) for row in expected]
    mixed = for_runtime(sources, facts)
    found = runtime.generate(mixed, return_scores=True)
    few = for_runtime(sources[:_FEW], facts)
    single = [runtime.generate(_one(few, i))[0] for i in range(min(_ALONE, len(sources)))]
    searched = runtime.generate(few, beam_size=BEAM_SIZE, num_hypotheses=2)
    losses = [
        [
            abs(hypothesis.score + _loss(row, hypothesis.ids, facts)) / len(row)
            for result in filter(None, results)
            for hypothesis in result.hypotheses
        ]
        for row, *results in zip_longest(expected, found, searched)
    ]
    return [
        Check.of_numbers("log-probabilities of frames, against Keras", gaps, of_rows),
        compare("best paths, one mixed batch", found, best),
        compare("best paths, one by one", single, best[: len(single)]),
        Check.of_numbers(
            "scores per frame, against TensorFlow's CTC loss", list(map(max, losses)), of_rows, sum(map(len, losses))
        ),
        compare(
            f"beam {BEAM_SIZE}, one mixed batch",
            searched,
            [_searched(row, facts) for row in expected[: len(searched)]],
        ),
    ]


def _one(sources: Any, index: int) -> Any:
    if isinstance(sources, dict):
        return {name: rows[index : index + 1] for name, rows in sources.items()}
    return sources[index : index + 1]


def _best(row: np.ndarray, facts: Understanding) -> Decoded:
    """Return what the likeliest alignment says, and how near the second class came to the best of any frame."""
    allowed, target = _allowed(row, facts), facts.target
    ordered = np.sort(allowed, axis=1)
    gap = float((ordered[:, -1] - ordered[:, -2]).min()) if row.shape[1] > 1 else np.inf
    tokens = [token for token, _ in groupby(allowed.argmax(axis=1).tolist()) if token != target.blank_id]
    return Decoded(tokens, float(ordered[:, -1].sum()), gap)


def _searched(row: np.ndarray, facts: Understanding) -> Decoded:
    """Return the likeliest text by prefix beam search as it is published, one source and one sequence at a time."""
    blank = facts.target.blank_id
    kept: dict[tuple[int, ...], tuple[float, float]] = {(): (0.0, -np.inf)}  # logs: ends in a blank, in its last symbol
    gap = np.inf
    for logs in _allowed(row, facts):
        likeliest = [int(c) for c in np.argsort(-logs) if c != blank][: 2 * BEAM_SIZE + 1]
        following: dict[tuple[int, ...], list[float]] = {}
        for text, (in_blank, in_symbol) in kept.items():
            whole, last = np.logaddexp(in_blank, in_symbol), text[-1] if text else None
            _add(following, text, 0, whole + logs[blank])
            if last is not None:
                _add(following, text, 1, in_symbol + logs[last])
            for symbol in {*likeliest, *(other[-1] for other in kept if other and other[:-1] == text)}:
                _add(following, (*text, symbol), 1, (in_blank if symbol == last else whole) + logs[symbol])
        ranked = sorted(following.items(), key=lambda item: -np.logaddexp(*item[1]))
        edge = [np.logaddexp(*pair) for _, pair in ranked[BEAM_SIZE - 1 : BEAM_SIZE + 1]]
        gap = min(gap, *(one - other for one, other in pairwise(edge)), np.inf)
        kept = {text: (pair[0], pair[1]) for text, pair in ranked[:BEAM_SIZE]}
    scores = sorted(((-_loss(row, text, facts), text) for text in kept), reverse=True)
    closest = scores[0][0] - scores[1][0] if len(scores) > 1 else np.inf
    return Decoded(list(scores[0][1]), scores[0][0], float(min(gap, closest)))


def _add(sums: dict[tuple[int, ...], list[float]], text: tuple[int, ...], place: int, more: float) -> None:
    pair = sums.setdefault(text, [-np.inf, -np.inf])
    pair[place] = float(np.logaddexp(pair[place], more))


def _allowed(row: np.ndarray, facts: Understanding) -> np.ndarray:
    """Return log-probabilities (frames, classes), -inf at what is never written."""
    allowed, target = row.copy(), facts.target
    for token in (target.start_id, target.padding_id, target.unknown_id):
        if token is not None and token != target.blank_id:
            allowed[:, token] = -np.inf
    return allowed


def _loss(row: np.ndarray, ids: Sequence[int], facts: Understanding) -> float:
    """Return TensorFlow's CTC loss of symbols, for log-probabilities (frames, classes)."""
    loss = tf.nn.ctc_loss(
        labels=tf.constant([[*ids, 0]], tf.int32),
        logits=tf.constant(row[None], tf.float32),
        label_length=tf.constant([len(ids)]),
        logit_length=tf.constant([len(row)]),
        logits_time_major=False,
        blank_index=facts.target.blank_id,
    )
    return float(loss[0])
