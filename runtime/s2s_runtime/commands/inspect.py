"""The command s2s-inspect."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from s2s_runtime.console.app import UsageError, command, make_app, typer

if TYPE_CHECKING:
    from s2s_runtime.bundle.manifest import Manifest
    from s2s_runtime.bundle.storage import BundleFiles

_VALUES: Final = 8  # of a tensor that a line shows

app = make_app()

EPILOG = """
**Examples**

`s2s-inspect model.s2s`

`s2s-inspect model.s2s --symbols`

`s2s-inspect model.s2s --json | jq .target`

`s2s-inspect model.s2s --contract`

`s2s-inspect model.s2s --trace "Run!"`
"""


@command(app, epilog=EPILOG)
def inspect(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="Folder or zip file written by s2s-export.")],
    symbols: Annotated[bool, typer.Option("--symbols", help="List every symbol of the vocabularies.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Write the manifest, the contract or the trace as JSON.")
    ] = False,
    contract: Annotated[
        bool, typer.Option("--contract", help="Inputs and outputs of each graph, for programs in other languages.")
    ] = False,
    trace: Annotated[
        str | None, typer.Option("--trace", metavar="TEXT", help="Decode a text, and write each tensor that passes.")
    ] = None,
) -> None:
    """Show what a bundle holds: what it reads and writes, its graphs, vocabularies, and what its export verified.

    The graph files are compared with the manifest's SHA-256; a bundle that was altered is an error.
    """
    if symbols and as_json:
        raise UsageError("--symbols: no effect with --json, which holds every symbol anyway")
    if symbols and (contract or trace is not None):
        raise UsageError("--symbols: no effect with --contract and --trace, which are about the graphs")
    if contract and trace is not None:
        raise UsageError("--contract and --trace: expected one of these at most")
    from s2s_runtime.bundle.manifest_file import MANIFEST, read_manifest
    from s2s_runtime.bundle.storage import find_files

    files = find_files(bundle)
    manifest = read_manifest(files)
    if trace is not None:
        _show_trace(files, manifest, trace, as_json=as_json)
        return
    if contract:
        _show_contract(files, manifest, as_json=as_json)
        return
    if as_json:
        typer.echo(json.dumps(manifest.to_dict(), indent=1, ensure_ascii=False))
        return
    from s2s_runtime.commands.inspection.tables import describe
    from s2s_runtime.console.manners import result_console

    console = result_console()
    parts = [*manifest.graphs.values(), *([] if manifest.weights is None else [manifest.weights])]
    size = (files.size(MANIFEST) or 0) + sum(part.bytes for part in parts)
    for table in describe(str(bundle), manifest, size=size, every_symbol=symbols):
        console.print(table)


def _show_contract(files: BundleFiles, manifest: Manifest, *, as_json: bool) -> None:
    from s2s_runtime.commands.inspection.graphs import contract, contract_tables
    from s2s_runtime.console.manners import result_console

    graphs = contract(files, manifest)
    if as_json:
        typer.echo(json.dumps(graphs, indent=1))
        return
    console = result_console()
    for table in contract_tables(graphs, manifest):
        console.print(table)


def _show_trace(files: BundleFiles, manifest: Manifest, text: str, *, as_json: bool) -> None:
    """Write a line for each tensor; with JSON an object with all its values."""
    from s2s_runtime.commands.inspection.graphs import trace

    for tensor in trace(files, manifest, text):
        if as_json:
            typer.echo(json.dumps(tensor.to_dict()))
            continue
        values = " ".join(f"{value:.6g}" for value in tensor.array.reshape(-1)[:_VALUES].tolist())
        more = " ..." if tensor.array.size > _VALUES else ""
        place = "" if tensor.step is None else f" {tensor.step}"
        shape = "x".join(map(str, tensor.array.shape))
        typer.echo(
            f"{tensor.graph}{place} {tensor.direction} {tensor.name} {tensor.array.dtype} {shape}: {values}{more}"
        )


def main() -> None:
    """Run the command."""
    app()
