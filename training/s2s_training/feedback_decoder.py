"""Decoders of tokens whose steps read more of the step before than its states."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops

from s2s_training.arrays import Layout
from s2s_training.attention_cells import Alignment, AttentionCell
from s2s_training.cells import PACKAGE, OutputCell, ReadoutCell, StackCell, StepCell
from s2s_training.conditioned_rnn import ConditionedRNN
from s2s_training.config import ModelConfig
from s2s_training.encoder_stack import LayerStates, bridged

_CELLS = {"lstm": layers.LSTMCell, "gru": layers.GRUCell}


@keras.saving.register_keras_serializable(package=PACKAGE)
class ConstantRow(keras.layers.Layer):
    """The same row for every row of the input: zeros, or a one at one place.

    Args:
        size: features of the row.
        hot: where the one stands; None = nowhere.
    """

    def __init__(self, size: int, hot: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.size, self.hot = size, hot

    def call(self, x: Any) -> Any:
        """(batch, ...) to (batch, size) of the compute dtype."""
        row = [[float(i == self.hot) for i in range(self.size)]]
        return ops.repeat(ops.convert_to_tensor(row, dtype=self.compute_dtype), ops.shape(x)[0], axis=0)

    def compute_mask(self, x: Any, mask: Any = None) -> None:
        """None: what the input masks is not in the row."""

    def compute_output_spec(self, x: Any) -> keras.KerasTensor:
        """(batch, size)."""
        return keras.KerasTensor((x.shape[0], self.size), self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "size": self.size, "hot": self.hot}


def decode(target: Any, encoded: tuple[Any, Any, list[LayerStates]], config: ModelConfig, layout: Layout) -> Any:
    """The decoder's probabilities (batch, target time, symbols).

    Args:
        target: the target one step earlier, ids or one-hot rows.
        encoded: the source input, the encoder's outputs and the states of its layers.
        config: the model section.
        layout: sizes, start symbol.
    """
    source, memory, states = encoded
    cell = OutputCell(_decoder_cell(config), layout.target_size, embedding=config.embedding, tied=config.tied)
    started = [state for layer in bridged(states, config) if layer is not None for state in layer]
    if config.free_running:
        started = [ConstantRow(layout.target_size, layout.start_id)(source), *started]
        layer = ConditionedRNN(ReadoutCell(cell), return_sequences=True, name="decoder")
    else:
        sampling = config.scheduled_sampling, config.sampling_steps
        layer = ConditionedRNN(cell, *sampling, return_sequences=True, name="decoder")
    given: dict[str, Any] = {"initial_state": started} if started else {}
    if config.attention != "none":
        given["memory"] = memory
        if config.attention != "dot":
            keys = layers.Dense(config.decoder_width, use_bias=False, name="attention_key")
            given["keys"] = keys(memory)
    return layer(target, **given)


def _decoder_cell(config: ModelConfig) -> StepCell:
    cells = [_CELLS[config.cell](config.decoder_width) for _ in range(config.decoder_layers)]
    stack = StackCell(cells, config.residual, config.layer_norm, config.dropout)
    if config.attention == "none":
        return stack
    alignment = Alignment(config.attention, config.decoder_width)
    return AttentionCell(stack, alignment, config.decoder_width, config.input_feeding)
