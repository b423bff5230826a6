"""Language models that guide a search, and those that put in order what one found."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from s2s_runtime.array_types import Floats, Ints
from s2s_runtime.bundle.manifest import Manifest
from s2s_runtime.errors import OptionError
from s2s_runtime.fusion.companion import Companion, Reading
from s2s_runtime.options import DecodingOptions
from s2s_runtime.search.finished import EndedSequence
from s2s_runtime.search.forced import padded_targets
from s2s_runtime.search.graph_search import SentenceHypotheses
from s2s_runtime.search.plan import SearchPlan
from s2s_runtime.search.step_model import StepModel, StepOutput


class Guides:
    """The language models that options ask for, beside the model that writes.

    Args:
        companions: at least one.
    """

    def __init__(self, companions: Sequence[Companion]) -> None:
        self.companions = companions

    def around(self, model: StepModel[Any]) -> StepModel[Any]:
        """Return a model whose steps say too what the language models add."""
        return _GuidedModel(model, self)

    def begin(self, rows: int) -> list[Reading]:
        """Return what each knows of rows of which nothing is written."""
        return [companion.begin(rows) for companion in self.companions]

    def read(self, readings: Sequence[Reading], tokens: Ints | None) -> Floats | None:
        """Return what all of them add; see `Companion.read`."""
        pairs = zip(self.companions, readings, strict=True)
        parts = [added for companion, reading in pairs if (added := companion.read(reading, tokens)) is not None]
        if not parts:
            return None
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        return total

    def added(self, sequences: Sequence[Sequence[int]]) -> list[Floats]:
        """Return what they add to each token of whole sequences, float32 (tokens,) for each."""
        given = padded_targets(sequences)
        added, rows = np.zeros(given.shape, np.float32), np.arange(len(given))
        readings, last = self.begin(len(given)), None
        for step in range(given.shape[1]):
            scores = self.read(readings, last)
            last = given[:, step]
            if scores is not None:
                added[:, step] = scores[rows, last]
        return [added[row, : len(sequence)] for row, sequence in enumerate(sequences)]

    def rescored(self, found: Iterable[SentenceHypotheses], plan: SearchPlan) -> Iterator[SentenceHypotheses]:
        """Yield hypotheses with the scores that they have with the language models, best first, once all are there.

        Args:
            found: the hypotheses of the sentences of a batch, which the language models read together.
            plan: how they were searched for.
        """
        members = list(found)
        sequences = [ended.ids for each in members for ended in each.hypotheses]
        parts = iter(self.added(sequences) if sequences else ())
        for each in members:
            hypotheses = [_with(ended, next(parts), plan) for ended in each.hypotheses]
            yield each._replace(hypotheses=sorted(hypotheses, key=lambda ended: -(ended.score or 0.0)))


def _with(ended: EndedSequence, added: Floats, plan: SearchPlan) -> EndedSequence:
    more = float(added.sum(dtype=np.float32)) / plan.length_penalty.divisor(len(ended.ids))
    scores = None if ended.token_scores is None else ended.token_scores + added
    return ended._replace(score=(ended.score or 0.0) + more, token_scores=scores)


def guides_of(options: DecodingOptions, manifest: Manifest, *, steps: int | None = None) -> Guides | None:
    """Return the language models that options ask for; None where there are none, or all weigh nothing.

    Args:
        options: how to decode.
        manifest: of the bundle that writes.
        steps: how many tokens it may write; None = any number.

    Raises:
        OptionError, BundleNotFoundError, BundleError: as `Companion`; or one reads fewer tokens than may be written.
    """
    asked = [
        ("language_model", options.language_model, options.language_model_weight),
        ("internal_language_model", options.internal_language_model, -options.internal_language_model_weight),
    ]
    companions = []
    for name, given, weight in asked:
        if given is None:
            continue
        companion = Companion(name, given, manifest, weight)
        if steps is not None and companion.most is not None and steps > companion.most:
            raise OptionError(
                f"{name}: reads {companion.most} tokens at most, but {steps} may be written: give max_length"
            )
        if weight:
            companions.append(companion)
    return Guides(companions) if companions else None


@dataclass(slots=True)
class _Guided:
    """States of the model that writes, and what the language models have read."""

    states: Any
    readings: list[Reading]
    begun: bool = False


class _GuidedModel:
    """A `StepModel` whose steps say too what language models add to the log-probabilities."""

    def __init__(self, model: StepModel[Any], guides: Guides) -> None:
        self._model = model
        self._guides = guides

    def encode(self, source: NDArray[np.generic], *others: NDArray[np.generic]) -> _Guided:
        return _Guided(self._model.encode(source, *others), self._guides.begin(len(source)))

    def step(self, states: _Guided, tokens: NDArray[np.int64], *, attention: bool = False) -> StepOutput:
        output = self._model.step(states.states, tokens, attention=attention)
        added = self._guides.read(states.readings, tokens if states.begun else None)
        states.begun = True
        return output._replace(added=added)

    def reorder(self, states: _Guided, rows: NDArray[np.int64]) -> None:
        self._model.reorder(states.states, rows)
        for companion, reading in zip(self._guides.companions, states.readings, strict=True):
            companion.reorder(reading, rows)

    def select(self, states: _Guided, rows: NDArray[np.int64]) -> _Guided:
        pairs = zip(self._guides.companions, states.readings, strict=True)
        readings = [companion.select(reading, rows) for companion, reading in pairs]
        return _Guided(self._model.select(states.states, rows), readings, states.begun)
