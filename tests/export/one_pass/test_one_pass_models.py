"""Models to which nothing is fed back: bundles give Keras's own `predict`, and the best symbol of each position."""

from pathlib import Path

import keras
import numpy as np
import onnx
import pytest
from keras import layers
from random_weights import randomise

import s2s_runtime
from s2s_export import ExportError, export
from s2s_training.errors import SplitError

pytestmark = pytest.mark.tensorflow

SOURCE, TARGET, STEPS = 9, 7, 6


def translator() -> keras.Model:
    """Position by position: both sides padded to one length, no mask."""
    return keras.Sequential([
        layers.Input((STEPS,), dtype="int32"),
        layers.Embedding(SOURCE, 4),
        layers.Bidirectional(layers.GRU(5, return_sequences=True)),
        layers.TimeDistributed(layers.Dense(TARGET, activation="softmax")),
    ])  # fmt: skip


def repeated() -> keras.Model:
    """One vector of the source repeated, read by a decoder of both directions."""
    return keras.Sequential([
        layers.Input((STEPS,), dtype="int32"),
        layers.Embedding(SOURCE, 4),
        layers.Bidirectional(layers.LSTM(5)),
        layers.RepeatVector(4),
        layers.Bidirectional(layers.LSTM(5, return_sequences=True)),
        layers.TimeDistributed(layers.Dense(TARGET, activation="softmax")),
    ])  # fmt: skip


def tagger() -> keras.Model:
    """As many tags as words: padding is masked."""
    words = keras.Input((None,), dtype="int32", name="words")
    hidden = layers.Embedding(SOURCE, 4, mask_zero=True)(words)
    hidden = layers.Bidirectional(layers.LSTM(5, return_sequences=True))(hidden)
    return keras.Model(words, layers.Dense(TARGET, activation="softmax")(hidden))


@pytest.mark.parametrize("build", [translator, repeated])
def test_all_positions_are_kerass(build, tmp_path: Path) -> None:
    """The best symbol of each position is that of `predict`, alone and in a batch."""
    model = build()
    randomise(model)
    done = export(model, tmp_path / "m.s2s", source_length=STEPS)
    assert done.manifest.kind == "one-pass"
    assert list(done.manifest.graphs) == ["model"]
    written = onnx.load(tmp_path / "m.s2s" / "model.onnx")
    said = {each.key: each.value for each in written.metadata_props}
    kernels = sum(int(np.prod(each.shape)) for each in model.weights if each.name.endswith("kernel"))
    assert said == {"s2s.products": str(kernels), "s2s.never": ""}
    kinds = {node.op_type for node in written.graph.node}
    assert not kinds & {"Less", "Not", "Where"}, "a look-up is one node"
    bundle = s2s_runtime.load(tmp_path / "m.s2s")
    ids = np.random.default_rng(0).integers(0, SOURCE, (8, STEPS))
    wanted = model.predict(ids, verbose=0)
    results = bundle.generate(ids, return_token_scores=True)
    assert [result.ids for result in results] == wanted.argmax(-1).tolist()
    scores = [result.hypotheses[0].token_scores for result in results]
    np.testing.assert_allclose(scores, np.log(wanted.max(-1)), atol=1e-5)


def chosen(bundle: s2s_runtime.Model, *ids: list[int], **options: object) -> tuple[list[list[int]], bool]:
    """What `generate` gives, and whether the graph chose it: then no logits are fetched."""
    run, fetched = bundle.step_model._run, []
    bundle.step_model._run = lambda *sources: fetched.append(1) or run(*sources)
    results = bundle.generate(np.array(ids), **options)
    bundle.step_model._run = run
    return [result.ids for result in results], not fetched


def test_the_graph_chooses_the_best_that_may_stand_there(tmp_path: Path) -> None:
    """What is never written isn't chosen; where options say otherwise, logits are asked."""
    model = tagger()
    randomise(model)
    export(model, tmp_path / "m.s2s", target={s: i for i, s in enumerate(["<pad>", *"abcdef"])}, verify_sources=4)
    bundle, ids = s2s_runtime.load(tmp_path / "m.s2s"), np.random.default_rng(0).integers(1, SOURCE, (40, 5))
    assert bundle.manifest.target.never == {0}
    logits = bundle.step_model.encode(ids).outputs
    assert set(logits.argmax(axis=2).ravel()) >= {0}, "the test needs a position where padding is the best"
    best = (logits[:, :, 1:].argmax(axis=2) + 1).tolist()
    assert chosen(bundle, *ids.tolist()) == (best, True)
    others = np.delete(logits, 3, axis=2)[:, :, 1:].argmax(axis=2) + 1
    assert chosen(bundle, *ids.tolist(), suppress_tokens=[3]) == ((others + (others >= 3)).tolist(), False)


def test_a_tagger_gives_as_many_tags_as_words(tmp_path: Path) -> None:
    """A sentence's tags are those that Keras gives to it alone, however long the others of its batch are."""
    model = tagger()
    randomise(model)
    done = export(model, tmp_path / "m.s2s")
    assert done.manifest.target.aligned
    assert done.manifest.padding.masked
    rows = [[3, 4, 1], [5], [2, 2, 8, 1, 1, 7, 6]]
    bundle = s2s_runtime.load(tmp_path / "m.s2s")
    wanted = [model.predict(np.array([row]), verbose=0)[0].argmax(-1).tolist() for row in rows]
    assert [result.ids for result in bundle.generate(rows)] == wanted


def test_what_fills_a_target_ends_it(tmp_path: Path) -> None:
    """Where padding isn't masked, a text ends before the first padding symbol that is the best of its position."""
    model = translator()
    randomise(model)
    target = {symbol: i for i, symbol in enumerate(["<pad>", *"abcdef"])}
    export(model, tmp_path / "m.s2s", source_length=STEPS, target=target)
    bundle = s2s_runtime.load(tmp_path / "m.s2s")
    ids = np.random.default_rng(0).integers(0, SOURCE, (40, STEPS))
    best = model.predict(ids, verbose=0).argmax(-1).tolist()
    cut = [row[: row.index(0)] if 0 in row else row for row in best]
    assert cut != best
    assert [result.ids for result in bundle.generate(ids)] == cut


def test_what_reads_forwards_gives_all_its_positions(tmp_path: Path) -> None:
    """Where nothing is masked, outputs behind the source's end count too: the target may be longer, as in training."""
    model = keras.Sequential([
        layers.Input((STEPS,), dtype="int32"),
        layers.Embedding(SOURCE, 4),
        layers.GRU(5, return_sequences=True),
        layers.TimeDistributed(layers.Dense(TARGET, activation="softmax")),
    ])  # fmt: skip
    randomise(model)
    export(model, tmp_path / "m.s2s")
    bundle = s2s_runtime.load(tmp_path / "m.s2s")
    ids = np.array([[3, 1, 0, 0, 0, 0], [2, 0, 5, 8, 1, 0]])
    best = model.predict(ids, verbose=0).argmax(-1).tolist()
    assert [result.ids for result in bundle.generate(ids)] == best
    assert bundle.generate([[3, 1]])[0].ids == best[0]


@pytest.mark.parametrize("groups", [1, 2])
def test_values_of_a_window(groups: int, tmp_path: Path) -> None:
    """A forecast in one shot, of convolutions (also in groups) and with its own horizon, is what `predict` gives."""
    model = keras.Sequential([
        layers.Input((12, 2)),
        layers.Conv1D(8, 3, activation="relu", groups=groups),
        layers.Flatten(),
        layers.Dense(4 * 3),
        layers.Reshape((4, 3)),
    ])  # fmt: skip
    randomise(model)
    export(model, tmp_path / "m.s2s")
    nodes = onnx.load(tmp_path / "m.s2s" / "model.onnx").graph.node
    assert [a.i for node in nodes if node.op_type == "Conv" for a in node.attribute if a.name == "group"] == [groups]
    windows = np.random.default_rng(0).normal(size=(5, 12, 2)).astype(np.float32)
    bundle = s2s_runtime.load(tmp_path / "m.s2s")
    np.testing.assert_allclose(bundle.predict(windows), model.predict(windows, verbose=0), atol=1e-5)


def test_an_output_without_time_is_one_step(tmp_path: Path) -> None:
    """The next value after a window stands as a sequence of one."""
    model = keras.Sequential([layers.Input((12, 2)), layers.LSTM(6), layers.Dense(1)])
    randomise(model)
    export(model, tmp_path / "m.s2s")
    windows = np.random.default_rng(0).normal(size=(5, 12, 2)).astype(np.float32)
    bundle = s2s_runtime.load(tmp_path / "m.s2s")
    np.testing.assert_allclose(bundle.predict(windows)[:, 0], model.predict(windows, verbose=0), atol=1e-5)


def test_nothing_is_fed_back_where_that_is_said(tmp_path: Path) -> None:
    """Two inputs of steps, read forwards, could be a source and a target; said otherwise, they are two features."""
    words, shapes = (keras.Input((STEPS,), dtype="int32", name=name) for name in ("words", "shapes"))
    joined = layers.concatenate([layers.Embedding(SOURCE, 4)(each) for each in (words, shapes)])
    hidden = layers.GRU(5, return_sequences=True)(joined)
    model = keras.Model([words, shapes], layers.Dense(TARGET, activation="softmax")(hidden))
    randomise(model)
    done = export(model, tmp_path / "m.s2s", feedback="none", verify_sources=4)
    assert done.manifest.kind == "one-pass"


def test_several_inputs_of_steps_are_asked_about(tmp_path: Path) -> None:
    """One of them could be the target of training; said that nothing is fed back, the model is one pass."""
    words, shapes = (keras.Input((None,), dtype="int32", name=name) for name in ("words", "shapes"))
    joined = layers.concatenate([layers.Embedding(SOURCE, 4, mask_zero=True)(each) for each in (words, shapes)])
    hidden = layers.Bidirectional(layers.LSTM(5, return_sequences=True))(joined)
    model = keras.Model([words, shapes], layers.Dense(TARGET, activation="softmax")(hidden))
    randomise(model)
    with pytest.raises(SplitError, match="say so with feedback=none"):
        export(model, tmp_path / "m.s2s")
    export(model, tmp_path / "m.s2s", feedback="none")
    rows = {"words": [[3, 4, 1], [5]], "shapes": [[1, 2, 1], [4]]}
    wanted = [
        model.predict([np.array([a]), np.array([b])], verbose=0)[0].argmax(-1).tolist()
        for a, b in zip(*rows.values(), strict=True)
    ]
    bundle = s2s_runtime.load(tmp_path / "m.s2s")
    assert [result.ids for result in bundle.generate(rows)] == wanted


def test_a_softmax_that_keras_itself_cannot_run_behind_a_mask_is_told_so(tmp_path: Path) -> None:
    """The layer takes the mask of steps for one over symbols; what the message says to put in its place exports."""
    words = keras.Input((None,), dtype="int32")
    hidden = layers.LSTM(5, return_sequences=True)(layers.Embedding(SOURCE, 4, mask_zero=True)(words))
    hidden = layers.Dense(TARGET)(hidden)
    with pytest.raises(ValueError, match="mask"):
        keras.Model(words, layers.Softmax()(hidden)).predict(np.ones((2, 4)), verbose=0)
    with pytest.raises(ExportError, match=r"layer Softmax .* put Activation\('softmax'\) in its place"):
        export(keras.Model(words, layers.Softmax()(hidden)), tmp_path / "m.s2s")
    export(keras.Model(words, layers.Activation("softmax")(hidden)), tmp_path / "m.s2s", verify_sources=4)
