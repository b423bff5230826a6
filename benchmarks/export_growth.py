"""How time and memory of an export grow with the model: word translators with attention of four sizes, random weights.

    make bench-export

Each export runs in a process of its own, whose largest memory is its own too. Writes `results/export.json` and the
table of README.md.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from measuring.in_process import circumstances
from measuring.quiet import Usage, foreign_cores
from report.markdown import RESULTS
from report.own_tables import export_tables
from report.targets import publish

from s2s_runtime.bench.axes import numbers
from s2s_runtime.console.app import one_line_errors

if TYPE_CHECKING:
    import keras

MAX_LENGTH = 30


@dataclass(frozen=True)
class Size:
    """The size of a word translator.

    Attributes:
        words: on either side.
        units: of each LSTM.
        embedding: numbers of a word.
        layers: LSTMs on either side.
    """

    words: int
    units: int
    embedding: int
    layers: int

    def in_words(self) -> str:
        """Return the size as the table says it."""
        layers = "one layer" if self.layers == 1 else f"{self.layers} layers"
        return f"{self.words:,} words, {layers} of {self.units:,}"


SIZES = (Size(100, 256, 64, 1), Size(8000, 256, 256, 1), Size(8000, 512, 512, 2), Size(32_000, 1024, 512, 2))


def translator(size: Size) -> keras.Model:
    """Return a translator of that size: LSTMs on both sides, attention over what the source's last one gives."""
    import keras
    from keras import layers

    source, target = (keras.Input((None,), dtype="int32", name=name) for name in ("source", "target"))
    x = layers.Embedding(size.words, size.embedding, mask_zero=True)(source)
    y = layers.Embedding(size.words, size.embedding, mask_zero=True)(target)
    for _ in range(size.layers):
        x, *states = layers.LSTM(size.units, return_sequences=True, return_state=True)(x)
        y = layers.LSTM(size.units, return_sequences=True)(y, initial_state=states)
    context = layers.Attention()([y, x])
    joined = layers.Dense(size.units, activation="tanh")(layers.Concatenate()([y, context]))
    return keras.Model([source, target], layers.Dense(size.words, activation="softmax")(joined))


def exported(size: Size, place: str | Path) -> Path:
    """Return the bundle of a model of that size, exported where it isn't there yet."""
    place = Path(place)
    if not place.exists():
        from s2s_training.quiet_import import import_quietly

        import_quietly()
        from s2s_export import export

        place.parent.mkdir(parents=True, exist_ok=True)
        export(translator(size), place, start_id=1, end_ids=(2,), max_length=MAX_LENGTH)
    return place


def measured(size: Size) -> dict[str, Any]:
    """Export a model of that size, in this process, and return what that took."""
    from s2s_training.quiet_import import import_quietly

    import_quietly()
    import keras

    from s2s_export import export

    keras.utils.set_random_seed(1)
    model, stages = translator(size), list[tuple[float, str]]()
    held, before = _largest_memory(), Usage.read(os.getpid())
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        export(
            model,
            Path(folder) / "model.s2s",
            start_id=1,
            end_ids=(2,),
            max_length=MAX_LENGTH,
            progress=lambda words: stages.append((time.perf_counter(), words)),
        )
        ended = time.perf_counter()
        written = sum(file.stat().st_size for file in (Path(folder) / "model.s2s").iterdir())
    ends = [at for at, _ in stages[1:]] + [ended]
    return {
        "size": asdict(size),
        "parameters": model.count_params(),
        "seconds": ended - began,
        "stages": {words: end - at for (at, words), end in zip(stages, ends, strict=True)},
        "before": held,
        "peak": _largest_memory(),
        "bundle": written,
        "foreign": foreign_cores(before, Usage.read(os.getpid())),
    }


def _largest_memory() -> int:
    """Return the most bytes that this process had in memory so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def sizes_wanted(only: str) -> list[int]:
    """Return the numbers of sizes that `--only` gives.

    Raises:
        typer.BadParameter: there is no such size.
    """
    with one_line_errors():
        wanted = numbers("--only", only)
    if unknown := [number for number in wanted if number > len(SIZES)]:
        raise typer.BadParameter(f"--only: expected sizes from 1 to {len(SIZES)}, got {unknown[0]}")
    return wanted


def growth(
    *,
    only: Annotated[str, typer.Option(help="Which sizes, by number from 1, separated by commas.")] = "1,2,3,4",
    alone: Annotated[int | None, typer.Option(hidden=True)] = None,
    tables: Annotated[bool, typer.Option(help="Renew the table of README.md.")] = True,
) -> None:
    """Export models of growing size, each in a process of its own, and write JSON and a table."""
    if alone is not None:
        print(json.dumps(measured(SIZES[alone - 1])))
        return
    exports = []
    for number in sizes_wanted(only):
        print(SIZES[number - 1].in_words(), file=sys.stderr)
        program = [sys.executable, __file__, "--alone", str(number)]
        done = subprocess.run(program, check=True, stdout=subprocess.PIPE, text=True)
        found = json.loads(done.stdout.splitlines()[-1])
        exports.append({**found, "words": Size(**found["size"]).in_words()})
    results = {**circumstances(), "exports": exports}
    publish(results, RESULTS / "export.json", export_tables(results), renew_readme=tables)


if __name__ == "__main__":
    typer.run(growth)
