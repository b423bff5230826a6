"""The table an export ends with, and the drawing of a dry run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import keras
from rich.console import Console
from rich.table import Table

from s2s_export.exporter import Exported
from s2s_export.understand.bundle_terms import Understanding
from s2s_export.verify.verify import Check
from s2s_runtime.commands.inspect_tables import setup_table
from s2s_training.splitting.graph import Call
from s2s_training.splitting.splitter import SplitModel


def print_exported(console: Console, exported: Exported) -> None:
    """Prints what was checked, what was written, and what to know."""
    console.print(_checks(exported.report.checks, exported.report.inputs))
    if exported.manifest.setup is not None:
        console.print(setup_table(exported.manifest.setup))
    console.print(_model(exported))
    console.print(_files(exported))
    if exported.manifest.precision != "float32":
        console.print(_quality(exported))
    if exported.manifest.precision == "float16":
        console.print("note: float16 is for CUDA; on a CPU it is tested and no faster", soft_wrap=True)
    _print_notes(console, exported.facts)
    if exported.manifest.setup is not None:
        console.print(exported.manifest.setup.summary, soft_wrap=True, highlight=False)
    console.print(
        f"wrote {exported.path} (graphs equal Keras, every check within {exported.report.atol:g})", soft_wrap=True
    )


def print_understanding(console: Console, split: SplitModel, facts: Understanding) -> None:
    """Prints what is encoder, what is decoder and what crosses, without writing anything."""
    target = facts.target
    console.print(f"source: {_sources(facts)}; target: feedback {target.feedback}, size {target.size}")
    console.print(_calls("encoder (once per sentence)", split.reading.encoder_calls))
    crossing = Table("crosses to the decoder", "shape", "dtype", title_justify="left")
    for i, tensor in enumerate(split.encoder.outputs):
        name = f"state.{i}" if i < split.state_count else f"memory.{i - split.state_count}"
        crossing.add_row(name, _shape(tensor.shape), keras.backend.standardize_dtype(tensor.dtype))
    console.print(crossing)
    console.print(_calls("decoder (once per token)", split.reading.decoder_calls))
    _print_notes(console, facts)


def to_dict(exported: Exported) -> dict[str, object]:
    """The report for programs."""
    return {
        "bundle": str(exported.path),
        "verification": exported.report.to_dict(),
        "setup": None if exported.manifest.setup is None else exported.manifest.setup.to_dict(),
        "notes": list(exported.facts.notes),
        "node_types": exported.node_types,
        "bytes": _size(exported.path),
        "source": exported.manifest.source.to_dict(),
        "target": exported.manifest.target.to_dict(),
        "attention": exported.manifest.attention,
    }


def _checks(checks: tuple[Check, ...], inputs: str) -> Table:
    table = Table(title=f"Graphs equal Keras, on {inputs}", title_justify="left")
    for heading in ("compared", "count", "largest difference", "different", "near ties"):
        table.add_column(heading, justify="left" if heading == "compared" else "right")
    for check in checks:
        difference = "tokens" if check.difference is None else f"{check.difference:.1e}"
        table.add_row(check.what, str(check.compared), difference, str(check.different), str(check.near_ties))
    return table


def _model(exported: Exported) -> Table:
    """What was exported: inputs, what crosses, parameters."""
    manifest, facts = exported.manifest, exported.report.facts
    table = Table(title="Model", title_justify="left", show_header=False)
    table.add_row("source", _sources(exported.facts))
    table.add_row("target", f"feedback {manifest.target.feedback}, size {manifest.target.size}")
    for name, tensors in (("states", manifest.states), ("memories", manifest.memory)):
        table.add_row(name, ", ".join(f"{tensor.name} {_shape(tensor.shape)}" for tensor in tensors) or "none")
    table.add_row("attention", "yes" if manifest.attention else "no")
    parameters = facts["parameters"]
    if isinstance(parameters, dict):
        table.add_row("parameters", ", ".join(f"{name} {count:,}" for name, count in parameters.items()))
    return table


def _sources(facts: Understanding) -> str:
    """What is read, by name where there are several."""
    several = len(facts.sources) > 1
    named = [(f"{each.name}: " if several else "", each) for each in facts.sources]
    return "; ".join(f"{name}{each.kind}, size {each.size}" for name, each in named)


def _files(exported: Exported) -> Table:
    table = Table("graph", "kB", "nodes", title="Bundle", title_justify="left")
    for name, graph in exported.manifest.graphs.items():
        shown = ", ".join(f"{count} {kind}" for kind, count in exported.node_types[name].items())
        table.add_row(name, f"{graph.bytes / 1000:,.0f}", shown)
    return table


def _quality(exported: Exported) -> Table:
    """What fewer bits changed."""
    found = exported.manifest.verification["quantization"]
    if not isinstance(found, dict):
        raise TypeError(f"expected what was measured, got {found!r}")
    table = Table(title=f"{exported.manifest.precision} beside float32, on {found['inputs']}", title_justify="left")
    for heading in ("search", "sentences changed", "tokens changed", "wrong sentences", "wrong tokens"):
        table.add_column(heading, justify="left" if heading == "search" else "right")
    for each in found["searches"]:
        table.add_row(
            each["search"],
            f"{each['sentences_changed']} of {each['sentences']}",
            f"{each['tokens_changed']} of {each['tokens']}",
            _before_after(each, "error_rate"),
            _before_after(each, "token_error_rate"),
        )
    return table


def _before_after(found: Mapping[str, float], name: str) -> str:
    """Two shares as percentages; unknown without references."""
    if f"{name}_before" not in found:
        return "no references"
    return f"{found[f'{name}_before']:.1%} -> {found[f'{name}_after']:.1%}"


def _calls(title: str, calls: tuple[Call, ...]) -> Table:
    table = Table(title, "output", title_justify="left")
    for call in calls:
        table.add_row(call.name, ", ".join(_shape(value.shape) for value in call.outputs))
    return table


def _shape(shape: tuple[int | None, ...]) -> str:
    return "(" + ", ".join("-" if size is None else str(size) for size in shape) + ")"


def _print_notes(console: Console, facts: Understanding) -> None:
    for note in facts.notes:
        console.print(f"note: {note}", soft_wrap=True)


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in path.iterdir())
