"""Language models that count in a search: exhaustive enumeration, what stays the same, and what is refused."""

from __future__ import annotations

import itertools
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_models import FakeModel, number_manifest
from places import FIXTURES
from typer.testing import CliRunner

import s2s_runtime
from s2s_runtime import Model, OptionError, Vocabulary
from s2s_runtime.commands import decode, evaluate
from s2s_runtime.fusion import companion
from s2s_runtime.language_models.begun_model import BegunModel
from s2s_runtime.options import DecodingOptions
from s2s_runtime.results import TargetScore
from s2s_runtime.serving.options import ServingOptions
from s2s_runtime.serving.request_options import OptionReader

WRITER = FIXTURES / "tiny-writer.s2s"
TINY = str(FIXTURES / "tiny.s2s")
TARGET = ("\n", "a", "b", "c", "\t")  # the target's symbols: end first, start last
SOURCES = ["abcab", "edc", "aaaaaa", "dcbe"]


@pytest.fixture(scope="module")
def writer() -> Model:
    """A language model over the capitals of `tiny`, in another order and without a start token."""
    return s2s_runtime.load(WRITER)


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Return log-probabilities of one row."""
    return np.asarray(logits - np.logaddexp.reduce(logits))


class Letters:
    """A language model of fixed random numbers over some symbols, as a model and as a function of texts."""

    def __init__(self, seed: int, symbols: str, *, start: str | None, end: str | None = "\n") -> None:
        random = np.random.default_rng(seed)
        self.symbols, self.start = symbols, start
        self._tables = random.normal(0, 1.5, (8, len(symbols), len(symbols)))

    def logits(self, fed: np.ndarray) -> np.ndarray:
        """Return the logits behind some tokens, (rows, steps) -> (rows, symbols)."""
        total = np.zeros((len(fed), len(self.symbols)))
        for step in range(fed.shape[1]):
            total += self._tables[step, fed[:, step]]
        return np.sin(total) * 2

    def score(self, text: str, following: str) -> float:
        """Return the log-probability of a symbol behind a text."""
        read = [*([self.start] if self.start is not None else []), *text]
        if not read:
            return 0.0  # nothing is known of the first symbol
        ids = np.array([[self.symbols.index(symbol) for symbol in read]])
        return float(log_softmax(self.logits(ids)[0])[self.symbols.index(following)])

    def model(self, **manifest: Any) -> Model:
        """Return it as a loaded bundle."""
        size = len(self.symbols)
        start = None if self.start is None else self.symbols.index(self.start)
        end = (self.symbols.index("\n"),) if "\n" in self.symbols else ()
        vocabulary = Vocabulary("char", tuple(self.symbols), start=self.start, end="\n" if end else None)
        plain = number_manifest(size, **manifest)
        target = replace(plain.target, start_id=start, end_ids=end)
        kind = replace(plain, kind="decoder-only", target=target, target_vocabulary=vocabulary)
        steps = _Reader(self)
        return Model(kind, BegunModel(steps, size) if start is None else steps)  # type: ignore[arg-type]


class _Reader(FakeModel):
    """A step model that gives its language model all tokens that it was fed."""

    def __init__(self, letters: Letters) -> None:
        super().__init__(lambda _, fed: np.zeros((len(fed), 1)), None)
        self._letters = letters

    def step(self, states: Any, tokens: np.ndarray, *, attention: bool = False) -> Any:
        """Feed the tokens, look up the logits."""
        output = super().step(states, tokens)
        return output._replace(logits=self._letters.logits(states.fed).astype(np.float32))


def with_symbols(model: Model) -> Model:
    """Return a model of five numbers as one of symbols."""
    vocabulary = Vocabulary("char", TARGET, start="\t", end="\n")
    return Model(replace(model.manifest, target_vocabulary=vocabulary), model.step_model)


def enumerate_outputs(
    model: Model, longest: int, weights: list[tuple[Letters, float]], alpha: float
) -> list[tuple[float, tuple[int, ...]]]:
    """Return every output with its score, best first: the model's log-probabilities and the weighted others' summed."""
    every = []
    for length in range(1, longest + 1):
        for body in itertools.product((1, 2, 3), repeat=length - 1):
            for last in (0, 1, 2, 3) if length == longest else (0,):
                ids, total = (*body, last), 0.0
                for step, token in enumerate(ids):
                    fed = np.array([ids[:step]], np.int64).reshape(1, -1)
                    total += log_softmax(model.step_model.logits(np.array([[3]]), fed)[0])[token]  # type: ignore[attr-defined]
                    text = "".join(TARGET[i] for i in ids[:step])
                    total += sum(weight * each.score(text, TARGET[token]) for each, weight in weights)
                every.append((total / length**alpha, ids))
    return sorted(every, key=lambda item: -item[0])


@pytest.mark.parametrize("seed", range(24))
def test_a_beam_that_holds_all_outputs_finds_those_that_enumeration_finds(
    random_model: Callable[..., Model], seed: int
) -> None:
    """All hypotheses and their scores, with and without a start token, of a ratio too; `score` and rescoring agree."""
    start = "\t" if seed % 2 else None
    letters = Letters(seed, "b\nxac" + (start or ""), start=start)
    internal = Letters(seed + 50, "cab\n\t", start="\t")
    longest, alpha = 1 + seed % 4, [0.0, 1.0, 0.6][seed % 3]
    model = with_symbols(random_model(seed, 5, max_length=longest))
    weights = [(letters, 0.7)]
    options: dict[str, Any] = {"language_model": letters.model(), "language_model_weight": 0.7, "length_penalty": alpha}
    if seed % 4 > 1:
        weights.append((internal, -0.4))
        options |= {"internal_language_model": internal.model(), "internal_language_model_weight": 0.4}
    every = enumerate_outputs(model, longest, weights, alpha)
    found = {"beam_size": len(every) + 1, "num_hypotheses": len(every), "return_end_token": True}
    [result] = model.generate([[3]], **options, **found, return_token_scores=True)
    [rescored] = model.generate([[3]], **options, **found, rescore=True, return_token_scores=True)
    for hypotheses in (result.hypotheses, rescored.hypotheses):
        assert [h.score for h in hypotheses] == pytest.approx([score for score, _ in every], abs=1e-4)
        assert {tuple(h.ids) for h in hypotheses} == {ids for _, ids in every}
    best = result.hypotheses[0]
    assert tuple(best.ids) == every[0][1]
    scored = model.score([[3]] * len(every), [list(ids) for _, ids in every], **options, add_end=False)
    assert [each.score for each in scored] == pytest.approx([score for score, _ in every], abs=1e-4)
    assert best.token_scores == pytest.approx(scored[0].token_scores, abs=1e-4)


def test_greedy_search_takes_the_best_of_the_sum(random_model: Callable[..., Model]) -> None:
    """At each step the token of the highest sum, whatever else is in the batch; streams and callbacks see the same."""
    letters, model = Letters(3, "c\nab\t", start="\t"), with_symbols(random_model(9, 5, max_length=6))
    options = {"language_model": letters.model(), "language_model_weight": 1.3}
    written: list[int] = []
    while len(written) < 6 and 0 not in written:
        fed = np.array([written], np.int64).reshape(1, -1)
        own = log_softmax(model.step_model.logits(np.array([[3]]), fed)[0])  # type: ignore[attr-defined]
        text = "".join(TARGET[i] for i in written)
        written.append(max(range(4), key=lambda token: own[token] + 1.3 * letters.score(text, TARGET[token])))
    results = model.generate([[1, 2, 5], [3], [4, 4]], **options, return_end_token=True)
    assert results[1].ids == written
    assert "".join(model.stream([3], **options)) == results[1].text.rstrip("\n")


def test_without_weight_all_is_as_without(tiny: Model, writer: Model) -> None:
    """Tokens, scores and order of greedy search, beams, samples and of rescoring."""
    cases: list[dict[str, Any]] = [
        {"return_scores": True},
        {"beam_size": 4, "num_hypotheses": 4},
        {"beam_size": 4, "num_hypotheses": 4, "rescore": True},
        {"sampling_temperature": 2.0, "num_hypotheses": 3, "seed": 5},
    ]
    for options in cases:
        plain = {name: value for name, value in options.items() if name != "rescore"}
        without = [result.to_dict() for result in tiny.generate(SOURCES, **plain)]
        guided = tiny.generate(SOURCES, language_model=writer, language_model_weight=0, **options)
        assert [result.to_dict() for result in guided] == without
        guided = tiny.generate(SOURCES, language_model=writer, language_model_weight=3.0, **options)
        assert [result.to_dict() for result in guided] != without


def test_a_batch_changes_nothing(tiny: Model, writer: Model) -> None:
    """Each source alone gives what it gives beside others, by every search."""
    for options in (
        {"beam_size": 3, "num_hypotheses": 3},
        {"beam_size": 4, "beam_groups": 2, "num_hypotheses": 4},
        {"beam_size": 3, "num_hypotheses": 3, "stochastic_beams": True, "seed": 1},
        {"return_alternatives": True, "num_hypotheses": 3, "beam_size": 2},
        {"prefix": ["B", None, "CC", None], "beam_size": 2},
    ):
        given = {"language_model": writer, "language_model_weight": 0.8, **options}
        together = tiny.generate(SOURCES, **given)
        for i, (source, result) in enumerate(zip(SOURCES, together, strict=True)):
            own = {**given, "prefix": [given["prefix"][i]]} if "prefix" in given else given
            [alone] = tiny.generate([source], **own)
            assert [h.ids for h in alone.hypotheses] == [h.ids for h in result.hypotheses]
            for h in result.hypotheses:
                weighed = {"language_model": writer, "language_model_weight": 0.8}
                [scored] = tiny.score([source], [h.ids], **weighed, add_end=h.finish_reason == "end")
                assert h.score == pytest.approx(scored.score, abs=1e-4)


def test_rescoring_puts_the_same_hypotheses_in_another_order(tiny: Model, writer: Model) -> None:
    """The search is as without, in the graph; scores are those of `score`, and so is the order."""
    found = {"beam_size": 6, "num_hypotheses": 6}
    weighed = {"language_model": writer, "language_model_weight": 1.5}
    plain, rescored = tiny.generate(SOURCES, **found), tiny.generate(SOURCES, **found, **weighed, rescore=True)
    assert (rescored.engine, list(rescored.obstacles)) == ("graph", [])
    changed = 0
    for source, before, after in zip(SOURCES, plain, rescored, strict=True):
        assert {h.text for h in before.hypotheses} == {h.text for h in after.hypotheses}
        scores = [h.score for h in after.hypotheses]
        assert scores == sorted(scores, reverse=True)
        own = tiny.score([source] * len(scores), [h.ids for h in after.hypotheses], **weighed)
        assert scores == pytest.approx([each.score for each in own], abs=1e-4)
        changed += before.text != after.text
    assert changed


def test_rescoring_a_batch_reads_once_and_gives_what_each_source_gives_alone(
    tiny: Model, writer: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scores and order are the same whatever the batch: sources and hypotheses of several lengths, failed ones too."""
    read: list[int] = []
    encode = writer.step_model.encode
    monkeypatch.setattr(writer.step_model, "encode", lambda given: (read.append(len(given)), encode(given))[1])
    options = {"language_model": writer, "language_model_weight": 1.5, "rescore": True, "on_error": "return"}
    found: dict[str, Any] = {**options, "beam_size": 6, "num_hypotheses": 6, "return_token_scores": True}
    sources = [*SOURCES, "a", "?", "ededededed"]
    alone = tiny.generate(sources, **found, max_batch_size=1)
    assert read == [6] * 6
    for size in (2, 4, 6):
        read.clear()
        together = tiny.generate(sources, **found, max_batch_size=size)
        assert sorted(read, reverse=True) == {2: [12, 12, 12], 4: [24, 12], 6: [36]}[size]
        assert [r.error is None for r in together] == [r.error is None for r in alone] == [s != "?" for s in sources]
        pairs = [(one, other) for one, other in zip(alone, together, strict=True) if one.error is None]
        for one, other in pairs:
            assert [h.ids for h in one.hypotheses] == [h.ids for h in other.hypotheses]
            assert [h.score for h in one.hypotheses] == pytest.approx([h.score for h in other.hypotheses], rel=1e-6)
            for h, again in zip(one.hypotheses, other.hypotheses, strict=True):
                assert h.token_scores == pytest.approx(again.token_scores, rel=1e-5, abs=1e-6)


def test_a_path_is_opened_once_for_all_who_use_it(tiny: Model, writer: Model, tmp_path: Path) -> None:
    """It gives what the loaded bundle gives; a bundle that replaces it is seen."""
    path = tmp_path / "writer.s2s"
    shutil.copytree(WRITER, path)
    options = {"language_model_weight": 1.0, "beam_size": 3}
    loaded = tiny.generate(SOURCES, language_model=writer, **options)
    first = tiny.prepare(language_model=path, **options)
    second = tiny.prepare(language_model=os.fspath(path), **{**options, "beam_size": 2})
    assert [r.ids for r in first.decode(SOURCES, None)] == [r.ids for r in loaded]
    companions = [decoding._guides.companions[0]._given for decoding in (first, second)]  # type: ignore[union-attr]
    assert companions[0] is companions[1]
    os.utime(path / "manifest.json", ns=(1, 1))
    third = tiny.prepare(language_model=path, **options)
    assert third._guides.companions[0]._given is not companions[0]  # type: ignore[union-attr]
    with pytest.raises(s2s_runtime.BundleNotFoundError):
        tiny.generate(SOURCES, language_model=tmp_path / "none.s2s")


def test_calls_one_after_the_other_open_a_path_once(
    tiny: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two language models by their paths, which nothing but the calls refers to."""
    paths = [tmp_path / "one.s2s", tmp_path / "two.s2s"]
    opened: list[Path] = []
    for path in paths:
        shutil.copytree(WRITER, path)
    open_bundle = companion.open_bundle
    monkeypatch.setattr(companion, "open_bundle", lambda path: (opened.append(path), open_bundle(path))[1])
    for _ in range(3):
        tiny.score(["abc"], ["BBD"], language_model=paths[0], internal_language_model=paths[1])
        tiny.generate(["abc"], language_model=paths[0], internal_language_model=paths[1])
    assert opened == paths


def test_symbols_that_it_lacks_are_its_unknown_symbol_or_an_error(random_model: Callable[..., Model]) -> None:
    """Tokens are matched by their texts alone; messages name what is missing."""
    model = with_symbols(random_model(1, 5, max_length=3))
    with pytest.raises(OptionError, match=r"language_model: lacks 1 of the target's 5 tokens \('c'\), and has no unk"):
        model.generate([[3]], language_model=Letters(1, "ab\n\t", start="\t").model())
    with pytest.raises(OptionError, match="language_model: has no end token, so that it can't tell where targets end"):
        model.generate([[3]], language_model=Letters(1, "abc\t", start="\t").model())
    known = Letters(1, "ab?\n\t", start="\t").model()
    vocabulary = replace(known.target_vocabulary, unknown="?")  # type: ignore[type-var]
    target = replace(known.manifest.target, unknown_id=2)
    known = Model(replace(known.manifest, target=target, target_vocabulary=vocabulary), known.step_model)
    [result] = model.generate([[3]], language_model=known, beam_size=200, return_end_token=True, length_penalty=0)
    letters, best = Letters(1, "ab?\n\t", start="\t"), []
    for _, ids in enumerate_outputs(model, 3, [], 0.0):
        total = model.score([[3]], [list(ids)], length_penalty=0, add_end=False)[0].log_probability
        text = "".join("?" if TARGET[i] == "c" else TARGET[i] for i in ids)
        total += 0.1 * sum(letters.score(text[:i], symbol) for i, symbol in enumerate(text))
        best.append((total, list(ids)))
    assert result.ids == max(best)[1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"language_model": 3}, "language_model: expected a loaded bundle of a language model, or its path, got 3"),
        ({"language_model_weight": 0.3}, "language_model_weight: has no effect without language_model"),
        ({"language_model": WRITER, "language_model_weight": -1}, "language_model_weight: expected a number of at"),
        ({"internal_language_model": WRITER}, "internal_language_model: has no effect without language_model"),
        (
            {"language_model": WRITER, "internal_language_model_weight": 1},
            "internal_language_model_weight: has no effect without internal_language_model",
        ),
        ({"rescore": True, "num_hypotheses": 2, "beam_size": 2}, "rescore: has no effect without language_model"),
        ({"rescore": True, "language_model": WRITER}, "rescore: needs num_hypotheses above 1, got num_hypotheses 1"),
        ({"language_model": FIXTURES / "tiny.s2s"}, "language_model: expected a language model, got a bundle of the"),
        ({"language_model": WRITER, "engine": "graph"}, "engine: 'graph' can't do what was asked for (language models"),
        ({"lm_path": "x"}, "lm_path: no such option of generate"),
    ],
)
def test_what_makes_no_sense_is_refused(tiny: Model, options: dict[str, Any], message: str) -> None:
    """One line that says what was wrong."""
    with pytest.raises(OptionError) as caught:
        tiny.generate(["abc"], **options)
    assert message in str(caught.value)


def test_a_closed_language_model_says_so(tiny: Model) -> None:
    """As a closed model does."""
    closed = s2s_runtime.load(WRITER)
    decoding = tiny.prepare(language_model=closed)
    closed.close()
    with pytest.raises(s2s_runtime.ClosedModelError):
        decoding.decode(["abc"], None)


def test_a_language_model_may_guide_another(writer: Model) -> None:
    """Prompts are what both have read; with all its weight on itself the order stays."""
    plain = writer.generate(["AB", "E"], beam_size=4, num_hypotheses=4)
    guided = writer.generate(["AB", "E"], beam_size=4, num_hypotheses=4, language_model=writer, language_model_weight=1)
    for before, after in zip(plain, guided, strict=True):
        assert [h.ids for h in before.hypotheses] == [h.ids for h in after.hypotheses]
        assert [h.score for h in after.hypotheses] == pytest.approx([2 * (h.score or 0) for h in before.hypotheses])


def test_options_with_language_models_are_equal_by_what_they_hold(writer: Model) -> None:
    """The same loaded bundle, or the same path."""
    assert DecodingOptions(language_model=writer) == DecodingOptions(language_model=writer)
    assert DecodingOptions(language_model=writer) != DecodingOptions(language_model=WRITER)


def test_perplexity_counts_what_was_predicted(writer: Model) -> None:
    """The first symbol of a text without a start token is given; behind a prompt all are predicted."""
    [alone] = writer.score([""], ["ABCD"])
    assert (alone.given, len(alone.token_scores)) == (1, 5)
    assert alone.perplexity == pytest.approx(np.exp(-sum(alone.token_scores[1:]) / 4))
    [behind] = writer.score(["A"], ["BCD"])
    assert behind.given == 0
    assert behind.perplexity == pytest.approx(alone.perplexity)
    assert TargetScore(-800.0, -800.0, [-800.0]).perplexity == np.inf  # more than a number can be


def test_commands_take_paths(tmp_path: Path) -> None:
    """`s2s-decode` and its scoring, and `s2s-evaluate`, where rescoring looks at the whole beam."""
    guided = ["--language-model", str(WRITER), "--language-model-weight", "2"]
    found = CliRunner().invoke(decode.app, [TINY, "bad", "--beam-size", "4", *guided])
    assert (found.stdout, found.stderr) == ("BCD\n", "")
    pairs = tmp_path / "pairs.tsv"
    pairs.write_text("bad\tBCD\nabc\tBCD\n")
    scored = CliRunner().invoke(decode.app, [TINY, "--score", "--input", str(pairs), *guided])
    assert scored.stdout.startswith("-3.4721\t")
    for more, wrong in (([], 0), (["--rescore"], 1)):
        flags = ["--beam-size", "4", *guided, *more, "--json"]
        evaluated = json.loads(CliRunner().invoke(evaluate.app, [TINY, str(pairs), *flags]).stdout)
        assert (evaluated["sequence_error_rate"], evaluated["language_model"]) == (wrong, str(WRITER))


def test_a_request_opens_no_bundle() -> None:
    """A server's own options have it; a request may say how much it counts, and nothing else."""
    manifest = s2s_runtime.load(TINY).manifest
    reader = OptionReader(manifest, {"language_model": WRITER}, ServingOptions())
    assert reader.read({"language_model_weight": 0.5}).options.language_model == WRITER
    for name in ("language_model", "internal_language_model"):
        with pytest.raises(OptionError, match=f"{name}: is for whoever starts the server to choose; leave it out"):
            reader.read({name: str(WRITER)})
