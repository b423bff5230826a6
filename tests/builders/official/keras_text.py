"""Keras's code examples that read or write text."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
from keras import layers

from official.attention_layers import WIDTH, LooksAtBoth, LooksAtItself, PlacedWords
from official.example import (
    LENGTH,
    SOURCE,
    STEPS,
    TARGET,
    Example,
    Exported,
    grown,
    ids,
    run,
    tokens,
    weighted,
)
from s2s_export import export

READ = {symbol: i for i, symbol in enumerate(" abcdefgh")}
WRITTEN = {symbol: i for i, symbol in enumerate("\t\n abcde")}
DIGITS = {symbol: i for i, symbol in enumerate(" +0123456789")}
PLACES = 12  # steps that a table of places knows
LETTERS = {symbol: i for i, symbol in enumerate("\n abcdef")}


def character_translator(path: Path) -> Exported:
    """One-hot characters, padded with spaces; the page makes two models of the trained layers and loops over them."""
    source, target = keras.Input((None, len(READ)), name="source"), keras.Input((None, len(WRITTEN)), name="target")
    reader, writer = layers.LSTM(6, return_state=True), layers.LSTM(6, return_sequences=True, return_state=True)
    head = layers.Dense(len(WRITTEN), activation="softmax")
    _, *states = reader(source)
    model = weighted(keras.Model([source, target], head(writer(target, initial_state=states)[0])), 0)
    texts = ["abc", "hgfe dc", "b"]
    export(model, path, source=READ, target=WRITTEN, start="\t", end="\n", padding=" ", source_length=8, max_length=9,
           verify_sources=2)  # fmt: skip

    encoder = keras.Model(source, states)
    before = [keras.Input((6,)), keras.Input((6,))]
    step, *after = writer(target, initial_state=before)
    decoder = keras.Model([target, *before], [head(step), *after])
    wanted = []
    for text in texts:
        carried, symbol, written = run(encoder, np.eye(len(READ))[[[READ[s] for s in text.ljust(8)]]]), 0, []
        while len(written) < 9:
            given, *carried = run(decoder, np.eye(len(WRITTEN))[[[symbol]]], *carried)
            symbol = int(given[0, -1].argmax())
            if symbol == WRITTEN["\n"]:
                break
            written.append(symbol)
        wanted.append(written)
    return Exported(lambda bundle: tokens(bundle, texts), wanted)


def addition(path: Path) -> Exported:
    """Sums as characters, reversed; a repeated vector, and nothing that is fed back."""
    model = weighted(
        keras.Sequential(
            [
                layers.Input((7, len(DIGITS))),
                layers.LSTM(8),
                layers.RepeatVector(4),
                layers.LSTM(8, return_sequences=True),
                layers.Dense(len(DIGITS), activation="softmax"),
            ]
        )
    )
    questions = ["16+535", "3+4", "999+99"]
    export(model, path, source=DIGITS, target=DIGITS, padding=" ", verify_sources=2)
    read = np.eye(len(DIGITS))[[[DIGITS[s] for s in text.ljust(7)] for text in questions]]
    answers = run(model, read).argmax(-1)
    wanted = ["".join(list(DIGITS)[i] for i in row) for row in answers]
    return Exported(lambda bundle: [result.text for result in bundle.generate(questions)], wanted)


def character_writer(path: Path) -> Exported:
    """What follows a window of one-hot characters, by one LSTM."""
    model = weighted(
        keras.Sequential(
            [layers.Input((5, len(LETTERS))), layers.LSTM(8), layers.Dense(len(LETTERS), activation="softmax")]
        )
    )
    export(model, path, target=LETTERS, feedback="token", verify_sources=2)
    text = "abcde"
    for _ in range(10):
        window = np.eye(len(LETTERS))[[[LETTERS[s] for s in text[-5:]]]]
        text += list(LETTERS)[int(run(model, window)[0].argmax())]
    return Exported(lambda bundle: [result.text for result in bundle.generate(["abcde"], max_length=15)], [text])


def miniature_gpt(path: Path) -> Exported:
    """Causal attention over all that is written, with zeros behind; the hidden layer is an output of the model too."""
    words = keras.Input((LENGTH + 4,), dtype="int32")
    hidden = LooksAtItself(causal=True, masked=False)(PlacedWords(TARGET, LENGTH + 4)(words))
    model = keras.Model(words, [layers.Dense(TARGET, name="words")(hidden), hidden])
    weighted(model, head=model.get_layer("words"))
    export(model, path, feedback="token", decoder_output="words", max_length=LENGTH + 4, verify_sources=2)
    written = [3, 5, 4]
    while len(written) < LENGTH + 4:
        fed = written + [0] * (LENGTH + 4 - len(written))
        written.append(int(run(model, np.array([fed]))[0][0, len(written) - 1].argmax()))
    return Exported(lambda bundle: tokens(bundle, [[3, 5, 4]], max_length=LENGTH + 4), [written])


def transformer_translator(path: Path) -> Exported:
    """An encoder and a decoder of attention, the latter a model of its own; zeros stand behind written words."""
    source = keras.Input((None,), dtype="int64", name="encoder_inputs")
    read = LooksAtItself()(PlacedWords(SOURCE, PLACES)(source))
    target, state = keras.Input((None,), dtype="int64", name="decoder_inputs"), keras.Input((None, WIDTH), name="state")
    written = LooksAtBoth()([PlacedWords(TARGET, PLACES)(target), state])
    head = layers.Dense(TARGET, activation="softmax")
    decoder = keras.Model([target, state], head(layers.Dropout(0.5)(written)))
    model = weighted(keras.Model([source, target], decoder([target, read]), name="transformer"), 0, 1, 2, head=head)
    english = layers.TextVectorization(vocabulary=list("abcdefghi"))
    spanish = layers.TextVectorization(vocabulary=["[start]", "[end]", *"abcde"], standardize="lower")
    export(model, path, source=english, target=spanish, start="[start]", end="[end]", source_length=PLACES,
           max_length=STEPS, verify_sources=2)  # fmt: skip
    sentences = ids(SOURCE, 3, PLACES, least=2)
    sentences[1, 4:] = sentences[2, 2:] = 0
    wanted = grown(model, sentences, filled=PLACES, start=2, end=3)
    return Exported(lambda bundle: tokens(bundle, sentences), wanted)


def entities(path: Path) -> Exported:
    """A tag for each word, by attention; padding is tagged too, and left out."""
    words = keras.Input((None,), dtype="int32")
    hidden = LooksAtItself(masked=False)(PlacedWords(SOURCE, PLACES)(words))
    hidden = layers.Dense(8, activation="relu")(layers.Dropout(0.1)(hidden))
    model = weighted(keras.Model(words, layers.Dense(5, activation="softmax")(layers.Dropout(0.1)(hidden))))
    export(model, path, source=["[PAD]", *"abcdefghij"], target=list("BIOXY"), unit="word", verify_sources=2)
    sentences = [ids(SOURCE, 6).tolist(), [3, 4], [7, 7, 8, 1]]
    wanted = [run(model, np.array([row])).argmax(-1)[0].tolist() for row in sentences]
    return Exported(lambda bundle: tokens(bundle, sentences), wanted)


def reviews(path: Path) -> Exported:
    """Two bidirectional layers, and how likely a review praises."""
    words = keras.Input((None,), dtype="int32")
    hidden = layers.Bidirectional(layers.LSTM(4, return_sequences=True))(layers.Embedding(SOURCE, 5)(words))
    model = keras.Model(words, layers.Dense(1, activation="sigmoid")(layers.Bidirectional(layers.LSTM(4))(hidden)))
    weighted(model)
    export(model, path, source_length=LENGTH, verify_sources=2)
    sentences = ids(SOURCE, 3, LENGTH, least=0)
    return Exported(lambda bundle: bundle.predict(sentences)[:, 0], run(model, sentences))


_TOKENS = "--start-id 1 --end-id 2"

EXAMPLES = (
    Example("Character-level recurrent sequence-to-sequence model", character_translator,
            "s2s-export s2s_model.keras --pairs fra.txt --padding \" \" --source-length 16"),
    Example("Sequence to sequence learning for performing number addition", addition,
            "s2s-export m.keras --source-vocab chars.json --target-vocab chars.json"),
    Example("Character-level text generation with LSTM", character_writer,
            "s2s-export m.keras --feedback token --target-vocab chars.json"),
    Example("Text generation with a miniature GPT", miniature_gpt,
            "s2s-export m.keras --feedback token --decoder-output dense --custom-objects my_script:TransformerBlock"),
    Example("English-to-Spanish translation with a sequence-to-sequence Transformer", transformer_translator,
            f"s2s-export transformer.keras {_TOKENS} --padding 0 --source-length 20 --max-length 20"),
    Example("Named Entity Recognition using Transformers", entities,
            "s2s_export.export(model, path, feedback=\"none\")"),
    Example("Bidirectional LSTM on IMDB", reviews, "s2s-export m.keras --source-length 200"),
)  # fmt: skip
