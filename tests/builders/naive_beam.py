"""A twin of the search, as one would write it on a slide: it shares no code with the search."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from s2s_runtime import Model

NextScores = Callable[[tuple[int, ...]], np.ndarray]


def naive_beam(
    next_scores: Callable[[tuple[int, ...]], np.ndarray], ends: set[int], longest: int, options: dict[str, Any]
) -> list[tuple[float, tuple[int, ...]]]:
    """Beam search as one would write it on a slide. `next_scores` gives log-probabilities, -inf where not allowed."""
    beam, alpha = options["beam_size"], options["length_penalty"]
    pool = max(1, math.floor(beam * options["patience"] + 0.5))

    def norm(length: int) -> float:
        return (length if options["length_penalty_kind"] == "average" else (5 + length) / 6) ** alpha

    alive: list[tuple[float, tuple[int, ...]]] = [(0.0, ())]
    ended: list[tuple[float, tuple[int, ...]]] = []
    for length in range(1, longest + 1):
        extended = [
            (total + score, (*tokens, token))
            for total, tokens in alive
            for token, score in enumerate(next_scores(tokens))
            if score > -math.inf
        ]
        extended = sorted(extended, key=lambda item: -item[0])[: beam * (1 + len(ends))]
        alive = [item for item in extended if item[1][-1] not in ends][:beam]
        ended += [(total / norm(length), tokens) for total, tokens in extended[:beam] if tokens[-1] in ends]
        if length == longest:
            ended += [(total / norm(length), tokens) for total, tokens in alive]
        if not alive or (len(ended) >= pool and alive[0][0] / norm(longest) <= max(ended)[0]):
            break
    return sorted(ended, key=lambda item: -item[0])[: options["num_hypotheses"]]


def rules_of(model: Model, size: int, source: int, options: dict[str, Any]) -> NextScores:
    """Log-probabilities of the next token, by a model of `fake_models` for a source of one token, under the options."""
    prefix, ends = tuple(options["prefix"] or ()), options["end_tokens"]

    def next_scores(tokens: tuple[int, ...]) -> np.ndarray:
        logits = np.array(model._steps.logits(np.array([[source]]), np.array([tokens], np.int64).reshape(1, -1))[0])
        for token in set(tokens):
            logits[token] *= options["repetition_penalty"] ** (-1 if logits[token] > 0 else 1)
        scores = logits - np.logaddexp.reduce(logits)
        banned = {size - 1, *options["suppress_tokens"], *(ends if len(tokens) < options["min_length"] else ())}
        banned |= {
            each[-1] for each in options["suppress_sequences"] if tokens[len(tokens) + 1 - len(each) :] == (*each[:-1],)
        }
        if n := options["no_repeat_ngram_size"]:
            pairs = [tokens[i : i + n] for i in range(len(tokens) + 1 - n)]
            banned |= {pair[-1] for pair in pairs if pair[:-1] == tokens[len(tokens) + 1 - n :]}
        if (allowed := options.get("allowed_sequences")) is not None:
            whole = [each for each in map(tuple, allowed) if len(each) <= options["max_length"]]
            ahead = {each[len(tokens)] for each in whole if each[: len(tokens)] == tokens and len(each) > len(tokens)}
            banned |= set(range(size)) - ahead - (set(ends) if tokens in whole else set())
        if len(tokens) < len(prefix):
            banned = set(range(size)) - {prefix[len(tokens)]}
        for token, weight in options.get("weights", []):
            scores[token] += weight
        scores[list(banned)] = -math.inf
        return np.asarray(scores)

    return next_scores
