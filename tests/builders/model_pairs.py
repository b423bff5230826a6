"""Pairs of inference models as tutorials and notebooks build them, each with the loop that its author runs over it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
from architectures.parts import EMBEDDED, SOURCE, TARGET, UNITS, embed_source, embed_target, head, source_ids
from keras import layers

STEPS = 7
START = 1
Loop = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Pair:
    """Both models, what their author's loop gives for a batch of sources, and options of the export."""

    encoder: keras.Model
    decoder: keras.Model
    loop: Loop
    options: dict[str, Any] = field(default_factory=dict)


def _pair(encoder: keras.Model, decoder: keras.Model, loop: Callable[..., Any], **options: Any) -> Pair:
    rng = np.random.default_rng(7)
    for weight in [*encoder.weights, *decoder.weights]:
        weight.assign(rng.normal(size=weight.shape) * (1.0 if len(weight.shape) > 1 else 0.1))
    return Pair(encoder, decoder, lambda sources: loop(encoder, decoder, sources), options)


def _likeliest(output: Any, never: Sequence[int] = (START, 0)) -> np.ndarray:
    """The author's argmax; what a bundle never gives is left out: the start symbol, and 0 where it is masked."""
    rows = np.asarray(output).reshape(len(output), -1).copy()
    rows[:, list(never)] = -1
    return rows.argmax(axis=-1)


def _tokens(sources: np.ndarray) -> np.ndarray:
    return np.full((len(sources), 1), START)


def lstm_of_the_tutorial() -> Pair:
    """Encoder to [h, c]; decoder [token, h, c] to [probabilities, h, c]."""
    source = source_ids()
    encoder = keras.Model(source, layers.LSTM(UNITS, return_state=True)(embed_source(source))[1:])
    token, h, c = keras.Input((None,)), keras.Input((UNITS,)), keras.Input((UNITS,))
    y, *states = layers.LSTM(UNITS, return_sequences=True, return_state=True)(embed_target(token), initial_state=[h, c])
    decoder = keras.Model([token, h, c], [head(y), *states])

    def loop(encoder: Any, decoder: Any, sources: np.ndarray) -> np.ndarray:
        states, token, made = encoder.predict(sources, verbose=0), _tokens(sources), []
        for _ in range(STEPS):
            output, *states = decoder.predict([token, *states], verbose=0)
            made.append(_likeliest(output))
            token = made[-1][:, None]
        return np.stack(made, axis=1)

    return _pair(encoder, decoder, loop)


def one_hot_gru() -> Pair:
    """Characters as one-hot rows on both sides; the encoder gives its last output and its state, which are one."""
    source = keras.Input((6, SOURCE))
    encoder = keras.Model(source, layers.GRU(UNITS, return_state=True)(source))
    row, state = keras.Input((1, TARGET)), keras.Input((UNITS,))
    y, following = layers.GRU(UNITS, return_sequences=True, return_state=True)(row, initial_state=state)
    decoder = keras.Model([row, state], [head(y), following])

    def loop(encoder: Any, decoder: Any, sources: np.ndarray) -> np.ndarray:
        _, state = encoder.predict(np.eye(SOURCE)[sources], verbose=0)
        token, made = _tokens(sources), []
        for _ in range(STEPS):
            output, state = decoder.predict([np.eye(TARGET)[token], state], verbose=0)
            made.append(_likeliest(output, [START]))
            token = made[-1][:, None]
        return np.stack(made, axis=1)

    return _pair(encoder, decoder, loop, source_kind="one-hot", padding="zeros")


def attention_of_the_state_before() -> Pair:
    """Attention by hand: the state before the step asks the encoder's outputs, whose mask `predict` has lost.

    The decoder's inputs come in an order of their own, its attention weights are an output, and so are they of one
    step alone: its token has a time axis of 1.
    """
    source = source_ids(6)
    both = layers.Bidirectional(layers.LSTM(UNITS // 2, return_sequences=True, return_state=True))
    memory, fh, fc, bh, bc = both(embed_source(source))
    first = layers.Concatenate()([fh, bh]), layers.Concatenate()([fc, bc])
    encoder = keras.Model(source, [memory, *first])
    seen, h, c = keras.Input((None, UNITS)), keras.Input((UNITS,)), keras.Input((UNITS,))
    token = keras.Input((1,), dtype="int64")
    asked = layers.Dense(UNITS)(layers.Reshape((1, UNITS))(h))
    scores = layers.Dense(1)(layers.Activation("tanh")(layers.Add()([layers.Dense(UNITS)(seen), asked])))
    weights = layers.Softmax(axis=1)(scores)
    context = layers.Dot(axes=1)([weights, seen])
    read = layers.Concatenate()([layers.Reshape((1, EMBEDDED))(embed_target(token, mask=False)), context])
    y, next_h, next_c = layers.LSTM(UNITS, return_state=True)(read, initial_state=[h, c])
    decoder = keras.Model([seen, h, c, token], [head(y), weights, next_h, next_c])

    def loop(encoder: Any, decoder: Any, sources: np.ndarray) -> np.ndarray:
        seen, h, c = encoder.predict(sources, verbose=0)
        token, made = _tokens(sources), []
        for _ in range(STEPS):
            output, _, h, c = decoder.predict([seen, h, c, token], verbose=0)
            made.append(_likeliest(output, [START]))
            token = made[-1][:, None]
        return np.stack(made, axis=1)

    return _pair(encoder, decoder, loop)


def stack_that_starts_from_zeros() -> Pair:
    """Two decoder layers, of which the second starts from zeros in the author's loop."""
    source = source_ids()
    encoder = keras.Model(source, layers.GRU(UNITS, return_state=True)(embed_source(source))[1])
    token, first, second = (
        keras.Input(shape, name=name) for shape, name in (((None,), "t"), ((UNITS,), "one"), ((UNITS,), "two"))
    )
    x, one = layers.GRU(UNITS, return_sequences=True, return_state=True)(embed_target(token), initial_state=first)
    x, two = layers.GRU(UNITS, return_sequences=True, return_state=True)(x, initial_state=second)
    decoder = keras.Model([token, first, second], [head(x), one, two])

    def loop(encoder: Any, decoder: Any, sources: np.ndarray) -> np.ndarray:
        one, token, made = encoder.predict(sources, verbose=0), _tokens(sources), []
        two = np.zeros_like(one)
        for _ in range(STEPS):
            output, one, two = decoder.predict([token, one, two], verbose=0)
            made.append(_likeliest(output))
            token = made[-1][:, None]
        return np.stack(made, axis=1)

    return _pair(encoder, decoder, loop, states={"one": "0:1", "two": "zeros:2"})


def decoder_fed_all_so_far() -> Pair:
    """A decoder that gives no state back: its author feeds it the whole target so far."""
    source = source_ids()
    memory, state = layers.GRU(UNITS, return_sequences=True, return_state=True)(embed_source(source))
    encoder = keras.Model(source, [memory, state])
    token, seen, first = keras.Input((None,)), keras.Input((None, UNITS)), keras.Input((UNITS,))
    y = layers.GRU(UNITS, return_sequences=True)(embed_target(token), initial_state=first)
    decoder = keras.Model([token, seen, first], head(layers.Concatenate()([y, layers.Attention()([y, seen])])))

    def loop(encoder: Any, decoder: Any, sources: np.ndarray) -> np.ndarray:
        seen, first = encoder.predict(sources, verbose=0)
        tokens = _tokens(sources)
        for _ in range(STEPS):
            output = decoder.predict([tokens, seen, first], verbose=0)[:, -1]
            tokens = np.concatenate([tokens, _likeliest(output)[:, None]], axis=1)
        return tokens[:, 1:]

    return _pair(encoder, decoder, loop, source_length=6)


PAIRS = (
    lstm_of_the_tutorial,
    one_hot_gru,
    attention_of_the_state_before,
    stack_that_starts_from_zeros,
    decoder_fed_all_so_far,
)
