"""A page of errors: one file of HTML that needs nothing else."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from s2s_runtime.report import figures, markup
from s2s_runtime.report.items import Item
from s2s_runtime.report.markup import Html, bar, number, plain, section, table
from s2s_runtime.report.reliability import measure_reliability
from s2s_runtime.report.significance import Compared
from s2s_runtime.report.style import STYLE

_WORST: Final = 50
_CONFUSIONS: Final = 30
_DIFFERING: Final = 25  # items that one of two systems alone has right
_RANKS: Final = (1, 2, 3, 4, 5, 10, 20, 50, 100)
_SURE: Final = 0.05
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"


@dataclass(frozen=True, slots=True)
class Report:
    """What a page shows.

    Attributes:
        title: what was evaluated, and on what.
        settings: how it was decoded, in a line.
        figures: the rates of the whole, as they are shown, by name.
        items: the outputs, at least one.
        occurring: how often target tokens occur in some text.
        counted_in: which text that is.
        spaced: whether blanks stand between target tokens.
        compared: a comparison with another system; None = there is none.
    """

    title: str
    settings: str
    figures: Mapping[str, str]
    items: Sequence[Item]
    occurring: Mapping[str, int]
    counted_in: str
    spaced: bool
    compared: Compared | None = None

    def to_html(self) -> str:
        """Return the page."""
        parts = {"worst": _worst(self), "tokens": _tokens(self), "lengths": _lengths(self)}
        parts |= {"frequencies": _frequencies(self), "confidence": _confidence(self), "ranks": _ranks(self)}
        parts = parts if self.compared is None else {"against": _against(self, self.compared), **parts}
        shown = {name: part for name, part in parts.items() if part}
        links = "".join(f'<a href="#{name}">{name}</a>' for name in shown)
        whole = "".join(f"<div>{plain(name)}<b>{plain(value)}</b></div>" for name, value in self.figures.items())
        main = "\n".join(shown.values())
        return (
            f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{plain(self.title)}</title>'
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
            f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style></head>\n'
            f'<body><header><h1>{markup.escaped(self.title)}</h1><p class="quiet">{plain(self.settings)}</p>'
            f'<nav aria-label="parts">{links}</nav><div class="figures">{whole}</div></header>\n'
            f"<main>{main}</main></body></html>\n"
        )


def _worst(report: Report) -> Html | None:
    wrong = sorted(
        (item for item in report.items if item.edits),
        key=lambda item: (-item.edits, -item.edits / max(1, item.length), -_probability(item), item.source),
    )
    if not wrong:
        return None
    searched = sum(item.is_search_error for item in wrong)
    told = [item for item in wrong if item.log_probability is not None and item.right_log_probability is not None]
    about = f"{_first(len(wrong), _WORST)} wrong outputs, most edits first. Struck out: right, but not written."
    if told:
        about += (
            f" The right text is likelier to the model than its output in {searched:,} of {len(told):,}: there a "
            f"better search would find it."
        )
    rows = [
        (
            markup.escaped(item.source),
            markup.changed(item.steps, spaced=report.spaced),
            markup.escaped(item.right),
            number(item.edits),
            _chance(item.log_probability),
            _chance(item.right_log_probability),
        )
        for item in wrong[:_WORST]
    ]
    head = ["source", "output", "right", "edits", "probability", "of the right"]
    return section("worst", "Worst outputs", about, table(head, rows, "worst outputs"))


def _tokens(report: Report) -> Html | None:
    found = figures.confusions(report.items)
    if not found:
        return None
    most = found[0].count
    rows = [
        (
            markup.token(one.right, "(nothing)"),
            markup.token(one.written, "(left out)"),
            number(one.count),
            number(one.share, ".2%"),
            bar(one.count / most),
        )
        for one in found[:_CONFUSIONS]
    ]
    about = (
        f"{_first(len(found), _CONFUSIONS)} confusions, the most frequent first; the share is that of the right "
        "token's occurrences, or of all tokens where one was put in."
    )
    head = ["right", "written", "times", "share", ""]
    return section("tokens", "Confused tokens", about, table(head, rows, "confused tokens"))


def _lengths(report: Report) -> Html:
    about = "Wrong outputs by the length of the right text in tokens."
    return section("lengths", "Errors by length", about, _bins(figures.by_length(report.items), "tokens", "outputs"))


def _frequencies(report: Report) -> Html | None:
    bins = figures.by_frequency(report.items, report.occurring)
    about = "Right tokens that were left out or replaced, by how often they occur among the targets of "
    about += f"{report.counted_in}."
    return section("frequencies", "Errors by frequency", about, _bins(bins, "occurs", "tokens")) if bins else None


def _bins(bins: Sequence[figures.Bin], name: str, counted: str) -> Html:
    rows = [
        (Html(plain(one.name)), number(one.count), number(one.wrong), number(one.share, ".1%"), bar(one.share))
        for one in bins
    ]
    return table([name, counted, "wrong", "share", ""], rows, f"errors by {name}")


def _confidence(report: Report) -> Html | None:
    known = [(item.confidence, item.edits == 0) for item in report.items if item.confidence is not None]
    if not known:
        return None
    found = measure_reliability(*zip(*known, strict=True))
    about = (
        "The probability that the model gives its output, beside the share of such outputs that are right. Expected "
        f"calibration error {found.error:.1%}"
    )
    if found.ranking is not None:
        about += f"; a right output is surer than a wrong one in {found.ranking:.1%} of pairs"
    rows = [
        (
            Html(f"{one.low:.0%} to {one.high:.0%}"),
            number(one.count),
            number(one.confidence, ".1%"),
            number(one.right, ".1%"),
        )
        for one in found.bins
    ]
    kept = [(number(one.share, ".0%"), number(one.least, ".1%"), number(one.wrong, ".1%")) for one in found.kept]
    tables = table(["confidence", "outputs", "mean", "right"], rows, "share right by confidence")
    surest = table(["surest", "confidence from", "wrong"], kept, "errors among the surest outputs")
    drawn = Html(f'<div class="beside">{markup.reliability_drawing(found.bins)}<div>{tables}{surest}</div></div>')
    return section("confidence", "Confidence", about + ".", drawn)


def _ranks(report: Report) -> Html | None:
    if max(len(item.nbest) for item in report.items) < 2:
        return None
    ranks = figures.oracle(report.items)
    shown = [rank for rank in ranks if rank.hypotheses in _RANKS or rank is ranks[-1]]
    rows = [
        (
            number(rank.hypotheses),
            number(rank.sequence_error_rate, ".2%"),
            number(rank.token_error_rate, ".2%"),
            bar(rank.sequence_error_rate / max(ranks[0].sequence_error_rate, 1e-9)),
        )
        for rank in shown
    ]
    about = "Errors that would be left if the best of the first hypotheses were always picked: what reranking can gain."
    head = ["hypotheses", "wrong sequences", "wrong tokens", ""]
    return section("ranks", "Right further down", about, table(head, rows, "errors by number of hypotheses"))


def _against(report: Report, compared: Compared) -> Html:
    rows = [
        (
            Html(plain(one.name)),
            number(one.points(one.first), ".2f"),
            number(one.points(one.other), ".2f"),
            number(one.points(one.first - one.other), "+.2f"),
            Html(one.interval().replace("-", markup.MINUS)),
            number(one.p, ".4f"),
            Html("clear" if one.p < _SURE else "may be chance"),
        )
        for one in compared.differences
    ]
    head = ["", "this", "other", "difference", "95% interval", "p", ""]
    only, lost = len(compared.gained), len(compared.lost)
    counts = table(
        ["", "other right", "other wrong"],
        [
            (Html("this right"), number(compared.both_right), number(only)),
            (Html("this wrong"), number(lost), number(compared.both_wrong)),
        ],
        "outputs that both systems have right or wrong",
    )
    tables = [table(head, rows, "differences of error rates"), counts]
    for title, pairs in (("right here alone", compared.gained), ("right there alone", compared.lost)):
        if pairs:
            sources = (
                (
                    markup.escaped(one.source),
                    markup.changed(one.steps, spaced=report.spaced),
                    markup.changed(two.steps, spaced=report.spaced),
                )
                for one, two in pairs[:_DIFFERING]
            )
            shown = table(["source", "this", "other"], sources, title)
            told = plain(f"{_first(len(pairs), _DIFFERING)} {title}")
            tables.append(Html(f"<details><summary>{told}</summary>{shown}</details>"))
    about = f"Against {compared.against}, on the same sources; paired bootstrap over samples of them; rates in percent."
    return section("against", "Against another system", about, *tables)


def _first(count: int, most: int) -> str:
    """Return words for how many of a list are shown."""
    return f"{count:,}" if count <= most else f"The first {most} of {count:,}"


def _probability(item: Item) -> float:
    """Return the probability that the model gives an output; 0 where it isn't known."""
    return 0.0 if item.log_probability is None else math.exp(item.log_probability)


def _chance(log_probability: float | None) -> Html | None:
    """Return the cell of a probability; none where it isn't known."""
    return None if log_probability is None else number(math.exp(log_probability), ".1%")
