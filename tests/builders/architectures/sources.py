"""Sources without a time axis, and layers of the encoder that move its axes."""

import keras
from keras import layers, ops

from architectures.parts import TARGET, UNITS, embed_source, embed_target, head, source_ids, target_ids


def vector_source():
    """The source is one vector, which starts stacked GRUs (captions from a picture's features)."""
    features, target = keras.Input((7,), name="features"), target_ids()
    state = layers.Dense(UNITS, activation="tanh")(features)
    y = embed_target(target)
    for _ in range(2):
        y = layers.GRU(UNITS, return_sequences=True)(y, initial_state=state)
    return keras.Model([features, target], head(y))


def picture_source():
    """The source is a picture, read by convolutions; attention over its regions."""
    picture, target = keras.Input((6, 6, 2), name="picture"), target_ids()
    regions = layers.Reshape((9, 4))(layers.MaxPooling2D()(layers.Conv2D(4, 3, padding="same")(picture)))
    state = layers.Dense(UNITS, activation="tanh")(layers.Flatten()(regions))
    y = layers.LSTM(UNITS, return_sequences=True)(embed_target(target), initial_state=[state, state])
    y = layers.Concatenate()([y, layers.Attention()([layers.Dense(4)(y), regions])])
    return keras.Model([picture, target], head(y))


def video_source():
    """The source is a video of any number of frames, each read by convolutions; one-hot words come out."""
    frames, words = keras.Input((None, 4, 4, 1), name="frames"), keras.Input((None, TARGET), name="words")
    seen = layers.TimeDistributed(layers.Flatten())(layers.TimeDistributed(layers.Conv2D(2, 3, padding="same"))(frames))
    _, state = layers.GRU(UNITS, return_state=True)(seen)
    return keras.Model([frames, words], head(layers.GRU(UNITS, return_sequences=True)(words, initial_state=state)))


def picture_beside_words():
    """Words and a picture together."""
    source, picture, target = source_ids(), keras.Input((4, 4, 1), name="picture"), target_ids()
    _, state = layers.GRU(UNITS, return_state=True)(embed_source(source))
    seen = layers.GlobalAveragePooling2D()(layers.Conv2D(UNITS, 2, activation="relu")(picture))
    y = layers.GRU(UNITS, return_sequences=True)(embed_target(target), initial_state=layers.Add()([state, seen]))
    return keras.Model([source, picture, target], head(y))


def axes_moved_in_the_encoder():
    """Permute, Reshape and RepeatVector in the encoder, of sources of a fixed length."""
    source, target = source_ids(6), target_ids()
    x = layers.Permute((2, 1))(embed_source(source, False))
    x = layers.Reshape((12, 3))(layers.Conv1D(6, 2, padding="same")(x))
    context = layers.RepeatVector(3)(layers.GRU(UNITS)(x))
    _, state = layers.GRU(UNITS, return_state=True)(context)
    y = layers.GRU(UNITS, return_sequences=True)(embed_target(target), initial_state=state)
    return keras.Model([source, target], head(y))


def permuted_scores():
    """Attention by hand whose scores have the source's axis first."""
    source, target = source_ids(6), target_ids()
    memory, state = layers.GRU(UNITS, return_sequences=True, return_state=True)(embed_source(source, False))
    y = layers.GRU(UNITS, return_sequences=True)(embed_target(target, False), initial_state=state)
    scores = layers.Permute((2, 1))(layers.Dot(axes=(2, 2))([memory, y]))
    context = ops.matmul(layers.Softmax()(scores), memory)
    return keras.Model([source, target], layers.Dense(TARGET)(layers.Concatenate()([context, y])))


MODELS = (
    vector_source,
    picture_source,
    video_source,
    picture_beside_words,
    axes_moved_in_the_encoder,
    permuted_scores,
)
