"""Results as a notebook shows them: a table, and attention as a picture."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Sequence
from html import escape
from typing import Final

from s2s_runtime.errors import MissingExtraError
from s2s_runtime.plots.attention import attention_figure
from s2s_runtime.plots.figures import png_bytes
from s2s_runtime.plots.shown import ShownHypothesis, ShownResult

_MOST_ROWS: Final = 60
_MOST_PICTURES: Final = 4


def attention_png(result: ShownResult) -> bytes | None:
    """Draw the attention of the best hypothesis, as a PNG; return None where it has none, or matplotlib is missing."""
    weights = result.hypotheses[0].attention
    if weights is None or weights.size == 0:
        return None
    try:
        return png_bytes(attention_figure(weights, result.source_tokens, result.hypotheses[0].tokens))
    except MissingExtraError:
        return None


def results_table(results: Sequence[ShownResult]) -> str:
    """Return results as a table in HTML: a row for each hypothesis, those of a source together; long ones are cut.

    Below it stand pictures of their attention, where there are few results.
    """
    rows = [row for index, result in enumerate(results) for row in _rows(index, result)]
    scored = any(hypothesis.score is not None for result in results for hypothesis in result.hypotheses)
    unknown = any(result.unknown_symbols for result in results)
    head = ["", "source", "text", *(["score"] if scored else []), "ended by", *(["unknown symbols"] if unknown else [])]
    body = [[row[0], row[1], row[2], *row[3:4] * scored, row[4], *row[5:] * unknown] for row in rows[:_MOST_ROWS]]
    lines = [_line("th", head), *(_line("td", row) for row in body)]
    left = len(rows) - len(body)
    more = f"<p>{left:,} rows more</p>" if left else ""
    pictures = [attention_png(result) for result in results] if len(results) <= _MOST_PICTURES else []
    shown = (f'<img src="data:image/png;base64,{b64encode(png).decode()}">' for png in pictures if png is not None)
    return f"<table>{''.join(lines)}</table>{more}{''.join(shown)}"


def _rows(index: int, result: ShownResult) -> Iterator[list[str]]:
    """Yield index, source, text, score, reason and unknown symbols of each hypothesis; only the first row has all."""
    shared = [f"{index:,}", _text(result.source_tokens)], " ".join(result.unknown_symbols)
    for hypothesis in result.hypotheses:
        (number, source), unknown = shared
        yield [number, source, hypothesis.text, _score(hypothesis), hypothesis.finish_reason, unknown]
        shared = ["", ""], ""


def _text(tokens: Sequence[str]) -> str:
    """Return source tokens as a person reads them: characters joined, words and numbers between spaces."""
    characters = sum(len(token) == 1 and not token.isdigit() for token in tokens)
    return ("" if 2 * characters >= len(tokens) else " ").join(tokens)


def _score(hypothesis: ShownHypothesis) -> str:
    return "" if hypothesis.score is None else f"{hypothesis.score:.3f}"


def _line(kind: str, cells: Sequence[str]) -> str:
    style = ' style="text-align: left; white-space: pre-wrap"'
    return f"<tr>{''.join(f'<{kind}{style}>{escape(cell)}</{kind}>' for cell in cells)}</tr>"
