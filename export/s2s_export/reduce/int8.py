"""Graphs with eight-bit integer weights.

onnxruntime's dynamic quantisation: the weights of matrix products and LSTMs become int8 with one scale per column (per
gate and unit in LSTMs), activations become uint8 as they come, with one scale for the whole tensor. A row's numbers so
depend on the rows beside it: with int8 a sentence's result may change with the batch it is in. GRU and SimpleRNN
layers of the encoder have no integer form in onnxruntime and stay float32.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import onnx
from onnxruntime.quantization import QuantType, quantize_dynamic

from s2s_export.convert.keras_to_onnx import all_nodes
from s2s_export.convert.weighted_model import WeightedModel
from s2s_export.errors import ExportError
from s2s_export.graphs.bundle_graphs import COMPUTING, Graphs, with_searches
from s2s_export.understand.bundle_terms import Understanding
from s2s_runtime.spelling import option

_INTEGER_NODES = ("MatMulInteger", "DynamicQuantizeLSTM")


def quantized(graphs: Graphs, facts: Understanding) -> Graphs:
    """Return the same graphs with int8 weights.

    Raises:
        ExportError: there is no weight that could be quantised, or the model gives values, whose loss isn't measured.
    """
    if facts.target.feedback == "value":
        raise ExportError(
            f"{option('quantize')}: this model gives values, whose loss by int8 isn't measured here; leave it out"
        )
    models = {name: _quantized(graphs.models[name]) for name in COMPUTING if name in graphs.models}
    if not any(node.op_type in _INTEGER_NODES for model in models.values() for node in all_nodes(model.graph)):
        raise ExportError(f"{option('quantize')}: this model has no matrix product and no LSTM with constant weights")
    return with_searches(replace(graphs, models={**graphs.models, **models}), facts)


def _quantized(model: WeightedModel) -> WeightedModel:
    with tempfile.TemporaryDirectory() as folder, _without_advice():
        file = Path(folder) / "quantized.onnx"
        quantize_dynamic(
            model.whole(),
            file,
            op_types_to_quantize=["MatMul", "LSTM"],
            per_channel=True,
            weight_type=QuantType.QInt8,
            extra_options={"MatMulConstBOnly": True},
        )
        return WeightedModel.of(onnx.load(file))


@contextmanager
def _without_advice() -> Iterator[None]:
    """Keep the quantiser's advice to preprocess the model off the root logger while the block runs.

    The model is preprocessed already.
    """
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
