"""The graphs of a bundle as a program in another language calls them, and the tensors of a decoding."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich.table import Table
from rich.text import Text

from s2s_runtime.bundle.manifest import Manifest
from s2s_runtime.bundle.storage import BundleFiles
from s2s_runtime.console.names import Name
from s2s_runtime.errors import InputError
from s2s_runtime.inputs.batches import make_batches
from s2s_runtime.inputs.sources import read_sources
from s2s_runtime.language_models.prompts import begin, needs_prompt, read_prompts
from s2s_runtime.options import DecodingOptions
from s2s_runtime.ort.bundle_sessions import BundleSessions
from s2s_runtime.ort.sessions import SessionSettings
from s2s_runtime.search.plan import make_plan
from s2s_runtime.spelling import shown

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


class Traced(NamedTuple):
    """A tensor that went into a graph or came out of it.

    Attributes:
        step: number of the decoder's step; None = the encoder, or the one graph of a model of one pass.
        graph: name of the graph.
        direction: "input", "output" or "chosen".
        name: name of the tensor.
        array: its values.
    """

    step: int | None
    graph: str
    direction: str
    name: str
    array: NDArray[Any]

    def to_dict(self) -> dict[str, object]:
        """Return plain values for JSON."""
        values = {"dtype": str(self.array.dtype), "shape": list(self.array.shape), "values": self.array.tolist()}
        return {"step": self.step, "graph": self.graph, "direction": self.direction, "name": self.name, **values}


def trace(files: BundleFiles, manifest: Manifest, text: str) -> Iterator[Traced]:
    """Decode a text greedily, by the bundle's graphs as they are, and yield each tensor as it passes.

    Args:
        files: files of the bundle.
        manifest: its manifest.
        text: a text, or ids separated by spaces where the bundle has no vocabulary to read it with;
            of a language model the beginning of what it writes.

    Raises:
        InputError: the text can't be read, or the bundle gives values or reads several sources.
    """
    several = len(manifest.given_names) > 1
    if manifest.target.feedback == "value" or several or manifest.source.kind in ("values", "vector"):
        raise InputError("--trace: expected a bundle that reads one text and writes tokens")
    source: Any = text if manifest.input_vocabulary is not None else _ids(text)
    plan, begun = make_plan(DecodingOptions(), manifest), list[int]()
    if manifest.kind == "decoder-only":
        sources, [begun] = read_prompts([source], manifest)
        begin(sources, [begun], manifest)
    else:
        sources = read_sources([source], manifest)
    batches = make_batches(sources, [begun], DecodingOptions(), manifest)
    before = 1 if needs_prompt(manifest) else 0  # tokens that no step gives
    first = begun.pop(0) if before else plan.start_id
    sessions = BundleSessions(files, manifest, SessionSettings(), {})
    for batch in batches:
        names = [tensor.name for tensor in manifest.source.inputs]
        carried: dict[str, NDArray[Any]] = dict(zip(names, (batch.source, *batch.others), strict=True))
        if manifest.one_graph:
            given = yield from _run(sessions, "model", None, carried)
            best = (given["logits"][0].astype(np.float32) + plan.rules.always).argmax(axis=1)
            yield Traced(None, "model", "chosen", "tokens", best)
            return
        carried = yield from _run(sessions, "encoder", None, carried)
        names = [tensor.name for tensor in sessions["decoder"].get_inputs()]
        token = first
        for step in range(int(batch.limits[0]) - before):
            fed = {"token": np.array([token], np.int64)} if "token" in names else {}
            outputs = yield from _run(sessions, "decoder", step, fed | carried)
            logits = outputs["logits"][0].astype(np.float32) + plan.rules.always
            token = begun[step] if step < len(begun) else int(logits.argmax())
            yield Traced(step, "decoder", "chosen", "token", np.array([token], np.int64))
            if plan.is_end[token]:
                return
            states = {name.removeprefix("next_"): array for name, array in outputs.items() if name[:5] == "next_"}
            carried |= states


def _run(
    sessions: BundleSessions, graph: str, step: int | None, fed: dict[str, NDArray[Any]]
) -> Generator[Traced, None, dict[str, NDArray[Any]]]:
    """Run a graph, yield what goes in and comes out, and return the outputs by name."""
    session = sessions[graph]
    for name, array in fed.items():
        yield Traced(step, graph, "input", name, array)
    outputs = dict(zip([output.name for output in session.get_outputs()], session.run(None, fed), strict=True))
    for name, array in outputs.items():
        yield Traced(step, graph, "output", name, array)
    return outputs


def _ids(text: str) -> list[int]:
    try:
        return [int(word) for word in text.split()]
    except ValueError as error:
        raise InputError(
            f"--trace: expected ids, as this bundle has no source vocabulary; got {shown(text)}"
        ) from error


def _tensor(tensor: Any) -> dict[str, object]:
    dtype = str(tensor.type).removeprefix("tensor(").removesuffix(")")
    shape = [size if isinstance(size, int) else None for size in tensor.shape]
    return {"name": tensor.name, "dtype": _DTYPES.get(dtype, dtype), "shape": shape}
