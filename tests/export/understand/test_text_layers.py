"""Models with a text layer in front: its vocabulary becomes the bundle's, and both read alike or say where not."""

import re
from pathlib import Path

import keras
import pytest
import tensorflow as tf
from architectures.parts import TARGET, UNITS, embed_target, head, target_ids
from export_command import run
from keras import layers
from random_weights import randomise

import s2s_runtime
from s2s_export import export
from s2s_export.errors import ExportError
from s2s_export.understand import text_reading
from s2s_export.understand.text_layers import without_text_layers
from s2s_runtime import PaddingPolicy, Vocabulary, VocabularyFile

pytestmark = pytest.mark.tensorflow


def reads_text(layer: keras.Layer, shape: tuple[int | None, ...]) -> keras.Model:
    text, target = keras.Input(shape, dtype="string", name="text"), target_ids()
    embedded = layers.Embedding(6, 5, mask_zero=True)(layer(text))
    _, state = layers.GRU(UNITS, return_state=True)(embedded)
    y = layers.GRU(UNITS, return_sequences=True)(embed_target(target), initial_state=state)
    model = keras.Model([text, target], head(y))
    randomise(model)
    return model


def read(layer: keras.Layer, *texts: str) -> tuple[Vocabulary, list[str]]:
    """The vocabulary that a bundle would read such a layer's texts with, and what is noted of it."""
    rank = (None,) if isinstance(layer, layers.StringLookup) else (1,)
    found, notes = without_text_layers(reads_text(layer, rank)).merged(None, "text", None, texts)
    assert found is not None
    assert found.source is not None
    return found.source, notes


def ids_of(layer: keras.Layer, text: str) -> list[int]:
    """What the layer itself makes of a text."""
    return keras.ops.convert_to_numpy(layer([text]))[0].tolist()


def test_text_vectorization(tmp_path: Path) -> None:
    """The layer's vocabulary and way of cutting become the bundle's; the graph reads ids."""
    layer = layers.TextVectorization(vocabulary=["go", "hi", "run", "wow"], standardize="lower")
    reads_text(layer, (1,)).save(tmp_path / "m.keras")
    code, _, errors = run(tmp_path / "m.keras", "--start-id", "1", "--end-id", "2", "--max-length", "4")
    assert code == 0, errors
    model = s2s_runtime.load(tmp_path / "m.s2s")
    expected = Vocabulary(
        "symbol",
        ("<pad>", "[UNK]", "go", "hi", "run", "wow"),
        padding="<pad>",
        unknown="[UNK]",
        lowercase=True,
        separators=" \t\n\v\f\r",
    )
    assert model.source_vocabulary == expected
    assert model.manifest.padding.masked
    texts, ids = model.generate(["Go RUN what"]), model.generate([[2, 4, 1]])
    assert texts[0].ids == ids[0].ids
    assert max(texts[0].ids) < TARGET


def test_string_lookup_and_what_is_not_kept() -> None:
    """`StringLookup` reads tokens; stripped punctuation is noted; outputs that are no ids are refused."""
    vocabulary, notes = read(layers.StringLookup(vocabulary=["go", "hi", "run"], mask_token="", name="words"))
    assert vocabulary.symbols == ("<pad>", "[UNK]", "go", "hi", "run")
    assert notes == []
    vocabulary, notes = read(layers.TextVectorization(vocabulary=["dont", "go"], name="tv"), "Don't go!")
    assert (vocabulary.encode("Don't go!"), notes) == ([2, 3], [])
    several = reads_text(layers.StringLookup(vocabulary=["go"], num_oov_indices=2, name="words"), (None,))
    with pytest.raises(ExportError, match=r'layer "words" .* several unknown ids'):
        without_text_layers(several)


@pytest.mark.parametrize("mask_token", ["[PAD]", "", None])
def test_words_that_pad_and_words_that_are_not_known(mask_token: str | None) -> None:
    """Whatever token pads, unknown words get the id that the layer gives them, and padding gets 0."""
    layer = layers.StringLookup(vocabulary=["go", "run", "<pad>"], mask_token=mask_token, oov_token="?")
    vocabulary, _ = read(layer)
    words = ["go", "cat", "run", "<pad>"]
    assert vocabulary.encode(" ".join(words)) == keras.ops.convert_to_numpy(layer(words)).tolist()
    assert vocabulary.unknown == "?"
    assert vocabulary.padding_id == (None if mask_token is None else 0)


def test_padding_token_of_a_string_lookup(tmp_path: Path) -> None:
    """The bundle knows the layer's mask token as padding, and decodes words as their ids."""
    words = layers.StringLookup(vocabulary=["go", "run", "cat"], mask_token="[PAD]")
    reads_text(words, (None,)).save(tmp_path / "m.keras")
    code, _, errors = run(tmp_path / "m.keras", "--start-id", "1", "--end-id", "2", "--max-length", "4")
    assert code == 0, errors
    model = s2s_runtime.load(tmp_path / "m.s2s")
    assert (model.source_vocabulary.padding, model.source_vocabulary.unknown) == ("[PAD]", "[UNK]")
    assert (model.manifest.padding.masked, model.manifest.padding.id) == (True, 0)
    texts, ids = model.generate(["go dog cat"]), model.generate([[2, 1, 4]])
    assert texts[0].ids == ids[0].ids


def test_letters_beyond_ascii() -> None:
    """The layer lowercases A to Z only; where its words show the difference, it is told with one of them."""
    layer = layers.TextVectorization(vocabulary=["Élan", "été", "go"], standardize="lower", name="tv")
    vocabulary, notes = read(layer)
    assert ids_of(layer, "GO Élan") != vocabulary.encode("GO Élan")
    assert notes == [
        "the text layer 'tv' lowercases A to Z only, a bundle all letters: 'Élan' and 2 more of what was compared are "
        "read otherwise; for the layer's own reading give vocabulary=FILE with lowercase false, and lowercase A to Z "
        "of texts before decoding them"
    ]
    plain = layers.TextVectorization(vocabulary=["elan", "go"], standardize="lower")
    assert read(plain, "GO Élan")[1] == []


def test_white_space_beyond_ascii() -> None:
    """No-break spaces are part of the layer's words; a bundle cuts there, which is told where a text has them."""
    layer = layers.TextVectorization(vocabulary=["cours", "vite"], standardize=None, name="tv")
    assert read(layer, "cours vite")[1] == []
    vocabulary, notes = read(layer, "cours\u202fvite")
    assert notes == []
    assert vocabulary.encode("cours\u202fvite") == [vocabulary.unknown_id]


def by_commas(texts: tf.Tensor) -> tf.RaggedTensor:
    return tf.strings.split(texts, ",")


@pytest.mark.parametrize(("split", "called"), [(None, "None"), (by_commas, "by_commas")])
def test_other_ways_of_cutting(split: object, called: str) -> None:
    """Text that no unit cuts as the layer does is refused, with what to do; with a vocabulary given it is not."""
    layer = layers.TextVectorization(vocabulary=["new york", "rome"], standardize=None, split=split, name="tv")
    refused = f"layer \"tv\" (TextVectorization) has split={called}; expected 'whitespace' or 'character'"
    with pytest.raises(ExportError, match=re.escape(refused)) as caught:
        read(layer)
    assert "give vocabulary=FILE" in str(caught.value)
    own = Vocabulary("char", ("<pad>", "[UNK]", "a", "b"), padding="<pad>", unknown="[UNK]")
    given = VocabularyFile(own, None, PaddingPolicy(masked=False))
    found = without_text_layers(reads_text(layer, (1,)))
    assert found.merged(given, "text", None) == (given, [])


def test_symbols_of_a_look_up_that_hold_spaces() -> None:
    """A look-up's tokens are cut by somebody else; those that white space would cut again are refused."""
    layer = layers.StringLookup(vocabulary=["new york", "rome"], name="cities")
    with pytest.raises(ExportError, match=r"layer .cities. .* knows 'new york' as one symbol, but a bundle cuts"):
        read(layer)


def test_standardizing_by_a_function() -> None:
    """What a function does to texts is left to the caller; texts so prepared are read as the layer reads them."""

    def wrapped(texts: tf.Tensor) -> tf.Tensor:
        return tf.strings.join(["[START]", tf.strings.lower(texts)], " ")

    layer = layers.TextVectorization(vocabulary=["[START]", "go"], standardize=wrapped, name="tv")
    vocabulary, notes = read(layer, "GO now")
    assert notes == ["the text layer 'tv' runs wrapped, which a bundle doesn't: do so to texts before decoding them"]
    assert vocabulary.encode("[START] go now") == ids_of(layer, "GO now")


def test_cut_off_texts() -> None:
    """A layer that keeps the first symbols only says so."""
    layer = layers.TextVectorization(vocabulary=["a", "b"], standardize="lower", output_sequence_length=2, name="tv")
    assert read(layer, "a b a")[1] == ["the text layer 'tv' reads the first 2 symbols only, a bundle all of a text"]


def test_a_reading_that_nothing_explains(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where layer and vocabulary differ for a reason not known here, nothing is exported."""
    layer = layers.TextVectorization(vocabulary=["ab", "b"], standardize=None, name="tv")
    monkeypatch.setattr(text_reading, "_unit", lambda _: "char")
    with pytest.raises(ExportError, match=r"layer .tv. .* reads 'ab' otherwise than a bundle"):
        read(layer)


def test_notes_are_printed_and_recorded(tmp_path: Path) -> None:
    """What is to be known of a bundle stands in its manifest, and `--verify-with` is compared too."""
    layer = layers.TextVectorization(vocabulary=["go", "été"], standardize="lower", name="tv")
    reads_text(layer, (1,)).save(tmp_path / "m.keras")
    (tmp_path / "lines.txt").write_text("go\u00a0go\n", encoding="utf-8")
    arguments = (tmp_path / "m.keras", "--start-id", "1", "--end-id", "2", "--max-length", "4")
    code, output, errors = run(*arguments, "--verify-with", tmp_path / "lines.txt")
    assert code == 0, errors
    recorded = s2s_runtime.load(tmp_path / "m.s2s").manifest.verification["notes"]
    assert "lowercases A to Z only" in output
    assert any("lowercases A to Z only" in note for note in recorded)


def test_layers_wider_than_their_words(tmp_path: Path) -> None:
    """An output of max_tokens, of which fewer words were seen: the other ids are shown as `<id>`."""
    words, size = ["startofseq", "endofseq", "un", "deux"], 9
    text, shifted = keras.Input((), dtype="string", name="text"), keras.Input((), dtype="string", name="shifted")
    source = layers.TextVectorization(20, vocabulary=["one", "two"], output_sequence_length=4)(text)
    target = layers.TextVectorization(size, vocabulary=words, output_sequence_length=6)(shifted)
    _, state = layers.GRU(UNITS, return_state=True)(layers.Embedding(20, 5, mask_zero=True)(source))
    embedded = layers.Embedding(size, 5, mask_zero=True)(target)
    decoded = layers.GRU(UNITS, return_sequences=True)(embedded, initial_state=state)
    model = keras.Model([text, shifted], layers.Dense(size, activation="softmax")(decoded))
    randomise(model)
    done = export(model, tmp_path / "m.s2s", start="startofseq", end="endofseq")
    assert any(
        "the model has 9 target ids, 6 of them have symbols: the others are" in note for note in done.facts.notes
    )
    bundle, names = s2s_runtime.load(tmp_path / "m.s2s"), ["", "[UNK]", *words, "<6>", "<7>", "<8>"]
    for sentence in ("one two", "two two one", "one"):
        written: list[str] = []
        for step in range(6):
            read = tf.constant([" ".join(["startofseq", *(name for name in written if name[0] != "<")])])
            rows = model([tf.constant([sentence]), read], training=False).numpy()[0, step]
            rows[[0, 1, 2]] = -1  # padding, unknown words and the start are never written
            if int(rows.argmax()) >= len(names) - 3:
                break  # the author's own loop can't go on: it has no word to feed
            written.append(names[int(rows.argmax())])
            if written[-1] == "endofseq":
                break
        words_of = [name for name in written if name != "endofseq"]
        assert bundle.generate([sentence])[0].tokens[: len(words_of)] == words_of
