"""Models that predict values: the value of a step is fed to the next."""

import keras
from keras import layers

from architectures.parts import UNITS


def continuous():
    """Continuous values fed back (sine to cosine)."""
    source, target = keras.Input((8, 1)), keras.Input((8, 1), name="shifted")
    _, h, c = layers.LSTM(UNITS, return_state=True)(source)
    y = layers.LSTM(UNITS, return_sequences=True)(target, initial_state=[h, c])
    return keras.Model([source, target], layers.Dense(1)(y))


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


def frames():
    """Next frames by ConvLSTM2D on either side."""
    source, target = keras.Input((None, 4, 4, 1), name="frames"), keras.Input((None, 4, 4, 1), name="last_frames")
    _, h, c = layers.ConvLSTM2D(3, 3, padding="same", return_state=True)(source)
    y = layers.ConvLSTM2D(3, 3, padding="same", return_sequences=True)(target, initial_state=[h, c])
    return keras.Model([source, target], layers.Conv3D(1, (1, 3, 3), padding="same", activation="sigmoid")(y))


MODELS = (
    frames,
    continuous,
    simple_seq2seq,
    seq2seq_readout,
    attention_seq2seq,
)
