"""The errors this package raises on purpose.

Each is a `S2SError` and also the builtin nearest in meaning, so that callers may catch either. Messages are one line:
what was wrong, what was expected, what to do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

_NAMED: Final = 5  # sources that a message names


class S2SError(Exception):
    """Base of every error raised on purpose by the s2s packages. All can be pickled, as pools of processes do."""

    def __str__(self) -> str:
        # of one line, whatever was shown in it: the repr of an array has several
        return " ".join(line.strip() for line in super().__str__().splitlines())

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickled, (type(self), self.args), self.__dict__


def _unpickled(kind: type[S2SError], args: tuple[Any, ...]) -> S2SError:
    """Make an error without its constructor, which composes the message from other arguments than the message."""
    error = kind.__new__(kind, *args)
    error.args = args
    return error


class BundleError(S2SError, ValueError):
    """A bundle is incomplete, altered, of a newer format, or contradicts itself."""


class BundleNotFoundError(S2SError, FileNotFoundError):
    """The path given is no bundle: it doesn't exist, or holds no manifest."""


class VocabularyError(S2SError, ValueError):
    """A vocabulary (or the file that holds it) is malformed or contradicts itself."""


class UnknownSymbolError(S2SError, ValueError):
    """A text holds a symbol that the vocabulary doesn't, and nothing may stand for it.

    Attributes:
        symbol: the symbol that the vocabulary lacks.
        position: its index among the symbols of the normalised text.
        text: the text as given.
        place: position of the text among the caller's inputs, where it stood among several.
        reason: the message.
    """

    def __init__(self, unit: str, symbol: str, position: int, text: str, stand_in: str | None = None) -> None:
        """Compose the message.

        Args:
            unit: "character", "word", "symbol" or "piece".
            symbol: see the attributes, as for `position` and `text`.
            position: likewise.
            text: likewise.
            stand_in: the vocabulary's unknown symbol, which wasn't to be used; None = it has none.
        """
        advice = (
            " and has no unknown symbol; remove or replace it"
            if stand_in is None
            else f"; remove it, or let {stand_in!r} stand for it (unknown_symbols='unk', --unknown unk)"
        )
        self.reason = (
            f"unknown {unit} {symbol!r} at position {position} of {_shorten(text)!r}: "
            f"the vocabulary doesn't hold it{advice}"
        )
        super().__init__(self.reason)
        self.symbol = symbol
        self.position = position
        self.text = text
        self.place: int | None = None


class OptionError(S2SError, ValueError):
    """An option is out of range, contradicts another, or needs something the bundle lacks."""


class UnknownOptionError(OptionError, TypeError):
    """A keyword argument doesn't exist; the message names the nearest one that does."""


class InputError(S2SError, ValueError):
    """What was given to decode or score has the wrong type, shape, range or length.

    Attributes:
        place: position of the wrong item among the caller's inputs, where it stood among several.
        reason: what is wrong with that item, without its place.
    """

    place: int | None = None
    reason: str = ""

    @classmethod
    def at(cls, inputs: str, place: int, reason: str) -> InputError:
        """Make an error about one item of several: `inputs[place]: reason`."""
        error = cls(f"{inputs}[{place}]: {reason}")
        error.place, error.reason = place, reason
        return error


@contextmanager
def naming(call: Callable[[int], str]) -> Iterator[None]:
    """Raise errors about one item of several as `call(its place): reason`, and all others as they are.

    Raises:
        InputError: an item was wrong.
    """
    try:
        yield
    except (UnknownSymbolError, InputError) as error:
        if error.place is None:
            raise
        raise InputError(f"{call(error.place)}: {error.reason}") from error


@contextmanager
def raised_as(kind: type[S2SError]) -> Iterator[None]:
    """Raise an `InputError` of the block as an error of another kind, with the same message.

    Raises:
        S2SError: what was given is wrong; the error is of that kind.
    """
    try:
        yield
    except InputError as error:
        raise kind(str(error)) from error


class CancelledError(S2SError, RuntimeError):
    """A running call was cancelled by the `cancel` it was given; nothing of what it had decoded is returned."""


class RunError(S2SError, RuntimeError):
    """A model failed while it ran: onnxruntime said so, or there wasn't enough memory.

    Attributes:
        sources: positions among the caller's inputs of those that were computed then.
        reason: what failed, without these.
    """

    sources: Sequence[int] = ()
    reason: str = ""

    @classmethod
    def of(cls, sources: Sequence[int], time: int, failure: str) -> RunError:
        """Make an error about some sources, padded to a length of `time` tokens."""
        count = "a source" if len(sources) == 1 else f"{len(sources)} sources together"
        return cls.at(
            sources,
            f"{count} of up to {time} tokens failed: {_shorten(failure, 300)}; leave out what is too long "
            "(max_source_length, on_long) or decode fewer together (max_batch_tokens)",
        )

    @classmethod
    def at(cls, sources: Sequence[int], reason: str) -> RunError:
        """Make an error about sources at some positions."""
        places = ", ".join(f"inputs[{place}]" for place in sources[:_NAMED])
        more = f" and {len(sources) - _NAMED} more" if len(sources) > _NAMED else ""
        error = cls(f"{places}{more}: {reason}")
        error.sources, error.reason = tuple(sources), reason
        return error


class ClosedModelError(S2SError, ValueError):
    """A model or a decoder was used after `close()`."""


class MissingExtraError(S2SError, ImportError):
    """An optional dependency is not installed; the message names the extra that brings it."""


class ProviderError(S2SError, RuntimeError):
    """An execution provider was asked for and not obtained."""


class BenchmarkError(S2SError, RuntimeError):
    """Something can't be measured here, or a process started to be measured has failed."""


def _shorten(text: str, limit: int = 60) -> str:
    return text if len(text) <= limit else text[: limit - 3] + "..."
