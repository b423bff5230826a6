"""Encoder-decoders as notebooks build them, one function each.

Every function returns a Keras model; its name and docstring are the row it gets in the table of what is supported.
Small sizes, ordinary layers, no help from this project: the exporter has to find out by itself.
"""

import keras
from keras import layers, ops

SOURCE, TARGET = 13, 11  # vocabulary sizes; id 0 pads, 1 starts, 2 ends
EMBEDDED, UNITS = 6, 8


def source_ids(length=None):
    return keras.Input((length,), dtype="int32", name="source_tokens")


def target_ids(length=None):
    return keras.Input((length,), dtype="int32", name="target_tokens")


def embed_source(ids, mask=True):
    return layers.Embedding(SOURCE, EMBEDDED, mask_zero=mask)(ids)


def embed_target(ids, mask=True):
    return layers.Embedding(TARGET, EMBEDDED, mask_zero=mask)(ids)


def head(x):
    return layers.Dense(TARGET, activation="softmax")(x)


def from_states(make_encoder, make_decoder, mask=True):
    """The usual shape: an encoder layer whose states start a decoder layer."""
    source, target = source_ids(), target_ids()
    _, *states = make_encoder(return_state=True)(embed_source(source, mask))
    decoded = make_decoder(return_sequences=True)(embed_target(target, mask), initial_state=states)
    return keras.Model([source, target], head(decoded))


def canonical():
    """one-hot LSTM without a mask, the tutorial's model."""
    source, target = keras.Input((None, SOURCE)), keras.Input((None, TARGET))
    _, h, c = layers.LSTM(UNITS, return_state=True)(source)
    decoded, _, _ = layers.LSTM(UNITS, return_sequences=True, return_state=True)(target, initial_state=[h, c])
    return keras.Model([source, target], head(decoded))


def gru_reset_after():
    """GRU, reset_after=True, decoder without return_state."""
    return from_states(lambda **k: layers.GRU(UNITS, **k), lambda **k: layers.GRU(UNITS, **k))


def gru_reset_before():
    """GRU, reset_after=False."""

    def make(**k):
        return layers.GRU(UNITS, reset_after=False, **k)

    return from_states(make, make)


def simple_rnn():
    """SimpleRNN."""
    return from_states(lambda **k: layers.SimpleRNN(UNITS, **k), lambda **k: layers.SimpleRNN(UNITS, **k))


def rnn_of_cell():
    """RNN(LSTMCell)."""

    def make(**k):
        return layers.RNN(layers.LSTMCell(UNITS), **k)

    return from_states(make, make)


def rnn_of_stacked_cells():
    """RNN(StackedRNNCells) of two LSTM cells."""

    def make(**k):
        return layers.RNN(layers.StackedRNNCells([layers.LSTMCell(UNITS), layers.LSTMCell(UNITS)]), **k)

    return from_states(make, make)


def bidirectional(cell, merge_mode):
    source, target = source_ids(), target_ids()
    encoded = layers.Bidirectional(cell(UNITS, return_sequences=True), merge_mode=merge_mode)(embed_source(source))
    size = encoded.shape[-1]
    decoded = cell(size, return_sequences=True)(embed_target(target))
    context = layers.Attention()([decoded, encoded])
    return keras.Model([source, target], head(layers.Concatenate()([decoded, context])))


def bidirectional_lstm_concat():
    """Bidirectional(LSTM), merge_mode="concat", read by attention."""
    return bidirectional(layers.LSTM, "concat")


def bidirectional_gru_sum():
    """Bidirectional(GRU), merge_mode="sum"."""
    return bidirectional(layers.GRU, "sum")


def bidirectional_lstm_mul():
    """Bidirectional(LSTM), merge_mode="mul"."""
    return bidirectional(layers.LSTM, "mul")


def bidirectional_rnn_ave():
    """Bidirectional(SimpleRNN), merge_mode="ave"."""
    return bidirectional(layers.SimpleRNN, "ave")


def bidirectional_separate():
    """Bidirectional(GRU), merge_mode=None, the two outputs joined by hand."""
    source, target = source_ids(), target_ids()
    forward, backward = layers.Bidirectional(layers.GRU(UNITS, return_sequences=True), merge_mode=None)(
        embed_source(source)
    )
    decoded = layers.GRU(UNITS, return_sequences=True)(embed_target(target))
    contexts = [layers.Attention()([decoded, way]) for way in (forward, backward)]
    return keras.Model([source, target], head(layers.Concatenate()([decoded, *contexts])))


def bidirectional_states():
    """Bidirectional(LSTM), states joined by Concatenate."""
    source, target = source_ids(), target_ids()
    _, fh, fc, bh, bc = layers.Bidirectional(layers.LSTM(UNITS, return_state=True))(embed_source(source))
    states = [layers.Concatenate()([fh, bh]), layers.Concatenate()([fc, bc])]
    decoded, _, _ = layers.LSTM(2 * UNITS, return_sequences=True, return_state=True)(
        embed_target(target), initial_state=states
    )
    return keras.Model([source, target], head(decoded))


def other_activations():
    """LSTM with relu and hard_sigmoid."""

    def make(**k):
        return layers.LSTM(UNITS, activation="relu", recurrent_activation="hard_sigmoid", **k)

    return from_states(make, make)


def activation_without_onnx_twin():
    """GRU with gelu, which ONNX's GRU lacks."""

    def make(**k):
        return layers.GRU(UNITS, activation="gelu", **k)

    return from_states(make, make, mask=False)


def without_bias():
    """LSTM and GRU with use_bias=False."""
    source, target = source_ids(), target_ids()
    _, state = layers.GRU(UNITS, use_bias=False, return_state=True)(embed_source(source))
    decoded = layers.GRU(UNITS, use_bias=False, return_sequences=True)(embed_target(target), initial_state=state)
    decoded = layers.LSTM(UNITS, use_bias=False, return_sequences=True)(decoded)
    return keras.Model([source, target], head(decoded))


def encoder_backwards():
    """Encoder with go_backwards=True."""
    return from_states(lambda **k: layers.LSTM(UNITS, go_backwards=True, **k), lambda **k: layers.LSTM(UNITS, **k))


def unrolled():
    """unroll=True on fixed time dimensions."""
    source, target = source_ids(6), target_ids(8)
    _, state = layers.GRU(UNITS, unroll=True, return_state=True)(embed_source(source, False))
    decoded = layers.GRU(UNITS, unroll=True, return_sequences=True)(embed_target(target, False), initial_state=state)
    return keras.Model([source, target], head(decoded))


def dropouts():
    """Dropout and recurrent dropout."""

    def make(**k):
        return layers.LSTM(UNITS, dropout=0.3, recurrent_dropout=0.3, **k)

    return from_states(make, make)


def stateful():
    """stateful=True with a fixed batch size."""
    source = keras.Input(batch_shape=(4, None), dtype="int32", name="source_tokens")
    target = keras.Input(batch_shape=(4, None), dtype="int32", name="target_tokens")
    _, state = layers.GRU(UNITS, return_state=True)(embed_source(source, False))
    decoded = layers.GRU(UNITS, return_sequences=True)(embed_target(target, False), initial_state=state)
    decoded = layers.LSTM(UNITS, return_sequences=True, stateful=True)(decoded)
    return keras.Model([source, target], head(decoded))


def stacked_each_with_states():
    """Two layers on either side, each started by its encoder twin."""
    source, target = source_ids(), target_ids()
    x, h1, c1 = layers.LSTM(UNITS, return_sequences=True, return_state=True)(embed_source(source))
    _, h2, c2 = layers.LSTM(UNITS, return_state=True)(x)
    y = layers.LSTM(UNITS, return_sequences=True)(embed_target(target), initial_state=[h1, c1])
    y, _, _ = layers.LSTM(UNITS, return_sequences=True, return_state=True)(y, initial_state=[h2, c2])
    return keras.Model([source, target], head(y))


def stacked_first_with_states():
    """Three decoder layers, only the first started by the encoder."""
    source, target = source_ids(), target_ids()
    _, state = layers.GRU(UNITS, return_state=True)(embed_source(source))
    y = layers.GRU(UNITS, return_sequences=True)(embed_target(target), initial_state=state)
    y = layers.LSTM(UNITS, return_sequences=True)(y)
    y = layers.SimpleRNN(UNITS, return_sequences=True)(y)
    return keras.Model([source, target], head(y))


def joined(join):
    source, target = source_ids(), target_ids()
    embedded = embed_source(source)
    _, h1, c1 = layers.LSTM(UNITS, return_state=True)(embedded)
    _, h2, c2 = layers.LSTM(UNITS, return_state=True, go_backwards=True)(embedded)
    y = layers.LSTM(UNITS, return_sequences=True)(
        embed_target(target), initial_state=[join()([h1, h2]), join()([c1, c2])]
    )
    return keras.Model([source, target], head(y))


def states_added():
    """Two encoders, states joined by Add."""
    return joined(layers.Add)


def states_averaged():
    """Two encoders, states joined by Average."""
    return joined(layers.Average)


def dense_bridge():
    """States passed through Dense bridges."""
    source, target = source_ids(), target_ids()
    _, h, c = layers.LSTM(UNITS, return_state=True)(embed_source(source))
    bridged = [layers.Dense(5, activation="tanh")(state) for state in (h, c)]
    y = layers.LSTM(5, return_sequences=True)(embed_target(target), initial_state=bridged)
    return keras.Model([source, target], head(y))


def started_from_output():
    """Decoder started from the encoder's output vector."""
    source, target = source_ids(), target_ids()
    vector = layers.GRU(UNITS)(embed_source(source))
    y = layers.GRU(UNITS, return_sequences=True)(embed_target(target), initial_state=vector)
    return keras.Model([source, target], head(y))


def context_repeated():
    """A context vector repeated (RepeatVector) and concatenated to every decoder step."""
    source, target = source_ids(), target_ids(8)
    vector, h, c = layers.LSTM(UNITS, return_state=True)(embed_source(source))
    repeated = layers.RepeatVector(8)(vector)
    y = layers.Concatenate()([embed_target(target, False), repeated])
    y = layers.LSTM(UNITS, return_sequences=True)(y, initial_state=[h, c])
    return keras.Model([source, target], head(y))


def context_broadcast():
    """A context vector broadcast with keras.ops and added to every decoder step."""
    source, target = source_ids(), target_ids()
    vector, state = layers.GRU(EMBEDDED, return_state=True)(embed_source(source))
    embedded = embed_target(target)
    y = embedded + ops.expand_dims(vector, 1) * ops.ones_like(embedded)
    y = layers.GRU(EMBEDDED, return_sequences=True)(y, initial_state=state)
    return keras.Model([source, target], head(y))


def shared_embedding():
    """One Embedding for source and target."""
    source, target = source_ids(), target_ids()
    embedding = layers.Embedding(TARGET, EMBEDDED, mask_zero=True)
    _, state = layers.GRU(UNITS, return_state=True)(embedding(source))
    y = layers.GRU(UNITS, return_sequences=True)(embedding(target), initial_state=state)
    return keras.Model([source, target], head(y))


def tied_output():
    """Output weights tied to the target embedding."""
    source, target = source_ids(), target_ids()
    _, state = layers.GRU(EMBEDDED, return_state=True)(embed_source(source))
    embedding = layers.ReversibleEmbedding(TARGET, EMBEDDED, tie_weights=True)
    y = layers.GRU(EMBEDDED, return_sequences=True)(embedding(target), initial_state=state)
    return keras.Model([source, target], layers.Softmax()(embedding(y, reverse=True)))


def residual():
    """Residual connections around decoder layers."""
    source, target = source_ids(), target_ids()
    _, state = layers.GRU(EMBEDDED, return_state=True)(embed_source(source))
    x = embed_target(target)
    y = layers.Add()([x, layers.GRU(EMBEDDED, return_sequences=True)(x, initial_state=state)])
    y = layers.add([y, layers.GRU(EMBEDDED, return_sequences=True)(y)])
    return keras.Model([source, target], head(y))


def normalised():
    """Layer and batch normalisation, dropout between layers."""
    source, target = source_ids(), target_ids()
    x = layers.LayerNormalization()(embed_source(source))
    _, state = layers.GRU(UNITS, return_state=True)(x)
    y = layers.BatchNormalization()(embed_target(target))
    y = layers.GRU(UNITS, return_sequences=True)(y, initial_state=state)
    y = layers.Dropout(0.4)(layers.LayerNormalization()(y))
    return keras.Model([source, target], head(y))


def time_distributed():
    """TimeDistributed head, activation of its own."""
    source, target = source_ids(), target_ids()
    _, state = layers.GRU(UNITS, return_state=True)(embed_source(source))
    y = layers.GRU(UNITS, return_sequences=True)(embed_target(target, False), initial_state=state)
    return keras.Model([source, target], layers.Activation("softmax")(layers.TimeDistributed(layers.Dense(TARGET))(y)))


def two_heads():
    """Dense after Dense."""
    source, target = source_ids(), target_ids()
    _, state = layers.GRU(UNITS, return_state=True)(embed_source(source))
    y = layers.GRU(UNITS, return_sequences=True)(embed_target(target), initial_state=state)
    return keras.Model([source, target], head(layers.Dense(9, activation="relu")(y)))


def logits_head():
    """A head that gives logits."""
    source, target = source_ids(), target_ids()
    _, state = layers.GRU(UNITS, return_state=True)(embed_source(source))
    y = layers.GRU(UNITS, return_sequences=True)(embed_target(target), initial_state=state)
    return keras.Model([source, target], layers.Dense(TARGET)(y))


def inputs_swapped():
    """Decoder input first."""
    model = gru_reset_after()
    return keras.Model(model.inputs[::-1], model.outputs[0])


def inputs_in_dictionary():
    """Inputs in a dictionary."""
    model = gru_reset_after()
    return keras.Model({"french": model.inputs[1], "english": model.inputs[0]}, model.outputs[0])


def untyped_inputs():
    """Ids as float32, as `Input(shape=(None,))` makes them."""
    source, target = keras.Input((None,)), keras.Input((None,))
    _, h, c = layers.LSTM(UNITS, return_state=True)(layers.Embedding(SOURCE, EMBEDDED)(source))
    y = layers.LSTM(UNITS, return_sequences=True)(layers.Embedding(TARGET, EMBEDDED)(target), initial_state=[h, c])
    return keras.Model([source, target], head(y))


def fixed_times():
    """Fixed time dimensions."""
    source, target = keras.Input((6, SOURCE)), keras.Input((8, TARGET))
    _, h, c = layers.LSTM(UNITS, return_state=True)(source)
    y, _, _ = layers.LSTM(UNITS, return_sequences=True, return_state=True)(target, initial_state=[h, c])
    return keras.Model([source, target], head(y))


def nested_models():
    """Encoder and decoder as models of their own."""
    source = source_ids()
    outputs, state = layers.GRU(UNITS, return_sequences=True, return_state=True)(embed_source(source))
    encoder = keras.Model(source, [outputs, state], name="encoder")
    target, memory, start = target_ids(), keras.Input((None, UNITS)), keras.Input((UNITS,))
    y = layers.GRU(UNITS, return_sequences=True)(embed_target(target), initial_state=start)
    y = layers.Concatenate()([y, layers.Attention()([y, memory])])
    decoder = keras.Model([target, memory, start], head(y), name="decoder")
    english, french = source_ids(), target_ids()
    return keras.Model([english, french], decoder([french, *encoder(english)]))


def nested_models_of_one_naming():
    """Several models inside whose layers have the same names."""

    def encoder(name):
        ids = keras.Input((None,), dtype="int32", name="ids")
        x = layers.Embedding(SOURCE, EMBEDDED, mask_zero=True, name="embed")(ids)
        return keras.Model(ids, layers.GRU(UNITS, return_state=True, name="rnn")(x)[1], name=name)

    def dense(name, size, activation):
        y = keras.Input((None, UNITS), name="y")
        return keras.Model(y, layers.Dense(size, activation=activation, name="dense")(y), name=name)

    source, target = source_ids(), target_ids()
    state = layers.Add()([encoder("one")(source), encoder("other")(source)])
    y = layers.GRU(UNITS, return_sequences=True, name="rnn")(embed_target(target, False), initial_state=state)
    return keras.Model([source, target], dense("last", TARGET, "softmax")(dense("first", UNITS, "tanh")(y)))


def sequential_parts():
    """Sequential models inside."""
    source, target = source_ids(), target_ids()
    front = keras.Sequential([layers.Embedding(SOURCE, EMBEDDED), layers.Dense(5, activation="relu")])
    back = keras.Sequential([layers.Dense(7, activation="tanh"), layers.Dense(TARGET, activation="softmax")])
    _, state = layers.GRU(UNITS, return_state=True)(front(source))
    y = layers.GRU(UNITS, return_sequences=True)(embed_target(target, False), initial_state=state)
    return keras.Model([source, target], back(y))


def attended(attend, size=UNITS):
    source, target = source_ids(), target_ids()
    memory, state = layers.GRU(size, return_sequences=True, return_state=True)(embed_source(source))
    y = layers.GRU(size, return_sequences=True)(embed_target(target), initial_state=state)
    y = layers.Concatenate()([y, attend(y, memory)])
    return keras.Model([source, target], head(layers.Dense(9, activation="tanh")(y)))


def attention_dot():
    """Attention"""
    return attended(lambda y, memory: layers.Attention()([y, memory]))


def attention_scaled():
    """Attention(use_scale=True)."""
    return attended(lambda y, memory: layers.Attention(use_scale=True)([y, memory]))


def attention_concat():
    """Attention(score_mode="concat") with a key of its own."""
    return attended(
        lambda y, memory: layers.Attention(score_mode="concat", use_scale=True)(
            [y, memory, layers.Dense(UNITS)(memory)]
        )
    )


def attention_additive():
    """AdditiveAttention, with scale."""
    return attended(lambda y, memory: layers.AdditiveAttention()([y, memory]))


def attention_additive_unscaled():
    """AdditiveAttention(use_scale=False)."""
    return attended(lambda y, memory: layers.AdditiveAttention(use_scale=False)([y, memory]))


def attention_with_scores():
    """Attention whose weights are a second output of the model."""
    source, target = source_ids(), target_ids()
    memory, state = layers.GRU(UNITS, return_sequences=True, return_state=True)(embed_source(source))
    y = layers.GRU(UNITS, return_sequences=True)(embed_target(target), initial_state=state)
    context, weights = layers.Attention()([y, memory], return_attention_scores=True)
    return keras.Model([source, target], [head(layers.Concatenate()([y, context])), weights])


def attention_multi_head():
    """MultiHeadAttention over encoder outputs."""
    return attended(layers.MultiHeadAttention(2, 4))


def attention_multi_head_twice():
    """Two MultiHeadAttention layers over the same masked memory."""
    return attended(
        lambda y, memory: layers.MultiHeadAttention(2, 4)(layers.MultiHeadAttention(2, 4)(y, memory), memory)
    )


def attention_grouped():
    """GroupQueryAttention over encoder outputs."""
    return attended(layers.GroupQueryAttention(4, 4, 2))


def attention_by_hand():
    """Attention from Dot, Softmax and Dot."""
    source, target = source_ids(), target_ids()
    memory, state = layers.GRU(UNITS, return_sequences=True, return_state=True)(embed_source(source, False))
    y = layers.GRU(UNITS, return_sequences=True)(embed_target(target, False), initial_state=state)
    weights = layers.Activation("softmax")(layers.Dot(axes=[2, 2])([y, memory]))
    context = layers.Dot(axes=[2, 1])([weights, memory])
    return keras.Model([source, target], head(layers.Concatenate()([context, y])))


def attention_by_hand_masked():
    """Luong's general attention from Dense, Dot and Softmax with the source's mask."""
    source, target = source_ids(), target_ids()
    real = ops.not_equal(source, 0)
    memory, state = layers.GRU(UNITS, return_sequences=True, return_state=True)(embed_source(source))
    y = layers.GRU(UNITS, return_sequences=True)(embed_target(target), initial_state=state)
    scores = layers.Dot(axes=[2, 2])([layers.Dense(UNITS, use_bias=False)(y), memory])
    weights = layers.Softmax()(scores, mask=ops.expand_dims(real, 1))
    context = layers.Dot(axes=[2, 1])([weights, memory])
    return keras.Model([source, target], head(layers.Concatenate()([context, y])))


def attention_by_hand_additive():
    """Bahdanau's additive attention from Dense and keras.ops, softmax over axis 2 of (batch, target, source, 1)."""
    source, target = source_ids(), target_ids()
    memory, state = layers.GRU(UNITS, return_sequences=True, return_state=True)(embed_source(source, False))
    y = layers.GRU(UNITS, return_sequences=True)(embed_target(target, False), initial_state=state)
    mixed = ops.tanh(ops.expand_dims(layers.Dense(5)(y), 2) + ops.expand_dims(layers.Dense(5)(memory), 1))
    weights = ops.softmax(layers.Dense(1)(mixed), axis=2)
    context = ops.sum(weights * ops.expand_dims(memory, 1), axis=2)
    return keras.Model([source, target], head(layers.Concatenate()([y, context])))


def unrolled_feedback(make, states_of, steps=6):
    """The tutorial's loop without teacher forcing: softmax and states of a step are the next step's input."""
    source, start = keras.Input((None, SOURCE)), keras.Input((1, TARGET))
    _, *states = make(return_state=True)(source)
    recurrent, dense = make(return_sequences=True, return_state=True), layers.Dense(TARGET, activation="softmax")
    fed, outputs = start, []
    for _ in range(steps):
        y, *states = recurrent(fed, initial_state=states_of(states))
        fed = dense(y)
        outputs.append(fed)
    return source, start, outputs


def probabilities_lstm():
    """Saved unrolled without teacher forcing, LSTM, its softmax fed back, joined by Concatenate."""
    source, start, outputs = unrolled_feedback(lambda **k: layers.LSTM(UNITS, **k), list)
    return keras.Model([source, start], layers.Concatenate(axis=1)(outputs))


def probabilities_gru():
    """Saved unrolled, GRU, joined by keras.ops."""
    source, start, outputs = unrolled_feedback(lambda **k: layers.GRU(UNITS, **k), lambda states: states[0])
    return keras.Model([start, source], ops.concatenate(outputs, axis=1))


def probabilities_attention():
    """Saved unrolled, an LSTMCell over hand-made attention, context and softmax fed back, steps stacked."""
    source, start = source_ids(), keras.Input((TARGET,))
    memory, h, c = layers.LSTM(UNITS, return_sequences=True, return_state=True)(embed_source(source, False))
    query, keys, cell = layers.Dense(5), layers.Dense(5), layers.LSTMCell(UNITS)
    score, out = layers.Dense(1), layers.Dense(TARGET, activation="softmax")
    fed, outputs = start, []
    for _ in range(5):
        mixed = ops.tanh(ops.expand_dims(query(h), 1) + keys(memory))
        weights = layers.Softmax(axis=1)(score(mixed))
        context = ops.sum(weights * memory, axis=1)
        _, [h, c] = cell(layers.Concatenate()([fed, context]), [h, c])
        fed = out(h)
        outputs.append(fed)
    return keras.Model([source, start], ops.stack(outputs, axis=1))


def probabilities_first_state_left_out():
    """Saved unrolled, the first step without an initial state, the encoder's vector read at every step."""
    source, start = keras.Input((None, SOURCE)), keras.Input((1, TARGET))
    context = layers.RepeatVector(1)(layers.LSTM(UNITS)(source))
    recurrent = layers.LSTM(UNITS, return_sequences=True, return_state=True)
    dense, fed, states, outputs = layers.Dense(TARGET, activation="softmax"), start, None, []
    for _ in range(5):
        y, *states = recurrent(layers.Concatenate()([fed, context]), initial_state=states)
        fed = dense(y)
        outputs.append(fed)
    return keras.Model([source, start], layers.Concatenate(axis=1)(outputs))


def probabilities_shared_layer():
    """Saved unrolled, one LSTM for encoder and decoder, a row of zeros fed first."""
    source, start = keras.Input((None, TARGET)), keras.Input((1, TARGET))
    recurrent = layers.LSTM(UNITS, return_sequences=True, return_state=True)
    _, *states = recurrent(source)
    dense, fed, outputs = layers.Dense(TARGET, activation="softmax"), start, []
    for _ in range(5):
        y, *states = recurrent(fed, initial_state=states)
        fed = dense(y)
        outputs.append(fed)
    return keras.Model([source, start], layers.Concatenate(axis=1)(outputs))


def masking_of_features():
    """Masking over a source of measurements."""
    source, target = keras.Input((None, 5)), target_ids()
    _, state = layers.GRU(UNITS, return_state=True)(layers.Masking()(source))
    y = layers.GRU(UNITS, return_sequences=True)(embed_target(target), initial_state=state)
    return keras.Model([source, target], head(y))


def repeat_vector():
    """RepeatVector decoder, nothing fed back (addition)."""
    return keras.Sequential(
        [
            keras.Input((7, SOURCE)),
            layers.LSTM(UNITS),
            layers.RepeatVector(4),
            layers.LSTM(UNITS, return_sequences=True),
            layers.TimeDistributed(layers.Dense(TARGET)),
            layers.Activation("softmax"),
        ]
    )


def continuous():
    """Continuous values fed back (sine to cosine)."""
    source, target = keras.Input((8, 1)), keras.Input((8, 1))
    _, h, c = layers.LSTM(UNITS, return_state=True)(source)
    y = layers.LSTM(UNITS, return_sequences=True)(target, initial_state=[h, c])
    return keras.Model([source, target], layers.Dense(1)(y))


def deep_encoder():
    """Encoder of three bidirectional layers, masks carried through."""
    source, target = source_ids(), target_ids()
    x = embed_source(source)
    for _ in range(2):
        x = layers.Bidirectional(layers.LSTM(UNITS, return_sequences=True))(x)
    memory, fh, fc, bh, bc = layers.Bidirectional(layers.LSTM(UNITS, return_sequences=True, return_state=True))(x)
    states = [layers.Concatenate()([fh, bh]), layers.Concatenate()([fc, bc])]
    y = layers.LSTM(2 * UNITS, return_sequences=True)(embed_target(target), initial_state=states)
    y = layers.Concatenate()([y, layers.Attention()([y, memory])])
    return keras.Model([source, target], head(y))


def pooled_context():
    """GlobalAveragePooling1D over masked encoder outputs, concatenated at every step."""
    source, target = source_ids(), target_ids()
    memory = layers.GRU(UNITS, return_sequences=True)(embed_source(source))
    context = layers.GlobalAveragePooling1D()(memory)
    embedded = embed_target(target)
    repeated = ops.expand_dims(context, 1) + ops.zeros_like(embedded[..., :1])
    y = layers.GRU(UNITS, return_sequences=True)(layers.Concatenate()([embedded, repeated]))
    return keras.Model([source, target], head(y))


def convolved_encoder():
    """Convolutions in the encoder."""
    source, target = source_ids(), target_ids()
    x = layers.Conv1D(UNITS, 3, padding="same", activation="relu")(embed_source(source, False))
    memory, state = layers.GRU(UNITS, return_sequences=True, return_state=True)(x)
    y = layers.GRU(UNITS, return_sequences=True)(embed_target(target, False), initial_state=state)
    return keras.Model([source, target], head(layers.Concatenate()([y, layers.Attention()([y, memory])])))


def words_and_tags():
    """Two id sources step by step beside each other (words and their tags), masked, concatenated."""
    words, tags, target = (keras.Input((None,), dtype="int32", name=name) for name in ("words", "tags", "target"))
    x = layers.Concatenate()([embed_source(words), layers.Embedding(5, 3, mask_zero=True)(tags)])
    memory, state = layers.GRU(UNITS, return_sequences=True, return_state=True)(x)
    y = layers.GRU(UNITS, return_sequences=True)(embed_target(target), initial_state=state)
    return keras.Model([words, tags, target], head(layers.Concatenate()([y, layers.Attention()([y, memory])])))


def features_beside_words():
    """Word ids and an array of features beside them, without a mask."""
    features, words, target = keras.Input((None, 4), name="features"), source_ids(), target_ids()
    _, state = layers.GRU(UNITS, return_state=True)(layers.Concatenate()([features, embed_source(words, False)]))
    y = layers.GRU(UNITS, return_sequences=True)(embed_target(target, False), initial_state=state)
    return keras.Model([features, words, target], head(y))


def one_vector_beside_words():
    """Word ids and one vector for the whole sentence (a speaker, a picture), in a dictionary of inputs."""
    words, speaker, target = source_ids(), keras.Input((3,), name="speaker"), target_ids()
    _, h, c = layers.LSTM(UNITS, return_state=True)(embed_source(words))
    h = layers.Dense(UNITS, activation="tanh")(layers.Concatenate()([h, speaker]))
    y = layers.LSTM(UNITS, return_sequences=True)(embed_target(target), initial_state=[h, c])
    return keras.Model({"speaker": speaker, "source_tokens": words, "target_tokens": target}, head(y))


def two_sources_two_encoders():
    """Two encoders of sources of their own lengths (a question and frames), attention over either."""
    question, frames, target = source_ids(), keras.Input((None, 5), name="frames"), target_ids()
    asked, one = layers.GRU(UNITS, return_sequences=True, return_state=True)(embed_source(question))
    seen, other, _ = layers.LSTM(UNITS, return_sequences=True, return_state=True)(layers.Masking()(frames))
    y = layers.GRU(UNITS, return_sequences=True)(embed_target(target), initial_state=layers.Add()([one, other]))
    y = layers.Concatenate()([y, layers.Attention()([y, asked]), layers.AdditiveAttention()([y, seen])])
    return keras.Model([question, frames, target], head(y))


def input_feeding():
    """s2s-train --input-feeding: the attentional vector is part of the next step's input."""
    return trained(attention="additive", input_feeding=True, bidirectional=True, decoder_layers=2)


def scheduled_sampling():
    """s2s-train --scheduled-sampling: the model's own guesses in training, plain tokens afterwards."""
    return trained(cell="gru", attention="general", scheduled_sampling=0.5, tied=True)


def probabilities_free_running():
    """s2s-train --free-running: the softmax fed back by one layer, states and attention with it."""
    return trained(attention="dot", free_running=True)


def trained(**options):
    from s2s_training.config.model import ModelConfig
    from s2s_training.data.arrays import Layout
    from s2s_training.models.encoder_decoder import build_model

    lengths = {"source_length": None, "target_length": None, "source_side": "right"}
    layout = Layout(
        **{"source_size": SOURCE, "target_size": TARGET, "one_hot": False, "fed": True, "start_id": 1, **lengths},
        **{"source_padding": 0, "target_padding": 0, "padding_counts": False, "per_step": False},
    )
    return build_model(ModelConfig(units=UNITS, embedding=EMBEDDED, **options), layout)


def simple_seq2seq():
    """SimpleSeq2Seq: values, the context at every step."""
    from s2s_training.seq2seq import SimpleSeq2Seq

    return SimpleSeq2Seq(3, 4, hidden_dim=UNITS, input_dim=2, depth=2)


def seq2seq_readout():
    """Seq2Seq: values, the readout fed back inside, teacher forcing in training, peek."""
    from s2s_training.seq2seq import Seq2Seq

    return Seq2Seq(3, 4, hidden_dim=UNITS, input_dim=2, depth=2, teacher_force=True, peek=True)


def attention_seq2seq():
    """AttentionSeq2Seq: values, the readout fed back inside, Bahdanau's alignment."""
    from s2s_training.seq2seq import AttentionSeq2Seq

    return AttentionSeq2Seq(3, 4, hidden_dim=UNITS, input_dim=2)


ARCHITECTURES = {
    function.__name__: function
    for function in (
        canonical,
        gru_reset_after,
        gru_reset_before,
        simple_rnn,
        rnn_of_cell,
        rnn_of_stacked_cells,
        bidirectional_lstm_concat,
        bidirectional_gru_sum,
        bidirectional_lstm_mul,
        bidirectional_rnn_ave,
        bidirectional_separate,
        bidirectional_states,
        other_activations,
        activation_without_onnx_twin,
        without_bias,
        encoder_backwards,
        unrolled,
        dropouts,
        stateful,
        stacked_each_with_states,
        stacked_first_with_states,
        states_added,
        states_averaged,
        dense_bridge,
        started_from_output,
        context_repeated,
        context_broadcast,
        shared_embedding,
        tied_output,
        residual,
        normalised,
        time_distributed,
        two_heads,
        logits_head,
        inputs_swapped,
        inputs_in_dictionary,
        untyped_inputs,
        fixed_times,
        nested_models,
        nested_models_of_one_naming,
        sequential_parts,
        attention_dot,
        attention_scaled,
        attention_concat,
        attention_additive,
        attention_additive_unscaled,
        attention_with_scores,
        attention_multi_head,
        attention_multi_head_twice,
        attention_grouped,
        attention_by_hand,
        attention_by_hand_masked,
        attention_by_hand_additive,
        masking_of_features,
        repeat_vector,
        probabilities_lstm,
        probabilities_gru,
        probabilities_attention,
        probabilities_first_state_left_out,
        probabilities_shared_layer,
        continuous,
        deep_encoder,
        pooled_context,
        convolved_encoder,
        words_and_tags,
        features_beside_words,
        one_vector_beside_words,
        two_sources_two_encoders,
        input_feeding,
        scheduled_sampling,
        probabilities_free_running,
        simple_seq2seq,
        seq2seq_readout,
        attention_seq2seq,
    )
}
