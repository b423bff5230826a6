"""`s2s-evaluate`: pairs from a file, error rates against any right target, BLEU and chrF."""

import bz2
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from places import FIXTURES
from typer.testing import CliRunner

import s2s_runtime
from s2s_runtime.commands import evaluate as evaluate_cli
from s2s_runtime.commands.evaluate import app
from s2s_runtime.errors import InputError, MissingExtraError
from s2s_runtime.evaluation import decode_pairs, evaluate, perplexity, read_references

TINY = FIXTURES / "tiny.s2s"  # decodes abc, ba, a to BBD, BA, B


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """One right by its second target, one a token off, one right by another line."""
    path = tmp_path / "pairs.tsv"
    path.write_text("abc\tEEE\tBBD\nba\tBE\na\tD\na\tB\n")
    return path


def test_lines_of_one_source_are_joined(pairs: Path):
    """Each source is decoded once; its targets keep the order of the file."""
    assert read_references(pairs) == {"abc": ["EEE", "BBD"], "ba": ["BE"], "a": ["D", "B"]}
    assert read_references(pairs, rows=1, first_only=True) == {"abc": ["EEE"]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a\tb\nc\n", "line 2: expected source<TAB>target, got no tab in 'c'"),
        (b" \tc\n", "holds no pair in 1 lines: expected lines of source<TAB>target"),
        (b"", "is empty: expected lines of source<TAB>target"),
        (b"\xff\tc\n", "line 1: not UTF-8"),
    ],
)
def test_bad_lines_are_named(tmp_path: Path, content: bytes, message: str):
    """With the number of the line."""
    path = tmp_path / "bad.tsv"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_references(path)
    assert str(caught.value).startswith(str(path))
    assert message in str(caught.value)


def test_any_right_target_counts(pairs: Path):
    """Two of three right; one token of six wrong."""
    found = CliRunner().invoke(app, [str(TINY), str(pairs), "--json"])
    assert found.exit_code == 0, found.output
    figures = json.loads(found.stdout)
    assert figures["sequences"] == 3
    assert figures["sequence_error_rate"] == pytest.approx(1 / 3)
    assert figures["token_error_rate"] == pytest.approx(1 / 6)
    assert "bleu" not in figures


def test_pairs_as_people_have_them(pairs: Path, tmp_path: Path):
    """Packed and in UTF-16, the same figures; lines without a pair are counted on stderr, or refused by --strict."""
    plain = json.loads(CliRunner().invoke(app, [str(TINY), str(pairs), "--json"]).stdout)
    other = tmp_path / "other"
    other.write_bytes(bz2.compress((pairs.read_text() + "\n \tX\nabc\t\n").encode("utf-16")))
    found = CliRunner().invoke(app, [str(TINY), str(other), "--json", "--encoding", "utf-16"])
    for name in ("sequences", "sequence_error_rate", "token_error_rate"):
        assert json.loads(found.stdout)[name] == plain[name]
    first = pairs.read_text().count("\n") + 1
    assert found.stderr == (
        f"warning: {other}: left out 3 of {first + 2} lines: 1 empty (line {first}), "
        f"1 without source (line {first + 1}), 1 without target (line {first + 2})\n"
    )
    strict = CliRunner().invoke(app, [str(TINY), str(other), "--strict", "--encoding", "utf-16"])
    assert (strict.exit_code, strict.stdout) == (1, "")
    assert strict.stderr == f"error: {other}, line {first}: empty; remove or mend it, or go without --strict\n"


def test_a_source_that_cannot_be_read_is_named(tmp_path: Path):
    """By itself: lines with the same source are one, so no number would tell which."""
    (tmp_path / "pairs.tsv").write_text("ab\tAB\naXb\tAB\n", encoding="utf-8")
    found = CliRunner().invoke(app, [str(TINY), str(tmp_path / "pairs.tsv")])
    assert found.exit_code == 1
    assert found.stderr.startswith("error: source 'aXb': unknown character 'X' at position 1 of 'aXb'")


@pytest.mark.parametrize("place", ["pairs.tsv", "linked.tsv", ".", "nowhere/out.tsv"])
def test_outputs_go_where_they_can(pairs: Path, place: str, monkeypatch: pytest.MonkeyPatch):
    """Never over the pairs, which would make every output right the next time; said before anything is decoded."""
    monkeypatch.setattr(evaluate_cli, "decode_all", None)
    given = pairs.read_bytes()
    (pairs.parent / "linked.tsv").hardlink_to(pairs)
    found = CliRunner().invoke(app, [str(TINY), str(pairs), "--outputs", str(pairs.parent / place)])
    assert found.exit_code == 2
    assert found.stderr.startswith("error: --outputs: expected ")
    assert pairs.read_bytes() == given


def test_outputs_may_be_kept_and_bundles_joined(pairs: Path, tmp_path: Path):
    """An ensemble of a bundle with itself writes what the bundle writes."""
    kept = tmp_path / "outputs.tsv"
    options = ["--ensemble-with", str(TINY), "--outputs", str(kept), "--beam-size", "1", "--first-target"]
    found = CliRunner().invoke(app, [str(TINY), str(pairs), *options])
    assert found.exit_code == 0, found.output
    assert kept.read_text() == "abc\tBBD\tEEE\nba\tBA\tBE\na\tB\tD\tB\n"
    assert "wrong sequences  66.67%" in found.stdout


def test_an_ensemble_averages_what_it_is_told(pairs: Path, monkeypatch: pytest.MonkeyPatch):
    """--ensemble-mean reaches the ensemble and the JSON; without an ensemble it is refused."""
    means = []

    def noted(models, *, mean, weights, combine):
        means.append(mean)
        return models[0]

    monkeypatch.setattr("s2s_runtime.ensembles.ensemble", noted)
    twice = [str(TINY), str(pairs), "--ensemble-with", str(TINY), "--first-target", "--json"]
    for options in ([], ["--ensemble-mean", "log_probabilities"]):
        found = CliRunner().invoke(app, [*twice, *options])
        assert json.loads(found.stdout)["ensemble_mean"] == means[-1]
    assert means == ["probabilities", "log_probabilities"]
    alone = CliRunner().invoke(app, [str(TINY), str(pairs), "--ensemble-mean", "log_probabilities"])
    assert (alone.exit_code, alone.stderr) == (2, "error: --ensemble-mean: needs --ensemble-with\n")


def test_greedy_search_has_no_length_penalty(pairs: Path):
    """It compares no hypotheses of different lengths."""
    found = CliRunner().invoke(app, [str(TINY), str(pairs), "--length-penalty", "0.5"])
    assert (found.exit_code, found.stderr) == (
        2,
        "error: --length-penalty: needs --beam-size, as greedy search compares no lengths\n",
    )


def test_bleu_and_chrf_are_those_of_sacrebleu(pairs: Path):
    """With as many references as each source has, and with its own signature."""
    sacrebleu = pytest.importorskip("sacrebleu", reason="the optional package sacrebleu is not installed")
    found = CliRunner().invoke(app, [str(TINY), str(pairs), "--bleu", "--json"])
    assert found.exit_code == 0, found.output
    figures = json.loads(found.stdout)
    streams = [["EEE", "BE", "D"], ["BBD", None, "B"]]
    assert figures["chrf"] == pytest.approx(sacrebleu.corpus_chrf(["BBD", "BA", "B"], streams).score)
    assert figures["bleu"] == pytest.approx(sacrebleu.corpus_bleu(["BBD", "BA", "B"], streams).score)
    assert figures["bleu_signature"].startswith("nrefs:var|")


def test_without_sacrebleu_the_error_names_the_extra(pairs: Path, monkeypatch: pytest.MonkeyPatch):
    """One clear line."""
    monkeypatch.setitem(sys.modules, "sacrebleu.metrics", None)
    model = s2s_runtime.load(TINY)
    decoded = decode_pairs(model, read_references(pairs))
    with pytest.raises(MissingExtraError, match=r"pip install 's2s-runtime\[evaluate\]'"):
        evaluate(model, decoded, bleu=True)
    monkeypatch.setattr(evaluate_cli, "decode_all", None)  # said before anything is decoded
    assert CliRunner().invoke(app, [str(TINY), str(pairs), "--bleu"]).exit_code == 1


def test_bundles_without_vocabularies_are_refused(pairs: Path):
    """Text can't be read by a model that knows numbers only."""
    found = CliRunner().invoke(app, [str(FIXTURES / "tiny-values.s2s"), str(pairs)])
    assert found.exit_code == 1
    assert found.stderr.startswith("error: evaluation: expected a bundle with vocabularies on both sides")


def test_weights_of_an_ensemble_are_typed_once_for_each_bundle(pairs: Path):
    """BUNDLE's first; otherwise it is said, and without an ensemble there is nothing to weigh."""
    twice = [str(TINY), str(pairs), "--ensemble-with", str(TINY), "--json"]
    found = CliRunner().invoke(app, [*twice, "--ensemble-weight", "2", "--ensemble-weight", "1"])
    assert json.loads(found.stdout)["ensemble_weight"] == [2.0, 1.0]
    for given in (["2"], ["2", "0"]):
        wrong = CliRunner().invoke(app, [*twice, *(word for one in given for word in ("--ensemble-weight", one))])
        expected = (
            f"error: --ensemble-weight: expected a number above 0 for each of 2 bundles, got {', '.join(given)}\n"
        )
        assert (wrong.exit_code, wrong.stderr) == (2, expected)
    alone = CliRunner().invoke(app, [str(TINY), str(pairs), "--ensemble-weight", "2"])
    assert (alone.exit_code, alone.stderr) == (2, "error: --ensemble-weight: needs --ensemble-with\n")


def test_a_language_model_is_asked_how_well_it_predicts_lines(tmp_path: Path):
    """The perplexity is that of all symbols, each line read from its beginning; what is for pairs is refused."""
    writer, text = FIXTURES / "tiny-writer.s2s", tmp_path / "lines.txt"
    text.write_text("ABBD\n\nDB\nB\n", encoding="utf-8")
    result = CliRunner().invoke(app, [str(writer), str(text), "--json"])
    assert result.exit_code == 0, result.output
    figures = json.loads(result.stdout)
    model = s2s_runtime.load(writer)
    losses = []
    for line in ("ABBD", "DB", "B"):
        ids = [*model.target_vocabulary.encode(line), model.manifest.target.end_ids[0]]
        for read in range(1, len(ids)):  # it has no start token: the first symbol is given
            losses.append(-model.score([ids[:read]], [ids[read : read + 1]], add_end=False)[0].log_probability)
    assert (figures["lines"], figures["symbols"]) == (3, len(losses))
    assert figures["perplexity"] == pytest.approx(float(np.exp(np.mean(losses))), rel=1e-5)
    shown = CliRunner().invoke(app, [str(writer), str(text)])
    assert shown.stdout == f"3 lines, {len(losses)} symbols predicted\nperplexity       {figures['perplexity']:.4f}\n"
    assert "left out 1 of 4 lines: 1 empty (line 2)" in shown.stderr
    refused = CliRunner().invoke(app, [str(writer), str(text), "--bleu", "--beam-size", "3"])
    assert refused.exit_code == 2
    assert "no meaning for a language model" in refused.stderr
    with pytest.raises(InputError, match="expected the bundle of a language model"):
        perplexity(s2s_runtime.load(TINY), ["a"])
