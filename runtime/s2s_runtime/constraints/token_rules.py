"""Which tokens may follow: everything that changes logits before search reads them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from s2s_runtime.array_types import Floats, Ints
from s2s_runtime.errors import OptionError
from s2s_runtime.lazy_modules import LazyModule
from s2s_runtime.options import AllowedNext
from s2s_runtime.options.types import LogitsProcessor
from s2s_runtime.spelling import shown

if TYPE_CHECKING:
    from s2s_runtime.constraints import allowed_sequences, phrase_weights, required_phrases
    from s2s_runtime.constraints.automaton import Automaton, Places
else:
    allowed_sequences = LazyModule("constraints.allowed_sequences")
    phrase_weights = LazyModule("constraints.phrase_weights")
    required_phrases = LazyModule("constraints.required_phrases")

NEVER_WRITTEN: Final = "with a token that is never written (see suppress_tokens and allow_unknown)"
_NEVER = np.float32(-np.inf)


@dataclass(frozen=True, slots=True, eq=False)
class TokenRules:
    """Masks and penalties over the next token.

    Args:
        size: of the target vocabulary.
        banned: ids that never follow.
        end_ids: ids that end a sequence, masked until `min_length` tokens stand.
        min_length: see `DecodingOptions`, as for the others.
        repetition_penalty: 1 = none.
        ngram_size: no n-gram occurs twice; 0 = off.
        ngram_exclude: n-grams that hold one of these ids may occur again.
        sequences: id sequences never completed.
        allowed_next: called for each row and step with the tokens written so far; returns the ids that may follow.
        automata: constraints that follow what is written.
        processor: changes logits before the softmax; see `DecodingOptions.logits_processor`.

    Attributes:
        always: float32 (vocabulary,), what is added to the logits at every step: -inf at `banned`.
        early: float32 (vocabulary,), likewise until `min_length` tokens stand: -inf at `end_ids` too.
        may_block: whether a row may be left with no token that may follow.
        listed: the list of what may be written, where it alone says what may follow; else None. What its sequences
            hold may be written: those for which that isn't so are left out of it.
    """

    size: int
    banned: Ints
    end_ids: Ints
    min_length: int = 0
    repetition_penalty: float = 1.0
    ngram_size: int = 0
    ngram_exclude: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    sequences: Sequence[Ints] = ()
    allowed_next: AllowedNext | None = None
    automata: Sequence[Automaton] = ()
    processor: LogitsProcessor | None = None
    always: Floats = field(init=False, repr=False)
    early: Floats = field(init=False, repr=False)
    may_block: bool = field(init=False, repr=False)
    listed: allowed_sequences.SequenceTrie | None = field(init=False, repr=False)

    def __post_init__(self) -> None:
        always = np.zeros(self.size, np.float32)  # adding a row is much quicker than writing into a few columns
        always[self.banned] = _NEVER
        early = always.copy()
        early[self.end_ids] = _NEVER
        object.__setattr__(self, "always", always)
        object.__setattr__(self, "early", early)
        by_history = self.ngram_size > 0 or bool(self.sequences) or any(each.restricts for each in self.automata)
        by_caller = self.allowed_next is not None or self.processor is not None
        alone = (
            not by_caller and len(self.automata) == 1 and isinstance(self.automata[0], allowed_sequences.SequenceTrie)
        )
        object.__setattr__(self, "listed", self.automata[0] if alone else None)
        object.__setattr__(self, "may_block", by_history or by_caller or self.min_length > 0)  # asked at every step

    @property
    def needs_an_end(self) -> bool:
        """Whether nothing but an end may follow where `min_length` doesn't let it follow yet."""
        return self.min_length > 0 and bool(np.isneginf(self.early).all())

    def fixed(self, length: int) -> tuple[Floats, int | None]:
        """Return what is added to the logits however a target of that length goes on, and for how many steps it holds.

        Args:
            length: tokens written so far.

        Returns:
            float32 (vocabulary,); and the steps, None for ever.
        """
        left = self.min_length - length
        return (self.early, left) if left > 0 else (self.always, None)

    @property
    def changes_scores(self) -> bool:
        """Whether what was written changes how likely, or how good, a token is."""
        weighted = any(not each.restricts for each in self.automata)
        return self.repetition_penalty != 1.0 or self.processor is not None or weighted

    @property
    def most_added(self) -> float:
        """The most that a token adds to the log-probability of a sequence, at least 0: see `PhraseWeights`."""
        return sum(each.most_added for each in self.automata if isinstance(each, phrase_weights.PhraseWeights))

    def banks(self, places: Places) -> Ints | None:
        """Return which bank each token leads to, int64 (rows, vocabulary), where beams are shared out among banks."""
        if not places:
            return None
        every = zip(self.automata, places, strict=True)
        return next(
            (each.banks(place) for each, place in every if isinstance(each, required_phrases.RequiredPhrases)), None
        )

    def added(self, tokens: Ints, places: Places, left: Ints) -> Floats:
        """Return what weights add to the scores of given tokens; all (rows,)."""
        total = np.zeros(len(tokens), np.float32)
        for automaton, place in zip(self.automata, places, strict=True):
            if isinstance(automaton, phrase_weights.PhraseWeights):
                total += automaton.added(place, tokens, left)
        return total

    def obstacle(self, target: Sequence[int]) -> str:
        """Return what keeps these ids from being a whole target, as words that follow a number; "" where nothing does.

        The penalty, automata and `allowed_next` are left out.
        """
        ids = list(target)
        if len(ids) < self.min_length:
            return f"shorter than min_length {self.min_length}"
        if not self.may_write(ids):
            return NEVER_WRITTEN
        if any(sequence.tolist() in _ngrams(ids, len(sequence)) for sequence in self.sequences):
            return "with one of suppress_sequences"
        if self.ngram_size:
            ngrams = [ngram for ngram in _ngrams(ids, self.ngram_size) if not np.isin(ngram, self.ngram_exclude).any()]
            if len(set(map(tuple, ngrams))) < len(ngrams):
                return f"in which {self.ngram_size} tokens occur twice (see no_repeat_ngram_size)"
        return ""

    def may_write(self, ids: Sequence[int]) -> bool:
        """Return whether none of these ids is banned."""
        return not np.isneginf(self.always[list(ids)]).any()

    def penalize(self, logits: Floats, tokens: Ints) -> NDArray[np.bool_] | None:
        """Apply the repetition penalty and the caller's processor in place, which change probabilities.

        So they come before the normaliser, which has to stay a number: rows in which the processor lets nothing follow
        keep their logits, and are returned for `mask`, or for whoever looks at them.

        Args:
            logits: float32 (rows, vocabulary), changed in place.
            tokens: int64 (rows, steps), written so far.

        Returns:
            bool (rows,), those rows; None where there are none.
        """
        if self.repetition_penalty != 1.0 and tokens.shape[1] > 0:
            penalty = np.float32(self.repetition_penalty)
            rows = np.arange(len(tokens))[:, None]
            seen = logits[rows, tokens]  # a token seen twice is written twice with the same value
            logits[rows, tokens] = np.where(seen > 0, seen / penalty, seen * penalty)
        if self.processor is None:
            return None
        processed = _processed(self.processor(tokens, logits.copy()), logits.shape)
        nothing: NDArray[np.bool_] = np.asarray(np.isneginf(processed).all(axis=1))
        logits[~nothing] = processed[~nothing]
        return nothing if nothing.any() else None

    def mask(
        self,
        logits: Floats,
        tokens: Ints,
        forced: Ints | None,
        live: NDArray[np.bool_] | None = None,
        *,
        places: Places = (),
        left: Ints | None = None,
        nothing: NDArray[np.bool_] | None = None,
    ) -> None:
        """Set the logits of tokens that may not follow to -inf, in place.

        Args:
            logits: float32 (rows, vocabulary), changed in place.
            tokens: int64 (rows, steps), written so far.
            forced: int64 (rows,), the token that has to follow, or -1; overrules every mask.
            live: bool (rows,), rows whose result is wanted; None = all. `allowed_next` is not called for the others.
            places: int64 (rows,) for each of the automata, where the rows stand.
            left: int64 (rows,), most tokens that may still be written; needed with automata.
            nothing: bool (rows,), rows in which nothing may follow; None = none of them.
        """
        self._apply(logits, places, left, restricts=False)
        if forced is not None:
            rows = np.flatnonzero(forced >= 0)
            kept = logits[rows, forced[rows]]
        logits += self.fixed(tokens.shape[1])[0]
        if self.ngram_size:
            self._mask_ngrams(logits, tokens)
        for sequence in self.sequences:
            if len(sequence) <= tokens.shape[1] + 1:
                tail = tokens[:, tokens.shape[1] + 1 - len(sequence) :]
                logits[(tail == sequence[:-1]).all(axis=1), sequence[-1]] = _NEVER
        if self.allowed_next is not None:
            self._mask_disallowed(self.allowed_next, logits, tokens, forced, live)
        self._apply(logits, places, left, restricts=True)
        if nothing is not None:
            logits[nothing] = _NEVER
        if forced is not None:
            logits[rows] = _NEVER
            logits[rows, forced[rows]] = kept

    def _apply(self, logits: Floats, places: Places, left: Ints | None, *, restricts: bool) -> None:
        if left is not None:
            for automaton, place in zip(self.automata, places, strict=True):
                if automaton.restricts is restricts:
                    automaton.apply(logits, place, left)

    def _mask_ngrams(self, logits: Floats, tokens: Ints) -> None:
        size, count = self.ngram_size, tokens.shape[1] - self.ngram_size + 1  # n-grams written so far
        if count < 1:
            return
        repeats = np.ones((len(tokens), count), np.bool_)
        for place in range(size - 1):  # beside the tail, which the next token would complete
            repeats &= tokens[:, place : place + count] == tokens[:, count + place, None]
        if len(self.ngram_exclude):
            excluded = np.isin(tokens, self.ngram_exclude)
            for place in range(size):
                repeats &= ~excluded[:, place : place + count]
        rows, starts = repeats.nonzero()
        if len(rows):
            logits[rows, tokens[rows, starts + size - 1]] = _NEVER

    def _mask_disallowed(
        self,
        allowed_next: AllowedNext,
        logits: Floats,
        tokens: Ints,
        forced: Ints | None,
        live: NDArray[np.bool_] | None,
    ) -> None:
        for row in range(len(logits)):
            if (live is not None and not live[row]) or (forced is not None and forced[row] >= 0):
                continue
            allowed = self._allowed(allowed_next(tokens.shape[1], tokens[row].tolist()))
            logits[row, ~allowed] = _NEVER

    def _allowed(self, answer: object) -> NDArray[np.bool_]:
        """Return what `allowed_next` returned as a mask over the vocabulary, bool (vocabulary,)."""
        allowed = np.asarray(
            list(answer) if isinstance(answer, Iterable) and not isinstance(answer, np.ndarray) else answer
        )
        if allowed.dtype == np.bool_ and allowed.shape == (self.size,):
            return allowed
        mask = np.zeros(self.size, np.bool_)
        if allowed.size == 0:
            return mask
        if allowed.ndim != 1 or not np.issubdtype(allowed.dtype, np.integer) or not _within(allowed, self.size):
            raise OptionError(
                f"allowed_next: expected it to return ids from 0 to {self.size - 1} or a boolean mask of {self.size}, "
                f"got {shown(answer)}"
            )
        mask[allowed] = True
        return mask


def _processed(answer: object, shape: tuple[int, ...]) -> Floats:
    """Return what a caller's `logits_processor` returned as float32.

    Raises:
        OptionError: it has another shape, or holds what is no logit.
    """
    logits = np.asarray(answer)
    if logits.dtype.kind != "f" or logits.shape != shape:
        got = f"{logits.dtype} of shape {logits.shape}" if logits.ndim else shown(answer)
        raise OptionError(f"logits_processor: expected it to return float logits of shape {shape}, got {got}")
    if np.isnan(logits).any() or np.isposinf(logits).any():
        raise OptionError("logits_processor: expected it to return numbers or -inf, got nan or inf")
    return logits.astype(np.float32, copy=False)


def _within(ids: NDArray[np.integer], size: int) -> bool:
    return bool(ids.min() >= 0 and ids.max() < size)


def _ngrams(ids: list[int], size: int) -> list[list[int]]:
    return [ids[start : start + size] for start in range(len(ids) - size + 1)]
