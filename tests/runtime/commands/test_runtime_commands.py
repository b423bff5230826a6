"""The commands s2s-decode, s2s-bench and s2s-inspect: output, exit codes, and every bad input as one line."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from places import FIXTURES
from rich.console import Console
from typer.testing import CliRunner, Result

from s2s_runtime import Model, Vocabulary
from s2s_runtime.commands import bench as bench_cli
from s2s_runtime.commands import decode as cli
from s2s_runtime.commands import inspect as inspect_cli
from s2s_runtime.commands.inspection.tables import describe

TINY = str(FIXTURES / "tiny.s2s")
VALUES = TINY.replace("tiny.s2s", "tiny-values.s2s")
NUMBERS = TINY.replace("tiny.s2s", "tiny-probabilities.s2s")


def run(module: object, *arguments: str, stdin: str | None = None) -> Result:
    """Run a command in this process."""
    return CliRunner().invoke(module.app, list(arguments), input=stdin)  # type: ignore[attr-defined]


def test_texts_are_decoded_one_per_line(tiny: Model) -> None:
    """Texts as arguments, or the lines of stdin: one output line each, in order."""
    texts = ["abc", "de", "edcba"]
    expected = "".join(f"{result.text}\n" for result in tiny.generate(texts))
    from_arguments = (
        run(cli, "decode", TINY, *texts) if len(cli.app.registered_commands) > 1 else run(cli, TINY, *texts)
    )
    assert (from_arguments.exit_code, from_arguments.stdout) == (0, expected)
    from_stdin = run(cli, TINY, stdin="abc\nde\r\nedcba")
    assert (from_stdin.exit_code, from_stdin.stdout) == (0, expected)


def test_lines_are_read_ahead_and_written_in_order(tiny: Model) -> None:
    """More lines than are read at once come out complete and in order."""
    texts = ["abcde"[: 1 + i % 5] for i in range(100)]
    expected = [result.text for result in tiny.generate(texts)]
    found = run(cli, TINY, "--batch-size", "2", stdin="\n".join(texts))
    assert found.stdout.splitlines() == expected


def test_hypotheses_are_numbered_and_scored(tiny: Model) -> None:
    """With -n each hypothesis has a line: number of the text, score where asked for, text."""
    results = tiny.generate(["abc", "de"], beam_size=4, num_hypotheses=2)
    expected = [f"{i}\t{h.score:.4f}\t{h.text}" for i, r in enumerate(results, 1) for h in r.hypotheses]
    found = run(cli, TINY, "abc", "de", "--beam-size", "4", "-n", "2", "--scores")
    assert found.stdout.splitlines() == expected


def test_json_lines_hold_the_whole_result(tiny: Model) -> None:
    """One object per text with the text and what Result.to_dict gives."""
    found = run(cli, TINY, "abc", "de", "--beam-size", "3", "-n", "3", "--json")
    objects = [json.loads(line) for line in found.stdout.splitlines()]
    for text, result, parsed in zip(
        ["abc", "de"], tiny.generate(["abc", "de"], beam_size=3, num_hypotheses=3), objects, strict=True
    ):
        assert parsed.pop("text") == text
        scores = [hypothesis.pop("score") for hypothesis in parsed["hypotheses"]]
        assert scores == pytest.approx([h.score for h in result.hypotheses], abs=1e-5)
        plain = result.to_dict()
        assert [{k: v for k, v in h.items() if k != "score"} for h in plain["hypotheses"]] == parsed["hypotheses"]


def test_bundles_of_numbers_take_ids() -> None:
    """Without a vocabulary a text is ids separated by spaces; anything else is an error."""
    found = run(cli, NUMBERS, "0 1 2")
    assert found.exit_code == 0
    assert all(part.isdigit() for part in found.stdout.split())
    wrong = run(cli, NUMBERS, "0 1", "abc")
    assert (wrong.exit_code, wrong.stderr) == (
        1,
        "error: text 2: expected ids separated by spaces, as this bundle has no source vocabulary; got 'abc'\n",
    )


def test_empty_lines_are_an_error_or_kept() -> None:
    """An empty line is refused by its number; with --keep-empty it gives an empty line."""
    refused = run(cli, TINY, stdin="abc\n\nde\n")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert refused.stderr == "error: text 2 is empty; leave it out, or give --keep-empty to get an empty line for it\n"
    kept = run(cli, TINY, "--keep-empty", stdin="abc\n\nde\n")
    assert kept.exit_code == 0
    assert [bool(line) for line in kept.stdout.splitlines()] == [True, False, True]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.s2s", "abc"], "error: nowhere.s2s: no such folder; expected a bundle written by s2s-export\n"),
        (
            [TINY, "ab", "aXb"],
            "error: text 2: unknown character 'X' at position 1 of 'aXb': the vocabulary doesn't hold it and has no "
            "unknown symbol; remove or replace it\n",
        ),
        (
            [TINY, "ab", "-n", "3"],
            "error: num_hypotheses: expected at most beam_size * patience = 1 (beam_size 1, patience 1), got 3\n",
        ),
        (
            [NUMBERS, "1", "--attention-plot", "x.png"],
            "error: return_attention: needs attention, which this bundle's model doesn't have\n",
        ),
        (
            [VALUES, "1"],
            "error: generate: this bundle's model gives values, not tokens; use predict\n",
        ),
    ],
)
def test_failures_are_one_line_and_exit_1(arguments: list[str], message: str) -> None:
    """What was wrong and what to do, on stderr, nothing on stdout."""
    found = run(cli, *arguments)
    assert (found.exit_code, found.stdout, found.stderr) == (1, "", message)


def test_unknown_providers_are_refused() -> None:
    """A provider that this onnxruntime hasn't is an error that lists those it has."""
    found = run(cli, TINY, "abc", "--provider", "Nonesuch")
    assert found.exit_code == 1
    assert found.stderr.startswith("error: providers: Nonesuch not in this onnxruntime, which has ")
    assert found.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "arguments", [[TINY, "abc", "--beam-size", "0"], [TINY, "--no-such-option"], [], [TINY, "abc", "--max-length", "x"]]
)
def test_usage_errors_exit_2(arguments: list[str]) -> None:
    """Options out of range or unknown, arguments missing."""
    assert run(cli, *arguments).exit_code == 2


def test_altered_and_incomplete_bundles_are_refused(tmp_path: Path) -> None:
    """A graph file that was changed or lost is named; by every command."""
    folder = tmp_path / "model.s2s"
    shutil.copytree(TINY, folder)
    content = bytearray((folder / "decoder.onnx").read_bytes())
    content[-1] ^= 1
    (folder / "decoder.onnx").write_bytes(content)
    (folder / "encoder.onnx").unlink()
    for module, arguments in ((cli, ["abc"]), (bench_cli, []), (inspect_cli, [])):
        found = run(module, str(folder), *arguments)
        assert found.exit_code == 1
        assert found.stderr == (
            f"error: {folder}: encoder.onnx is missing; decoder.onnx was altered: its SHA-256 is not the one in the "
            f"manifest; export the model again or copy the whole folder\n"
        )


def test_attention_is_drawn(tmp_path: Path) -> None:
    """--attention-plot writes the picture, in the format of its ending, and leaves nothing else."""
    for name, start in (("map.png", b"\x89PNG"), ("map.svg", b"<?xml")):
        found = run(cli, TINY, "abc", "--attention-plot", str(tmp_path / name))
        assert (found.exit_code, found.stderr) == (0, "")
        assert (tmp_path / name).read_bytes().startswith(start)
    wrong = run(cli, TINY, "abc", "--attention-plot", str(tmp_path / "map.txt"))
    assert wrong.exit_code == 1
    assert "expected a file name that ends in .png, .svg or .pdf, got '.txt'" in wrong.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["map.png", "map.svg"]


def test_names_are_shown_as_they_are(tmp_path: Path) -> None:
    """A path that reads like markup or an emoji is a path, in s2s-inspect and in s2s-bench."""
    for name in ("d[/x].s2s", "[bold].s2s", ":smile:.s2s"):
        bundle = tmp_path / name
        bundle.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(TINY, bundle)
        quick = ("--batch-size", "1", "--beam-size", "1", "--repeats", "1", "--warm-up", "1")
        for shown in (run(inspect_cli, str(bundle)), run(bench_cli, str(bundle), *quick)):
            assert shown.exit_code == 0
            assert name in shown.stdout.replace("\n", "")


def test_inspect_shows_the_manifest() -> None:
    """What it reads and writes, tensors, graphs with sizes, vocabularies and findings; --json is the manifest."""
    found = run(inspect_cli, TINY)
    assert found.exit_code == 0
    size = f"{sum(file.stat().st_size for file in Path(TINY).glob('*.onnx')):,}"
    for word in (
        *("token ids (ids), 7 symbols", "feedback", "longest target", "masked by the model", "attention"),
        *("memory.1", "(batch, time)", "encoder.onnx", "2,500", size, "dbf3c44a4cb3..."),
        *("unit char", "padding '<pad>'", "verified.note", "made by hand", "make_tiny_bundle"),
    ):
        assert word in found.stdout, word
    whole = sum(path.stat().st_size for path in Path(TINY).iterdir())
    assert f"{whole:,} bytes, the manifest included" in found.stdout
    assert json.loads(run(inspect_cli, TINY, "--json").stdout)["format"] == "s2s-bundle"
    for bundle, word in ((VALUES, "2 features"), (NUMBERS, "the model knows numbers only")):
        assert word in run(inspect_cli, bundle).stdout


def test_inspect_shows_symbols_in_tables_only() -> None:
    """The manifest as JSON holds them anyway."""
    found = run(inspect_cli, TINY, "--symbols", "--json")
    assert (found.exit_code, found.stdout) == (2, "")
    assert found.stderr == "error: --symbols: no effect with --json, which holds every symbol anyway\n"


def test_inspect_shows_what_the_exporter_recorded(tiny: Model) -> None:
    """Checks become a table, node types one row a graph, nested findings dotted names, symbols all when asked for."""
    checks = [{"what": "greedy", "compared": 24, "difference": 1.5e-6}, {"what": "beam", "near_ties": 1}]
    nodes = {"decoder": {"Gemm": 2, "Tanh": 1}}
    symbols = tuple(chr(ord("!") + i) for i in range(40))
    manifest = replace(
        tiny.manifest,
        verification={"checks": checks, "node_types": nodes, "atol": 1e-4},
        source=replace(tiny.manifest.source, size=40),
        source_vocabulary=Vocabulary("char", symbols, unknown="!", normalization="NFC", lowercase=True),
    )
    console = Console(file=io.StringIO(), width=200)
    for table in describe("x", manifest):
        console.print(table)
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "Checks of the export" in shown
    assert "[{" not in shown
    for word in ("near ties", "1.5e-06", "verified.node_types.decoder", "Gemm 2, Tanh 1", "0.0001", "and 24 more"):
        assert word in shown, word
    assert "40 symbols, unit char, unknown '!', normal form NFC, lowercase" in shown
    for table in describe("x", manifest, every_symbol=True):
        console.print(table)
    assert "'H'" in console.file.getvalue()  # type: ignore[attr-defined]


def test_commands_in_a_process_of_their_own() -> None:
    """Installed entry points: text in, text out; nothing but the error on stderr, no traceback."""
    command = [sys.executable, "-c", "from s2s_runtime.commands.decode import main; main()"]
    good = subprocess.run([*command, TINY], input="abc\n", capture_output=True, text=True, check=False)
    assert (good.returncode, good.stdout.count("\n"), good.stderr) == (0, 1, "")
    bad = subprocess.run([*command, "nowhere", "a"], capture_output=True, text=True, check=False)
    assert (bad.returncode, bad.stdout) == (1, "")
    assert bad.stderr == "error: nowhere: no such folder; expected a bundle written by s2s-export\n"


def test_a_reader_that_leaves_is_no_traceback() -> None:
    """`s2s-decode ... | head -1` ends quietly."""
    lines = "abc\n" * 5000
    command = f'{sys.executable} -c "from s2s_runtime.commands.decode import main; main()" {TINY} | head -1'
    found = subprocess.run(["sh", "-c", command], input=lines, capture_output=True, text=True, check=False)
    assert found.stdout.count("\n") == 1
    assert found.stderr == ""


@pytest.mark.parametrize("module", [cli, bench_cli, inspect_cli])
def test_help_shows_examples(module: object) -> None:
    """Every command's --help ends with examples."""
    found = run(module, "--help")
    assert found.exit_code == 0
    assert "Examples" in found.stdout
    assert "model.s2s" in found.stdout
