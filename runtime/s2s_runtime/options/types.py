"""Types of the values of options. Nothing here needs numpy, for which `--help` doesn't wait."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from os import PathLike
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

BatchUnit = Literal["sentences", "tokens"]
Engine = Literal["auto", "graph", "steps"]
LengthPenaltyKind = Literal["average", "gnmt"]
Mean = Literal["probabilities", "log_probabilities"]
Combination = Literal["steps", "hypotheses"]
Utility = Literal["bleu", "chrf", "edit_distance"]
LexiconUse = Literal["first", "merge"]
ErrorPolicy = Literal["raise", "return"]
LongPolicy = Literal["error", "truncate", "split"]
UnknownPolicy = Literal["error", "unk", "skip"]
Token = int | str
Prefix = str | Sequence[int]
LexiconOutputs = str | Sequence[str | tuple[str, float]]
Phrase = str | Sequence[Token]


class TokenEvent(NamedTuple):
    """A token that greedy search or sampling just chose: what `callback` is called with.

    Attributes:
        sentence: position of the sentence in the caller's inputs.
        step: how many tokens came before it.
        token_id: its id.
        token: its symbol (the id as a string without a target vocabulary).
        log_probability: where scores were asked for, else None.
        is_last: whether the sequence ends with it.
    """

    sentence: int
    step: int
    token_id: int
    token: str
    log_probability: float | None
    is_last: bool


@runtime_checkable
class CancelSignal(Protocol):
    """Says whether a call is to end: a `threading.Event`, or anything else with this method, such as a deadline."""

    def is_set(self) -> bool:
        """Return whether the call is to end. Each thread that decodes calls this before its steps, side by side."""
        ...


class LoadedModel(Protocol):
    """A bundle that was loaded: what `s2s_runtime.load` returns."""

    @property
    def manifest(self) -> Any:
        """The manifest of the bundle."""
        ...

    @property
    def step_model(self) -> Any:
        """Its graphs."""
        ...


LanguageModel = LoadedModel | str | PathLike[str]
LogitsProcessor = Callable[[Any, Any], Any]
AllowedNext = Callable[[int, list[int]], object]
Callback = Callable[[TokenEvent], bool | None]
