"""Models of one pass with several outputs: one bundle gives them all, each as Keras's `predict` does."""

import json
import re
from pathlib import Path

import keras
import numpy as np
import pytest
from export_command import run
from keras import layers
from random_weights import randomise

import s2s_runtime
from s2s_export import ExportError, ExportOptions, export
from s2s_export.exporter import take_apart
from s2s_export.graphs.bundle_graphs import Graphs
from s2s_export.reduce.int8 import quantized
from s2s_export.report import to_dict

pytestmark = pytest.mark.tensorflow

WORDS, TAGS, INTENTS = 9, 5, 3
ROWS = [[3, 4, 1], [5], [2, 2, 8, 1, 1, 7, 6]]
TAG_NAMES, INTENT_NAMES = ["O", "B-city", "I-city", "B-day", "I-day"], ["book", "cancel", "ask"]


def slots_and_intent() -> keras.Model:
    """A tag for each word, one intent for all of them, and how sure a person was, which is values."""
    words = keras.Input((None,), dtype="int32", name="words")
    hidden = layers.Embedding(WORDS, 4, mask_zero=True)(words)
    each, *states = layers.Bidirectional(layers.LSTM(5, return_sequences=True, return_state=True))(hidden)
    last = layers.Concatenate()([states[0], states[2]])
    outputs = [
        layers.Dense(INTENTS, activation="softmax", name="intent")(last),
        layers.Dense(TAGS, activation="softmax", name="slots")(each),
        layers.Dense(2, name="level")(last),
    ]
    model = keras.Model(words, outputs)
    randomise(model)
    return model


@pytest.fixture(scope="module")
def model() -> keras.Model:
    return slots_and_intent()


@pytest.fixture(scope="module")
def bundle(model: keras.Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("several") / "m.s2s"
    target = {"intent": INTENT_NAMES, "slots": TAG_NAMES}
    export(model, path, target=target, unit="symbol", verify_sources=4)
    return path


def test_all_outputs_are_kerass(model: keras.Model, bundle: Path) -> None:
    """Each output of each sentence is what `predict` gives for it alone; what has positions is decoded first."""
    loaded = s2s_runtime.load(bundle)
    assert loaded.manifest.output_names == ("slots", "intent", "level")
    for row, result in zip(ROWS, loaded.generate(ROWS, return_scores=True, length_penalty=0), strict=True):
        intent, slots, level = (output[0] for output in model.predict(np.array([row]), verbose=0))
        assert result.tokens == [TAG_NAMES[i] for i in slots.argmax(-1)]
        assert result.score == pytest.approx(np.log(slots.max(-1)).sum(), abs=1e-4)
        assert result.outputs["intent"].text == INTENT_NAMES[intent.argmax()]
        assert result.outputs["intent"].score == pytest.approx(np.log(intent.max()), abs=1e-4)
        np.testing.assert_allclose(result.outputs["level"], level[None], atol=1e-4)


def test_every_output_was_verified(bundle: Path) -> None:
    """The report has checks of each by itself and of all in one call."""
    names = [check["what"] for check in s2s_runtime.load(bundle).manifest.verification["checks"]]
    for words in (
        "slots: best symbols",
        "intent: log-prob",
        "intent: in one call",
        "level: values",
        "level: in one call",
    ):
        assert any(name.startswith(words) for name in names), names


def test_a_wrong_output_is_no_bundle(tmp_path: Path, model: keras.Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where one output isn't what Keras gives, nothing is written, and the output is named."""
    from s2s_export.graphs import bundle_graphs

    give = bundle_graphs._give_logits

    def spoiled(editor: object, facts: object, output: str, passes: object) -> None:
        give(editor, facts, output, passes)
        if output == "logits.1":
            node = editor.producer(output)
            (raised,) = editor.add("Neg", [bundle_graphs.free_name(editor, node, output)])
            editor.add("Identity", [raised], [output])

    monkeypatch.setattr(bundle_graphs, "_give_logits", spoiled)
    with pytest.raises(ExportError, match="intent: best symbols"):
        export(model, tmp_path / "m.s2s", verify_sources=2)
    assert not (tmp_path / "m.s2s").exists()


def test_some_outputs_are_named(model: keras.Model) -> None:
    """Two of three, in one bundle; the third is said to be left out. One is a bundle as ever."""
    _, _, facts = take_apart(model, ExportOptions(decoder_output=["level", "intent"]))
    assert (facts.target.name, [output.target.name for output in facts.further]) == ("intent", ["level"])
    assert any("'slots' left out" in note for note in facts.notes)
    _, _, facts = take_apart(model, ExportOptions(decoder_output="intent"))
    assert (facts.target.name, facts.target.size, facts.further) == (None, INTENTS, ())


def test_outputs_of_one_layer_have_names_of_their_own() -> None:
    """Those by which the bundle calls them name them to the exporter too."""
    readings = keras.Input((None, 3))
    hidden, last = layers.GRU(4, return_sequences=True, return_state=True, name="gru")(readings)
    model = keras.Model(readings, [hidden, last, layers.Dense(2, name="level")(hidden)])
    randomise(model)
    _, _, facts = take_apart(model, ExportOptions(decoder_output=["gru", "gru.1"]))
    assert (facts.target.name, [output.target.name for output in facts.further]) == ("gru", ["gru.1"])
    _, _, facts = take_apart(model, ExportOptions(decoder_output=["gru.1", "level"]))
    assert (facts.target.name, [output.target.name for output in facts.further]) == ("level", ["gru.1"])
    for name, size in (("gru", (None, None, 4)), ("gru.1", (None, 4)), ("level", (None, None, 2))):
        read, _, facts = take_apart(model, ExportOptions(decoder_output=name))
        assert (read.output_shape, facts.target.name, facts.further) == (size, None, ())
    with pytest.raises(ExportError, match=r"expected the name of one of the model's outputs \(gru, gru.1, level\)"):
        take_apart(model, ExportOptions(decoder_output="gru.2"))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"decoder_output": ["slots", "intents"]}, "outputs (intent, slots, level), got 'intents'"),
        ({"decoder_output": ["slots", "slots"]}, "expected each name once, got slots, slots"),
        ({"target": {"slot": TAG_NAMES}}, "target: expected names of the model's outputs (intent, slots, level), got"),
        ({"target": {"intent": TAG_NAMES}}, "output 'intent': the target vocabulary has 5 symbols but the model"),
        ({"target": {"intent": {"a": 0}, "slots": 5}}, "target"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(tmp_path: Path, model: keras.Model, options: dict[str, object], words: str) -> None:
    """Nothing is written."""
    with pytest.raises(ExportError, match=re.escape(words)):
        export(model, tmp_path / "m.s2s", verify_sources=2, **options)
    assert not (tmp_path / "m.s2s").exists()


def test_two_tag_sets_and_a_step(tmp_path: Path) -> None:
    """A causal model follows its first output, and both are as many as there are readings."""
    readings = keras.Input((None, 3), name="readings")
    hidden = layers.GRU(4, return_sequences=True)(readings)
    model = keras.Model(readings, [layers.Dense(2, name="low")(hidden), layers.Dense(1, name="high")(hidden)])
    randomise(model)
    done = export(model, tmp_path / "m.s2s", verify_sources=2)
    assert list(done.manifest.graphs) == ["model", "step"]
    told = to_dict(done)
    assert [told["target"]["name"], *(output["name"] for output in told["outputs"])] == ["low", "high"]
    loaded = s2s_runtime.load(tmp_path / "m.s2s")
    window = np.random.default_rng(0).normal(size=(1, 5, 3)).astype(np.float32)
    predicted, wanted = loaded.predict(window), model.predict(window, verbose=0)
    assert list(predicted) == ["low", "high"]
    for name, values in zip(("low", "high"), wanted, strict=True):
        np.testing.assert_allclose(predicted[name], values, atol=1e-5)
        np.testing.assert_allclose(loaded.output(name).predict(window), values, atol=1e-5)
    following = loaded.start()
    np.testing.assert_allclose([following.advance(each) for each in window[0]], wanted[0][0], atol=1e-5)


def test_an_encoder_decoder_gives_one(tmp_path: Path) -> None:
    """Several outputs of a model whose decoder reads what it wrote aren't one bundle; both ways out are said."""
    source, target = (keras.Input((None,), dtype="int32", name=name) for name in ("source", "target"))
    state = layers.GRU(4)(layers.Embedding(7, 3)(source))
    y = layers.GRU(4, return_sequences=True)(layers.Embedding(7, 3)(target), initial_state=state)
    model = keras.Model([source, target], [layers.Dense(7, activation="softmax", name=n)(y) for n in ("one", "two")])
    randomise(model)
    with pytest.raises(
        ExportError, match=r"decoder_output: expected one output.*decode one, decoder_output=NAME, or.*A\+B"
    ):
        export(model, tmp_path / "m.s2s", decoder_output=["one", "two"], start=1, end=2, source_length=4)


def test_command(tmp_path: Path, model: keras.Model) -> None:
    """`--target-vocab NAME=FILE` and `--decoder-output` may be repeated."""
    model.save(tmp_path / "m.keras")
    for name, symbols in (("slots", TAG_NAMES), ("intent", INTENT_NAMES)):
        (tmp_path / f"{name}.json").write_text(json.dumps(symbols))
    named = [f"--target-vocab={name}={tmp_path / name}.json" for name in ("slots", "intent")]
    code, output, errors = run(tmp_path / "m.keras", *named, "--verify-sources", "2")
    assert code == 0, errors
    assert "the bundle gives several outputs: 'slots', and beside it 'intent', 'level'" in " ".join(output.split())
    assert f"slots: feedback none, size {TAGS}; intent: feedback none, size {INTENTS}" in " ".join(output.split())
    assert s2s_runtime.load(tmp_path / "m.s2s").manifest.outputs[0].vocabulary.symbols == tuple(INTENT_NAMES)
    both = ["--decoder-output", "slots", "--decoder-output", "intent", "--dry-run"]
    code, output, errors = run(tmp_path / "m.keras", *both)
    assert code == 0, errors
    assert "'slots', and beside it 'intent'; 'level' left out" in " ".join(output.split())
    code, _, errors = run(tmp_path / "m.keras", "--target-vocab", "slots.json", *named, "--dry-run")
    assert code == 2
    assert "--target-vocab: expected NAME=FILE for each output" in " ".join(errors.split())


def test_outputs_that_are_alike() -> None:
    """They are the steps of one sequence, as those of unrolled models are, and the note says so; named, they aren't."""
    window = keras.Input((4, 3))
    last = layers.LSTM(4)(window)
    model = keras.Model(window, [layers.Dense(2, activation="softmax", name=name)(last) for name in "pqr"])
    randomise(model)
    _, _, facts = take_apart(model, ExportOptions())
    assert (facts.target.max_length, facts.further) == (3, ())
    assert "p, q, r are alike" in facts.notes[0]
    assert "decoder_output=['p', 'q', 'r'] says they are not" in facts.notes[0]
    _, _, facts = take_apart(model, ExportOptions(decoder_output=["p", "q", "r"]))
    assert (facts.target.name, len(facts.further)) == ("p", 2)


def test_fewer_bits_are_measured_of_each(tmp_path: Path, model: keras.Model) -> None:
    """What int8 changes is said of each output of tokens; of values it isn't measured, and the output is named."""
    _, _, facts = take_apart(model, ExportOptions())
    assert facts.what_gives_values == "the output 'level'"
    with pytest.raises(ExportError, match="the output 'level' gives values, whose loss by int8 isn't measured"):
        quantized(Graphs({}, (), ()), facts, "int8", {})
    tokens = ["slots", "intent"]
    done = export(model, tmp_path / "m.s2s", quantize="int8", decoder_output=tokens, verify_sources=2)
    measured = done.manifest.verification["quantization"]["searches"]
    assert [each["search"] for each in measured] == ["slots: best symbols", "intent: best symbols"]
