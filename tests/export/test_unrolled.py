"""Models saved unrolled: the same layers called once per step on their own output."""

import keras
import pytest
from architectures import SOURCE, TARGET, UNITS, probabilities_attention, probabilities_lstm
from keras import layers

from s2s_training.errors import SplitError
from s2s_training.graph import flatten_model
from s2s_training.split import split
from s2s_training.unrolled import roll_up

pytestmark = pytest.mark.tensorflow


def test_one_step_of_the_loop() -> None:
    """Six steps become one; what is fed back and the recurrent states are what it carries."""
    loop = roll_up(flatten_model(probabilities_lstm()))
    assert loop is not None
    assert loop.steps == 6
    assert [call.operation.__class__.__name__ for call in loop.calls] == ["LSTM", "Dense"]
    assert sorted(each.first.shape[-1] for each in loop.carried) == [UNITS, UNITS, TARGET]


def test_what_every_step_repeats_is_the_encoders() -> None:
    """A layer that each step calls on the same memory runs once per sentence."""
    loop = roll_up(flatten_model(probabilities_attention()))
    assert loop is not None
    dense = [call for call in loop.encoder_calls if isinstance(call.operation, layers.Dense)]
    assert len(dense) == 1


def test_start_token_is_asked_for() -> None:
    """The first step's input becomes part of the encoder, so it has to be known."""
    with pytest.raises(SplitError, match="give --start-id N"):
        split(probabilities_lstm())
    with pytest.raises(SplitError, match="expected 0 to 10"):
        split(probabilities_lstm(), start_id=11)


def test_steps_that_differ_are_no_loop() -> None:
    """Layers of each step's own are not a loop, and the model is read as any other."""
    source, start = keras.Input((None, SOURCE)), keras.Input((1, TARGET))
    _, *states = layers.LSTM(UNITS, return_state=True)(source)
    fed, outputs = start, []
    for _ in range(4):
        y, *states = layers.LSTM(UNITS, return_sequences=True, return_state=True)(fed, initial_state=states)
        fed = layers.Dense(TARGET, activation="softmax")(y)
        outputs.append(fed)
    model = keras.Model([source, start], layers.Concatenate(axis=1)(outputs))
    assert roll_up(flatten_model(model)) is None
    with pytest.raises(SplitError, match="can't be run one step at a time"):
        split(model, start_id=1)
