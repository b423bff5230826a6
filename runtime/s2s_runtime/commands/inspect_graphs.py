"""The graphs of a bundle as a program in another language calls them: their inputs and outputs, in order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from rich.table import Table
from rich.text import Text

from s2s_runtime.bundle.manifest import Manifest
from s2s_runtime.bundle.storage import BundleFiles
from s2s_runtime.console.names import Name
from s2s_runtime.ort.bundle_sessions import BundleSessions
from s2s_runtime.ort.sessions import SessionSettings

_DTYPES: Final = {"float": "float32", "double": "float64", "half": "float16"}  # ONNX's names, where others differ
_DIRECTIONS: Final = ("inputs", "outputs")


def contract(files: BundleFiles, manifest: Manifest) -> dict[str, dict[str, list[dict[str, object]]]]:
    """Return the inputs and outputs of each graph: name, dtype and shape, free dimensions being None.

    Raises:
        MissingExtraError, BundleError: a graph can't be opened.
    """
    sessions = BundleSessions(files, manifest, SessionSettings(), {})
    graphs = {}
    for name in manifest.graphs:
        tensors = (sessions[name].get_inputs(), sessions[name].get_outputs())
        graphs[name] = {
            direction: [_tensor(tensor) for tensor in found]
            for direction, found in zip(_DIRECTIONS, tensors, strict=True)
        }
    return graphs


def contract_tables(graphs: Mapping[str, Mapping[str, list[dict[str, object]]]], manifest: Manifest) -> Iterator[Table]:
    """Yield a table for each graph."""
    for name, graph in graphs.items():
        table = Table("", "tensor", "dtype", "shape", title=f"{name}: {manifest.graphs[name].file}")
        table.title_justify = "left"
        for direction in _DIRECTIONS:
            for tensor in graph[direction]:
                shape = tensor["shape"]
                sizes = ", ".join("free" if size is None else str(size) for size in shape)  # type: ignore[attr-defined]
                table.add_row(direction[:-1], Name(str(tensor["name"])), str(tensor["dtype"]), Text(f"({sizes})"))
            table.add_section()
        yield table


def _tensor(tensor: Any) -> dict[str, object]:
    dtype = str(tensor.type).removeprefix("tensor(").removesuffix(")")
    shape = [size if isinstance(size, int) else None for size in tensor.shape]
    return {"name": tensor.name, "dtype": _DTYPES.get(dtype, dtype), "shape": shape}
