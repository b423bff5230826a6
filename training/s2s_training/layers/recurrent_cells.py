"""The recurrent cells that a model may be built of, by the names that people give for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import keras

from s2s_training.config.model import CellName


@dataclass(frozen=True)
class RecurrentCell:
    """A kind of recurrent cell, as Keras has it.

    Attributes:
        layer: runs over time.
        cell: takes one step, inside layers that read more than their states.
    """

    layer: type[Any]
    cell: type[Any]


RECURRENT_CELLS: Final[Mapping[CellName, RecurrentCell]] = {
    "lstm": RecurrentCell(keras.layers.LSTM, keras.layers.LSTMCell),
    "gru": RecurrentCell(keras.layers.GRU, keras.layers.GRUCell),
    "simple-rnn": RecurrentCell(keras.layers.SimpleRNN, keras.layers.SimpleRNNCell),
}
