"""What search promises of attention and grammars, on models that were trained and exported."""

import random
from pathlib import Path

import keras
import numpy as np
import pytest
from typer.testing import CliRunner

import s2s_runtime
from s2s_export.commands.export import app as export_app
from s2s_runtime import Model
from s2s_training.commands.train import app as train_app

pytestmark = pytest.mark.tensorflow


def make(run: Path, *arguments: str) -> Model:
    """Train for an epoch or two, export, load."""
    trained = CliRunner().invoke(train_app, [*arguments, "-o", str(run), "--score", "4"])
    assert trained.exit_code == 0, trained.output
    exported = CliRunner().invoke(export_app, [str(run / "model.keras")])
    assert exported.exit_code == 0, exported.output
    return s2s_runtime.load(run / "model.s2s")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a training."""
    return tmp_path_factory.mktemp("attention") / "run"


@pytest.fixture(scope="module")
def attentive(run: Path) -> Model:
    """A bidirectional model with attention that spells words in capitals, trained for a moment."""
    rng = random.Random(1)
    words = {"".join(rng.choices("abcdefgh", k=rng.randint(2, 8))) for _ in range(400)}
    pairs = run.parent / "pairs.tsv"
    pairs.write_text("".join(f"{word}\t{word.upper()}\n" for word in sorted(words)), encoding="utf-8")
    sizes = ["--units", "16", "--embedding", "12", "--epochs", "3", "--learning-rate", "0.01"]
    return make(run, str(pairs), "--bidirectional", "--attention", "dot", *sizes)


SOURCES = ["abc", "hgfedcba", "aa", "dab", "fade", "beach", "head", "ab", "cage", "ffff"]


def test_attention_maps_are_those_of_keras(attentive: Model, run: Path) -> None:
    """Each row is what Keras's attention layer gives that target token, over the source's symbols, and sums to 1."""
    trained = keras.models.load_model(run / "model.keras", compile=False)
    query, memory = trained.get_layer("attention").input
    inner = keras.Model(trained.inputs, [query, memory])
    source, target = attentive.source_vocabulary, attentive.target_vocabulary
    assert source is not None
    assert target is not None
    options = {"beam_size": 3, "num_hypotheses": 3, "return_attention": True, "return_end_token": True}
    for text, result in zip(SOURCES, attentive.generate(SOURCES, **options), strict=True):
        read = source.encode_sentence(text)
        assert result.source_tokens == source.tokens(read)
        for hypothesis in result.hypotheses:
            fed = [target.start_id, *hypothesis.ids[:-1]]
            queries, memories = (np.asarray(each)[0] for each in inner([np.array([read]), np.array([fed])]))
            energies = np.exp(queries @ memories.T)
            assert hypothesis.attention is not None
            assert hypothesis.attention.shape == (len(hypothesis.ids), len(read))
            np.testing.assert_allclose(hypothesis.attention, energies / energies.sum(axis=1, keepdims=True), atol=1e-4)


def coverage(attention: np.ndarray) -> float:
    """Wu et al. 2016, equation 14, without its weight; attention (target, source)."""
    return float(np.log(np.minimum(attention.sum(axis=0), 1.0)).sum())


def test_the_coverage_penalty_counts_what_attention_left_out(attentive: Model) -> None:
    """Scores are those without it plus weight times coverage; hypotheses are chosen by it, and cover more for it."""
    options = {"beam_size": 6, "num_hypotheses": 6, "return_attention": True, "return_end_token": True}
    plain = attentive.generate(SOURCES, **options)
    weighed = attentive.generate(SOURCES, coverage_penalty=3.0, **options)
    for text, result in zip(SOURCES, weighed, strict=True):
        ended = [h for h in result.hypotheses if h.finish_reason == "end"]
        scores = attentive.score([text] * len(ended), [h.ids for h in ended])
        for hypothesis, score in zip(ended, scores, strict=True):
            assert hypothesis.attention is not None
            assert hypothesis.score == pytest.approx(score.score + 3.0 * coverage(hypothesis.attention), abs=1e-3)
        assert result.hypotheses == sorted(result.hypotheses, key=lambda h: -(h.score or 0.0))
    covered = [[coverage(each.hypotheses[0].attention) for each in results] for results in (plain, weighed)]  # type: ignore[arg-type]
    assert [result.ids for result in weighed] != [result.ids for result in plain]
    assert sum(covered[1]) > sum(covered[0])


@pytest.fixture(scope="module")
def addition(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """The Keras example that adds, after one epoch: it knows no sums yet, and writes spaces too."""
    folder = tmp_path_factory.mktemp("addition") / "run"
    return make(folder, "addition", "--rows", "1000", "--units", "16", "--epochs", "1")


@pytest.mark.parametrize(
    "options",
    [{}, {"beam_size": 4, "num_hypotheses": 4}, {"sampling_temperature": 2.0, "num_hypotheses": 3, "seed": 1}],
)
def test_an_addition_model_answers_digits_only(addition: Model, options: dict) -> None:
    """A mask of the digits keeps every answer of greedy, beam search and sampling to them, whatever was learned."""
    vocabulary = addition.target_vocabulary
    assert vocabulary is not None
    sums = ["1+1", "12+345", "999+999", "0+7"]
    digits = np.array([symbol.isdigit() for symbol in vocabulary.symbols])
    assert 0 < digits.sum() < len(digits)
    length = addition.manifest.target.max_length
    for result in addition.generate(sums, allowed_next=lambda step, tokens: digits, **options):
        for hypothesis in result.hypotheses:
            assert hypothesis.text.isdigit()
            assert len(hypothesis.text) == length
    ids = [int(token) for token in np.flatnonzero(digits)]
    by_ids, by_mask = (
        addition.generate(sums, allowed_next=allowed, **options)
        for allowed in (lambda step, tokens: ids, lambda step, tokens: digits)
    )
    assert [result.ids for result in by_ids] == [result.ids for result in by_mask]
    free = addition.generate(sums, **{**options, "sampling_temperature": 50.0, "seed": 3, "beam_size": 1})
    assert not all(hypothesis.text.isdigit() for result in free for hypothesis in result.hypotheses)
