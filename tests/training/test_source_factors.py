"""Sources with factors: what is read, drawn, trained, exported, and decoded as Keras decodes it."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from export_command import run

import s2s_runtime
from s2s_runtime import VocabularyFile
from s2s_training.config.training import TrainingConfig
from s2s_training.data.arrays import BucketedPairs, Layout, encode_pairs
from s2s_training.data.corpus import Corpus, Example
from s2s_training.data.datasets import default_config, load_corpus
from s2s_training.data.vocabulary_builder import build_vocabulary, drop_long
from s2s_training.errors import ConfigError, DataError
from s2s_training.models.encoder_decoder import build_model
from s2s_training.streaming.streamed_texts import StreamedTexts
from s2s_training.train import train

pytestmark = pytest.mark.tensorflow
SAID = {"lead": {"N": "LEHD", "V": "LIYD"}, "wind": {"N": "WIHND", "V": "WAYND"}, "tear": {"N": "TIHR", "V": "TEHR"}}
WORDS = [(f"{word}|{tag}|{case}", said) for word, of in SAID.items() for tag, said in of.items() for case in "xy"]
PAIRS = [*(((word,), said) for word, said in WORDS)]
PAIRS += [((one[0], two[0]), f"{one[1]} {two[1]}") for one, two in itertools.product(WORDS, repeat=2)]


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Phrases of words that are said in another way as nouns than as verbs, whatever their case is."""
    path = tmp_path_factory.mktemp("factors") / "pairs.tsv"
    path.write_text("".join(f"{' '.join(source)}\t{target}\n" for source, target in PAIRS), encoding="utf-8")
    return path


def configured(data: Path | str, **options: Any) -> TrainingConfig:
    units = {"source_unit": "symbol", "target_unit": "symbol", "source_factors": 2}
    return default_config(str(data), options.get("kind")).override(**units | options)


@pytest.fixture(scope="module")
def trained(pairs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose model was exported."""
    small = {"units": 16, "embedding": 6, "factor_embedding": "5,2", "batch_size": 32, "score": 0}
    folder = tmp_path_factory.mktemp("trained") / "run"
    train(configured(pairs, epochs=16, learning_rate=0.04, **small), folder)
    code, _, errors = run(folder / "model.keras")
    assert code == 0, errors
    return folder


def written(model: keras.Model, vocabulary: VocabularyFile, source: str) -> str:
    """What Keras writes, re-fed its own prefix; the text is cut here, with nothing of the vocabulary but its lists."""
    columns = zip(*(word.split("|") for word in source.split()), strict=True)
    tables = [vocabulary.source.symbols, *(factor.symbols for factor in vocabulary.source.factors)]  # type: ignore[union-attr]
    read = [np.array([[table.index(symbol) for symbol in own]]) for own, table in zip(columns, tables, strict=True)]
    symbols = vocabulary.target.symbols
    prefix, never = [symbols.index("<s>")], [symbols.index(symbol) for symbol in ("<pad>", "<unk>", "<s>")]
    while len(prefix) < 8:
        best = np.array(model([*read, np.array([prefix])], training=False))[0, -1]
        best[never] = -1
        prefix.append(int(best.argmax()))
        if symbols[prefix[-1]] == "</s>":
            break
    return " ".join(symbols[token] for token in prefix[1:] if symbols[token] != "</s>")


def test_words_that_only_a_factor_tells_apart_are_learnt(trained: Path) -> None:
    """From files to a bundle: every word is said as its factor asks, and every phrase as Keras says it."""
    model = s2s_runtime.load(trained / "model.s2s")
    assert [result.text for result in model.generate([word for word, _ in WORDS])] == [said for _, said in WORDS]
    phrases = [" ".join(source) for source, _ in PAIRS[:: len(PAIRS) // 40]]
    phrases += ["lead|N|x wind|V|y tear|V|x lead|V|y", "tear|N|y tear|V|y tear|N|x"]
    keras_model = keras.models.load_model(trained / "model.keras")
    vocabulary = VocabularyFile.read(trained / "vocab.json")
    expected = [written(keras_model, vocabulary, phrase) for phrase in phrases]
    assert [result.text for result in model.generate(phrases)] == expected
    assert [model.generate([phrase])[0].text for phrase in phrases] == expected
    held_out = (trained / "test.tsv").read_text(encoding="utf-8").splitlines()
    assert all("|" in line.partition("\t")[0] for line in held_out)


def test_the_run_keeps_its_factors(trained: Path) -> None:
    """The vocabulary file has the symbols of each, the model an input and an embedding for each."""
    vocabulary = VocabularyFile.read(trained / "vocab.json")
    factors = vocabulary.source.factors  # type: ignore[union-attr]
    assert [factor.symbols for factor in factors] == [("<pad>", "<unk>", "N", "V"), ("<pad>", "<unk>", "x", "y")]
    model = keras.models.load_model(trained / "model.keras")
    assert [tensor.name for tensor in model.inputs] == ["source", "factor_1", "factor_2", "target"]
    widths = [model.get_layer(f"{name}_embedding").output_dim for name in ("source", "factor_1", "factor_2")]
    assert widths == [6, 5, 2]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"source_unit": "char", "reverse": True, "max_source_length": 11},
        {"padding": "zeros", "reverse": True, "min_count": 40},
        {"lowercase": True, "source_unit": "word", "factor_separator": "|"},
    ],
    ids=["plain", "characters", "zeros", "words"],
)
def test_pairs_on_the_disk_are_those_in_memory(pairs: Path, tmp_path: Path, options: dict[str, Any]) -> None:
    """Vocabularies and every batch of an epoch are the same, factors too."""
    config = configured(pairs, **options)
    corpus = drop_long(load_corpus(config.data, seed=1), config.data)
    texts = StreamedTexts(config.override(shuffle_buffer=1000), tmp_path / "pairs")
    assert texts.vocabulary == build_vocabulary(corpus, config)
    layout = Layout.of(texts.vocabulary, config.model)
    in_memory = BucketedPairs(encode_pairs(corpus.train, texts.vocabulary), layout, config.fit.buckets, 16)
    drawn = [
        list(each.batches(np.random.default_rng(3)))
        for each in (in_memory, texts.batches("train", layout, fit(config)))
    ]
    for expected, got in zip(*drawn, strict=True):
        np.testing.assert_array_equal(expected[0], got[0])
        np.testing.assert_array_equal(expected[1], got[1])
    assert drawn[0][0][0].shape[-1] == 3


def fit(config: TrainingConfig) -> Any:
    return config.override(batch_size=16).fit


@pytest.mark.parametrize("unit", ["symbol", "char", "word"])
def test_a_factor_that_is_the_same_everywhere_changes_no_word(unit: str) -> None:
    """Words have the ids, the batches and the lengths that they have without it."""
    plain = [Example(" ".join(word.partition("|")[0] for word in source), (target,)) for source, target in PAIRS]
    beside = [Example(" ".join(f"{w}|c" for w in example.source.split()), example.targets) for example in plain]
    drawn = []
    for examples, factors in ((plain, 0), (beside, 1)):
        config = configured("pairs.tsv", source_factors=factors, source_unit=unit)
        vocabulary = build_vocabulary(Corpus(examples, examples[:3]), config)
        layout = Layout.of(vocabulary, config.model)
        batches = BucketedPairs(encode_pairs(examples, vocabulary), layout, 4, 16).batches(np.random.default_rng(1))
        drawn.append((vocabulary.source.symbols, list(batches)))
    assert drawn[0][0] == drawn[1][0]
    for (source, target), (factored, same) in zip(drawn[0][1], drawn[1][1], strict=True):
        np.testing.assert_array_equal(factored[..., 0], source)
        np.testing.assert_array_equal(factored[..., 1], np.where(source > 0, 2, 0))
        np.testing.assert_array_equal(same, target)


@pytest.mark.parametrize("kind", ["encoder-decoder", "repeat-vector", "same-length", "ctc"])
@pytest.mark.parametrize("padding", ["mask", "zeros"])
def test_every_kind_of_model_reads_factors(pairs: Path, kind: Any, padding: str) -> None:
    """Each changes what the model gives; behind the end of a source none does where padding is masked."""
    if padding != "mask" and kind in ("same-length", "ctc"):
        pytest.skip("these mask their padding")
    config = configured(pairs, kind=kind, padding=padding, units=4, embedding=3)
    corpus = load_corpus(config.data, seed=1)
    vocabulary = build_vocabulary(corpus, config)
    layout = Layout.of(vocabulary, config.model)
    model = build_model(config.model, layout)
    length = layout.source_length or 2
    read = [np.full((1, length), 2), np.full((1, length), 2), np.full((1, length), 3)]
    fed = [np.full((1, 2), 2)] if layout.fed else []
    plain = np.asarray(model([*read, *fed]))
    for place in (1, 2):
        other = [array.copy() for array in read]
        other[place][:] = 5 - other[place]
        assert not np.allclose(plain, model([*other, *fed]), atol=1e-7)
    if padding == "mask" and layout.fed:
        longer = [np.concatenate([array, [[0]]], axis=1) for array in read]
        np.testing.assert_allclose(plain, model([*longer, *fed]), atol=1e-6)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.tsv", "lead|N|x\tA\nwind|V\tB\n", "a.tsv, line 2: expected 2 factors behind each word (word|factor_1|fact"),
        ("a.tsv", "lead|N|x|z\tA\n", "a.tsv, line 1: expected 2 factors"),
        ("a.jsonl", '{"source": "lead||x", "target": "A"}\n', "a.jsonl, line 1: expected 2 factors"),
        ("a.csv", "source,target\nlead|N|x,A\nlead,B\n", "a.csv, line 3: expected 2 factors"),
    ],
)
@pytest.mark.parametrize("buffer", [None, 5])
def test_a_line_without_its_factors_is_named(
    tmp_path: Path, name: str, content: str, message: str, buffer: int | None
) -> None:
    """In every kind of file, in memory and on the disk."""
    (tmp_path / name).write_text(content, encoding="utf-8")
    columns = {"source_column": "source", "target_column": "target"} if name.endswith("csv") else {}
    config = configured(tmp_path / name, shuffle_buffer=buffer, **columns)

    def read() -> object:
        return StreamedTexts(config, tmp_path / "pairs") if buffer else load_corpus(config.data, seed=1)

    with pytest.raises(DataError) as caught:
        read()
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"source_factors": -1}, "source_factors: expected an integer of at least 0"),
        ({"source_factors": 0, "factor_separator": "_"}, "factor_separator: has no effect without source_factors"),
        ({"source_factors": 0, "factor_embedding": "8"}, "factor_embedding: has no effect without source_factors"),
        ({"factor_separator": ""}, "factor_separator: expected characters"),
        ({"factor_separator": "a b"}, "factor_separator: expected characters"),
        ({"factor_embedding": "8,4,2"}, "one for each of 2 factors, got 3"),
        ({"factor_embedding": "8,0"}, "factor_embedding: expected sizes of at least 1"),
        ({"factor_embedding": "wide"}, "factor_embedding: expected sizes of at least 1"),
        ({"embedding": 0}, "source_factors: factors have embeddings"),
        ({"padding": "space", "source_unit": "char", "target_unit": "char"}, "source_factors: padding 'space'"),
        ({"kind": "language-model", "source_unit": "char"}, "source_factors: no meaning with model 'language-model'"),
    ],
)
def test_options_that_make_no_sense(options: dict[str, Any], message: str) -> None:
    """Each is refused with the reason."""
    with pytest.raises(ConfigError) as caught:
        configured("pairs.tsv", **options)
    assert message in str(caught.value)


def test_built_in_data_have_no_factors() -> None:
    """There is nothing beside their words."""
    config = default_config("addition").override(source_factors=1, embedding=8, padding="mask")
    with pytest.raises(ConfigError, match="source_factors: expected none with the built-in data set"):
        load_corpus(config.data, seed=1)


def test_a_symbol_of_a_factor_may_not_name_padding(tmp_path: Path) -> None:
    """As no word may."""
    (tmp_path / "a.tsv").write_text("a|<pad>|x\tA\n" * 20, encoding="utf-8")
    config = configured(tmp_path / "a.tsv")
    examples = [Example("a|<pad>|x", ("A",))] * 3
    with pytest.raises(DataError, match="the texts hold '<pad>'"):
        build_vocabulary(Corpus(examples, examples), config)
