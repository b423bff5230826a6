"""Models saved unrolled, which feed the softmax of a step to the next, or read the target step by step."""

import keras
from keras import layers, ops

from architectures.parts import SOURCE, TARGET, UNITS, embed_source, embed_target, source_ids, target_ids


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


def teacher_sliced_attention():
    """Saved unrolled with teacher forcing: each step reads its slice of the embedded target, and attends."""
    source, target = source_ids(6), target_ids(5)
    memory, h, c = layers.LSTM(UNITS, return_sequences=True, return_state=True)(embed_source(source))
    read, cell = embed_target(target, False), layers.LSTMCell(UNITS)
    attend, out, outputs = layers.AdditiveAttention(), layers.Dense(TARGET), []
    for step in range(5):
        context = attend([ops.expand_dims(h, 1), memory])[:, 0]
        y, [h, c] = cell(ops.concatenate([read[:, step], context], -1), [h, c])
        outputs.append(out(y))
    return keras.Model([source, target], ops.stack(outputs, axis=1))


def teacher_sliced_rows():
    """Saved unrolled with teacher forcing: rows taken apart by ops.split, one GRU called at every step."""
    source, target = keras.Input((None, SOURCE)), keras.Input((5, TARGET))
    state = layers.GRU(UNITS)(source)
    recurrent, out, outputs = layers.GRU(UNITS, return_state=True), layers.Dense(TARGET, activation="softmax"), []
    for row in ops.split(target, 5, axis=1):
        y, state = recurrent(row, initial_state=state)
        outputs.append(layers.Reshape((1, TARGET))(out(y)))
    return keras.Model([source, target], layers.Concatenate(axis=1)(outputs))


def list_of_outputs():
    """Saved unrolled with a list of outputs, first states as inputs of the model (dates by attention)."""
    source = keras.Input((6, SOURCE), name="source")
    first = [keras.Input((UNITS,), name=name) for name in ("s0", "c0")]
    memory = layers.Bidirectional(layers.LSTM(4, return_sequences=True))(source)
    repeat, join = layers.RepeatVector(6), layers.Concatenate(axis=-1)
    mixed, energy = layers.Dense(5, activation="tanh"), layers.Dense(1, activation="relu")
    weigh, sum_up = layers.Softmax(axis=1), layers.Dot(axes=1)
    recurrent, out = layers.LSTM(UNITS, return_state=True), layers.Dense(TARGET, activation="softmax")
    (s, c), outputs = first, []
    for _ in range(5):
        context = sum_up([weigh(energy(mixed(join([memory, repeat(s)])))), memory])
        s, _, c = recurrent(context, initial_state=[s, c])
        outputs.append(out(s))
    return keras.Model([source, *first], outputs)


MODELS = (
    probabilities_lstm,
    probabilities_gru,
    probabilities_attention,
    probabilities_first_state_left_out,
    probabilities_shared_layer,
    list_of_outputs,
    teacher_sliced_attention,
    teacher_sliced_rows,
)
