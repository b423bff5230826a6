"""The errors this package raises on purpose.

Each is a `S2SError` and also the builtin nearest in meaning, so that callers may catch either. Messages are one line:
what was wrong, what was expected, what to do.
"""

from queue import Full


class S2SError(Exception):
    """Base of every error raised on purpose by the s2s packages."""


class BundleError(S2SError, ValueError):
    """A bundle is incomplete, altered, of a newer format, or contradicts itself."""


class BundleNotFoundError(S2SError, FileNotFoundError):
    """The path given is no bundle: it doesn't exist, or holds no manifest."""


class VocabularyError(S2SError, ValueError):
    """A vocabulary (or the file that holds it) is malformed or contradicts itself."""


class UnknownSymbolError(S2SError, ValueError):
    """A text holds a symbol that the vocabulary doesn't, and the vocabulary has no unknown symbol to stand for it.

    Attributes:
        symbol: the symbol that was not found.
        position: its index among the symbols of the normalised text.
        text: the text as given.
        place: position of the text among the caller's inputs, where it stood among several.
    """

    def __init__(self, unit: str, symbol: str, position: int, text: str) -> None:
        """Compose the message; `unit` is "character", "word" or "symbol"."""
        super().__init__(
            f"unknown {unit} {symbol!r} at position {position} of {_shorten(text)!r}: "
            f"the vocabulary doesn't hold it and has no unknown symbol; remove or replace it"
        )
        self.symbol = symbol
        self.position = position
        self.text = text
        self.place: int | None = None


class OptionError(S2SError, ValueError):
    """An option is out of range, contradicts another, or needs something the bundle lacks."""


class InputError(S2SError, ValueError):
    """What was given to decode or score has the wrong type, shape, range or length."""


class CancelledError(S2SError, RuntimeError):
    """A running call was cancelled by the `cancel` it was given; nothing of what it had decoded is returned."""


class ClosedModelError(S2SError, ValueError):
    """A model was used after `close()`."""


class QueueFullError(S2SError, Full):
    """As many sentences wait to be decoded as a `Decoder` lets wait."""


class MissingExtraError(S2SError, ImportError):
    """An optional dependency is not installed; the message names the extra that brings it."""


class ProviderError(S2SError, RuntimeError):
    """An execution provider was asked for and not obtained."""


class BenchmarkError(S2SError, RuntimeError):
    """Something can't be measured here, or a process started to be measured has failed."""


def _shorten(text: str, limit: int = 60) -> str:
    return text if len(text) <= limit else text[: limit - 3] + "..."
