"""Ensembles: several models that write one target together, each token, or hypothesis, chosen by the mean of all."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from s2s_runtime.array_types import Floats
from s2s_runtime.bundle.manifest import Manifest
from s2s_runtime.declared_options import known_keywords
from s2s_runtime.declared_options.checks import is_list, is_number
from s2s_runtime.decoding.workers import MOST_WEIGHTS, Workers
from s2s_runtime.errors import BundleError, InputError, OptionError
from s2s_runtime.model import Model
from s2s_runtime.one_pass.pass_model import OnePassModel
from s2s_runtime.options.types import Combination, Mean
from s2s_runtime.search.scoring import log_normalizer
from s2s_runtime.search.step_model import StepModel, StepOutput
from s2s_runtime.spelling import shown


@known_keywords
def ensemble(
    models: Sequence[Model],
    *,
    mean: Mean = "probabilities",
    weights: Sequence[float] | None = None,
    combine: Combination = "steps",
) -> Model:
    """Make one model of several that decode together.

    Args:
        models: at least one; they share source, padding and target vocabulary. Nothing is loaded again, and closing
            the ensemble doesn't close them. Lists are decoded by the members' workers, where all have some, and, if
            nobody asked for them, as long as the members together are no larger than a model with workers may be.
        mean: what is averaged at each step: "probabilities", or "log_probabilities" (the geometric mean, normalised
            again). The first follows whichever member is sure, the second avoids what any member rules out.
        weights: how much each model counts, a number above 0 for each; only their ratios matter. None = all the same.
        combine: where the models meet. "steps": at each token, which the search then takes. "hypotheses": each model
            searches by itself, in its graph where it can, and of all that they find the ones are returned that have the
            best scores by the means of their steps. Scores are the same ones.

    Returns:
        A model with all verbs that token models have. Attention is the mean over members, where all have it; the
        longest target is the first member's.

    Raises:
        OptionError: there are no models, they predict values, or they don't fit; the message names what differs. Or
            they give all positions at once, where nothing is searched for that they could combine.
        ClosedModelError: a member is closed.
    """
    if not (isinstance(mean, str) and mean in get_args(Mean)):
        raise OptionError(f"mean: expected {' or '.join(map(repr, get_args(Mean)))}, got {shown(mean)}")
    if not (isinstance(combine, str) and combine in get_args(Combination)):
        raise OptionError(f"combine: expected {' or '.join(map(repr, get_args(Combination)))}, got {shown(combine)}")
    if not is_list(models) or not all(isinstance(model, Model) for model in models):
        raise OptionError(f"models: expected a list of loaded models, got {shown(models)}")
    if not len(models):
        raise OptionError("models: expected at least one, got none")
    first = models[0].manifest
    problems = [
        f"models[{i}]: {difference}"
        for i, model in enumerate(models)
        for difference in _differences(first, model.manifest)
    ]
    if problems:
        raise OptionError("; ".join(problems))
    if combine == "hypotheses" and first.one_graph:
        raise OptionError("combine: expected 'steps' for models that give all positions at once, got 'hypotheses'")
    vote = _Vote(mean, _checked_weights(weights, len(models)), combine)
    members = [model.step_model for model in models]
    attention = all(model.manifest.attention for model in models)
    manifest = replace(first, attention=attention, calibration=None)  # which is that of one model
    return Model(
        manifest,
        _joined(members, vote, manifest),
        models[0].provider,
        _workers(models, vote),
        f"ensemble of {len(models)}",
    )


@dataclass(frozen=True, slots=True)
class _Vote:
    """What is averaged, the share of each member, float32 (members,), together 1, and where members meet."""

    mean: Mean
    shares: Floats
    combine: Combination


def _checked_weights(weights: Sequence[float] | None, count: int) -> Floats:
    """Return the share of each of some models.

    Raises:
        OptionError: there isn't a number above 0 for each.
    """
    given = [1.0] * count if weights is None else weights
    if not is_list(given) or len(given) != count or not all(is_number(each) and each > 0 for each in given):
        raise OptionError(f"weights: expected a number above 0 for each of {count} models, got {shown(weights)}")
    shares: Floats = (np.asarray(given, np.float64) / math.fsum(given)).astype(np.float32)
    return shares


def _workers(models: Sequence[Model], vote: _Vote) -> Workers | None:
    """Return workers that decode with those of the members; None where batches are decoded one after the other."""
    members = [model.workers for model in models]
    own = [workers for workers in members if workers is not None]
    asked, weights = any(workers.asked for workers in own), sum(workers.weights for workers in own)
    if len(own) < len(models) or (weights > MOST_WEIGHTS and not asked):
        return None

    def join() -> StepModel[Any]:
        opened = [workers.model for workers in own]
        gone = [f"models[{i}]" for i, model in enumerate(opened) if model is None]
        if gone:
            raise BundleError(f"{', '.join(gone)}: its graphs can't be opened once more")
        return _joined([model for model in opened if model is not None], vote, models[0].manifest)

    return Workers(min(workers.count for workers in own), join, asked=asked, weights=weights)


def _joined(members: Sequence[StepModel[Any]], vote: _Vote, manifest: Manifest) -> StepModel[Any]:
    """Return one model of several, of their kind."""
    together = EnsembleModel(members, vote)
    if vote.combine == "hypotheses":
        return ChoosingModel(members, vote)
    if not manifest.one_graph:
        return together

    def run(*sources: NDArray[np.generic]) -> list[Floats]:
        outputs = [positions.outputs for positions in together.encode(*sources)]
        if len({output.shape for output in outputs}) > 1:
            counts = ", ".join(str(output.shape[1]) for output in outputs)
            raise InputError(f"expected models that give as many positions as one another, got {counts}")
        scores = np.stack(
            [
                output - log_normalizer(output.reshape(-1, output.shape[2])).reshape(*output.shape[:2], 1)
                for output in outputs
            ]
        )
        return [together.averaged(scores)]

    return OnePassModel(run)


def _differences(first: Manifest, other: Manifest) -> list[str]:
    """Return why two models can't write together, one line for each difference."""
    if other.target.feedback == "value":
        return ["gives values, not tokens"]
    if other.outputs:
        names = ", ".join(map(repr, other.output_names))
        return [f"gives several outputs ({names}), where an ensemble writes one: take one of them, model.output(NAME)"]
    parts = {
        "kind": (first.kind, other.kind),
        "number of outputs": (first.target.aligned, other.target.aligned),
        "source kind": (first.source.kind, other.source.kind),
        "source size": (first.source.size, other.source.size),
        "list of other sources": (first.source.others, other.source.others),
        "source vocabulary": (first.source_vocabulary, other.source_vocabulary),
        "padding": (first.padding, other.padding),
        "blank": (first.target.blank_id, other.target.blank_id),
        "target size": (first.target.size, other.target.size),
        "target vocabulary": (first.target_vocabulary, other.target_vocabulary),
        "start token": (first.target.start_id, other.target.start_id),
        "end tokens": (first.target.end_ids, other.target.end_ids),
    }
    return [f"its {name} is not that of models[0]" for name, (one, two) in parts.items() if one != two]


class EnsembleModel:
    """A `StepModel` whose states are those of its members, and whose logits are the logarithm of their mean.

    Args:
        members: at least one step model.
        vote: how they are averaged.
    """

    def __init__(self, members: Sequence[StepModel[Any]], vote: _Vote) -> None:
        self._members = list(members)
        self._vote = vote

    def encode(self, source: NDArray[np.generic], *others: NDArray[np.generic]) -> list[Any]:
        """Return the states of each member; see `StepModel.encode`."""
        return [member.encode(source, *others) for member in self._members]

    def step(self, states: list[Any], tokens: NDArray[np.int64], *, attention: bool = False) -> StepOutput:
        """Feed every member the same tokens; see `StepModel.step`."""
        outputs = [
            member.step(own, tokens, attention=attention) for member, own in zip(self._members, states, strict=True)
        ]
        # (members, rows, vocabulary)
        scores = np.stack([output.logits - log_normalizer(output.logits)[:, None] for output in outputs])
        weights = [output.attention for output in outputs if output.attention is not None]
        looked = (
            np.average(np.stack(weights), axis=0, weights=self._vote.shares).astype(np.float32) if weights else None
        )
        return StepOutput(self.averaged(scores), looked)

    def reorder(self, states: list[Any], rows: NDArray[np.int64]) -> None:
        """See `StepModel.reorder`."""
        for member, own in zip(self._members, states, strict=True):
            member.reorder(own, rows)

    def select(self, states: list[Any], rows: NDArray[np.int64]) -> list[Any]:
        """See `StepModel.select`."""
        return [member.select(own, rows) for member, own in zip(self._members, states, strict=True)]

    def to_arrays(self, states: list[Any]) -> dict[str, NDArray[Any]]:
        """Return the arrays of each member, its number before their names; see `PortableModel.to_arrays`."""
        member_arrays = (
            (i, member.to_arrays(own))  # type: ignore[attr-defined]
            for i, (member, own) in enumerate(zip(self._members, states, strict=True))
        )
        return {f"{i}.{name}": array for i, arrays in member_arrays for name, array in arrays.items()}

    def from_arrays(self, arrays: Mapping[str, NDArray[Any]], time: int) -> list[Any]:
        """See `PortableModel.from_arrays`."""
        own: list[dict[str, NDArray[Any]]] = [
            {name.removeprefix(f"{i}."): array for name, array in arrays.items() if name.startswith(f"{i}.")}
            for i in range(len(self._members))
        ]
        if sum(map(len, own)) < len(arrays):
            raise InputError(f"state: expected one of this ensemble of {len(own)}, got one with {', '.join(arrays)}")
        return [
            member.from_arrays(member_arrays, time)  # type: ignore[attr-defined]
            for member, member_arrays in zip(self._members, own, strict=True)
        ]

    def averaged(self, scores: Floats) -> Floats:
        """Return the logits of the mean over members: float32 (members, rows, ..., vocabulary) -> (rows, ...)."""
        shares = self._vote.shares.reshape(-1, *[1] * (scores.ndim - 1))
        if self._vote.mean == "log_probabilities":
            return (scores * shares).sum(axis=0, dtype=np.float32)  # type: ignore[no-any-return]
        highest = scores.max(axis=0)
        mean: Floats = highest + np.log((np.exp(scores - highest) * shares).sum(axis=0, dtype=np.float32))
        return mean


class ChoosingModel(EnsembleModel):
    """An ensemble whose members search each by themselves, and which then scores what they found."""

    @property
    def nominators(self) -> list[StepModel[Any]]:
        """See `s2s_runtime.search.step_model.nominators`."""
        return self._members
