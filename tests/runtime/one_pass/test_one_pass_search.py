"""Search over what one pass gave, whose outputs are a table here."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from fake_models import number_manifest, random_model

from s2s_runtime.bundle.manifest_file import Manifest
from s2s_runtime.ensembles import ensemble
from s2s_runtime.errors import BundleError, InputError, OptionError
from s2s_runtime.model import Model
from s2s_runtime.one_pass.options import say_once
from s2s_runtime.one_pass.pass_model import OnePassModel

SIZE = 5


def one_pass(logits: np.ndarray, **target: object) -> Model:
    """A model that gives every source, whatever it holds, the row of a table that its first id names."""
    manifest = one_pass_manifest(**target)
    return Model(manifest, OnePassModel(lambda source: [logits[source[:, 0]]]))


def one_pass_manifest(**target: object) -> Manifest:
    made = number_manifest(SIZE, max_length=None, start_id=0, **target)
    graphs = {"model": made.graphs["encoder"]}
    fed = replace(made.target, feedback="none", start_id=None)
    return replace(made, kind="one-pass", graphs=graphs, states=(), memory=(), target=fed)


def test_the_best_of_each_position_up_to_an_end() -> None:
    """Whatever the best symbols are after the first that ends, they don't count, nor do their scores."""
    logits = np.random.default_rng(0).normal(size=(10, 6, SIZE)).astype(np.float32)
    results = one_pass(logits, end_ids=(1,)).generate([[i] for i in range(1, 10)], return_token_scores=True)
    log_probabilities = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    for result, row in zip(results, log_probabilities[1:], strict=True):
        best = row.argmax(-1).tolist()
        length = best.index(1) + 1 if 1 in best else 6
        assert result.ids == [token for token in best[:length] if token != 1]
        assert result.score == pytest.approx(row.max(-1)[:length].mean(), abs=1e-5)
        np.testing.assert_allclose(result.hypotheses[0].token_scores, row.max(-1)[: len(result.ids)], atol=1e-5)


def test_rules_that_look_back_are_followed() -> None:
    """A rule on what was written before goes position by position, and a ban holds at once."""
    logits = np.tile(np.array([0, 1, 4, 3, 2], np.float32), (2, 4, 1))
    model = one_pass(logits, end_ids=())
    assert model.generate([[1]])[0].ids == [2, 2, 2, 2]
    assert model.generate([[1]], suppress_tokens=[2])[0].ids == [3, 3, 3, 3]
    assert model.generate([[1]], no_repeat_ngram_size=1)[0].ids == [2, 3, 4, 1]
    assert model.generate([[1]], prefix=[[4, 1]])[0].ids == [4, 1, 2, 2]


def enumerated(row: np.ndarray, ends: tuple[int, ...], penalty: float) -> list[tuple[float, list[int]]]:
    """Every text of a row of log-probabilities with its score, best first; of two ends the likelier one counts."""
    found: dict[tuple[int, ...], float] = {}
    for whole in product(range(SIZE), repeat=len(row)):
        stop = next((i + 1 for i, token in enumerate(whole) if token in ends), len(row))
        score = sum(float(row[i, token]) for i, token in enumerate(whole[:stop])) / stop**penalty
        text = whole[: stop - 1] if whole[stop - 1] in ends else whole[:stop]
        key = (*text, -1) if whole[stop - 1] in ends else text  # the same symbols with and without an end differ
        found[key] = max(found.get(key, -np.inf), score)
    ranked = sorted(((score, list(key)) for key, score in found.items()), key=lambda item: -item[0])
    return [(score, text[:-1] if text[-1] == -1 else text) for score, text in ranked]


def log_softmax(logits: np.ndarray) -> np.ndarray:
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))


@pytest.mark.parametrize("ends", [(), (1,), (1, 3)])
@pytest.mark.parametrize("penalty", [0.0, 1.0])
def test_n_best_are_those_of_enumeration(ends: tuple[int, ...], penalty: float) -> None:
    """Whatever the beam, several hypotheses are the best of all texts there are, by score, with and without rules."""
    logits = np.random.default_rng(1).normal(size=(10, 4, SIZE)).astype(np.float32) * 2
    model = one_pass(logits, end_ids=ends)
    for count in (2, 7, 40):
        options = {"num_hypotheses": count, "length_penalty": penalty}
        results = model.generate([[i] for i in range(1, 10)], **options)
        ruled = model.generate([[i] for i in range(1, 10)], **options, allowed_next=lambda step, ids: range(SIZE))
        for result, same, row in zip(results, ruled, log_softmax(logits)[1:], strict=True):
            wanted = enumerated(row, ends, penalty)
            distinct: dict[tuple[int, ...], float] = {}
            for score, text in wanted[:count]:
                distinct.setdefault(tuple(text), score)
            assert [tuple(each.ids) for each in result.hypotheses] == list(distinct)
            np.testing.assert_allclose([each.score for each in result.hypotheses], list(distinct.values()), atol=1e-5)
            best = min(len(result.hypotheses), len(same.hypotheses))
            assert [each.ids for each in same.hypotheses[:best]] == [each.ids for each in result.hypotheses[:best]]


@pytest.mark.parametrize("ends", [(), (1,)])
def test_what_rules_allow_is_searched_exactly(ends: tuple[int, ...]) -> None:
    """The best texts that a rule on what came before allows, where the best symbol of a position leads astray."""
    logits = np.random.default_rng(2).normal(size=(10, 4, SIZE)).astype(np.float32) * 2

    def allowed(step: int, written: list[int]) -> list[int]:
        last = written[-1] if written else 0
        return [token for token in range(SIZE) if (token + last) % 3 != 1 or token in ends]

    def follows(text: list[int]) -> bool:
        return all(token in allowed(i, text[:i]) for i, token in enumerate(text))

    results = one_pass(logits, end_ids=ends).generate(
        [[i] for i in range(1, 10)], num_hypotheses=3, allowed_next=allowed
    )
    for result, row in zip(results, log_softmax(logits)[1:], strict=True):
        wanted = [item for item in enumerated(row, ends, 1.0) if follows(item[1])]
        distinct: dict[tuple[int, ...], float] = {}
        for score, text in wanted:
            distinct.setdefault(tuple(text), score)
        assert [tuple(each.ids) for each in result.hypotheses] == list(distinct)[:3]
        np.testing.assert_allclose([each.score for each in result.hypotheses], list(distinct.values())[:3], atol=1e-5)


def test_nothing_that_a_rule_allows_stops() -> None:
    """Where a rule lets nothing stand at a position, the one hypothesis is empty and says that it was stopped."""
    model = one_pass(np.zeros((2, 3, SIZE), np.float32), end_ids=())
    [result] = model.generate([[1]], allowed_next=lambda step, ids: [2] if step < 2 else [])
    assert (result.ids, result.hypotheses[0].finish_reason) == ([], "stopped")


def test_other_verbs() -> None:
    """A stream is one piece, a score the sum over positions, and what carries states has no meaning."""
    logits = np.random.default_rng(3).normal(size=(2, 4, SIZE)).astype(np.float32)
    model = one_pass(logits, end_ids=())
    [result] = model.generate([[1]], return_scores=True, length_penalty=0)
    assert "".join(model.stream([1])) == result.text
    assert model.score([[1]], [result.ids])[0].log_probability == pytest.approx(result.score, abs=1e-5)
    with pytest.raises(InputError, match="at most 4 tokens, the positions"):
        model.score([[1]], [[1] * 5])
    with pytest.raises(OptionError, match="encode: this bundle's model carries nothing"):
        model.encode([[1]])
    with pytest.raises(OptionError, match="predict: this bundle's model generates tokens"):
        model.predict([[1]])


def test_values_of_several_axes_come_as_frames() -> None:
    """Each position is a frame of numbers, as many for a source as it has steps, zeros behind a shorter one's."""
    manifest = one_pass_manifest()
    framed = replace(manifest.target, feedback="value", size=4, step=(2, 2), end_ids=(), aligned=True)
    outputs = np.random.default_rng(4).normal(size=(SIZE, 3, 4)).astype(np.float32)
    padding = replace(manifest.padding, id=0, masked=True)
    made = replace(manifest, target=framed, padding=padding)
    model = Model(made, OnePassModel(lambda source: [outputs[source[:, 0], : source.shape[1]]]))
    frames = model.predict([[1, 2, 3], [4, 2]])
    np.testing.assert_array_equal(frames[0], outputs[1].reshape(3, 2, 2))
    np.testing.assert_array_equal(frames[1], [*outputs[4, :2].reshape(2, 2, 2), np.zeros((2, 2))])
    assert model.predict([]).shape == (0, 0, 2, 2)


def test_ensembles_average_each_position() -> None:
    """The mean of two models' probabilities, position by position; a model of another kind doesn't fit."""
    tables = [np.random.default_rng(seed).normal(size=(2, 4, SIZE)).astype(np.float32) * 3 for seed in (5, 6)]
    models = [one_pass(table, end_ids=()) for table in tables]
    mean = np.log(sum(np.exp(log_softmax(table)[1]) for table in tables) / 2)
    [result] = ensemble(models).generate([[1]], return_token_scores=True)
    assert result.ids == mean.argmax(-1).tolist()
    np.testing.assert_allclose(result.hypotheses[0].token_scores, mean.max(-1), atol=1e-5)
    with pytest.raises(OptionError, match=r"models\[1\]: its kind is not that of models\[0\]"):
        ensemble([models[0], random_model(0, SIZE)])


def test_a_beam_changes_nothing_and_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever the beam size, the sequence is the same; a line says so, with the first call alone."""
    logits = np.random.default_rng(4).normal(size=(10, 4, SIZE)).astype(np.float32)
    model, sources = one_pass(logits, end_ids=(1,)), [[i] for i in range(1, 10)]
    say_once.cache_clear()
    plain = [result.ids for result in model.generate(sources)]
    assert not caplog.records
    for _ in range(2):
        assert [result.ids for result in model.generate(sources, beam_size=3)] == plain
    assert [record.getMessage().split(":")[0] for record in caplog.records] == ["beam_size"]


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"graphs": {}}, "graphs.model: missing"),
        ({"kind": "ctc", "graphs": {}}, "graphs.model: missing"),
        ({"kind": "encoder-decoder"}, "graphs.encoder: missing"),
        ({"kind": "decoder-only"}, "graphs.decoder: missing"),
    ],
)
def test_kinds_have_their_graphs(changed: dict, words: str) -> None:
    """Each kind of bundle has graphs of its own, and no others."""
    with pytest.raises(BundleError, match=words):
        replace(one_pass_manifest(end_ids=()), **changed)


def test_kinds_have_names() -> None:
    """A kind that nobody knows is refused with those that there are."""
    written = one_pass_manifest(end_ids=()).to_dict()
    assert Manifest.from_dict(written).kind == "one-pass"
    with pytest.raises(BundleError, match="kind: expected one of 'encoder-decoder', 'one-pass', 'decoder-only'"):
        Manifest.from_dict({**written, "kind": "one pass"})
