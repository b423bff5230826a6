"""Decoding against a naive twin: random step models, random options, sources in company."""

from __future__ import annotations

from random import Random
from typing import Any

from fake_models import random_model
from harness import BrokenPromiseError, Case, Harness
from naive_beam import NextScores, naive_beam, rules_of

CLOSE = 1e-4
"""Scores of float32 and of the twin's float64 differ by less."""


def make(random: Random) -> Case:
    """Draw a model, options and sources of one token each, among them the same twice."""
    longest, beam = random.randrange(1, 9), random.choice([1, 2, 2, 3, 4, 5, 9])
    sources = [random.randrange(1, 10) for _ in range(random.randrange(1, 6))]
    ends = random.choice([[0], [0], [0, 2]])
    options = {
        "beam_size": beam,
        # one, where texts could differ by their end alone, which the search gives once
        "num_hypotheses": random.randrange(1, beam + 1) if len(ends) == 1 else 1,
        "patience": 1.0,
        "length_penalty": random.choice([0.0, 0.3, 1.0, 2.0]),
        "length_penalty_kind": random.choice(["average", "gnmt"]),
        "max_length": longest,
        "min_length": random.randrange(min(3, longest + 1)),
        "repetition_penalty": random.choice([1.0, 1.0, 1.5, 0.7]),
        "suppress_tokens": random.choice([[], [], [2]]),
        "suppress_sequences": random.choice([[], [], [[1, 1]], [[3, 1, 3], [1, 2]]]),
        "no_repeat_ngram_size": random.choice([0, 0, 1, 2]),
        "prefix": random.choice([None, None, [1], [3, 1]]),
        "end_tokens": ends,
        # of tokens, below 0: the twin gives no credit for what was begun, and stops where nothing can rise
        "weights": random.choice([[], [], [[1, -0.7], [3, -2.0]]]),
    }
    if options["prefix"] is not None:
        options["prefix"] = options["prefix"][:longest]
    size = random.randrange(5, 10)
    if random.random() < 0.2:  # what the others rule out is left out, which the twin doesn't know
        free = {"min_length": 0, "suppress_tokens": [], "suppress_sequences": [], "no_repeat_ngram_size": 0}
        tokens = [token for token in range(size - 1) if token not in ends]
        drawn = [random.choices(tokens, k=random.randrange(6)) for _ in range(random.randrange(20))]
        options |= {**free, "prefix": None, "allowed_sequences": [*drawn, tokens[:1]]}
    return {
        "seed": random.randrange(10**9),
        "size": size,
        "options": options,
        "sources": sources,
        "batch_size": random.randrange(1, 6),
    }


def naive_greedy(rules: NextScores, options: dict[str, Any]) -> tuple[float, tuple[int, ...]]:
    """The likeliest token after each other, until one ends, and the score of all."""
    tokens, total = tuple[int, ...](), 0.0
    while len(tokens) < options["max_length"] and not (tokens and tokens[-1] in options["end_tokens"]):
        scores = rules(tokens)
        tokens, total = (*tokens, int(scores.argmax())), total + float(scores.max())
    length = len(tokens) if options["length_penalty_kind"] == "average" else (5 + len(tokens)) / 6
    return total / length ** options["length_penalty"], tokens


def check(case: Case) -> str:
    """Decode, and compare hypotheses and scores with the twin's."""
    options, size, sources = case["options"], case["size"], case["sources"]
    model = random_model(case["seed"], size)
    prefix = None if options["prefix"] is None else [options["prefix"]] * len(sources)
    given = {**options, "prefix": prefix, "return_scores": True, "return_end_token": True}
    given["bias"] = {(token,): weight for token, weight in given.pop("weights", [])}
    results = model.generate([[source] for source in sources], **given, max_batch_size=case["batch_size"])
    near = False
    for source, result in zip(sources, results, strict=True):
        rules = rules_of(model, size, source, options)
        if options["beam_size"] == 1:
            twin = [naive_greedy(rules, options)]
        else:
            twin = naive_beam(rules, {*options["end_tokens"]}, options["max_length"], options)
        found = [(h.score, tuple(h.ids)) for h in result.hypotheses]
        if len(found) != len(twin) or any(abs(a - b) > CLOSE for (a, _), (b, _) in zip(found, twin, strict=True)):
            raise BrokenPromiseError(f"source {source}: {found}, the twin: {twin}")
        near |= [ids for _, ids in found] != [ids for _, ids in twin]
    return "near tie" if near else "beam: equal" if options["beam_size"] > 1 else "greedy: equal"


HARNESS = Harness(name="naive twin", make=make, check=check)
