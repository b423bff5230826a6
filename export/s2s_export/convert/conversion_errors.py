"""What can go wrong inside the conversion to ONNX, made into one line that names the layer and says what to do."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras
import onnx
import tensorflow as tf

from s2s_export.errors import IN_CODE, ExportError
from s2s_runtime.errors import S2SError
from s2s_runtime.spelling import option
from s2s_training.errors import IN_A_LAYER
from s2s_training.splitting.feeding import WithoutAxis

# tf2onnx's handlers fail in whatever way Python can, Keras's layers while they are traced too.
_FAILURES = (
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    NameError,
    RuntimeError,
    ArithmeticError,
    AssertionError,
    tf.errors.OpError,
    onnx.checker.ValidationError,
)
_COUNTED = re.compile(r"_\d+$")  # TensorFlow counts the scopes that a layer makes
_ADVICE = "rebuild that part of the model from other layers, or try another --opset; --verbose shows where it failed"


@contextmanager
def conversion_errors(model: keras.Model) -> Iterator[None]:
    """Turn a failed conversion into an `ExportError`, its cause the original, and keep tf2onnx's log to itself.

    Args:
        model: what is converted; its layers' names are looked for in the names of nodes that failed.

    Raises:
        ExportError: the conversion failed.
    """
    with _failed_nodes() as nodes:
        try:
            yield
            if nodes:  # tf2onnx goes on and leaves the node as it was
                raise nodes[0].error
        except ExportError:
            raise
        except _FAILURES as error:
            where, said = _where(model, nodes), str(error)
            kept = IN_A_LAYER.search(said)
            if kept is not None:  # Keras tells the kind of layer; the rest is its traceback, already part of the cause
                where, said = _named_layers(model, kept["kind"]), kept["said"]
            raise ExportError(
                f"{where} could not be written as ONNX ({type(error).__name__}: {_line(said)}); {_ADVICE}"
            ) from error


@contextmanager
def call_errors() -> Iterator[None]:
    """Turn the failed call of a layer into an `ExportError` that names its kind, the cause being the original.

    For the calls by which a model is read: on one step, on other lengths, on numbers that are made up.
    """
    try:
        yield
    except (ValueError, TypeError, tf.errors.OpError) as error:
        kept = IN_A_LAYER.search(str(error))
        if kept is None or isinstance(error, S2SError):
            raise
        if kept["kind"] == WithoutAxis.__name__:
            raise ExportError(
                "the decoder gives several steps where it reads one, as one of its layers puts the source's steps "
                "beside the target's, one by one: this can't be done step by step. Where source and target always have "
                f"one length and nothing is fed back, say so with {option('feedback', 'none')}; else let the decoder "
                "attend to the source"
            ) from error
        if kept["kind"] == "Softmax" and "mask" in kept["said"]:
            raise ExportError(
                "the layer Softmax stands behind a mask of steps and takes it for one over symbols, so that Keras "
                "itself runs this model on nothing else than sources as long as there are symbols; put "
                f"Activation('softmax') in its place (the weights stay: {IN_CODE})"
            ) from error
        raise ExportError(
            f"a {kept['kind']} of this model can't be called as a bundle calls it, one step at a time and on sources "
            f"of other lengths ({_line(kept['said'])}): rebuild that part of the model from other layers, or give the "
            "two functions of your own decoding loop to s2s_export.export_steps"
        ) from error


@contextmanager
def checked(name: str) -> Iterator[None]:
    """Turn what ONNX's checker finds wrong with a graph into an `ExportError` that names the graph.

    Args:
        name: of the graph.
    """
    try:
        yield
    except onnx.checker.ValidationError as error:
        raise ExportError(f"the {name} graph isn't valid ONNX ({_line(str(error))}); {_ADVICE}") from error


def layer_of(model: keras.Model, node: str) -> str | None:
    """Return the name that messages use for the layer of a TensorFlow node; None where its name doesn't tell.

    Args:
        model: the layers are its own or inside these.
        node: its name, such as `functional_1/dense_2/Add`.
    """
    layers: dict[str, Any] = {layer.name: layer for layer in model._flatten_layers(include_self=False)}
    parts = [part if part in layers else _COUNTED.sub("", part) for part in node.split("/")]
    named_layers = [layers[part] for part in parts if part in layers]
    return _named(named_layers[-1]) if named_layers else None


def _named(layer: Any) -> str:
    return f'layer "{layer.name}" ({type(layer).__name__})'


def _named_layers(model: keras.Model, kind: str) -> str:
    """Return the names of the layers of a kind, which is the name of their class."""
    names = [_named(layer) for layer in model._flatten_layers(include_self=False) if type(layer).__name__ == kind]
    return " or ".join(names) or f"a {kind}"


def _line(text: str) -> str:
    return " ".join(text.split())[:300]


@dataclass(frozen=True)
class _FailedNode:
    name: str
    error: BaseException


def _where(model: keras.Model, nodes: list[_FailedNode]) -> str:
    if not nodes:
        return "part of the model"
    layer = layer_of(model, nodes[0].name)
    return f"operation {nodes[0].name!r}" if layer is None else layer


class _Nodes(logging.Handler):
    """Collects the nodes that tf2onnx says it failed at: its exceptions don't tell, and it may raise none."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.nodes: list[_FailedNode] = []

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        named = str(record.msg).startswith("Failed to convert node") and isinstance(record.args, tuple)
        if named and error is not None:
            self.nodes.append(_FailedNode(str(record.args[0]), error))


@contextmanager
def _failed_nodes() -> Iterator[list[_FailedNode]]:
    logger, handler = logging.getLogger("tf2onnx"), _Nodes()
    before = (logger.level, logger.propagate, logger.handlers)
    logger.setLevel(logging.ERROR)
    logger.propagate, logger.handlers = False, [handler]
    try:
        yield handler.nodes
    finally:
        logger.setLevel(before[0])
        logger.propagate, logger.handlers = before[1], before[2]
