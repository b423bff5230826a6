"""Bundles in memory whose loops read constants of weights.bin: these are the bundle's, wherever a program runs."""

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import onnx
import pytest
from keras import layers
from random_weights import randomise

import s2s_runtime
from s2s_export import ExportOptions, export

pytestmark = pytest.mark.tensorflow

SYMBOLS, UNITS = 40, 24  # so that kernels and tables exceed the 1024 bytes up to which constants stay in the graphs
SOURCES = [[3, 5, 8, 13, 21, 34], [4], [9, 7, 30], [39, 38, 37, 36, 35]]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of a GRU with attention, whose loops read encoder outputs too."""
    source, target = keras.Input((None,), dtype="int32"), keras.Input((None,), dtype="int32")
    embedded = layers.Embedding(SYMBOLS, UNITS, mask_zero=True)(source)
    memory, state = layers.GRU(UNITS, return_sequences=True, return_state=True)(embedded)
    fed = layers.Embedding(SYMBOLS, UNITS)(target)
    y = layers.GRU(UNITS, return_sequences=True)(fed, initial_state=state)
    y = layers.Concatenate()([y, layers.Attention()([y, memory])])
    model = keras.Model([source, target], layers.Dense(SYMBOLS)(y))
    randomise(model)
    path = tmp_path_factory.mktemp("large") / "m.s2s"
    export(model, path, ExportOptions(start_id=1, end_ids=(2,), max_length=8))
    return path


def constants(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    """The initialisers of a graph and of the loops and branches in it."""
    yield from graph.initializer
    for inner in inner_graphs(graph):
        yield from constants(inner)


def inner_graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    for node in graph.node:
        yield from (each.g for each in node.attribute if each.type == onnx.AttributeProto.GRAPH)


def held(folder: Path, form: str) -> dict[str, bytes] | bytes:
    """A bundle as a mapping of names to bytes, or as the bytes of a zip file."""
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    if form == "mapping":
        return files
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@pytest.mark.parametrize("name", ["greedy", "beam"])
def test_constants_outside_a_graph_are_outermost(bundle: Path, name: str) -> None:
    """There any program has onnxruntime take them from memory; inside loops it would look for their file instead."""
    model = onnx.load(bundle / f"{name}.onnx", load_external_data=False)
    inner = [tensor for inner in inner_graphs(model.graph) for tensor in constants(inner)]
    assert bool(inner) == (name == "greedy")
    assert not [tensor for tensor in inner if tensor.data_location == onnx.TensorProto.EXTERNAL]
    apart = [tensor for tensor in model.graph.initializer if tensor.data_location == onnx.TensorProto.EXTERNAL]
    files = {each.value for tensor in apart for each in tensor.external_data if each.key == "location"}
    assert files == ({"weights.bin"} if name == "beam" else set())


@pytest.fixture(params=["empty", "with another weights.bin"])
def elsewhere(request: pytest.FixtureRequest, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder: empty, or with a file called like the bundle's, of its size and of other content."""
    if request.param != "empty":
        size = (bundle / "weights.bin").stat().st_size
        other = np.random.default_rng(0).normal(size=-(-size // 4)).astype(np.float32)
        (tmp_path / "weights.bin").write_bytes(other.tobytes()[:size])
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("beam_size", [1, 3])
@pytest.mark.parametrize("form", ["mapping", "zip"])
def test_constants_are_the_bundles_own(bundle: Path, elsewhere: Path, form: str, beam_size: int) -> None:
    """A bundle in memory decodes as its folder does, whatever the working folder holds, which is left as it was."""
    before = sorted(elsewhere.iterdir())
    expected = s2s_runtime.load(bundle).generate(SOURCES, beam_size=beam_size, engine="graph")
    found = s2s_runtime.load(held(bundle, form)).generate(SOURCES, beam_size=beam_size, engine="graph")
    assert [result.ids for result in found] == [result.ids for result in expected]
    assert sorted(elsewhere.iterdir()) == before
