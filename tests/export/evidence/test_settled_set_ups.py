"""What is given, what the pairs say and what expected outputs prove, where they agree and where they don't."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers
from tutorial_script import Script

import s2s_runtime
from s2s_export import export
from s2s_export.errors import ExportError

pytestmark = pytest.mark.tensorflow

WORDS = ["<pad>", "ant", "bee", "cow", "dog", "eel", "fox", "gnu", "hen"]
LONGEST = 9  # tokens after which the loops below stop
UNITS = 24


def wild(sources: layers.Layer, source: Any, target_size: int) -> keras.Model:
    """A model that nobody trained, of large weights: whatever it is fed changes what it writes."""
    keras.utils.set_random_seed(5)
    wide, large = (
        keras.initializers.RandomNormal(0, 2.0),
        {"recurrent_initializer": keras.initializers.RandomNormal(0, 0.9)},
    )
    large |= {"kernel_initializer": wide}
    _, *states = layers.LSTM(UNITS, return_state=True, **large)(sources(source))
    target = keras.Input((None,), dtype="int32")
    embedded = layers.Embedding(target_size, UNITS, embeddings_initializer=keras.initializers.RandomNormal(0, 2.0))
    written = layers.LSTM(UNITS, return_sequences=True, **large)(embedded(target), initial_state=states)
    dense = layers.Dense(target_size, activation="softmax", kernel_initializer=large["kernel_initializer"])
    return keras.Model([source, target], dense(written))


def looped(model: keras.Model, rows: np.ndarray, symbols: Sequence[str], start: int, end: int) -> list[list[str]]:
    """What a loop over whole prefixes writes, the end left out: no state, nothing of this project."""
    ids = np.full((len(rows), 1), start)
    for _ in range(LONGEST):
        ids = np.c_[ids, np.asarray(model([rows, ids]))[:, -1].argmax(axis=-1)]
    written = [[*row[1:], end] for row in ids.tolist()]
    return [[symbols[token] for token in row[: row.index(end)]] for row in written]


def sentences(count: int, longest: int, words: Sequence[str]) -> list[list[str]]:
    """Rows of words, the first of them as long as any."""
    rng = random.Random(1)
    return [rng.choices(words, k=longest if i == 0 else rng.randint(1, longest)) for i in range(count)]


def word_model(symbols: Sequence[str], start: int, end: int) -> tuple[keras.Model, list[tuple[str, str]]]:
    """A model of ids padded with 0, and what its loop gives for some sentences."""
    embedded = layers.Embedding(len(WORDS), UNITS, embeddings_initializer=keras.initializers.RandomNormal(0, 2.0))
    model = wild(embedded, keras.Input((None,), dtype="int32"), len(symbols))
    bias = np.zeros(len(symbols), "float32")
    bias[[0, start]] = -1e4  # no target holds padding or a second start: training makes them as unlikely
    model.layers[-1].bias.assign(bias)
    texts = sentences(12, 5, WORDS[1:])
    rows = np.zeros((len(texts), 5), "int32")
    for row, text in zip(rows, texts, strict=True):
        row[: len(text)] = [WORDS.index(word) for word in text]
    outputs = looped(model, rows, symbols, start, end)
    return model, [(" ".join(text), " ".join(output)) for text, output in zip(texts, outputs, strict=True)]


def described(setup: Any) -> dict[str, tuple[str, str]]:
    return {item.name: (item.value, item.origin) for item in setup.items}


@pytest.mark.parametrize(("start", "end"), [("<start>", "<end>"), ("[START]", "[END]")])
def test_words_that_start_and_end_a_target_are_proved(tmp_path: Path, start: str, end: str) -> None:
    """Nobody names them: they are symbols of the vocabulary, and the outputs come out with them alone."""
    symbols = ["<pad>", *"uvwxyz", start, end, *"klmno"]
    model, outputs = word_model(symbols, symbols.index(start), symbols.index(end))
    exported = export(model, tmp_path / "m.s2s", source=WORDS, target=symbols, unit="word", expect=outputs)
    setup = exported.manifest.setup
    assert setup is not None
    assert setup.proved_by == len(outputs)
    assert described(setup)["start and end"] == (f"start {start!r}, end {end!r}", "proved")
    results = s2s_runtime.load(exported.path).generate([source for source, _ in outputs])
    assert [result.text for result in results] == [output for _, output in outputs]


def test_a_decoder_that_starts_from_index_one(tmp_path: Path) -> None:
    """A start that no symbol's name betrays is found among the first ids; the report names the symbol there."""
    symbols = ["zero", "one", *"uvwxyz", "stop", *"klmno"]
    model, outputs = word_model(symbols, 1, symbols.index("stop"))
    given = {"source": WORDS, "target": symbols, "unit": "word", "end": "stop"}
    exported = export(model, tmp_path / "m.s2s", expect=outputs, **given)
    setup = exported.manifest.setup
    assert setup is not None
    assert exported.manifest.target.start_id == 1
    assert described(setup)["start and end"] == ("start 'one', end 'stop'", "proved")
    results = s2s_runtime.load(exported.path).generate([source for source, _ in outputs])
    assert [result.text for result in results] == [output for _, output in outputs]


def test_expected_outputs_contradict_an_option(tmp_path: Path) -> None:
    """An error that says how many outputs come out with what was given, and with what all of them do."""
    symbols = ["<pad>", *"uvwxyz", "<start>", "<end>", *"klmno"]
    model, outputs = word_model(symbols, 7, 8)
    given = {"source": WORDS, "target": symbols, "unit": "word", "expect": outputs, "padding_side": "left"}
    with pytest.raises(
        ExportError,
        match=r"padding_side: contradicted by the expected outputs: with left \d+ of 12 come out, with right all",
    ):
        export(model, tmp_path / "m.s2s", **given)
    assert not (tmp_path / "m.s2s").exists()


def test_what_outputs_do_not_tell_follows_the_word_proved(tmp_path: Path) -> None:
    """Sentences as long as the padded length show no padding: its side and what fills are said to be assumed."""
    symbols = ["<pad>", *"uvwxyz", "<start>", "<end>", *"klmno"]
    model, outputs = word_model(symbols, 7, 8)
    full = [(source, output) for source, output in outputs if len(source.split()) == 5]
    given = {"source": WORDS, "target": symbols, "unit": "word", "expect": full, "source_length": 5}
    setup = export(model, tmp_path / "m.s2s", **given).manifest.setup
    assert setup is not None
    proved, _, rest = setup.summary.partition(", but for ")
    assert proved == f"set-up proved by {len(full)} expected output{'s' if len(full) > 1 else ''}"
    assert "padding side: right assumed, left gives them too" in rest
    assert "padding_side" in rest.rpartition("(")[2]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Script, keras.Model]:
    """The tutorial's script, padded with spaces, trained until it knows what stands after an end."""
    nouns = {"cat": "chat", "dog": "chien", "house": "maison", "tree": "arbre"}
    texts = [*nouns, *(f"{one} {two}" for one in nouns for two in nouns), "cat dog tree", "tree house dog"]
    path = tmp_path_factory.mktemp("pairs") / "pairs.tsv"
    lines = [f"{text}\t{' '.join(nouns[word] for word in text.split())}\n" for text in sorted(texts, key=len)]
    path.write_text("".join(lines), encoding="utf-8")
    keras.utils.set_random_seed(3)
    script = Script(path, len(texts), filler="spaces")
    return script, script.train(units=32, epochs=30, batch_size=8, optimizer=keras.optimizers.RMSprop(0.01))


def test_pairs_contradict_an_option(trained: tuple[Script, keras.Model], tmp_path: Path) -> None:
    """What was given stays, with a warning that names both values and the figures; the same values say nothing."""
    script, model = trained
    for padding, warned in (("zeros", True), (" ", False)):
        given = {"pairs": script.path, "rows": script.rows, "padding": padding, "force": True}
        exported = export(model, tmp_path / "m.s2s", **given)
        warnings = [note for note in exported.facts.notes if "padding: rows of zeros was given, but" in note]
        assert len(warnings) == warned
        assert exported.manifest.setup is not None
        assert described(exported.manifest.setup)["padding"][1] == "given"
        assert exported.manifest.padding.id == (-1 if warned else script.input_index[" "])
        for warning in warnings:
            assert warning.startswith(
                "warning: padding: rows of zeros was given, but the pairs say ' ' (id 0): largest"
            )
            assert "likelihood of 22 pairs" in warning
