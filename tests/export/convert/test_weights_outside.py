"""Weights never enter a protocol buffer: graphs name them, arrays are held once and written once."""

import hashlib
from pathlib import Path

import keras
import numpy as np
import onnx
import pytest
from architectures.attention import attention_additive
from architectures.recurrent import canonical
from keras import layers
from random_weights import randomise

from s2s_export import ExportOptions
from s2s_export.convert.weights import memory_of
from s2s_export.exporter import stateless, take_apart, write_unverified
from s2s_export.graphs.bundle_graphs import Graphs, build_graphs, with_searches
from s2s_export.passes import gate_passes
from s2s_export.passes.registry import Passes
from s2s_export.understand.bundle_terms import Understanding
from s2s_training.splitting.splitter import SplitModel

pytestmark = pytest.mark.tensorflow

OPTIONS = ExportOptions(start_id=1, end_ids=(2,), max_length=9, source_length=7)


def translator(words: int = 500, units: int = 64) -> keras.Model:
    """A model of 0.6 MB that reads by a convolution, whose kernel ONNX has in another order."""
    source, target = keras.Input((None,), dtype="int32"), keras.Input((None,), dtype="int32")
    read = layers.Conv1D(units, 3, padding="causal")(layers.Embedding(words, units)(source))
    _, *states = layers.LSTM(units, return_state=True)(read)
    table = layers.Embedding(words, units, name="target_table")
    written = layers.LSTM(units, return_sequences=True)(table(target), initial_state=states)
    return keras.Model([source, target], layers.Dense(words, activation="softmax", name="output_layer")(written))


def converted(model: keras.Model) -> tuple[SplitModel, Understanding, Graphs]:
    """All graphs of a model, with every pass."""
    randomise(model)
    with stateless(model):
        _, parts, facts = take_apart(model, OPTIONS)
        return parts, facts, with_searches(build_graphs(parts, facts, 18, Passes()), facts)


def test_a_graph_holds_no_more_than_names(tmp_path: Path) -> None:
    """Graphs of a few kB, what loops hold aside; equal arrays are one object and have one place in the file."""
    model = translator()
    parts, facts, graphs = converted(model)
    for name, graph in graphs.models.items():
        held = sum(t.ByteSize() for node in graph.graph.node for a in node.attribute for t in a.g.initializer)
        assert graph.proto.ByteSize() - held < 20_000, name
    by_content: dict[tuple[tuple[int, ...], bytes], set[int]] = {}
    for graph in graphs.models.values():
        for array in graph.arrays.values():
            key = array.shape, hashlib.sha256(array.tobytes()).digest()
            by_content.setdefault(key, set()).add(id(array))
    assert {len(objects) for objects in by_content.values()} == {1}
    kernel = memory_of(model.get_layer("output_layer").kernel)
    for name in ("decoder", "greedy", "beam"):
        assert any(np.shares_memory(array, kernel) for array in graphs.models[name].arrays.values()), name
    write_unverified(tmp_path, parts, facts, graphs)
    places = set()
    for name in graphs.models:
        for tensor in onnx.load(tmp_path / f"{name}.onnx", load_external_data=False).graph.initializer:
            places.update(entry.value for entry in tensor.external_data if entry.key == "offset")
    assert len(places) == len(by_content)
    written = onnx.load(tmp_path / "decoder.onnx")  # ONNX's own reader finds every array in the file
    for tensor in written.graph.initializer:
        if tensor.name in graphs.models["decoder"].arrays:
            np.testing.assert_array_equal(
                onnx.numpy_helper.to_array(tensor), graphs.models["decoder"].arrays[tensor.name]
            )


def test_what_depends_on_weights_alone_is_computed_once() -> None:
    """A convolution's kernel is turned while exporting, not at every run."""
    _, _, graphs = converted(translator())
    encoder = graphs.models["encoder"]
    constants = {tensor.name for tensor in encoder.graph.initializer}
    assert "Conv" in {node.op_type for node in encoder.graph.node}
    assert not [node.op_type for node in encoder.graph.node if set(node.input) and set(node.input) <= constants]


def test_the_memory_of_a_variable_is_not_copied() -> None:
    """What a graph holds of a variable is the variable's own memory, which nobody can write to through it."""
    variable = keras.Variable(np.arange(600, dtype=np.float32).reshape(20, 30))
    view = memory_of(variable)
    np.testing.assert_array_equal(view, np.asarray(variable.value))
    assert np.shares_memory(view, memory_of(variable))
    with pytest.raises(ValueError, match="read-only"):
        view[0, 0] = 1


@pytest.mark.parametrize("build", [canonical, attention_additive])
def test_large_kernels_stand_once(build: type[keras.Model], monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond a size, the loop for one row, which has its kernels in another order, is left out."""
    monkeypatch.setattr(gate_passes, "_MOST_GROUPED", 0)
    _, _, graphs = converted(build())
    assert "one_row" not in graphs.passes.applied
    assert [node.op_type for node in graphs.models["greedy"].graph.node].count("Loop") == 1
