"""What products of 8 bits gain: the models of `passes.py` in float32, int8 and int8-weights, timed in turn.

    python benchmarks/eight_bits.py --bundles FOLDER      # FOLDER keeps the bundles for another run

Writes `results/eight-bits.json` and the table of README.md. Random weights: what they cost in quality is in QUALITY.md.
"""

from __future__ import annotations

import os
import statistics
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer
from measuring.in_process import circumstances
from measuring.quiet import Usage
from passes import LENGTH, MODELS, STEPS, sentences, timed
from report.markdown import RESULTS
from report.own_tables import eight_bits_tables
from report.targets import publish

from s2s_runtime import Model, load

KINDS = ("float32", "int8", "int8-weights")
CELLS = ((1, 1), (32, 1), (256, 1), (1, 5), (32, 5))
TIMED = ("translator", "attention")


def bundle(name: str, kind: str, folder: Path) -> Path:
    """Return where the bundle of a model lies, exported unless it was before."""
    path = folder / f"{name}-{kind}.s2s"
    if not path.exists():
        from s2s_training.quiet_import import import_quietly

        import_quietly()
        import keras

        from s2s_export import ExportOptions, export

        keras.utils.set_random_seed(1)
        fed: dict[str, Any] = {} if name == "attention" else {"source_length": LENGTH, "padding": "0"}
        given = ExportOptions(start_id=1, end_ids=(2,), max_length=STEPS, verify_sources=4, **fed)
        export(MODELS[name](), path, given, quantize=None if kind == "float32" else kind)
    return path


def times(models: dict[str, Model], batch: int, beam: int, rounds: int) -> dict[str, list[float]]:
    """Return milliseconds of the fastest of two calls, round by round, of each model."""
    sources = sentences(batch)
    for model in models.values():
        timed(model, sources, beam, 2)
    found: dict[str, list[float]] = {kind: [] for kind in models}
    for _ in range(rounds):
        for kind, model in models.items():
            found[kind].append(timed(model, sources, beam, 2) * 1e3)
    return found


def measure(
    *,
    bundles: Annotated[Path | None, typer.Option(help="Folder to keep bundles in, and to find them in.")] = None,
    rounds: Annotated[int, typer.Option(min=3, help="Visits of each bundle.")] = 7,
    tables: Annotated[bool, typer.Option(help="Renew the table of README.md.")] = True,
) -> None:
    """Time the bundles in turn, write JSON and a table."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = bundles or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        paths = {name: {kind: bundle(name, kind, folder) for kind in KINDS} for name in TIMED}
        before, rows = Usage.read(os.getpid()), []
        for name, kinds in paths.items():
            models = {kind: load(path) for kind, path in kinds.items()}
            for batch, beam in CELLS:
                found = times(models, batch, beam, rounds if batch < 256 else 3)
                medians = {kind: statistics.median(values) for kind, values in found.items()}
                rows.append({"model": name, "batch": batch, "beam": beam, "milliseconds": medians})
    results = {**circumstances(before), "eight_bits": rows}
    publish(results, RESULTS / "eight-bits.json", eight_bits_tables(results), renew_readme=tables)


if __name__ == "__main__":
    typer.run(measure)
