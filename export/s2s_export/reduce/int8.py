"""Graphs whose products are of 8 bits: `int8`, and `int8-weights` where only the kernels are.

With `int8` what is multiplied is of 8 bits too. Its scale is a constant: 1/127 for the states of LSTMs, GRUs and simple
layers, which lie between -1 and 1, and for everything else what was seen while sources were decoded. So a sentence's
result doesn't depend on the sentences beside it. Tables that are looked up, sums and activations stay float32.
"""

from __future__ import annotations

from dataclasses import replace

from s2s_export.convert.graph_editor import GraphEditor
from s2s_export.errors import ExportError
from s2s_export.graphs.bundle_graphs import COMPUTING, Graphs, with_searches
from s2s_export.passes.gate_passes import join_gates
from s2s_export.reduce.calibration import Scales
from s2s_export.reduce.products import Kind, quantize_products
from s2s_export.reduce.recurrent_loops import loop_cells
from s2s_export.understand.bundle_terms import Understanding
from s2s_runtime.spelling import option


def quantized(graphs: Graphs, facts: Understanding, kind: Kind, scales: Scales) -> Graphs:
    """Return the same graphs with products of 8 bits.

    Args:
        graphs: those of the float32 bundle, without searches.
        facts: how the model was understood.
        kind: whether what is multiplied is of 8 bits too.
        scales: as `calibration.scales` tells; for "int8-weights" none are needed.

    Raises:
        ExportError: there is no product that could be quantised, or the model gives values, whose loss isn't measured.
    """
    if facts.what_gives_values:
        raise ExportError(
            f"{option('quantize')}: {facts.what_gives_values} gives values, whose loss by int8 isn't measured "
            "here; leave it out"
        )
    models, count = dict(graphs.models), 0
    for name in [name for name in COMPUTING if name in models]:
        editor, largest = GraphEditor(models[name].copy()), scales.get(name, {})
        join_gates(editor)
        changed = quantize_products(editor, kind, largest) + loop_cells(editor, kind, largest)
        models[name] = editor.finish() if changed else models[name]
        count += changed
    if not count:
        raise ExportError(f"{option('quantize')}: this model has no product with constant weights")
    return with_searches(replace(graphs, models=models), facts)
