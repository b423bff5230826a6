"""Symbols as people have them: tokenizers, layers, dictionaries and lists, in memory and in files."""

import json
import pickle
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from export_command import fails, run
from keras import layers
from random_weights import randomise

import s2s_export
import s2s_runtime
from s2s_export.arguments import Words
from s2s_export.errors import ExportError
from s2s_export.evidence.expected_outputs import Expected, read_expected
from s2s_export.options import ExportOptions
from s2s_export.understand.given_vocabularies import likely_ends, read_side
from s2s_runtime.errors import InputError
from s2s_runtime.vocabulary.vocabulary_file import Vocabulary

pytestmark = pytest.mark.tensorflow

Tokenizer = tf.keras.preprocessing.text.Tokenizer
TEXTS = ["Go on, go!", "Don't  go\u202f!", "Va\u00a0: l'Été #1\tva", "<start> (run) <end>", "", "Go\r\nhome", "zebra"]


def tokenizer(**how: object) -> object:
    made = Tokenizer(**how)
    made.fit_on_texts(TEXTS[:-1])
    return made


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"oov_token": "<unk>"},
        {"num_words": 5},
        {"num_words": 5, "oov_token": "?"},
        {"char_level": True},
        {"lower": False, "filters": ""},
        {"filters": "!,", "split": "_"},
    ],
    ids=str,
)
def test_a_tokenizer_reads_every_text_as_keras_does(how: dict[str, object], tmp_path: Path) -> None:
    """Ids of any text are those of `texts_to_sequences`, from the object and from its JSON, written either way."""
    made = tokenizer(**how)
    (tmp_path / "plain.json").write_text(made.to_json(), encoding="utf-8")
    (tmp_path / "twice.json").write_text(json.dumps(made.to_json()), encoding="utf-8")
    side = read_side(made, "source").vocabulary
    assert [side.encode(text) for text in TEXTS] == made.texts_to_sequences(TEXTS)
    assert side.padding_id == 0
    assert [read_side(tmp_path / f"{name}.json", "source").vocabulary for name in ("plain", "twice")] == [side, side]
    words = made.texts_to_sequences(TEXTS[:1])
    assert read_side(made, "target").vocabulary.tokens(words[0]) == [made.index_word[i] for i in words[0]]


def test_a_misspelt_field_of_a_tokenizer_is_named(tmp_path: Path) -> None:
    """What nothing reads is an error, with the field that was meant."""
    data = json.loads(tokenizer().to_json())
    data["config"]["lowr"] = data["config"].pop("lower")
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(ExportError, match=r"json: Tokenizer: config.lowr: no such field; did you mean 'lower'"):
        read_side(path, "source")
    with pytest.raises(ExportError, match="reads text by its analyzer, a function"):
        read_side(Tokenizer(analyzer=str.split), "source")


INDEX = {"<pad>": 0, "a": 1, "b": 2, " ": 3}


@pytest.mark.parametrize(
    "given",
    [
        INDEX,
        {np.int64(i): symbol for symbol, i in INDEX.items()},
        dict(sorted(INDEX.items(), reverse=True)),
        list(INDEX),
        np.array(list(INDEX)),
    ],
    ids=["to ids", "to symbols", "in another order", "list", "array"],
)
def test_dictionaries_and_lists_of_characters(given: object, tmp_path: Path) -> None:
    """Either direction, in any order, in memory and in JSON: characters, what pads known by its usual name."""
    expected = Vocabulary("char", tuple(INDEX), padding="<pad>")
    assert read_side(given, "source").vocabulary == expected
    if isinstance(given, dict):
        plain: object = {str(key): value if isinstance(value, str) else int(value) for key, value in given.items()}
    else:
        plain = list(map(str, given))
    (tmp_path / "v.json").write_text(json.dumps(plain), encoding="utf-8")
    assert read_side(tmp_path / "v.json", "source").vocabulary == expected
    assert read_side(given, "target").vocabulary.padding is None


def test_text_with_a_symbol_a_line(tmp_path: Path) -> None:
    """Lines are symbols as they stand, spaces among them; tabs and line feeds are typed as in a shell."""
    (tmp_path / "v.txt").write_text("\\t\n\\n\n \na\n[\n", encoding="utf-8")
    assert read_side(tmp_path / "v.txt", "target").vocabulary == Vocabulary("char", ("\t", "\n", " ", "a", "["))
    (tmp_path / "w.txt").write_bytes("\ufeff[UNK]\r\nthe\r\ncat\r\n".encode())
    assert read_side(tmp_path / "w.txt", "source").vocabulary == Vocabulary(
        "symbol", ("[UNK]", "the", "cat"), unknown="[UNK]"
    )


def test_text_layers(tmp_path: Path) -> None:
    """A layer reads as it does in the model; its bare vocabulary, in a file, keeps what pads and what is unknown."""
    layer = layers.TextVectorization(vocabulary=["dont", "go"])
    side = read_side(layer, "source").vocabulary
    assert side.encode("Don't GO, tom!") == np.asarray(layer(["Don't GO, tom!"]))[0].tolist() == [2, 3, 1]
    (tmp_path / "words.txt").write_text("\n".join(layer.get_vocabulary()), encoding="utf-8")
    bare = read_side(tmp_path / "words.txt", "source").vocabulary
    assert (bare.symbols, bare.padding, bare.unknown) == (("<pad>", "[UNK]", "dont", "go"), "<pad>", "[UNK]")
    characters = layers.StringLookup(vocabulary=list("ab"), mask_token="")
    assert read_side(characters, "source").vocabulary.encode("abz") == [2, 3, 1]


def test_what_is_no_vocabulary(tmp_path: Path) -> None:
    """Each is refused by name, with what is expected."""
    for given, said in (
        ({"a", "b"}, "source: a set has no order, so it tells no ids"),
        (3, "source: got int; expected a Keras Tokenizer"),
        ([1, 2], r"source\[0\]: expected a symbol"),
        ({}, "source: expected a dictionary of symbols to ids"),
        ({"a": 1, "b": 1}, "'a' and 'b' have the same id, 1"),
        ({"a": -1}, "expected ids from 0, 'a' has -1"),
        ({"a": 0, "b": 100_000}, "source: ids go up to 100000, but only 2 have symbols"),
        ({"input": {"a": 0}, "target": {"b": 0}}, "give the dictionary of each side by itself"),
        (["a", "a"], "'a' occurs more than once"),
        ([], "symbols: expected at least one"),
        ({0: "a", 1: ""}, "expected a non-empty string"),
    ):
        with pytest.raises(ExportError, match=said):
            read_side(given, "source")
    with pytest.raises(FileNotFoundError, match="no such file; expected a vocabulary"):
        read_side(tmp_path / "none.json", "source")
    (tmp_path / "bad.json").write_text("{", encoding="utf-8")
    with pytest.raises(ExportError, match=r"bad.json: not JSON"):
        read_side(tmp_path / "bad.json", "source")


@pytest.mark.parametrize("protocol", [0, 2, pickle.HIGHEST_PROTOCOL])
def test_a_pickle_is_refused_with_the_line_that_turns_it_into_json(protocol: int, tmp_path: Path) -> None:
    """Nothing of the pickle runs; the line of the message, run by who trusts it, makes a file that is read."""
    made = tokenizer()
    path = tmp_path / "tokenizer.pickle"
    path.write_bytes(pickle.dumps(made, protocol))
    with pytest.raises(ExportError, match="a pickle, which runs code when it is read") as caught:
        read_side(path, "source")
    line = str(caught.value).partition("trust it: ")[2]
    subprocess.run(["bash", "-c", line.replace("python", sys.executable, 1)], check=True, capture_output=True)
    assert read_side(tmp_path / "tokenizer.json", "source") == read_side(made, "source")


def test_ids_without_a_symbol() -> None:
    """Gaps of a dictionary are named by their id."""
    assert read_side({"a": 1, "b": 3}, "source").vocabulary.symbols == ("<0>", "a", "<2>", "b")
    assert read_side({"a": 1, "<0>": 2}, "source").vocabulary.symbols == ("<<0>>", "a", "<0>")


def test_likely_ends() -> None:
    """How scripts call what begins and ends a target."""
    assert likely_ends(Vocabulary("char", tuple("\t\nab"))) == ("\t", "\n")
    assert likely_ends(Vocabulary("symbol", ("go", "[END]", "[START]"))) == ("[START]", "[END]")
    assert likely_ends(Vocabulary("char", tuple("ab"))) is None


SOURCE, TARGET = tuple("abc"), ("\t", "\n", *"ABC")


def characters(target: int = len(TARGET)) -> keras.Model:
    """The tutorial's model in small, untrained."""
    source, fed = keras.Input((None, len(SOURCE))), keras.Input((None, target))
    _, h, c = layers.LSTM(8, return_state=True)(source)
    y = layers.LSTM(8, return_sequences=True)(fed, initial_state=[h, c])
    model = keras.Model([source, fed], layers.Dense(target, activation="softmax")(y))
    randomise(model)
    return model


def test_export_takes_what_lies_in_a_notebook(tmp_path: Path) -> None:
    """Dictionaries, symbols and lengths as keyword arguments: the bundle reads and gives texts."""
    exported = s2s_export.export(
        characters(),
        tmp_path / "m.s2s",
        source={symbol: i for i, symbol in enumerate(SOURCE)},
        target=dict(enumerate(TARGET)),
        start="\t",
        end="\n",
        padding="zeros",
        source_length=4,
        max_length=6,
    )
    assert (exported.manifest.target.start_id, exported.manifest.target.end_ids) == (0, (1,))
    (result,) = s2s_runtime.load(tmp_path / "m.s2s").generate(["abc"])
    assert set(result.text) <= set("ABC\t")
    again = s2s_export.export(
        characters(), tmp_path / "m.s2s", start=0, end=[1, 2], source_length=4, max_length=6, force=True
    )
    assert again.manifest.target.end_ids == (1, 2)
    assert s2s_runtime.load(tmp_path / "m.s2s").generate(np.array([[0, 1, 2]]))[0].ids


def test_messages_in_python_name_arguments(tmp_path: Path) -> None:
    """What is wrong is said with the names that the caller wrote, and near misses are offered."""
    model, path = characters(), tmp_path / "m.s2s"
    with pytest.raises(TypeError, match=r"source_lenght: no such option of export; did you mean 'source_length'\?"):
        s2s_export.export(model, path, source_lenght=4)
    with pytest.raises(TypeError, match=r"sources: no such option of export; did you mean 'source'\?"):
        s2s_export.export(model, path, sources=SOURCE)
    with pytest.raises(ExportError, match="start=SYMBOL") as caught:
        s2s_export.export(model, path, source=SOURCE, target=TARGET, source_length=4)
    assert "--" not in str(caught.value)
    with pytest.raises(ExportError, match="source_length=N"):
        s2s_export.export(model, path, source=SOURCE, target=TARGET, start="\t", end="\n")
    with pytest.raises(ExportError, match=r"start: '<\\t>' is none of the target's 5 symbols"):
        s2s_export.export(model, path, target=TARGET, start="<\t>", source_length=4)
    with pytest.raises(ExportError, match="start: expected a symbol or an id, got float"):
        s2s_export.export(model, path, target=TARGET, start=1.5, source_length=4)
    options = s2s_export.ExportOptions(vocabulary=_file())
    with pytest.raises(ExportError, match="vocabulary: it holds both sides; expected it, or source and target"):
        s2s_export.export(model, path, options, target=TARGET)


def _file() -> object:
    from s2s_runtime.vocabulary.vocabulary_file import PaddingPolicy, VocabularyFile

    return VocabularyFile(None, Vocabulary("char", TARGET), PaddingPolicy(masked=False))


def test_layers_wider_than_the_symbols(tmp_path: Path) -> None:
    """Ids without a symbol, as `num_words` leaves them, are given where Keras gives them, shown as `<id>`, noted."""
    model = characters(target=12)
    bias = np.zeros(12, dtype="float32")
    bias[9] = 50
    model.layers[-1].set_weights([model.layers[-1].get_weights()[0], bias])
    exported = s2s_export.export(
        model, tmp_path / "m.s2s", source=SOURCE, target=TARGET, start="\t", end="\n", source_length=4, max_length=3
    )
    assert (
        "the model has 12 target ids, 5 of them have symbols: the others are called <5> to <11>" in exported.facts.notes
    )
    assert s2s_runtime.load(tmp_path / "m.s2s").generate(["ab"])[0].text == "<9><9><9>"


def test_files_of_another_encoding(tmp_path: Path) -> None:
    """`encoding` is that of every text that is given: symbols of either side, and expected outputs."""
    texts = {"source": "é\nß\n", "target": json.dumps({"é": 0, "ß": 1})}
    for side, text in texts.items():
        (tmp_path / side).write_text(text, encoding="utf-16")
        with pytest.raises(InputError, match="utf-16"):
            read_side(tmp_path / side, "source")
    options = Words(tmp_path / "source", tmp_path / "target").added_to(ExportOptions(encoding="utf-16"))
    assert options.vocabulary is not None
    assert [side.symbols for side in (options.vocabulary.source, options.vocabulary.target) if side] == [("é", "ß")] * 2
    (tmp_path / "outputs").write_text("é\tß\n", encoding="utf-16")
    assert read_expected(tmp_path / "outputs", "utf-16") == [Expected("é", "ß")]


def test_the_command_takes_files(tmp_path: Path) -> None:
    """`--source-vocab` and `--target-vocab`: what each file holds is seen from its content."""
    characters().save(tmp_path / "m.keras")
    (tmp_path / "s.json").write_text(json.dumps({c: i for i, c in enumerate(SOURCE)}), encoding="utf-8")
    (tmp_path / "t.txt").write_text("\\t\n\\n\nA\nB\nC\n", encoding="utf-8")
    sides = ["--source-vocab", tmp_path / "s.json", "--target-vocab", tmp_path / "t.txt"]
    rest = ["--source-length", "4", "--max-length", "5"]
    code, _, errors = run(tmp_path / "m.keras", *sides, *rest, "--start", r"\t", "--end", r"\n")
    assert code == 0, errors
    assert set(s2s_runtime.load(tmp_path / "m.s2s").generate(["abc"])[0].text) <= set("ABC\t")
    fails([tmp_path / "m.keras", "--force", *sides, *rest], "--start SYMBOL and --end SYMBOL")
    fails(
        [tmp_path / "m.keras", "--force", *sides, *rest, "--start", "x"],
        "--start: 'x' is none of the target's 5 symbols",
    )
    assert run(tmp_path / "m.keras", "--force", *sides, "--vocab", tmp_path / "s.json")[0] == 2
