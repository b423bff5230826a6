"""The add-on library's constructors: shapes, and what each argument changes."""

import keras
import numpy as np
import pytest

from s2s_training.layers.recurrent_cells import RECURRENT_CELLS
from s2s_training.seq2seq import AttentionSeq2Seq, Seq2Seq, SimpleSeq2Seq

pytestmark = pytest.mark.tensorflow

SIZES = {"output_dim": 3, "output_length": 4}
BUILDERS = {"simple": SimpleSeq2Seq, "seq2seq": Seq2Seq, "attention": AttentionSeq2Seq}
SOURCE = np.random.default_rng(1).normal(size=(2, 5, 2)).astype(np.float32)


def build(name, **options):
    """A small model with weights that tell inputs apart."""
    model = BUILDERS[name](**SIZES | {"input_dim": 2} | options)
    fill(model)
    return model


def fill(model, seed=0):
    """The same weights for models of the same layers."""
    rng = np.random.default_rng(seed)
    for weight in model.trainable_weights:
        weight.assign(rng.normal(size=weight.shape) * 0.7)


def say(model, *inputs, training=False):
    """What a model gives."""
    given = list(inputs) if len(inputs) > 1 else inputs[0]
    return np.asarray(model(given, training=training))


def lstm_layers(model):
    """The recurrent layers of a model of plain layers."""
    return [layer for layer in model.layers if isinstance(layer, keras.layers.LSTM)]


@pytest.mark.parametrize("name", BUILDERS)
@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ({"input_dim": 2}, (None, None, 2)),
        ({"input_dim": 2, "input_length": 5}, (None, 5, 2)),
        ({"input_shape": (5, 2)}, (None, 5, 2)),
        ({"input_shape": (None, 2)}, (None, None, 2)),
        ({"batch_input_shape": (2, 5, 2)}, (2, 5, 2)),
    ],
)
def test_shapes(name, shape, expected):
    """Every way to give the input shape, and the output's; inputs of any length where the time is free."""
    model = BUILDERS[name](**SIZES, **shape)
    assert model.input_shape == expected
    assert model.output_shape == (expected[0], 4, 3)
    assert say(model, SOURCE).shape == (2, 4, 3)
    if expected[1] is None:
        assert say(model, SOURCE[:, :3]).shape == (2, 4, 3)


def test_defaults():
    """hidden_dim is output_dim; depth 1 is one layer on either side, a pair gives each its own."""
    assert [layer.units for layer in lstm_layers(build("simple"))] == [3, 3]
    assert [layer.units for layer in lstm_layers(build("simple", hidden_dim=7, depth=(1, 3)))] == [7, 7, 7, 3]
    for depth, counts in [(1, (1, 1)), ((3, 2), (3, 2))]:
        model = build("seq2seq", depth=depth, hidden_dim=7)
        assert (len(lstm_layers(model)), len(model.get_layer("decoder").cell.cell.cell.cells)) == counts
    ways = [layer for layer in build("attention", depth=2).layers if isinstance(layer, keras.layers.Bidirectional)]
    assert len(ways) == 2
    assert not any(
        isinstance(layer, keras.layers.Bidirectional) for layer in build("attention", bidirectional=False).layers
    )


def test_the_readout_is_the_next_input():
    """Seq2Seq step by step: the context first, then its own output, the states handed on."""
    model = build("seq2seq")
    encoder, decoder = lstm_layers(model)[0], model.get_layer("decoder").cell.cell
    context, *states = encoder(SOURCE)
    readout, made = context, []
    for _ in range(4):
        readout, states = decoder(readout, states)
        made.append(np.asarray(readout))
    np.testing.assert_allclose(say(model, SOURCE), np.stack(made, axis=1), atol=1e-6)


@pytest.mark.parametrize(
    ("change", "depth"),
    [({"broadcast_state": False}, 1), ({"inner_broadcast_state": False}, 2), ({"peek": "add"}, 1)],
)
def test_options_without_weights_change_what_is_said(change, depth):
    """The same weights, another wiring."""
    plain, other = build("seq2seq", depth=depth), build("seq2seq", depth=depth, **change)
    assert plain.count_params() == other.count_params()
    other.set_weights(plain.get_weights())
    assert np.abs(say(plain, SOURCE) - say(other, SOURCE)).max() > 1e-3


def test_without_broadcast_the_decoder_starts_from_zeros():
    """Its first output then depends on the context alone."""
    model = build("seq2seq", broadcast_state=False)
    context = np.asarray(lstm_layers(model)[0](SOURCE)[0])
    first, _ = model.get_layer("decoder").cell.cell(context, [np.zeros((2, 3), np.float32)] * 2)
    np.testing.assert_allclose(say(model, SOURCE)[:, 0], first, atol=1e-6)


def test_one_state_goes_up_through_the_decoder():
    """inner_broadcast_state: half the states, as each layer takes over from the one below."""
    passed, own = (build("seq2seq", depth=2, inner_broadcast_state=on) for on in (True, False))
    assert [len(model.get_layer("decoder").cell.state_size) for model in (passed, own)] == [3, 5]


def test_peek_shows_the_context_at_every_step():
    """True is "concat": a wider kernel. Without its rows for the context, the model is the one without peek."""
    peeking, plain = build("seq2seq", peek=True), build("seq2seq")
    kernel, narrow = (m.get_layer("decoder").cell.cell.cell.cells[0].kernel for m in (peeking, plain))
    assert (kernel.shape[0], narrow.shape[0]) == (6, 3)
    values = [np.asarray(w)[: v.shape[0]] for w, v in zip(peeking.weights, plain.weights, strict=True)]
    plain.set_weights(values)
    assert np.abs(say(peeking, SOURCE) - say(plain, SOURCE)).max() > 1e-3
    kernel.assign(np.concatenate([np.asarray(kernel)[:3], np.zeros((3, 12))]))
    np.testing.assert_allclose(say(peeking, SOURCE), say(plain, SOURCE), atol=1e-6)
    with pytest.raises(ValueError, match="peek: expected None, 'concat' or 'add', got 'mul'"):
        build("seq2seq", peek="mul")


def test_teacher_forcing_reads_the_target_one_step_late_in_training_only():
    """A step's output depends on earlier target steps, never on its own or later ones; in inference on none."""
    model = build("seq2seq", teacher_force=True)
    truth = np.random.default_rng(2).normal(size=(2, 4, 3)).astype(np.float32)
    changed = truth.copy()
    changed[:, 1] += 1
    one, other = (say(model, SOURCE, each, training=True) for each in (truth, changed))
    np.testing.assert_allclose(one[:, :2], other[:, :2], atol=1e-6)
    assert np.abs(one[:, 2] - other[:, 2]).max() > 1e-3
    np.testing.assert_allclose(say(model, SOURCE, truth), say(model, SOURCE, changed), atol=1e-6)
    own = say(model, SOURCE, truth)
    np.testing.assert_allclose(say(model, SOURCE, own, training=True), own, atol=1e-5)


@pytest.mark.parametrize("name", BUILDERS)
def test_unrolled_says_the_same(name):
    """Unrolling changes how the loop runs, not what comes out."""
    options = {"input_dim": None, "input_shape": (5, 2), "depth": 2}
    one, other = build(name, **options), build(name, **options, unroll=True)
    np.testing.assert_allclose(say(other, SOURCE), say(one, SOURCE), atol=1e-6)


@pytest.mark.parametrize("name", BUILDERS)
def test_stateful_models_go_on_where_they_ended(name):
    """The second call differs from the first; after a reset it is the first again."""
    model = build(name, input_dim=None, batch_input_shape=(2, 5, 2), stateful=True)
    first = say(model, SOURCE)
    assert np.abs(say(model, SOURCE) - first).max() > 1e-4
    for layer in model._flatten_layers():
        if getattr(layer, "stateful", False):
            layer.reset_state()
    np.testing.assert_allclose(say(model, SOURCE), first, atol=1e-6)


@pytest.mark.parametrize("cell", sorted(RECURRENT_CELLS.keys() - {"lstm"}))
@pytest.mark.parametrize("name", BUILDERS)
def test_other_cells(name, cell):
    """Fewer gates than an LSTM's four on either side, states handed over as they are."""
    model = build(name, cell=cell, depth=2)
    assert model.count_params() < build(name, depth=2).count_params()
    assert not lstm_layers(model)
    assert say(model, SOURCE).shape == (2, 4, 3)


@pytest.mark.parametrize("name", BUILDERS)
def test_dropout_counts_in_training_only(name):
    """Two calls in training differ, two in inference don't, and inference is the model without dropout."""
    model, plain = build(name, dropout=0.5, depth=2), build(name, depth=2)
    plain.set_weights([np.asarray(weight) for weight in model.weights if "seed" not in weight.path])
    assert np.abs(say(model, SOURCE, training=True) - say(model, SOURCE, training=True)).max() > 1e-3
    np.testing.assert_allclose(say(model, SOURCE), say(plain, SOURCE), atol=1e-6)


@pytest.mark.parametrize("name", BUILDERS)
def test_masked_steps_change_nothing(name):
    """Behind a Masking layer, rows of zeros at the end are as good as absent; the model is a layer of a larger one."""
    source = keras.Input((None, 2))
    inner = build(name)
    model = keras.Model(source, inner(keras.layers.Masking()(source)))
    padded = np.concatenate([SOURCE, np.zeros((2, 3, 2), np.float32)], axis=1)
    np.testing.assert_allclose(say(model, padded), say(inner, SOURCE), atol=1e-6)


def test_attention_follows_the_decoder_state():
    """Bahdanau's alignment: the weights sum to one and move from step to step."""
    from s2s_training.splitting import split

    parts = split(build("attention", hidden_dim=6))
    assert parts.attention
    crossing = parts.encoder([SOURCE])
    states, memory = crossing[: parts.state_count], crossing[parts.state_count :]
    weights = []
    for _ in range(3):
        _, *rest = parts.decoder([*states, *memory])
        states, found = rest[: parts.state_count], rest[-1]
        weights.append(np.asarray(found))
    np.testing.assert_allclose(np.sum(weights, axis=-1), 1, atol=1e-5)
    assert np.abs(weights[0] - weights[2]).max() > 1e-3


@pytest.mark.parametrize("name", BUILDERS)
def test_saved_loaded_and_cloned_models_say_the_same(name, tmp_path):
    """Nothing is lost in a file, also of a model inside another one."""
    options = {"teacher_force": True, "peek": True} if name == "seq2seq" else {}
    inner = build(name, depth=2, hidden_dim=4, dropout=0.1, **options)
    model = keras.Model(inner.input, keras.layers.Dense(2)(inner(inner.input)))
    given = [SOURCE, np.zeros((2, 4, 3), np.float32)] if options else [SOURCE]
    model.save(tmp_path / "m.keras")
    cloned = keras.models.clone_model(model)
    cloned.set_weights(model.get_weights())
    for other in (keras.models.load_model(tmp_path / "m.keras"), cloned):
        np.testing.assert_allclose(say(other, *given), say(model, *given), atol=1e-6)


@pytest.mark.parametrize("name", BUILDERS)
def test_gradients_reach_every_weight(name):
    """One step of training moves all of them."""
    model = build(name, depth=2, peek=True) if name == "seq2seq" else build(name, depth=2)
    before = [np.asarray(weight) for weight in model.trainable_weights]
    model.compile("adam", "mse")
    model.fit(SOURCE, np.zeros((2, 4, 3)), verbose=0)
    for weight, old in zip(model.trainable_weights, before, strict=True):
        assert np.abs(np.asarray(weight) - old).max() > 0, weight.path


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"input_dim": None}, TypeError, "no input shape: give input_shape"),
        ({"batch_size": [4]}, TypeError, "input shape: expected integers, or None where any will do, got list"),
        ({"input_dim": 0}, ValueError, "input shape: expected at least 1, got 0"),
        ({"depth": 0}, ValueError, "depth: expected at least 1, got 0"),
        ({"dropout": 1.0}, ValueError, "dropout: expected 0 <= dropout < 1, got 1.0"),
        ({"stateful": True}, ValueError, "stateful=True needs a fixed batch size"),
        ({"unroll": True}, ValueError, "unroll=True needs a fixed input length"),
        ({"cell": "xlstm"}, ValueError, f"cell: expected one of {', '.join(RECURRENT_CELLS)}, got 'xlstm'"),
        ({"colour": "red"}, TypeError, "unexpected keyword argument 'colour'"),
    ],
)
def test_wrong_arguments_are_named(options, error, message):
    """What was wrong, what is expected."""
    with pytest.raises(error, match=message):
        build("simple", **options)
