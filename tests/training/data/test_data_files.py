"""Pairs from parallel files and from files with a header, parts in files of their own, limits of the vocabulary."""

import pytest

from s2s_training.data.corpus import Corpus, Example, write_tsv
from s2s_training.data.datasets import default_config, load_corpus
from s2s_training.data.pair_files import read_columns, read_parallel, read_tsv
from s2s_training.data.text_files import Reading
from s2s_training.data.vocabulary_builder import build_vocabulary
from s2s_training.errors import ConfigError, DataError, DataNotFoundError

STRICT = Reading(strict=True)


@pytest.fixture
def write(tmp_path):
    """Writes a file and gives its path."""

    def to_file(name, content):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return to_file


def test_parallel_files_belong_together_line_by_line(write):
    """Line ends of any system; a tab, which a run's test.tsv has between its columns, counts as a space."""
    source, target = write("a.en", "Go.\r\nRun\t!\n"), write("a.fr", "Va !\nCours !")
    assert list(read_parallel(source, target)) == [Example("Go.", ("Va !",)), Example("Run !", ("Cours !",))]
    assert list(read_parallel(source, target, rows=1)) == [Example("Go.", ("Va !",))]


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        ("a\nb\n", "A\n", "a.fr has 1 lines, "),
        ("a\n", "A\nB\n", "a.en has 1 lines, "),
        ("a\n\n", "A\nB\n", "a.en, line 2: without source; remove or mend it, or go without --strict"),
        ("", "", "a.en is empty: expected a source per line"),
        ("a\n", b"\xff\n", "a.fr, line 1: not UTF-8 (byte 0xff at 1: invalid start byte); give the encoding it is in"),
    ],
)
def test_parallel_files_that_do_not_fit_are_errors(write, source, target, message):
    """Which file and which line."""
    with pytest.raises(DataError) as caught:
        list(read_parallel(write("a.en", source), write("a.fr", target), reading=STRICT))
    assert message in str(caught.value)


def test_csv_columns_go_by_name_and_may_be_quoted(write):
    """Quotes, commas and line ends inside a cell as RFC 4180 has them; other columns don't matter."""
    path = write("a.csv", '\ufeffid,fr,en\r\n1,"Va, toi !","Go ""now"""\r\n2,Cours !,Run\r\n')
    expected = [Example('Go "now"', ("Va, toi !",)), Example("Run", ("Cours !",))]
    assert list(read_columns(path, "en", "fr")) == expected
    assert list(read_columns(path, "en", "fr", rows=1)) == expected[:1]


def test_tabs_and_line_ends_in_a_cell_are_spaces(write, tmp_path):
    """What is written as held-out pairs reads back as the same pairs, one a line."""
    path = write("a.csv", 'en,fr\n"Go on,\r\nTom!\n","Va\t!"\n"a\nb",c\n')
    examples = [Example("Go on, Tom!", ("Va !",)), Example("a b", ("c",))]
    assert list(read_columns(path, "en", "fr")) == examples
    write_tsv(tmp_path / "test.tsv", examples)
    assert list(read_tsv(tmp_path / "test.tsv")) == examples


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('en,"fr\na,b\n', r"a\.csv, line 2: unexpected end of data; quote the cell as RFC 4180 has it"),
        ("en,fr\ra,b\r", r"a\.csv: a CSV file needs source_column and target_column, .*: en, fr$"),
    ],
)
def test_a_header_is_read_as_rows_are(write, content, message):
    """Any line ends, and an open quote is an error that names the line, also while columns are not named yet."""
    path = write("a.csv", content)
    with pytest.raises(DataError, match=message):
        load_corpus(default_config(str(path)).data, seed=1)
    if "\r" in content:
        assert list(read_columns(path, "en", "fr")) == [Example("a", ("b",))]


def test_tsv_with_a_header_has_no_quotes(write):
    """A quotation mark in a TSV file is text."""
    assert list(read_columns(write("a.tsv", 'en\tfr\n"Go"\tVa\n'), "en", "fr")) == [Example('"Go"', ("Va",))]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("en,de\na,b\n", "a.csv: no column 'fr': it has 'en', 'de'"),
        ("en,fr\na,b\nc,\n", "a.csv, line 3: without target; remove or mend it, or go without --strict"),
        ("en,fr\na\n", "a.csv, line 2: without target"),
        ("en,fr\n", "a.csv: expected rows of pairs after the header, got none"),
        ("", "a.csv: no column 'en': it has none"),
        ('en,fr\n"a"b,c\n', "a.csv, line 2: "),
    ],
)
def test_bad_tables_are_named_by_line(write, content, message):
    """Each is one line that says where and what."""
    with pytest.raises(DataError) as caught:
        list(read_columns(write("a.csv", content), "en", "fr", reading=STRICT))
    assert message in str(caught.value)


def test_rows_without_a_pair_are_left_out_and_counted(write, caplog):
    """Whatever the form of the file: the warning says how many, why, and on which lines."""
    columns = list(read_columns(write("a.csv", "en,fr\na,A\nb,\n\n,C\nd,D\n"), "en", "fr"))
    assert columns == [Example("a", ("A",)), Example("d", ("D",))]
    assert caplog.messages[-1].endswith(
        "a.csv: left out 3 of 6 lines: 1 without target (line 3), 1 empty (line 4), 1 without source (line 5)"
    )
    both = list(read_parallel(write("a.en", "a\n\nc\n"), write("a.fr", "A\nB\n \n")))
    assert both == [Example("a", ("A",))]
    assert caplog.messages[-1].endswith("left out 2 of 3 lines: 1 without source (line 2), 1 without target (line 3)")


def test_files_as_excel_writes_them(write):
    """UTF-16 with tabs ("Unicode text"), and CSV separated by semicolons; any of the options a run has for them."""
    rows = "en\tfr\r\nGo.\tVa\u202f!\r\nRun!\tCours !\r\n"
    path = write("a.txt", rows.encode("utf-16"))
    expected = [Example("Go.", ("Va\u202f!",)), Example("Run!", ("Cours !",))]
    with pytest.raises(DataError, match=r'a\.txt: it looks like UTF-16, as Excel writes "Unicode text"; give '):
        list(read_columns(path, "en", "fr"))
    assert list(read_columns(path, "en", "fr", reading=Reading("utf-16"))) == expected
    assert list(read_columns(write("a.csv", rows.replace("\t", ";")), "en", "fr")) == expected


def test_a_csv_file_needs_the_names_of_its_columns(write):
    """The error lists them."""
    config = default_config(str(write("a.csv", "en,fr\na,b\n"))).data
    with pytest.raises(DataError, match=r"needs source_column and target_column, .* columns: en, fr$"):
        load_corpus(config, seed=1)


def test_parts_may_be_files_of_their_own(write):
    """Then nothing of the data is held out, and the test file is what is scored."""
    data, valid, test = (write(name, f"{name}\tx\n") for name in ("train", "valid", "test"))
    config = default_config(str(data)).override(valid_data=str(valid), test_data=str(test)).data
    corpus = load_corpus(config, seed=1)
    assert [part[0].source for part in (corpus.train, corpus.valid, corpus.test)] == ["train", "valid", "test"]
    without = load_corpus(default_config(str(data)).override(valid_data=str(valid)).data, seed=1)
    assert without.test == []
    assert without.held_out() == without.valid


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"source_column": "en"}, "source_column, target_column: expected both or none, got 'en' and None"),
        ({"test_data": "x"}, "test_data: expected valid_data beside it, got 'x' alone"),
        ({"target_file": "x", "source_column": "a", "target_column": "b"}, "two parallel files have no columns"),
    ],
)
def test_contradictions_between_files_are_errors(options, message):
    """Refused before anything is read."""
    with pytest.raises(ConfigError) as caught:
        default_config("pairs.tsv").override(**options)
    assert message in str(caught.value)


def test_files_that_are_missing_or_without_use_are_errors(write):
    """Which option names them."""
    data = default_config(str(write("a.tsv", "a\tb\n")))
    with pytest.raises(DataNotFoundError, match=r"valid_data: no file 'none\.tsv'"):
        load_corpus(data.override(valid_data="none.tsv").data, seed=1)
    with pytest.raises(ConfigError, match="target_file: expected none with the built-in data set 'addition'"):
        load_corpus(default_config("addition").override(target_file="x").data, seed=1)


def test_vocabulary_size_keeps_the_most_frequent_symbols():
    """Of equally frequent ones the first by code point; named symbols come on top; the rest is unknown."""
    corpus = Corpus([Example("ccbbad", ("xyyz",))], [])
    built = build_vocabulary(corpus, default_config("x").override(vocabulary_size=3))
    assert built.source.symbols == ("<pad>", "<unk>", "a", "b", "c")
    assert built.target.symbols == ("<pad>", "<unk>", "<s>", "</s>", "x", "y", "z")
    assert built.source.encode("d") == [built.source.unknown_id]
    rare = build_vocabulary(corpus, default_config("x").override(vocabulary_size=3, min_count=2))
    assert rare.source.symbols == ("<pad>", "<unk>", "b", "c")


def test_addition_inverts_its_sources_on_demand():
    """`reverse` and `digits` reach the vocabulary and the sums: padded at the end, then turned round as a whole."""
    config = default_config("addition").override(digits=2, rows=500, reverse=True)
    corpus = load_corpus(config.data, seed=1)
    assert max(len(e.source) for e in corpus.train) == len("99+99")
    vocabulary = build_vocabulary(corpus, config)
    assert vocabulary.source.tokens(vocabulary.source.encode_sentence("12+3")) == list("3+21")
    assert (vocabulary.padding.side, vocabulary.padding.length) == ("left", 5)
