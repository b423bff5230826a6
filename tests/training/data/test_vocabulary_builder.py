import pytest

from s2s_training.config.data import DataConfig
from s2s_training.data.corpus import Corpus, Example
from s2s_training.data.datasets import default_config, tutorial_config
from s2s_training.data.vocabulary_builder import build_vocabulary, drop_long
from s2s_training.errors import DataError


def pairs(*rows):
    """Examples with one target each."""
    return [Example(source, (target,)) for source, target in rows]


CORPUS = Corpus(pairs(("ba", "dé"), ("b", "ddd")), pairs(("cz", "f")))


def test_masked_vocabularies_name_their_special_symbols():
    """Padding is id 0 on both sides; only training pairs are looked at; the end counts in the longest target."""
    built = build_vocabulary(CORPUS, default_config("x"))
    assert built.source.symbols == ("<pad>", "<unk>", "a", "b")
    assert built.target.symbols == ("<pad>", "<unk>", "<s>", "</s>", "d", "é")
    assert (built.source.padding_id, built.target.start_id, built.target.end_id) == (0, 2, 3)
    assert (built.padding.masked, built.padding.id, built.padding.length, built.max_length) == (True, 0, None, 4)


def test_one_hot_masked_models_pad_with_zero_rows():
    """No symbol is spent on padding: id -1 stands for a row of zeros."""
    built = build_vocabulary(CORPUS, default_config("x").override(embedding=0))
    assert built.source.symbols == ("<unk>", "a", "b")
    assert (built.padding.id, built.source.padding, built.target.padding) == (-1, None, None)


def test_the_tutorial_has_exactly_the_characters_of_all_rows():
    """Sorted, with tab and line feed among the target's; padded to the longest source; no unknown symbol."""
    corpus = Corpus(pairs(("b a", "d é"), ("b", "ddd")), pairs(("cz", "f")))
    built = build_vocabulary(corpus, tutorial_config("x"))
    assert "".join(built.source.symbols) == " abcz"
    assert "".join(built.target.symbols) == "\t\n dfé"
    assert (built.target.start, built.target.end, built.source.unknown) == ("\t", "\n", None)
    assert (built.padding.masked, built.padding.id, built.padding.length) == (False, 0, 3)
    assert built.max_length == 5  # both wrappers count: the length of the published decoder input
    assert build_vocabulary(corpus, tutorial_config("x").override(padding="zeros")).padding.id == -1


def test_a_limit_gives_models_that_read_their_padding_an_unknown_symbol():
    """What isn't kept becomes it; the space stays, however rare, where it pads."""
    corpus = Corpus(pairs(("bb a", "dd é"), ("b", "ddd")), pairs(("cz", "f")))
    built = build_vocabulary(corpus, tutorial_config("x").override(min_count=2))
    assert built.source.symbols == (" ", "<unk>", "b")
    assert built.target.symbols == ("\t", "\n", " ", "<unk>", "d")
    assert built.source.encode("bab") == [2, 1, 2]
    assert built.padding.id == built.source.symbols.index(" ")
    limited = build_vocabulary(corpus, tutorial_config("x").override(padding="zeros", vocabulary_size=1))
    assert limited.source.symbols == ("<unk>", "b")
    assert limited.padding.id == -1


def test_embeddings_that_read_zeros_as_padding_have_a_symbol_for_it():
    """Symbols are named as with a mask, of all parts; sources are as long as the longest of them."""
    corpus = Corpus(pairs(("b a", "d"), ("b", "ddd")), pairs(("czcz", "f")))
    built = build_vocabulary(corpus, default_config("x").override(padding="zeros"))
    assert built.source.symbols == ("<pad>", "<unk>", " ", "a", "b", "c", "z")
    assert built.target.symbols == ("<pad>", "<unk>", "<s>", "</s>", "d", "f")
    assert (built.padding.masked, built.padding.id, built.padding.length, built.max_length) == (False, 0, 4, 4)


def test_a_fixed_number_of_steps_ends_with_a_symbol_where_padding_is_masked():
    """Nothing is fed, so nothing starts."""
    built = build_vocabulary(CORPUS, default_config("x").override(kind="repeat-vector"))
    assert built.target.symbols[:3] == ("<pad>", "<unk>", "</s>")
    assert (built.target.start, built.max_length) == (None, 4)


def test_addition_has_one_table_for_both_sides():
    """Twelve symbols each, as published; answers end in padding instead of an end symbol."""
    corpus = Corpus(pairs(("535+61", "596"), ("7+1", "8"), ("999+999", "1998")), pairs(("2+4", "6"), ("0+3", "3")))
    built = build_vocabulary(corpus, default_config("addition").override(reverse=True))
    assert "".join(built.source.symbols) == "".join(built.target.symbols) == " +0123456789"
    assert (built.target.start, built.target.end, built.target.padding, built.max_length) == (None, None, " ", 4)
    assert (built.padding.side, built.padding.length) == ("left", 7)


def test_words_are_cut_normalised_and_counted():
    """Rare words become the unknown symbol."""
    config = default_config("x").override(source_unit="word", min_count=2, lowercase=True, target_unit="symbol")
    built = build_vocabulary(Corpus(pairs(("Go on!", "A B"), ("go!", "A A")), []), config)
    assert built.source.symbols == ("<pad>", "<unk>", "!", "go")
    assert built.source.encode("GO away!") == [3, 1, 2]
    assert built.target.symbols[4:] == ("a",)


def test_sources_may_have_a_normal_form_of_their_own():
    """Accents and Korean syllables taken apart on the one side, phones composed on the other."""
    config = default_config("x").override(source_normalization="NFD", target_unit="phone")
    built = build_vocabulary(Corpus(pairs(("é한", "çː")), []), config)
    assert built.source.symbols[2:] == ("e", "\u0301", "\u1112", "\u1161", "\u11ab")
    assert built.source.encode("e\u0301") == built.source.encode("\u00e9") == [2, 3]
    assert built.target.symbols[4:] == ("\u00e7", "ː")
    assert built.target.decode([4, 5]) == "\u00e7ː"


def test_a_special_symbol_in_the_texts_is_an_error():
    """It would be taken for padding."""
    with pytest.raises(DataError, match="the texts hold '<pad>', which names a special symbol"):
        build_vocabulary(Corpus(pairs(("a <pad>", "b")), []), default_config("x").override(source_unit="symbol"))


def test_length_limits_apply_to_training_pairs_only():
    """Held-out pairs are judged as they come."""
    config = DataConfig(data="x", max_source_length=1, max_target_length=3)
    kept = drop_long(CORPUS, config)
    assert (kept.train, kept.valid) == (pairs(("b", "ddd")), CORPUS.valid)
    with pytest.raises(DataError, match="no training pair has at most 1 source and 1 target symbols"):
        drop_long(CORPUS, DataConfig(data="x", max_source_length=1, max_target_length=1))
