"""A small editable view of an ONNX graph, on which lowering and the optimisation passes work."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper

from s2s_export.convert.weighted_model import Folds, WeightedModel, initializers


class GraphEditor:
    """The nodes and constants of one model, which can be looked up by tensor name and changed.

    Attributes:
        nodes: the graph's nodes; `finish` puts them in an order in which they can run.
        constants: initialisers by name; arrays are never changed, as other graphs may hold them too.
    """

    def __init__(self, model: WeightedModel, folds: Folds | None = None) -> None:
        """Read the model, which stays as it is until `finish`.

        Args:
            model: what is edited.
            folds: constants that were computed from others before, for other graphs.
        """
        self._model = model.proto
        self._folds = folds or Folds()
        self.nodes: list[onnx.NodeProto] = list(model.graph.node)
        self.constants: dict[str, np.ndarray] = {
            tensor.name: model.constant(tensor) for tensor in model.graph.initializer
        }
        self._counter = 0
        tensors = {name for node in self.nodes for name in node.output} | set(self.constants)
        self._names = tensors | {node.name for node in self.nodes}

    def copy(self) -> GraphEditor:
        """Return an editor of the same graph as it stands, to be changed apart.

        Neither editor gives a name that the other gave.
        """
        other = GraphEditor(WeightedModel(self._model, self.constants).copy(), self._folds)
        other.nodes = [copied(node) for node in self.nodes]
        other.constants = dict(self.constants)
        other._names = self._names
        return other

    @property
    def inputs(self) -> list[str]:
        """The names of the graph's inputs."""
        return [value.name for value in self._model.graph.input]

    @property
    def outputs(self) -> list[str]:
        """The names of the graph's outputs."""
        return [value.name for value in self._model.graph.output]

    @property
    def opsets(self) -> list[onnx.OperatorSetIdProto]:
        """The operator sets the graph uses."""
        return list(self._model.opset_import)

    def use_domain(self, domain: str, version: int = 1) -> None:
        """Let the graph use operators of a domain beside ONNX's own."""
        if all(used.domain != domain for used in self._model.opset_import):
            self._model.opset_import.append(helper.make_opsetid(domain, version))

    @property
    def ir_version(self) -> int:
        """The version of the file format."""
        return int(self._model.ir_version)

    def producer(self, tensor: str) -> onnx.NodeProto | None:
        """Return the node that makes a tensor; None for inputs and constants."""
        return next((node for node in self.nodes if tensor in node.output), None)

    def is_read_once(self, tensor: str) -> bool:
        """Return whether one node input reads the tensor and no graph output shows it."""
        reads = sum(list(node.input).count(tensor) for node in self.nodes)
        return reads == 1 and tensor not in self.outputs

    def fresh(self, stem: str) -> str:
        """Return a name that no tensor and no node has so far."""
        while True:
            self._counter += 1
            name = f"{stem}_{self._counter}"
            if name not in self._names:
                self._names.add(name)
                return name

    def constant(self, value: np.ndarray, stem: str = "constant") -> str:
        """Add an initialiser and return its name."""
        name = self.fresh(stem)
        self.constants[name] = np.asarray(value, order="C")
        return name

    def folded(
        self, stem: str, how: tuple[object, ...], sources: Sequence[str], make: Callable[..., np.ndarray]
    ) -> str:
        """Add an initialiser that is computed from others, and return its name.

        Args:
            stem: what its name begins with.
            how: what `make` does, in words and numbers: what was computed so for another graph is taken from there.
            sources: names of the constants that it is computed from.
            make: called with their values.
        """
        return self.constant(self._folds.array((stem, *how), [self.constants[name] for name in sources], make), stem)

    def integers(self, values: Sequence[int]) -> str:
        """Add an int64 vector and return its name."""
        return self.constant(np.asarray(values, dtype=np.int64), "integers")

    def add(
        self, op_type: str, inputs: Sequence[str], outputs: int | Sequence[str] = 1, **attributes: Any
    ) -> list[str]:
        """Add a node and return the names of its outputs.

        Args:
            op_type: of the standard ONNX domain.
            inputs: tensor names; "" leaves an optional input out.
            outputs: how many outputs to name afresh, or their names; "" leaves an optional output out.
            attributes: the node's attributes.
        """
        names = [self.fresh(op_type.lower()) for _ in range(outputs)] if isinstance(outputs, int) else list(outputs)
        self.nodes.append(helper.make_node(op_type, list(inputs), names, name=self.fresh(op_type), **attributes))
        return names

    def give(self, name: str, dtype: int, rank: int) -> None:
        """Let the graph give a tensor that its nodes make, beside its other outputs, of any sizes."""
        self._model.graph.output.append(helper.make_tensor_value_info(name, dtype, [None] * rank))

    def remove(self, nodes: Iterable[onnx.NodeProto]) -> None:
        """Take nodes out; other nodes have to make what they made, or nothing may read it."""
        gone = {id(node) for node in nodes}
        self.nodes = [node for node in self.nodes if id(node) not in gone]

    def prune(self, tensor: str) -> None:
        """Take out the node that makes a tensor that nothing reads, and then whatever that node alone read."""
        maker = self.producer(tensor)
        if maker is None or any(
            name in self.outputs or any(name in reads(node) for node in self.nodes) for name in maker.output
        ):
            return
        self.remove([maker])
        for name in maker.input:
            self.prune(name)

    def rename(self, old: str, new: str) -> None:
        """Let every node that reads `old` read `new`."""
        for node in self.nodes:
            for position, name in enumerate(node.input):
                if name == old:
                    node.input[position] = new

    def move(self, old: str, new: str) -> None:
        """Give a tensor another name, where it is made and where it is read."""
        for node in self.nodes:
            for position, name in enumerate(node.output):
                if name == old:
                    node.output[position] = new
        self.rename(old, new)

    def ranks(self) -> dict[str, int]:
        """Return the number of dimensions of each tensor for which ONNX's shape inference finds it."""
        inferred = onnx.shape_inference.infer_shapes(self._model).graph
        values = [*inferred.value_info, *inferred.input, *inferred.output]
        typed = {value.name: value.type.tensor_type for value in values}
        return {name: len(tensor.shape.dim) for name, tensor in typed.items() if tensor.HasField("shape")}

    def finish(self) -> WeightedModel:
        """Return the edited model: unread nodes and constants dropped, nodes in running order, checked by ONNX."""
        self.nodes = self.running(self.outputs)
        graph = self._model.graph
        del graph.node[:], graph.initializer[:], graph.value_info[:]
        graph.node.extend(self.nodes)
        tensors, arrays = initializers(self.read({*self.outputs, *(n for node in self.nodes for n in reads(node))}))
        graph.initializer.extend(tensors)
        onnx.checker.check_model(self._model)
        return WeightedModel(self._model, arrays)

    def read(self, names: Collection[str]) -> dict[str, np.ndarray]:
        """Return the constants among the names."""
        return {name: value for name, value in self.constants.items() if name in names}

    def running(self, wanted: Iterable[str]) -> list[onnx.NodeProto]:
        """Return the nodes that some tensors need, in an order in which they can run.

        Raises:
            ValueError: the graph has a cycle.
        """
        waiting = self._needed(set(wanted))
        made_here = {name for node in waiting for name in node.output if name}
        ready: set[str] = set()
        ordered: list[onnx.NodeProto] = []
        while waiting:
            runnable = [node for node in waiting if all(n in ready or n not in made_here for n in reads(node))]
            if not runnable:
                raise ValueError(f"the graph has a cycle through {waiting[0].name!r}")
            ordered += runnable
            ready.update(name for node in runnable for name in node.output)
            chosen = {id(node) for node in runnable}
            waiting = [node for node in waiting if id(node) not in chosen]
        return ordered

    def _needed(self, wanted: set[str]) -> list[onnx.NodeProto]:
        """Return the nodes from which some tensors are computed, directly or not, in their present order."""
        kept: list[onnx.NodeProto] = []
        while True:
            more = [node for node in self.nodes if wanted.intersection(node.output)]
            if len(more) == len(kept):
                return kept
            kept = more
            wanted = wanted.union(*(reads(node) for node in kept))


def copied(node: onnx.NodeProto) -> onnx.NodeProto:
    """Return a copy of a node, which can be changed apart."""
    other = onnx.NodeProto()
    other.CopyFrom(node)
    return other


def reads(node: onnx.NodeProto) -> set[str]:
    """Return the names that a node reads, those included that its subgraphs take from outside."""
    names = set(node.input)
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.GRAPH:
            inner = {name for child in attribute.g.node for name in reads(child)}
            inner -= {tensor.name for tensor in attribute.g.initializer}
            names |= inner - {name for child in attribute.g.node for name in child.output}
    return names
