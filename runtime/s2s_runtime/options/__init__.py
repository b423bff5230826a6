"""Decoding options: what they are called, what they mean, what they may be. Each is declared once, in this room.

A module holds the options of one kind: what is searched for (`search`), what may be written (`tokens`), what is drawn
(`sampling`), what results hold (`output`), how the work is done (`running`). `decoding` puts them together.
`s2s_runtime.declared_options` says what is made of a declaration. Meanings are those that people know from CTranslate2,
fairseq, OpenNMT and Marian; what these call an option stands beside it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Final

from s2s_runtime.options.decoding import DecodingOptions, merged_values
from s2s_runtime.options.types import AllowedNext, Callback, CancelSignal, Engine, Phrase, Prefix, Token, TokenEvent

if TYPE_CHECKING:
    from s2s_runtime.options.values import OptionValues, ScoreValues

READ_AHEAD: Final = 4096  # sources of a stream that are sorted and decoded together

__all__ = [
    "READ_AHEAD",
    "AllowedNext",
    "Callback",
    "CancelSignal",
    "DecodingOptions",
    "Engine",
    "OptionValues",
    "Phrase",
    "Prefix",
    "ScoreValues",
    "Token",
    "TokenEvent",
    "merged_values",
]


def __getattr__(name: str) -> object:
    if name not in ("OptionValues", "ScoreValues"):  # what type checkers read, and seldom anybody else
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.values"), name)
