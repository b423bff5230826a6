"""Times the paths of GPUs beside PyTorch on the same device, each after its tokens were checked.

    make bench-gpu      # where there is a GPU; where there is none, on the CPU, to see that all of it runs

On the CPU states are kept, gathered and bound as on a device, by the same code; times of that say nothing of a GPU.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from compare import Plan, compare_case, known_names
from measuring.asked_process import PeerError
from measuring.cases import DEVICES, device_cases
from report.markdown import RESULTS
from report.peer_tables import gpu_tables
from report.targets import publish
from rich.console import Console


def measure(
    *,
    device: Annotated[
        str | None, typer.Option(help=f"{' or '.join(DEVICES)}; without it, cuda where nvidia-smi is found.")
    ] = None,
    only: Annotated[str, typer.Option(help="Which cases, separated by commas.")] = "gpu-canonical,gpu-attention",
    rounds: Annotated[int, typer.Option(min=1, help="Visits of each peer at each batch size.")] = 7,
    patience: Annotated[float, typer.Option(min=0, help="Seconds to wait per visit for a quiet machine.")] = 5.0,
    tables: Annotated[bool, typer.Option(help="Renew the tables of README.md.")] = True,
) -> None:
    """Time all paths, interleaved, case after case, and write JSON and tables."""
    place = device or ("cuda" if shutil.which("nvidia-smi") else "host")
    if place not in DEVICES:
        raise typer.BadParameter(f"--device: expected {' or '.join(DEVICES)}, got {place}")
    cases = device_cases(place)
    names = known_names("--only", only, cases)
    console, plan = Console(stderr=True), Plan(rounds, None, patience, None, None)
    for name in names:
        try:
            with tempfile.TemporaryDirectory() as folder, console.status("") as status:
                results = compare_case(Path(folder), name, cases[name], plan, status.update)
        except (PeerError, subprocess.CalledProcessError, OSError) as error:
            console.print(f"error: {name}: {error}", style="red", highlight=False)
            raise typer.Exit(1) from error
        results |= {"own": [f"ours:{place}"], "device": place}
        publish(results, RESULTS / f"{name}.json", gpu_tables(results), renew_readme=tables)


if __name__ == "__main__":
    typer.run(measure)
