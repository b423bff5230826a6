"""Fitting a temperature to pairs (Guo et al. 2017)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

from s2s_runtime.array_types import Floats, Ints
from s2s_runtime.bundle.calibration import Calibration
from s2s_runtime.decoding.score_targets import look_up_target
from s2s_runtime.errors import InputError, UnknownSymbolError
from s2s_runtime.inputs.batch import Batch
from s2s_runtime.inputs.batches import make_batches
from s2s_runtime.inputs.sources import read_sources
from s2s_runtime.model import Model
from s2s_runtime.options import DecodingOptions
from s2s_runtime.search.forced import forced_steps, padded_targets

_LOWEST, _HIGHEST = 0.05, 20.0  # temperatures
_CLOSE: Final = 1e-4  # of the logarithm of the temperature: nothing that is printed depends on less
_MOST_ROUNDS: Final = 40


class _Slope(NamedTuple):
    """The loss of all right tokens at an inverse temperature, and its first and second derivative by that."""

    loss: float
    first: float
    second: float


def fit_temperature(
    model: Model, references: Mapping[str, Sequence[str]], progress: Callable[[int], object] = lambda done: None
) -> Calibration:
    """Return the temperature at which right targets are likeliest, given their sources.

    The loss is convex in the inverse of the temperature, so that Newton's steps, kept between bounds that close in,
    find its one minimum. Each looks at all pairs.

    Args:
        model: of one bundle with vocabularies on both sides, whose decoder goes step by step.
        references: the right targets of each source, of which the first counts.
        progress: called with the number of sources that were just looked at.

    Raises:
        InputError: the model doesn't go step by step or has no vocabularies, or no target can be written by it.
    """
    pairs = list(_batches(model, references))
    if not pairs:
        raise InputError("calibration: expected pairs that the vocabularies can write, got none")
    low, high = 1 / _HIGHEST, 1 / _LOWEST
    at, slopes = 1.0, [_look(model, pairs, 1.0, progress)]
    for _ in range(_MOST_ROUNDS):
        slope = slopes[-1]
        low, high = (at, high) if slope.first < 0 else (low, at)
        following = at - slope.first / slope.second if slope.second > 0 else math.nan
        following = following if low < following < high else math.sqrt(low * high)
        step, at = abs(math.log(following / at)), following
        slopes.append(_look(model, pairs, at, progress))
        if step < _CLOSE:
            break
    tokens = sum(len(target) for _, targets in pairs for target in targets)
    losses = slopes[0].loss / tokens, slopes[-1].loss / tokens
    return Calibration(round(1 / at, 4), sum(len(batch) for batch, _ in pairs), *(round(loss, 6) for loss in losses))


def _batches(model: Model, references: Mapping[str, Sequence[str]]) -> Iterator[tuple[Batch, list[list[int]]]]:
    """Yield batches of sources and the ids of their targets; pairs with a symbol that is not known are left out."""
    manifest = model.manifest
    if manifest.source_vocabulary is None or manifest.target_vocabulary is None:
        raise InputError("calibration: expected a bundle with vocabularies on both sides, this one knows numbers only")
    if manifest.kind != "encoder-decoder":
        raise InputError(f"calibration: expected a decoder that goes step by step, got one of kind {manifest.kind}")
    sources, targets = [], []
    for source, rights in references.items():
        try:
            known = manifest.source_vocabulary.look_up(source, "error")[0]
            ids, unknown = look_up_target(rights[0], "target", manifest, add_end=True)
        except UnknownSymbolError:
            continue
        if known and ids and not unknown:
            sources.append(source)
            targets.append(ids)
    options = DecodingOptions(max_length=1)
    read = read_sources(sources, manifest, None, 0)
    for batch in make_batches(read, [[]] * len(sources), options, manifest):
        yield batch, [targets[index] for index in batch.indices.tolist()]


def _look(
    model: Model, pairs: Sequence[tuple[Batch, list[list[int]]]], at: float, progress: Callable[[int], object]
) -> _Slope:
    """Return the loss and its slope at an inverse temperature."""
    sums = np.zeros(3)
    start = model.manifest.target.start_id or 0
    for batch, targets in pairs:
        given = padded_targets(targets)
        lengths = np.array([len(target) for target in targets])
        for step, output in forced_steps(model.step_model, batch, given, start):
            here = np.flatnonzero(lengths > step)
            sums += _slope(output.logits[here], given[here, step], at)
        progress(len(batch))
    return _Slope(*sums.tolist())


def _slope(logits: Floats, right: Ints, at: float) -> np.ndarray:
    """Return the loss of a step's right tokens, and its derivatives: those of log-sum-exp are mean and variance."""
    centred = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    weights = np.exp(at * centred)
    total = weights.sum(axis=1)
    own = centred[np.arange(len(right)), right]
    mean = (weights * centred).sum(axis=1) / total
    variance = (weights * (centred - mean[:, None]) ** 2).sum(axis=1) / total
    return np.array([(np.log(total) - at * own).sum(), (mean - own).sum(), variance.sum()])
