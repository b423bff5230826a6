"""A recurrent layer whose cell also reads what stays the same through the sequence, such as encoder outputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf
from keras import ops, tree

from s2s_training.layers.cells import PACKAGE, Given, ReadoutCell, StepCell, build_once


@keras.saving.register_keras_serializable(package=PACKAGE)
class ConditionedRNN(keras.layers.RNN):
    """Runs a `StepCell` over time.

    Padding of the sequence itself is not masked: what follows a sequence's end on its right never reaches its steps.

    With `sampling` above 0 an input is, in training, now and then the cell's own guess of the step before instead of
    what the sequence says (scheduled sampling, Bengio et al. 2015, with a linear schedule); the cell then gives
    distributions over symbols and reads symbols: ids, or one-hot rows.

    Args:
        cell: what runs at each step.
        sampling: share of the inputs that are guesses, 0 to 1.
        sampling_steps: training steps over which the share grows from 0 to `sampling`.
        kwargs: those of `keras.layers.RNN`; not `go_backwards`.

    Raises:
        ValueError: an argument is out of range.
    """

    def __init__(self, cell: StepCell, sampling: float = 0.0, sampling_steps: int = 5000, **kwargs: Any) -> None:
        super().__init__(cell, **kwargs)
        if self.go_backwards or not 0 <= sampling <= 1 or sampling_steps < 1:
            raise ValueError(
                "expected go_backwards=False, 0 <= sampling <= 1 and sampling_steps of at least 1, got "
                f"{self.go_backwards}, {sampling} and {sampling_steps}"
            )
        self.sampling, self.sampling_steps = sampling, sampling_steps
        self.seed_generator = keras.random.SeedGenerator()

    def build(
        self,
        sequences_shape: Any,
        memory_shape: Any = None,
        keys_shape: Any = None,
        truth_shape: Any = None,
        initial_state_shape: Any = None,
    ) -> None:
        """Build the cell, and a counter of training steps where the share of guesses grows with them."""
        build_once(self.cell, (sequences_shape[0], *sequences_shape[2:]), memory_shape)
        if self.sampling:
            self.trained = self.add_weight((), "zeros", trainable=False, name="training_steps")
        super().build(sequences_shape)

    def call(
        self,
        sequences: Any,
        memory: Any = None,
        *,
        keys: Any = None,
        truth: Any = None,
        initial_state: Any = None,
        memory_mask: Any = None,
        training: bool = False,
    ) -> Any:
        """Run the cell over a sequence.

        Args:
            sequences: (batch, time, features), or ids (batch, time).
            memory: (batch, source time, features) that the cell attends to.
            keys: what it compares with, (batch, source time, units).
            truth: (batch, time, features) for a `ReadoutCell`: in training, what it reads instead of its own last
                output (teacher forcing); not read in inference.
            initial_state: the first so many states; the others are zeros.
            memory_mask: bool (batch, source time).
            training: whether dropout, `truth` and `sampling` count.

        Returns:
            As `keras.layers.RNN`.
        """
        batch_size = ops.shape(sequences)[0]
        given = Given(memory, keys, memory_mask, self.cell.noise(batch_size) if training else ())
        states = self._first_states(initial_state, batch_size)
        inputs = self._inputs(sequences, truth if training else None, training=training)

        def step(time: Any, previous: Any, states: list[Any]) -> tuple[Any, list[Any]]:
            read, states = inputs(time, previous, states)
            output, following = self.cell(read, states, given=given)
            return output, tree.flatten(following)

        outputs, states = _loop(step, sequences, states, self.cell.output_size, unroll=self.unroll)
        if self.stateful:
            for variable, state in zip(tree.flatten(self.states), states, strict=True):
                variable.assign(state)
        output = outputs if self.return_sequences else outputs[:, -1]
        return [output, *states] if self.return_state else output

    def _first_states(self, given: Any, batch_size: Any) -> list[Any]:
        own = tree.flatten(self.states) if self.stateful else self.cell.get_initial_state(batch_size=batch_size)
        first = [] if given is None else tree.flatten(given)
        if len(first) > len(own):
            raise ValueError(f"initial_state: expected at most {len(own)} tensors, got {len(first)}")
        return [ops.convert_to_tensor(state, dtype=self.cell.compute_dtype) for state in [*first, *own[len(first) :]]]

    def _inputs(self, sequences: Any, truth: Any, *, training: bool) -> Callable[..., tuple[Any, list[Any]]]:
        """Return a function that gives what a step reads, from its number, the output before it and its states."""
        if truth is not None and isinstance(self.cell, ReadoutCell):

            def forced(time: Any, _: Any, states: list[Any]) -> tuple[Any, list[Any]]:
                readout = ops.where(time > 0, truth[:, ops.maximum(time - 1, 0)], states[0])
                return sequences[:, time], [readout, *states[1:]]

            return forced
        if not (training and self.sampling):
            return lambda time, _, states: (sequences[:, time], states)
        share = self.sampling * ops.minimum(self.trained / self.sampling_steps, 1.0)
        self.trained.assign_add(1.0)
        coins = keras.random.uniform(ops.shape(sequences)[:2], seed=self.seed_generator) < share
        draws = keras.random.uniform(ops.shape(sequences)[:2], seed=self.seed_generator)

        def sampled(time: Any, previous: Any, states: list[Any]) -> tuple[Any, list[Any]]:
            right = sequences[:, time]
            guess = _draw(previous, draws[:, time])
            coin = ops.logical_and(coins[:, time], time > 0)  # nothing comes before the first step
            if len(right.shape) == 1:
                return ops.where(coin, ops.cast(guess, right.dtype), right), states
            return ops.where(coin[:, None], ops.one_hot(guess, right.shape[-1], dtype=right.dtype), right), states

        return sampled

    def compute_output_shape(
        self,
        sequences_shape: Any,
        memory_shape: Any = None,
        keys_shape: Any = None,
        truth_shape: Any = None,
        initial_state_shape: Any = None,
    ) -> Any:
        """Return the shapes that `keras.layers.RNN` would return."""
        return super().compute_output_shape(sequences_shape)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "sampling": self.sampling, "sampling_steps": self.sampling_steps}


@keras.saving.register_keras_serializable(package=PACKAGE)
class ConditionedStep(keras.layers.Wrapper):
    """One step of a `StepCell` in inference, as a layer of its own for each place where it is called.

    Args:
        layer: the cell.
    """

    def build(self, *_: Any) -> None:
        """Build nothing: the cell has its weights."""
        self.built = True

    def call(self, step: Any, *states: Any, memory: Any = None, keys: Any = None, memory_mask: Any = None) -> list[Any]:
        """Return the output, the next states and, where the cell attends, attention weights (batch, source time).

        Args:
            step: what the cell reads, (batch, features).
            states: the states before the step, each (batch, units).
            memory: (batch, source time, features) that the cell attends to.
            keys: what it compares with, (batch, source time, units).
            memory_mask: bool (batch, source time).
        """
        given = Given(memory, keys, memory_mask)
        output, following = self.layer(step, list(states), given=given)
        weights = [sum(given.weights[1:], given.weights[0]) / float(len(given.weights))] if given.weights else []
        return [output, *tree.flatten(following), *weights]

    def compute_output_spec(
        self, step: Any, *states: Any, memory: Any = None, keys: Any = None, memory_mask: Any = None
    ) -> list[keras.KerasTensor]:
        """Return the shapes that the cell declares."""
        sizes = [self.layer.output_size, *self.layer.state_size]
        made = [keras.KerasTensor((states[0].shape[0], size), self.compute_dtype) for size in sizes]
        weights = [keras.KerasTensor(memory.shape[:2], self.compute_dtype)] if self.layer.attends else []
        return [*made, *weights]


def _draw(distribution: Any, uniform: Any) -> Any:
    """Draw a symbol (batch,) from each distribution (batch, symbols), given numbers uniform in [0, 1)."""
    passed = ops.cumsum(distribution, axis=-1) <= ops.expand_dims(uniform, -1)
    return ops.minimum(ops.sum(ops.cast(passed, "int32"), axis=-1), distribution.shape[-1] - 1)


def _loop(
    step: Callable[..., tuple[Any, list[Any]]], sequences: Any, states: Sequence[Any], size: int, *, unroll: bool
) -> tuple[Any, list[Any]]:
    """Return all outputs (batch, time, size), and the states after the last step."""
    length, batch_size = sequences.shape[1], ops.shape(sequences)[0]
    previous = ops.zeros((batch_size, size), dtype=states[0].dtype)
    if unroll:
        if length is None:
            raise ValueError("unroll=True needs a fixed number of time steps, got a free time dimension")
        made = []
        for time in range(length):
            previous, states = step(time, previous, list(states))
            made.append(previous)
        return ops.stack(made, axis=1), list(states)
    steps = tf.shape(sequences)[1]
    outputs = tf.TensorArray(previous.dtype, size=steps, element_shape=(None, size))

    def body(time: Any, previous: Any, states: Any, outputs: Any) -> tuple[Any, ...]:
        output, following = step(time, previous, list(states))
        return time + 1, output, tuple(following), outputs.write(time, output)

    free = [tf.TensorShape((None, *state.shape[1:])) for state in states]
    _, _, states, outputs = tf.while_loop(
        lambda time, *_: time < steps,
        body,
        (tf.constant(0), previous, tuple(states), outputs),
        shape_invariants=(tf.TensorShape(()), tf.TensorShape((None, size)), tuple(free), tf.TensorShape(None)),
    )
    joined = tf.transpose(outputs.stack(), (1, 0, 2))
    joined.set_shape((sequences.shape[0], length, size))
    return joined, list(states)
