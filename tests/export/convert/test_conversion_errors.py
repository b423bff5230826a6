"""What fails inside the conversion to ONNX is one line that names the layer; the original error is its cause."""

import re
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import pytest
import tensorflow as tf
from architectures.parts import UNITS, embed_source, embed_target, head, source_ids, target_ids
from architectures.recurrent import gru_reset_after
from keras import layers
from tf2onnx import optimizer
from tf2onnx.optimizer.optimizer_base import GraphOptimizerBase
from typer.testing import CliRunner

from s2s_export import ExportError, ExportOptions, export
from s2s_export.convert.keras_to_onnx import convert

pytestmark = pytest.mark.tensorflow

OPTIONS = ExportOptions(start_id=1, end_ids=(2,), max_length=5)


@keras.saving.register_keras_serializable(package="tests")
class Bessel(layers.Layer):
    """A layer of an operation that ONNX lacks."""

    def call(self, x: tf.Tensor) -> tf.Tensor:  # noqa: D102
        return tf.math.bessel_i0e(x)


@keras.saving.register_keras_serializable(package="tests")
class Inverse(layers.Layer):
    """A layer that fails only when it is traced for any batch."""

    def call(self, x: tf.Tensor) -> tf.Tensor:  # noqa: D102
        if not isinstance(x, keras.KerasTensor) and not tf.executing_eagerly():
            raise RuntimeError("no graph\nof this")
        return x

    def compute_output_spec(self, x: keras.KerasTensor) -> keras.KerasTensor:  # noqa: D102
        return keras.KerasTensor(x.shape, x.dtype)


def model_with(layer: layers.Layer) -> keras.Model:
    source, target = source_ids(), target_ids()
    _, state = layers.GRU(UNITS, return_state=True)(embed_source(source))
    y = layers.GRU(UNITS, return_sequences=True)(embed_target(target), initial_state=layer(state))
    return keras.Model([source, target], head(y))


def refused(model: keras.Model, path: Path, *words: str) -> ExportError:
    with pytest.raises(ExportError) as caught:
        export(model, path, OPTIONS)
    assert "\n" not in str(caught.value)
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert not path.exists()
    return caught.value


def test_operation_that_onnx_lacks(tmp_path: Path) -> None:
    """The operation and the layer it stands in are named."""
    refused(
        model_with(Bessel(name="waves")),
        tmp_path / "b.s2s",
        'no ONNX operator for TensorFlow\'s BesselI0e in layer "waves" (Bessel); rebuild that part',
    )


def test_layer_that_cannot_be_traced(tmp_path: Path) -> None:
    """An error of the layer's own code becomes one line, the original behind it."""
    error = refused(
        model_with(Inverse(name="twist")),
        tmp_path / "b.s2s",
        "could not be written as ONNX (RuntimeError: ",
        "no graph",
    )
    assert isinstance(error.__cause__, RuntimeError)


def test_an_optimizer_that_fails_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it did to the graph before it failed is undone, and the others do their work."""

    class Failing(GraphOptimizerBase):
        def _optimize(self, graph: Any) -> Any:
            graph.remove_node(graph.get_nodes()[-1].name)
            raise ValueError("half done")

    x = keras.Input((2,))
    doubled = keras.Model([x], layers.Add()([x, x]))
    signature = [tf.TensorSpec((None, 2), tf.float32, name="x")]
    whole = convert(doubled, lambda x: [x], signature, ["y"], 18)
    monkeypatch.setitem(optimizer._optimizers, "failing", Failing)
    other = convert(doubled, lambda x: [x], signature, ["y"], 18)
    assert [node.op_type for node in other.graph.node] == [node.op_type for node in whole.graph.node]
    assert other.run(["y"], {"x": np.ones((1, 2), np.float32)})[0].tolist() == [[2.0, 2.0]]


def test_handler_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a converter of tf2onnx fails, the layer is named that the node belongs to."""
    from tf2onnx.handler import tf_op

    def fails(*_: object, **__: object) -> None:
        raise KeyError("shape")

    for registered in tf_op.get_opsets()[""]:
        if "Softplus" in registered:
            monkeypatch.setitem(registered, "Softplus", (fails, {}))
    layer = layers.Dense(UNITS, activation="softplus", name="bent")
    error = refused(
        model_with(layer), tmp_path / "b.s2s", "layer \"bent\" (Dense) could not be written as ONNX (KeyError: 'shape')"
    )
    assert isinstance(error.__cause__, KeyError)


def test_invalid_graph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What ONNX's checker finds wrong is said of the graph it finds it in."""

    def finds(_: onnx.ModelProto) -> None:
        raise onnx.checker.ValidationError("Nodes in a graph must be\ntopologically sorted")

    monkeypatch.setattr(onnx.checker, "check_model", finds)
    error = refused(gru_reset_after(), tmp_path / "b.s2s", "Nodes in a graph must be topologically sorted")
    assert isinstance(error.__cause__, onnx.checker.ValidationError)


def test_verbose_shows_the_traceback(tmp_path: Path) -> None:
    """`--verbose` puts the traceback before the one line; without it there is only the line."""
    from s2s_export.commands.export import app

    model_with(Bessel(name="waves")).save(tmp_path / "m.keras")
    command = [str(tmp_path / "m.keras"), "--start-id", "1", "--max-length", "5"]
    quiet = CliRunner().invoke(app, command)
    assert quiet.exit_code == 1
    assert re.fullmatch(r"error: no ONNX operator [^\n]*\n", quiet.stderr.split("\r")[-1].lstrip("\x1b[2K"))
    loud = CliRunner().invoke(app, [*command, "--verbose"])
    assert "Traceback (most recent call last)" in loud.stderr
    assert loud.stderr.rstrip().splitlines()[-1].startswith("error: no ONNX operator")
