"""The options of s2s-decode: each does what the Python option of its name does, or is refused; pairs, ensembles."""

from __future__ import annotations

import json
from dataclasses import fields
from inspect import signature
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
from decode_command import NUMBERS, TEXTS, TINY, run

from s2s_runtime import DecodingOptions, Model, ensemble, load
from s2s_runtime.commands import decode as cli
from s2s_runtime.declared_options import declared, value_problem
from s2s_runtime.options import READ_AHEAD
from s2s_runtime.options.types import Mean

SCORING = ("length-penalty", "length-penalty-kind", "coverage-penalty", "repetition-penalty", "bias")
BARE = ["--suppress-token", "A", "--suppress-token", "B", "--suppress-token", "C", "--suppress-token", "D"]
SAME: list[tuple[list[str], dict[str, Any]]] = [
    (["--beam-size", "4"], {"beam_size": 4}),
    (["--beam-size", "4", "-n", "3"], {"beam_size": 4, "num_hypotheses": 3}),
    (["--beam-size", "4", "-n", "4", "--patience", "2"], {"beam_size": 4, "num_hypotheses": 4, "patience": 2.0}),
    (["--beam-size", "4", "--length-penalty", "3"], {"beam_size": 4, "length_penalty": 3.0}),
    (["--beam-size", "4", "--length-penalty-kind", "gnmt"], {"beam_size": 4, "length_penalty_kind": "gnmt"}),
    (["--beam-size", "4", "--coverage-penalty", "2"], {"beam_size": 4, "coverage_penalty": 2.0}),
    (["--alternatives", "-n", "4"], {"return_alternatives": True, "num_hypotheses": 4}),
    (
        ["--alternatives", "-n", "4", "--min-alternative-probability", "0.2"],
        {"return_alternatives": True, "num_hypotheses": 4, "min_alternative_probability": 0.2},
    ),
    (["--max-length", "2"], {"max_length": 2}),
    (["--max-length-ratio", "0.5"], {"max_length_ratio": 0.5}),
    (["--max-length-ratio", "0.5,2"], {"max_length_ratio": (0.5, 2.0)}),
    (["--min-length", "7"], {"min_length": 7}),
    (["--prefix", "CA"], {"prefix": ["CA"] * 4}),
    (["--repetition-penalty", "3"], {"repetition_penalty": 3.0}),
    (["--no-repeat-ngram-size", "1"], {"no_repeat_ngram_size": 1}),
    (
        ["--no-repeat-ngram-size", "1", "--no-repeat-ngram-exclude", "B"],
        {"no_repeat_ngram_size": 1, "no_repeat_ngram_exclude": ["B"]},
    ),
    (["--suppress-token", "B", "--suppress-token", "D"], {"suppress_tokens": ["B", "D"]}),
    (["--suppress-sequence", "BB", "--suppress-sequence", "D"], {"suppress_sequences": [["B", "B"], ["D"]]}),
    (
        ["--beam-size", "3", "--required-phrase", "EE", "--required-phrase", "D"],
        {"beam_size": 3, "required_phrases": ["EE", "D"]},
    ),
    (["--bias", "EE=3", "--bias", "D=-1.5"], {"bias": {"EE": 3.0, "D": -1.5}}),
    ([*BARE, "--allow-unknown"], {"suppress_tokens": list("ABCD"), "allow_unknown": True}),
    ([*BARE, "--replace-unknown"], {"suppress_tokens": list("ABCD"), "replace_unknown": True}),
    (["--end-token", "D", "--end-token", "</s>"], {"end_tokens": ["D", "</s>"]}),
    (["--return-end-token"], {"return_end_token": True}),
    (["--sampling-temperature", "3", "--seed", "1"], {"sampling_temperature": 3.0, "seed": 1}),
    (["--sampling-top-k", "3", "--seed", "1"], {"sampling_top_k": 3, "seed": 1}),
    (["--sampling-top-p", "0.7", "--seed", "2"], {"sampling_top_p": 0.7, "seed": 2}),
    (["--token-scores"], {"return_token_scores": True}),
    (["--attention"], {"return_attention": True}),
    (["--unknown", "skip"], {"unknown_symbols": "skip"}),
    (["--engine", "steps"], {"engine": "steps"}),
    (["--batch-size", "3", "--batch-by", "tokens"], {"max_batch_size": 3, "batch_by": "tokens"}),
]


@pytest.mark.parametrize(("arguments", "options"), SAME)
def test_options_do_what_they_do_in_python(tiny: Model, arguments: list[str], options: dict[str, Any]) -> None:
    """With --json the command writes exactly what generate gives."""
    found = run(TINY, *TEXTS, "--json", *arguments)
    assert found.stderr == ""
    results = tiny.generate(TEXTS, return_scores=True, **options)
    expected = [{"text": text, **result.to_dict()} for text, result in zip(TEXTS, results, strict=True)]
    assert [json.loads(line) for line in found.stdout.splitlines()] == json.loads(json.dumps(expected))


def test_choices_and_defaults_are_those_of_python() -> None:
    """What --help offers and what stands there is what `DecodingOptions` takes and does."""
    parameters, shown = signature(cli.decode).parameters, run("--help").stdout
    for name, each in declared(DecodingOptions).items():
        if name in parameters:
            assert parameters[name].default in ((None,) if each.default == () else (each.default,)), name
        if get_origin(each.types[0]) is Literal:
            choices = get_args(each.types[0])
            assert set(get_args(get_args(parameters[name].annotation)[0])) >= {*choices} or each.optional
            assert f"<{'|'.join(choices)}>" in shown
            for choice in choices:
                assert value_problem(each, choice) == ""
            assert value_problem(each, "another").startswith(f"{name}: expected '{choices[0]}' or ")
    assert get_args(parameters["ensemble_mean"].annotation.__args__[0]) == get_args(Mean)
    assert parameters["read_ahead"].default == READ_AHEAD
    assert {signature(Model.predict).parameters["max_batch_size"].default} == {DecodingOptions().max_batch_size}


def test_every_decoding_option_can_be_typed() -> None:
    """What takes a function can't; all the rest has an option of its name, in a panel."""
    names = {field.name for field in fields(DecodingOptions)}
    assert names - {"allowed_next", "logits_processor", "callback", "cancel"} <= set(signature(cli.decode).parameters)
    shown = run("--help").stdout
    for panel in ("Input and output", "Instead of decoding", "Search", "What may be written", "Sampling", "Running"):
        assert panel in shown


def test_texts_that_cannot_be_read_have_errors_as_results() -> None:
    """With --json, where a line has a place for it; the other texts are decoded."""
    lines = run(TINY, "abc", "X", "de", "--json", "--on-error", "return").stdout.splitlines()
    assert ["error" in json.loads(line) for line in lines] == [False, True, False]
    assert "--json" in run(TINY, "abc", "--on-error", "return").stderr


def test_unknown_tokens_follow_a_phrase_table(tmp_path: Path) -> None:
    """--phrase-table is a file of source token, tab, target token; a line without a tab is named."""
    table = tmp_path / "table.tsv"
    table.write_text("a\t(alpha)\nb\t\n")
    options = [*BARE, "--suppress-token", "E", "--replace-unknown", "--phrase-table", str(table)]
    assert run(TINY, "abc", *options).stdout == "(alpha)c\n"
    table.write_text("a\talpha\nb\n")
    found = run(TINY, "abc", *options)
    assert (found.exit_code, found.stdout) == (1, "")
    assert found.stderr == f"error: {table}, line 2: expected source<TAB>target, got no tab in 'b'\n"


def test_outputs_are_lines_of_a_file(tiny: Model, tmp_path: Path) -> None:
    """--allowed-sequences names a file of texts, or of ids where the bundle has no vocabulary."""
    allowed = tmp_path / "allowed.txt"
    allowed.write_text("BAD\nDEAD\n")
    found = run(TINY, *TEXTS, "--allowed-sequences", str(allowed))
    assert found.stdout.splitlines() == [r.text for r in tiny.generate(TEXTS, allowed_sequences=["BAD", "DEAD"])]
    allowed.write_text("2 3\n4 5 4\n")
    assert run(NUMBERS, "0 1 2", "--allowed-sequences", str(allowed), "--end-token", "1").stdout in ("2 3\n", "4 5 4\n")


@pytest.mark.parametrize(
    "lines",
    [
        "abc\tA\t0.2\nabc\tB E\t0.7\nxyz\tD\n",
        ";;; a comment\nabc  B E # another\nabc(1)  A\nxyz  D\n",
        "abc ||| A ||| 0.1 0.2 0.2 0.9 ||| 0-0\nabc ||| B E ||| 0.1 0.1 0.7 0.1\nxyz ||| D ||| 1\n",
    ],
    ids=["tabs", "CMUdict", "Moses"],
)
def test_a_lexicon_comes_before_the_model(tiny: Model, tmp_path: Path, lines: str) -> None:
    """--lexicon FILE, in the three formats: what it has is not decoded, not even read, best first."""
    file = tmp_path / "lexicon"
    file.write_text(lines)
    found = run(TINY, "abc", "xyz", "de", "--lexicon", str(file))
    assert found.stdout.splitlines() == ["B E", "D", tiny.generate(["de"])[0].text]
    several = run(TINY, "abc", "--lexicon", str(file), "-n", "2", "--beam-size", "2")
    assert several.stdout == "1\tB E\n1\tA\n"
    file.write_text("a ||| b\nc\n")
    found = run(TINY, "abc", "--lexicon", str(file))
    assert found.stderr == f"error: {file}, line 2: expected source ||| output ||| scores, got 'c'\n"


def test_weights_of_phrases_are_typed_with_them(tiny: Model) -> None:
    """TEXT=WEIGHT; scored pairs count them too, and ids stand for texts where there is no vocabulary."""
    found = run(TINY, "--score", "--bias", "BC=2", stdin="abc\tABC\n")
    [expected] = tiny.score(["abc"], ["ABC"], bias={"BC": 2})
    assert found.stdout.startswith(f"{expected.score:.4f}\t")
    [expected] = load(NUMBERS).generate([[0, 1, 2]], bias={(3, 4): 9}, return_scores=True)
    assert run(NUMBERS, "0 1 2", "--bias", "3 4=9", "--scores").stdout == f"{expected.score:.4f}\t{expected.text}\n"
    wrong = run(TINY, "abc", "--bias", "BC")
    assert wrong.stderr == "error: bias: expected TEXT=WEIGHT such as 'Hello=2', got 'BC'\n"


def test_bundles_of_numbers_take_numbers_everywhere() -> None:
    """Prefix, tokens and sequences are ids where there is no vocabulary; anything else is an error."""
    model = load(NUMBERS)
    found = run(NUMBERS, "0 1 2", "--prefix", "3 4", "--suppress-token", "2", "--suppress-sequence", "5 5", "--scores")
    [expected] = model.generate(
        [[0, 1, 2]], prefix=[[3, 4]], suppress_tokens=[2], suppress_sequences=[[5, 5]], return_scores=True
    )
    assert found.stdout == f"{expected.score:.4f}\t{expected.text}\n"
    wrong = run(NUMBERS, "0 1 2", "--suppress-token", "A")
    assert wrong.stderr == "error: suppress_tokens: expected ids, as this bundle has no target vocabulary; got 'A'\n"
    scored = run(NUMBERS, "--score", stdin="0 1\t3 4\n")
    assert (
        scored.stdout == f"{model.score([[0, 1]], [[3, 4]])[0].score:.4f}" + scored.stdout[scored.stdout.index("\t") :]
    )


def test_pairs_are_scored(tiny: Model) -> None:
    """--score: source, tab, target a line; score and log-probability, or --json with the tokens'."""
    pairs = "abc\tABC\nde\tDD\n"
    expected = tiny.score(["abc", "de"], ["ABC", "DD"], length_penalty=0.5)
    found = run(TINY, "--score", "--length-penalty", "0.5", stdin=pairs)
    assert found.stdout == "".join(f"{each.score:.4f}\t{each.log_probability:.4f}\n" for each in expected)
    as_json = [json.loads(line) for line in run(TINY, "--score", "--json", stdin=pairs).stdout.splitlines()]
    assert [each["text"] for each in as_json] == ["abc\tABC", "de\tDD"]
    assert as_json[0]["token_scores"] == pytest.approx(tiny.score(["abc"], ["ABC"])[0].token_scores)
    wrong = run(TINY, "--score", "abc")
    assert wrong.stderr == "error: text 1: expected a source, a tab and a target, got 'abc'\n"


def test_bundles_decode_together(tiny: Model) -> None:
    """--ensemble-with: as ensemble() does; bundles that don't fit are one line."""
    found = run(TINY, *TEXTS, "--ensemble-with", TINY, "--ensemble-mean", "log_probabilities", "--beam-size", "3")
    together = ensemble([tiny, tiny], mean="log_probabilities")
    assert found.stdout == "".join(f"{result.text}\n" for result in together.generate(TEXTS, beam_size=3))
    wrong = run(TINY, "abc", "--ensemble-with", NUMBERS)
    assert wrong.exit_code == 1
    assert wrong.stderr.startswith("error: models[1]: its source kind is not that of models[0]")


SEARCH_ONLY = [
    *(["--beam-size", "4"], ["-n", "3"], ["--patience", "2"], ["--alternatives"], ["--max-length", "2"]),
    *(["--min-alternative-probability", "0.2"], ["--max-length-ratio", "1"], ["--min-length", "7"], ["--prefix", "A"]),
    *(["--no-repeat-ngram-size", "1"], ["--no-repeat-ngram-exclude", "B"], ["--suppress-token", "B"]),
    *(["--suppress-sequence", "BB"], ["--allow-unknown"], ["--replace-unknown"], ["--phrase-table", "x"]),
    *(["--end-token", "D"], ["--return-end-token"], ["--sampling-temperature", "3"], ["--sampling-top-k", "3"]),
    *(["--sampling-top-p", "0.7"], ["--seed", "1"], ["--batch-by", "tokens"], ["--token-scores"], ["--attention"]),
    *(["--scores"], ["--keep-empty"], ["--beam-size", "1"], ["--engine", "steps"], ["--required-phrase", "B"]),
]


@pytest.mark.parametrize("options", SEARCH_ONLY)
def test_options_of_the_search_go_not_with_score(options: list[str]) -> None:
    """--score with an option that it would ignore, even at its default, is one line that names it, exit 2."""
    found = run(TINY, "--score", *options, stdin="abc\tABC\n")
    name = "--num-hypotheses" if options[0] == "-n" else options[0]
    assert (found.exit_code, found.stdout) == (2, "")
    assert found.stderr == f"error: {name}: no effect with --score, which searches nothing\n"


def test_score_takes_or_refuses_every_option() -> None:
    """Of the options that say how to decode, those not refused are those of `Model.score`."""
    refused = {each[0] for each in SEARCH_ONLY}
    rest = {option for options, _ in SAME for option in options if option.startswith("--")} - refused
    assert rest == {f"--{name}" for name in (*SCORING, "unknown", "batch-size")}


def test_options_that_score_takes_change_scores(tiny: Model) -> None:
    """What is not refused with --score has its meaning there."""
    pairs = ["abca", "de"], ["ABBA", "DDDD"]
    lines = "".join(f"{source}\t{target}\n" for source, target in zip(*pairs, strict=True))
    plain = run(TINY, "--score", stdin=lines).stdout
    for options, values in (
        (["--length-penalty", "0.3"], {"length_penalty": 0.3}),
        (["--length-penalty-kind", "gnmt"], {"length_penalty_kind": "gnmt"}),
        (["--coverage-penalty", "2"], {"coverage_penalty": 2.0}),
        (["--repetition-penalty", "3"], {"repetition_penalty": 3.0}),
        (["--bias", "BB=2"], {"bias": {"BB": 2.0}}),
    ):
        found = run(TINY, "--score", *options, stdin=lines)
        expected = "".join(f"{s.score:.4f}\t{s.log_probability:.4f}\n" for s in tiny.score(*pairs, **values))
        assert found.stdout == expected != plain
    skipped = run(TINY, "--score", "--unknown", "skip", stdin="aXbcXa\tABBA\nde\tDDDD\n")
    assert skipped.stdout == plain
    assert skipped.stderr == "warning: 2 symbols that the model doesn't know: 'X' (2)\n"
    both = run(TINY, "--score", "--unknown", "skip", "--json", stdin="aXb\tAYB\nde\tDDDD\n").stdout.splitlines()
    assert [json.loads(line).get("unknown_symbols") for line in both] == [["X", "Y"], None]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--stream", "--score"], "--stream and --score: expected one of these at most"),
        (["abc", "--input", "x"], "--input: expected no TEXT beside it"),
        (["abc", "--interactive"], "--interactive: expected no TEXT, --input or --output beside it"),
        (["abc", "--stream", "--json"], "--stream: expected no --output, --json or --scores beside it"),
        (["--resume"], "--resume: needs --output"),
        (["abc", "--force"], "--force: needs --output"),
        (["abc", "--attention-plot", "x.png", "--stream"], "--attention-plot: expected no --stream, --score, --inter"),
        (["abc", "--attention-plot", "x.png", "-o", "x"], "--attention-plot: expected no --stream, --score, --inter"),
        (["abc", "--return-end-token"], "--return-end-token: needs --json, which shows them"),
        (["abc", "--json", "--scores"], "--scores: no effect with --json, which shows them anyway"),
        (["abc", "--read-ahead", "9"], "--read-ahead: no effect with TEXT, which is decoded at once"),
        (
            ["--stream", "--batch-size", "9", "--batch-by", "tokens"],
            "--batch-size, --batch-by: no effect where texts are",
        ),
        (["--resume", "--force", "--output", "x"], "--resume and --force: expected one of these at most"),
        (["--input", "x", "--output", "x"], "--output: expected another file than --input, got x"),
        (["--input", "x", "--attention-plot", "x.png"], "--attention-plot: expected one text, got a file"),
        (["abc", "--token-scores"], "--token-scores: needs --json, which shows them"),
        (["abc", "--attention"], "--attention: needs --json, which shows them"),
        (["abc", "--ensemble-mean", "probabilities"], "--ensemble-mean: needs --ensemble-with"),
        (["--stream", "--read-ahead", "9"], "--read-ahead: no effect where texts are decoded one by one"),
    ],
)
def test_options_that_do_not_go_together_are_refused(arguments: list[str], message: str) -> None:
    """Wrong usage: one line that says which, exit 2, nothing written."""
    found = run(TINY, *arguments)
    assert (found.exit_code, found.stdout) == (2, "")
    assert found.stderr.startswith(f"error: {message}")
    assert found.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["abc", "--max-length-ratio", "1,2,3"],
            "max_length_ratio: expected A or A,B such as 1.5 or 2,10; got '1,2,3'",
        ),
        (["abc", "--unknown", "unk"], "unknown_symbols: 'unk' needs an unknown symbol in the source vocabulary"),
        (["abc", "--seed", "1"], "seed: has no effect without one of the sampling options"),
        (["abc", "--stream", "--beam-size", "2"], "beam_size: expected 1 for stream, got 2"),
        (
            ["abc", "--stream", "--engine", "graph"],
            "engine: expected 'auto' or 'steps' for stream, which shows each token",
        ),
        (
            ["abc", "abX"],
            "text 2: unknown character 'X' at position 2 of 'abX': the vocabulary doesn't hold it and has",
        ),
        (["--input", "no-such-file"], "[Errno 2] No such file or directory: 'no-such-file'"),
    ],
)
def test_options_that_a_bundle_refuses(arguments: list[str], message: str) -> None:
    """One line that says which, exit 1, nothing written."""
    found = run(TINY, *arguments)
    assert (found.exit_code, found.stdout) == (1, "")
    assert found.stderr.startswith(f"error: {message}")
    assert found.stderr.count("\n") == 1
