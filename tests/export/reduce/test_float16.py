"""Graphs in float16: what is float16 in them, what it changes, what is measured and refused."""

from pathlib import Path

import keras
import numpy as np
import onnx
import pytest
from architectures.attention import attention_additive
from architectures.bidirectional import bidirectional_lstm_concat
from architectures.continuous import continuous
from architectures.recurrent import activation_without_onnx_twin
from onnx import TensorProto
from random_weights import randomise

import s2s_runtime
from s2s_export import ExportError, ExportOptions, export
from s2s_runtime.ort.onnx_model import OnnxStepModel

pytestmark = pytest.mark.tensorflow

GIVEN = {"start_id": 1, "end_ids": (2,), "max_length": 9}
MASKED = (bidirectional_lstm_concat, attention_additive)
SOURCES = [[3, 4, 5], [6], [4, 4, 3, 5, 6], [5, 3]]


@pytest.fixture(scope="module", params=[*MASKED, activation_without_onnx_twin])
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A float32 and a float16 bundle: with attention over a masked memory; with a loop in the encoder."""
    folder = tmp_path_factory.mktemp("half")
    keras.utils.set_random_seed(4)
    model = request.param()
    randomise(model)
    given = GIVEN if request.param in MASKED else GIVEN | {"source_length": 7, "padding": "0"}
    export(model, folder / "single.s2s", ExportOptions(**given))
    done = export(model, folder / "half.s2s", ExportOptions(**given, dtype="float16"))
    assert done.manifest.precision == "float16"
    found = done.manifest.verification["quantization"]
    assert isinstance(found, dict)
    assert [each["search"] for each in found["searches"]] == ["greedy", "beam 5"]
    return folder / "single.s2s", folder / "half.s2s"


def test_dtypes_of_the_signature(pair: tuple[Path, Path]) -> None:
    """States and memory are float16, masks bool, ids int64, logits and scores float32; so in every graph."""
    for name in ("encoder", "decoder", "greedy", "beam", "select_state"):
        graph = onnx.load(pair[1] / f"{name}.onnx", load_external_data=False).graph
        for value in (*graph.input, *graph.output):
            found = value.type.tensor_type.elem_type
            if "state." in value.name or value.name in ("memory.0",):
                assert found == TensorProto.FLOAT16, (name, value.name)
            else:
                assert found != TensorProto.FLOAT16, (name, value.name)
    manifest = s2s_runtime.load(pair[1]).manifest
    assert {each.dtype for each in manifest.states} == {"float16"}
    assert {each.dtype for each in manifest.memory} <= {"float16", "bool"}
    sizes = [(each / "weights.bin").stat().st_size for each in pair if (each / "weights.bin").exists()]
    assert sizes == sorted(sizes, reverse=True)


def test_numbers_are_close(pair: tuple[Path, Path]) -> None:
    """Log-probabilities of given targets within a twentieth of float32's, and engines agree on the tokens."""
    single, half = (s2s_runtime.load(path) for path in pair)
    targets = [each.ids for each in single.generate(SOURCES, max_length=9)]
    scores = [[each.log_probability for each in model.score(SOURCES, targets)] for model in (single, half)]
    np.testing.assert_allclose(scores[1], scores[0], atol=0.05)
    for options in ({}, {"beam_size": 3}):
        graph, steps = (half.generate(SOURCES, **options, engine=engine, max_length=9) for engine in ("graph", "steps"))
        assert [each.ids for each in graph] == [each.ids for each in steps]


def test_on_device_path(pair: tuple[Path, Path]) -> None:
    """The way that states take on a device, by select graphs and I/O binding, with float16 states on the CPU."""
    model = s2s_runtime.load(pair[1])
    sessions = model._steps._sessions  # type: ignore[union-attr]
    tokens = []
    for on_device in (False, True):
        stepper = OnnxStepModel(model.manifest, sessions, on_device=on_device)
        states = stepper.encode(np.array([[3, 4, 5], [6, 3, 4]]))
        stepper.reorder(states, np.array([1, 0]))
        states = stepper.select(states, np.array([0, 1, 1]))
        logits = stepper.step(states, np.ones(3, np.int64)).logits
        assert logits.dtype == np.float32
        tokens.append(logits.copy())
    np.testing.assert_array_equal(*tokens)


def test_refusals(tmp_path: Path) -> None:
    """Values, int8 beside it, other types: one line each, nothing written."""
    with pytest.raises(ExportError, match="dtype=float16: this model gives values, whose loss by float16 isn't"):
        export(
            continuous(), tmp_path / "v.s2s", ExportOptions(max_length=3, dtype="float16", feed={"shifted": "previous"})
        )
    with pytest.raises(ExportError, match="dtype=float16: expected none beside quantize=int8; leave it out"):
        ExportOptions(quantize="int8", dtype="float16")
    with pytest.raises(ExportError, match="dtype: expected 'float32' or 'float16', got 'bfloat16'"):
        ExportOptions(dtype="bfloat16")  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())
