"""The command s2s-inspect."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from s2s_runtime.console import make_app, one_line_errors, typer

if TYPE_CHECKING:
    from s2s_runtime.manifest import Manifest, TensorSpec
    from s2s_runtime.vocabulary import Vocabulary

app = make_app()

EPILOG = """
**Examples**

`s2s-inspect model.s2s`

`s2s-inspect model.s2s --json | jq .target`
"""


@app.command(epilog=EPILOG)
def inspect(
    bundle: Annotated[Path, typer.Argument(help="Folder written by s2s-export.")],
    as_json: Annotated[bool, typer.Option("--json", help="Write the manifest as JSON.")] = False,
) -> None:
    """Show what a bundle holds: its graphs, vocabularies, padding, and what its export verified.

    The graph files are compared with the manifest's SHA-256; a bundle that was altered is an error.
    """
    with one_line_errors():
        from s2s_runtime.bundle import read_manifest

        manifest = read_manifest(bundle)
        if as_json:
            typer.echo(json.dumps(manifest.to_dict(), indent=1, ensure_ascii=False))
            return
        from rich.console import Console
        from rich.table import Table

        table = Table(title=str(bundle), show_header=False)
        for name, value in _rows(manifest):
            table.add_row(name, value)
        Console().print(table, highlight=False, markup=False)


def _rows(manifest: Manifest) -> Iterator[tuple[str, str]]:
    source, target, padding = manifest.source, manifest.target, manifest.padding
    yield "source", f"{source.kind}, size {source.size}"
    yield "target", f"size {target.size}, feedback: {target.feedback}, longest: {target.max_length or 'unknown'}"
    yield "target ids", f"start {target.start_id}, end {list(target.end_ids)}, unknown {target.unknown_id}"
    length = "free" if padding.length is None else padding.length
    yield "padding", f"{'masked' if padding.masked else 'read'}, id {padding.id}, {padding.side}, length {length}"
    yield "attention", "yes" if manifest.attention else "no"
    yield "states", ", ".join(map(_tensor, manifest.states))
    yield "memory", ", ".join(map(_tensor, manifest.memory)) or "none"
    for name, graph in manifest.graphs.items():
        yield f"graph {name}", f"{graph.file}, {graph.bytes:,} bytes, SHA-256 {graph.sha256[:12]}... as recorded"
    for name, vocabulary in (("source", manifest.source_vocabulary), ("target", manifest.target_vocabulary)):
        yield f"vocabulary {name}", "none" if vocabulary is None else _vocabulary(vocabulary)
    yield from _flat("verified", manifest.verification)
    yield "made with", ", ".join(f"{name} {number}" for name, number in manifest.producers.items())


def _tensor(tensor: TensorSpec) -> str:
    shape = ", ".join("?" if size is None else str(size) for size in tensor.shape)
    return f"{tensor.name} {tensor.dtype} ({shape})"


def _vocabulary(vocabulary: Vocabulary) -> str:
    sample = " ".join(repr(symbol) for symbol in vocabulary.symbols[:12])
    return f"{len(vocabulary)} symbols of unit {vocabulary.unit}: {sample}{' ...' if len(vocabulary) > 12 else ''}"


def _flat(name: str, value: object) -> Iterator[tuple[str, str]]:
    """Nested findings as rows with dotted names."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(f"{name}.{key}", inner)
    else:
        yield name, f"{value:.3g}" if isinstance(value, float) else str(value)


def main() -> None:
    """Run the command."""
    app()
