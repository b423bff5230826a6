import dataclasses
from typing import get_args

import numpy as np
import pytest
from layouts import IDS

from s2s_training.config.model import CellName, ModelConfig

pytestmark = pytest.mark.tensorflow

ONE_HOT = dataclasses.replace(IDS, one_hot=True, source_padding=-1, target_padding=-1)
SIZES = {"units": 4, "embedding": 3}
KINDS = {
    **{name: {"cell": name} for name in get_args(CellName)},
    "bidirectional": {"bidirectional": True, "attention": "dot"},
    "general": {"bidirectional": True, "attention": "general", "decoder_units": 5},
    "additive": {"attention": "additive", "cell": "gru"},
    "deeper encoder": {"encoder_layers": 2, "bidirectional": True},
    "deeper decoder": {"decoder_layers": 2, "dropout": 0.3},
    "bridged": {"decoder_units": 6},
    "always bridged": {"bridge": "dense", "bidirectional": True},
    "from zeros": {"bridge": "none", "attention": "dot"},
    "multi-head": {"attention": "multi-head", "heads": 2, "decoder_units": 6},
    "peek concat": {"peek": "concat", "bidirectional": True},
    "peek add": {"peek": "add", "cell": "gru", "bridge": "none"},
    "residual, normalised": {"residual": True, "layer_norm": True, "encoder_layers": 3, "decoder_layers": 2},
}
TIED = {"tied": True, "attention": "general"}


def build(layout=IDS, **options):
    """A tiny model."""
    from s2s_training.models.encoder_decoder import build_model

    return build_model(ModelConfig(**SIZES | ({"embedding": 0} if layout.one_hot else {}) | options), layout)


def one_hot(ids, size):
    """Vectors of ids; those of -1 are zeros."""
    return np.where(ids[..., None] >= 0, np.eye(size)[ids], 0).astype(np.float32)


def predict(model, layout, source, target):
    """Probabilities (batch, target time, symbols) after ids."""
    source, target = np.asarray(source), np.asarray(target)
    if layout.one_hot:
        return model([one_hot(source, layout.source_size), one_hot(target, layout.target_size)]).numpy()
    return model([source, target]).numpy()


def test_every_cell_that_can_be_named_is_there():
    """What `--cell` offers is what models are built of: no name without a cell, no cell without a name."""
    from s2s_training.layers.recurrent_cells import RECURRENT_CELLS

    assert [*RECURRENT_CELLS] == [*get_args(CellName)]


def test_parameters_of_the_canonical_translator():
    """Encoder 335,872, decoder 358,400, dense 23,901 with 71 and 93 characters."""
    layout = dataclasses.replace(ONE_HOT, source_size=71, target_size=93)
    model = build(layout, cell="lstm", units=256, padding="space")
    counts = [layer.count_params() for layer in model.layers if layer.count_params()]
    assert sorted(counts) == sorted([335_872, 358_400, 23_901])
    assert [tuple(tensor.shape) for tensor in model.inputs] == [(None, None, 71), (None, None, 93)]


def test_parameters_of_the_addition_model():
    """LSTM 128, RepeatVector 4, LSTM 128, TimeDistributed(Dense 12) on inputs of 7 x 12."""
    layout = dataclasses.replace(ONE_HOT, source_size=12, target_size=12, fed=False, source_length=7, target_length=4)
    model = build(layout, kind="repeat-vector", padding="space", units=128)
    lstm = 4 * 128 * (12 + 128 + 1), 4 * 128 * (128 + 128 + 1)
    assert model.count_params() == sum(lstm) + 128 * 12 + 12
    assert (model.input_shape, model.output_shape) == ((None, 7, 12), (None, 4, 12))


@pytest.mark.parametrize("layout", [IDS, ONE_HOT], ids=["ids", "one-hot"])
@pytest.mark.parametrize("kind", KINDS)
def test_padding_never_changes_a_masked_model(kind, layout):
    """Real steps have the same probabilities, whatever follows source and target."""
    model = build(layout, **KINDS[kind])
    short = predict(model, layout, [[3, 4, 5]], [[2, 6]])
    padding = layout.source_padding
    long = predict(model, layout, [[3, 4, 5, padding, padding], [3] * 5], [[2, 6, padding], [2] * 3])
    np.testing.assert_allclose(long[:1, :2], short, atol=1e-6)
    np.testing.assert_allclose(short.sum(-1), 1, atol=1e-6)


def test_an_unmasked_model_reads_its_padding():
    """That is why the published translator needs the padded length it was trained with."""
    model = build(ONE_HOT, padding="zeros")
    short = predict(model, ONE_HOT, [[3, 4]], [[2]])
    assert np.abs(predict(model, ONE_HOT, [[3, 4, -1]], [[2]]) - short).max() > 1e-6


@pytest.mark.parametrize("kind", ["bidirectional", "general", "additive"])
def test_attention_reads_the_encoder_outputs(kind):
    """Cut off from the context, the model answers differently."""
    model = build(**KINDS[kind])
    before = predict(model, IDS, [[3, 4]], [[2]])
    combine = model.get_layer("attentional")
    kernel, bias = combine.get_weights()
    kernel[: model.get_layer("attention").output.shape[-1]] = 0
    combine.set_weights([kernel, bias])
    assert np.abs(predict(model, IDS, [[3, 4]], [[2]]) - before).max() > 1e-6


@pytest.mark.parametrize(
    ("layers", "peers"), [((1, 1), [0]), ((3, 1), [2]), ((3, 2), [1, 2]), ((1, 3), [0, 0, 0]), ((2, 3), [0, 0, 1])]
)
def test_decoder_layers_start_from_their_peers_from_the_top(layers, peers):
    """The top decoder layer starts from the top encoder layer; missing peers are the bottom one's."""
    from s2s_training.models.encoder_stack import LayerStates, states_per_layer

    encoder_layers, decoder_layers = layers
    states = [LayerStates([f"state {i}"], []) for i in range(encoder_layers)]
    assert states_per_layer(states, decoder_layers) == [[f"state {peer}"] for peer in peers]


@pytest.mark.parametrize("kind", KINDS)
def test_models_load_in_plain_keras(kind, tmp_path):
    """A saved model consists of standard layers and gives the same probabilities."""
    import keras

    model = build(**KINDS[kind])
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert all(type(layer).__module__.startswith("keras.") for layer in loaded.layers)
    source, target = [[3, 4, 0], [5, 6, 7]], [[2, 1], [2, 0]]
    np.testing.assert_allclose(predict(loaded, IDS, source, target), predict(model, IDS, source, target), atol=1e-7)
