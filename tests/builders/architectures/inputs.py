"""Inputs in any order, form and number."""

import keras
from keras import layers

from architectures.parts import (
    EMBEDDED,
    SOURCE,
    TARGET,
    UNITS,
    embed_source,
    embed_target,
    head,
    source_ids,
    target_ids,
)
from architectures.recurrent import gru_reset_after


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


def masking_of_features():
    """Masking over a source of measurements."""
    source, target = keras.Input((None, 5)), target_ids()
    _, state = layers.GRU(UNITS, return_state=True)(layers.Masking()(source))
    y = layers.GRU(UNITS, return_sequences=True)(embed_target(target), initial_state=state)
    return keras.Model([source, target], head(y))


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


MODELS = (
    inputs_swapped,
    inputs_in_dictionary,
    untyped_inputs,
    fixed_times,
    masking_of_features,
    words_and_tags,
    features_beside_words,
    one_vector_beside_words,
    two_sources_two_encoders,
)
