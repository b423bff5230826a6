"""Language models: decoders without a source, whose bundles write on as their authors' loops do."""

from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers
from random_weights import randomise

import s2s_runtime
from s2s_export import ExportError, ExportOptions, export
from s2s_export.evidence.feedback import refuse_unclear_feedback
from s2s_runtime.bundle.storage import find_files
from s2s_runtime.commands.inspection.graphs import trace
from s2s_runtime.errors import InputError, OptionError
from s2s_runtime.evaluation import decode_pairs
from s2s_training.errors import SplitError

pytestmark = pytest.mark.tensorflow

LETTERS = "abcdefghij"
SIZE, WINDOW = len(LETTERS), 5
SYMBOLS = {letter: i for i, letter in enumerate(LETTERS)}


def stacked() -> keras.Model:
    """Give logits of what follows each id."""
    return keras.Sequential([
        layers.Input((None,), dtype="int32"),
        layers.Embedding(SIZE, 6),
        layers.LSTM(8, return_sequences=True),
        layers.GRU(7, return_sequences=True),
        layers.Dense(SIZE),
    ])  # fmt: skip


def one_hot() -> keras.Model:
    """Give probabilities of what follows each one-hot row."""
    return keras.Sequential([
        layers.Input((None, SIZE)),
        layers.LSTM(8, return_sequences=True),
        layers.TimeDistributed(layers.Dense(SIZE, activation="softmax")),
    ])  # fmt: skip


def stateful() -> keras.Model:
    """Keep its states between calls, for one text at a time, as scripts rebuild a model to generate with."""
    return keras.Sequential([
        layers.Input(batch_shape=(1, None), dtype="int32"),
        layers.Embedding(SIZE, 6),
        layers.GRU(8, return_sequences=True, stateful=True),
        layers.Dense(SIZE),
    ])  # fmt: skip


def self_attention() -> keras.Model:
    """Look back over all that is written by causal attention."""
    ids = keras.Input((None,), dtype="int32", name="ids")
    hidden = layers.Embedding(SIZE, 6)(ids)
    hidden = hidden + layers.MultiHeadAttention(2, 3)(hidden, hidden, use_causal_mask=True)
    return keras.Model(ids, layers.Dense(SIZE)(hidden))


def window() -> keras.Model:
    """Give what follows a window of one-hot characters, as published."""
    return keras.Sequential([
        layers.Input((WINDOW, SIZE)), layers.LSTM(8), layers.Dense(SIZE, activation="softmax")
    ])  # fmt: skip


def masked_window() -> keras.Model:
    """Give what follows a window of ids, filled on the left by zeros that are masked, as `pad_sequences` does."""
    return keras.Sequential([
        layers.Input((WINDOW,)), layers.Embedding(SIZE, 6, mask_zero=True), layers.LSTM(8), layers.Dense(SIZE)
    ], name="masked")  # fmt: skip


def follows(model: keras.Model, text: list[int]) -> np.ndarray:
    """Return what Keras gives for the symbol after a text, (symbols,): the whole text, or a whole window, fed anew."""
    shape = model.input_shape
    windowed = len(model.output_shape) == 2
    ids = np.array([([0] * WINDOW + text)[-WINDOW:] if windowed else text])
    rows = np.eye(SIZE, dtype=np.float32)[ids] if len(shape) == 3 else ids
    if windowed and len(shape) == 3:
        rows[:, : max(0, WINDOW - len(text))] = 0
    for layer in model.layers:
        if getattr(layer, "stateful", False):
            layer.reset_states()
    given = np.asarray(model(rows, training=False))[0]
    return given if windowed else given[-1]


def written(model: keras.Model, text: list[int], length: int) -> list[int]:
    """Return what the author's loop writes, always the likeliest symbol."""
    text = list(text)
    while len(text) < length:
        given = follows(model, text).copy()
        given[0] = -np.inf if "masked" in getattr(model, "name", "") else given[0]
        text.append(int(given.argmax()))
    return text


@pytest.mark.parametrize("build", [one_hot, stateful, window, masked_window])
def test_a_bundle_writes_on_as_its_loop_does(build, tmp_path: Path) -> None:
    """Short prompts and long ones, alone and together, as inputs and as prefixes."""
    model = build()
    randomise(model)
    done = export(model, tmp_path / "m.s2s", feedback="token", target=SYMBOLS, verify_sources=4)
    assert done.manifest.kind == "decoder-only"
    bundle = s2s_runtime.load(tmp_path / "m.s2s")
    prompts = ["i", "cefe", "bedceef", "jig"]
    wanted = ["".join(LETTERS[i] for i in written(model, [SYMBOLS[s] for s in p], 12)) for p in prompts]
    assert [result.text for result in bundle.generate(prompts, max_length=12)] == wanted
    assert [bundle.generate([""], max_length=12, prefix=[prompt])[0].text for prompt in prompts] == wanted
    assert "".join(bundle.stream("cefe", max_length=12)) == wanted[1]
    state = bundle.encode(["cefe"])
    assert bundle.generate_from(state, max_length=8)[0].text == wanted[1][4:]


def test_scores_are_kerass_cross_entropy(tmp_path: Path) -> None:
    """The log-probability of a text is minus the sum of the losses of its symbols, whatever its prompt was."""
    model = stacked()
    randomise(model)
    export(model, tmp_path / "m.s2s", feedback="token", target=SYMBOLS, verify_sources=4)
    bundle = s2s_runtime.load(tmp_path / "m.s2s")
    ids = np.random.default_rng(0).integers(0, SIZE, (3, 9))
    losses = keras.losses.sparse_categorical_crossentropy(ids[:, 1:], model(ids[:, :-1]), from_logits=True)
    scored = bundle.score([[]] * 3, ids.tolist(), add_end=False)
    np.testing.assert_allclose([s.log_probability for s in scored], -np.asarray(losses).sum(axis=1), rtol=1e-5)
    behind = bundle.score(ids[:, :4].tolist(), ids[:, 4:].tolist(), add_end=False)
    np.testing.assert_allclose([s.log_probability for s in behind], -np.asarray(losses)[:, 3:].sum(axis=1), rtol=1e-5)
    best = bundle.generate(["cafe"], beam_size=4, num_hypotheses=4, max_length=8, return_scores=True)[0]
    again = bundle.score([""] * 4, [hypothesis.text for hypothesis in best.hypotheses], add_end=False)
    np.testing.assert_allclose([h.score for h in best.hypotheses], [s.score for s in again], atol=1e-5)


def test_a_start_token_begins_an_empty_prompt(tmp_path: Path) -> None:
    """With a start and an end a text can begin from nothing, and a whole search runs in a graph."""
    model = stacked()
    randomise(model)
    export(model, tmp_path / "m.s2s", feedback="token", start=0, end=1, max_length=9, verify_sources=4)
    bundle = s2s_runtime.load(tmp_path / "m.s2s")
    text, end = [0], False
    while len(text) < 10 and not end:
        logits = follows(model, text).copy()
        logits[0] = -np.inf
        text.append(int(logits.argmax()))
        end = text[-1] == 1
    assert bundle.generate([[]], return_end_token=True)[0].ids == text[1:]
    asked = {"sampling_temperature": 2.0, "num_hypotheses": 5, "seed": 3}
    one, other = ([h.ids for h in bundle.generate([[]], **asked)[0].hypotheses] for _ in range(2))
    assert one == other
    assert len(one) > 1


def test_causal_attention_reads_its_growing_text(tmp_path: Path) -> None:
    """A model without recurrent layers is run on all that is written at every step, up to the length given."""
    model = self_attention()
    randomise(model)
    export(model, tmp_path / "m.s2s", feedback="token", target=SYMBOLS, max_length=10, verify_sources=4)
    bundle = s2s_runtime.load(tmp_path / "m.s2s")
    wanted = "".join(LETTERS[i] for i in written(model, [2, 0, 5], 10))
    assert bundle.generate(["caf"])[0].text == wanted
    traced = trace(find_files(tmp_path / "m.s2s"), bundle.manifest, "caf")
    assert "c" + "".join(LETTERS[int(item.array[0])] for item in traced if item.direction == "chosen") == wanted


def test_what_could_be_either_is_asked_about(tmp_path: Path) -> None:
    """Nothing in the graph says whether its output is what it reads next; other symbols, or pairs, may."""
    model = stacked()
    randomise(model)
    with pytest.raises(SplitError, match="feedback=token for a language model"):
        export(model, tmp_path / "m.s2s", source_length=4)
    tags = {tag: i for i, tag in enumerate("ABCDEFGHIJ")}
    done = export(model, tmp_path / "m.s2s", source=SYMBOLS, target=tags, source_length=4, verify_sources=4)
    assert done.manifest.kind == "one-pass"
    with pytest.raises(SplitError, match="in pairs the second texts go on with the first: say feedback=token"):
        refuse_unclear_feedback(model, ExportOptions(pairs=[("cafe", "afed"), ("ba", "ad")]))
    refuse_unclear_feedback(model, ExportOptions(pairs=[("cafe", "bbab"), ("ba", "ad")]))
    done = export(model, tmp_path / "m.s2s", feedback="none", source_length=4, verify_sources=4, force=True)
    assert done.manifest.kind == "one-pass"


def test_ids_that_no_embedding_looks_up_are_asked_about_too() -> None:
    """Where the model makes one-hot rows of its ids itself, it reads as many symbols as it gives all the same."""
    ids = keras.Input((None,), dtype="int32", name="ids")
    hidden = layers.LSTM(8, return_sequences=True)(keras.ops.one_hot(ids, SIZE))
    model = keras.Model(ids, layers.Dense(SIZE)(hidden))
    with pytest.raises(SplitError, match="feedback=token for a language model"):
        refuse_unclear_feedback(model, ExportOptions())
    tagger = keras.Model(ids, layers.Dense(SIZE + 1)(hidden))
    refuse_unclear_feedback(tagger, ExportOptions())


def test_a_window_of_any_length_is_asked_for(tmp_path: Path) -> None:
    """How many symbols a model of one output read in training doesn't show where its input has any length."""
    model = keras.Sequential([
        layers.Input((None,), dtype="int32"), layers.Embedding(SIZE, 4), layers.LSTM(5), layers.Dense(SIZE)
    ])  # fmt: skip
    randomise(model)
    with pytest.raises(ExportError, match="source_length=N"):
        export(model, tmp_path / "m.s2s", feedback="token")
    export(model, tmp_path / "m.s2s", feedback="token", source_length=WINDOW, target=SYMBOLS, verify_sources=4)
    wanted = "".join(LETTERS[i] for i in written(model, [2, 0, 5], 10))
    assert s2s_runtime.load(tmp_path / "m.s2s").generate(["caf"], max_length=10)[0].text == wanted


def test_errors_say_what_to_give(tmp_path: Path) -> None:
    """Nothing to go on from, a symbol outside the vocabulary, options of a source that isn't there."""
    model = stacked()
    randomise(model)
    export(model, tmp_path / "m.s2s", feedback="token", target=SYMBOLS, verify_sources=4)
    bundle = s2s_runtime.load(tmp_path / "m.s2s")
    with pytest.raises(InputError, match=r"inputs\[1\]: empty, and this language model has no start token"):
        bundle.generate(["a", ""], max_length=4)
    returned = bundle.generate(["a", "", "xyz"], max_length=4, on_error="return")
    assert [result.error is None for result in returned] == [True, False, False]
    with pytest.raises(OptionError, match="max_length_ratio: has no meaning here"):
        bundle.generate(["a"], max_length=4, max_length_ratio=3)
    with pytest.raises(InputError, match=r"inputs\[0\]: 4 tokens; expected at most 3"):
        bundle.generate(["cafe"], max_length=8, max_source_length=3)
    with pytest.raises(InputError, match="language model has no pairs of texts"):
        decode_pairs(bundle, {"a": ["b"]})
    with pytest.raises(ExportError, match="language model has no source"):
        export(model, tmp_path / "n.s2s", feedback="token", source=SYMBOLS, target=SYMBOLS)
    for texts in ({"pairs": [("a", "b")]}, {"expect": [("a", "b")]}):  # said before vocabularies are looked for there
        with pytest.raises(ExportError, match="pairs tell nothing of it"):
            export(model, tmp_path / "n.s2s", feedback="token", **texts)
