"""The command s2s-inspect."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from s2s_runtime.console.app import UsageError, command, make_app, typer

if TYPE_CHECKING:
    from s2s_runtime.bundle.manifest import Manifest
    from s2s_runtime.bundle.storage import BundleFiles

app = make_app()

EPILOG = """
**Examples**

`s2s-inspect model.s2s`

`s2s-inspect model.s2s --symbols`

`s2s-inspect model.s2s --json | jq .target`

`s2s-inspect model.s2s --contract`
"""


@command(app, epilog=EPILOG)
def inspect(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="Folder or zip file written by s2s-export.")],
    symbols: Annotated[bool, typer.Option("--symbols", help="List every symbol of the vocabularies.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Write the manifest, or the contract, as JSON.")] = False,
    contract: Annotated[
        bool, typer.Option("--contract", help="Inputs and outputs of each graph, for programs in other languages.")
    ] = False,
) -> None:
    """Show what a bundle holds: what it reads and writes, its graphs, vocabularies, and what its export verified.

    The graph files are compared with the manifest's SHA-256; a bundle that was altered is an error.
    """
    if symbols and as_json:
        raise UsageError("--symbols: no effect with --json, which holds every symbol anyway")
    if symbols and contract:
        raise UsageError("--symbols: no effect with --contract, which is about the graphs")
    from s2s_runtime.bundle.manifest_file import MANIFEST, read_manifest
    from s2s_runtime.bundle.storage import find_files

    files = find_files(bundle)
    manifest = read_manifest(files)
    if contract:
        _show_contract(files, manifest, as_json=as_json)
        return
    if as_json:
        typer.echo(json.dumps(manifest.to_dict(), indent=1, ensure_ascii=False))
        return
    from s2s_runtime.commands.inspect_tables import describe
    from s2s_runtime.console.manners import result_console

    console = result_console()
    parts = [*manifest.graphs.values(), *([] if manifest.weights is None else [manifest.weights])]
    size = (files.size(MANIFEST) or 0) + sum(part.bytes for part in parts)
    for table in describe(str(bundle), manifest, size=size, every_symbol=symbols):
        console.print(table)


def _show_contract(files: BundleFiles, manifest: Manifest, *, as_json: bool) -> None:
    from s2s_runtime.commands.inspect_graphs import contract, contract_tables
    from s2s_runtime.console.manners import result_console

    graphs = contract(files, manifest)
    if as_json:
        typer.echo(json.dumps(graphs, indent=1))
        return
    console = result_console()
    for table in contract_tables(graphs, manifest):
        console.print(table)


def main() -> None:
    """Run the command."""
    app()
