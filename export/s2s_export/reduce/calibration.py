"""How large the numbers get that products multiply: as the graph tells, and as seen while some sources are decoded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from onnx import TensorProto, helper

from s2s_export.convert.graph_editor import GraphEditor
from s2s_export.convert.weighted_model import WeightedModel
from s2s_export.graphs.bundle_graphs import COMPUTING, Graphs
from s2s_export.reduce.bounds import Bounds, bounds, state_bounds
from s2s_export.reduce.products import products
from s2s_export.reduce.recurrent_loops import read, recurrent_nodes
from s2s_export.understand.bundle_terms import Understanding
from s2s_export.verify.coverage import UNKNOWN_LENGTH
from s2s_export.verify.samples import Sentence, for_runtime, padded
from s2s_runtime import load

Scales = dict[str, dict[str, float]]
"""By graph and by name of a tensor the largest absolute value that 8 bits tell apart from larger ones."""

_ROOM: Final = 1.25  # beyond what was seen
_SOURCES: Final = 64
_STEPS: Final = 40
_SHOWN: Final = "largest."


def scales(graphs: Graphs, facts: Understanding, folder: Path, given: Sequence[Sentence]) -> Scales:
    """Return how large what is multiplied gets, of all products with constant kernels.

    That is a quarter more than what is seen while the sources are decoded, but no more than what the operations that
    make it allow, which hold for every source.

    Args:
        graphs: those of the float32 bundle, without searches.
        facts: how the model was understood.
        folder: the float32 bundle.
        given: the sources.
    """
    if facts.what_gives_values:  # it is refused
        return {}
    editors = {name: GraphEditor(graphs.models[name]) for name in COMPUTING if name in graphs.models}
    known, wanted = _known(graphs, editors), {name: _multiplied(editor) for name, editor in editors.items()}
    seen = _seen(graphs, facts, folder, given[:_SOURCES], wanted)
    return {
        name: {t: largest for t in tensors if (largest := _settled(known[name].get(t), seen.get(name, {}).get(t)))}
        for name, tensors in wanted.items()
    }


def _settled(bound: float | None, largest_seen: float | None) -> float | None:
    """Return the largest value to tell apart; None where nothing is known of it."""
    given = [value for value in (bound, largest_seen and largest_seen * _ROOM) if value and np.isfinite(value)]
    if not given and 0 in (bound, largest_seen):
        return 1.0  # of zeros any scale is right
    return min(given, default=None)


def _known(graphs: Graphs, editors: Mapping[str, GraphEditor]) -> dict[str, Bounds]:
    """Return what the operations of each graph tell."""
    known = {name: bounds(editor, {}) for name, editor in editors.items() if name in ("encoder", "model")}
    first = known.get("encoder", {})
    crossing = {tensor.name: first[tensor.name] for tensor in (*graphs.states, *graphs.memory) if tensor.name in first}
    if "decoder" in editors:
        known["decoder"] = state_bounds(editors["decoder"], crossing)
    if "step" in editors:
        known["step"] = state_bounds(editors["step"], {state.name: 0.0 for state in graphs.states})
    return known


def _multiplied(editor: GraphEditor) -> list[str]:
    """Return the names of what is multiplied by constant kernels."""
    names = [given for _, given in products(editor)]
    return list(dict.fromkeys([*names, *(name for node in recurrent_nodes(editor) for name in read(node))]))


def _seen(
    graphs: Graphs, facts: Understanding, folder: Path, given: Sequence[Sentence], wanted: Mapping[str, list[str]]
) -> Scales:
    """Return the largest absolute values of some tensors while sources are decoded; of the graph "step" none."""
    names = [tensor.name for tensor in facts.source.inputs]
    feeds = dict(zip(names, padded(given, facts), strict=True))
    first = "encoder" if "encoder" in graphs.models else "model"
    shown = _Shown(graphs.models[first], wanted[first])
    crossing = shown.run(feeds)
    seen = {first: shown.largest}
    if wanted.get("decoder"):
        steps = _Shown(graphs.models["decoder"], wanted["decoder"])
        _step(steps, graphs, dict(crossing), _fed(facts, folder, given))
        seen["decoder"] = steps.largest
    return seen


def _fed(facts: Understanding, folder: Path, given: Sequence[Sentence]) -> np.ndarray:
    """Return what the decoder is fed at each step while it decodes, int64 (sentences, steps)."""
    longest = min(facts.target.max_length or UNKNOWN_LENGTH, _STEPS)
    with load(folder) as model:
        results = model.generate(for_runtime(given, facts), max_length=longest, return_end_token=False)
    start = [] if facts.without_start else [-1 if facts.target.start_id is None else facts.target.start_id]
    rows = [[*start, *result.ids] or [0] for result in results]
    fed = np.zeros((len(rows), max(map(len, rows))), np.int64)
    for row, ids in zip(fed, rows, strict=True):
        row[:] = ids[-1]
        row[: len(ids)] = ids
    return fed


def _step(steps: _Shown, graphs: Graphs, feeds: dict[str, Any], fed: np.ndarray) -> None:
    """Run the step graph on what is fed, one after the other."""
    for column in fed.T:
        made = steps.run({**feeds, "token": np.ascontiguousarray(column)})
        feeds.update({state.name: made[f"next_{state.name}"] for state in graphs.states})


class _Shown:
    """A graph that shows the largest absolute values of some of its tensors.

    Attributes:
        largest: what was seen so far, by name.
    """

    def __init__(self, model: WeightedModel, names: Sequence[str]) -> None:
        shown = model.copy()
        for name in names:
            shown.graph.node.append(helper.make_node("Abs", [name], [f"{_SHOWN}all.{name}"]))
            shown.graph.node.append(helper.make_node("ReduceMax", [f"{_SHOWN}all.{name}"], [_SHOWN + name], keepdims=0))
            shown.graph.output.append(helper.make_tensor_value_info(_SHOWN + name, TensorProto.FLOAT, []))
        self._session = shown.session()
        self._inputs = {value.name for value in self._session.get_inputs()}
        self._outputs = [value.name for value in self._session.get_outputs()]
        self.largest: dict[str, float] = {}

    def run(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Run the graph once and return its own outputs by name."""
        given = {name: value for name, value in feeds.items() if name in self._inputs}
        made = dict(zip(self._outputs, self._session.run(None, given), strict=True))
        for name in [name for name in made if name.startswith(_SHOWN)]:
            tensor, value = name.removeprefix(_SHOWN), float(made.pop(name))
            self.largest[tensor] = max(self.largest.get(tensor, 0.0), value)
        return made
