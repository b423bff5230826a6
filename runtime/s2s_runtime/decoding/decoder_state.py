"""Decoder states taken out of a model and given back: encode once, decode from there, go on later.

A `DecoderState` passes from one call to another. It holds plain arrays and can be kept or sent elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic

import numpy as np
from numpy.typing import ArrayLike, NDArray

from s2s_runtime.array_types import Floats
from s2s_runtime.bundle.manifest import Manifest
from s2s_runtime.declared_options import verb_problems
from s2s_runtime.decoding.decoding import Decoding
from s2s_runtime.decoding.predict_values import count_steps, feed_back, first_values, in_steps
from s2s_runtime.decoding.result_builder import ResultBuilder
from s2s_runtime.decoding.run_failures import failures_of
from s2s_runtime.decoding.score_targets import Target, look_up_target
from s2s_runtime.equality import ComparedByValue
from s2s_runtime.errors import InputError, OptionError
from s2s_runtime.inputs.batch import Batch
from s2s_runtime.inputs.batches import lengths_to_share, pad, pad_others, pad_prefixes, target_limit
from s2s_runtime.inputs.given_rows import rows_in
from s2s_runtime.inputs.sources import Inputs, read_sources
from s2s_runtime.language_models.prompts import begin, needs_prompt, read_prompts
from s2s_runtime.options import DecodingOptions
from s2s_runtime.results import Results
from s2s_runtime.search.plan import check_targets, prefix_ids
from s2s_runtime.search.step_model import PortableModel, StatesT, StepModel, StepOutput, nominators
from s2s_runtime.spelling import shown


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class DecoderState(ComparedByValue):
    """The state of the decoder after the tokens of some sequences so far, one row each.

    Attributes:
        arrays: recurrent states and memory by name, such as `state.0` and `memory.0`; rows first.
        fed: the input of the next step: int64 (rows,) tokens, or float32 (rows, features) values.
        columns: bool (rows, source time), False at padding.
        source_tokens: the symbols of each source, as in `Result.source_tokens`.
    """

    arrays: Mapping[str, NDArray[Any]]
    fed: NDArray[Any]
    columns: NDArray[np.bool_]
    source_tokens: list[list[str]]

    def __repr__(self) -> str:
        arrays = ", ".join(f"{name} {'x'.join(map(str, array.shape))}" for name, array in self.arrays.items())
        return f"DecoderState(rows={len(self)}, {arrays})"

    def __len__(self) -> int:
        return len(self.fed)

    def select(self, rows: Sequence[int]) -> DecoderState:
        """Return the state of some of the rows, in the order given; a row may be repeated."""
        indices = np.asarray(rows, np.int64)
        return DecoderState(
            {name: array[indices] for name, array in self.arrays.items()},
            self.fed[indices],
            self.columns[indices],
            [self.source_tokens[i] for i in indices],
        )


def encode(
    manifest: Manifest, model: StepModel[Any], inputs: Inputs, options: DecodingOptions, start: ArrayLike | None
) -> DecoderState:
    """Return the state before the first step; see `Model.encode`.

    Args:
        manifest: manifest of the bundle.
        model: the model that encodes.
        inputs: as `Model.generate` takes them.
        options: says what becomes of unknown symbols.
        start: the value that the first step reads, for models of values; see `Model.predict`.
    """
    is_value = manifest.target.feedback == "value"
    if start is not None and not is_value:
        raise OptionError("start: this bundle's model generates tokens, not values; leave it out")
    portable = _portable(model)
    prompts: list[list[int]] = []
    if manifest.kind == "decoder-only":
        read, prompts = read_prompts(inputs, manifest, options.unknown_symbols)
        begin(read, prompts, manifest)
    else:
        read = read_sources(inputs, manifest, options.unknown_symbols)
    arrays = read.arrays
    lengths = [len(array) for array in arrays]
    if not arrays:
        raise InputError("inputs: expected at least one source to encode, got none")
    if 0 in lengths:
        raise InputError.at("inputs", lengths.index(0), "empty; there is nothing to encode")
    if len({lengths_to_share(*sources, manifest) for sources in zip(arrays, read.others, strict=True)}) > 1:
        raise InputError(
            f"inputs: expected sources of one length, as this bundle's model reads its padding; got lengths "
            f"{', '.join(map(str, sorted(set(lengths))))}; encode them apart"
        )
    source, columns = pad(arrays, manifest.padding)
    token = np.full(len(arrays), manifest.target.start_id or 0, np.int64)
    fed = first_values(manifest, start, len(arrays)) if is_value else token
    tokens = [ResultBuilder(manifest, options).source_tokens(array) for array in arrays]
    with failures_of(range(len(arrays)), columns.shape[1]):
        states = portable.encode(source, *pad_others(read.others, manifest))
    state = DecoderState(portable.to_arrays(states), fed, columns, tokens)
    if needs_prompt(manifest):  # the first token is fed, and not written
        state = replace(state, fed=np.array([prompt[0] for prompt in prompts], np.int64))
        prompts = [prompt[1:] for prompt in prompts]
    return advance(manifest, model, state, prompts) if any(prompts) else state


def advance(manifest: Manifest, model: StepModel[Any], state: DecoderState, targets: Sequence[Target]) -> DecoderState:
    """Return the state after given tokens; see `Model.advance`."""
    portable = _portable(model, state)
    rows = rows_in(targets, "targets")
    given = [look_up_target(target, f"targets[{i}]", manifest, add_end=False)[0] for i, target in enumerate(rows)]
    if len(given) != len(state):
        raise InputError(f"targets: expected one per row of the state ({len(state)}), got {len(given)}")
    lengths = np.array([len(ids) for ids in given])
    arrays, fed = {name: array.copy() for name, array in state.arrays.items()}, state.fed.copy()
    tokens = state.fed.copy()
    with failures_of(range(len(state)), state.columns.shape[1]):
        states = portable.from_arrays(state.arrays, state.columns.shape[1])
        for step in range(1, int(lengths.max(initial=0)) + 1):
            portable.step(states, tokens)
            tokens = np.array([ids[min(step, len(ids)) - 1] if ids else 0 for ids in given], np.int64)
            done = np.flatnonzero(lengths == step)
            if len(done):
                for name, array in portable.to_arrays(states).items():
                    arrays[name][done] = array[done]
                fed[done] = tokens[done]
    return replace(state, arrays=arrays, fed=fed)


def generate_from(manifest: Manifest, model: StepModel[Any], state: DecoderState, options: DecodingOptions) -> Results:
    """Decode on from a state; see `Model.generate_from`."""
    problems = verb_problems(options, "generate_from")
    if problems:
        raise OptionError("; ".join(problems))
    resumed = _ResumedModel(_portable(model, state), state)
    decoding = Decoding(manifest, resumed, None, options)
    limits = [target_limit(int(length), options, manifest) for length in state.columns.sum(axis=1)]
    if manifest.target.most is not None:  # the last state counts the steps taken before
        left = manifest.target.most - state.arrays[manifest.states[-1].name][:, 0]
        limits = [max(1, min(limit, int(steps))) for limit, steps in zip(limits, left, strict=True)]
    prefixes = prefix_ids(options.prefix, len(state), manifest, decoding.plan)
    for i, (prefix, limit) in enumerate(zip(prefixes, limits, strict=True)):
        if len(prefix) > limit:
            raise OptionError(f"prefix[{i}]: {len(prefix)} tokens, but the target may have {limit}; shorten it")
    if not len(state):
        return Results()
    batch = Batch(
        source=state.columns,
        columns=state.columns,
        limits=np.array(limits, np.int64),
        prefix=pad_prefixes(prefixes),
        indices=np.arange(len(state)),
    )
    check_targets(decoding.plan, batch)
    hypotheses = {ended.sentence: ended.hypotheses for ended in decoding.search([batch], decoding.plan_from(0))}
    rows = enumerate(state.source_tokens)
    build, obstacles = decoding.result_builder.result, decoding.obstacles(batch.prefix is not None)
    results = Results(build(hypotheses[row], tokens, state.columns[row]) for row, tokens in rows)
    return results.by("steps" if obstacles else "graph", obstacles)


def predict_from(
    manifest: Manifest, model: StepModel[Any], state: DecoderState, steps: int | None
) -> tuple[Floats, DecoderState]:
    """Predict on from a state; see `Model.predict_from`."""
    count, portable = count_steps(manifest, steps), _portable(model, state)
    with failures_of(range(len(state)), state.columns.shape[1]):
        states = portable.from_arrays(state.arrays, state.columns.shape[1])
        predicted = feed_back(portable, states, state.fed, count)
    return in_steps(predicted, manifest), replace(state, arrays=portable.to_arrays(states), fed=predicted[:, -1])


@dataclass(slots=True)
class _Resumed(Generic[StatesT]):
    """States of the wrapped model; `first` holds the tokens that the first step reads, None after it."""

    states: StatesT
    first: NDArray[np.int64] | None


class _ResumedModel(Generic[StatesT]):
    """A model that goes on from a state: encoding returns that state, and the first step reads its tokens."""

    def __init__(self, model: PortableModel[StatesT], state: DecoderState) -> None:
        self._model = model
        self._state = state

    def encode(self, source: NDArray[np.generic], *others: NDArray[np.generic]) -> _Resumed[StatesT]:
        state = self._state
        return _Resumed(self._model.from_arrays(state.arrays, source.shape[1]), state.fed)

    def step(self, states: _Resumed[StatesT], tokens: NDArray[np.int64], *, attention: bool = False) -> StepOutput:
        if states.first is not None:
            tokens, states.first = states.first, None
        return self._model.step(states.states, tokens, attention=attention)

    def reorder(self, states: _Resumed[StatesT], rows: NDArray[np.int64]) -> None:
        self._model.reorder(states.states, rows)

    def select(self, states: _Resumed[StatesT], rows: NDArray[np.int64]) -> _Resumed[StatesT]:
        first = None if states.first is None else states.first[rows]
        return _Resumed(self._model.select(states.states, rows), first)


def _portable(model: StepModel[Any], *states: object) -> PortableModel[Any]:
    """Return a model that gives its states away, for states of which each was given by `encode`."""
    for state in states:
        if not isinstance(state, DecoderState):
            raise InputError(f"state: expected what `encode` gives, got {shown(state)}")
    if nominators(model):
        raise OptionError("an ensemble by hypotheses decodes whole targets: it has no state to go on from; use 'steps'")
    if not isinstance(model, PortableModel):
        raise OptionError(f"{type(model).__name__}: this step model can't give its states away (see PortableModel)")
    return model
