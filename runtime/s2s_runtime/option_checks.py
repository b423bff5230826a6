"""What decoding options may be: types, ranges, and what contradicts what. `s2s_runtime.options` says what they mean."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from s2s_runtime.search.cancellation import CancelSignal

if TYPE_CHECKING:
    from s2s_runtime.options import DecodingOptions


def option_problems(options: DecodingOptions) -> list[str]:
    """Everything that is wrong with options, one line each; contradictions only where all values are sound.

    Defaults are sound: only what differs from them is looked at, as checking all takes as long as writing some tokens.
    """
    kind = type(options)
    given = {name for name, value in vars(options).items() if value is not getattr(kind, name)}
    if not given:
        return []
    return [*_type_problems(options, given), *_range_problems(options, given)] or _contradictions(options)


def _type_problems(options: DecodingOptions, given: set[str]) -> list[str]:
    problems = []
    for name in sorted(given & _FLAGS):
        if not isinstance(getattr(options, name), bool):
            problems.append(f"{name}: expected True or False, got {getattr(options, name)!r}")
    for name in ("allowed_next", "callback"):
        value = getattr(options, name)
        if value is not None and not callable(value):
            problems.append(f"{name}: expected a function, got {value!r}")
    if options.cancel is not None and not isinstance(options.cancel, CancelSignal):
        problems.append(f"cancel: expected a threading.Event or the like, with is_set(), got {options.cancel!r}")
    for name in sorted(given & _SEQUENCES):
        value = getattr(options, name)
        if value is not None and (isinstance(value, str) or not isinstance(value, Sequence | np.ndarray)):
            problems.append(f"{name}: expected a list, got {value!r}")
    table = options.phrase_table
    if table is not None and not (
        isinstance(table, Mapping) and all(isinstance(token, str) for pair in table.items() for token in pair)
    ):
        problems.append(f"phrase_table: expected a mapping of tokens to tokens, got {options.phrase_table!r}")
    for name, allowed in _CHOICES.items():
        value = getattr(options, name)
        if value not in allowed and not (value is None and name in _OPTIONAL):
            problems.append(f"{name}: expected {' or '.join(map(repr, allowed))}, got {value!r}")
    return problems


def _range_problems(options: DecodingOptions, given: set[str]) -> list[str]:
    problems = []
    for name, lowest in _INTEGERS.items():
        value = getattr(options, name)
        if name in given and not (value is None and name in _OPTIONAL) and not (is_integer(value) and value >= lowest):
            problems.append(f"{name}: expected an integer of at least {lowest}, got {value!r}")
    for name, (expected, allowed) in _NUMBERS.items():
        value = getattr(options, name)
        if name in given and not (value is None and name in _OPTIONAL) and not (_is_number(value) and allowed(value)):
            problems.append(f"{name}: expected {expected}, got {value!r}")
    ratio = options.max_length_ratio
    pair = ratio if isinstance(ratio, tuple) and len(ratio) == 2 else (ratio, 0.0)
    if ratio is not None and not (all(map(_is_number, pair)) and pair[0] >= 0):  # type: ignore[operator]
        problems.append(f"max_length_ratio: expected a number of at least 0, or a pair (a, b), got {ratio!r}")
    return problems


def _contradictions(options: DecodingOptions) -> list[str]:
    problems = []
    kind = type(options)
    most = options.pool
    free = options.sampling or options.return_alternatives
    if options.num_hypotheses > most and not free:
        problems.append(
            f"num_hypotheses: expected at most beam_size * patience = {most} (beam_size {options.beam_size}, "
            f"patience {options.patience:g}), got {options.num_hypotheses}"
        )
    if options.max_length is not None and options.min_length > options.max_length:
        problems.append(f"min_length: expected at most max_length = {options.max_length}, got {options.min_length}")
    for name in ("sampling_temperature", "sampling_top_k", "sampling_top_p", "callback"):
        if getattr(options, name) is not None and options.beam_size > 1:
            problems.append(f"{name}: needs beam_size 1, got beam_size {options.beam_size}")
    if options.patience != 1.0 and options.beam_size == 1:
        problems.append(f"patience: needs beam_size above 1, got patience {options.patience:g} with beam_size 1")
    for name, needed, present in (
        ("seed", "one of the sampling options", options.sampling),
        ("phrase_table", "replace_unknown", options.replace_unknown),
        ("no_repeat_ngram_exclude", "no_repeat_ngram_size", options.no_repeat_ngram_size > 0),
        ("min_alternative_probability", "return_alternatives", options.return_alternatives),
        ("coverage_penalty", "beam_size above 1", options.beam_size > 1),
    ):
        if not present and not np.array_equal(getattr(options, name), getattr(kind, name)):
            problems.append(f"{name}: has no effect without {needed}; give that too or leave {name} out")
    if options.return_alternatives and (options.sampling or options.callback is not None):
        problems.append("return_alternatives: can't be combined with sampling or a callback")
    if options.callback is not None and options.num_hypotheses > 1:
        problems.append(f"callback: needs num_hypotheses 1, got num_hypotheses {options.num_hypotheses}")
    return problems


def is_integer(value: object) -> bool:
    """Whether a value is an integer, numpy's among them; truth values aren't."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return (is_integer(value) or isinstance(value, float | np.floating)) and math.isfinite(value)  # type: ignore[arg-type]


_FLAGS: Final = frozenset(
    {
        "allow_unknown",
        "return_end_token",
        "replace_unknown",
        "return_scores",
        "return_token_scores",
        "return_attention",
        "return_alternatives",
    }
)
_SEQUENCES: Final = frozenset(
    {"no_repeat_ngram_exclude", "suppress_tokens", "suppress_sequences", "end_tokens", "prefix"}
)
_CHOICES: Final = {
    "length_penalty_kind": ("average", "gnmt"),
    "batch_by": ("sentences", "tokens"),
    "unknown_symbols": ("error", "unk", "skip"),
    "engine": ("auto", "graph", "steps"),
    "batching": ("static", "continuous"),
}
_INTEGERS: Final = {
    "beam_size": 1,
    "num_hypotheses": 1,
    "max_length": 1,
    "min_length": 0,
    "no_repeat_ngram_size": 0,
    "sampling_top_k": 1,
    "seed": 0,
    "max_batch_size": 1,
}
_NUMBERS: Final[dict[str, tuple[str, Callable[[float], bool]]]] = {
    "patience": ("a number above 0", lambda value: value > 0),
    "length_penalty": ("a number of at least 0", lambda value: value >= 0),
    "coverage_penalty": ("a number of at least 0", lambda value: value >= 0),
    "repetition_penalty": ("a number above 0", lambda value: value > 0),
    "sampling_temperature": ("a number above 0", lambda value: value > 0),
    "sampling_top_p": ("a number above 0 and at most 1", lambda value: 0 < value <= 1),
    "min_alternative_probability": ("a number from 0 to 1", lambda value: 0 <= value <= 1),
}
_OPTIONAL: Final = frozenset(
    {"max_length", "sampling_top_k", "seed", "sampling_temperature", "sampling_top_p", "unknown_symbols"}
)
