"""Encoder-decoders in the manner of models that people published, each small and in words of its own.

Found among tutorials, notebooks, question-and-answer threads and repositories; what is kept of each is its wiring, and
how its author decodes: what the loop feeds to the training model, which is the oracle here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import keras
from keras import layers, ops

IDS, WORDS, LENGTH, STEPS, UNITS = 9, 8, 5, 4, 6

Loop = Literal["ids", "one-hot", "known", "whole tokens", "whole values"]


@dataclass(frozen=True)
class Published:
    """One model.

    Attributes:
        build: builds it, untrained.
        loop: what its author's loop feeds; "whole ...": nothing, the model gives all steps at once.
        fed: name of the input that it feeds.
        options: what its author would type.
        refused: words of the one true reason, where it can't be exported.
    """

    build: Callable[[], keras.Model]
    loop: Loop = "ids"
    fed: str = "target"
    options: dict[str, Any] = field(default_factory=dict)
    refused: str = ""


def _ids(name: str, length: int | None = None) -> Any:
    return keras.Input((length,), dtype="int32", name=name)


def _embedded(ids: Any, count: int, mask: bool = False) -> Any:
    return layers.Embedding(count, 5, mask_zero=mask)(ids)


def _words(y: Any) -> Any:
    return layers.TimeDistributed(layers.Dense(WORDS, activation="softmax"))(y)


@keras.saving.register_keras_serializable(package="published")
class AttentionByLoop(layers.Layer):
    """Additive attention that walks over the decoder's steps by itself, as a widely copied layer does."""

    def build(self, shapes: Any) -> None:
        """Make the three weights."""
        encoder, decoder = shapes
        self.w = self.add_weight(shape=(encoder[-1], encoder[-1]), name="w")
        self.u = self.add_weight(shape=(decoder[-1], encoder[-1]), name="u")
        self.v = self.add_weight(shape=(encoder[-1], 1), name="v")

    def call(self, inputs: Any) -> Any:
        """Return contexts (batch, steps, features) and weights (batch, steps, source)."""
        memory, queries = inputs

        def step(carried: Any, query: Any) -> Any:
            energy = ops.tanh(memory @ self.w + ops.expand_dims(query @ self.u, 1)) @ self.v
            weights = ops.softmax(energy[..., 0], axis=-1)
            return carried, weights

        _, weights = ops.scan(step, ops.zeros_like(memory[..., 0]), ops.moveaxis(queries, 1, 0))
        weights = ops.moveaxis(weights, 0, 1)
        return weights @ memory, weights

    def compute_output_spec(self, inputs: Any) -> Any:
        """Return the specs of both."""
        memory, queries = inputs
        batch, steps = queries.shape[:2]
        return (
            keras.KerasTensor((batch, steps, memory.shape[-1])),
            keras.KerasTensor((batch, steps, memory.shape[1])),
        )


@keras.saving.register_keras_serializable(package="published")
class Sampling(layers.Layer):
    """Draws from a normal distribution, in training and out of it, as the autoencoder's tutorial has it."""

    def call(self, inputs: Any) -> Any:
        """Return mean + exp(log of variance / 2) * noise."""
        mean, log_variance = inputs
        return mean + ops.exp(0.5 * log_variance) * keras.random.normal(ops.shape(mean))

    def compute_output_shape(self, shapes: Any) -> Any:
        """Return the shape of the mean."""
        return shapes[0]


def summariser() -> keras.Model:
    """Three stacked LSTMs read a text of fixed length, one writes; attention walks over its steps by itself."""
    source, target = _ids("text", LENGTH), _ids("summary")
    x = _embedded(source, IDS)
    for _ in range(3):
        x, *states = layers.LSTM(UNITS, return_sequences=True, return_state=True, dropout=0.4)(x)
    y, *_ = layers.LSTM(UNITS, return_sequences=True, return_state=True, dropout=0.4)(
        _embedded(target, WORDS), initial_state=states
    )
    context, _ = AttentionByLoop()([x, y])
    return keras.Model([source, target], _words(layers.Concatenate(axis=-1)([y, context])))


def dates() -> keras.Model:
    """Shared layers make one step of attention ten times; first states are inputs; the outputs are a list."""
    source = keras.Input((LENGTH, IDS), name="human")
    s0, c0 = keras.Input((UNITS,), name="s0"), keras.Input((UNITS,), name="c0")
    a = layers.Bidirectional(layers.LSTM(3, return_sequences=True))(source)
    repeat, join, first = layers.RepeatVector(LENGTH), layers.Concatenate(axis=-1), layers.Dense(4, activation="tanh")
    second, weigh, dot = layers.Dense(1, activation="relu"), layers.Softmax(axis=1), layers.Dot(axes=1)
    cell, head = layers.LSTM(UNITS, return_state=True), layers.Dense(WORDS, activation="softmax")
    s, c, outputs = s0, c0, []
    for _ in range(STEPS):
        weights = weigh(second(first(join([a, repeat(s)]))))
        s, _, c = cell(dot([weights, a]), initial_state=[s, c])
        outputs.append(head(s))
    return keras.Model([source, s0, c0], outputs)


def merged_captions() -> keras.Model:
    """A picture's features and an LSTM over the words so far are added; one softmax says the next word."""
    features, words = keras.Input((7,), name="features"), _ids("so_far", STEPS + 1)
    seen = layers.Dense(UNITS, activation="relu")(layers.Dropout(0.5)(features))
    said = layers.LSTM(UNITS)(layers.Dropout(0.5)(_embedded(words, WORDS, mask=True)))
    y = layers.Dense(UNITS, activation="relu")(layers.add([seen, said]))
    return keras.Model([features, words], layers.Dense(WORDS, activation="softmax")(y))


def injected_captions() -> keras.Model:
    """The picture stands beside each word so far; the last state of a second LSTM says the next word."""
    features, words = keras.Input((7,), name="features"), _ids("so_far", STEPS + 1)
    seen = layers.RepeatVector(STEPS + 1)(layers.Dense(4, activation="relu")(features))
    said = layers.TimeDistributed(layers.Dense(4))(layers.LSTM(UNITS, return_sequences=True)(_embedded(words, WORDS)))
    y = layers.LSTM(UNITS, return_sequences=False)(layers.concatenate([seen, said]))
    return keras.Model([features, words], layers.Activation("softmax")(layers.Dense(WORDS)(y)))


def captions_per_word() -> keras.Model:
    """The same picture beside each word, and a word comes out for each."""
    features, words = keras.Input((7,), name="features"), _ids("words", STEPS)
    seen = layers.RepeatVector(STEPS)(layers.Dense(4, activation="relu")(features))
    y = layers.LSTM(UNITS, return_sequences=True)(layers.concatenate([_embedded(words, WORDS), seen]))
    return keras.Model([features, words], _words(y))


def picture_first() -> keras.Model:
    """The picture is read as if it were a word before the first."""
    features, words = keras.Input((7,), name="features"), _ids("words", STEPS)
    seen = layers.Reshape((1, 5))(layers.Dense(5)(features))
    y = layers.LSTM(UNITS, return_sequences=True)(layers.Concatenate(axis=1)([seen, _embedded(words, WORDS)]))
    return keras.Model([features, words], _words(layers.Cropping1D((1, 0))(y)))


def power_by_convolutions() -> keras.Model:
    """Weeks are read by convolutions, each as a picture of one row; a repeated vector starts the forecast."""
    source = keras.Input((2, 7, 1), name="weeks")
    x = layers.TimeDistributed(layers.Conv1D(4, 3, activation="relu"))(source)
    x = layers.TimeDistributed(layers.Flatten())(layers.TimeDistributed(layers.MaxPooling1D(2))(x))
    y = layers.LSTM(UNITS, return_sequences=True)(layers.RepeatVector(STEPS)(layers.LSTM(UNITS)(x)))
    return keras.Model(source, layers.TimeDistributed(layers.Dense(1))(y))


def power_by_conv_lstm() -> keras.Model:
    """The same, read by a ConvLSTM2D whose last picture is flattened."""
    source = keras.Input((2, 1, 7, 1), name="weeks")
    x = layers.Flatten()(layers.ConvLSTM2D(3, (1, 3), activation="relu")(source))
    y = layers.LSTM(UNITS, activation="relu", return_sequences=True)(layers.RepeatVector(STEPS)(x))
    return keras.Model(source, layers.TimeDistributed(layers.Dense(1))(layers.TimeDistributed(layers.Dense(5))(y)))


def varied_sequences() -> keras.Model:
    """A variational autoencoder of sequences: what is drawn is repeated."""
    source = keras.Input((LENGTH, 3), name="curve")
    x = layers.LSTM(UNITS)(layers.Masking(mask_value=-1.0)(source))
    z = Sampling()([layers.Dense(2)(x), layers.Dense(2)(x)])
    y = layers.LSTM(3, activation="sigmoid", return_sequences=True)(layers.RepeatVector(STEPS)(layers.Dense(4)(z)))
    return keras.Model(source, y)


def varied_sentences() -> keras.Model:
    """A variational autoencoder of sentences: what is drawn starts a decoder that is fed its words."""
    source, target = _ids("sentence"), _ids("shifted")
    x = layers.Bidirectional(layers.LSTM(4))(_embedded(source, IDS, mask=True))
    z = Sampling()([layers.Dense(3, name="mean")(x), layers.Dense(3, name="log_variance")(x)])
    states = [layers.Dense(UNITS, activation="tanh")(z) for _ in range(2)]
    return keras.Model(
        [source, target],
        _words(layers.LSTM(UNITS, return_sequences=True)(_embedded(target, WORDS), initial_state=states)),
    )


def printed_lines() -> keras.Model:
    """A picture of a line of text, by columns through convolutions and a bidirectional LSTM; attention over columns."""
    picture, target = keras.Input((4, 12, 1), name="line"), keras.Input((None, WORDS), name="characters")
    x = layers.MaxPooling2D((2, 2))(layers.Conv2D(3, 3, padding="same", activation="relu")(picture))
    x = layers.Reshape((6, 6))(layers.Permute((2, 1, 3))(x))
    x, fh, fc, bh, bc = layers.Bidirectional(layers.LSTM(3, return_sequences=True, return_state=True))(x)
    states = [layers.Concatenate()([fh, bh]), layers.Concatenate()([fc, bc])]
    y = layers.LSTM(6, return_sequences=True)(target, initial_state=states)
    weights = layers.Softmax(axis=-1)(layers.Dot((2, 2))([y, x]))
    y = layers.Concatenate()([layers.Dot((2, 1))([weights, x]), y])
    return keras.Model([picture, target], _words(y))


def luong() -> keras.Model:
    """Dot, softmax, dot, a tanh layer, as in a much read post on attention."""
    source, target = _ids("left", LENGTH), _ids("right", STEPS)
    encoder = layers.LSTM(UNITS, return_sequences=True, unroll=True)(_embedded(source, IDS, mask=True))
    last = encoder[:, -1, :]
    y = layers.LSTM(UNITS, return_sequences=True, unroll=True)(
        _embedded(target, WORDS, mask=True), initial_state=[last, last]
    )
    weights = layers.Activation("softmax")(layers.dot([y, encoder], axes=[2, 2]))
    both = layers.concatenate([layers.dot([weights, encoder], axes=[2, 1]), y])
    return keras.Model([source, target], _words(layers.TimeDistributed(layers.Dense(UNITS, activation="tanh"))(both)))


def chat() -> keras.Model:
    """One embedding on both sides, bidirectional GRUs whose states are joined, two GRUs that write."""
    source, target = _ids("said", LENGTH), _ids("answered")
    shared = layers.Embedding(WORDS, 5, mask_zero=True)
    x, *_ = layers.Bidirectional(layers.GRU(3, return_sequences=True, return_state=True))(shared(source))
    _, forward, backward = layers.Bidirectional(layers.GRU(3, return_sequences=True, return_state=True))(x)
    state = layers.Concatenate()([forward, backward])
    y, _ = layers.GRU(6, return_sequences=True, return_state=True)(shared(target), initial_state=state)
    y = layers.GRU(6, return_sequences=True)(layers.Dropout(0.2)(y), initial_state=state)
    return keras.Model([source, target], _words(y))


def answers() -> keras.Model:
    """A story and a question, each with its encoder and its length."""
    story, question, target = _ids("story"), _ids("question"), _ids("answer")
    a = layers.LSTM(3)(_embedded(story, IDS, mask=True))
    b = layers.LSTM(3)(_embedded(question, IDS, mask=True))
    state = layers.concatenate([a, b])
    y = layers.LSTM(6, return_sequences=True)(_embedded(target, WORDS), initial_state=[state, state])
    return keras.Model([story, question, target], _words(y))


def turns() -> keras.Model:
    """A dialogue of three turns of words: one encoder reads each turn, another all turns."""
    dialogue, target = keras.Input((3, LENGTH), dtype="int32", name="turns"), _ids("reply")
    turn = _ids("turn", LENGTH)
    read = keras.Model(turn, layers.LSTM(4)(_embedded(turn, IDS)))
    _, *states = layers.LSTM(UNITS, return_state=True)(layers.TimeDistributed(read)(dialogue))
    y = layers.LSTM(UNITS, return_sequences=True)(_embedded(target, WORDS), initial_state=states)
    return keras.Model([dialogue, target], _words(y))


def context_at_every_step() -> keras.Model:
    """The encoder's vector stands beside each embedded word, and beside each state at the head."""
    source, target = _ids("source"), _ids("target")
    context = layers.GRU(UNITS)(_embedded(source, IDS, mask=True))
    y = _embedded(target, WORDS)
    copies = ops.zeros_like(y[..., :1]) + ops.expand_dims(context, 1)
    y = layers.GRU(UNITS, return_sequences=True)(layers.Concatenate()([y, copies]), initial_state=context)
    return keras.Model([source, target], _words(layers.Concatenate()([y, copies])))


def forecast_with_calendar() -> keras.Model:
    """The value before and two features of the calendar stand in one input of the decoder."""
    past, future = keras.Input((LENGTH, 3), name="past"), keras.Input((STEPS, 3), name="future")
    _, state = layers.GRU(UNITS, return_state=True)(past)
    y = layers.GRU(UNITS, return_sequences=True)(future, initial_state=state)
    return keras.Model([past, future], layers.TimeDistributed(layers.Dense(1))(y))


def pointer() -> keras.Model:
    """What comes out is a distribution over the places of the source, which are fed as one-hot rows."""
    points, places = keras.Input((LENGTH, 2), name="points"), keras.Input((None, LENGTH), name="places")
    memory, *states = layers.LSTM(UNITS, return_sequences=True, return_state=True)(points)
    y = layers.LSTM(UNITS, return_sequences=True)(places, initial_state=states)
    scores = layers.Dot((2, 2))([layers.Dense(UNITS)(y), memory])
    return keras.Model([points, places], layers.Softmax()(scores))


def attention_the_wrong_way() -> keras.Model:
    """The encoder's outputs ask and the decoder's are looked at, which fits as both have one length."""
    source, target = _ids("source", STEPS), _ids("target", STEPS)
    x, *states = layers.LSTM(UNITS, return_sequences=True, return_state=True)(_embedded(source, IDS))
    y = layers.LSTM(UNITS, return_sequences=True)(_embedded(target, WORDS), initial_state=states)
    return keras.Model([source, target], _words(layers.Concatenate()([y, layers.Attention()([x, y])])))


def skipped_thoughts() -> keras.Model:
    """One encoder, two decoders: the sentence before and the one after, each fed its own words."""
    source, before, after = _ids("sentence"), _ids("before"), _ids("after")
    state = layers.GRU(UNITS)(_embedded(source, IDS, mask=True))
    outputs = [
        layers.Dense(WORDS, activation="softmax", name=f"{name}_words")(
            layers.GRU(UNITS, return_sequences=True)(_embedded(ids, WORDS), initial_state=state)
        )
        for name, ids in (("previous", before), ("next", after))
    ]
    return keras.Model([source, before, after], outputs)


def two_tasks() -> keras.Model:
    """A translation, and what kind of sentence it is."""
    source, target = _ids("source"), _ids("target")
    _, *states = layers.LSTM(UNITS, return_state=True)(_embedded(source, IDS, mask=True))
    y = layers.LSTM(UNITS, return_sequences=True)(_embedded(target, WORDS), initial_state=states)
    kind = layers.Dense(3, activation="softmax", name="kind")(states[0])
    return keras.Model([source, target], [layers.Dense(WORDS, activation="softmax", name="words")(y), kind])


def german() -> keras.Model:
    """A Sequential: embedding, encoder, repeated vector, decoder; all words at once."""
    return keras.Sequential(
        [
            _ids("english", LENGTH),
            layers.Embedding(IDS, 5, mask_zero=True),
            layers.LSTM(UNITS),
            layers.RepeatVector(STEPS),
            layers.LSTM(UNITS, return_sequences=True),
            layers.TimeDistributed(layers.Dense(WORDS, activation="softmax")),
        ]
    )


def video_to_text() -> keras.Model:
    """Two LSTMs read frames and then write words: frames, then nothing, beside nothing, then words."""
    frames, words = keras.Input((LENGTH, 3), name="frames"), _ids("words", STEPS)
    x = layers.LSTM(UNITS, return_sequences=True)(layers.ZeroPadding1D((0, STEPS))(frames))
    y = layers.ZeroPadding1D((LENGTH, 0))(_embedded(words, WORDS))
    y = layers.LSTM(UNITS, return_sequences=True)(layers.Concatenate()([x, y]))
    return keras.Model([frames, words], _words(y[:, LENGTH:]))


def spoken() -> keras.Model:
    """A pyramid of bidirectional LSTMs over a spectrogram, every second step joined; two layers of attention heads."""
    sound, target = keras.Input((8, 3), name="sound"), _ids("text")
    x = layers.Bidirectional(layers.LSTM(3, return_sequences=True))(sound)
    x = layers.Bidirectional(layers.LSTM(3, return_sequences=True))(layers.Reshape((4, 12))(x))
    y = layers.LSTM(UNITS, return_sequences=True)(_embedded(target, WORDS))
    y = layers.LayerNormalization()(layers.Add()([y, layers.MultiHeadAttention(2, 3)(y, x)]))
    return keras.Model([sound, target], _words(layers.GRU(UNITS, return_sequences=True)(y)))


def sliced_teacher() -> keras.Model:
    """A loop in the script reads a slice of the teacher's words at a time; outputs are stacked at the end."""
    source, target = _ids("source", LENGTH), _ids("target", STEPS)
    memory = layers.Bidirectional(layers.LSTM(3, return_sequences=True))(_embedded(source, IDS))
    words = _embedded(target, WORDS)
    cell, head, score = layers.LSTM(6, return_state=True), layers.Dense(WORDS, activation="softmax"), layers.Dense(1)
    h = c = layers.Dense(6)(memory[:, -1])
    outputs = []
    for t in range(STEPS):
        joined = layers.Concatenate(axis=-1)([memory, layers.RepeatVector(LENGTH)(h)])
        context = layers.Dot(axes=1)([layers.Softmax(axis=1)(score(joined)), memory])
        y, h, c = cell(layers.Concatenate(axis=-1)([context, words[:, t : t + 1]]), initial_state=[h, c])
        outputs.append(head(y))
    return keras.Model([source, target], ops.stack(outputs, axis=1))


_CALENDAR = {"feed": {"future": "previous+known"}, "source_length": LENGTH}
_NEXT_WORD = "one word comes out for all of 'so_far'"

PUBLISHED = {
    "summariser": Published(summariser, fed="summary", options={"source_length": LENGTH}),
    "dates": Published(dates, "whole tokens"),
    "merged_captions": Published(merged_captions, refused=_NEXT_WORD),
    "injected_captions": Published(injected_captions, refused=_NEXT_WORD),
    "captions_per_word": Published(captions_per_word, fed="words"),
    "picture_first": Published(picture_first, fed="words"),
    "power_by_convolutions": Published(power_by_convolutions, "whole values"),
    "power_by_conv_lstm": Published(power_by_conv_lstm, "whole values"),
    "varied_sequences": Published(varied_sequences, "whole values"),
    "varied_sentences": Published(varied_sentences, fed="shifted"),
    "printed_lines": Published(printed_lines, "one-hot", "characters"),
    "luong": Published(luong, fed="right"),
    "chat": Published(chat, fed="answered"),
    "answers": Published(answers, fed="answer"),
    "turns": Published(turns, fed="reply"),
    "context_at_every_step": Published(context_at_every_step),
    "forecast_with_calendar": Published(forecast_with_calendar, "known", "future", _CALENDAR),
    "pointer": Published(pointer, "one-hot", "places", {"source_kind": "values", "source_length": LENGTH}),
    "attention_the_wrong_way": Published(attention_the_wrong_way, refused="attends over target positions"),
    "skipped_thoughts": Published(skipped_thoughts, fed="after", options={"decoder_output": "next_words"}),
    "two_tasks": Published(two_tasks, options={"decoder_output": "words"}),
    "german": Published(german, "whole tokens"),
    "video_to_text": Published(video_to_text, fed="words"),
    "spoken": Published(spoken, fed="text", options={"source_length": 8}),
    "sliced_teacher": Published(sliced_teacher, options={"source_length": LENGTH}),
}
