"""Predicting sequences of values, each output fed back as the next input."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from s2s_runtime.array_types import Floats
from s2s_runtime.bundle.manifest import Manifest
from s2s_runtime.declared_options.checks import is_integer
from s2s_runtime.decoding.run_failures import failures_of
from s2s_runtime.errors import InputError, OptionError
from s2s_runtime.inputs.batches import check_most, make_batches, target_limit
from s2s_runtime.inputs.sources import Inputs, Sources, read_sources
from s2s_runtime.one_pass.pass_model import Positions
from s2s_runtime.options import DecodingOptions
from s2s_runtime.search.step_model import StatesT, StepModel
from s2s_runtime.spelling import shown

Stop = Callable[[NDArray[np.float32]], ArrayLike]
Told = tuple[ArrayLike | None, int | None, Stop | None]  # start, steps, stop


def count_steps(manifest: Manifest, steps: int | None, known: Sequence[int] = ()) -> int:
    """Return how many values to predict: as many as asked for, or else as the bundle or what is known in advance says.

    Args:
        manifest: of the bundle.
        steps: how many were asked for.
        known: steps of what is known in advance, of each row.

    Raises:
        OptionError: the number is out of range, or nothing gives one.
    """
    count = manifest.target.max_length if steps is None else steps
    if count is None and known:
        count = min(known)
    if count is None:
        raise OptionError("steps: this bundle doesn't say how long targets get; give steps")
    if not is_integer(count):
        raise OptionError(f"steps: expected an integer, got {shown(steps)}")
    if count < 1:
        raise OptionError(f"steps: expected at least 1, got {steps}")
    if count >= 2**31:
        raise OptionError(f"steps: expected fewer than {2**31}, got {steps}")
    check_most(int(count), "steps", manifest)
    return int(count)


def first_values(manifest: Manifest, start: ArrayLike | None, rows: int) -> Floats:
    """Return the values that the first step reads, float32 (rows, features).

    Raises:
        InputError: `start` has another shape than (features,) or (rows, features), or isn't of finite numbers.
    """
    first = np.zeros((rows, *(manifest.target.step or (manifest.target.size,))), np.float32)
    if start is not None:
        try:
            with np.errstate(over="ignore"):
                given = np.asarray(start, np.float32)
        except (TypeError, ValueError) as error:
            wanted = f"numbers of shape {first.shape[1:]} or {first.shape}"
            raise InputError(f"start: expected {wanted}, got {shown(start)}") from error
        if given.shape not in {first.shape, first.shape[1:]}:
            raise InputError(f"start: expected shape {first.shape[1:]} or {first.shape}, got {given.shape}")
        if not np.isfinite(given).all():
            wrong = ", ".join(map(str, np.argwhere(~np.isfinite(given))[0]))
            raise InputError(f"start[{wrong}]: expected finite numbers (float32), got nan or infinity")
        first[:] = given
    return first.reshape(rows, manifest.target.size)


def in_steps(values: Floats, manifest: Manifest) -> Floats:
    """Return values (..., features) with their steps in the shape that the model's have."""
    return values.reshape(*values.shape[:-1], *manifest.target.step) if manifest.target.step else values


def predict(
    manifest: Manifest,
    model: StepModel[Any],
    inputs: Inputs,
    start: ArrayLike | None,
    *,
    steps: int | None,
    max_batch_size: int,
    stop: Stop | None,
) -> Floats | list[Floats]:
    """Return what `Model.predict` gives: an array, or with `stop` a list of arrays; of several outputs each by name."""
    if stop is not None and not callable(stop):
        raise OptionError(f"stop: expected a function of the values so far or None, got {shown(stop)}")
    sources = read_sources(inputs, manifest)
    empty = [i for i, source in enumerate(sources.arrays) if len(source) == 0]
    if empty:
        raise InputError.at("inputs", empty[0], "empty; there is nothing to predict from")
    told = start, steps, stop
    if manifest.kind != "one-pass":
        sequences = predict_steps(manifest, model, sources, told, max_batch_size)
        return stacked(sequences, manifest, steps) if stop is None else sequences
    views = [manifest.of_output(name) for name in manifest.output_names] or [manifest]
    outputs = predict_outputs(views, model, sources, told, max_batch_size)
    arrays = [stacked(sequences, view, steps) for sequences, view in zip(outputs, views, strict=True)]
    if not manifest.outputs:
        return arrays[0]
    named = dict(zip(manifest.output_names, arrays, strict=True))
    return cast("Floats", named)  # most bundles give one output, and only the bundle tells: its caller knows


def stacked(sequences: Sequence[Floats], manifest: Manifest, steps: int | None) -> Floats:
    """Return sequences as one array, float32 (sentences, steps, ...), zeros after the end of shorter ones."""
    if sequences:
        together = np.zeros((len(sequences), max(map(len, sequences)), *sequences[0].shape[1:]), np.float32)
        for row, sequence in enumerate(sequences):
            together[row, : len(sequence)] = sequence
        return together
    count = 0 if manifest.kind == "one-pass" and steps is None else count_steps(manifest, steps)
    return in_steps(np.zeros((0, count, manifest.target.size), np.float32), manifest)


def predict_steps(
    manifest: Manifest, model: StepModel[Any], sources: Sources, told: Told, max_batch_size: int
) -> list[Floats]:
    """Return float32 (steps, ...) for each source, each output fed back as the next input, fewer steps by `stop`.

    Args:
        manifest: of the bundle.
        model: a model that is fed back.
        sources: what it reads.
        told: start, steps and stop.
        max_batch_size: most sources computed at once.
    """
    start, steps, stop = told
    count = count_steps(manifest, steps, _known_steps(sources, manifest, steps))
    first = first_values(manifest, start, len(sources))
    options = DecodingOptions(max_length=count, max_batch_size=max_batch_size)
    predicted = [first[:0]] * len(sources)
    for batch in make_batches(sources, [[]] * len(sources), options, manifest):
        with failures_of(batch.indices, batch.time):
            states = model.encode(batch.source, *batch.others)
            if stop is None:
                sequences = list(feed_back(model, states, first[batch.indices], count))
            else:
                asked = partial(_ask, stop, manifest)
                sequences = _feed_back_until(model, states, first[batch.indices], count, asked)
        for index, sequence in zip(batch.indices.tolist(), sequences, strict=True):
            predicted[index] = sequence
    return [in_steps(sequence, manifest) for sequence in predicted]


def predict_outputs(
    manifests: Sequence[Manifest], model: StepModel[Any], sources: Sources, told: Told, max_batch_size: int
) -> list[list[Floats]]:
    """Return what one pass gives for each output and each source, float32 (positions, ...).

    Args:
        manifests: the bundle's, as if each output were its only one.
        model: the model of one pass.
        sources: what it reads.
        told: start, steps and stop; only the most steps have a meaning here.
        max_batch_size: most sources computed at once.

    Raises:
        OptionError: something was told (start, steps, stop) that has no meaning where nothing is fed back.
    """
    start, steps, stop = told
    for name, value in (("start", start), ("stop", stop)):
        if value is not None:
            raise OptionError(f"{name}: has no meaning here, as this model gives all steps at once; leave it out")
    most = None if steps is None else count_steps(manifests[0], steps)
    options = DecodingOptions(max_length=most, max_batch_size=max_batch_size)
    predicted = [[np.zeros((0, manifest.target.size), np.float32)] * len(sources) for manifest in manifests]
    for batch in make_batches(sources, [[]] * len(sources), options, manifests[0]):
        with failures_of(batch.indices, batch.time):
            positions: Positions = model.encode(batch.source, *batch.others)
        for place, manifest in enumerate(manifests):
            outputs = (positions.outputs, *positions.further)[place]
            for row, index in enumerate(batch.indices.tolist()):
                limit = target_limit(len(sources.arrays[index]), options, manifest, sources.others[index])
                predicted[place][index] = in_steps(outputs[row, :limit], manifest)
    return predicted


def _known_steps(sources: Sources, manifest: Manifest, steps: int | None) -> list[int]:
    """Return the number of steps of everything that is known in advance.

    Raises:
        InputError: one has fewer steps than are to be predicted.
    """
    names = [(i, other.name) for i, other in enumerate(manifest.source.others) if other.known]
    wanted = manifest.target.max_length if steps is None else steps
    known = []
    for index, others in enumerate(sources.others):
        for place, name in names:
            known.append(len(others[place]))
            if is_integer(wanted) and wanted is not None and known[-1] < wanted:
                raise InputError(
                    f"known[{name!r}][{index}]: expected {wanted} steps, as there are to predict, got {known[-1]}"
                    + ("; give more, or fewer steps" if steps is not None else f"; give steps={known[-1]}, or more")
                )
    if steps is None and manifest.target.max_length is None and len(set(known)) > 1:
        raise OptionError(
            f"steps: what is known in advance has {min(known)} to {max(known)} steps; give steps, or rows of one length"
        )
    return known


def feed_back(model: StepModel[StatesT], states: StatesT, value: NDArray[Any], count: int) -> Floats:
    """Step `count` times, each output being the next input: (rows, features) -> float32 (rows, count, features)."""
    predicted = np.zeros((len(value), count, value.shape[1]), np.float32)
    for step in range(count):
        value = model.step(states, value).logits
        predicted[:, step] = value
    return predicted


def _feed_back_until(
    model: StepModel[StatesT],
    states: StatesT,
    value: NDArray[Any],
    count: int,
    asked: Callable[[Floats], NDArray[np.bool_]],
) -> list[Floats]:
    """Step at most `count` times, each row until it is to stop, and return float32 (steps, features) of each row."""
    alive = np.arange(len(value))
    predicted = np.zeros((len(value), count, value.shape[1]), np.float32)  # of the rows alive
    finished: list[Floats] = [predicted[0, :0]] * len(value)
    for step in range(1, count + 1):
        value = model.step(states, value).logits
        predicted[:, step - 1] = value
        ended = asked(predicted[:, :step]) if step < count else np.ones(len(alive), np.bool_)
        if ended.any():
            for row in np.flatnonzero(ended):
                finished[alive[row]] = predicted[row, :step].copy()
            going = np.flatnonzero(~ended)
            if not len(going):
                break
            alive, predicted, value = alive[going], predicted[going], value[going]
            states = model.select(states, going)
    return finished


def _ask(stop: Stop, manifest: Manifest, predicted: Floats) -> NDArray[np.bool_]:
    """Return which rows are to stop, bool (rows,).

    Raises:
        OptionError: `stop` didn't return one bool per row.
    """
    seen = in_steps(predicted, manifest).view()
    seen.flags.writeable = False
    stopped = np.asarray(stop(seen))
    if stopped.dtype != np.bool_ or stopped.shape != (len(predicted),):
        raise OptionError(
            f"stop: expected one bool per row, shape ({len(predicted)},), "
            f"got {stopped.dtype} of shape {stopped.shape}; such as lambda values: values[:, -1, 0] > 1"
        )
    return stopped
