"""`SimpleSeq2Seq`, `Seq2Seq` and `AttentionSeq2Seq`: the constructors of the seq2seq add-on library, on Keras 3.

All three turn a sequence of vectors (batch, time, input_dim) into one of fixed length (batch, output_length,
output_dim), float32. Each returns a `keras.Model` to be trained as it is or called as a layer of a larger one, with a
`Dense` or softmax behind it. Arguments they share:

- `output_dim`, `output_length`: shape of what comes out.
- `hidden_dim`: units of every recurrent layer; None = `output_dim`.
- `input_shape=(time, features)`, or `input_dim` with or without `input_length`, or `batch_input_shape=(batch, time,
  features)`; a time of None takes inputs of any length. `batch_size` fixes the batch beside the first two.
- `depth`: recurrent layers of encoder and decoder, or a pair of numbers.
- `dropout`: share of a recurrent layer's inputs that is dropped in training, 0 <= dropout < 1.
- `unroll`: write the loop over time out; needs fixed lengths.
- `stateful`: each row of a batch starts where that row of the batch before ended, until `reset_state()` of the layers;
  needs a fixed batch size. The decoder's readout, and states that the encoder hands over, start anew all the same.
- `cell`: "lstm" as in the library, or one of the others that `s2s-train --cell` takes.

Where they differ from the library, which ran on Keras 1 and 2:

- Attention follows Bahdanau et al. 2014: weights depend on the decoder's state at the step before. The library's did
  not. Its output layer reads the context too (A.2.2), and the weights come out of an exported model.
- Teacher forcing reads the target one step *earlier*; the library read the very one to be predicted. In inference the
  model reads its own output and the target is not looked at.
- `depth=1` is one decoder layer; the library built two.
- The library passed inputs through a dense layer and added the encoder's own output to its next input; here the
  encoder is a plain stack of recurrent layers.
- The context is the encoder's last output as it is where `hidden_dim == output_dim`, and only else goes through a
  dense layer.
- `peek=True` gives the context as a further input (Cho et al. 2014); `peek="add"` adds it, as the library did.
- `inner_broadcast_state`: an encoder layer starts from the final states of the one below it; in the decoder, where all
  layers take a step together, one state goes up through the layers at every step.
- Masks count: a `Masking` layer in front, in a larger model, makes padded steps change nothing.
- Models are saved, loaded and cloned like any other; their layers are registered under `s2s_training`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import keras
from keras import layers

from s2s_training.config.model import CellName
from s2s_training.layers.attention_cells import AlignedCell, Alignment
from s2s_training.layers.cells import OutputCell, ReadoutCell, StackCell
from s2s_training.layers.conditioned_rnn import ConditionedRNN
from s2s_training.layers.constant_row import ConstantRow
from s2s_training.layers.recurrent_cells import RECURRENT_CELLS
from s2s_training.layers.seq2seq_model import Seq2SeqModel

__all__ = ["AttentionSeq2Seq", "Seq2Seq", "SimpleSeq2Seq"]

Depth = int | Sequence[int]


def SimpleSeq2Seq(  # noqa: N802  (the library's name)
    output_dim: int, output_length: int, *, hidden_dim: int | None = None, **options: Any
) -> keras.Model:
    """Return a model that feeds the encoder's last output to the decoder at every step (cf. Cho et al. 2014).

    Nothing of the decoder's own output is fed back.

    Args:
        output_dim: features of the output; the decoder's top layer has as many units.
        output_length: steps of the output.
        hidden_dim: units of all other layers; None = `output_dim`.
        options: see the module: shapes, `depth`, `dropout`, `unroll`, `stateful`, `cell`.

    Returns:
        A model from (batch, time, input_dim) to (batch, output_length, output_dim), float32.

    Raises:
        TypeError: no input shape, or an unknown option.
        ValueError: a value out of range.
    """
    plan = _Plan.of(output_dim, output_length, hidden_dim, **options)
    source = keras.Input(batch_shape=plan.shape)
    output, _ = _encode(source, plan, chained=False)
    output = layers.RepeatVector(output_length)(output)
    for units in [plan.units] * (plan.decoder_depth - 1) + [output_dim]:
        output = plan.layer(units, return_sequences=True)(_dropped(output, plan))
    return Seq2SeqModel(source, output, name="simple_seq2seq")


def Seq2Seq(  # noqa: N802  (the library's name)
    output_dim: int,
    output_length: int,
    *,
    hidden_dim: int | None = None,
    broadcast_state: bool = True,
    inner_broadcast_state: bool = True,
    teacher_force: bool = False,
    peek: bool | str = False,
    **options: Any,
) -> keras.Model:
    """Return a model whose decoder reads its own output as its next input (Sutskever et al. 2014).

    The output is the tanh of a dense layer over the decoder's top state. The decoder's first input is the context, the
    encoder's last output.

    Args:
        output_dim: features of the output.
        output_length: steps of the output.
        hidden_dim: units of the recurrent layers; None = `output_dim`.
        broadcast_state: the decoder starts from the encoder's final states: each layer from those of the encoder layer
            at the same height, counted from the top; with `inner_broadcast_state` its one state from that of the top
            layer.
        inner_broadcast_state: states are passed on through the stack; see the module.
        teacher_force: a second input, the target (batch, output_length, output_dim), is read in training, one step
            late, instead of the model's own output.
        peek: the decoder sees the context at every step: True or "concat" as a further input, "add" added to it.
        options: see the module: shapes, `depth`, `dropout`, `unroll`, `stateful`, `cell`.

    Returns:
        A model from (batch, time, input_dim), or that and the target, to (batch, output_length, output_dim), float32.

    Raises:
        TypeError: no input shape, or an unknown option.
        ValueError: a value out of range.
    """
    plan = _Plan.of(output_dim, output_length, hidden_dim, **options)
    source = keras.Input(batch_shape=plan.shape)
    context, states = _encode(source, plan, chained=inner_broadcast_state)
    if plan.units != output_dim:
        context = layers.Dense(output_dim, name="context")(context)
    stack = StackCell(plan.cells(), dropout=plan.dropout, passes_state=inner_broadcast_state)
    readout = ReadoutCell(OutputCell(stack, output_dim, "tanh"), "concat" if peek is True else peek or None)
    count = 1 if inner_broadcast_state else plan.decoder_depth
    started = [state for layer in _peers(states, count) for state in layer] if broadcast_state else []
    given: dict[str, Any] = {"initial_state": [context, *started]}
    inputs = [source]
    if teacher_force:
        truth = keras.Input(batch_shape=(plan.shape[0], output_length, output_dim), name="truth")
        given["truth"] = truth
        inputs.append(truth)
    decoder = ConditionedRNN(readout, return_sequences=True, name="decoder", **plan.recurrent)
    output = decoder(layers.RepeatVector(output_length)(context), **given)
    return Seq2SeqModel(inputs if teacher_force else source, output, name="seq2seq")


def AttentionSeq2Seq(  # noqa: N802  (the library's name)
    output_dim: int, output_length: int, *, hidden_dim: int | None = None, bidirectional: bool = True, **options: Any
) -> keras.Model:
    """Return a model whose decoder aligns its state with all encoder outputs at each step (Bahdanau et al. 2014).

    The output of the step before is fed back, zeros at first; no state is handed over.

    Args:
        output_dim: features of the output.
        output_length: steps of the output.
        hidden_dim: units of a recurrent layer (of each direction), and of the alignment; None = `output_dim`.
        bidirectional: the encoder reads both ways, each layer's two outputs side by side.
        options: see the module: shapes, `depth`, `dropout`, `unroll`, `stateful`, `cell`.

    Returns:
        A model from (batch, time, input_dim) to (batch, output_length, output_dim), float32.

    Raises:
        TypeError: no input shape, or an unknown option.
        ValueError: a value out of range.
    """
    plan = _Plan.of(output_dim, output_length, hidden_dim, **options)
    source = keras.Input(batch_shape=plan.shape)
    memory = source
    for _ in range(plan.encoder_depth):
        layer = plan.layer(plan.units, return_sequences=True)
        memory = (layers.Bidirectional(layer) if bidirectional else layer)(_dropped(memory, plan))
    keys = layers.Dense(plan.units, use_bias=False, name="keys")(memory)
    stack = StackCell(plan.cells(), dropout=plan.dropout)
    aligned = AlignedCell(stack, Alignment("additive", plan.units), memory.shape[-1])
    decoder = ConditionedRNN(
        ReadoutCell(OutputCell(aligned, output_dim, "tanh")), return_sequences=True, name="decoder", **plan.recurrent
    )
    first = ConstantRow(output_dim, name="first")(source)
    output = decoder(layers.RepeatVector(output_length)(first), memory=memory, keys=keys, initial_state=[first])
    return Seq2SeqModel(source, output, name="attention_seq2seq")


@dataclass(frozen=True)
class _Plan:
    """What the arguments say that all constructors share.

    Attributes:
        shape: of the input, (batch, time, features).
        units: of a recurrent layer.
        encoder_depth, decoder_depth: how many layers.
        dropout: share of inputs dropped.
        recurrent: options of every recurrent layer.
        cell: name of its recurrent cell.
    """

    shape: tuple[int | None, int | None, int]
    units: int
    encoder_depth: int
    decoder_depth: int
    dropout: float
    recurrent: dict[str, bool]
    cell: CellName

    def layer(self, units: int, **options: Any) -> keras.Layer:
        """Return a recurrent layer with these units."""
        return RECURRENT_CELLS[self.cell].layer(units, **options, **self.recurrent)

    def cells(self) -> list[Any]:
        """Return the decoder's recurrent cells, the lowest first."""
        return [RECURRENT_CELLS[self.cell].cell(self.units) for _ in range(self.decoder_depth)]

    @classmethod
    def of(
        cls,
        output_dim: int,
        output_length: int,
        hidden_dim: int | None,
        *,
        depth: Depth = 1,
        dropout: float = 0.0,
        unroll: bool = False,
        stateful: bool = False,
        cell: CellName = "lstm",
        **shapes: Any,
    ) -> _Plan:
        """Read the arguments that all constructors share.

        Raises:
            TypeError, ValueError: as the constructors.
        """
        encoder, decoder = (depth, depth) if isinstance(depth, int) else depth
        units = output_dim if hidden_dim is None else hidden_dim
        named = {"output_dim": output_dim, "output_length": output_length, "hidden_dim": units}
        for name, value in (named | {"depth": min(encoder, decoder)}).items():
            if not isinstance(value, Integral):
                raise TypeError(f"{name}: expected an integer, got {type(value).__name__}")
            if value < 1:
                raise ValueError(f"{name}: expected at least 1, got {value}")
        if cell not in RECURRENT_CELLS:
            raise ValueError(f"cell: expected one of {', '.join(RECURRENT_CELLS)}, got {cell!r}")
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout: expected 0 <= dropout < 1, got {dropout}")
        shape = _input_shape(**shapes)
        if stateful and shape[0] is None:
            raise ValueError("stateful=True needs a fixed batch size: give batch_input_shape=(batch, time, features)")
        if unroll and shape[1] is None:
            raise ValueError("unroll=True needs a fixed input length: give input_length, or input_shape with a time")
        return cls(shape, units, encoder, decoder, dropout, {"unroll": unroll, "stateful": stateful}, cell)


def _input_shape(
    input_shape: Sequence[int | None] | None = None,
    input_dim: int | None = None,
    input_length: int | None = None,
    batch_input_shape: Sequence[int | None] | None = None,
    batch_size: int | None = None,
) -> tuple[int | None, int | None, int]:
    if batch_input_shape is not None:
        shape = tuple(batch_input_shape)
    elif input_shape is not None:
        shape = (batch_size, *input_shape)
    elif input_dim is not None:
        shape = (batch_size, input_length, input_dim)
    else:
        raise TypeError("no input shape: give input_shape=(time, features), input_dim=N or batch_input_shape=")
    for size in shape:
        if size is not None and not isinstance(size, Integral):
            raise TypeError(f"input shape: expected integers, or None where any will do, got {type(size).__name__}")
        if size is not None and size < 1:
            raise ValueError(f"input shape: expected at least 1, got {size}")
    if len(shape) != 3 or shape[2] is None:
        raise ValueError(f"input shape: expected (batch, time, features), the last one fixed, got {shape}")
    return shape


def _encode(source: Any, plan: _Plan, *, chained: bool) -> tuple[Any, list[list[Any]]]:
    """Return the encoder's last output (batch, units) and the final states of each layer.

    Where `chained`, each layer starts from the final states of the one below it.
    """
    output, states = source, []
    for layer in range(plan.encoder_depth):
        last = layer == plan.encoder_depth - 1
        recurrent = plan.layer(plan.units, return_sequences=not last, return_state=True)
        started = {"initial_state": states[-1]} if chained and states else {}
        output, *final = recurrent(_dropped(output, plan), **started)
        states.append(final)
    return output, states


def _peers(states: Sequence[list[Any]], count: int) -> list[list[Any]]:
    """Return the states from which `count` decoder layers start.

    They are those of the encoder layer at the same height, counted from the top. Decoder layers that are lower than
    every encoder layer start from the states of the lowest one.
    """
    return [states[max(0, len(states) - count + i)] for i in range(count)]


def _dropped(vectors: Any, plan: _Plan) -> Any:
    return layers.Dropout(plan.dropout)(vectors) if plan.dropout else vectors
