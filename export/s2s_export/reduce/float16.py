"""Graphs in float16, for CUDA: weights, states and memory; ids stay int64, logits and attention weights float32.

onnxruntime's own converter does the work; what float16 can't hold becomes its largest number. Onnxruntime has few
float16 kernels for CPUs and casts around the others: such a bundle runs there, to be tested, and is no faster.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import onnx

from s2s_export.convert.conversion_errors import checked
from s2s_export.convert.weighted_model import WeightedModel
from s2s_export.errors import ExportError
from s2s_export.graphs.bundle_graphs import COMPUTING, Graphs, select_graph, with_searches
from s2s_export.understand.bundle_terms import Understanding
from s2s_runtime.bundle.manifest_file import TensorSpec
from s2s_runtime.bundle.specs import tensor_name
from s2s_runtime.spelling import option


def halved(graphs: Graphs, facts: Understanding) -> Graphs:
    """Return the same graphs, computing in float16.

    Raises:
        ExportError: the model, or an output of it, gives values, whose loss isn't measured, or a graph has no float16
            form.
    """
    if facts.what_gives_values:
        raise ExportError(
            f"{option('dtype', 'float16')}: {facts.what_gives_values} gives values, whose loss by float16 isn't "
            "measured here; export it in float32"
        )
    sources = [tensor.name for tensor in facts.source.inputs]
    outputs = [tensor_name(target, place) for place, target in enumerate(facts.targets)]
    kept = {
        "encoder": sources,
        "decoder": ["logits", "attention"],
        "model": [*sources, *outputs],
        "step": ["value", "logits"],
    }
    models = {name: _halved(graphs.models[name], name, kept[name]) for name in COMPUTING if name in graphs.models}
    states, memory = _halves(graphs.states), _halves(graphs.memory)
    if "decoder" not in models:
        return replace(graphs, models=models, states=states)
    opset = next(used.version for used in models["decoder"].proto.opset_import if used.domain in ("", "ai.onnx"))
    models["select_state"] = select_graph("state", states, opset)
    if memory:
        models["select_memory"] = select_graph("memory", memory, opset)
    return with_searches(replace(graphs, models=models, states=states, memory=memory), facts)


def _halved(model: WeightedModel, name: str, kept: list[str]) -> WeightedModel:
    """Return a converted copy of a graph whose kept inputs and outputs have the dtypes they had."""
    from onnxruntime.transformers.float16 import convert_float_to_float16  # noqa: PLC0415 - it appends to sys.path

    with checked(name):
        made = convert_float_to_float16(model.whole(), keep_io_types=kept)
        del made.graph.value_info[:]  # found before the conversion
        onnx.checker.check_model(made, full_check=True)
    return WeightedModel.of(made)


def _halves(tensors: Sequence[TensorSpec]) -> tuple[TensorSpec, ...]:
    return tuple(tensor._replace(dtype="float16") if tensor.dtype == "float32" else tensor for tensor in tensors)
