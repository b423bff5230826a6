"""Pairs from folders and patterns, JSON lines and Parquet."""

import gzip
import json

import pytest

from s2s_training.data.corpus import Example
from s2s_training.data.datasets import default_config, load_corpus, require_data
from s2s_training.data.pair_files import read_pairs
from s2s_training.data.record_files import list_files
from s2s_training.errors import ConfigError, DataError, DataNotFoundError

EXPECTED = [Example(f"s{i}", (f"t {i}",)) for i in range(8)]


@pytest.fixture
def folder(tmp_path):
    """Eight pairs in files of four kinds, two in each, and what isn't to be read."""
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    rows = [(source, target) for source, (target,) in EXPECTED]
    (tmp_path / "0.tsv").write_text("".join(f"{s}\t{t}\n" for s, t in rows[:2]))
    lines = [json.dumps({"id": 1, "target": t, "source": s}) for s, t in rows[2:4]]
    (tmp_path / "1.jsonl.gz").write_bytes(gzip.compress("\n\n".join(lines).encode()))
    columns = {"source": [rows[4][0], None, rows[5][0]], "target": ["t\n4", "no source", rows[5][1]], "n": [1, 2, 3]}
    parquet.write_table(arrow.table(columns), tmp_path / "2.parquet", row_group_size=1)
    (tmp_path / "3.txt").write_text("".join(f"{s}\t{t}\n" for s, t in rows[6:]))
    for name in (".hidden.tsv", "_started.tsv", "notes.md"):
        (tmp_path / name).write_text("no pair in it")
    return tmp_path


def read(data, rows=None, **options):
    """The pairs that a configuration names."""
    config = default_config(str(data)).override(**options).data
    return list(read_pairs(config, list_files(config.data), None, rows))


def test_files_of_a_folder_are_one_corpus_in_the_order_of_their_names(folder, caplog):
    """TSV, JSON lines, Parquet and text; packed or not; rows without a pair are left out and counted."""
    assert read(folder) == EXPECTED
    assert caplog.messages == [f"{folder}/2.parquet: left out 1 of 3 lines: 1 without source (line 2)"]


@pytest.mark.parametrize(("rows", "left"), [(1, 1), (2, 2), (3, 3), (5, 5), (6, 5), (7, 6), (9, 8)])
def test_rows_count_over_all_files(folder, rows, left):
    """The first so many rows, those without a pair among them, wherever a file ends."""
    assert read(folder, rows) == EXPECTED[:left]


def test_a_pattern_names_some_of_them(folder, monkeypatch):
    """Relative to the working folder, or from the root."""
    assert read(folder / "[01]*") == EXPECTED[:4]
    monkeypatch.chdir(folder)
    assert read("*.txt") == EXPECTED[6:]


def test_a_run_reads_a_folder_as_it_does_one_file(folder, tmp_path_factory):
    """The same parts, whatever the pairs lie in."""
    (tmp_path_factory.mktemp("whole") / "pairs.tsv").write_text("".join(f"{s}\t{t}\n" for s, (t,) in EXPECTED))
    one = next(tmp_path_factory.getbasetemp().glob("whole*/pairs.tsv"))
    parts = {"split": "last", "valid_fraction": 0.25, "test_fraction": 0.0}
    corpora = [load_corpus(default_config(str(data)).override(**parts).data, 1) for data in (folder, one)]
    assert (corpora[0].train, corpora[0].valid) == (corpora[1].train, corpora[1].valid) == (EXPECTED[:6], EXPECTED[6:])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", '{"source": "a", "target": 3}\n', "a.jsonl, line 1: target: expected a text, got 3"),
        ("a.jsonl", "[1]\n", 'a.jsonl, line 1: expected an object, such as {"source": ..., "target": ...}, got'),
        ("a.jsonl", '{"a": 1}\n', "a.jsonl, line 1: no column 'source': it has 'a'; give source_column and"),
        ("a.jsonl", '{"source": "a"}\n', "a.jsonl: expected a JSON object per line, got none"),
        ("a.parquet", "text", "a.parquet: expected a Parquet file: "),
    ],
)
def test_bad_rows_are_one_line(tmp_path, name, content, message):
    """Each says which file and line, and what was expected."""
    if name.endswith(".parquet"):
        pytest.importorskip("pyarrow")
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError) as caught:
        read(tmp_path / name)
    assert message in str(caught.value)


def test_a_parquet_file_without_the_columns_names_those_it_has(folder):
    """And columns may be named."""
    with pytest.raises(DataError, match=r"no column 'en': it has 'source', 'target', 'n'"):
        read(folder / "2.parquet", source_column="en", target_column="target")
    assert read(folder / "2.parquet", source_column="target", target_column="source")[0] == Example("t 4", ("s4",))


def test_what_is_not_there_is_said_before_anything_is_loaded(tmp_path):
    """An empty folder, a pattern that matches nothing, a folder of sources beside a file of targets."""
    for data, message in ((tmp_path, "expected a folder of files"), (tmp_path / "*.tsv", "no file matches")):
        with pytest.raises(DataNotFoundError, match=message):
            require_data(default_config(str(data)))
    (tmp_path / "a.tsv").write_text("a\tb\n")
    with pytest.raises(ConfigError, match="target_file: expected one file of sources beside it, got the folder"):
        require_data(default_config(str(tmp_path)).override(target_file=str(tmp_path / "a.tsv")))
