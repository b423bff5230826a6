"""The page of errors: each figure against numbers computed otherwise, and the page itself."""

import itertools
import math
import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from places import TINY
from typer.testing import CliRunner

import s2s_runtime
from s2s_runtime import Model, OptionValues
from s2s_runtime.bundle.calibration import Calibration
from s2s_runtime.commands.evaluate import app
from s2s_runtime.error_rates import edit_distance
from s2s_runtime.evaluation import Decoded, decode_pairs
from s2s_runtime.report.alignment import Step, align
from s2s_runtime.report.evaluated import compare_systems, make_items
from s2s_runtime.report.figures import by_frequency, by_length, confusions, oracle
from s2s_runtime.report.items import Item
from s2s_runtime.report.page import Report
from s2s_runtime.report.reliability import measure_reliability
from s2s_runtime.report.significance import compare_items

PAIRS = "abc\tEEE\tBBD\nba\tBE\na\tD\tB\nbad\tBED\ndeed\tDEED\nace\tACE\n"


def item(right: str, output: str, *nbest: tuple[int, int], probability: float = 0.5) -> Item:
    """One output, of which each character is a token."""
    edits = edit_distance(right, output)
    return Item(
        *(right.lower(), output, right, align(right, output), edits, len(right)),
        *(math.log(probability), None, nbest, probability),
    )


@given(st.text("abc", max_size=6), st.text("abc", max_size=6))
def test_steps_lead_from_one_to_the_other(right: str, written: str) -> None:
    """What is right and what was written can be read off the steps, and as few change something as can be."""
    steps = align(right, written)
    assert "".join(step.right or "" for step in steps) == right
    assert "".join(step.written or "" for step in steps) == written
    assert sum(step.right != step.written for step in steps) == edit_distance(right, written)


def test_confusions_are_counted() -> None:
    """By hand: a became b twice, of four a's; one c was left out; a d was put in, beside seven right tokens."""
    found = {(one.right, one.written): (one.count, one.share) for one in confusions(
        [item("aa", "ba"), item("aa", "ab"), item("bc", "b"), item("b", "bd")]
    )}  # fmt: skip
    assert found == {("a", "b"): (2, 2 / 4), ("c", None): (1, 1.0), (None, "d"): (1, 1 / 7)}


@given(st.lists(st.tuples(st.text("ab", min_size=1, max_size=40), st.booleans()), min_size=1, max_size=30))
def test_bins_of_lengths_hold_each_output_once(drawn: list[tuple[str, bool]]) -> None:
    """Whatever the lengths are: at most twelve bins, whose names say what is in them."""
    items = [item(right, right if is_right else right + "c") for right, is_right in drawn]
    bins = by_length(items)
    assert len(bins) <= 12
    for one in bins:
        low, high = (list(map(int, one.name.split(" to "))) * 2)[:2]
        inside = [is_right for right, is_right in drawn if low <= len(right) <= high]
        assert (one.count, one.wrong) == (len(inside), inside.count(False))
    assert sum(one.count for one in bins) == len(drawn)


def test_frequencies_count_right_tokens() -> None:
    """By hand: `a` occurs five times in the text, `b` once, `c` never; one `a` and the `c` were not written."""
    bins = by_frequency([item("aab", "ab"), item("ac", "ad")], {"a": 5, "b": 1})
    assert [(one.name, one.count, one.wrong) for one in bins] == [("never", 1, 1), ("once", 1, 0), ("4 to 7", 3, 1)]


def test_the_oracle_picks_the_best_hypothesis() -> None:
    """Among the first 1, 2, 3 of each; where there are fewer, among all."""
    items = [item("aa", "bb", (2, 2), (0, 2)), item("abc", "abd", (1, 3), (2, 3), (0, 3)), item("a", "a", (0, 1))]
    assert [(one.hypotheses, one.sequence_error_rate, one.token_error_rate) for one in oracle(items)] == [
        (1, 2 / 3, 3 / 6),
        (2, 1 / 3, 1 / 6),
        (3, 0.0, 0.0),
    ]


def test_reliability_is_that_of_the_definitions() -> None:
    """Calibration error and ranking against loops over all outputs and all pairs."""
    generator = np.random.default_rng(1)
    sure = [*np.round(generator.random(200), 2).tolist(), 0.0, 1.0]
    right = (generator.random(202) < np.array(sure) ** 2).tolist()
    found = measure_reliability(sure, right)
    bins: dict[int, list[int]] = {}
    for i, one in enumerate(sure):
        bins.setdefault(min(int(one * 10), 9), []).append(i)
    off = [abs(sum(sure[i] for i in own) - sum(right[i] for i in own)) for own in bins.values()]
    assert found.error == pytest.approx(sum(off) / 202)
    judged = list(zip(sure, right, strict=True))
    pairs = [(a > b) + (a == b) / 2 for (a, x), (b, y) in itertools.product(judged, judged) if x and not y]
    assert found.ranking == pytest.approx(np.mean(pairs))
    assert found.kept[-1].wrong == pytest.approx(right.count(False) / 202)
    assert found.kept[1].least == sorted(sure)[101]


def test_the_bootstrap_is_that_of_all_samples() -> None:
    """Of four sources all 256 samples can be written down: the same significance, the same interval."""
    first, other = (
        [item("ab", text) for text in ("ab", "ab", "cd", "ab")],
        [item("ab", t) for t in ("cd", "cb", "cd", "ab")],
    )
    [sequences, tokens] = compare_items("x", first, other).differences
    for found, gaps, length in ((sequences, [-1, -1, 0, 0], 4), (tokens, [-2, -1, 0, 0], 8)):
        every = [sum(drawn) / length for drawn in itertools.product(gaps, repeat=4)]
        low, high = np.percentile(every, [2.5, 97.5])
        assert (found.low, found.high) == (pytest.approx(low, abs=1e-9), pytest.approx(high, abs=1e-9))
        assert found.first - found.other == pytest.approx(sum(gaps) / length)
        assert found.p == pytest.approx(2 * sum(gap >= 0 for gap in every) / 256, abs=0.02)
    compared = compare_items("x", first, other)
    assert [len(compared.gained), len(compared.lost), compared.both_right, compared.both_wrong] == [2, 0, 1, 1]


def test_bleu_of_the_whole_is_that_of_sacrebleu() -> None:
    """Put together from sentences, with as many references as each has; a system against itself may be chance."""
    sacrebleu = pytest.importorskip("sacrebleu", reason="the optional package sacrebleu is not installed")
    rights = [["a b c d e", "a b c d"], ["d e f g h"], ["a c e g i"]]
    here = Decoded(["a", "b", "c"], ["a b c d f", "d e f g", "a c e g i"], rights, 0.0)
    there = Decoded(["a", "b", "c"], ["a b c", "d e f h h", "a c e g"], rights, 0.0)
    model = s2s_runtime.load(TINY)
    found = compare_systems("x", model, here, make_items(model, here), there, bleu=True).differences[-1]
    streams = [["a b c d e", "d e f g h", "a c e g i"], ["a b c d", None, None]]
    assert found.first == pytest.approx(sacrebleu.corpus_bleu(list(here.outputs), streams).score)
    assert found.other == pytest.approx(sacrebleu.corpus_bleu(list(there.outputs), streams).score)
    same = compare_systems("x", model, here, make_items(model, here), here, bleu=True).differences
    assert [(one.low, one.high, one.p) for one in same] == [(0.0, 0.0, 1.0)] * 3


def test_items_know_how_likely_they_are() -> None:
    """Probabilities are those of `score`, for the output and for the right text that is nearest."""
    model = s2s_runtime.load(TINY)
    references = {"abc": ["EEE", "BBD"], "ba": ["BE"], "bad": ["B?"]}
    decoded = decode_pairs(model, references, keep_results=True, beam_size=3, num_hypotheses=3, length_penalty=0.7)
    for one in make_items(model, decoded, 0.7):
        [own] = model.score([one.source], [one.output], length_penalty=0.0)
        assert one.log_probability == pytest.approx(own.log_probability, abs=1e-4)
        if "?" in one.right:
            assert one.right_log_probability is None  # no such symbol
        else:
            [right] = model.score([one.source], [one.right], length_penalty=0.0)
            assert one.right_log_probability == pytest.approx(right.log_probability, abs=1e-4)
        assert len(one.nbest) == 3
        assert one.nbest[0] == (one.edits, one.length)


def test_a_temperature_changes_confidences_alone() -> None:
    """Of a calibrated bundle, output and right text are compared by the probabilities that search saw."""
    plain = s2s_runtime.load(TINY)
    flat = Model(replace(plain.manifest, calibration=Calibration(20.0, 1, 1.0, 1.0)), plain.step_model)
    references = {"abc": ["BBD"], "ba": ["BE"], "bad": ["BAD"]}
    options: OptionValues = {"return_scores": True, "return_confidence": True}
    own, other = (
        make_items(model, decode_pairs(model, references, keep_results=True, **options)) for model in (plain, flat)
    )
    for one, two in zip(own, other, strict=True):
        assert replace(two, confidence=None) == replace(one, confidence=None)
        assert one.log_probability is not None
        assert one.confidence == pytest.approx(math.exp(one.log_probability), abs=1e-5)
        assert two.confidence != pytest.approx(one.confidence, rel=0.1)


class Page(HTMLParser):
    """What a browser makes of a page: elements that are open, text by element, and attributes."""

    VOID = frozenset({"meta", "path", "circle"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: Counter[str] = Counter()
        self.text: list[str] = []
        self.addresses: list[str | None] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """See `HTMLParser`."""
        self.seen[tag] += 1
        self.addresses += [value for name, value in attrs if name in {"href", "src"}]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """See `HTMLParser`."""
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """See `HTMLParser`."""
        self.text.append(data)


def test_nothing_in_a_text_is_html() -> None:
    """Markup, quotes, control characters and marks that turn the direction of writing are shown, not obeyed."""
    bad = "<script>alert('x')</script>\"&amp;\x00\x1b\u202e"
    tokens = ["<b>", " ", "\x00"]
    steps = [
        Step(token, other) for token, other in itertools.product([*tokens, None], [*tokens, None]) if token or other
    ]
    one = Item(bad, bad, bad, steps, 9, 3, -1.0, -0.5, ((9, 3), (0, 3)), 0.4)
    right = Item("r", "r", "r", [Step("r", "r")], 0, 1, -0.1, -0.1, ((0, 1),), 0.9)
    compared = compare_items(bad, [one, right], [right, one])
    html = Report(bad, bad, {bad: bad}, [one, right], {}, bad, spaced=True, compared=compared).to_html()
    page = Page(html)
    assert page.open == []
    assert not page.seen["script"]
    assert page.seen["section"] == 7
    assert "<script>alert('x')</script>\"&amp;␀␛\\u202e" in "".join(page.text)
    assert not re.search("[\x00-\x09\x0b-\x1f\u202e]", html)
    assert all(address is not None and address.startswith("#") for address in page.addresses)
    assert "//" not in html


def test_a_page_of_nothing_wrong() -> None:
    """Parts that would be empty are left out; greedy search has one hypothesis only."""
    html = Report("a", "b", {}, [item("a", "a", (0, 1))], {"a": 1}, "c", spaced=False).to_html()
    assert re.findall('section id="(.*?)"', html) == ["lengths", "frequencies", "confidence"]


def test_the_command_writes_the_page(tmp_path: Path) -> None:
    """A bundle against itself, and against what it wrote, are the same comparison."""
    (tmp_path / "pairs.tsv").write_text(PAIRS)
    given, page = [str(TINY), str(tmp_path / "pairs.tsv"), "--beam-size", "3"], tmp_path / "page.html"
    kept = tmp_path / "kept.tsv"
    assert CliRunner().invoke(app, [*given, "--outputs", str(kept)]).exit_code == 0
    found = CliRunner().invoke(app, [*given, "--report", str(page), "--against", str(kept)])
    assert found.exit_code == 0, found.output
    assert f"against {kept}: only here right 0, only there 0" in found.stdout
    shown = page.read_text(encoding="utf-8")
    assert Page(shown).seen["section"] == 7
    again = CliRunner().invoke(app, [*given, "--against", str(TINY), "--json"])
    assert '"both_wrong": 4' in again.stdout, again.output


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--training", "pairs.tsv"], "error: --training: needs --report, which counts its tokens"),
        (["--report", "pairs.tsv"], "error: --report: expected another file than the pairs, got pairs.tsv"),
        (["--report", "no/a.html"], "error: --report: expected a file in a folder that is there, got no/a.html"),
        (
            ["--report", "a.html", "--outputs", "./a.html"],
            "error: --report: expected another file than --outputs, got a.html",
        ),
        (
            ["--against", "few.tsv"],
            "error: few.tsv: expected an output for every source of the pairs, got none for 5 of 6, such as 'ba'",
        ),
        (["--against", "bad.tsv"], "error: bad.tsv, line 1: expected source<TAB>output, as --outputs writes them"),
    ],
)
def test_what_cannot_be_shown_is_said(
    options: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one line; nothing is overwritten."""
    monkeypatch.chdir(tmp_path)
    Path("pairs.tsv").write_text(PAIRS)
    Path("few.tsv").write_text("abc\tBBD\n")
    Path("bad.tsv").write_text("abc\n")
    found = CliRunner().invoke(app, [str(TINY), "pairs.tsv", *options])
    assert found.exit_code in {1, 2}
    assert found.stderr.strip() == message
    assert Path("pairs.tsv").read_text() == PAIRS
