"""The graph of greedy search against search step by step: which runs when, and that their tokens are the same."""

from __future__ import annotations

import shutil
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import s2s_runtime
from s2s_runtime import CancelledError, Model, OptionError, Result
from s2s_runtime.bundle.manifest_file import read_manifest
from s2s_runtime.bundle.storage import FolderFiles
from s2s_runtime.opening.step_models import open_step_model
from s2s_runtime.ort.bundle_sessions import BundleSessions
from s2s_runtime.ort.onnx_model import OnnxStepModel
from s2s_runtime.ort.sessions import SessionSettings

TOKEN_BUNDLES = ("tiny", "tiny-onehot", "tiny-none", "tiny-probabilities")


class Watched:
    """A step model that counts how often it is asked to step and to write."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self.stepped, self.written = 0, []

    @property
    def can_write(self) -> bool:
        """Whether the model can."""
        return bool(self._model.can_write)

    @property
    def choices(self) -> Any:
        """How the model can choose."""
        return self._model.choices

    def step(self, *args: Any, **kwargs: Any) -> Any:
        """Count, and pass on."""
        self.stepped += 1
        return self._model.step(*args, **kwargs)

    def write(self, states: Any, tokens: Any, writing: Any) -> Any:
        """Note how many steps and rows were written, and pass on."""
        written = self._model.write(states, tokens, writing)
        self.written.append(written.tokens.shape)
        return written

    def write_beams(self, states: Any, tokens: Any, beams: Any) -> Any:
        """Note how many steps and rows were written, and pass on."""
        block = self._model.write_beams(states, tokens, beams)
        self.written.append((len(block.beam_tokens), block.beam_tokens[0].size))
        return block

    def encode(self, source: Any) -> Any:
        """Pass on."""
        return self._model.encode(source)

    def reorder(self, states: Any, rows: Any) -> None:
        """Pass on."""
        self._model.reorder(states, rows)

    def select(self, states: Any, rows: Any) -> Any:
        """Pass on."""
        return self._model.select(states, rows)


def watched(model: Model) -> tuple[Model, Watched]:
    """The same model, watched."""
    steps = Watched(model.step_model)
    return Model(model.manifest, steps), steps


def random_sources(model: Model, count: int, seed: int = 0) -> list[list[int]]:
    """Sources of several lengths, of ids that are no padding."""
    rng = np.random.default_rng(seed)
    longest = model.manifest.padding.length or 7
    lowest = 2 if model.manifest.padding.masked else 0
    return [
        rng.integers(lowest, model.manifest.source.size, rng.integers(1, longest + 1)).tolist() for _ in range(count)
    ]


@pytest.mark.parametrize("name", TOKEN_BUNDLES)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"return_end_token": True, "end_tokens": [1, 4]},
        {"end_tokens": []},
        {"max_length": 1},
        {"max_length_ratio": (0.8, 1)},
        {"suppress_tokens": [3], "allow_unknown": True},
        {"max_batch_size": 5},
        {"min_length": 3, "return_end_token": True, "end_tokens": [1, 4]},
        {"min_length": 9, "max_length": 10, "end_tokens": [1]},
    ],
    ids=lambda options: "-".join(options) or "defaults",
)
def test_both_engines_give_the_same(fixtures: Path, name: str, options: dict[str, Any]) -> None:
    """Everything in the results is the same, whichever way, for every kind of feedback, in batches of any size."""
    model = s2s_runtime.load(fixtures / f"{name}.s2s")
    for count in (1, 2, 9, 40):
        sources = random_sources(model, count, seed=count)
        graph = [r.to_dict() for r in model.generate(sources, **options, engine="graph")]
        assert graph == [r.to_dict() for r in model.generate(sources, **options, engine="steps")]


@pytest.mark.parametrize("name", TOKEN_BUNDLES)
@pytest.mark.parametrize(
    "options",
    [
        {"return_scores": True},
        {"return_token_scores": True, "return_end_token": True, "min_length": 3, "end_tokens": [1, 4]},
        {"return_token_scores": True, "suppress_tokens": [3], "length_penalty": 0.5},
        {"sampling_temperature": 1.0, "seed": 5},
        {"sampling_temperature": 0.6, "seed": 3, "return_token_scores": True, "min_length": 2, "end_tokens": [1]},
        {"sampling_temperature": 2.5, "seed": 1, "num_hypotheses": 4, "end_tokens": [1, 4]},
        {"sampling_temperature": 1.5, "seed": 2, "max_length": 150, "end_tokens": []},
        {"sampling_top_k": 3, "seed": 5, "return_token_scores": True},
        {"sampling_top_k": 99, "sampling_temperature": 2.0, "seed": 5, "suppress_tokens": [3]},
        {"sampling_top_p": 0.7, "sampling_temperature": 1.5, "seed": 4, "num_hypotheses": 3},
        {"sampling_top_k": 4, "sampling_top_p": 0.9, "sampling_temperature": 3.0, "seed": 6},
        {"sampling_top_p": 1.0, "seed": 6},
    ],
    ids="-".join,
)
def test_both_engines_choose_and_score_the_same(fixtures: Path, name: str, options: dict[str, Any]) -> None:
    """Tokens that are taken or drawn, all samples of a sentence, and their scores, in batches of any size."""
    model = s2s_runtime.load(fixtures / f"{name}.s2s")
    for count in (1, 2, 24):
        sources = random_sources(model, count, seed=count)
        graph = model.generate(sources, **options, engine="graph")
        steps = model.generate(sources, **options, engine="steps")
        for one, other in zip(graph, steps, strict=True):
            assert [h.ids for h in one.hypotheses] == [h.ids for h in other.hypotheses]
            assert [h.finish_reason for h in one.hypotheses] == [h.finish_reason for h in other.hypotheses]
            for mine, theirs in zip(one.hypotheses, other.hypotheses, strict=True):
                assert mine.score == (None if theirs.score is None else pytest.approx(theirs.score, abs=1e-5))
                assert (mine.token_scores is None) == (theirs.token_scores is None)
                assert mine.token_scores is None or mine.token_scores == pytest.approx(theirs.token_scores, abs=1e-5)


@settings(max_examples=60)
@given(st.lists(st.text("abcde", max_size=9), max_size=20), st.integers(1, 30), st.integers(1, 30))
def test_any_batch_gives_the_same_on_both(tiny: Model, texts: list[str], length: int, size: int) -> None:
    """For any texts, longest length and batch size."""
    graph = tiny.generate(texts, max_length=length, max_batch_size=size, engine="graph")
    steps = tiny.generate(texts, max_length=length, max_batch_size=size, engine="steps")
    assert [r.to_dict() for r in graph] == [r.to_dict() for r in steps]


def alike(found: list[Result], expected: list[Result]) -> None:
    """The same hypotheses with the same scores, up to rounding; where two have one score, in any order."""
    for one, other in zip(found, expected, strict=True):
        scores = [hypothesis.score for hypothesis in other.hypotheses]
        assert [hypothesis.score for hypothesis in one.hypotheses] == pytest.approx(scores, abs=1e-5)
        apart = np.abs(np.subtract.outer(scores, scores)) + np.eye(len(scores))
        for place, (mine, theirs) in enumerate(zip(one.hypotheses, other.hypotheses, strict=True)):
            if apart[place].min() > 1e-4 and place < len(scores) - 1:  # a last one may tie with one that was cut off
                assert mine.ids == theirs.ids
                assert mine.finish_reason == theirs.finish_reason
                assert (mine.token_scores is None) == (theirs.token_scores is None)
                if mine.token_scores is not None:
                    assert mine.token_scores == pytest.approx(theirs.token_scores, abs=1e-5)


@pytest.mark.parametrize("name", TOKEN_BUNDLES)
@pytest.mark.parametrize(
    "options",
    [
        {"beam_size": 2, "num_hypotheses": 2},
        {"beam_size": 5, "num_hypotheses": 5, "return_token_scores": True, "return_end_token": True, "end_tokens": [1]},
        {"beam_size": 3, "num_hypotheses": 3, "end_tokens": [1, 4], "length_penalty": 0.3},
        {"beam_size": 4, "num_hypotheses": 4, "end_tokens": [], "max_length": 5},
        {"beam_size": 30, "num_hypotheses": 10, "max_length_ratio": 1.5},
        {"beam_size": 3, "num_hypotheses": 4, "patience": 2.0, "length_penalty_kind": "gnmt"},
        {"beam_size": 3, "num_hypotheses": 3, "suppress_tokens": [3, 5], "max_batch_size": 4},
        {"beam_size": 3, "num_hypotheses": 3, "min_length": 8, "max_length": 11, "end_tokens": [1, 4]},
    ],
    ids="-".join,
)
def test_both_engines_find_the_same_beams(fixtures: Path, name: str, options: dict[str, Any]) -> None:
    """The same hypotheses and scores, whichever way, for every kind of feedback, beams above the vocabulary too."""
    model = s2s_runtime.load(fixtures / f"{name}.s2s")
    for count in (1, 3, 20):
        sources = random_sources(model, count, seed=count)
        alike(model.generate(sources, **options, engine="graph"), model.generate(sources, **options, engine="steps"))


def test_the_beam_graph_writes_a_few_steps_at_a_time(tiny: Model) -> None:
    """Sentences that are done leave between runs; no step is run beyond the longest length."""
    model, steps = watched(tiny)
    model.generate(["abcde", "a"], beam_size=3, end_tokens=[], max_length=14)
    assert steps.stepped == 0
    assert steps.written == [(6, 6), (6, 6), (2, 6)]
    steps.written.clear()
    model.generate(["abcde", "a"], beam_size=3, max_length=30)
    assert steps.written[0] == (6, 6)
    assert steps.written[-1][1] == 3


def test_plain_greedy_search_never_steps(tiny: Model) -> None:
    """Left to itself the graph writes, and comes back only for rows that have ended, in fewer runs than tokens."""
    model, steps = watched(tiny)
    model.generate(["abcde", "abc", "a"] * 5, end_tokens=[])
    assert steps.stepped == 0
    assert steps.written == [(12, 15)]  # nothing ends: the longest length in one run
    steps.written.clear()
    results = model.generate(["abcde", "abc", "a"] * 8)
    assert steps.stepped == 0
    assert 1 < len(steps.written) < max(len(r.ids) for r in results) + 1
    rows = [shape[1] for shape in steps.written]
    assert rows[0] == 24
    assert rows == sorted(rows, reverse=True)
    assert rows[-1] < 24  # rows that have ended were dropped


def test_min_length_takes_a_run_of_its_own(tiny: Model) -> None:
    """The graph's mask holds for a whole run: one without ends, up to the least length, then the others."""
    model, steps = watched(tiny)
    results = model.generate(["abcde", "abc", "a"] * 4, min_length=7)
    assert (steps.stepped, steps.written[0]) == (0, (7, 12))
    assert min(len(result.ids) for result in results) == 7
    steps.written.clear()
    model.generate(["abcde", "a"], beam_size=3, min_length=7)
    assert [shape[0] for shape in steps.written[:2]] == [6, 1]


OBSTACLES = {
    "sampling": {"sampling_min_p": 0.1, "seed": 1},
    "attention": {"beam_size": 2, "coverage_penalty": 0.1},
    "callback": {"callback": lambda event: False},
    "prefix": {"prefix": ["A", None]},
    "min_length": {"min_length": 2, "suppress_tokens": [3, 4, 5, 6, 7]},  # nothing is left but the end
    "repetition_penalty": {"repetition_penalty": 1.1},
    "no_repeat_ngram_size": {"no_repeat_ngram_size": 2},
    "suppress_sequences": {"suppress_sequences": [[3, 4]]},
    "allowed_sequences": {"allowed_sequences": ["AB", "DEAD"]},
    "required_phrases": {"required_phrases": ["AB"], "beam_size": 2},
    "bias": {"bias": {"AB": 1.0}},
    "logits_processor": {"logits_processor": lambda ids, logits: logits},
    "allowed_next": {"allowed_next": lambda step, tokens: range(8)},
}


@pytest.mark.parametrize("obstacle", OBSTACLES)
def test_what_the_graph_cannot_do_goes_step_by_step(tiny: Model, obstacle: str) -> None:
    """By itself where the engine is left open; a clear error where the graph was asked for."""
    model, steps = watched(tiny)
    options: Any = OBSTACLES[obstacle]
    told: Any = model.generate(["abc", "de"], **options)[:1]
    assert steps.stepped > 0
    assert not steps.written
    assert (told.engine, told.obstacles) == ("steps", [obstacle])
    with pytest.raises(OptionError, match=rf"engine: 'graph' can't do what was asked for \({obstacle}\); leave it out"):
        model.generate(["abc", "de"], **options, engine="graph")


def test_graphs_are_opened_when_they_are_needed(fixtures: Path) -> None:
    """Who decodes greedily never opens the graphs of beam search, whose weights would take as much memory again."""
    manifest = read_manifest(fixtures / "tiny.s2s")
    sessions = BundleSessions(FolderFiles(fixtures / "tiny.s2s"), manifest, SessionSettings(), {})
    opened: list[str] = []
    sessions._opened = lambda name: opened.append(name) or open_graph(name)  # type: ignore[method-assign, func-returns-value]
    open_graph = BundleSessions._opened.__get__(sessions)
    model = Model(manifest, OnnxStepModel(manifest, sessions))
    model.generate(["abc"] * 60)
    assert opened == ["greedy", "encoder"]
    model.generate(["abc"], beam_size=2)
    model.generate(["abc"], return_attention=True)
    assert opened == ["greedy", "encoder", "beam", "decoder"]
    model.generate(["abc"], return_scores=True)
    model.generate(["abc"], sampling_temperature=1.0, seed=1)
    assert opened[4:] == ["greedy_scores", "sample"]


@pytest.mark.parametrize("without", [("greedy", "beam", "greedy_scores", "sample"), ("greedy_scores", "sample")])
def test_a_bundle_without_the_graph_still_decodes(
    fixtures: Path, tmp_path: Path, tiny: Model, without: tuple[str, ...]
) -> None:
    """Bundles written before there was one: step by step, and an error where the graph is asked for."""
    shutil.copytree(fixtures / "tiny.s2s", tmp_path / "old.s2s")
    manifest = read_manifest(tmp_path / "old.s2s")
    graphs = {name: file for name, file in manifest.graphs.items() if name not in without}
    s2s_runtime.bundle.manifest_file.write_manifest(
        tmp_path / "old.s2s", s2s_runtime.bundle.manifest_file.Manifest(**{**vars(manifest), "graphs": graphs})
    )
    old = s2s_runtime.load(tmp_path / "old.s2s")
    assert old.generate(["abc"])[0].to_dict() == tiny.generate(["abc"])[0].to_dict()
    drawn: Any = old.generate(["abc"], sampling_temperature=1.0, seed=1)
    assert (drawn.engine, drawn[0].ids) == ("steps", tiny.generate(["abc"], sampling_temperature=1.0, seed=1)[0].ids)
    with pytest.raises(OptionError, match="this model has no such graph"):
        old.generate(["abc"], engine="graph", return_scores=True)


@pytest.mark.parametrize("name", TOKEN_BUNDLES)
def test_the_graph_on_the_device_path(fixtures: Path, name: str) -> None:
    """States that stay where the graph left them, as on a GPU, give what they give in host memory."""
    folder = fixtures / f"{name}.s2s"
    manifest = read_manifest(folder)
    device = Model(manifest, open_step_model(FolderFiles(folder), manifest, SessionSettings(), on_device=True))
    host = s2s_runtime.load(folder)
    sources = random_sources(host, 24)
    drawn = {"sampling_temperature": 1.0, "seed": 1, "num_hypotheses": 2}
    for options in ({}, {"return_scores": True}, drawn, {"beam_size": 3, "num_hypotheses": 3}):
        found = [r.to_dict() for r in device.generate(sources, engine="graph", **options)]
        assert found == [r.to_dict() for r in host.generate(sources, engine="graph", **options)]


def test_a_graph_that_writes_can_be_cancelled(tiny: Model) -> None:
    """The signal is looked at between runs of a few steps; without a signal one run may write everything."""
    model, steps = watched(tiny)
    event = Event()
    model.generate(["abc"] * 4, max_length=40, end_tokens=[], cancel=event)
    assert [shape[0] for shape in steps.written] == [8] * 5
    steps.written.clear()
    model.generate(["abc"], beam_size=2, max_length=12, end_tokens=[], cancel=event)
    assert [shape[0] for shape in steps.written] == [6, 6]
    event.set()
    with pytest.raises(CancelledError):
        model.generate(["abc"], cancel=event)
