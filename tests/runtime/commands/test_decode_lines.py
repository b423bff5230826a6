"""The lines that s2s-decode reads and writes: files, standard input, streams, a prompt; errors that name the text."""

from __future__ import annotations

import gzip
import lzma
from pathlib import Path

import pytest
from decode_command import NUMBERS, ONEHOT, TEXTS, TINY, run
from typer.testing import CliRunner

from s2s_runtime import InputError, Model
from s2s_runtime.commands import decode as cli


def test_messages_name_the_text(tmp_path: Path) -> None:
    """Counted as a person counts, whatever is read ahead, and whether source or target is wrong."""
    assert "error: text 2: 12 tokens, but this bundle's model reads" in run(ONEHOT, "ab", "ab" * 6).stderr
    pairs = "bad\tBAD\nace\tACE\nbox\tBAD\n"
    for ahead in ("1", "2", "9"):
        assert run(TINY, "--score", "--read-ahead", ahead, stdin=pairs).stderr.startswith("error: text 3: unknown char")
    expected = "expected ids separated by spaces, as this bundle has no target vocabulary; got 'x'"
    assert run(NUMBERS, "0 1", "--prefix", "x").stderr == f"error: --prefix: {expected}\n"
    assert run(NUMBERS, "--score", stdin="0 1\tx\n").stderr == f"error: text 1: {expected}\n"
    latin = tmp_path / "latin.tsv"
    latin.write_bytes("é\tè\n".encode("latin-1"))
    found = run(TINY, "abc", "--replace-unknown", "--phrase-table", str(latin))
    assert found.stderr.startswith(f"error: {latin}, line 1: not UTF-8 (")


def test_inputs_as_people_have_them(tiny: Model, tmp_path: Path) -> None:
    """Packed, in another encoding, with line ends of old Macs, from a file or standard input: the same outputs."""
    texts, source = ["abc", "edc"], tmp_path / "in"
    expected = "".join(f"{result.text}\n" for result in tiny.generate(texts))
    for content, options in (
        (gzip.compress(b"abc\nedc\n"), []),
        (lzma.compress("abc\r\nedc".encode("utf-16")), ["--encoding", "utf-16"]),
        ("\ufeffabc\redc\r".encode(), []),
    ):
        source.write_bytes(content)
        assert run(TINY, "--input", str(source), *options).stdout == expected
        assert CliRunner().invoke(cli.app, [TINY, *options], input=content).stdout == expected
        encoding = options[1] if options else None
        tiny.generate_file(source, tmp_path / "out", encoding=encoding)
        assert (tmp_path / "out").read_text() == expected
    assert run(TINY, "--encoding", "utf-16", "abc").exit_code == 2


def test_an_input_that_is_no_text_replaces_nothing(tiny: Model, tmp_path: Path) -> None:
    """It is looked at before the output is opened; the encoding that it looks like is named."""
    source, target = tmp_path / "in", tmp_path / "out"
    source.write_bytes("abc\n".encode("utf-16"))
    target.write_text("old\n")
    found = run(TINY, "--input", str(source), "--output", str(target), "--force")
    assert (
        found.stderr
        == f'error: {source}: it looks like UTF-16, as Excel writes "Unicode text"; give --encoding utf-16\n'
    )
    with pytest.raises(InputError, match="it looks like UTF-16"):
        tiny.generate_file(source, target)
    assert target.read_text() == "old\n"


def test_texts_are_streamed(tiny: Model) -> None:
    """--stream writes the same text, from arguments, stdin or a file, with prefix and sampling."""
    expected = "".join(f"{result.text}\n" for result in tiny.generate(TEXTS, prefix=["E"] * 4))
    assert run(TINY, "--stream", "--prefix", "E", *TEXTS).stdout == expected
    assert run(TINY, "--stream", "--prefix", "E", stdin="\n".join(TEXTS)).stdout == expected


def test_a_prompt_survives_mistakes(tiny: Model) -> None:
    """--interactive answers line by line; an error is said and the next text asked for; the end of input ends it."""
    found = run(TINY, "--interactive", stdin="abc\naXc\n\nde\n")
    assert found.exit_code == 0
    answers = [result.text for result in tiny.generate(["abc", "de"])]
    assert [line.replace("> ", "") for line in found.stdout.splitlines()][:1] == answers[:1]
    assert answers[1] in found.stdout
    assert "error: unknown character 'X' at position 1 of 'aXc'" in found.stderr


def test_what_an_output_held_is_kept_until_there_is_work(tmp_path: Path) -> None:
    """An input that isn't there, a text that can't be decoded: nothing is truncated, and nothing left behind."""
    held = tmp_path / "held"
    held.write_text("precious\n")
    for arguments in (["--input", str(tmp_path / "missing")], ["abc", ""]):
        assert run(TINY, *arguments, "--output", str(held), "--force").exit_code == 1
        assert held.read_text() == "precious\n"
        assert run(TINY, *arguments, "--output", str(tmp_path / "new")).exit_code == 1
        assert not (tmp_path / "new").exists()
    (tmp_path / "linked").hardlink_to(held)
    found = run(TINY, "--input", str(held), "--output", str(tmp_path / "linked"), "--force")
    assert (found.exit_code, held.read_text()) == (2, "precious\n")


def test_texts_are_utf_8(tiny: Model) -> None:
    """Bytes on the command line that aren't are named; what is streamed is, whatever the terminal's encoding."""
    found = run(TINY, "abc", "a\udcffb", "--json")
    assert (found.exit_code, found.stdout) == (2, "")
    assert found.stderr.startswith("error: text 2 is not UTF-8: 'a\\udcffb'")
    streamed = CliRunner(charset="ascii").invoke(cli.app, [TINY, "abc", "--stream"])
    assert streamed.stdout_bytes.decode("utf-8") == tiny.generate(["abc"])[0].text + "\n"


def test_errors_name_the_text() -> None:
    """By its line, streamed or not."""
    for mode in ([], ["--stream"]):
        found = run(ONEHOT, *mode, stdin="ab\nabcdabcd\n")
        assert found.exit_code == 1
        assert found.stderr.startswith("error: text 2: 8 tokens, but this bundle's model reads sources padded to 6")


def test_unknown_symbols_are_counted(tiny: Model) -> None:
    """--unknown skip decodes the rest and says on stderr what was left out, the most frequent first."""
    found = run(TINY, "--unknown", "skip", stdin="aXbY\nXc\nde\n")
    assert found.stdout == "".join(f"{result.text}\n" for result in tiny.generate(["ab", "c", "de"]))
    assert found.stderr == "warning: 3 symbols that the model doesn't know: 'X' (2), 'Y' (1)\n"
    many = run(TINY, "--unknown", "skip", "aFGHIJKLMNOPQ")
    assert many.stderr.endswith(" and 2 more\n")


def test_files_go_in_and_out(tiny: Model, tmp_path: Path) -> None:
    """--input and --output; an output that holds something is kept unless --force or --resume is given."""
    (tmp_path / "in").write_text("\n".join(TEXTS) + "\n")
    files = ["--input", str(tmp_path / "in"), "--output", str(tmp_path / "out")]
    expected = "".join(f"{result.text}\n" for result in tiny.generate(TEXTS))
    (tmp_path / "out").touch()
    found = run(TINY, *files)
    assert (found.exit_code, found.stdout, found.stderr) == (0, "", "")
    assert (tmp_path / "out").read_text() == expected
    kept = run(TINY, *files)
    assert kept.exit_code == 1
    assert kept.stderr == (
        f"error: {tmp_path / 'out'}: exists already; give --resume to go on behind it or --force to replace it\n"
    )
    (tmp_path / "out").write_text("old\n")
    assert run(TINY, *files, "--force").exit_code == 0
    assert (tmp_path / "out").read_text() == expected
    assert run(TINY, "--output", str(tmp_path / "out"), "--resume", *TEXTS, "abc").exit_code == 0
    assert (tmp_path / "out").read_text() == expected + tiny.generate(["abc"])[0].text + "\n"
    assert run(TINY, "--input", str(tmp_path / "in")).stdout == expected


def test_n_best_files_are_resumed_at_a_whole_text(tmp_path: Path) -> None:
    """The last text of a numbered output is decoded again, as hypotheses of it may be missing."""
    options = ["-n", "2", "--beam-size", "2", "--output", str(tmp_path / "out")]
    run(TINY, *TEXTS, *options)
    whole = (tmp_path / "out").read_text()
    (tmp_path / "out").write_text("".join(whole.splitlines(keepends=True)[:5]))
    assert run(TINY, *TEXTS, *options, "--resume").exit_code == 0
    assert (tmp_path / "out").read_text() == whole
