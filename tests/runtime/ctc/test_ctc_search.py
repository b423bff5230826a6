"""CTC: what alignments say, the sum over them, and the search for the likeliest symbols, beside enumeration."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from itertools import groupby, product

import numpy as np
import pytest
from fake_models import number_manifest

from s2s_runtime import Model
from s2s_runtime.ctc.alignments import best_frames, log_probabilities
from s2s_runtime.ctc.frames import Frames, best_path
from s2s_runtime.ctc.prefix_beam import prefix_beam_search
from s2s_runtime.one_pass.pass_model import OnePassModel

ENOUGH = 6000  # more sequences than six frames of four symbols can say


def said(alignment: tuple[int, ...], blank: int) -> tuple[int, ...]:
    """Return what an alignment says, as its definition has it."""
    return tuple(symbol for symbol, _ in groupby(alignment) if symbol != blank)


def enumerated(logs: np.ndarray, blank: int) -> dict[tuple[int, ...], float]:
    """Return the log-probability of each sequence of symbols: the sum over every alignment that says it."""
    sums: dict[tuple[int, ...], float] = defaultdict(float)
    for alignment in product(range(logs.shape[1]), repeat=len(logs)):
        sums[said(alignment, blank)] += float(np.exp(sum(logs[t, c] for t, c in enumerate(alignment))))
    return {sequence: float(np.log(p)) for sequence, p in sums.items() if p > 0}


def drawn(seed: int, size: tuple[int, int, int], blank: int, sharpness: float = 2.0) -> Frames:
    """Return random frames of different lengths: so many sources, frames and classes."""
    sources, frames, classes = size
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(sources, frames, classes)) * sharpness
    logs = logits - np.log(np.exp(logits).sum(axis=2, keepdims=True))
    lengths = np.array([frames, *rng.integers(1, frames + 1, sources - 1)])
    return Frames(logs, lengths, blank)


CASES = [(classes, frames, blank) for classes in (2, 3, 4) for frames in (1, 4, 6) for blank in {0, classes - 1}]
CASES.append((5, 6, 2))


@pytest.mark.parametrize(("classes", "frames", "blank"), CASES)
def test_a_beam_wide_enough_finds_what_enumeration_finds(classes: int, frames: int, blank: int) -> None:
    """All sequences that can be said are found, best first, each with the sum over all its alignments."""
    given = drawn(classes * 100 + frames, (3, frames, classes), blank)
    found = prefix_beam_search(given, ENOUGH, ENOUGH)
    for row in range(len(given)):
        expected = enumerated(given.logs[row, : given.lengths[row]], blank)
        assert {tuple(symbols) for symbols, _ in found[row]} == set(expected)
        scores = [score for _, score in found[row]]
        np.testing.assert_allclose(scores, sorted(expected.values(), reverse=True), atol=1e-9)
        np.testing.assert_allclose(scores, [expected[tuple(symbols)] for symbols, _ in found[row]], atol=1e-9)


@pytest.mark.parametrize("beam_size", [1, 2, 5, 20])
def test_a_narrow_beam_gives_true_scores_in_order_and_nothing_twice(beam_size: int) -> None:
    """Whatever is dropped, what is returned has its own log-probability; looking at fewer symbols loses none."""
    given = drawn(7, (5, 5, 4), 3, sharpness=1.0)
    for row, ranked in enumerate(prefix_beam_search(given, beam_size, 3)):
        expected = enumerated(given.logs[row, : given.lengths[row]], 3)
        assert len({tuple(symbols) for symbols, _ in ranked}) == len(ranked) <= min(beam_size, 3)
        for symbols, score in ranked:
            assert score == pytest.approx(expected[tuple(symbols)], abs=1e-9)
        assert [score for _, score in ranked] == sorted((score for _, score in ranked), reverse=True)


def plain_search(logs: np.ndarray, blank: int, beam_size: int) -> dict[tuple[int, ...], float]:
    """Search as the publications write it down, one source, one sequence and one class at a time."""
    kept: dict[tuple[int, ...], tuple[float, float]] = {(): (1.0, 0.0)}
    for row in np.exp(logs):
        following: dict[tuple[int, ...], list[float]] = defaultdict(lambda: [0.0, 0.0])
        for sequence, (in_blank, in_symbol) in kept.items():
            following[sequence][0] += (in_blank + in_symbol) * row[blank]
            for symbol, p in enumerate(row):
                if symbol == blank:
                    continue
                if sequence and symbol == sequence[-1]:
                    following[sequence][1] += in_symbol * p
                    following[*sequence, symbol][1] += in_blank * p
                else:
                    following[*sequence, symbol][1] += (in_blank + in_symbol) * p
        best = sorted(following.items(), key=lambda item: -sum(item[1]))[:beam_size]
        kept = {sequence: (p[0], p[1]) for sequence, p in best}
    return {sequence: sum(p) for sequence, p in kept.items()}


@pytest.mark.parametrize("classes", [4, 40])
@pytest.mark.parametrize("beam_size", [1, 3, 8])
def test_each_beam_keeps_what_the_published_search_keeps(classes: int, beam_size: int) -> None:
    """Sources together and only the likeliest symbols looked at: the same sequences live to the end."""
    given = drawn(classes + beam_size, (4, 12, classes), 0)
    for row, ranked in enumerate(prefix_beam_search(given, beam_size, beam_size)):
        expected = plain_search(given.logs[row, : given.lengths[row]], 0, beam_size)
        assert {tuple(symbols) for symbols, _ in ranked} == set(expected)


def test_the_best_path_is_the_likeliest_alignment() -> None:
    """Greedy search says what the likeliest of all alignments says, and its symbols stand where that has them."""
    given = drawn(3, (6, 6, 4), 2)
    paths = best_path(given)
    spans = best_frames(given, paths)
    for row, path in enumerate(paths):
        logs = given.logs[row, : given.lengths[row]]
        likeliest = tuple(logs.argmax(axis=1).tolist())
        assert tuple(path) == said(likeliest, 2)
        runs, at = [], 0
        for symbol, run in groupby(likeliest):
            length = len(list(run))
            runs += [(at, at + length)] if symbol != 2 else []
            at += length
        assert spans[row] == runs


def test_symbols_stand_where_the_likeliest_of_their_alignments_has_them() -> None:
    """For targets that are not the best path too: among all alignments that say them the likeliest counts."""
    given = drawn(11, (4, 5, 3), 0)
    targets = [[1, 2], [2], [1, 1], []]
    given = Frames(given.logs, np.array([5, 4, 5, 3]), 0)
    spans = best_frames(given, targets)
    for row, target in enumerate(targets):
        logs = given.logs[row, : given.lengths[row]]
        ways = [way for way in product(range(3), repeat=len(logs)) if said(way, 0) == tuple(target)]
        best = max(ways, key=lambda way: sum(logs[t, c] for t, c in enumerate(way)))
        marked = [0] * len(logs)
        for symbol, (first, behind) in zip(target, spans[row], strict=True):
            marked[first:behind] = [symbol] * (behind - first)
        assert tuple(marked) == best


def test_what_cannot_be_said_in_so_few_frames_has_no_probability() -> None:
    """Two of the same need a blank between them: three frames."""
    given = drawn(5, (2, 3, 3), 0)
    given = Frames(given.logs, np.array([2, 3]), 0)
    impossible, possible = log_probabilities(given, [[1, 1], [1, 1]])
    assert impossible == -np.inf
    assert possible == pytest.approx(enumerated(given.logs[1], 0)[1, 1])


def test_classes_that_may_not_be_written_are_not() -> None:
    """A log-probability of -inf suppresses a symbol in every sequence found."""
    given = drawn(9, (3, 6, 4), 3)
    logs = given.logs.copy()
    logs[..., 1] = -np.inf
    found = prefix_beam_search(Frames(logs, given.lengths, 3), 50, 50)
    assert all(found)
    assert not any(1 in symbols for ranked in found for symbols, _ in ranked)


@pytest.mark.parametrize("beam_size", [1, 3])
def test_results_say_that_one_graph_gave_them(beam_size: int) -> None:
    """Nothing that was asked for keeps frames from the graph: there is no other way to have them."""
    made = number_manifest(4, max_length=None, start_id=0, end_ids=())
    target = replace(made.target, feedback="none", start_id=None, blank_id=0)
    graphs = {"model": made.graphs["encoder"]}
    manifest = replace(made, kind="ctc", graphs=graphs, states=(), memory=(), target=target)
    logits = np.random.default_rng(0).normal(size=(3, 5, 4)).astype(np.float32)
    results = Model(manifest, OnePassModel(lambda source: [logits[source[:, 0]]])).generate(
        [[1], [2]], beam_size=beam_size
    )
    assert (results.engine, results.obstacles) == ("graph", [])
