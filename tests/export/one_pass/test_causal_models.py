"""Causal models of one pass, followed reading by reading: the same as the whole at once, which is Keras's `predict`."""

from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers
from random_weights import randomise

import s2s_runtime
from s2s_export import export
from s2s_runtime.errors import InputError, OptionError
from s2s_runtime.model import Model
from s2s_runtime.one_pass.follow_lines import follow_lines

pytestmark = pytest.mark.tensorflow

WORDS, TAGS = ["<pad>", "the", "dog", "ran"], ["<pad>", "D", "N", "V"]


@pytest.fixture(scope="module")
def sensor(tmp_path_factory: pytest.TempPathFactory) -> tuple[keras.Model, Model]:
    """Three numbers in, two out, through a causal convolution and recurrent layers of both kinds."""
    model = keras.Sequential([
        layers.Input((None, 3)),
        layers.Conv1D(4, 3, dilation_rate=2, padding="causal"),
        layers.LayerNormalization(),
        layers.GRU(5, return_sequences=True),
        layers.LayerNormalization(),
        layers.LSTM(4, return_sequences=True),
        layers.Dense(2),
    ])  # fmt: skip
    randomise(model)
    path = tmp_path_factory.mktemp("causal") / "sensor.s2s"
    done = export(model, path)
    assert list(done.manifest.graphs) == ["model", "step"]
    return model, s2s_runtime.load(path)


@pytest.fixture(scope="module")
def tagger(tmp_path_factory: pytest.TempPathFactory) -> tuple[keras.Model, Model]:
    """A tag for each word, as it is typed."""
    model = keras.Sequential([
        layers.Input((None,)),
        layers.Embedding(4, 3, mask_zero=True),
        layers.LSTM(4, return_sequences=True),
        layers.TimeDistributed(layers.Dense(4, activation="softmax")),
    ])  # fmt: skip
    randomise(model)
    path = tmp_path_factory.mktemp("causal") / "tagger.s2s"
    export(model, path, source=WORDS, target=TAGS, unit="word")
    return model, s2s_runtime.load(path)


def test_readings_of_zeros_are_readings(sensor: tuple[keras.Model, Model]) -> None:
    """Nothing is padding where nothing is masked; steps of several rows go on side by side, and can be begun anew."""
    model, bundle = sensor
    readings = np.random.default_rng(0).normal(size=(2, 300, 3)).astype(np.float32)
    readings[:, 7:9] = readings[:, -2:] = 0
    wanted = model.predict(readings, verbose=0)
    np.testing.assert_allclose(bundle.predict(readings), wanted, atol=1e-5)
    following = bundle.start(rows=2)
    for _ in range(2):
        given = [following.advance(readings[:, position]) for position in range(300)]
        np.testing.assert_allclose(np.stack(given, axis=1), wanted, atol=1e-5)
        following.restart()
    alone = bundle.start()
    given = [alone.advance(reading) for reading in readings[1, :20]]
    np.testing.assert_allclose(given, wanted[1, :20], atol=1e-5)


def test_symbols_are_read_as_they_are_typed(tagger: tuple[keras.Model, Model]) -> None:
    """Each word gets its tag with its probability, as in the whole sentence."""
    model, bundle = tagger
    wanted = model.predict(np.array([[1, 2, 3]]), verbose=0)[0]
    following = bundle.start()
    given = [following.advance(word) for word in ("the", 2, "ran")]
    assert [position.token for position in given] == bundle.generate(["the dog ran"])[0].tokens
    np.testing.assert_allclose(np.exp([position.log_probabilities for position in given]), wanted, atol=1e-6)


def test_lines_are_answered_one_by_one(sensor: tuple[keras.Model, Model], tagger: tuple[keras.Model, Model]) -> None:
    """A line is answered before the next is read; an empty one begins a new sequence."""
    _, bundle = tagger
    asked: list[str] = []

    def lines() -> object:
        for word in ("dog", "ran", "", "dog"):
            asked.append(word)
            yield word

    answers = follow_lines(bundle.start(), bundle.manifest, lines(), as_json=False)
    first = next(answers)
    assert asked == ["dog"]
    assert list(answers) == [bundle.generate(["dog ran"])[0].tokens[1], "", first]
    _, numbers = sensor
    [answer] = follow_lines(numbers.start(), numbers.manifest, ["1, 2\t3"], as_json=False)
    np.testing.assert_allclose(
        [float(part) for part in answer.split()], numbers.predict([[[1, 2, 3]]])[0, 0], atol=1e-6
    )
    with pytest.raises(InputError, match=r"^line 1: expected numbers of shape \(3,\); got \[1.0, 2.0\]"):
        list(follow_lines(numbers.start(), numbers.manifest, ["1 2"], as_json=False))


@pytest.mark.parametrize(
    ("reading", "words"),
    [(0, "other than padding"), (4, "an id from 0 to 3"), ("the dog", "one symbol"), ([1, 2], "each of 1 rows")],
)
def test_a_wrong_reading_changes_nothing(tagger: tuple[keras.Model, Model], reading: object, words: str) -> None:
    """It is one error that says what was expected, and the next reading is that of the same position."""
    _, bundle = tagger
    following = bundle.start()
    with pytest.raises(InputError, match=f"reading 0: .*{words}"):
        following.advance(reading)
    assert following.advance("dog").token == bundle.generate(["dog"])[0].text


def test_what_looks_ahead_has_no_step(tmp_path: Path) -> None:
    """A model that reads from both ends can't be followed, and says so; nor are rows without number."""
    model = keras.Sequential([
        layers.Input((None, 3)), layers.Bidirectional(layers.GRU(4, return_sequences=True)), layers.Dense(2)
    ])  # fmt: skip
    randomise(model)
    export(model, tmp_path / "m.s2s", source_length=6)
    with pytest.raises(OptionError, match="start: this bundle's model can't follow readings as they come"):
        s2s_runtime.load(tmp_path / "m.s2s").start()


def test_rows_are_counted(sensor: tuple[keras.Model, Model]) -> None:
    """A number of rows that is none is refused."""
    with pytest.raises(OptionError, match="rows: expected an integer of at least 1, got 0"):
        sensor[1].start(rows=0)


@pytest.mark.parametrize("fewer", [{"quantize": "int8"}, {"dtype": "float16"}])
def test_fewer_bits_and_expected_outputs(
    tagger: tuple[keras.Model, Model], fewer: dict[str, str], tmp_path: Path
) -> None:
    """Outputs of every length prove the set-up, none of them is cut; the whole and the step are reduced alike."""
    model, bundle = tagger
    texts = ["the dog ran", "dog ran", "the dog ran the dog ran"]
    expected = [(text, result.text) for text, result in zip(texts, bundle.generate(texts), strict=True)]
    path = tmp_path / "m.s2s"
    done = export(model, path, source=WORDS, target=TAGS, unit="word", expect=expected, verify_sources=4, **fewer)
    assert done.manifest.setup is not None
    assert done.manifest.setup.proved_by == len(expected)
    reduced = s2s_runtime.load(path)
    assert reduced.manifest.precision in fewer.values()
    following = reduced.start()
    scores = [following.advance(word).log_probabilities for word in ("the", "dog", "ran")]
    wanted = [bundle_scores(bundle, "the dog ran")[position] for position in range(3)]
    np.testing.assert_allclose(scores, wanted, atol=0.1)
    ids, steps = np.random.default_rng(0).integers(1, reduced.manifest.source.size, (6, 5)), reduced.step_model
    allowed = steps.encode(ids).outputs + reduced.prepare().plan.rules.always
    np.testing.assert_array_equal(steps.best(ids, reduced.manifest.target.never), allowed.argmax(axis=2))


def bundle_scores(bundle: Model, text: str) -> list[np.ndarray]:
    following = bundle.start()
    return [following.advance(word).log_probabilities for word in text.split()]


def test_frames_are_readings_too(tmp_path: Path) -> None:
    """In their own shape, as `predict` takes them, or as the one row that the graph reads."""
    frames = keras.Input((None, 4, 4, 1))
    hidden = layers.ConvLSTM2D(2, 3, padding="same", return_sequences=True)(frames)
    hidden = layers.TimeDistributed(layers.Flatten())(hidden)
    model = keras.Model(frames, layers.TimeDistributed(layers.Dense(3))(hidden))
    randomise(model)
    export(model, tmp_path / "frames.s2s")
    readings = np.random.default_rng(0).normal(size=(2, 5, 4, 4, 1)).astype(np.float32)
    wanted = model.predict(readings, verbose=0)
    bundle = s2s_runtime.load(tmp_path / "frames.s2s")
    for given in (readings, readings.reshape(2, 5, 16)):
        following = bundle.start(rows=2)
        found = np.stack([following.advance(given[:, t]) for t in range(5)], axis=1)
        np.testing.assert_allclose(found, wanted, atol=1e-5)
    with pytest.raises(InputError, match=r"reading 0: expected numbers of shape \(4, 4, 1\)"):
        bundle.start().advance(readings[0, 0, :3])
