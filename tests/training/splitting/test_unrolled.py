"""Models saved unrolled: the same layers called once per step on their own output."""

import keras
import pytest
from architectures.parts import SOURCE, TARGET, UNITS
from architectures.unrolled import probabilities_attention, probabilities_lstm
from keras import layers, ops

from s2s_training.errors import SplitError
from s2s_training.splitting.graph import flatten_model
from s2s_training.splitting.splitter import split
from s2s_training.splitting.unrolled import roll_up

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
    with pytest.raises(SplitError, match="start=N"):
        split(probabilities_lstm())
    with pytest.raises(SplitError, match="expected 0 to 10"):
        split(probabilities_lstm(), start=11)


def test_an_input_that_is_not_there_is_named() -> None:
    """A misspelt name is an error that lists the model's inputs, as for every other model."""
    model = probabilities_lstm()
    names = ", ".join(tensor.name for tensor in model.inputs)
    with pytest.raises(SplitError, match=f"no input is called 'frist'; the model's inputs are {names}"):
        split(model, start=1, decoder_input="frist")


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
    with pytest.raises(
        SplitError,
        match=r'differ at layers "dense\w*" \(Dense\) and "dense\w*" \(Dense\), each with weights of its own',
    ):
        split(model, start=1)


def test_step_that_is_called_otherwise() -> None:
    """A step that calls the same layers in another way is named, the layer where it differs with it."""
    source, start = keras.Input((None, SOURCE)), keras.Input((1, TARGET))
    _, state = layers.GRU(UNITS, return_state=True)(source)
    cell, out = layers.GRU(UNITS, return_sequences=True, return_state=True), layers.Dense(TARGET, name="out")
    fed, outputs = start, []
    for step in range(4):
        y, state = cell(fed, initial_state=state)
        fed = out(ops.concatenate([y, y], axis=-1)) if step else out(ops.concatenate([y, y], axis=2))
        outputs.append(fed)
    model = keras.Model([source, start], layers.Concatenate(axis=1)(outputs))
    assert roll_up(flatten_model(model)) is None
    with pytest.raises(SplitError, match=r"its first and second step differ at layer") as caught:
        split(model, start=1)
    assert "\n" not in str(caught.value)


def test_row_of_zeros_for_ids() -> None:
    """Ids have no row of zeros: the option is refused by the input's name."""
    source, start = keras.Input((None, SOURCE)), keras.Input((1,), dtype="int32", name="first")
    _, state = layers.GRU(UNITS, return_state=True)(source)
    cell, out = layers.GRU(UNITS, return_sequences=True, return_state=True), layers.Dense(TARGET)
    fed, outputs = layers.Embedding(TARGET, TARGET)(start), []
    for _ in range(4):
        y, state = cell(fed, initial_state=state)
        fed = out(y)
        outputs.append(fed)
    model = keras.Model([source, start], layers.Concatenate(axis=1)(outputs))
    with pytest.raises(SplitError, match="start_zeros=True: the first step's input 'first' holds ids; give start=N"):
        split(model, start="zeros")
    assert split(model, start=1).steps == 4
