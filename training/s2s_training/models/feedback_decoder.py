"""Decoders of tokens whose steps read more of the step before than its states."""

from __future__ import annotations

from typing import Any

from keras import layers

from s2s_training.config.model import ModelConfig
from s2s_training.data.arrays import Layout
from s2s_training.layers.attention_cells import Alignment, AttentionCell, MultiHeadAlignment
from s2s_training.layers.cells import OutputCell, PeekCell, ReadoutCell, StackCell, StepCell
from s2s_training.layers.conditioned_rnn import ConditionedRNN
from s2s_training.layers.constant_row import ConstantRow
from s2s_training.layers.recurrent_cells import RECURRENT_CELLS
from s2s_training.models.encoder_stack import LayerStates, bridged, memory_for_dot, source_context


def decode(target: Any, encoded: tuple[Any, Any, list[LayerStates]], config: ModelConfig, layout: Layout) -> Any:
    """Return the decoder's probabilities (batch, target time, symbols).

    Args:
        target: the target one step earlier, ids or one-hot rows.
        encoded: the source input, the encoder's outputs and the states of its layers.
        config: the model section.
        layout: sizes, start symbol.
    """
    source, memory, states = encoded
    inner = _attending_cell(config)
    started = [state for layer in bridged(states, config) if layer is not None for state in layer]
    if config.peek != "none":
        context = source_context(states, config, config.embedding or layout.target_size)
        inner, started = PeekCell(inner, config.peek, context.shape[-1]), [context, *started]
    cell = OutputCell(inner, layout.target_size, embedding=config.embedding, tied=config.tied)
    if config.free_running:
        started = [ConstantRow(layout.target_size, layout.start_id)(source), *started]
        layer = ConditionedRNN(ReadoutCell(cell), return_sequences=True, name="decoder")
    else:
        sampling = config.scheduled_sampling, config.sampling_steps
        layer = ConditionedRNN(cell, *sampling, return_sequences=True, name="decoder")
    given: dict[str, Any] = {"initial_state": started} if started else {}
    if config.attention != "none":
        given |= _memory(memory, config)
    return layer(target, **given)


def _memory(memory: Any, config: ModelConfig) -> dict[str, Any]:
    """Return what the cell reads of the encoder's outputs (batch, source time, features), by argument."""
    if config.attention == "dot":
        return {"memory": memory_for_dot(memory, config)}
    if config.attention == "multi-head":
        width = config.heads * config.head_width
        return {
            "memory": layers.Dense(width, name="attention_value")(memory),
            "keys": layers.Dense(width, name="attention_key")(memory),
        }
    return {
        "memory": memory,
        "keys": layers.Dense(config.decoder_width, use_bias=False, name="attention_key")(memory),
    }


def _attending_cell(config: ModelConfig) -> StepCell:
    cells = [RECURRENT_CELLS[config.cell].cell(config.decoder_width) for _ in range(config.decoder_layers)]
    stack = StackCell(cells, config.residual, config.layer_norm, config.dropout)
    if config.attention == "none":
        return stack
    alignment = (
        MultiHeadAlignment(config.heads, config.head_width, config.decoder_width)
        if config.attention == "multi-head"
        else Alignment(config.attention, config.decoder_width)
    )
    return AttentionCell(stack, alignment, config.decoder_width, config.input_feeding)
