"""What the graph of a model of one pass gives, against the training model's own `predict`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from s2s_export.understand.bundle_terms import Understanding
from s2s_export.verify.checks import TIMES, UNLIKELY, Check, compare_tokens
from s2s_export.verify.oracle import Decoded, Oracle
from s2s_export.verify.rounding import Rounding, RoundingOf, largest
from s2s_export.verify.samples import Sentence, by_lengths, for_runtime

_STEPPED = 8  # sources that are read one by one


def expected_rows(oracle: Oracle, facts: Understanding, sources: Sequence[Sentence]) -> list[np.ndarray]:
    """Return what Keras gives for each source, float (positions, size), log-probabilities or values.

    Sources go to Keras as the padding policy says; of a model that masks its padding only the positions of a source's
    own steps count.
    """
    rows: list[np.ndarray] = [np.zeros(0)] * len(sources)
    for indices in by_lengths(sources):  # alone with its like, so that nothing pads it that the policy doesn't
        outputs = oracle.positions([sources[i] for i in indices])
        for index, output in zip(indices, outputs, strict=True):
            own = len(sources[index][0]) if facts.target.aligned and facts.padding.masked else len(output)
            rows[index] = output[: min(own, facts.target.max_length or own)]
    return rows


def compared_rows(oracle: Oracle, facts: Understanding, sources: Sequence[Sentence]) -> list[np.ndarray]:
    """Return `expected_rows`, log-probabilities not below `UNLIKELY`."""
    rows = expected_rows(oracle, facts, sources)
    return rows if facts.target.feedback == "value" else [np.maximum(row, UNLIKELY) for row in rows]


def one_pass_checks(
    subject: tuple[Any, Oracle, Understanding], sources: Sequence[Sentence], rounding: RoundingOf
) -> list[Check]:
    """Compare outputs at every position, and the best symbols, of a whole batch and of sources one by one.

    Of several outputs each is compared by itself, and all those beside the first together, as one call gives them.
    """
    _, oracle, facts = subject
    if facts.further:
        return _checks_of_each(subject, sources, rounding)
    return _checks(subject, sources, expected_rows(oracle, facts, sources), rounding)


def _checks(
    subject: tuple[Any, Oracle, Understanding],
    sources: Sequence[Sentence],
    expected: list[np.ndarray],
    rounding: RoundingOf,
) -> list[Check]:
    """Compare the only output, or one of several as if it were that, with what Keras gives."""
    runtime, oracle, facts = subject
    of_rows = rounding(partial(compared_rows, oracle, facts, sources))
    few = rounding(partial(compared_rows, oracle, facts, sources[:_STEPPED]))
    checks = _whole_checks((runtime, facts), sources, expected, of_rows)
    return [*checks, *_step_checks(runtime, sources, expected, few)]


def _checks_of_each(
    subject: tuple[Any, Oracle, Understanding], sources: Sequence[Sentence], rounding: RoundingOf
) -> list[Check]:
    runtime, oracle, facts = subject
    values, ends = facts.target.feedback == "value", bool(facts.target.end_ids)
    given = for_runtime(sources, facts)
    together = runtime.predict(given) if values else runtime.generate(given, return_end_token=ends)
    checks = []
    for place, name in enumerate(runtime.manifest.output_names):
        own = facts.of_output(place)
        alone = runtime.output(name), oracle.of_output(place, own), own
        rows = expected_rows(alone[1], own, sources)
        checks += [replace(check, what=f"{name}: {check.what}") for check in _checks(alone, sources, rows, rounding)]
        if place == 0 and not values:  # that is what was compared
            continue
        what = f"{name}: in one call with all outputs"
        of_rows = rounding(partial(compared_rows, alone[1], own, sources))
        found = together[name] if values else [result.outputs[name] for result in together]
        if own.target.feedback == "value":
            checks.append(Check.of_numbers(what, _differences(found, rows), of_rows, sum(map(len, rows))))
        else:
            left_out = () if ends else own.target.end_ids
            best = [_best(row, own) for row in rows]
            shown = [replace(one, tokens=[token for token in one.tokens if token not in left_out]) for one in best]
            checks.append(compare_tokens(what, found, shown, of_rows))
    return checks


def _step_checks(
    runtime: Any, sources: Sequence[Sentence], expected: Sequence[np.ndarray], rounding: Rounding
) -> list[Check]:
    """Compare what a causal model gives reading by reading."""
    if "step" not in runtime.manifest.graphs:
        return []
    differences = []
    floor = -np.inf if runtime.manifest.target.feedback == "value" else UNLIKELY
    for (source,), rows in list(zip(sources, expected, strict=True))[:_STEPPED]:
        following = runtime.start()
        outputs = [following.advance(reading) for reading in source]
        given = [output.ravel() if isinstance(output, np.ndarray) else output.log_probabilities for output in outputs]
        count = min(len(given), len(rows))  # rows have positions of padding too
        read, wanted = np.stack(given[:count]), rows[:count]
        differences.append(largest(np.maximum(read, floor), np.maximum(wanted, floor)))
    return [Check.of_numbers("reading by reading, against Keras", differences, rounding)]


def _whole_checks(
    subject: tuple[Any, Understanding], sources: Sequence[Sentence], expected: list[np.ndarray], rounding: Rounding
) -> list[Check]:
    runtime, facts = subject
    compare = partial(compare_tokens, rounding=rounding)
    positions = sum(map(len, expected))
    if facts.target.feedback == "value":
        differences = [
            largest(_rows(runtime.predict(for_runtime([source], facts))[0]), row)
            for source, row in zip(sources, expected, strict=True)
        ]
        together = _differences(runtime.predict(for_runtime(sources, facts)), expected)
        return [
            Check.of_numbers(name, found, rounding, positions)
            for name, found in (("values, one by one", differences), ("values, one mixed batch", together))
        ]
    best = [_best(row, facts) for row in expected]
    options: dict[str, Any] = {"return_end_token": bool(facts.target.end_ids)}
    mixed = runtime.generate(for_runtime(sources, facts), **options, return_token_scores=True)
    scored = [
        [
            float(abs(score - row[step, token]))
            for step, (token, score) in enumerate(zip(result.ids, result.hypotheses[0].token_scores, strict=True))
            if list(result.ids) == decoded.tokens
        ]
        for result, row, decoded in zip(mixed, expected, best, strict=True)
    ]
    gaps = [max(each, default=0.0) for each in scored]
    single = [runtime.generate(for_runtime([source], facts), **options)[0] for source in sources[:4]]
    large = runtime.generate(for_runtime(list(sources) * TIMES, facts), **options)
    return [
        Check.of_numbers("log-probabilities, against Keras", gaps, rounding, sum(map(len, scored))),
        compare("best symbols, one mixed batch", mixed, best),
        compare("best symbols, a large batch", large, best * TIMES),
        compare("best symbols, one by one", single, best[: len(single)]),
    ]


def _differences(found: Sequence[np.ndarray], expected: Sequence[np.ndarray]) -> list[float]:
    """Return how far values of a batch are from Keras's, source by source; what follows of padding is left out."""
    return [largest(_rows(one[: len(row)]), row) for one, row in zip(found, expected, strict=True)]


def _rows(values: np.ndarray) -> np.ndarray:
    """Return values (positions, size), whatever axes a position has."""
    return values.reshape(len(values), -1)


def _best(rows: np.ndarray, facts: Understanding) -> Decoded:
    """Return the best symbol of each position up to the first end, none of those that are never generated."""
    target, tokens, total, gap = facts.target, list[int](), 0.0, float("inf")
    never = {target.start_id, target.padding_id, target.unknown_id} - set(target.end_ids)
    for row in rows:
        allowed = [(float(value), token) for token, value in enumerate(row) if token not in never]
        ordered = sorted(allowed, key=lambda item: -item[0])
        tokens.append(ordered[0][1])
        total += ordered[0][0]
        gap = min(gap, ordered[0][0] - ordered[1][0] if len(ordered) > 1 else gap)
        if tokens[-1] in target.end_ids:
            break
    return Decoded(tokens, total / max(len(tokens), 1), gap)
