"""Whoever does what a refusal says, to the letter, gets further each time, and in the end exports.

A reader knows a few facts of a model, each by the option that says it, and nothing of this project. They type what the
message names of these, as the command spells it, or leave out what it says to leave out, and never meet a message
twice.
"""

import re
from collections.abc import Callable

import keras
import pytest
from architectures.attention import attention_additive
from architectures.continuous import continuous
from architectures.fed import forecast_joined, start_at_every_step, tags_known_beside_words
from architectures.parts import embed_source, embed_target, head, source_ids, target_ids
from architectures.prefixes import transformer_decoder
from architectures.sources import vector_source
from architectures.unrolled import probabilities_shared_layer, teacher_sliced_rows
from keras import layers, ops

from s2s_export import ExportError, ExportOptions
from s2s_export.exporter import take_apart
from s2s_runtime import PaddingPolicy, Vocabulary, VocabularyFile
from s2s_runtime.spelling import as_flags
from s2s_training.errors import SplitError

pytestmark = pytest.mark.tensorflow

SIZE, MOST_MESSAGES = 7, 5
SWITCHES = ("start-zeros",)
FIELDS = {
    "end-id": "end_ids",
    "start": "start_symbol",
    "end": "end_symbol",
    "one-hot-input": "one_hot_inputs",
}
SEVERAL = ("feed", "end-id", "one-hot-input")
TYPED = re.compile(r"--([a-z]+(?:-[a-z]+)*)(?: ([^\s;:()]+))?")

Facts = dict[str, str]


def typed_in(message: str) -> list[tuple[str, str]]:
    """The options that a message names, with what it writes behind them."""
    return [(name, (value or "").rstrip(".,")) for name, value in TYPED.findall(message)]


def followed(message: str, given: Facts, facts: Facts) -> Facts:
    """What a reader types next: options are flags without their dashes."""
    named_first = {name for name, _ in typed_in(message.partition(":")[0])} & given.keys()
    if "leave it out" in message or "in its place" in message:
        assert named_first, f"nothing that was typed is named first: {message}"
        given = {name: value for name, value in given.items() if name not in named_first}
        if "in its place" not in message and ", and give" not in message:
            return given
    elif changed := {name: facts[name] for name in named_first & facts.keys() if facts[name] != given[name]}:
        return {**given, **changed}  # what was typed is said to be wrong, and what may stand there
    more: Facts = {}
    for name, value in typed_in(message):
        if name in SWITCHES or value == facts.get(name) or re.fullmatch(r"[A-Z+|]+(=[A-Z:]+)?", value):
            more |= {name: facts[name]} if name in facts and name not in given else {}
    assert more, f"none of what is known of the model is asked for: {message}"
    return {**given, **more}


def options(given: Facts) -> ExportOptions:
    """What the command makes of these flags."""
    fields: dict[str, object] = {}
    sides: dict[str, Vocabulary | None] = {"source": None, "target": None}
    for name, text in given.items():
        if name in ("source-vocab", "target-vocab"):
            sides[name.partition("-")[0]] = Vocabulary("symbol", tuple(text.split(",")))
            continue
        value: object = int(text) if text.isdecimal() else text
        field = FIELDS.get(name, name.replace("-", "_"))
        fields[field] = True if name in SWITCHES else ((value,) if name in SEVERAL else value)
    if any(sides.values()):
        fields["vocabulary"] = VocabularyFile(sides["source"], sides["target"], PaddingPolicy(masked=False))
    return ExportOptions(**fields)  # type: ignore[arg-type]


def read_on(model: keras.Model, given: Facts, facts: Facts) -> list[str]:
    """The messages that a reader meets until the model is taken apart as it would be exported."""
    messages: list[str] = []
    with as_flags():
        while True:
            said = refusal(model, given)
            if said is None:
                return messages
            assert said not in messages, f"a circle: {messages}"
            messages.append(said)
            assert len(messages) <= MOST_MESSAGES, messages
            given = followed(said, given, facts)


def refusal(model: keras.Model, given: Facts) -> str | None:
    """Why a model isn't exported; None where it is."""
    try:
        take_apart(model, options(given))
    except (ExportError, SplitError) as error:
        return str(error)
    return None


def unmasked() -> keras.Model:
    """Read its padding, and have an output beside what is decoded that is as wide."""
    source, target = source_ids(), target_ids()
    _, state = layers.GRU(8, return_state=True)(layers.Embedding(SIZE, 4)(source))
    y = layers.GRU(8, return_sequences=True)(layers.Embedding(SIZE, 4)(target), initial_state=state)
    return keras.Model([source, target], [layers.Dense(SIZE, name=name)(y) for name in ("words", "copy")])


def alike() -> keras.Model:
    """Read two sequences in the same way."""
    both = [keras.Input((None,), dtype="int32", name=name) for name in ("source", "target")]
    read = [layers.GRU(8, return_sequences=True)(layers.Embedding(SIZE, 4)(each)) for each in both]
    return keras.Model(both, layers.Dense(SIZE)(layers.Add()(read)))


def language_model() -> keras.Model:
    """Give as many symbols as it reads."""
    ids = keras.Input((None,), dtype="int32", name="ids")
    return keras.Model(ids, layers.Dense(SIZE)(layers.GRU(8, return_sequences=True)(layers.Embedding(SIZE, 4)(ids))))


def window() -> keras.Model:
    """Give what follows a window."""
    ids = keras.Input((None,), dtype="int32", name="ids")
    return keras.Model(ids, layers.Dense(SIZE)(layers.GRU(8)(layers.Embedding(SIZE, 4)(ids))))


def tagger() -> keras.Model:
    """Read words and their shapes, and give one tag for each word."""
    given = [keras.Input((None,), dtype="int32", name=name) for name in ("words", "shapes")]
    read = layers.Concatenate()([layers.Embedding(SIZE, 4, mask_zero=True)(each) for each in given])
    y = layers.Bidirectional(layers.GRU(4, return_sequences=True))(read)
    return keras.Model(given, layers.Dense(5, activation="softmax", name="tag")(y))


class Loss(layers.Layer):
    """Computes the loss of training inside of the model."""

    def call(self, labels: object, predicted: object) -> object:
        """Return what is predicted."""
        return predicted

    def compute_output_spec(self, labels: object, predicted: keras.KerasTensor) -> keras.KerasTensor:
        """Return the spec of what is predicted."""
        return keras.KerasTensor(predicted.shape, predicted.dtype)


def speech() -> keras.Model:
    """Be trained with CTC, by a layer."""
    frames, labels = keras.Input((None, 3), name="frames"), keras.Input((None,), name="labels")
    y = layers.Bidirectional(layers.GRU(4, return_sequences=True))(frames)
    return keras.Model([frames, labels], Loss(name="loss")(labels, layers.Dense(SIZE, activation="softmax")(y)))


def ids_without_embedding() -> keras.Model:
    """Read ids as one-hot rows that an operation makes."""
    source, target = source_ids(), target_ids()
    _, state = layers.GRU(8, return_state=True)(ops.one_hot(source, SIZE))
    return keras.Model(
        [source, target], head(layers.GRU(8, return_sequences=True)(embed_target(target), initial_state=state))
    )


def fixed() -> keras.Model:
    """Read five steps and write four."""
    source, target = keras.Input((5,), dtype="int32"), keras.Input((4,), dtype="int32")
    state = layers.Dense(8)(layers.Flatten()(layers.Embedding(SIZE, 4)(source)))
    y = layers.GRU(8, return_sequences=True)(layers.Embedding(SIZE, 4)(target), initial_state=state)
    return keras.Model([source, target], layers.Dense(SIZE)(y))


def counts_along() -> keras.Model:
    """Mask padding behind a source, and count what stands before it."""
    source, target = source_ids(), target_ids()
    counted = ops.expand_dims(ops.cumsum(ops.ones_like(ops.cast(source, "float32")), axis=1), -1)
    read = layers.Concatenate()([embed_source(source), counted])
    state = layers.GRU(8, return_state=True)(read, mask=ops.not_equal(source, 0))[1]
    return keras.Model(
        [source, target], head(layers.GRU(8, return_sequences=True)(embed_target(target), initial_state=state))
    )


TOKENS = {"start-id": "1", "end-id": "2"}
LENGTH = {"source-length": "6", "padding": "0"}
SYMBOLS = ",".join(f"s{i}" for i in range(20))
CASES: list[tuple[Callable[[], keras.Model], Facts, Facts, int]] = [
    # model, what was typed at first, what the reader knows, messages on the way
    (attention_additive, {}, TOKENS, 1),
    (unmasked, {}, {**TOKENS, **LENGTH, "decoder-output": "words"}, 3),
    (alike, {}, {"decoder-input": "target", "feedback": "none"}, 1),
    (alike, {"decoder-input": "answer"}, {"decoder-input": "target", "feedback": "none"}, 2),
    (tags_known_beside_words, {}, {**TOKENS, **LENGTH, "feed": "tags=known"}, 2),
    (start_at_every_step, {"feed": "target=constant"}, {**TOKENS, "feed": "target_tokens=constant"}, 2),
    (continuous, {}, {"feed": "shifted=previous"}, 1),
    (continuous, {"feed": "shifted=before"}, {"feed": "shifted=previous"}, 1),
    (continuous, {"feed": "shifted=previous", "source-vocab": SYMBOLS}, {}, 1),
    (continuous, {"feed": "shifted=previous", "target-vocab": SYMBOLS}, {}, 1),
    (forecast_joined, {}, {**LENGTH, "feed": "load_and_weather=previous+known"}, 1),
    (transformer_decoder, {}, {**TOKENS, "max-length": "5"}, 2),
    (probabilities_shared_layer, {}, {"start-zeros": ""}, 1),
    (probabilities_shared_layer, {"feed": "first=previous"}, {"start-id": "1"}, 2),
    (teacher_sliced_rows, {"start-zeros": ""}, {**TOKENS, **LENGTH}, 3),
    (language_model, {}, {"feedback": "token"}, 1),
    (language_model, {}, {"feedback": "none"}, 1),
    (window, {}, {"feedback": "token", "source-length": "4"}, 2),
    (
        language_model,
        {"feedback": "token", "source-vocab": ",".join("abcdefg")},
        {"target-vocab": ",".join("abcdefg")},
        1,
    ),
    (tagger, {}, {"feedback": "none"}, 1),
    (speech, {}, {"ctc": "last"}, 1),
    (ids_without_embedding, {**TOKENS, **LENGTH}, {"source-vocab": ",".join("abcdefg")}, 1),
    (vector_source, {**TOKENS, "source-length": "6"}, {}, 1),
    (vector_source, {**TOKENS, "source-vocab": SYMBOLS}, {}, 1),
    (vector_source, {**TOKENS, "padding": "0"}, {}, 1),
    (attention_additive, {**TOKENS, "source-kind": "one-hot"}, {}, 1),
    (fixed, {**TOKENS, "source-length": "6"}, {}, 1),
    (fixed, {**TOKENS, "max-length": "6"}, {}, 1),
    (counts_along, {**TOKENS, "padding-side": "left"}, {}, 1),
    (attention_additive, {**TOKENS, "source-input": "text"}, {"source-input": "source_tokens"}, 1),
]


@pytest.mark.parametrize(("build", "given", "facts", "count"), CASES)
def test_advice_is_followed_to_the_letter(
    build: Callable[[], keras.Model], given: Facts, facts: Facts, count: int
) -> None:
    """Each message asks for what is known, or names what is to be left out, and none comes twice."""
    messages = read_on(build(), given, facts)
    assert len(messages) == count, messages
