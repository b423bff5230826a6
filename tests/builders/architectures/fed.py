"""Decoders that read something else than their own output: values known in advance, zeros, constants."""

import keras
from keras import layers

from architectures.parts import TARGET, UNITS, embed_source, embed_target, head, source_ids, target_ids

FEEDS = {
    "forecast_from_the_known": {"calendar": "known"},
    "forecast_of_zeros": {"nothing": "zeros"},
    "forecast_joined": {"load_and_weather": "previous[0]+known"},
    "tags_known_beside_words": {"tags": "known"},
    "start_at_every_step": {"target_tokens": "constant"},
}


def _forecaster(name, features, outputs, length=None):
    source, fed = keras.Input((None, 2), name="past"), keras.Input((length, features), name=name)
    _, *states = layers.LSTM(UNITS, return_state=True)(source)
    decoded = layers.LSTM(UNITS, return_sequences=True)(fed, initial_state=states)
    return keras.Model([source, fed], layers.TimeDistributed(layers.Dense(outputs))(decoded))


def forecast_from_the_known():
    """The decoder reads what is known in advance (calendar, weather), nothing is fed back."""
    return _forecaster("calendar", 2, 1, length=5)


def forecast_of_zeros():
    """The decoder reads zeros at every step: what it knows is in its states."""
    return _forecaster("nothing", 1, 1)


def forecast_joined():
    """The decoder reads one of its own two outputs, joined with what is known in advance."""
    return _forecaster("load_and_weather", 3, 2)


def tags_known_beside_words():
    """A token is fed back, beside ids that are known in advance; attention over the source."""
    source, target = source_ids(), target_ids()
    tags = keras.Input((None,), dtype="int32", name="tags")
    memory, h, c = layers.LSTM(UNITS, return_sequences=True, return_state=True)(embed_source(source))
    read = layers.Concatenate()([embed_target(target), layers.Embedding(4, 3)(tags)])
    decoded = layers.LSTM(UNITS, return_sequences=True)(read, initial_state=[h, c])
    context = layers.Attention()([decoded, memory])
    return keras.Model([source, target, tags], head(layers.Concatenate()([decoded, context])))


def start_at_every_step():
    """The decoder reads the start token at every step."""
    source, target = source_ids(), target_ids()
    _, state = layers.GRU(UNITS, return_state=True)(embed_source(source))
    decoded = layers.GRU(UNITS, return_sequences=True)(layers.Embedding(TARGET, 4)(target), initial_state=state)
    return keras.Model([source, target], head(decoded))


MODELS = (
    forecast_from_the_known,
    forecast_of_zeros,
    forecast_joined,
    tags_known_beside_words,
    start_at_every_step,
)
