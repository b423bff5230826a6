"""What can't be exported is refused with one line that names the layer, says why and what to do."""

import re

import keras
import pytest
from keras import layers, ops

from s2s_export import ExportError, ExportOptions
from s2s_training.errors import SplitError
from s2s_training.splitting.splitter import split

pytestmark = pytest.mark.tensorflow


def inputs() -> tuple[keras.KerasTensor, keras.KerasTensor]:
    return keras.Input((None,), dtype="int32", name="source"), keras.Input((None,), dtype="int32", name="target")


def encoded(source: keras.KerasTensor) -> keras.KerasTensor:
    return layers.GRU(8, return_state=True)(layers.Embedding(9, 4)(source))[1]


def refused(model: keras.Model, message: str, **options: str) -> None:
    with pytest.raises(SplitError, match=re.escape(message)) as caught:
        split(model, **options)
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is not caught.value  # whoever follows the causes comes to an end


def test_self_attention() -> None:
    """A decoder that attends over target positions has no fixed-size state."""
    source, target = inputs()
    y = layers.GRU(8, return_sequences=True)(layers.Embedding(9, 4)(target), initial_state=encoded(source))
    y = layers.MultiHeadAttention(2, 4, name="over_target")(y, y, use_causal_mask=True)
    refused(
        keras.Model([source, target], layers.Dense(9)(y)),
        'layer "over_target" (MultiHeadAttention) attends over target positions (self-attention)',
    )


@pytest.mark.parametrize(
    ("layer", "called", "reason"),
    [
        (layers.Attention(name="look"), {"use_causal_mask": True}, "is called with use_causal_mask=True"),
        (layers.GroupQueryAttention(4, 2, 1, name="look", sliding_window=3), {}, "has sliding_window=3"),
    ],
)
def test_attention_that_counts_target_positions(layer: keras.Layer, called: dict[str, bool], reason: str) -> None:
    """What a step may look at must not depend on how many steps came before it."""
    source, target = inputs()
    memory, state = layers.GRU(8, return_sequences=True, return_state=True)(layers.Embedding(9, 4)(source))
    y = layers.GRU(8, return_sequences=True)(layers.Embedding(9, 4)(target), initial_state=state)
    over = [[y, memory]] if isinstance(layer, layers.Attention) else [y, memory]
    refused(
        keras.Model([source, target], layers.Dense(9)(layers.Concatenate()([y, layer(*over, **called)]))),
        f'layer "look" ({type(layer).__name__}) {reason}, which counts target positions',
    )


def test_convolution_of_later_steps() -> None:
    """A convolution over the target that isn't causal reads later positions."""
    source, target = inputs()
    y = layers.Conv1D(4, 3, padding="same", name="window")(layers.Embedding(9, 4)(target))
    y = layers.GRU(8, return_sequences=True)(y, initial_state=encoded(source))
    refused(keras.Model([source, target], layers.Dense(9)(y)), 'layer "window" (Conv1D) reads other target positions')


class Centred(layers.Layer):
    """Takes the mean over all steps off each."""

    def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
        """Return it without its mean."""
        return x - ops.mean(x, axis=1, keepdims=True)


def test_layer_of_ones_own_that_reads_later_steps() -> None:
    """What a layer that nobody knows does with steps is tried."""
    source, target = inputs()
    y = layers.GRU(8, return_sequences=True)(layers.Embedding(9, 4)(target), initial_state=encoded(source))
    refused(
        keras.Model([source, target], layers.Dense(9)(Centred(name="centred")(y))),
        'layer "centred" (Centred) gives something else for one target step than among all',
    )


def test_bidirectional_decoder() -> None:
    """A decoder that reads the target from both ends needs tokens not yet made."""
    source, target = inputs()
    state = encoded(source)
    y = layers.Bidirectional(layers.GRU(8, return_sequences=True), name="both")(
        layers.Embedding(9, 4)(target), initial_state=[state, state]
    )
    refused(
        keras.Model([source, target], layers.Dense(9)(y)), 'layer "both" (Bidirectional) reads the target from both'
    )


def test_backward_decoder() -> None:
    """A decoder that goes backwards starts at the target's end."""
    source, target = inputs()
    y = layers.GRU(8, return_sequences=True, go_backwards=True, name="back")(
        layers.Embedding(9, 4)(target), initial_state=encoded(source)
    )
    refused(keras.Model([source, target], layers.Dense(9)(y)), 'layer "back" (GRU) has go_backwards=True')


def test_subclassed_model() -> None:
    """A subclassed model has no graph to read."""

    class Translator(keras.Model):
        def call(self, x: object) -> object:
            return x

    refused(Translator(), "Translator has no graph of layers that can be read")


def test_transformer_decoder() -> None:
    """A decoder without recurrence has no state to carry: every layer that looks at the target is named."""
    source, target = inputs()
    memory, y = layers.Embedding(9, 4)(source), layers.Embedding(9, 4)(target)
    y = layers.Add()([y, layers.MultiHeadAttention(2, 4, name="self_attention")(y, y, use_causal_mask=True)])
    y = layers.LayerNormalization()(layers.Add()([y, layers.MultiHeadAttention(2, 4, name="cross")(y, memory)]))
    model = keras.Model([source, target], layers.Dense(9)(y))
    refused(model, 'layer "self_attention" (MultiHeadAttention) attends over target positions', decoder_input="target")
    refused(model, "no recurrent layer depends on it", decoder_input="target")


def test_pooling_over_the_target() -> None:
    """A mean over the target's positions needs tokens not yet made."""
    source, target = inputs()
    y = layers.GRU(8, return_sequences=True)(layers.Embedding(9, 4)(target), initial_state=encoded(source))
    y = layers.MaxPooling1D(2, strides=1, padding="same", name="best")(y)
    refused(keras.Model([source, target], layers.Dense(9)(y)), 'layer "best" (MaxPooling1D) reads other target')


def test_no_decoder() -> None:
    """A tagger has no second sequence."""
    source = keras.Input((None,), dtype="int32", name="words")
    y = layers.GRU(8, return_sequences=True)(layers.Embedding(9, 4)(source))
    refused(keras.Model(source, layers.Dense(9)(y)), "there is no encoder")


def test_inputs_that_cannot_be_told_apart() -> None:
    """Two sides that are alike: the caller has to say which is the decoder."""
    one, other = inputs()
    left = layers.GRU(8, return_sequences=True)(layers.Embedding(9, 4)(one))
    right = layers.GRU(8, return_sequences=True)(layers.Embedding(9, 4)(other))
    model = keras.Model([one, other], layers.Dense(9)(layers.Add()([left, right])))
    refused(
        model,
        "encoder and decoder can't be told apart: the inputs source, target could each be the decoder's; say which "
        "with decoder_input=NAME",
    )
    refused(model, "no input is called 'tgt'; the model's inputs are source, target", decoder_input="tgt")


def test_final_state_of_the_decoder() -> None:
    """What reads the decoder's last state reads the whole target."""
    source, target = inputs()
    y, last = layers.GRU(8, return_sequences=True, return_state=True, name="reader")(
        layers.Embedding(9, 4)(target), initial_state=encoded(source)
    )
    y = y + ops.expand_dims(last, 1)
    refused(keras.Model([source, target], layers.Dense(9)(y)), 'the final state of layer "reader" (GRU) is read')


def test_half_precision() -> None:
    """A bundle computes in float32; the layer and its policy are named."""
    source, target = inputs()
    y = layers.GRU(8, return_sequences=True)(layers.Embedding(9, 4)(target), initial_state=encoded(source))
    y = layers.Dense(9, dtype="mixed_float16", name="half")(y)
    not_exported(
        keras.Model([source, target], y), "layer \"half\" (Dense) has the dtype policy 'mixed_float16', and bundles"
    )


def test_left_padding() -> None:
    """A model that skips padding wherever it stands is padded on the right; one that doesn't is refused."""
    from s2s_export.exporter import take_apart

    source, target = inputs()
    embedded = layers.Embedding(9, 4, mask_zero=True)(source)
    state = layers.GRU(8, return_state=True)(embedded)[1]
    embedded_target = layers.Embedding(9, 4)(target)
    y = layers.GRU(8, return_sequences=True)(embedded_target, initial_state=state)
    options = ExportOptions(start_id=1, padding_side="left")
    _, _, facts = take_apart(keras.Model([source, target], layers.Dense(9)(y)), options)
    assert (facts.padding.masked, facts.padding.side) == (True, "right")
    assert any("wherever it stands" in note for note in facts.notes)

    counted = ops.cumsum(ops.ones_like(ops.cast(source, "float32")), axis=1)
    placed = layers.Concatenate()([embedded, ops.expand_dims(counted, -1)])
    state = layers.GRU(8, return_state=True)(placed, mask=ops.not_equal(source, 0))[1]
    y = layers.GRU(8, return_sequences=True)(embedded_target, initial_state=state)
    not_exported(
        keras.Model([source, target], layers.Dense(9)(y)),
        "padding_side=left: the model masks padding on the right, but padding on the left changes what it gives",
        padding_side="left",
    )
    _, _, facts = take_apart(keras.Model([source, target], layers.Dense(9)(y)), ExportOptions(start_id=1))
    assert any(note.startswith("padding on the left changes what the model gives") for note in facts.notes)


def test_other_length_than_the_only_one() -> None:
    """A source whose length the encoder's layers fix is padded to that length, and to no other."""
    from s2s_export.exporter import take_apart

    source, target = keras.Input((3,), dtype="int32"), keras.Input((None,), dtype="int32")
    state = layers.Dense(8)(layers.Flatten()(layers.Embedding(9, 4)(source)))
    y = layers.GRU(8, return_sequences=True)(layers.Embedding(9, 4)(target), initial_state=state)
    model = keras.Model([source, target], layers.Dense(9)(y))
    _, _, facts = take_apart(model, ExportOptions(start_id=1))
    assert (facts.padding.masked, facts.padding.length) == (False, 3)
    not_exported(model, "source_length: the model takes sources of 3 steps only, got 4", source_length=4)


def not_exported(model: keras.Model, message: str, **options: str) -> None:
    from s2s_export.exporter import take_apart

    with pytest.raises(ExportError, match=re.escape(message)) as caught:
        take_apart(model, ExportOptions(start_id=1, **options))
    assert "\n" not in str(caught.value)
