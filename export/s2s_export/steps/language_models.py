"""Models without an encoder: language models, read as a decoder alone.

A model that gives what follows each symbol is stepped as any decoder is, from states of zeros. One that gives what
follows a window of fixed length is run on the last symbols at every step: its state is the window, which moves on by a
symbol a step, as in its author's loop.
"""

from __future__ import annotations

from typing import Any, Final

import keras
import numpy as np
import tensorflow as tf

from s2s_export.errors import ExportError
from s2s_export.options import ExportOptions
from s2s_export.steps.function_steps import steps_model
from s2s_runtime.spelling import option
from s2s_training.splitting.decoded_output import widths_read
from s2s_training.splitting.graph import flatten_model
from s2s_training.splitting.partition import NO_ENCODER, NO_SOURCE, fed_readings
from s2s_training.splitting.source_inputs import holds_ids
from s2s_training.splitting.stepped_model import SteppedModel

_ZEROS: Final = "zeros"
_ROWS: Final = 3  # axes: batch, time, symbols
_FEWEST: Final = 2  # symbols, or steps of a window, to see anything by


def may_be_language_model(model: keras.Model) -> bool:
    """Return whether what a model gives could be what it reads next.

    Such a model has one input, of as many symbols as its output, and gives what follows a window, or reads no later
    position for what it gives at one.
    """
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        return False
    output, read = model.outputs[0].shape, symbols_read(model)
    if read in (None, 1) or output[-1] != read or len(output) not in (2, 3):
        return False
    return len(output) == 2 or any(reading.problems == (NO_ENCODER,) for reading in fed_readings(flatten_model(model)))


def symbols_read(model: keras.Model) -> int | None:
    """Return how many symbols the only input of a model has, as the width of its rows or what looks its ids up says."""
    graph, value = _input(model)
    return min(widths_read(graph, value), default=None) if len(value.shape) <= _ROWS else None


def language_model(model: keras.Model, options: ExportOptions) -> keras.Model:
    """Return a language model as a decoder without a source; `exporter.export` takes it.

    Args:
        model: from ids (batch, time), or one-hot rows, to what follows each of them, (batch, time, symbols), or to what
            follows them all, (batch, symbols). A model of its author's two functions stays as it is.
        options: what the graph can't tell.

    Raises:
        ExportError: the model isn't of that form, or reads a window of which nobody said how long it is.
    """
    if isinstance(model, SteppedModel):  # of two functions, the first of which gives the states before any symbol
        return model
    if len(model.inputs) != 1:
        names = ", ".join(tensor.name for tensor in model.inputs)
        raise ExportError(
            f"{option('feedback', 'token')}: expected a model of one input, the symbols so far, got {names}"
        )
    output = tuple(model.outputs[0].shape)
    if len(output) not in (2, 3) or len(model.inputs[0].shape) not in (2, 3):
        raise ExportError(
            f"{option('feedback', 'token')}: expected ids (batch, time) or one-hot rows (batch, time, symbols), and "
            f"what follows, (batch, time, symbols) or (batch, symbols); got {tuple(model.inputs[0].shape)} and {output}"
        )
    return _steps(model) if len(output) == 3 else _window(model, options)


def _steps(model: keras.Model) -> keras.Model:
    """Return the same model with an input that nothing reads in the place of a source."""
    source = keras.Input((1,), dtype="int32", name=NO_SOURCE)
    (read,) = model.inputs
    fresh = keras.Input(read.shape[1:], dtype=read.dtype, name="target" if read.name == NO_SOURCE else read.name)
    return keras.Model([source, fresh], model(fresh), name=model.name)


def _window(model: keras.Model, options: ExportOptions) -> keras.Model:
    """Return the loop of a model that reads the last symbols, as a step whose state they are."""
    (read,) = model.inputs
    length, one_hot = read.shape[1] or options.source_length, not holds_ids(*_input(model))
    if length is None:
        raise ExportError(
            f"the model gives what follows a window of symbols, and its input {read.name!r} has any length: say how "
            f"many symbols it read in training with {option('source_length', 'N')}"
        )
    if one_hot and len(read.shape) != 3:
        raise ExportError(f"the input {read.name!r} holds neither ids nor one-hot rows: {tuple(read.shape)}")
    fill = _filler(options, one_hot=one_hot)
    moved = not one_hot and fill == 0 and _masks_either_side(model, length)

    def encode(source: Any) -> tuple[list[Any], list[Any]]:
        return [tf.fill([tf.shape(source)[0], length], tf.constant(fill, tf.int64))], []

    def step(token: Any, states: list[Any], _: list[Any]) -> tuple[Any, list[Any]]:
        window = tf.ensure_shape(tf.concat([states[0][:, 1:], tf.cast(token, tf.int64)], axis=1), (None, length))
        # Not tf.one_hot: ONNX's counts negative ids from the end, where TensorFlow's gives rows of zeros.
        rows = window[..., None] == tf.range(read.shape[-1], dtype=tf.int64) if one_hot else window
        rows = _filled_behind(window) if moved else rows
        return model(tf.cast(rows, read.dtype), training=False), [window]

    source = keras.Input((1,), dtype="int32", name=NO_SOURCE)
    target = keras.Input((None,), dtype="int64", name="target" if read.name == NO_SOURCE else read.name)
    return steps_model(encode, step, [source, target], 1)


def _filled_behind(window: Any) -> Any:
    """Return a window (batch, time) whose zeros before the first symbol are put behind the last."""
    length = window.shape[1]
    first = tf.argmax(tf.cast(window != 0, tf.int32), axis=1)
    places = tf.range(length, dtype=tf.int64)[None] + first[:, None]
    return tf.where(places < length, tf.gather(window, tf.minimum(places, length - 1), batch_dims=1), 0)


def _masks_either_side(model: keras.Model, length: int) -> bool:
    """Return whether a model masks what fills its window, and gives the same with it behind the symbols as before them.

    ONNX's recurrent layers know lengths, and no mask before the first step; the lengths are those of such windows.
    """
    size = symbols_read(model) or 0
    if size < _FEWEST or length < _FEWEST:
        return False
    symbols, rows = np.random.default_rng(0).integers(1, size, (length, length)), np.arange(length)[:, None]
    window = np.where(np.arange(length) >= rows, symbols, 0)  # each row one symbol shorter
    behind = np.stack([np.roll(row, -lead) for lead, row in enumerate(window)])
    other = np.where(window == 0, 1, window)
    given, moved, read = (np.asarray(model(rows, training=False)) for rows in (window, behind, other))
    return bool(np.allclose(given, moved, atol=1e-6) and not np.allclose(given, read, atol=1e-6))


def _input(model: keras.Model) -> tuple[Any, Any]:
    graph = flatten_model(model)
    return graph, graph.inputs[0]


def _filler(options: ExportOptions, *, one_hot: bool) -> int:
    """Return the id that fills a window before its first symbols: a row of zeros (-1) or 0, unless it was said."""
    told = options.padding
    if told is None or (told == _ZEROS and one_hot):
        return -1 if one_hot else 0
    target = None if options.vocabulary is None else options.vocabulary.target
    if isinstance(told, str) and target is not None and told in target.symbols:
        return target.symbols.index(told)
    if str(told).isdecimal():
        return int(told)
    raise ExportError(
        f"{option('padding', told)}: expected zeros (rows of zeros), a symbol of the target, or an id, for what fills "
        "the window before the first symbols"
    )
