"""`s2s-tune`: which options are best, by counting oneself; going on where it was ended; what is refused."""

from __future__ import annotations

import itertools
import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from places import FIXTURES, TINY
from typer.testing import CliRunner

import s2s_runtime
from s2s_runtime import OptionError
from s2s_runtime.commands.decode import app as decode
from s2s_runtime.commands.decode_options import LoadOptions
from s2s_runtime.tuning import trials as trials_of
from s2s_runtime.tuning.command import app
from s2s_runtime.tuning.space import combinations, read_axis
from s2s_runtime.tuning.tune import command_line

WRITER = str(FIXTURES / "tiny-writer.s2s")
PAIRS = {
    "abc": ["BBD"],
    "ba": ["BE"],
    "a": ["B", "D"],
    "bad": ["BCD"],
    "deed": ["DEED"],
    "ace": ["BCB"],
    "abb": ["BCC"],
}


@pytest.fixture
def pairs(tmp_path: Path) -> str:
    """Development data as a file."""
    path = tmp_path / "dev.tsv"
    path.write_text("".join("\t".join([source, *right]) + "\n" for source, right in PAIRS.items()), encoding="utf-8")
    return str(path)


def tuned(pairs: str, *options: str) -> dict[str, Any]:
    """Run the command in this process, and return what it writes as JSON."""
    found = CliRunner().invoke(app, [str(TINY), pairs, "--jobs", "1", "--json", *options], catch_exceptions=False)
    assert found.exit_code == 0, found.output
    return dict(json.loads(found.stdout))


def wrong(**options: Any) -> float:
    """Count the share of wrong outputs."""
    results = s2s_runtime.load(TINY).generate(list(PAIRS), **options)
    return sum(result.text not in right for result, right in zip(results, PAIRS.values(), strict=True)) / len(PAIRS)


def test_trials_come_best_first(pairs: str) -> None:
    """Each figure is what counting gives, equal ones stand in the order of the values, the line decodes so."""
    beams, weights = (1, 2, 4), (0.0, 0.4, 0.8)
    options = ["--try", "beam_size=1,2,4", "--try", "language-model-weight=0:0.8:0.4", "--language-model", WRITER]
    found = tuned(pairs, *options)
    expected = [
        (wrong(beam_size=beam, language_model=WRITER, language_model_weight=weight), beam, weight)
        for beam, weight in itertools.product(beams, weights)
    ]
    expected.sort(key=lambda trial: trial[0])
    assert [
        (each["figures"]["sequence_error_rate"], each["options"]["beam_size"], each["options"]["language_model_weight"])
        for each in found["trials"]
    ] == [(pytest.approx(figure), beam, weight) for figure, beam, weight in expected]
    assert expected[0][0] < expected[-1][0]
    name, *typed = shlex.split(found["command"])
    assert name == "s2s-decode"
    written = CliRunner().invoke(decode, [*typed, *PAIRS]).stdout.split("\n")[:-1]
    rate = sum(text not in right for text, right in zip(written, PAIRS.values(), strict=True)) / len(PAIRS)
    assert rate == pytest.approx(expected[0][0])


def test_processes_give_what_one_gives(pairs: str, tmp_path: Path) -> None:
    """Two at a time, written as they end; a picture of them."""
    options = ["--try", "beam_size=1,3", "--try", "length_penalty=0,1"]
    picture = tmp_path / "trials.png"
    alone = tuned(pairs, *options)
    together = tuned(pairs, *options, "--jobs", "2", "--picture", str(picture), "-o", str(tmp_path / "trials.jsonl"))
    for both in (alone, together):
        for each in both["trials"]:
            each["figures"].pop("seconds")
    assert together == alone
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert len((tmp_path / "trials.jsonl").read_text(encoding="utf-8").splitlines()) == 5


def test_an_ended_command_goes_on(pairs: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was written isn't tried again, a line that was cut off is; another setting is another file."""
    record = tmp_path / "trials.jsonl"
    options = ["-o", str(record), "--try", "beam_size=1,2,3"]
    first = tuned(pairs, *options)
    content = record.read_bytes()
    record.write_bytes(content[:-20])
    tried: list[object] = []
    figures = trials_of.Bench.figures
    monkeypatch.setattr(
        trials_of.Bench, "figures", lambda bench, values: (tried.append(values), figures(bench, values))[1]
    )
    again = tuned(pairs, *options)
    assert tried == [{"beam_size": 3}]
    for both in (first, again):
        for each in both["trials"]:
            each["figures"].pop("seconds")
    assert again == first
    more = tuned(pairs, "-o", str(record), "--try", "beam_size=1,2,3,4")
    assert tried[1:] == [{"beam_size": 4}]
    assert len(more["trials"]) == 4
    other = ["-o", str(record), "--try", "beam_size=1", "--language-model", WRITER]
    refused = CliRunner().invoke(app, [str(TINY), pairs, *other])
    assert refused.exit_code == 1
    assert "holds trials of another bundle, other pairs or other options" in refused.stderr
    tuned(pairs, *other, "--force")
    record.write_text("something else\n")
    refused = CliRunner().invoke(app, [str(TINY), pairs, *options])
    assert (refused.exit_code, str(record) in refused.stderr) == (1, True)


def test_weights_of_an_ensemble_are_options_too(pairs: str) -> None:
    """The line says all weights; those that were typed stay where nothing else is tried."""
    beside = ["--ensemble-with", str(TINY), "--ensemble-with", str(TINY)]
    found = tuned(pairs, *beside, "--try", "ensemble_weight.2=0.5,2", "--ensemble-mean", "log_probabilities")
    assert found["command"] == (
        f"s2s-decode {TINY} --ensemble-with {TINY} --ensemble-with {TINY} --ensemble-mean log_probabilities "
        "--ensemble-weight 1 --ensemble-weight 1 --ensemble-weight 0.5"
    )
    assert len(found["trials"]) == 2


def test_the_line_has_all_digits_of_a_value() -> None:
    """So that it decodes with what was tried, however many these are."""
    tried = {"length_penalty": 0.12345678, "patience": 2.0, "max_length": 1234567}
    line = command_line(TINY, LoadOptions(), {}, tried)
    assert line == f"s2s-decode {TINY} --length-penalty 0.12345678 --patience 2 --max-length 1234567"


def test_random_trials_depend_on_the_seed(pairs: str) -> None:
    """So many different ones, those that make no sense not among them; of ranges too."""
    options = ["--search", "random", "--trials", "6", "--try", "beam_size=1:6", "--try", "patience=1,1.5"]
    options += ["--try", "length_penalty=0:2"]
    one, same, other = (tuned(pairs, *options, "--seed", seed)["trials"] for seed in ("3", "3", "4"))

    def tried(found: Sequence[Any]) -> list[Any]:
        return sorted(tuple(trial["options"].values()) for trial in found)

    assert tried(one) == tried(same) != tried(other)
    assert len(set(tried(one))) == 6
    assert all(
        1 <= beam <= 6 and (beam > 1 or patience == 1) and 0 <= alpha <= 2 for beam, patience, alpha in tried(one)
    )


def test_ranges_are_what_they_say() -> None:
    """Steps add up as they are spelled; whole numbers stay such; lists keep their order."""
    assert read_axis("length_penalty=0:1:0.1", 0).values == tuple(i / 10 for i in range(11))
    assert read_axis("beam_size=2:8:3", 0).values == (2, 5, 8)
    assert read_axis("length_penalty_kind=gnmt,average", 0).values == ("gnmt", "average")
    assert read_axis("--min-bayes-risk=none,bleu", 0).values == (None, "bleu")
    assert read_axis("allow_unknown=true,false", 0).values == (True, False)
    axes = [read_axis("beam_size=1,2", 0), read_axis("length_penalty=0,1", 0)]
    assert [tuple(each.values()) for each in combinations(axes, "grid", None, 0)] == [(1, 0), (1, 1), (2, 0), (2, 1)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("beam_size", "expected NAME=VALUES such as beam_size=1,4,8"),
        ("beam_sise=1", "beam_sise: no option of which values can be tried; did you mean 'beam_size'?"),
        ("bias=1", "bias: no option of which values can be tried"),
        ("beam_size=0,1", "beam_size: expected an integer from 1 to 65536, got 0"),
        ("beam_size=1.5", "beam_size: expected an integer from 1 to 65536, got 1.5"),
        ("beam_size=x", "beam_size: expected a number, got 'x'"),
        ("length_penalty=1:0:0.5", "length_penalty: expected FROM:TO:STEP or FROM:TO, the step above 0"),
        ("length_penalty=0:1:0", "length_penalty: expected FROM:TO:STEP or FROM:TO, the step above 0"),
        ("length_penalty=0:1:0.00001", "length_penalty: expected at most 10,000 values, got 100,001"),
        ("beam_size=1:4:0.5", "beam_size: expected whole numbers, got '1:4:0.5'"),
        ("length_penalty_kind=mean", "length_penalty_kind: expected 'average' or 'gnmt', got 'mean'"),
        ("ensemble_weight=1,2", "ensemble_weight: needs --ensemble-with"),
    ],
)
def test_bad_values_are_named(text: str, message: str) -> None:
    """One line that says what was wrong."""
    with pytest.raises(OptionError) as caught:
        read_axis(text, 0)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "--try: expected values of at least one option"),
        (["--try", "beam_size=1", "--trials", "3"], "--trials: needs --search random"),
        (["--try", "beam_size=1", "--try", "beam_size=2"], "--try beam_size: expected once, with all its values"),
        (["--try", "beam_size=1", "--force"], "--force: needs --output"),
        (["--try", "length_penalty=0:1"], "a grid needs FROM:TO:STEP; give a step, or --search random"),
        (["--try", "patience=2,3"], "no combination can be decoded with: patience: needs beam_size above 1"),
        (["--try", "beam_size=1:100:1", "--try", "length_penalty=0:1:0.001"], "expected at most 10,000 combinations"),
        (["--try", "beam_size=1", "--picture", "trials.doc"], "expected a file name that ends in .png, .svg or .pdf"),
        (["--try", "beam_size=1", "-o", "nowhere/trials.jsonl"], "--output: expected a file in a folder that is there"),
        (
            ["--try", "ensemble_weight=1,2", "--ensemble-with", str(TINY), "--ensemble-weight", "1"],
            "--ensemble-weight: expected a number above 0 for each of 2 bundles, got 1",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(pairs: str, options: list[str], message: str) -> None:
    """Before anything runs, in one line."""
    found = CliRunner().invoke(app, [str(TINY), pairs, *options])
    assert found.exit_code in {1, 2}
    assert message in " ".join(found.stderr.split())


def test_a_bundle_that_is_not_there_is_one_line(pairs: str, tmp_path: Path) -> None:
    """From processes of their own, too."""
    options = ["--try", "beam_size=1,2", "--jobs", "2"]
    found = CliRunner().invoke(app, [str(tmp_path / "none.s2s"), pairs, *options])
    expected = f"error: {tmp_path / 'none.s2s'}: no such folder; expected a bundle written by s2s-export\n"
    assert (found.exit_code, found.stderr) == (1, expected)
