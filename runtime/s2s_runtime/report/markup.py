"""Pieces of HTML. All text that comes from outside goes through `escaped`, `tokens` or a cell of a `table`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Final, NewType

from s2s_runtime.report.alignment import Step
from s2s_runtime.report.reliability import ReliabilityBin

Html = NewType("Html", str)
"""Text that is HTML already."""

_CONTROLS: Final = {code: 0x2400 + code for code in range(32)} | {127: 0x2421}  # pictures of control characters
_SHOWN_BLANK: Final = {" ": "␣", "": "∅"}
MINUS: Final = "\u2212"  # as wide as a plus
_SIDE: Final = 300  # of the drawing, in its own units
_MARGIN: Final = 36


def plain(text: str) -> Html:
    """Return a text as HTML; control characters are shown as pictures."""
    return Html(escape(_visible(text)))


def escaped(text: str) -> Html:
    """Return a text as HTML, in its own direction of writing."""
    return Html(f'<bdi dir="auto">{plain(text)}</bdi>')


def token(text: str | None, otherwise: str = "") -> Html:
    """Return one token as HTML: a blank is shown by a sign, None by other words."""
    return plain(otherwise) if text is None else escaped(_SHOWN_BLANK.get(text, text))


def changed(steps: Iterable[Step], *, spaced: bool) -> Html:
    """Return an output as HTML: right tokens that are missing are struck out, wrong ones that were written marked.

    Args:
        steps: how the right tokens became those written.
        spaced: whether blanks stand between tokens.
    """
    parts: list[str] = []
    for step in steps:
        if step.right == step.written:
            parts.append(plain(step.right or ""))
            continue
        gone = "" if step.right is None else f"<del>{_marked(step.right)}</del>"
        new = "" if step.written is None else f"<ins>{_marked(step.written)}</ins>"
        parts.append(gone + new)
    return Html(f'<bdi dir="auto">{(" " if spaced else "").join(parts)}</bdi>')


def _marked(text: str) -> str:
    return plain(_SHOWN_BLANK.get(text, text))


def _visible(text: str) -> str:
    """Return a text in which nothing is left that browsers drop or read as an end of the page."""
    return "".join(character if character.isprintable() else _stand_in(character) for character in text)


def _stand_in(character: str) -> str:
    """Return what is shown for a character that isn't printed; marks that shape the text around them are kept."""
    if character in "\u200c\u200d\u00a0\u3000":  # joiners, of which Indic and Persian words are made, and wide blanks
        return character
    return chr(_CONTROLS[ord(character)]) if ord(character) in _CONTROLS else f"\\u{ord(character):04x}"


def table(head: Sequence[str], rows: Iterable[Sequence[Html | float | None]], caption: str) -> Html:
    """Return a table: HTML in cells on the left, numbers as they are formatted on the right, None as an empty cell.

    Args:
        head: a name for each column.
        rows: the cells; at least one row.
        caption: what it shows, for readers that can't see it.
    """
    cells = [list(map(_cell, row)) for row in rows]
    body = "".join(f"<tr>{''.join(row)}</tr>" for row in cells)
    kinds = [' class="number"' if cell.startswith('<td class="number"') else "" for cell in cells[0]]
    names = "".join(f'<th scope="col"{kind}>{plain(name)}</th>' for name, kind in zip(head, kinds, strict=True))
    opening = f'<div class="scroll" tabindex="0" role="region" aria-label="{plain(caption)}"><table>'
    return Html(f"{opening}<thead><tr>{names}</tr></thead><tbody>{body}</tbody></table></div>")


def _cell(content: Html | float | None) -> str:
    if content is None:
        return "<td></td>"
    if isinstance(content, int | float):
        return f'<td class="number">{content:,}</td>'
    return content if content.startswith("<td") else f'<td class="text">{content}</td>'


def number(value: float, form: str = ",") -> Html:
    """Return a cell of a number in some format; a minus sign as wide as a plus."""
    return Html(f'<td class="number">{format(value, form).replace("-", MINUS)}</td>')


def bar(share: float) -> Html:
    """Return a cell with a bar as long as a share, 0 to 1, of it."""
    return Html(f'<td class="bar"><span style="width:{100 * min(1.0, share):.1f}%"></span></td>')


def section(name: str, title: str, about: str, *content: Html) -> Html:
    """Return a part of the page, under a heading that can be linked to, with some words before its content."""
    return Html(
        f'<section id="{name}"><h2>{plain(title)}</h2><p class="quiet">{plain(about)}</p>{"".join(content)}</section>'
    )


def reliability_drawing(bins: Sequence[ReliabilityBin]) -> Html:
    """Return a reliability diagram: share right over confidence, and the line on which both are the same."""
    full = _SIDE + 2 * _MARGIN

    def at(confidence: float, right: float) -> tuple[str, str]:
        return f"{_MARGIN + _SIDE * confidence:.1f}", f"{_MARGIN + _SIDE * (1 - right):.1f}"

    lines = []
    for share in (0, 0.25, 0.5, 0.75, 1):
        (x, y), (left, bottom) = at(share, share), at(0, 0)
        end, top = at(1, 1)
        lines.append(f'<path class="grid" d="M{x} {bottom}V{top}M{left} {y}H{end}"/>')
        lines.append(f'<text x="{x}" y="{_MARGIN + _SIDE + 16}" text-anchor="middle">{share:.0%}</text>')
        lines.append(f'<text x="{_MARGIN - 4}" y="{y}" dy="4" text-anchor="end">{share:.0%}</text>')
    (x0, y0), (x1, y1) = at(0, 0), at(1, 1)
    points = [at(one.confidence, one.right) for one in bins]
    most = max(one.count for one in bins)
    dots = [
        f'<circle cx="{x}" cy="{y}" r="{3 + 5 * (one.count / most) ** 0.5:.1f}">'
        f"<title>{one.count:,} outputs</title></circle>"
        for (x, y), one in zip(points, bins, strict=True)
    ]
    path = "L".join(f"{x} {y}" for x, y in points)
    return Html(
        f'<svg width="{full}" height="{full}" viewBox="0 0 {full} {full}" role="img" '
        f'aria-label="share right over confidence; the table beside it has the numbers">{"".join(lines)}'
        f'<path class="ideal" d="M{x0} {y0}L{x1} {y1}"/><path class="line" d="M{path}"/>{"".join(dots)}'
        f'<text x="{full / 2}" y="{full - 4}" text-anchor="middle">confidence</text>'
        f'<text x="{_MARGIN}" y="{_MARGIN - 12}">share right</text></svg>'
    )
