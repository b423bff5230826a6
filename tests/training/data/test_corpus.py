import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2s_training.config.data import DataConfig
from s2s_training.data.corpus import Corpus, Example, hash_share, source_key, split_corpus, write_tsv
from s2s_training.errors import DataError


def examples(n):
    """Numbered examples."""
    return [Example(f"source {i}", (f"target {i}",)) for i in range(n)]


def test_the_hash_of_a_source_never_changes():
    """Test words stay test words, on every machine and in every version."""
    assert [round(hash_share(text), 6) for text in ("", "hello", "Ça va ?")] == [0.893168, 0.655135, 0.883365]


def test_parts_are_disjoint_complete_and_of_about_the_shares():
    """Every example stands in exactly one part."""
    corpus = split_corpus(examples(5000), "hash", 0.1, 0.2)
    parts = [corpus.train, corpus.valid, corpus.test]
    assert sorted(itertools.chain(*parts)) == sorted(examples(5000))
    assert [round(len(part) / 5000, 1) for part in parts] == [0.7, 0.1, 0.2]


def test_a_source_stands_on_one_side_whatever_its_target_and_the_other_rows():
    """Rows of the same source share a part, also in a smaller data set."""
    twice = [*examples(500), *(Example(source, ("other",)) for source, _ in examples(500))]
    whole = split_corpus(twice, "hash", 0.1, 0.2)
    assert {e.source for e in whole.train}.isdisjoint({e.source for e in [*whole.valid, *whole.test]})
    part = split_corpus(examples(250), "hash", 0.1, 0.2)
    assert {e.source for e in part.test} == {e.source for e in whole.test} & {e.source for e in examples(250)}


def test_a_larger_test_share_contains_the_smaller():
    """Raising the share never moves a test source into training."""
    small, large = (split_corpus(examples(500), "hash", 0.1, share) for share in (0.1, 0.3))
    assert set(small.test) < set(large.test)


@pytest.mark.parametrize("form", ["NFC", "NFD", "NFKC", "NFKD"])
def test_sources_that_the_model_reads_alike_share_a_part(form):
    """Spellings that differ in case, in composition, or in what the normal form levels are one source."""
    key = source_key(DataConfig(data="x", lowercase=True, source_normalization=form))
    compatible = ["\ufb01 {}\u00e9"] if form in ("NFKC", "NFKD") else []
    spellings = ["fi {}\u00e9", "FI {}\u00c9", "fi {}e\u0301", "Fi {}E\u0301", *compatible]
    rows = [Example(spelling.format(i), (f"{i} {j}",)) for i in range(300) for j, spelling in enumerate(spellings)]
    corpus = split_corpus(rows, "hash", 0.1, 0.2, key=key)
    read = [{key(example.source) for example in part} for part in (corpus.train, corpus.valid, corpus.test)]
    assert sum(map(len, read)) == 300
    assert [len(example.targets) for example in corpus.held_out()] == [len(spellings)] * len(read[2])


def test_the_part_of_a_source_does_not_depend_on_how_accents_are_read():
    """Decomposed or composed, a source is held out or not by the hash of the same text; without a form, as written."""
    keys = [source_key(DataConfig(data="x", source_normalization=form)) for form in ("NFC", "NFD", None)]
    assert [key("\u00e9 A") for key in keys] == ["\u00e9 A"] * 3
    as_written = source_key(DataConfig(data="x", normalization=None))
    assert [as_written(text) for text in ("\u00e9", "e\u0301")] == ["\u00e9", "e\u0301"]


def test_last_rows_are_held_out_in_order():
    """Split "last" keeps the order and has no test part, as published."""
    corpus = split_corpus(examples(10), "last", 0.2, 0.0)
    assert (corpus.train, corpus.valid, corpus.test) == (examples(10)[:8], examples(10)[8:], [])


def test_too_few_pairs_for_a_part_is_an_error():
    """An empty part is named before training starts."""
    with pytest.raises(DataError, match="too few pairs: 1 leave none for the validation and test part; give"):
        split_corpus([Example("source 1", ("x",))], "hash", 0.05, 0.05)


def test_held_out_merges_the_targets_of_a_source_and_ignores_the_order_of_rows():
    """All targets seen with a source count as right; the order depends on the sources alone."""
    test = [Example("a", ("1",)), Example("b", ("2", "3")), Example("a", ("4", "1"))]
    merged = Corpus([], [Example("v", ("5",))], test).held_out()
    assert sorted(merged) == [Example("a", ("1", "4")), Example("b", ("2", "3"))]
    assert [e.source for e in Corpus([], [], test[::-1]).held_out()] == [e.source for e in merged]


def test_held_out_falls_back_on_the_validation_part():
    """Where there is no test part, the validation part is scored."""
    assert Corpus([], [Example("v", ("5",))]).held_out() == [Example("v", ("5",))]


@given(st.text())
def test_hash_shares_lie_in_the_unit_interval(text):
    """Any text has a share in [0, 1)."""
    assert 0 <= hash_share(text) < 1


def test_write_tsv_has_a_column_per_target(tmp_path):
    """The first two columns are a pair like any other; further right targets follow."""
    write_tsv(tmp_path / "test.tsv", [Example("a", ("1", "4")), Example("b", ("2",))])
    assert (tmp_path / "test.tsv").read_text(encoding="utf-8") == "a\t1\t4\nb\t2\n"
    assert [path.name for path in tmp_path.iterdir()] == ["test.tsv"]


@pytest.mark.parametrize(
    ("examples", "message"),
    [
        (
            [Example("a", ("b",))] * 300,
            "all 300 pairs are one and the same, 'a' to 'b': a source stands on one side only, which leaves none for "
            "the validation part; give different pairs, or split 'last' to hold out copies",
        ),
        (
            [Example("a", (str(i),)) for i in range(300)],
            "300 pairs hold only 1 different source ('a'): a source stands on one side only, which leaves none for "
            "the validation part; give more of them, or split 'last'",
        ),
    ],
)
def test_copies_that_cannot_be_held_out_are_named(examples, message):
    """That they are copies is what is wrong, not the shares; with split "last" they are taken."""
    with pytest.raises(DataError) as caught:
        split_corpus(examples, "hash", 0.05, 0.0)
    assert str(caught.value) == message
    assert len(split_corpus(examples, "last", 0.05, 0.0).valid) == 15
