"""Fonts of this machine that draw what the default font can't: Han, Devanagari and whatever else labels hold."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Set
from functools import cache

from matplotlib import font_manager, rcParams
from matplotlib.font_manager import FontEntry
from matplotlib.ft2font import FT2Font

from s2s_runtime.lazy_modules import logger_of

_LOG = logger_of(__name__)
_PLAIN_NAMES = ("DejaVu Sans", "Noto Sans")  # between equals: those that look like the default one
_WITHOUT_SHAPES = ("last resort", "lastresort", "blank")  # they claim every symbol and draw boxes, or nothing


def families_for(texts: Iterable[str]) -> list[str]:
    """Return the font families that between them draw the texts, those of matplotlib's settings first.

    Symbols that no font of the machine has are logged in one warning that names them and their scripts.

    Args:
        texts: labels, titles and the like.

    Returns:
        Names for matplotlib's `fontfamily`: it takes each symbol from the first family that has it.
    """
    families = [str(family) for family in rcParams["font.family"]]
    lacking = {symbol for text in texts for symbol in text if _is_drawn(symbol)}
    for family in families:
        lacking -= _symbols(font_manager.findfont(font_manager.FontProperties(family=[family])))
    for find in (
        _listed,
        _unlisted,
    ):  # matplotlib's list is of the day when it was made; newer fonts are looked for last
        for font in find() if lacking else ():
            if lacking & _symbols(font.fname):
                families.append(font.name)
                lacking -= _symbols(font.fname)
    if lacking:
        _warn(lacking)
    return families


def _listed() -> list[FontEntry]:
    return _by_preference(font_manager.fontManager.ttflist)


def _unlisted() -> list[FontEntry]:
    """Add the fonts that were installed after matplotlib made its list, and return them."""
    manager = font_manager.fontManager
    before = len(manager.ttflist)
    for path in sorted({*font_manager.findSystemFonts()} - {font.fname for font in manager.ttflist}):
        try:
            manager.addfont(path)
        except (OSError, RuntimeError) as error:  # a font that can't be read draws nothing
            _LOG.debug("left out the font %s: %s", path, error)
    return _by_preference(manager.ttflist[before:])


def _by_preference(fonts: Iterable[FontEntry]) -> list[FontEntry]:
    shaped = [font for font in fonts if not any(word in font.name.lower() for word in _WITHOUT_SHAPES)]
    return sorted(shaped, key=_plainness)


def _plainness(font: FontEntry) -> tuple[bool, bool, bool, str]:
    return (
        font.style != "normal",
        font.weight not in (400, "normal", "regular"),
        not font.name.startswith(_PLAIN_NAMES),
        font.name,
    )


@cache
def _symbols(path: str) -> Set[str]:
    return frozenset(map(chr, FT2Font(path).get_charmap()))


def _is_drawn(symbol: str) -> bool:
    """Return whether a symbol has a shape: spaces, controls and format characters have none."""
    return unicodedata.category(symbol)[0] not in "CZ"


def _warn(lacking: Set[str]) -> None:
    scripts = sorted({unicodedata.name(symbol, "unnamed").split()[0] for symbol in lacking})
    _LOG.warning(
        "no font on this machine has %s (%s); install one that has them (the Noto fonts cover nearly every script), "
        "or name one as font.family in a matplotlibrc file",
        " ".join(sorted(lacking)),
        ", ".join(scripts),
    )
