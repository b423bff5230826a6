"""A small editable view of an ONNX graph, on which lowering and the optimisation passes work."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper


class GraphEditor:
    """Nodes and constants of one model, with look-up by tensor name.

    Attributes:
        nodes: the graph's nodes; `finish` puts them in an order in which they can run.
        constants: initialisers by name.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        """Reads the model; it is left as it is until `finish`."""
        self._model = model
        self.nodes: list[onnx.NodeProto] = list(model.graph.node)
        self.constants: dict[str, np.ndarray] = {
            tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer
        }
        self._counter = 0
        tensors = {name for node in self.nodes for name in node.output} | set(self.constants)
        self._names = tensors | {node.name for node in self.nodes}

    @property
    def outputs(self) -> list[str]:
        """Names of the graph's outputs."""
        return [value.name for value in self._model.graph.output]

    @property
    def opsets(self) -> list[onnx.OperatorSetIdProto]:
        """The operator sets the graph uses."""
        return list(self._model.opset_import)

    @property
    def ir_version(self) -> int:
        """The version of the file format."""
        return int(self._model.ir_version)

    def producer(self, tensor: str) -> onnx.NodeProto | None:
        """The node that makes a tensor; None for inputs and constants."""
        return next((node for node in self.nodes if tensor in node.output), None)

    def is_read_once(self, tensor: str) -> bool:
        """Whether one node input reads the tensor and no graph output shows it."""
        reads = sum(list(node.input).count(tensor) for node in self.nodes)
        return reads == 1 and tensor not in self.outputs

    def fresh(self, stem: str) -> str:
        """A name that no tensor and no node has so far."""
        while True:
            self._counter += 1
            name = f"{stem}_{self._counter}"
            if name not in self._names:
                self._names.add(name)
                return name

    def constant(self, value: np.ndarray, stem: str = "constant") -> str:
        """Adds an initialiser and returns its name."""
        name = self.fresh(stem)
        self.constants[name] = np.array(value, order="C")  # a copy: views of weights must not leak in
        return name

    def integers(self, values: Sequence[int]) -> str:
        """Adds an int64 vector and returns its name."""
        return self.constant(np.asarray(values, dtype=np.int64), "integers")

    def add(
        self, op_type: str, inputs: Sequence[str], outputs: int | Sequence[str] = 1, **attributes: Any
    ) -> list[str]:
        """Adds a node and returns its output names.

        Args:
            op_type: of the standard ONNX domain.
            inputs: tensor names; "" leaves an optional input out.
            outputs: how many outputs to name afresh, or their names; "" leaves an optional output out.
            attributes: the node's attributes.
        """
        names = [self.fresh(op_type.lower()) for _ in range(outputs)] if isinstance(outputs, int) else list(outputs)
        self.nodes.append(helper.make_node(op_type, list(inputs), names, name=self.fresh(op_type), **attributes))
        return names

    def remove(self, nodes: Iterable[onnx.NodeProto]) -> None:
        """Takes nodes out; what they made has to be made by others or read by nobody."""
        gone = {id(node) for node in nodes}
        self.nodes = [node for node in self.nodes if id(node) not in gone]

    def rename(self, old: str, new: str) -> None:
        """Lets every node that reads `old` read `new`."""
        for node in self.nodes:
            for position, name in enumerate(node.input):
                if name == old:
                    node.input[position] = new

    def finish(self) -> onnx.ModelProto:
        """The edited model: unread nodes and constants dropped, nodes in running order, checked by ONNX."""
        self._drop_unread()
        graph = self._model.graph
        ordered = self._in_running_order()
        del graph.node[:], graph.initializer[:], graph.value_info[:]
        graph.node.extend(ordered)
        used = {name for node in ordered for name in node.input}
        graph.initializer.extend(
            numpy_helper.from_array(value, name)
            for name, value in self.constants.items()
            if name in used or name in self.outputs
        )
        onnx.checker.check_model(self._model)
        return self._model

    def _drop_unread(self) -> None:
        while True:
            read = {name for node in self.nodes for name in node.input} | set(self.outputs)
            kept = [node for node in self.nodes if read.intersection(node.output)]
            if len(kept) == len(self.nodes):
                return
            self.nodes = kept

    def _in_running_order(self) -> list[onnx.NodeProto]:
        made_here = {name for node in self.nodes for name in node.output if name}
        ready: set[str] = set()
        ordered: list[onnx.NodeProto] = []
        waiting = self.nodes
        while waiting:
            runnable = [node for node in waiting if all(n in ready or n not in made_here for n in _reads(node))]
            if not runnable:
                raise ValueError(f"the graph has a cycle through {waiting[0].name!r}")
            ordered += runnable
            ready.update(name for node in runnable for name in node.output)
            chosen = {id(node) for node in runnable}
            waiting = [node for node in waiting if id(node) not in chosen]
        return ordered


def _reads(node: onnx.NodeProto) -> set[str]:
    """Names a node reads, those that its subgraphs take from outside included."""
    names = set(node.input)
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.GRAPH:
            inner = {name for child in attribute.g.node for name in _reads(child)}
            names |= inner - {name for child in attribute.g.node for name in child.output}
    return names
