"""Records in and out, lists of Moses and alignments of Pharaoh: as others read and write them."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import numpy as np
import pytest
from places import FIXTURES
from typer.testing import CliRunner

from s2s_runtime import Hypothesis, Model, Result
from s2s_runtime.commands import decode
from s2s_runtime.decoding.line_format import Alignment

TINY = str(FIXTURES / "tiny.s2s")
ROWS = [("1", 'a "b"', "abc"), ("2", "", "de"), ("3", "x,y", "")]


def run(*arguments: str, stdin: str) -> str:
    """What s2s-decode writes."""
    done = CliRunner().invoke(decode.app, [TINY, "--keep-empty", *arguments], input=stdin)
    assert done.exit_code == 0, done.stderr
    return done.stdout


def test_fields_of_json_objects_pass(tiny: Model) -> None:
    """All of them, as they are; the output beside them, a list where several are asked for; all of it with --json."""
    records = [{"n": [1, None], "text": text, "ü": {"a": "ß"}} for _, _, text in ROWS]
    lines = "".join(json.dumps(record) + "\n" for record in records)
    texts = [text for _, _, text in ROWS]
    written = run("--records", "jsonl", "--read-ahead", "2", stdin=lines).splitlines()
    expected = tiny.generate(texts)
    assert [json.loads(line) for line in written] == [
        {**record, "output": result.text} for record, result in zip(records, expected, strict=True)
    ]
    several = tiny.generate(texts, beam_size=2, num_hypotheses=2)
    written = run("--records", "jsonl", "-n", "2", "--beam-size", "2", "--scores", stdin=lines).splitlines()
    assert json.loads(written[1])["output"] == [h.text for h in several[1].hypotheses]
    assert json.loads(written[1])["score"] == pytest.approx([h.score for h in several[1].hypotheses])
    renamed = lines.replace('"text"', '"w"')
    written = run("--records", "jsonl", "--column", "w", "--json", stdin=renamed).splitlines()
    assert [json.loads(line)["hypotheses"][0]["text"] for line in written] == [result.text for result in expected]
    assert all(json.loads(line)["n"] == [1, None] for line in written)


@pytest.mark.parametrize("kind", ["tsv", "csv"])
def test_columns_of_rows_pass(tiny: Model, kind: str) -> None:
    """By a name in the first line, or by a number where there is none; the output is the last column."""
    delimiter = "\t" if kind == "tsv" else ","

    def joined(rows: list[tuple[str, ...]]) -> str:
        text = io.StringIO()
        rules = {"quoting": csv.QUOTE_NONE, "quotechar": None} if kind == "tsv" else {}
        csv.writer(text, delimiter=delimiter, lineterminator="\n", **rules).writerows(rows)  # type: ignore[arg-type]
        return text.getvalue()

    results = tiny.generate([word for _, _, word in ROWS])
    expected = [(*row, result.text) for row, result in zip(ROWS, results, strict=True)]
    assert run("--records", kind, "--column", "3", stdin=joined(ROWS)) == joined(expected)
    head = ("id", "note", "word")
    named = run("--records", kind, "--column", "word", "--read-ahead", "2", stdin=joined([head, *ROWS]))
    assert named == joined([(*head, "output"), *expected])
    [first, *_] = run("--records", kind, "--column", "word", "--json", stdin=joined([head, *ROWS])).splitlines()
    assert {**dict(zip(head, ROWS[0], strict=True))}.items() <= json.loads(first).items()


@pytest.mark.parametrize(
    ("arguments", "stdin", "message"),
    [
        (["--records", "jsonl"], "[1]\n", "text 1: expected a JSON object, got '[1]'"),
        (["--records", "jsonl"], "[" * 100_000 + "\n", "text 1: expected JSON, got '[[["),
        (["--records", "jsonl"], '{"text": "a", "n": "\\ud800"}\n', "text 1: expected JSON, got "),
        (
            ["--records", "jsonl"],
            '{"text": "a"}\n{"t": 1}\n',
            "text 2: expected a text as 'text', got null; give --column",
        ),
        (["--records", "jsonl"], '{"text": "a", "output": 1}\n', "text 1: has a field 'output' already"),
        (
            ["--records", "jsonl", "--json"],
            '{"text": "a", "hypotheses": 1}\n',
            "text 1: has a field 'hypotheses' already",
        ),
        (
            ["--records", "tsv", "--column", "word"],
            "a\tb\n",
            "text 1: expected the names of columns, 'word' among them",
        ),
        (["--records", "tsv", "--column", "b"], "a\tb\nx\n", "text 2: expected 2 columns as there are names, got 1"),
        (["--records", "csv", "--column", "2"], "a,b\nx\n", "text 2: expected at least 2 columns, got 1"),
        (["--records", "csv"], '"a\n', "text 1: expected a row of CSV on one line"),
        (["--column", "a"], "a\n", "--column: needs --records"),
        (["--records", "csv", "--json"], "a\n", "--records: expected no --json with rows, unless --column names one"),
        (["--records", "tsv", "-n", "2", "--beam-size", "2"], "a\n", "expected no --num-hypotheses, as a row has one"),
        (["--moses", "--json"], "a\n", "--moses: expected no --json beside it"),
        (["--phonetisaurus", "--moses"], "a\n", "--phonetisaurus: expected no --moses beside it"),
        (["--phonetisaurus", "--scores"], "a\n", "--phonetisaurus: expected no --scores beside it"),
        (["--alignment", "--phonetisaurus"], "a\n", "--alignment: expected no --phonetisaurus beside it"),
        (["--phonetisaurus", "--return-end-token"], "a\n", "--return-end-token: needs --json"),
        (["--alignment", "--stream"], "a\n", "--alignment: expected no --stream beside it"),
        (["--records", "jsonl", "--score"], "a\n", "--records"),
    ],
)
def test_what_is_no_record_is_one_error(arguments: list[str], stdin: str, message: str) -> None:
    """It names the line, and what is expected there."""
    done = CliRunner().invoke(decode.app, [TINY, *arguments], input=stdin)
    assert done.exit_code in (1, 2)
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_lists_of_moses(tiny: Model) -> None:
    """Number from 0, text, features, score; alignments behind them."""
    results = tiny.generate(["abc", "de"], beam_size=2, num_hypotheses=2)
    expected = "".join(
        f"{number} ||| {h.text} ||| score= {h.score:.4f} ||| {h.score:.4f}\n"
        for number, result in enumerate(results)
        for h in result.hypotheses
    )
    given = ["--moses", "-n", "2", "--beam-size", "2"]
    assert run(*given, stdin="abc\nde\n") == expected
    aligned = run(*given, "--alignment", stdin="abc\nde\n").splitlines()
    assert [line.rpartition(" ||| ")[0] for line in aligned] == expected.splitlines()


@pytest.mark.parametrize("penalty", [1.0, 0.0, 0.5])
def test_lines_of_phonetisaurus(tiny: Model, penalty: float) -> None:
    """Source, cost, output; the cost is the negative log-probability, however scores are made of it."""
    given = ["--phonetisaurus", "-n", "3", "--beam-size", "3", "--length-penalty", str(penalty)]
    lines = [line.split("\t") for line in run(*given, "--keep-empty", stdin="abc\n\nde\n").splitlines()]
    assert lines[3] == ["", "0.0000", ""]
    results = tiny.generate(["abc", "de"], beam_size=3, num_hypotheses=3, length_penalty=penalty)
    expected = []
    for source, result in zip(["abc", "de"], results, strict=True):
        scores = tiny.score([source] * 3, [h.ids for h in result.hypotheses])
        expected += [[source, -s.log_probability, h.text] for s, h in zip(scores, result.hypotheses, strict=True)]
    assert [
        [source, pytest.approx(float(cost), abs=2e-4), text] for source, cost, text in lines[:3] + lines[4:]
    ] == expected


def test_alignments_pair_what_attends_most(tiny: Model) -> None:
    """Source-target, from 0, without start and end on either side, in the order of the texts, reversed or not."""
    attention = np.array([[0.1, 0.2, 0.7], [0.6, 0.3, 0.1], [0.0, 0.1, 0.9]], np.float32)
    hypothesis = Hypothesis("AB", ["A", "B", "</s>"], [3, 4, 1], None, "end", None, attention)
    result = Result([hypothesis], ["a", "b", "</s>"])
    source, target = tiny.source_vocabulary, tiny.target_vocabulary
    assert source is not None
    assert target is not None
    assert Alignment(source, target)(hypothesis, result) == "1-0 0-1"
    assert Alignment(replace(source, reverse=True), target)(hypothesis, result) == "0-0 1-1"
    assert Alignment(source, replace(target, reverse=True))(hypothesis, result) == "0-0 1-1"
    assert Alignment(None, None)(hypothesis, result) == "2-0 0-1 2-2"
    [decoded] = tiny.generate(["abcd"], return_attention=True)
    pairs = " ".join(f"{row[:4].argmax()}-{i}" for i, row in enumerate(decoded.hypotheses[0].attention))  # type: ignore[arg-type]
    assert run("--alignment", stdin="abcd\n\n") == f"{decoded.text} ||| {pairs}\n ||| \n"
