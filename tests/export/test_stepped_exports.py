"""What its author steps by hand: pairs of inference models, and functions."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from architectures.parts import SOURCE, TARGET, UNITS, embed_source, embed_target, head, source_ids
from export_command import fails, run
from keras import layers
from model_pairs import PAIRS, STEPS, Pair, lstm_of_the_tutorial
from random_weights import randomise

import s2s_export
import s2s_runtime
from s2s_export import ExportError
from s2s_export.steps.model_pairs import pair_models
from s2s_training.errors import SplitError

pytestmark = pytest.mark.tensorflow

TOKENS = ("--start-id", 1, "--max-length", STEPS)


@pytest.mark.parametrize("build", PAIRS)
def test_a_pair_gives_what_its_authors_loop_gives(build: Callable[[], Pair], tmp_path: Path) -> None:
    """Tokens are those of the loop over `predict`, of sources as long as in training, with padding at their end."""
    pair = build()
    s2s_export.export_pair(
        pair.encoder, pair.decoder, tmp_path / "pair.s2s", start=1, max_length=STEPS, verify_sources=6, **pair.options
    )
    rng = np.random.default_rng(5)
    sources = rng.integers(1, SOURCE, (16, 6))
    if build is not PAIRS[1]:  # rows of zeros have no id
        sources[:4, 4:] = 0
    results = s2s_runtime.load(tmp_path / "pair.s2s").generate(sources)
    np.testing.assert_array_equal([result.ids for result in results], pair.loop(sources))
    assert len({tuple(row) for row in pair.loop(sources).tolist()}) > 2


def test_the_command_takes_two_files(tmp_path: Path) -> None:
    """`--encoder FILE --decoder FILE`, in either of Keras's formats; one alone is told that it is a half."""
    pair = lstm_of_the_tutorial()
    encoder, decoder = tmp_path / "encoder.h5", tmp_path / "decoder.keras"
    pair.encoder.save(encoder)
    pair.decoder.save(decoder)
    code, output, errors = run("--encoder", encoder, "--decoder", decoder, *TOKENS)
    assert code == 0, errors
    assert "decoder steps, against your own loop" in output
    assert (tmp_path / "decoder.s2s").is_dir()
    for path, half in ((encoder, "encoder"), (decoder, "decoder")):
        again = ("-o", tmp_path / "other.s2s", *TOKENS)
        fails([path, *again], f"this looks to be the {half} of a pair of inference models: export both with --encoder")
    assert run("--encoder", encoder)[0] == 2
    assert run(encoder, "--encoder", encoder, "--decoder", decoder)[0] == 2
    wrong = ["--encoder", encoder, "--decoder", tmp_path / "none.h5", *TOKENS]
    fails(wrong, "none.h5: no such file")
    shutil.copy(decoder, tmp_path / "again.keras")
    swapped = ("--encoder", encoder, "--decoder", tmp_path / "again.keras", *TOKENS)
    name = pair.decoder.inputs[1].name
    fails([*swapped, "--state", f"{name}=5:1"], f"--state: expected --state {name}=FIRST:NEXT")
    fails([*swapped, "--state", "nobody=0:1"], "--state: the decoder has no input 'nobody'; its inputs are")


def halves(first: list[int], following: list[int], extra: bool = False) -> tuple[keras.Model, keras.Model]:
    """An LSTM's pair; the numbers say in which order the states leave the encoder, and come back."""
    source = source_ids()
    last, *states = layers.LSTM(UNITS, return_state=True)(embed_source(source))
    outputs = [states[i] for i in first]
    encoder = keras.Model(source, [layers.Dense(UNITS)(last), *outputs] if extra else outputs)
    token, h, c = keras.Input((None,), name="token"), keras.Input((UNITS,), name="h"), keras.Input((UNITS,), name="c")
    y, *made = layers.LSTM(UNITS, return_sequences=True, return_state=True)(embed_target(token), initial_state=[h, c])
    return encoder, keras.Model([token, h, c], [head(y), *(made[i] for i in following)])


@pytest.mark.parametrize(
    ("first", "following", "states", "message"),
    [
        (
            [1, 0],
            [0, 1],
            {"h": "1:1", "c": "0:2"},
            "though not in the order of both models: states={'h': '1:1', 'c': '0:2'}",
        ),
        ([0, 1], [1, 0], {"h": "0:2", "c": "1:1"}, "gives them back in the opposite order: by the layer they belong"),
        ([0, 0, 1], [0, 1], {"h": "0:1", "c": "2:2"}, ""),
    ],
)
def test_what_order_and_layers_tell_differently_is_asked(
    first: list[int], following: list[int], states: dict[str, str], message: str
) -> None:
    """Where the two disagree the message has both readings, and what it says to type settles it."""
    pair = halves(first, following)
    if message:
        with pytest.raises(SplitError, match=re.escape(message)):
            pair_models(*pair)
    assert pair_models(*pair, states=states).take_apart(None).state_count == 2


def test_a_vector_beside_the_states_is_asked_for() -> None:
    """An encoder output that could be either state makes several readings, all shown."""
    encoder, decoder = halves([0, 1], [0, 1], extra=True)
    with pytest.raises(SplitError, match=r"can't be told: the encoder gives 0 'dense\w*' \(-, 8\), 1 'lstm"):
        pair_models(encoder, decoder)
    assert pair_models(encoder, decoder, states={"h": "1:1", "c": "2:2"}).take_apart(None).state_count == 2


def test_missing_states() -> None:
    """States that no encoder output starts: the message says how to say that they start from zeros."""
    encoder, decoder = halves([0], [0, 1])
    with pytest.raises(SplitError, match=r"don't start every input of the decoder.*'NAME': 'zeros:NEXT'"):
        pair_models(encoder, decoder)


def test_values(tmp_path: Path) -> None:
    """A pair of a forecaster: what the decoder gives is what it reads next."""
    source = keras.Input((9, 2))
    encoder = keras.Model(source, layers.GRU(UNITS, return_state=True)(source)[1])
    row, state = keras.Input((1, 2)), keras.Input((UNITS,))
    y, following = layers.GRU(UNITS, return_sequences=True, return_state=True)(row, initial_state=state)
    decoder = keras.Model([row, state], [layers.Dense(2)(y), following])
    randomise(encoder)
    randomise(decoder)
    s2s_export.export_pair(encoder, decoder, tmp_path / "pair.s2s")
    curves = np.random.default_rng(2).normal(size=(4, 9, 2)).astype("float32")
    carried, fed, made = encoder.predict(curves, verbose=0), np.zeros((4, 1, 2)), []
    for _ in range(5):
        fed, carried = decoder.predict([fed, carried], verbose=0)
        made.append(fed[:, 0])
    given = s2s_runtime.load(tmp_path / "pair.s2s").predict(curves, steps=5)
    np.testing.assert_allclose(given, np.stack(made, axis=1), atol=1e-5)


def test_two_inputs_of_ids() -> None:
    """Which of them gets the token is asked for."""
    source = source_ids()
    encoder = keras.Model(source, layers.GRU(UNITS, return_state=True)(embed_source(source))[1])
    token, other, state = (keras.Input(s, name=n) for s, n in (((1,), "token"), ((1,), "other"), ((UNITS,), "state")))
    read = layers.Concatenate()([embed_target(token, mask=False), embed_target(other, mask=False)])
    y, following = layers.GRU(UNITS, return_sequences=True, return_state=True)(read, initial_state=state)
    decoder = keras.Model([token, other, state], [head(y), following])
    with pytest.raises(SplitError, match="which of the decoder's inputs gets the token can't be told: token"):
        pair_models(encoder, decoder)


class Reader(keras.Model):
    """A subclassed encoder, whose mask rides on what it gives."""

    def __init__(self) -> None:
        super().__init__()
        self.supports_masking = True
        self.words = layers.Embedding(SOURCE, UNITS, mask_zero=True)
        self.rnn = layers.LSTM(UNITS, return_sequences=True, return_state=True)

    def call(self, words: object) -> object:
        """Return outputs and both states."""
        return self.rnn(self.words(words))


class Writer(keras.Model):
    """A subclassed decoder that attends; the attention finds the mask on the memory."""

    def __init__(self) -> None:
        super().__init__()
        self.supports_masking = True
        self.tokens = layers.Embedding(TARGET, UNITS)
        self.rnn = layers.LSTM(UNITS, return_sequences=True, return_state=True)
        self.attention, self.head = layers.AdditiveAttention(), layers.Dense(TARGET)

    def call(self, token: object, memory: object, states: object) -> object:
        """Return logits and both states."""
        y, h, c = self.rnn(self.tokens(token), initial_state=states)
        return self.head(layers.concatenate([y, self.attention([y, memory])])), h, c


def functions() -> tuple[Callable[..., object], Callable[..., object]]:
    reader, writer = Reader(), Writer()
    _, h, c = reader(np.ones((1, 3)))
    writer(np.ones((1, 1)), np.ones((1, 3, UNITS), "float32"), [h, c])
    rng = np.random.default_rng(7)
    for weight in [*reader.weights, *writer.weights]:
        weight.assign(rng.normal(size=weight.shape) * (1.0 if len(weight.shape) > 1 else 0.1))

    def encode(words: object) -> object:
        memory, h, c = reader(words)
        return {"h": h, "c": c}, [memory]

    def step(token: object, states: dict[str, object], memory: list[object]) -> object:
        logits, h, c = writer(token, memory[0], [states["h"], states["c"]])
        return logits, {"h": h, "c": c}

    return encode, step


@pytest.mark.filterwarnings("ignore:Layer 'concatenate:UserWarning")
def test_functions_give_what_their_loop_gives(tmp_path: Path) -> None:
    """Subclassed models, states in a dictionary, a mask that rides on the memory: tokens of the author's loop."""
    encode, step = functions()
    s2s_export.export_steps(
        encode, step, tmp_path / "steps.s2s", source_size=SOURCE, start=1, max_length=STEPS, verify_sources=6
    )
    sources = np.random.default_rng(5).integers(1, SOURCE, (12, 6))
    sources[:4, 4:] = 0
    made = []
    for row in sources:  # one at a time, padding left out: the mask has to hide it
        states, memory = encode(row[row > 0][None])
        tokens = [1]
        for _ in range(STEPS):
            logits, states = step(tf.constant([[tokens[-1]]]), states, memory)
            rows = np.array(logits)[0, -1]
            rows[1] = -np.inf
            tokens.append(int(rows.argmax()))
        made.append(tokens[1:])
    results = s2s_runtime.load(tmp_path / "steps.s2s").generate(sources)
    assert [list(result.ids) for result in results] == made
    assert len({tuple(row) for row in made}) > 2


def test_functions_of_values(tmp_path: Path) -> None:
    """A forecaster as functions: `inputs` say that both sides are values."""
    rnn, head = layers.GRU(UNITS, return_state=True), layers.Dense(2)
    writer = layers.GRUCell(UNITS)

    def encode(curve: object) -> object:
        return rnn(curve)[1], None

    def step(row: object, state: object, _: object) -> object:
        output, (state,) = writer(row[:, 0], [state])
        return head(output), state

    inputs = [keras.Input((9, 2), name="curve"), keras.Input((None, 2), name="row")]
    s2s_export.export_steps(encode, step, tmp_path / "steps.s2s", inputs=inputs)
    curves = np.random.default_rng(2).normal(size=(4, 9, 2)).astype("float32")
    (state, _), row, made = encode(curves), np.zeros((4, 1, 2), "float32"), []
    for _ in range(5):
        output, state = step(row, state, None)
        made.append(np.asarray(output))
        row = made[-1][:, None]
    given = s2s_runtime.load(tmp_path / "steps.s2s").predict(curves, steps=5)
    np.testing.assert_allclose(given, np.stack(made, axis=1), atol=1e-5)


@pytest.mark.parametrize(
    ("encode", "step", "message"),
    [
        (lambda x: tf.zeros((2, 3)), print, "encode: expected it to return (states, memory), got "),
        (lambda x: ([], x), print, "encode: expected states, a tensor or several, got none"),
        (lambda x: (tf.zeros((len(x), 3)), x), lambda t, s, m: s, "step: expected it to return (output, next states)"),
        (
            lambda x: (tf.zeros((len(x), 3)), x),
            lambda t, s, m: (s, [s, s]),
            "expected as many next states as states (1)",
        ),
        (
            lambda x: (tf.zeros((len(x), 3)), x),
            lambda t, s, m: (s, tf.concat([s, s], -1)),
            "state 0 is (None, 3) float32 and becomes (None, 6) float32",
        ),
    ],
)
def test_functions_that_give_something_else(
    encode: Callable[..., object], step: Callable[..., object], message: str, tmp_path: Path
) -> None:
    """What was expected of which function, and what it gave; nothing is written."""
    with pytest.raises(ExportError, match=re.escape(message)):
        s2s_export.export_steps(encode, step, tmp_path / "steps.s2s", source_size=5, start=1)
    assert list(tmp_path.iterdir()) == []
