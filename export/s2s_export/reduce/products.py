"""Products with constant kernels, of 8 bits: how each kernel is rounded, and the nodes that take a product's place.

`int8`: kernel and what it is multiplied by are integers. The kernel has a scale for each column, what comes in a
constant one, so that a row's numbers don't depend on the rows beside it; sums of integers are exact, so that they don't
depend on the machine either.

`int8-weights`: the kernel is stored in 8 bits, with a scale for each block of 32 weights, and what comes in stays as it
is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, Literal

import numpy as np
import onnx

from s2s_export.convert.graph_editor import GraphEditor

Kind = Literal["int8", "int8-weights"]

DOMAIN: Final = "com.microsoft"
LEVELS: Final = 127
ZERO: Final = 128  # of what comes in: kernels for uint8 are the quick ones
BLOCK: Final = 32
_FEWEST_COLUMNS: Final = 4  # a narrower product is no work


def products(editor: GraphEditor) -> Iterator[tuple[onnx.NodeProto, str]]:
    """Yield each product of something with a constant kernel, and the name of that something."""
    for node in list(editor.nodes):
        if node.op_type not in ("MatMul", "Gemm") or node.input[0] in editor.constants:
            continue
        kernel = editor.constants.get(node.input[1])
        plain = all(a.name == "transB" or (a.name in ("alpha", "beta") and a.f == 1) for a in node.attribute)
        if kernel is None or kernel.ndim != 2 or kernel.dtype != np.float32 or not plain:
            continue
        if (kernel.shape[0] if _is_transposed(node) else kernel.shape[1]) >= _FEWEST_COLUMNS:
            yield node, node.input[0]


def quantize_products(editor: GraphEditor, kind: Kind, largest: Mapping[str, float]) -> int:
    """Let products with constant kernels be products of 8 bits.

    Args:
        editor: a graph.
        kind: how.
        largest: by name of what is multiplied the largest absolute value that is told apart from larger ones. A product
            of something else stays as it is; `int8-weights` needs none.

    Returns:
        How many products were changed.
    """
    count, writer = 0, Writer(editor, kind)
    for node, given in list(products(editor)):
        if kind == "int8" and given not in largest:
            continue
        kernel = node.input[1]
        if _is_transposed(node):
            kernel = editor.folded("kernel", ("transposed",), [kernel], np.transpose)
        bias, output, gone = _added(editor, node)
        editor.remove(gone)
        writer.product(given, largest.get(given, 0.0), kernel, bias, output)
        count += 1
    return count


class Writer:
    """Adds products of 8 bits to a graph.

    Args:
        editor: whose nodes and constants they become.
        kind: of the products.
    """

    def __init__(self, editor: GraphEditor, kind: Kind) -> None:
        self._editor = editor
        self._kind = kind
        self._integers: dict[tuple[str, float], str] = {}
        self._scalars: dict[tuple[str, float], str] = {}
        editor.use_domain(DOMAIN)

    def product(self, given: str, largest: float, kernel: str, bias: str, output: str) -> None:
        """Add the nodes of given @ kernel + bias.

        Args:
            given: float32 (..., rows).
            largest: as `quantize_products` has it.
            kernel: name of a constant float32 (rows, columns).
            bias: name of what is added, "" for nothing; of one axis, or such as the product has.
            output: name of the result.
        """
        editor = self._editor
        vector = bias if bias and self._is_vector(bias) else ""
        made = output if bias == vector else editor.fresh("product")
        if self._kind == "int8":
            scale, zero = self._scalar(np.float32(largest / LEVELS)), self._scalar(np.uint8(ZERO))
            if (given, largest) not in self._integers:
                (self._integers[given, largest],) = editor.add("QuantizeLinear", [given, scale, zero])
            whole = editor.folded("integers", ("levels",), [kernel], lambda k: rounded(k)[0])
            scales = editor.folded("scales", ("levels",), [kernel], lambda k: rounded(k)[1])
            inputs = [self._integers[given, largest], whole, scale, scales, zero, "", vector]
            editor.add("MatMulIntegerToFloat", inputs[: 7 if vector else 5], [made], domain=DOMAIN)
        else:
            rows, columns = editor.constants[kernel].shape
            blocks = editor.folded("blocks", ("blocks",), [kernel], lambda k: in_blocks(k)[0])
            scales = editor.folded("scales", ("blocks",), [kernel], lambda k: in_blocks(k)[1])
            inputs = [given, blocks, scales, "", "", vector]
            editor.add(
                "MatMulNBits",
                inputs[: 6 if vector else 3],
                [made],
                domain=DOMAIN,
                K=rows,
                N=columns,
                bits=8,
                block_size=BLOCK,
                accuracy_level=4,
            )
        if made != output:
            editor.add("Add", [made, bias], [output])

    def _scalar(self, value: np.generic) -> str:
        key = (value.dtype.name, float(value))
        if key not in self._scalars:
            self._scalars[key] = self._editor.constant(np.asarray(value))
        return self._scalars[key]

    def _is_vector(self, tensor: str) -> bool:
        return tensor in self._editor.constants and self._editor.constants[tensor].ndim == 1


def rounded(kernel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a kernel (rows, columns) as int8, and the scale of each column, float32 (columns,).

    Processors without instructions for 8 bits add two neighbouring products in 16 bits and cut off what doesn't fit.
    So two neighbours of one sign stay small enough together for whatever they are multiplied by: then all processors
    give the same.
    """
    rows, columns = kernel.shape
    pairs = np.zeros((rows + rows % 2, columns), np.float32)
    pairs[:rows] = kernel
    most = np.maximum(np.abs(kernel).max(axis=0) / LEVELS, np.abs(pairs[::2] + pairs[1::2]).max(axis=0) / _MOST_IN_PAIR)
    scales = np.where(most > 0, most, 1).astype(np.float32)
    return np.clip(np.rint(kernel / scales), -LEVELS, LEVELS).astype(np.int8), scales


_MOST_IN_PAIR: Final = 127  # (2**15 - 1) // 255, less 1 as both are rounded


def in_blocks(kernel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a kernel (rows, columns) as uint8 (columns, blocks, BLOCK) around 128, and scales (columns * blocks,)."""
    rows, columns = kernel.shape
    count = -(-rows // BLOCK)
    blocks = np.zeros((columns, count * BLOCK), np.float32)
    blocks[:, :rows] = kernel.T
    blocks = blocks.reshape(columns, count, BLOCK)
    most = np.abs(blocks).max(axis=2) / LEVELS
    scales = np.where(most > 0, most, 1).astype(np.float32)
    whole = np.rint(blocks / scales[:, :, None]) + ZERO
    return whole.astype(np.uint8), scales.reshape(-1)


def _is_transposed(node: onnx.NodeProto) -> bool:
    return any(attribute.name == "transB" and attribute.i for attribute in node.attribute)


def _added(editor: GraphEditor, node: onnx.NodeProto) -> tuple[str, str, list[onnx.NodeProto]]:
    """Return what is added to a product, the name of the sum, and the nodes that a product of 8 bits replaces."""
    if node.op_type == "Gemm":
        return (node.input[2] if len(node.input) > 2 else ""), node.output[0], [node]
    reader = next((other for other in editor.nodes if node.output[0] in other.input), None)
    if reader is not None and reader.op_type == "Add" and editor.is_read_once(node.output[0]):
        other = next(name for name in reader.input if name != node.output[0])
        bias, kernel = editor.constants.get(other), editor.constants[node.input[1]]
        if bias is not None and bias.shape == kernel.shape[1:]:
            return other, reader.output[0], [node, reader]
    return "", node.output[0], [node]
