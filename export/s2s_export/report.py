"""What an export gives back, the tables it is shown as, and the drawing of a dry run."""

from __future__ import annotations

import io
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Final

import keras
from rich.console import Console
from rich.table import Table
from rich.text import Text

from s2s_export.understand.bundle_terms import Understanding
from s2s_export.verify.checks import Check
from s2s_export.verify.verify import Report
from s2s_runtime.bundle.manifest import Manifest
from s2s_runtime.bundle.provenance import Provenance
from s2s_runtime.commands.inspection.tables import setup_table
from s2s_runtime.console.names import Name
from s2s_training.splitting.graph import Call
from s2s_training.splitting.splitter import SplitModel

if TYPE_CHECKING:
    from s2s_export.options import ExportOptions
    from s2s_export.understand.first_look import FirstLook


@dataclass(frozen=True, repr=False)
class Exported:
    """What an export did; it is shown as its report, and in a notebook as tables.

    Attributes:
        path: the bundle.
        split: the model taken apart.
        facts: how it was understood.
        manifest: what the bundle's manifest says.
        report: what verification found.
        node_types: how many nodes of each type, by graph.
    """

    path: Path
    split: SplitModel
    facts: Understanding
    manifest: Manifest
    report: Report
    node_types: dict[str, dict[str, int]]

    def __repr__(self) -> str:
        return as_text(self)

    def _repr_html_(self) -> str:
        return as_html(self)


def print_exported(console: Console, exported: Exported, *, nodes: bool = False) -> None:
    """Print what was checked, what was written, and what to know; where wanted, the types of the graphs' nodes too."""
    for part in _parts(exported, nodes=nodes):
        console.print(part, soft_wrap=isinstance(part, str))


def as_text(exported: Exported) -> str:
    """Return the report as a terminal of 100 columns shows it, without colours."""
    written = io.StringIO()
    print_exported(
        Console(file=written, width=100, color_system=None, force_terminal=False, force_jupyter=False), exported
    )
    return "\n".join(line.rstrip() for line in written.getvalue().splitlines())


def as_html(exported: Exported) -> str:
    """Return the report as tables and paragraphs of HTML."""
    return "\n".join(f"<p>{escape(part)}</p>" if isinstance(part, str) else _html(part) for part in _parts(exported))


def _html(table: Table) -> str:
    """Return a table of rich as one of HTML; its headings and cells are plain text."""
    head = "".join(f"<th>{escape(str(column.header))}</th>" for column in table.columns) if table.show_header else ""
    cells = zip(*(column.cells for column in table.columns), strict=True)
    rows = [
        "".join(
            f'<td style="text-align: {column.justify}">{escape(str(cell))}</td>'
            for column, cell in zip(table.columns, row, strict=True)
        )
        for row in cells
    ]
    caption = f"<caption>{escape(str(table.title))}</caption>" if table.title else ""
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _parts(exported: Exported, *, nodes: bool = False) -> Iterator[Table | str]:
    """Yield the report, piece by piece: tables, and lines of text."""
    yield _checks(exported.report.checks, exported.report.inputs)
    if exported.manifest.setup is not None and exported.manifest.setup.items:
        yield setup_table(exported.manifest.setup)
    yield _model(exported)
    yield _files(exported, nodes=nodes)
    if exported.manifest.precision != "float32":
        yield _quality(exported)
        yield from _times(exported)
    if exported.manifest.precision == "float16":
        yield "note: float16 is for CUDA; on a CPU it is tested and no faster"
    yield from (f"note: {note}" for note in exported.report.roundings())
    yield from (f"note: {note}" for note in exported.facts.notes)
    if exported.facts.target_vocabulary is None and exported.manifest.target.feedback != "value":
        yield "note: the bundle has no symbols of the target: it gives ids, as texts need a vocabulary"
    if exported.manifest.setup is not None:
        yield exported.manifest.setup.headline
    yield f"wrote {exported.path} (graphs equal Keras, every check within {exported.report.within:.2g})"


_ONLY_YOURS: Final = {
    "--padding": "FILLER",
    "--padding-side": "SIDE",
    "--source-length": "N",
    "--start": "SYMBOL",
    "--end": "SYMBOL",
    "--max-length": "N",
    "--rows": "N",
    "--expect": "FILE",
}


def print_settling(console: Console, setup: Provenance, typed: Sequence[str]) -> None:
    """Print the command line that settles what is assumed; nothing where nothing is.

    Args:
        console: to print to.
        setup: how each item is known.
        typed: the arguments of the command that assumed it.
    """
    options = dict.fromkeys(item.option for item in setup.assumed if item.option in _ONLY_YOURS)
    if not options:
        return
    if "--expect" in options:  # of an item that no other option settles
        options = {"--expect": None}
    added = [f"{flag} {_ONLY_YOURS[flag]}" for flag in options] + ["--force"] * ("--force" not in typed)
    console.print("To settle what is assumed, type (what stands in capitals, only you know):")
    console.print(Text(f"  s2s-export {shlex.join(typed)} {' '.join(added)}"), soft_wrap=True)
    alone = "token" in typed and "--feedback" in typed  # a language model has no source to expect outputs of
    if "--expect" not in [*options, *typed] and not alone:
        console.print("or, in place of these, --expect FILE: what your own loop gave proves it")


def print_first_look(console: Console, look: FirstLook, options: ExportOptions, command: str) -> None:
    """Print what a model shows, what it can't show, and the command to type next."""
    for title, rows in (("The model shows", look.shown()), ("It can't show", look.unknown(options))):
        if rows:
            table = Table(title=title, title_justify="left", show_header=False)
            for row in rows:
                table.add_row(*map(Text, row))
            console.print(table)
    yours = re.search(r" (N|SYMBOL|FILLER)\b", command) is not None
    console.print(f"To export it, type{' (what stands in capitals, only you know)' if yours else ''}:")
    console.print(Text(f"  {command}"), soft_wrap=True)


def print_understanding(console: Console, split: SplitModel, facts: Understanding) -> None:
    """Print what is encoder, what is decoder and what crosses, without writing anything."""
    console.print(f"source: {_sources(facts)}; target: {_targets(facts)}")
    console.print(_calls("encoder (once per sentence)", split.reading.encoder_calls))
    crossing = Table("crosses to the decoder", "shape", "dtype", title_justify="left")
    for i, tensor in enumerate(split.encoder.outputs):
        name = f"state.{i}" if i < split.state_count else f"memory.{i - split.state_count}"
        crossing.add_row(name, _shape(tensor.shape), keras.backend.standardize_dtype(tensor.dtype))
    console.print(crossing)
    console.print(_calls("decoder (once per token)", split.reading.decoder_calls))
    _print_notes(console, facts)


def to_dict(exported: Exported) -> dict[str, object]:
    """Return the report for programs, as plain values."""
    return {
        "bundle": str(exported.path),
        "verification": exported.report.to_dict(),
        "setup": None if exported.manifest.setup is None else exported.manifest.setup.to_dict(),
        "notes": list(exported.facts.notes),
        "node_types": exported.node_types,
        "bytes": _size(exported.path),
        "source": exported.manifest.source.to_dict(),
        "target": exported.manifest.target.to_dict(),
        "outputs": [output.target.to_dict() for output in exported.manifest.outputs],
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
    """Return the table of what was exported: inputs, what crosses, parameters."""
    manifest, facts = exported.manifest, exported.report.facts
    table = Table(title="Model", title_justify="left", show_header=False)
    table.add_row("source", _sources(exported.facts))
    if manifest.kind != "encoder-decoder":
        table.add_row("kind", manifest.kind)
    table.add_row("target", _targets(exported.facts))
    for name, tensors in (("states", manifest.states), ("memories", manifest.memory)):
        table.add_row(name, ", ".join(f"{tensor.name} {_shape(tensor.shape)}" for tensor in tensors) or "none")
    table.add_row("attention", "yes" if manifest.attention else "no")
    parameters = facts["parameters"]
    if isinstance(parameters, dict):
        table.add_row("parameters", ", ".join(f"{name} {count:,}" for name, count in parameters.items()))
    return table


def _targets(facts: Understanding) -> str:
    """Say what each output is; by name where there are several."""
    named = [f"{target.name}: " if target.name else "" for target in facts.targets]
    return "; ".join(
        f"{name}feedback {target.feedback}, size {target.size}"
        for name, target in zip(named, facts.targets, strict=True)
    )


def _sources(facts: Understanding) -> str:
    """Return what is read, by name where there are several sources."""
    if facts.without_source:
        return "none: a language model, which goes on from what is written"
    several = len(facts.sources) > 1
    named = [(f"{source.name}: " if several else "", source) for source in facts.sources]
    return "; ".join(f"{name}{source.kind}, size {source.size}" for name, source in named)


def _files(exported: Exported, *, nodes: bool) -> Table:
    table = Table("graph", "kB", "nodes", title="Bundle", title_justify="left")
    for name, graph in exported.manifest.graphs.items():
        types = exported.node_types[name]
        each = ", ".join(f"{count} {kind}" for kind, count in types.items())
        table.add_row(Name(name), f"{graph.bytes / 1000:,.0f}", each if nodes else f"{sum(types.values()):,}")
    return table


def _quality(exported: Exported) -> Table:
    """Return the table of what fewer bits changed."""
    measured = exported.manifest.verification["quantization"]
    if not isinstance(measured, dict):
        raise TypeError(f"expected what was measured, got {measured!r}")
    table = Table(title=f"{exported.manifest.precision} beside float32, on {measured['inputs']}", title_justify="left")
    for heading in ("search", "sentences changed", "tokens changed", "wrong sentences", "wrong tokens"):
        table.add_column(heading, justify="left" if heading == "search" else "right")
    for search in measured["searches"]:
        table.add_row(
            search["search"],
            f"{search['sentences_changed']} of {search['sentences']}",
            f"{search['tokens_changed']} of {search['tokens']}",
            _before_after(search, "error_rate"),
            _before_after(search, "token_error_rate"),
        )
    return table


def _times(exported: Exported) -> Iterator[Table | str]:
    """Yield the table of how long a batch takes, and which kind of numbers is fastest, where that was asked for."""
    measured = exported.manifest.verification["quantization"]
    timed = measured.get("timed") if isinstance(measured, dict) else None
    if timed is None:
        return
    milliseconds, batch = timed["milliseconds"], timed["batch"]
    title = f"Greedy, batches of {batch:,}, on this machine"
    table = Table("numbers", "ms a batch", "times float32", title=title, title_justify="left")
    for name, value in milliseconds.items():
        table.add_row(name, f"{value:.2f}", f"{value / milliseconds['float32']:.2f}")
    yield table
    fastest = min(milliseconds, key=milliseconds.__getitem__)
    advice = "" if fastest == exported.manifest.precision else f", not {exported.manifest.precision}"
    yield f"note: fastest for batches of {batch:,}: {fastest}{advice}"


def _before_after(figures: Mapping[str, float], name: str) -> str:
    """Return two shares as percentages, or that there were no references to count by."""
    if f"{name}_before" not in figures:
        return "no references"
    return f"{figures[f'{name}_before']:.1%} -> {figures[f'{name}_after']:.1%}"


def _calls(title: str, calls: tuple[Call, ...]) -> Table:
    table = Table(title, "output", title_justify="left")
    for call in calls:
        table.add_row(Name(call.name), ", ".join(_shape(value.shape) for value in call.outputs))
    return table


def _shape(shape: tuple[int | None, ...]) -> str:
    return "(" + ", ".join("-" if size is None else str(size) for size in shape) + ")"


def _print_notes(console: Console, facts: Understanding) -> None:
    for note in facts.notes:
        console.print(f"note: {note}", soft_wrap=True)


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in path.iterdir()) if path.is_dir() else path.stat().st_size
