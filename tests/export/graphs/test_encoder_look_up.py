"""One-hot sources: what their encoder looks up."""

from pathlib import Path

import keras
import onnx
import pytest
from keras import layers
from onnx import numpy_helper
from random_weights import randomise

from s2s_export import ExportOptions, export

pytestmark = pytest.mark.tensorflow


@pytest.mark.parametrize(("symbols", "width"), [(20, 20), (40, 32)])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_kernel_or_identity(symbols: int, width: int, bidirectional: bool, tmp_path: Path) -> None:
    """A vocabulary larger than all gates is looked up in the kernel, a smaller one in an identity."""
    source, target = keras.Input((None, symbols)), keras.Input((None, 7))
    units = 4 if bidirectional else 8
    layer = layers.LSTM(units, return_state=True)
    _, *states = (layers.Bidirectional(layer) if bidirectional else layer)(source)
    if bidirectional:
        states = [layers.Concatenate()(states[0::2]), layers.Concatenate()(states[1::2])]
    y = layers.LSTM(8, return_sequences=True)(target, initial_state=states)
    model = keras.Model([source, target], layers.Dense(7, activation="softmax")(y))
    randomise(model)
    export(model, tmp_path / "m.s2s", ExportOptions(start_id=1, end_ids=(2,), max_length=3, source_length=4))
    graph = onnx.load(tmp_path / "m.s2s" / "encoder.onnx").graph
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    tables = [constants[n.input[0]] for n in graph.node if n.op_type == "Gather" and n.input[0] in constants]
    assert [table.shape for table in tables if table.ndim == 2] == [(symbols + 1, width)]
