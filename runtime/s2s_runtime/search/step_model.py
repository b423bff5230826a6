"""The small interface through which search sees a model.

Search needs three things: states for a batch of sources (`encode`), logits for one step (`step`), and rows picked out
of the states (`select`, `reorder`). Models that can write many tokens at once (`write`) are asked to where the options
allow it. `s2s_runtime.ort.onnx_model` implements it over a bundle; tests fake it with a table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple, Protocol, TypeVar, get_args, runtime_checkable

import numpy as np
from numpy.typing import NDArray

StatesT = TypeVar("StatesT")

Choice = Literal["greedy", "greedy_scores", "sample", "sample_top"]
"""How a model that writes chooses tokens: the likeliest, without or with its score, or one that is drawn, with its
score, from all or from the likeliest."""

CHOICES: Final[tuple[Choice, ...]] = get_args(Choice)


class StepOutput(NamedTuple):
    """The outputs of one step. The arrays may be overwritten: they hold until the next step on the same states.

    Attributes:
        logits: float32 (rows, vocabulary), before softmax; callers may write into it.
        attention: float32 (rows, source time), rows sum to 1; None where it wasn't asked for.
        added: float32 (rows, vocabulary), what others say of each token, added to its log-probability; None = nothing.
    """

    logits: NDArray[np.float32]
    attention: NDArray[np.float32] | None
    added: NDArray[np.float32] | None = None


class StepModel(Protocol[StatesT]):
    """A recurrent decoder, one step at a time over many rows.

    A row is one sequence being written: a sentence, or one beam of it. States hold, for each row, the decoder's
    recurrent states and its memory (what stays constant through a sequence, such as the encoder's outputs).
    """

    def encode(self, source: NDArray[np.generic], *others: NDArray[np.generic]) -> StatesT:
        """Return the states before the first step, one row per source.

        Args:
            source: int64 (rows, time) or float32 (rows, time, features), padded.
            others: likewise, or float32 (rows, features), for models that read more than one source.
        """
        ...

    def step(self, states: StatesT, tokens: NDArray[np.int64], *, attention: bool = False) -> StepOutput:
        """Feed the token of each row and advance `states` in place.

        Args:
            states: advanced by one step.
            tokens: int64 (rows,); ignored by models to which no token is fed back.
            attention: whether the attention weights are wanted too.
        """
        ...

    def reorder(self, states: StatesT, rows: NDArray[np.int64]) -> None:
        """Give row i the recurrent states of row `rows[i]`, in place; the memory stays.

        This is right only where rows move among beams of one sentence, as these share their memory.

        Args:
            states: changed in place.
            rows: int64 (rows,).

        """
        ...

    def select(self, states: StatesT, rows: NDArray[np.int64]) -> StatesT:
        """Return new states made of the given rows, int64 (rows,), memory too; rows may be left out or repeated."""
        ...


class Writing(NamedTuple):
    """The limits of what `WritingModel.write` writes: which tokens, and how many.

    Attributes:
        mask: float32 (vocabulary,), added to the logits: -inf at tokens that never follow.
        goes_on: float32 (vocabulary,): 0 at tokens that end a sequence, 1 at the others.
        live: float32 (rows,): 0 at rows that have ended before, 1 at the others.
        least: writing stops once no more rows than this are live.
        steps: most tokens to write.
        choice: how tokens are chosen.
        drawing: how tokens are drawn; else None.
    """

    mask: NDArray[np.float32]
    goes_on: NDArray[np.float32]
    live: NDArray[np.float32]
    least: int
    steps: int
    choice: Choice = "greedy"
    drawing: Drawing | None = None


class Drawing(NamedTuple):
    """The way in which `WritingModel.write` draws.

    Attributes:
        numbers: float32 (at least as many steps as are written, rows), at random from 0 to below 1.
        temperature: the softmax is taken of logits / temperature.
        candidates: draw among so many of the likeliest tokens; with "sample_top".
        mass: draw among the likeliest of these that together reach this probability; above 1 = all of them.
    """

    numbers: NDArray[np.float32]
    temperature: float
    candidates: int
    mass: float


class Written(NamedTuple):
    """The tokens that `WritingModel.write` wrote.

    Attributes:
        tokens: int64 (steps, rows). Rows that have ended are written on like the others.
        scores: float32 (steps, rows), log-probability of each; None where the choice gives none.
    """

    tokens: NDArray[np.int64]
    scores: NDArray[np.float32] | None = None


class WritingModel(StepModel[StatesT], Protocol[StatesT]):
    """A step model that can also write many tokens by itself."""

    @property
    def can_write(self) -> bool:
        """Whether it can: older bundles lack the graphs that write."""
        ...

    @property
    def choices(self) -> frozenset[Choice]:
        """The ways in which it can choose."""
        ...

    def write(self, states: StatesT, tokens: NDArray[np.int64], writing: Writing) -> Written:
        """Feed the token of each row, choose the next, and so on; advance `states` in place.

        Args:
            states: advanced by as many steps as tokens were written.
            tokens: int64 (rows,), the last token of each.
            writing: how many, and which.

        Returns:
            At least one and at most `writing.steps` steps.
        """
        ...

    def write_beams(self, states: StatesT, tokens: NDArray[np.int64], beams: BeamWriting) -> BeamSteps:
        """Feed the token of each beam, keep the best extensions, and so on; advance `states` in place.

        Args:
            states: a row for each beam, those of a sentence one after the other; left as those of the last beams.
            tokens: int64 (rows,), the last token of each.
            beams: what to go on from.

        Returns:
            As many steps as asked for, or fewer.
        """
        ...


class BeamWriting(NamedTuple):
    """The beams that `WritingModel.write_beams` goes on from, and how it does.

    Attributes:
        scores: float32 (sentences, width), log-probability of each beam; -inf where there is none.
        mask: float32 (vocabulary,), added to the log-probabilities: -inf at tokens that never follow.
        ending: float32 (vocabulary,): -inf at tokens that end a sequence, 0 at the others.
        examined: how many of the best extensions of each sentence to look at, at least the width.
        steps: tokens to write.
    """

    scores: NDArray[np.float32]
    mask: NDArray[np.float32]
    ending: NDArray[np.float32]
    examined: int
    steps: int


class Candidates(NamedTuple):
    """The best extensions of each sentence by a token, best first; all (sentences, candidates).

    Attributes:
        scores: float32, log-probability of the whole sequence; -inf where there are fewer.
        parents: int64, number of the beam, within the sentence, that is extended.
        tokens: int64, by which token.
    """

    scores: NDArray[np.float32]
    parents: NDArray[np.int64]
    tokens: NDArray[np.int64]

    def first(self, width: int) -> Candidates:
        """Return the best `width` of each sentence."""
        return Candidates(self.scores[:, :width], self.parents[:, :width], self.tokens[:, :width])

    def that_go_on(self, ends: NDArray[np.bool_], width: int) -> Candidates:
        """Return the best `width` of those that don't end; where there are fewer, the others' scores become -inf.

        Args:
            ends: bool (sentences, candidates), True at those that end.
            width: how many.
        """
        order = np.argsort(ends, axis=1, kind="stable")[:, :width]
        rows = np.arange(len(order))[:, None]
        scores = np.where(ends[rows, order], np.float32(-np.inf), self.scores[rows, order])
        if (scores[:, 1:] > scores[:, :-1]).any():  # shared out among banks
            ranks = np.argsort(-scores, axis=1, kind="stable")
            order, scores = order[rows, ranks], scores[rows, ranks]
        return Candidates(scores, self.parents[rows, order], self.tokens[rows, order])

    def select(self, sentences: NDArray[np.intp]) -> Candidates:
        """Return the extensions of some of the sentences, int64 (kept,)."""
        return Candidates(self.scores[sentences], self.parents[sentences], self.tokens[sentences])


class BeamSteps(NamedTuple):
    """The extensions of several steps of beam search: the fields of `Candidates` with the step as first axis.

    Attributes:
        candidate_scores, candidate_parents, candidate_tokens: the best extensions, as many as were to be examined.
        beam_scores, beam_parents, beam_tokens: the best of those that don't end, as many as the width.
    """

    candidate_scores: NDArray[np.float32]
    candidate_parents: NDArray[np.int64]
    candidate_tokens: NDArray[np.int64]
    beam_scores: NDArray[np.float32]
    beam_parents: NDArray[np.int64]
    beam_tokens: NDArray[np.int64]

    def candidates(self, step: int) -> Candidates:
        """Return the best extensions of one step."""
        return Candidates(self.candidate_scores[step], self.candidate_parents[step], self.candidate_tokens[step])

    def beams(self, step: int) -> Candidates:
        """Return the extensions of one step that don't end."""
        return Candidates(self.beam_scores[step], self.beam_parents[step], self.beam_tokens[step])


def can_write(model: StepModel[Any], choice: Choice = "greedy") -> bool:
    """Return whether a model is a `WritingModel` that can write so; the attributes are looked up at every call."""
    able: bool = getattr(model, "can_write", False)
    return able and (choice == "greedy" or choice in getattr(model, "choices", ()))


def nominators(model: StepModel[Any]) -> Sequence[StepModel[Any]]:
    """Return the models that search each by itself for what a model then chooses among; none where it searches."""
    found: Sequence[StepModel[Any]] = getattr(model, "nominators", ())
    return found


@runtime_checkable
class PortableModel(StepModel[StatesT], Protocol[StatesT]):
    """A step model whose states can be taken out as arrays and given back, in this process or another."""

    def to_arrays(self, states: StatesT) -> dict[str, NDArray[Any]]:
        """Return copies of recurrent states and memory by name, each with the rows first."""
        ...

    def from_arrays(self, arrays: Mapping[str, NDArray[Any]], time: int) -> StatesT:
        """Return states made of copies of such arrays.

        Args:
            arrays: as `to_arrays` gives them.
            time: length of the padded source.

        Raises:
            InputError: the arrays belong to another model.
        """
        ...
