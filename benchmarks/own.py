"""Times the runtime alone through `s2s-bench`: greedy and beam search, cold starts; and weighs it."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer
from compare import canonical_bundle
from report.markdown import RESULTS
from report.own_tables import own_tables
from report.targets import publish

RUN = "from s2s_runtime.commands.bench import main; main()"


def own(
    *,
    bundle: Annotated[
        Path | None, typer.Option(help="A bundle; without it, the canonical translator with random weights.")
    ] = None,
    text: Annotated[Path | None, typer.Option(help="Decode the lines of this file.")] = None,
    batch_size: Annotated[str, typer.Option(help="Sentences in a batch, separated by commas.")] = "1,32,256",
    beam_size: Annotated[str, typer.Option(help="Beam sizes, separated by commas; 1 = greedy.")] = "1,5",
    repeats: Annotated[int, typer.Option(min=1, help="Batches timed for each combination.")] = 50,
    output: Annotated[Path, typer.Option(help="JSON to write.")] = RESULTS / "own.json",
    tables: Annotated[bool, typer.Option(help="Renew the tables of README.md.")] = True,
) -> None:
    """Time greedy and beam search, cold starts and memory, and write JSON and tables."""
    options = ["--batch-size", batch_size, "--beam-size", beam_size, "--repeats", str(repeats)]
    options += [] if text is None else ["--text", str(text)]
    with canonical_bundle() if bundle is None else nullcontext(bundle) as chosen:
        results = _bench(chosen, options)
        results["cold_start"] = _bench(chosen, ["--cold-start", "--repeats", "15"])
        results["memory"] = _bench(chosen, ["--memory", "--batch-size", batch_size, "--beam-size", "1"])
    if bundle is None:
        results["bundle"] = "the canonical translator with random weights"
    publish(results, output, own_tables(results), renew_readme=tables)


def _bench(bundle: Path, options: list[str]) -> dict[str, Any]:
    command = [sys.executable, "-c", RUN, str(bundle), "--json", *options]
    answer = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True)
    if answer.returncode:
        raise typer.Exit(1)  # it has said why
    found: dict[str, Any] = json.loads(answer.stdout)
    return found


if __name__ == "__main__":
    typer.run(own)
