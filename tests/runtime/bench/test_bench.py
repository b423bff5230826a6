"""s2s-bench: settings timed in turn, what is shown of them, and what is refused."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bench_command import bench
from places import FIXTURES

import s2s_runtime
from s2s_runtime import Model, OptionError
from s2s_runtime.bench import settings as bench_settings
from s2s_runtime.bench.axes import Axes, providers
from s2s_runtime.bench.comparison import Compared, Ratio
from s2s_runtime.bench.settings import Case, Loading
from s2s_runtime.bench.sources import random_sources
from s2s_runtime.bench.tables import show_comparisons, show_latency
from s2s_runtime.bench.timing import Effort, Measurement, Subject, measure_all

TINY, VALUES = str(FIXTURES / "tiny.s2s"), str(FIXTURES / "tiny-values.s2s")
QUICK = ("--repeats", "2", "--warm-up", "1")


def measurements(*arguments: str) -> list[dict[str, object]]:
    """What --json holds of the settings."""
    found = bench(*arguments, "--json")
    assert found.exit_code == 0, found.stderr
    measured: list[dict[str, object]] = json.loads(found.stdout)["measurements"]
    return measured


def subject(model: Model, case: Case) -> Subject:
    """A setting of a model that is loaded."""
    return Subject(model, Loading(Path(TINY)), case)


def test_each_combination_is_reported() -> None:
    """--json holds the setting and a measurement per batch and beam size, every single time among them."""
    found = bench(
        *(TINY, "--batch-size", "1,4", "--beam-size", "1,3", "--repeats", "7", "--rounds", "3", "--json"),
        *("--threads", "1"),
    )
    assert found.exit_code == 0
    report = json.loads(found.stdout)
    assert (report["format"], report["version"], report["kind"]) == ("s2s-bench", 1, "latency")
    cases = [(each["batch_size"], each["beam_size"]) for each in report["measurements"]]
    assert cases == [(1, 1), (4, 1), (1, 3), (4, 3)]
    for each in report["measurements"]:
        assert 0 < each["p25_ms"] <= each["p50_ms"] <= each["p75_ms"] <= each["p90_ms"] <= each["p99_ms"]
        assert [len(visit) for visit in each["visits"]] == [3, 2, 2]
        assert each["p50_ms"] == pytest.approx(1e3 * np.median(np.concatenate(each["visits"])))
        assert each["sentences_per_second"] == pytest.approx(7 * each["batch_size"] / sum(map(sum, each["visits"])))
        assert each["tokens_per_second"] == pytest.approx(
            each["sentences_per_second"] * each["tokens_per_sentence"], rel=1e-6
        )
    assert report["provider"] == "CPUExecutionProvider"
    assert report["load_seconds"] > 0
    assert {"python", "numpy", "onnxruntime", "s2s-runtime"} <= set(report["versions"])


def test_a_table_is_shown(tmp_path: Path) -> None:
    """The table names provider, threads, CPU and versions; sources may come from a file; values work too."""
    (tmp_path / "lines.txt").write_text("abc\n\nde\n")
    one = ("--batch-size", "2", "--beam-size", "1")
    found = bench(TINY, *one, *QUICK, "--text", str(tmp_path / "lines.txt"))
    assert found.exit_code == 0
    for word in ("lines.txt", "CPUExecutionProvider", "numpy", "load", "middle half", "max ms", "tokens/s"):
        assert word in found.stdout
    assert bench(VALUES, "--batch-size", "2", *QUICK).exit_code == 0
    swept = measurements(TINY, "--batch-size", "2", *QUICK, "--engine", "graph,steps")
    cases = [(each["beam_size"], each["engine"]) for each in swept]
    assert cases == [(1, "graph"), (1, "steps"), (5, "graph"), (5, "steps")]


@pytest.mark.parametrize("width", [30, 80, 200])
def test_figures_are_never_cut(width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """In a terminal of any width each cell stands whole in one line; at 80 columns usual tables fit."""
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("FORCE_COLOR", "1")
    [found] = measurements(TINY, "--batch-size", "2", "--beam-size", "1", *QUICK)
    times = {name: 0.01 for name in ("p25_ms", "p50_ms", "p75_ms", "p90_ms", "p99_ms")}
    usual = Measurement(**{**found, **times, "sentences_per_second": 22222.0, "tokens_per_second": 111111.0})  # type: ignore[arg-type]
    large = replace(usual, repeats=100, batch_size=256, p25_ms=10000.25, p75_ms=20000.25, p99_ms=33333.25)
    show_latency([usual])
    lines = plain(capsys.readouterr().out).splitlines()
    assert width < 80 or max(map(len, lines)) <= width
    show_latency([large])
    name = "batch 256, beam 1, threads: by step size"
    show_comparisons([Compared(name, "ms", 12345.25, 12345.5, Ratio(1.25, 1.125, 1.375))], "bundle", "against")
    shown = plain(capsys.readouterr().out)
    for cell in ("256", "10000.25 to 20000.25", "33333.25", "111,111", "12345.50", "1.250 (1.125 to 1.375)"):
        assert cell in shown
    assert "…" not in shown


def plain(text: str) -> str:
    """Without what colours it."""
    return re.sub("\x1b\\[[0-9;]*m", "", text)


def test_lists_and_sweeps_load_the_bundle_for_each_value(tmp_path: Path) -> None:
    """A list of threads or providers is a setting each; --sweep fills in the values; both end up in the pictures."""
    one = (*QUICK, "--beam-size", "1")
    listed = measurements(TINY, *one, "--batch-size", "2", "--threads", "1,2,1", "--provider", "cpu")
    assert [(each["threads"], each["provider"]) for each in listed] == [
        (1, "CPUExecutionProvider"),
        (2, "CPUExecutionProvider"),
    ]
    plot = tmp_path / "sweep.svg"
    swept = measurements(
        TINY, *one, "--batch-size", "2", "--sweep", "engine", "--sweep", "threads", "--plot", str(plot)
    )
    assert {each["engine"] for each in swept} == {"graph", "steps"}
    counts = {each["threads"] for each in swept}
    assert 1 in counts
    assert None not in counts
    assert plot.read_text().startswith("<?xml")
    table = bench(TINY, *one, "--threads", "1,2", "--batch-size", "1").stdout
    assert "threads: see below" in table


def test_workers_are_a_setting_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each number of workers is measured on a list that is worth them, and shown; so are those of the result."""
    asked = []

    def opened(bundle: Path, *, workers: int | None, **more: Any) -> Model:
        asked.append(workers)
        return s2s_runtime.load(bundle, workers=workers, **more)

    monkeypatch.setattr(bench_settings, "load", opened)
    (tmp_path / "lines.txt").write_text("abc\n" * 20)
    whole = (*QUICK, "--beam-size", "1", "--batch-size", "2", "--text", str(tmp_path / "lines.txt"), "--whole")
    found = measurements(TINY, *whole, "--workers", "1,2", "--plot", str(tmp_path / "workers.svg"))
    assert [each["workers"] for each in found] == asked == [1, 2]
    assert "workers" in (tmp_path / "workers.svg").read_text()
    assert "workers: 2" in bench(TINY, *whole, "--workers", "2").stdout
    assert "workers: see below" in bench(TINY, *whole, "--workers", "1,2").stdout


def test_sweeps_take_every_value_that_makes_sense() -> None:
    """Powers of two for batches, the beams people use, what there is of engines and providers, up to all cores."""
    given = Axes([3], [4], ["auto"], [None], [None], [None])
    assert given.swept([]) == given
    swept = given.swept(["batch", "beam", "engine", "threads", "workers", "provider"])
    assert (swept.batch_sizes, swept.beam_sizes) == ([1, 2, 4, 8, 16, 32, 64, 128, 256], [1, 2, 5, 10])
    assert swept.engines == ["graph", "steps"]
    assert swept.threads[0] == 1
    assert len(set(swept.threads)) == len(swept.threads)
    assert swept.workers == swept.threads
    assert ("CPUExecutionProvider",) in swept.providers


def test_a_run_may_be_a_whole_file(tmp_path: Path) -> None:
    """--whole decodes all lines in each run, whatever the batch size; tokens are those of the lines."""
    path = tmp_path / "lines.txt"
    path.write_text("abc\nde\r\n\nedcba\n")
    [measured] = measurements(TINY, "--text", str(path), "--whole", "--batch-size", "2", "--beam-size", "1", *QUICK)
    assert (measured["run_sentences"], measured["repeats"], measured["batch_size"]) == (3, 2, 2)
    from s2s_runtime import load

    results = load(TINY).generate(["abc", "de", "edcba"])
    tokens = sum(len(result.ids) + (result.hypotheses[0].finish_reason == "end") for result in results)
    assert measured["tokens_per_sentence"] == pytest.approx(tokens / 3)


def test_files_of_ids_are_read_for_bundles_of_numbers(tmp_path: Path) -> None:
    """Without a source vocabulary a line is ids; something else is named with its line."""
    numbers = str(FIXTURES / "tiny-probabilities.s2s")
    path = tmp_path / "ids.txt"
    path.write_text("0 1 2\n1 1\n")
    assert bench(numbers, "--text", str(path), "--batch-size", "2", "--beam-size", "1", *QUICK).exit_code == 0
    path.write_text("0 1\nabc\n")
    wrong = bench(numbers, "--text", str(path))
    assert wrong.exit_code == 1
    assert wrong.stderr.startswith(f"error: {path}, line 2: expected ids separated by spaces")


@pytest.mark.parametrize(
    "arguments", [["tiny-onehot"], ["tiny", "--against", "tiny-onehot"], ["tiny-onehot", "--memory"]]
)
@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("abcabca", "7 tokens, but this bundle's model reads sources padded to 6"),
        ("a%", "unknown character '%' at position 1 of 'a%'"),
    ],
)
def test_a_line_that_cannot_be_decoded_is_said_first(
    arguments: list[str], line: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its number in the file, blank lines counted, before anything is measured, whichever bundle can't read it."""
    for work in ("measure_all", "measure_memory"):
        monkeypatch.setattr(f"s2s_runtime.bench.command.{work}", lambda *_, **__: pytest.fail("something was measured"))
    path = tmp_path / "lines.txt"
    path.write_text("ab\n" * 40 + f"\n{line}\n")
    found = bench(
        *(str(FIXTURES / f"{word}.s2s") if "tiny" in word else word for word in arguments), "--text", str(path)
    )
    assert found.exit_code == 1
    assert found.stderr.startswith(f"error: {path}, line 42: ")
    assert message in found.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--batch-size", "1,x"], "--batch-size: expected numbers of at least 1 separated by commas, such as"),
        (["--threads", "0"], "--threads: expected numbers of at least 1 separated by commas, such as"),
        (["--engine", "loop"], "--engine: expected any of auto, graph, steps, separated by commas; got 'loop'"),
        (["--provider", "cpu,"], "--provider: expected names separated by commas, each measured, or the option"),
        (["--provider", "cuda,cpu", "--provider", "cpu"], "--provider: expected names separated by commas"),
        (["--provider", "cuda,cpu", "--allow-fallback"], "--allow-fallback: expected one provider"),
        (["--sweep", "threads", "--threads", "1"], "--sweep threads: expected no --threads beside it"),
        (["--cold-start", "--workers", "2"], "--workers: no effect with --cold-start"),
        (["--memory", "--workers", "1,2"], "--workers: expected one value with --memory, got 2"),
        (["--sweep", "batch", "--batch-size", "1"], "--sweep batch: expected no --batch-size beside it"),
        (["--whole"], "--whole: needs --text"),
        (["--text", "x", "--source-length", "3"], "--source-length: no effect with --text"),
        (["--cold-start", "--memory"], "--cold-start and --memory: expected one of these at most"),
        (["--cold-start", "--batch-size", "3"], "--batch-size: no effect with --cold-start"),
        (["--cold-start", "--threads", "1,2"], "--threads: expected one value with --cold-start, got 2"),
        (["--memory", "--plot", "x.png", "--against", "y"], "--against, --plot: no effect with --memory"),
        (["--compare", "a", "b", "--rounds", "3"], "BUNDLE, --rounds: no effect with --compare"),
    ],
)
def test_options_that_make_no_sense_are_wrong_usage(arguments: list[str], message: str) -> None:
    """One line that names the options, exit 2, before anything is loaded."""
    found = bench("no-such-bundle", *arguments)
    assert found.stderr.startswith(f"error: {message}")
    assert (found.exit_code, found.stderr.count("\n")) == (2, 1)


def test_a_bundle_is_needed() -> None:
    """Without one, and without files to compare, nothing can be done."""
    found = bench()
    assert (found.exit_code, found.stderr) == (
        2,
        "error: BUNDLE: missing; expected a folder written by s2s-export, or --compare with two files\n",
    )


@pytest.mark.parametrize("mode", [["--batch-size", "8,21", "--beam-size", "3"], ["--memory", "--batch-size", "8"]])
def test_workers_that_would_do_nothing_are_refused(mode: list[str]) -> None:
    """Where every run is too short for them."""
    found = bench(TINY, "--workers", "2", *mode)
    assert (found.exit_code, found.stderr) == (
        2,
        "error: --workers: no effect, as no run has eight batches or 64 rows; give --text with --whole, or larger "
        "batches\n",
    )


def test_random_sources_fit_the_model() -> None:
    """They are as long as asked for, or as the model reads at most; asking for more is wrong usage."""
    onehot = str(FIXTURES / "tiny-onehot.s2s")
    assert "random, up to 6 long" in bench(onehot, *QUICK, "--batch-size", "2", "--beam-size", "1").stdout
    found = bench(onehot, "--source-length", "7")
    assert (found.exit_code, found.stderr) == (
        2,
        "error: --source-length: this bundle's model reads 6 at most, got 7\n",
    )


def test_search_options_are_refused_for_bundles_of_values() -> None:
    """A bundle that predicts values searches nothing: beams and engines are no settings of it."""
    found = bench(VALUES, "--beam-size", "2", "--workers", "2", "--sweep", "engine")
    assert (found.exit_code, found.stderr) == (
        2,
        "error: --beam-size, --workers, --sweep engine: no effect, as this bundle predicts values and searches "
        "nothing\n",
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--text", "no-such-file"], "error: [Errno 2] No such file or directory: 'no-such-file'"),
        (["--provider", "cpu,cuda"], "error: providers: CUDAExecutionProvider not in this onnxruntime"),
        (["--plot", "x.txt"], "error: x.txt: expected a file name that ends in .png, .svg or .pdf, got '.txt'"),
        (["--plot", "nowhere/x.png", "--json"], "error: nowhere/x.png: expected a file in a folder that is there and"),
        (["--against", "nowhere"], "error: nowhere: no such folder; expected a bundle written by s2s-export"),
    ],
)
def test_what_cannot_be_measured_is_said_first(
    arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line, exit 1, and nothing was timed."""
    monkeypatch.setattr("s2s_runtime.bench.command.measure_all", lambda *_: pytest.fail("something was timed"))
    found = bench(TINY, *arguments)
    assert found.exit_code == 1
    assert found.stderr.startswith(message)
    assert found.stderr.count("\n") == 1


def test_all_settings_decode_before_any_is_timed(tiny: Model) -> None:
    """A setting that can't be had ends it before the others are visited."""
    visited: list[int] = []
    good = subject(tiny, Case(2))
    with pytest.raises(OptionError, match="engine: "):
        measure_all(
            [
                good,
                subject(tiny, Case(1, engine="loop")),  # type: ignore[arg-type]
            ],
            [[1, 2, 3]],
            Effort(repeats=2),
            lambda done, _: visited.append(done),
        )
    assert visited == []
    measure_all([good], ["abc"], Effort(repeats=3, rounds=2), lambda done, total: visited.extend((done, total)))
    assert visited == [1, 2, 2, 2]


def test_settings_of_one_batch_size_decode_the_same_batches(tiny: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each visit decodes one batch untimed, then the next ones, in every setting the same; orders change."""
    calls: list[tuple[int, list[str]]] = []
    decode = Model.generate

    def watched(model: Model, inputs: list[str], **options: object) -> object:
        calls.append((int(options["beam_size"]), inputs))  # type: ignore[call-overload]
        return decode(model, inputs, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Model, "generate", watched)
    sources = ["a", "b", "c", "d", "e"]
    subjects = [subject(tiny, Case(2, beam)) for beam in (1, 2)]
    measure_all(subjects, sources, Effort(repeats=8, rounds=4, warm_up=1))
    one, two = ([batch for beam, batch in calls if beam == wanted] for wanted in (1, 2))
    assert one == two
    assert one[:5] == [["a", "b"], ["a", "b"], ["a", "b"], ["c", "d"], ["e", "a"]]
    orders = {tuple(beam for beam, _ in calls[start : start + 6]) for start in range(2, len(calls), 6)}
    assert orders == {(1, 1, 1, 2, 2, 2), (2, 2, 2, 1, 1, 1)}


def test_tokens_are_counted_with_their_end(tiny: Model) -> None:
    """Tokens per second count the end tokens, as the model had to compute them."""
    [found] = measure_all([subject(tiny, Case(2))], ["abc"], Effort(repeats=2))
    assert found.tokens_per_sentence == len(tiny.generate(["abc"])[0].ids) + 1


def test_random_sources_fit_the_bundle(tiny: Model, tiny_onehot: Model) -> None:
    """No padding id, no longer than the fixed length, the same for the same seed."""
    sources = random_sources(tiny.manifest, 50, 8)
    assert all(4 <= len(source) <= 8 and source.min() > 0 for source in sources)
    assert max(len(source) for source in random_sources(tiny_onehot.manifest, 50, 80)) <= 6
    for one, other in zip(sources, random_sources(tiny.manifest, 50, 8), strict=True):
        np.testing.assert_array_equal(one, other)


def test_providers_are_a_sweep_or_an_order_of_preference() -> None:
    """Commas make settings; the option repeated makes one setting."""
    assert providers(None) == [None]
    assert providers(["cuda,cpu"]) == [("cuda",), ("cpu",)]
    assert providers(["tensorrt", "cuda"]) == [("tensorrt", "cuda")]
